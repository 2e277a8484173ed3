"""Trains with workers that are killed, stopped and told to end, and reads what they leave.

The narrow Inception V3 on drawn images. Each time the survivors must end within a minute, by one
sentence; the checkpoint must be whole; and the same command must go on. Then workers that wait for
the lost one instead, and TensorFlow 1.15.5 on the last checkpoint. Takes some minutes.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from inception_slim import checkpoint
from inception_slim.training.local_launcher import free_ports
from inception_slim.training.tf_config import make_tf_config

from scripts.acceptance.train_faults import add_python_1_15, compare_with_1_15, make_dataset

LIMIT = 60  # seconds that a survivor may take
ENDLESS = 10**6


class Worker:
    """A process of `train`, whose lines are read while it runs."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None):
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'inception_slim', *command], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})

    def read_to_step(self, step: int) -> int:
        """Reads lines up to that of a step, or a later one; returns which."""
        for line in self.process.stdout:
            if line.startswith('step '):
                at = int(line.split()[1])
                if at >= step:
                    return at
        raise AssertionError(f'ended before step {step}: {self.process.stderr.read()}')

    def end(self, seconds: float) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, errors


def command(dataset: str, folder: str, steps: int, *more: str) -> list[str]:
    return ['train', dataset, '--train-dir', folder, '--steps', str(steps), '--batch-size', '4',
            '--depth-multiplier', '0.05', '--min-depth', '4', '--save-minutes', '0.05',
            '--summary-steps', '1', '--worker-timeout', '10', *more]


def started(arguments: list[str], count: int) -> list[Worker]:
    addresses = [f'127.0.0.1:{port}' for port in free_ports(count)]
    return [Worker(arguments, {'TF_CONFIG': make_tf_config(addresses, index)})
            for index in range(count)]


def last_step(folder: str) -> int:
    """Of the newest checkpoint, every byte of which is read."""
    try:
        return checkpoint.read(folder)[0].global_step or 0
    except checkpoint.CheckpointError:
        return 0


def lose(dataset: str, folder: str, victim: int, how: signal.Signals, chance: random.Random,
         workers: int) -> None:
    """One of the workers is lost in the middle; the others end, and what was saved is whole."""
    before = last_step(folder)
    running = started(command(dataset, folder, ENDLESS), workers)
    reached = running[0].read_to_step(before + chance.randint(2, 8))
    time.sleep(chance.uniform(0, 2))
    began = time.monotonic()
    running[victim].process.send_signal(how)
    for index, worker in enumerate(running):
        if index == victim:
            continue
        code, _, errors = worker.end(LIMIT)
        seconds = time.monotonic() - began
        last = errors.strip().splitlines()
        assert code == 1 and len(last) == 1, (code, errors)
        assert 'training stopped after step' in last[0], errors
    running[victim].process.kill()
    running[victim].process.communicate()
    step = last_step(folder)
    assert step >= before
    if victim:
        assert step >= reached, f'step {reached} was made, but {step} is saved'
    who = 'the chief' if victim == 0 else f'worker {victim}'
    print(f'{who}, {how.name}: the others ended in {seconds:.0f} s; step {step} can be read\n'
          f'    {last[0]}', flush=True)


def tell_to_end(dataset: str, folder: str, workers: int) -> None:
    running = started(command(dataset, folder, ENDLESS), workers)
    running[0].read_to_step(last_step(folder) + 2)
    running[-1].process.send_signal(signal.SIGTERM)
    for worker in running:
        code, output, errors = worker.end(LIMIT)
        assert code == 0, errors
        if worker is running[0]:
            print(f'SIGTERM to worker {workers - 1}: {output.splitlines()[-1]}', flush=True)


def wait_for_it(dataset: str, folder: str) -> None:
    """`--on-worker-loss restart`: the killed worker is started again, and the job goes on by itself."""
    target = last_step(folder) + 40
    launched = Worker(command(dataset, folder, target, '--workers', '2', '--on-worker-loss', 'restart'))
    launched.read_to_step(last_step(folder) + 5)
    children = subprocess.run(['pgrep', '-P', str(launched.process.pid)], text=True,
                              stdout=subprocess.PIPE).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    code, output, errors = launched.end(4 * LIMIT)
    assert code == 0 and last_step(folder) == target, errors
    assert 'Going on from' in output and 'starting it again' in errors, errors
    print(f'killed and waited for: {output.splitlines()[-1]}', flush=True)


def other_version(dataset: str, folder: str, python: str) -> None:
    """A worker with another TensorFlow is named in one sentence."""
    arguments = command(dataset, folder, ENDLESS)
    addresses = [f'127.0.0.1:{port}' for port in free_ports(2)]
    running = []
    for index, interpreter in enumerate((sys.executable, python)):
        running.append(
            subprocess.Popen(
                [interpreter, '-m', 'inception_slim', *arguments],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, 'TF_CONFIG': make_tf_config(addresses, index)},
            )
        )
    for process in running:
        _, errors = process.communicate(timeout=2 * LIMIT)
        assert process.returncode == 1 and errors.count('\n') == 1, errors
    print(f'another version: {errors.strip()}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--workers', type=int, default=2, metavar='N')
    parser.add_argument('--kills', type=int, default=3, metavar='N',
                        help='of workers and of the chief, each (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, metavar='N')
    add_python_1_15(parser)
    parser.add_argument('--other-python', metavar='PYTHON',
                        help='an interpreter with this package on another TensorFlow')
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        dataset, folder = os.path.join(scratch, 'data'), os.path.join(scratch, 'train')
        make_dataset(dataset)
        for _ in range(arguments.kills):
            lose(dataset, folder, chance.randrange(1, arguments.workers), signal.SIGKILL, chance,
                 arguments.workers)
            lose(dataset, folder, 0, signal.SIGKILL, chance, arguments.workers)
        lose(dataset, folder, 1, signal.SIGSTOP, chance, arguments.workers)
        tell_to_end(dataset, folder, arguments.workers)
        wait_for_it(dataset, folder)
        if arguments.other_python:
            other_version(dataset, folder, arguments.other_python)
        compare_with_1_15(folder, arguments.python)


if __name__ == '__main__':
    main()
