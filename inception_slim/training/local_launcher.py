"""Launches several workers on this machine, each a process with its share of the cores."""

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

from inception_slim.errors import TrainingError, printable
from inception_slim.training.tf_config import make_tf_config

_RESTART_DELAY = 1.0  # seconds
_GRACE = 60.0  # seconds for the other workers to exit after one has failed


def launch(command: Sequence[str], count: int, *, restart: bool = False,
           log: Callable[[str], None] | None = None) -> int:
    """Runs a command as `count` workers; the chief inherits this process's standard streams.

    The output of the other workers goes to standard error, each line prefixed with the worker's
    name. SIGINT and SIGTERM are forwarded to all workers.

    Args:
      command: the command and its arguments.
      count: number of workers, at least 1.
      restart: restart a worker that was killed by a signal, or that ended itself because
        TensorFlow did not return after the loss of another worker.
      log: called with a line when a worker is restarted.

    Returns:
      The exit code of the first worker that failed; 0 if none did.

    Raises:
      TrainingError: the command cannot be started.
    """
    from inception_slim.training.worker_monitor import EXIT_STUCK
    addresses = [f'127.0.0.1:{port}' for port in free_ports(count)]
    cores = partition_cores(count)
    stopping = threading.Event()

    def start(index: int) -> subprocess.Popen:
        streams: dict[str, Any] = {} if index == 0 else {
            'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT,
            'text': True, 'errors': 'replace'}
        try:
            # In its own process group, so that it receives Ctrl-C only once: from this process.
            process = subprocess.Popen(
                command,
                start_new_session=True,
                env={**os.environ, 'TF_CONFIG': make_tf_config(addresses, index)},
                **streams,
            )
        except OSError as error:
            raise TrainingError(f'{command[0]} cannot be started: {error.strerror}.') from None
        if cores:
            os.sched_setaffinity(process.pid, cores[index])
        if process.stdout:
            thread = threading.Thread(target=_forward_output, args=[process.stdout, index],
                                      daemon=True)
            thread.start()
            output_threads.append(thread)
        return process

    processes: dict[int, subprocess.Popen] = {}
    output_threads: list[threading.Thread] = []

    def forward_signal(number: int, frame: Any) -> None:
        stopping.set()
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(number)

    previous = {number: signal.signal(number, forward_signal)
                for number in (signal.SIGINT, signal.SIGTERM)}
    exit_code, deadline = 0, None
    try:
        for index in range(count):
            processes[index] = start(index)
        while processes:
            time.sleep(0.1)
            for index, process in list(processes.items()):
                code = process.poll()
                if code is None:
                    continue
                del processes[index]
                if restart and (code < 0 or code == EXIT_STUCK) and not stopping.is_set():
                    if log:
                        reason = (f'was killed by {signal.Signals(-code).name}' if code < 0
                                  else 'ended itself')
                        log(f'worker {index} {reason}; restarting it')
                    time.sleep(_RESTART_DELAY)
                    processes[index] = start(index)
                elif code and not exit_code:
                    exit_code = code if code > 0 else 128 - code
                    deadline = time.monotonic() + _GRACE
            if deadline is not None and time.monotonic() > deadline:
                for process in processes.values():
                    process.kill()
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        for thread in output_threads:
            thread.join(timeout=1.0)  # a process that a worker started may keep its output open
        for number, handler in previous.items():
            signal.signal(number, handler)
    return exit_code


def _forward_output(lines: IO[str], index: int) -> None:
    for line in lines:
        print(f'worker {index}: {printable(line.rstrip())}', file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    """Returns distinct ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:  # all open at once, so that no port is returned twice
            item.bind(('', 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def partition_cores(count: int) -> list[set[int]]:
    """Divides the available cores among `count` workers; empty if there are fewer cores."""
    if not hasattr(os, 'sched_getaffinity'):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        return []
    return [set(cores[len(cores) * index // count:len(cores) * (index + 1) // count])
            for index in range(count)]
