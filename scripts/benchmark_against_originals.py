"""Times the forward pass beside TensorFlow 1.15.5's tf.contrib.slim and tf-slim's own network.

One process each, asked for one step in turn, so that a busy machine is busy for all of them.
TensorFlow 1.15.5 needs a Python 3.7; where none is found, that row is left out, and said so.
"""

import argparse
import os
import statistics
import subprocess
import sys

from tqdm import tqdm

HERE = os.path.dirname(os.path.abspath(__file__))
OLD = os.path.join(os.path.dirname(HERE), '.venv-1.15')
OLD_PYTHON = os.path.join(OLD, 'bin', 'python')
OLD_PACKAGES = ('tensorflow==1.15.5', 'protobuf<3.21', 'numpy<1.19')


def runs_python_3_7(command: list[str]) -> bool:
    code = 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))'
    try:
        return subprocess.run([*command, '-c', code], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def find_python_3_7() -> list[str] | None:
    """The command of a Python 3.7: on the path, or kept by pyenv, or by uv."""
    candidates = [['python3.7']]
    try:
        versions = subprocess.run(['pyenv', 'prefix', '3.7'], capture_output=True, text=True)
        candidates += [[os.path.join(line, 'bin', 'python')]
                       for line in versions.stdout.splitlines()]
    except OSError:
        pass
    return next((each for each in candidates if runs_python_3_7(each)), None)


def set_up_tensorflow_1_15() -> bool:
    """Makes the environment of TensorFlow 1.15.5, if that can be done and was not done before."""
    installed = os.path.join(OLD, 'installed')
    if os.path.exists(installed):
        return True
    python = find_python_3_7()
    if python is None:
        print('No Python 3.7 was found, so TensorFlow 1.15.5 is left out; put one on the path, or '
              'install it with pyenv, to compare with it.')
        return False
    print('Setting up .venv-1.15 with TensorFlow 1.15.5 (once, a few minutes)', flush=True)
    subprocess.run([*python, '-m', 'venv', '--clear', OLD], check=True)
    subprocess.run([OLD_PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                    *OLD_PACKAGES], check=True)
    open(installed, 'w').close()
    return True


class Contestant:
    """A process that times one network, in the way that its worker does."""

    def __init__(self, python: str, network: str, batch_size: int,
                 worker: str = 'forward_worker.py'):
        self.durations = []
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, worker), network, str(batch_size)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.name = f'{network} on TensorFlow {self.answer()}'

    def answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f'{" ".join(self.process.args)} stopped before it answered; '
                             'run it to see why.')
        return line.strip()

    def step(self) -> float:
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return float(self.answer())


def time_in_turns(contestants: list[Contestant], rounds: int) -> None:
    """Steps of each, in turn; two rounds that do not count come first."""
    for i in tqdm(range(rounds + 2), unit='round', disable=None):
        for contestant in contestants:
            duration = contestant.step()
            if i >= 2:
                contestant.durations.append(duration)


def report(contestants: list[Contestant]) -> None:
    """The median of each, and its ratio to that of the first."""
    ours = statistics.median(contestants[0].durations)
    for contestant in contestants:
        median = statistics.median(contestant.durations)
        print(f'{contestant.name:40} median {median:.3f} sec / batch, '
              f'{median / ours:.2f} times the time of inception_slim')


def parse_arguments(description: str, batch_size: int, num_batches: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--batch-size', type=int, default=batch_size, metavar='N')
    parser.add_argument('--num-batches', type=int, default=num_batches, metavar='N',
                        help='steps of each that count, after two that do not (%(default)s)')
    arguments = parser.parse_args()
    if arguments.batch_size < 1 or arguments.num_batches < 1:
        parser.error('--batch-size and --num-batches must be at least 1')
    return arguments


def main() -> int:
    arguments = parse_arguments(__doc__.splitlines()[0], 32, 15)
    wanted = [(sys.executable, 'inception_slim'), (sys.executable, 'tf_slim.nets')]
    if set_up_tensorflow_1_15():
        wanted.append((OLD_PYTHON, 'tf.contrib.slim'))
    contestants = [Contestant(*each, arguments.batch_size) for each in wanted]
    time_in_turns(contestants, arguments.num_batches)
    print(f'Forward pass of {arguments.batch_size} images of 299x299, '
          f'{arguments.num_batches} interleaved steps')
    report(contestants)
    return 0


if __name__ == '__main__':
    sys.exit(main())
