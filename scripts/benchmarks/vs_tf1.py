"""Times the forward pass beside TensorFlow 1.15.5's tf.contrib.slim and tf-slim's own network.

One process each, asked for one step in turn, so that a busy machine is busy for all of them.
TensorFlow 1.15.5 needs a Python 3.7; where none is found, that row is left out, and said so.
"""

import argparse
import os
import statistics
import sys

from tqdm import tqdm

from scripts.benchmarks.worker_process import Process
from scripts.tf1_env import OLD_PYTHON, set_up_tensorflow_1_15

HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(SystemExit):
    """A contestant ended before it answered; the message says why."""


class Contestant(Process):
    """A process that times one network, in the way that its worker does."""

    def __init__(self, python: str, network: str, batch_size: int,
                 worker: str = 'forward_worker.py'):
        self.durations: list[float] = []
        super().__init__([python, os.path.join(HERE, worker), network, str(batch_size)])
        self.version = self.answer()
        self.name = f'{network} on TensorFlow {self.version}'

    def answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f'{" ".join(self.process.args)} stopped before it answered: '
                         + self.why_it_ended())
        return line.strip()

    def ask(self, question: str) -> float:
        self.send(question)
        return float(self.answer())

    def step(self) -> float:
        return self.ask('')


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
