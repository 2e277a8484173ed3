"""Several workers on this machine, each a process of its own with its share of the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, Any

from inception_slim.errors import TrainingError
from inception_slim.training.tf_config import make_tf_config

_AGAIN = 1.0  # seconds before a worker that was lost is started again
_GRACE = 60.0  # seconds for the others to end by themselves, once one has failed


def launch(command: Sequence[str], count: int, *, restart: bool = False,
           say: Callable[[str], None] | None = None) -> int:
    """Runs a command as `count` workers; the chief's streams are this process's own.

    What the other workers print goes to standard error, each line after the worker's name. SIGINT
    and SIGTERM are handed on.

    Args:
      command: and its arguments, in the form of `subprocess.Popen`.
      count: workers, at least 1.
      restart: start a worker again that a signal ended.
      say: called with a line where a worker is started again.

    Returns:
      The exit code of the first worker that failed; 0 if none did.

    Raises:
      TrainingError: the command cannot be started.
    """
    addresses = [f'127.0.0.1:{port}' for port in free_ports(count)]
    shares = partition_cores(count)
    stopping = threading.Event()

    def start(index: int) -> subprocess.Popen:
        own: dict[str, Any] = {} if index == 0 else {
            'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT,
            'text': True, 'errors': 'replace'}
        try:
            # A group of its own, so that Ctrl-C reaches it once: from here.
            process = subprocess.Popen(
                command,
                start_new_session=True,
                env={**os.environ, 'TF_CONFIG': make_tf_config(addresses, index)},
                **own,
            )
        except OSError as error:
            raise TrainingError(f'{command[0]} cannot be started: {error.strerror}.') from None
        if shares:
            os.sched_setaffinity(process.pid, shares[index])
        if process.stdout:
            threading.Thread(target=_hand_on, args=[process.stdout, index], daemon=True).start()
        return process

    running: dict[int, subprocess.Popen] = {}

    def hand_on_signal(number, frame):
        stopping.set()
        for process in running.values():
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, hand_on_signal)
              for number in (signal.SIGINT, signal.SIGTERM)}
    failed, until = 0, None
    try:
        for index in range(count):
            running[index] = start(index)
        while running:
            time.sleep(0.1)
            for index, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[index]
                if code < 0 and restart and not stopping.is_set():
                    if say:
                        say(f'worker {index} was ended by {signal.Signals(-code).name}; '
                            'starting it again')
                    time.sleep(_AGAIN)
                    running[index] = start(index)
                elif code and not failed:
                    failed = code if code > 0 else 128 - code
                    until = time.monotonic() + _GRACE
            if until is not None and time.monotonic() > until:
                for process in running.values():
                    process.kill()
    finally:
        for process in running.values():
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    return failed


def _hand_on(lines: IO[str], index: int) -> None:
    for line in lines:
        print(f'worker {index}: {line.rstrip()}', file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on; held all at once, so that none is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(('', 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def partition_cores(count: int) -> list[set[int]]:
    """The cores of each worker, no core twice; none where that cannot be."""
    if not hasattr(os, 'sched_getaffinity'):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        return []
    return [set(cores[len(cores) * index // count:len(cores) * (index + 1) // count])
            for index in range(count)]
