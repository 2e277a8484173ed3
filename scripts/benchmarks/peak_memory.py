"""The peak memory of a process; runs on Python 3.7 too."""

import resource
import sys


def peak_memory():
    """The peak memory of this process in MiB."""
    try:
        with open('/proc/self/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM:')) / 2**10
    except OSError:
        # On Linux this would count the parent process too.
        unit = 2**20 if sys.platform == 'darwin' else 2**10  # bytes on macOS, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / float(unit)
