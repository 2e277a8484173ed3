"""The worker's side of the benchmark protocol; runs on Python 3.7 too.

A worker prints one line of JSON when it is ready, then one line for each line of its input, which
is a command and its arguments; it ends with its input. Standard output belongs to the protocol from
the import of this module on: what libraries print goes to standard error.
"""

import json
import os
import sys
import time

from peak_memory import peak_memory

_output = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)


def serve(facts, **commands):
    """Prints `facts` and then the result of each command that is read.

    Args:
      facts: a dict that describes the worker.
      commands: functions by the name of the command; they take its arguments as strings. The
        command `memory` returns the peak memory of the process in MiB.
    """
    reply(facts)
    for line in sys.stdin:
        words = line.split()
        reply(peak_memory() if words[0] == 'memory' else commands[words[0]](*words[1:]))


def serve_steps(version, run):
    """Serves the command `step`, which runs `run` once and returns its duration in seconds."""
    def step():
        start = time.time()
        run()
        return time.time() - start

    serve({'version': version}, step=step)


def reply(value):
    _output.write(json.dumps(value) + '\n')
    _output.flush()
