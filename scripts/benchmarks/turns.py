"""A contestant's side of taking turns; runs on Python 3.7 too."""

import sys
import time


def take_turns(version, run):
    """Prints the version when all is ready; then, for each line read, the seconds of a run."""
    print(version)
    sys.stdout.flush()
    for _ in sys.stdin:
        start = time.time()
        run()
        print(time.time() - start)
        sys.stdout.flush()
