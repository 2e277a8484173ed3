"""Times the forward pass here, in tf_slim.nets, and in tf.contrib.slim of TensorFlow 1.15.5.

One process each; their steps alternate, so that other load on the machine affects all of them.
TensorFlow 1.15.5 needs Python 3.7; without it that row is omitted, with a message.
"""

import argparse
import os
import statistics
import sys

from tqdm import tqdm

from scripts.benchmarks.worker_process import HERE, Worker
from scripts.tf1_env import OLD_PYTHON, set_up_tensorflow_1_15

WARM_UP = 2  # rounds that are not counted


class Contestant(Worker):
    """A worker that times steps of one network.

    Attributes:
      durations: the counted steps, in seconds.
    """

    def __init__(self, python: str, network: str, argument: int | str,
                 worker: str = 'forward_worker.py'):
        self.durations: list[float] = []
        super().__init__([python, os.path.join(HERE, worker), network, str(argument)])
        self.version = self.facts['version']
        self.name = f'{network} on TensorFlow {self.version}'

    def step(self) -> float:
        return self.request('step')


def time_interleaved(contestants: list[Contestant], rounds: int) -> None:
    """Times steps of all contestants in turn, after `WARM_UP` rounds."""
    for i in tqdm(range(rounds + WARM_UP), unit='round', disable=None):
        for contestant in contestants:
            duration = contestant.step()
            if i >= WARM_UP:
                contestant.durations.append(duration)


def report(contestants: list[Contestant]) -> None:
    """Prints the median of each, and its ratio to the first."""
    reference = statistics.median(contestants[0].durations)
    for contestant in contestants:
        median = statistics.median(contestant.durations)
        print(f'{contestant.name:40} median {median:.3f} sec / batch, '
              f'{median / reference:.2f} times the time of inception_slim')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch-size', type=int, default=32, metavar='N')
    parser.add_argument('--num-batches', type=int, default=15, metavar='N',
                        help=f'counted steps of each, after {WARM_UP} others (%(default)s)')
    arguments = parser.parse_args()
    if arguments.batch_size < 1 or arguments.num_batches < 1:
        parser.error('--batch-size and --num-batches must be at least 1')
    return arguments


def main() -> int:
    arguments = parse_arguments()
    networks = [(sys.executable, 'inception_slim'), (sys.executable, 'tf_slim.nets')]
    if set_up_tensorflow_1_15():
        networks.append((OLD_PYTHON, 'tf.contrib.slim'))
    contestants = [Contestant(*network, arguments.batch_size) for network in networks]
    time_interleaved(contestants, arguments.num_batches)
    print(f'Forward pass of {arguments.batch_size} images of 299x299, '
          f'{arguments.num_batches} interleaved steps')
    report(contestants)
    return 0


if __name__ == '__main__':
    sys.exit(main())
