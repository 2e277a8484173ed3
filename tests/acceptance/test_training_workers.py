"""Distributed training whose workers are killed, stopped and ended.

The survivors must end within a minute with one message, the checkpoint must be readable, and the
same command must resume. `OTHER_PYTHON` names an interpreter with this package on another
TensorFlow, for the test of mixed versions.
"""

import os
import random
import signal
import subprocess
import sys
import time

from acceptance.test_training_faults import FOREVER, compare_with_tensorflow_1, write_dataset
from inception_slim import checkpoint
from inception_slim.training.local_launcher import free_ports
from inception_slim.training.tf_config import make_tf_config
import pytest

from scripts.tf1_env import OLD_PYTHON

pytestmark = pytest.mark.acceptance
MAX_SECONDS = 60  # that a survivor may take to end
WORKERS = 2
CHIEF = 0


class Worker:
    """A process of `inception-slim train`."""

    def __init__(self, arguments: list[str], environment: dict[str, str] | None = None,
                 python: str = sys.executable):
        self.process = subprocess.Popen(
            [python, '-m', 'inception_slim', *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})

    def read_to_step(self, step: int) -> int:
        """Reads standard output up to the line of `step` or a later one; returns which."""
        for line in self.process.stdout:
            if line.startswith('step ') and int(line.split()[1]) >= step:
                return int(line.split()[1])
        raise AssertionError(f'ended before step {step}: {self.process.stderr.read()}')

    def wait(self, seconds: float) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, errors


def training_arguments(dataset: str, folder: str, steps: int, *more: str) -> list[str]:
    return ['train', dataset, '--train-dir', folder, '--steps', str(steps), '--batch-size', '4',
            '--depth-multiplier', '0.05', '--min-depth', '4', '--save-minutes', '0.05',
            '--summary-steps', '1', '--worker-timeout', '10', *more]


def start_workers(arguments: list[str], pythons: list[str]) -> list[Worker]:
    addresses = [f'127.0.0.1:{port}' for port in free_ports(len(pythons))]
    return [Worker(arguments, {'TF_CONFIG': make_tf_config(addresses, index)}, python)
            for index, python in enumerate(pythons)]


def last_step(folder: str) -> int:
    """The step of the newest checkpoint, which is read completely; 0 without one."""
    try:
        return checkpoint.read(folder)[0].global_step or 0
    except checkpoint.CheckpointError:
        return 0


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('dataset') / 'images')
    write_dataset(folder)
    return folder


@pytest.fixture(scope='module')
def train_dir(tmp_path_factory):
    """The tests of this module train on in the same folder, in order."""
    return str(tmp_path_factory.mktemp('train') / 'model')


@pytest.mark.parametrize('victim, how, seed', [
    *[(index, signal.SIGKILL, seed) for seed in range(3) for index in (1, CHIEF)],
    (1, signal.SIGSTOP, 3)])
def test_survivors_end_with_one_message(victim, how, seed, dataset, train_dir):
    rng, before = random.Random(seed), last_step(train_dir)
    workers = start_workers(training_arguments(dataset, train_dir, FOREVER),
                            [sys.executable] * WORKERS)
    reached = workers[CHIEF].read_to_step(before + rng.randint(2, 8))
    time.sleep(rng.uniform(0, 2))
    start = time.monotonic()
    workers[victim].process.send_signal(how)
    for index, worker in enumerate(workers):
        if index != victim:
            code, _, errors = worker.wait(MAX_SECONDS)
            assert code == 1 and len(errors.strip().splitlines()) == 1, (code, errors)
            assert 'step' in errors, errors
            print(f'worker {victim}, {how.name}: worker {index} ended in '
                  f'{time.monotonic() - start:.0f} s\n    {errors.strip()}', flush=True)
    workers[victim].process.kill()
    workers[victim].process.communicate()
    step = last_step(train_dir)
    assert step >= before
    if victim != CHIEF:
        assert step >= reached, f'step {reached} was run, but {step} was saved'


def test_all_workers_end_on_sigterm_to_one(dataset, train_dir):
    workers = start_workers(training_arguments(dataset, train_dir, FOREVER),
                            [sys.executable] * WORKERS)
    workers[CHIEF].read_to_step(last_step(train_dir) + 2)
    workers[-1].process.send_signal(signal.SIGTERM)
    for worker in workers:
        code, _, errors = worker.wait(MAX_SECONDS)
        assert code == 0, errors


def test_killed_worker_is_restarted(dataset, train_dir):
    target = last_step(train_dir) + 40
    launcher = Worker(training_arguments(dataset, train_dir, target, '--workers', '2',
                                         '--on-worker-loss', 'restart'))
    launcher.read_to_step(last_step(train_dir) + 5)
    children = subprocess.run(['pgrep', '-P', str(launcher.process.pid)], text=True,
                              stdout=subprocess.PIPE).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    code, output, errors = launcher.wait(4 * MAX_SECONDS)
    assert code == 0 and last_step(train_dir) == target, errors


@pytest.mark.skipif('OTHER_PYTHON' not in os.environ,
                    reason='needs another TensorFlow: set OTHER_PYTHON')
def test_mixed_versions_are_refused(dataset, train_dir):
    workers = start_workers(training_arguments(dataset, train_dir, FOREVER),
                            [sys.executable, os.environ['OTHER_PYTHON']])
    for worker in workers:
        code, _, errors = worker.wait(2 * MAX_SECONDS)
        assert code == 1 and errors.count('\n') == 1, errors


@pytest.mark.skipif(not os.path.exists(OLD_PYTHON),
                    reason='needs TensorFlow 1.15.5: make bench-1.15 sets it up')
def test_tensorflow_1_reads_the_last_checkpoint(dataset, train_dir):
    compare_with_tensorflow_1(train_dir)
