"""A contestant's side of taking turns; runs on Python 3.7 too.

From its import on, the answers have the standard output to themselves; what libraries print goes
where errors go.
"""

import os
import resource
import sys
import time

answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)


def take_turns(version, run):
    """Prints the version when all is ready; then an answer for each line read.

    To `memory`, the most memory that the process had, in MiB; to any other, the seconds of a run.
    """
    answer(version)
    for line in sys.stdin:
        if line.strip() == 'memory':
            answer(peak_memory())
        else:
            start = time.time()
            run()
            answer(time.time() - start)


def answer(value):
    answers.write(f'{value}\n')
    answers.flush()


def peak_memory():
    """In MiB. What getrusage says counts the process that this one was started from."""
    try:
        with open('/proc/self/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM:')) / 2**10
    except OSError:
        unit = 2**20 if sys.platform == 'darwin' else 2**10  # of bytes there, of KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / float(unit)
