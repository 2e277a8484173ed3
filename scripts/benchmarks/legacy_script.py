"""Times the unmodified example script of 2017 compared with the same graph, in one run.

The script (tests/acceptance/legacy_scripts/inception_v3_listing.py) runs by `inception-slim run`;
the graph is that of `make bench`. One process each; their steps alternate. With --with-1.15 the
script runs on TensorFlow 1.15.5 too.

Prints the output of the script, and the ratio of the medians.
"""

import argparse
import os
import statistics
import sys
import tempfile

from scripts.benchmarks.vs_tf1 import WARM_UP, Contestant, time_interleaved
from scripts.tf1_env import OLD_PYTHON, ROOT, set_up_tensorflow_1_15

SCRIPT = os.path.join(ROOT, 'tests', 'acceptance', 'legacy_scripts', 'inception_v3_listing.py')
BATCH_SIZE = 32
STEPS = 110  # of the script, which counts the last hundred


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--num-batches', type=int, default=STEPS - WARM_UP, metavar='N',
                        help=f'counted steps of each, after {WARM_UP} others; with fewer than all '
                             'the script is stopped early (default: %(default)s)')
    parser.add_argument('--with-1.15', dest='with_1_15', action='store_true',
                        help='run the script on TensorFlow 1.15.5 too')
    arguments = parser.parse_args()
    if not 1 <= arguments.num_batches <= STEPS - WARM_UP:
        parser.error(f'--num-batches must be 1 to {STEPS - WARM_UP}, the steps of the script')
    return arguments


def start_script(python: str, output: str) -> Contestant:
    contestant = Contestant(python, SCRIPT, output, 'legacy_script_worker.py')
    contestant.name = f'the script on TensorFlow {contestant.version}'
    return contestant


def main() -> int:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, 'output')
        contestants = [Contestant(sys.executable, 'inception_slim', BATCH_SIZE),
                       start_script(sys.executable, output)]
        if arguments.with_1_15 and set_up_tensorflow_1_15():
            contestants.append(start_script(OLD_PYTHON, os.devnull))
        time_interleaved(contestants, arguments.num_batches)
        for contestant in contestants:
            contestant.close()
        with open(output) as file:
            sys.stdout.write(file.read())
    medians = [statistics.median(contestant.durations) for contestant in contestants]
    for contestant, median in zip(contestants, medians):
        print(f'{contestant.name:36} median {median:.3f} sec / batch of {BATCH_SIZE}, '
              f'{medians[0] / median:.3f} times as fast')
    return 0


if __name__ == '__main__':
    sys.exit(main())
