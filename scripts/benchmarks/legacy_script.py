"""Times the listing of 2017, as it is, beside the graph of `make bench`, in one run.

The listing is a script of TensorFlow 1 (tests/acceptance/legacy_scripts/inception_v3_listing.py), run by
`inception-slim run`; the graph is the one that scripts/benchmarks/forward.py builds. One process
each, asked for one step in turn, so that a busy machine is busy for both. With --with-1.15 the
listing runs on TensorFlow 1.15.5 as well, by its own Python.

Prints the listing's own lines, and the ratio of the medians: how fast the listing is beside the
graph.
"""

import argparse
import os
import statistics
import sys
import tempfile

from scripts.benchmarks.vs_tf1 import Contestant, time_in_turns
from scripts.tf1_env import OLD_PYTHON, ROOT, set_up_tensorflow_1_15

LISTING = os.path.join(ROOT, 'tests', 'acceptance', 'legacy_scripts', 'inception_v3_listing.py')
BATCH_SIZE = 32
# What the listing runs, of which it counts the last hundred.
STEPS = 110


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--num-batches', type=int, default=STEPS - 2, metavar='N',
                        help='steps of each that count, after two that do not; with fewer than '
                             'all, the listing is stopped on its way (default: %(default)s)')
    parser.add_argument('--with-1.15', dest='with_1_15', action='store_true',
                        help='run the listing on TensorFlow 1.15.5 too')
    arguments = parser.parse_args()
    if not 1 <= arguments.num_batches <= STEPS - 2:
        parser.error(f'--num-batches must be 1 to {STEPS - 2}, the steps of the listing')
    return arguments


def main() -> int:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        printed = os.path.join(folder, 'printed')
        contestants = [
            Contestant(sys.executable, 'inception_slim', BATCH_SIZE),
            Contestant(sys.executable, LISTING, printed, 'legacy_script_worker.py')]
        contestants[1].name = f'the listing on {contestants[1].name.rsplit(" on ")[-1]}'
        if arguments.with_1_15 and set_up_tensorflow_1_15():
            contestants.append(
                Contestant(OLD_PYTHON, LISTING, os.devnull, 'legacy_script_worker.py')
            )
            contestants[2].name = f'the listing on {contestants[2].name.rsplit(" on ")[-1]}'
        time_in_turns(contestants, arguments.num_batches)
        for contestant in contestants:
            # The listing goes on by itself once it has run what it runs.
            contestant.process.stdin.close()
            contestant.process.wait()
        with open(printed) as file:
            sys.stdout.write(file.read())
    medians = [statistics.median(each.durations) for each in contestants]
    for contestant, median in zip(contestants, medians):
        print(f'{contestant.name:36} median {median:.3f} sec / batch of {BATCH_SIZE}, '
              f'{medians[0] / median:.3f} times as fast')
    return 0


if __name__ == '__main__':
    sys.exit(main())
