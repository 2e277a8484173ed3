"""The client's side of the benchmark protocol: worker processes, and the option `--only`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
import json
import os
import signal
import subprocess
import tempfile
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))


class WorkerFailed(RuntimeError):
    """A worker ended before it replied; the message has the reason."""


class Worker:
    """A worker process (see `worker_protocol`), started and ready.

    Attributes:
      process: the process.
      facts: what the worker printed when it was ready.
    """

    def __init__(self, command: list[str], cores: set[int] | None = None,
                 environment: dict[str, str] | None = None, wait: bool = True):
        """Starts the process; without `wait`, call `read_facts` before the first request."""
        self._errors = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self._errors, text=True,
                                        env={**os.environ, **(environment or {})})
        if cores:
            os.sched_setaffinity(self.process.pid, cores)
        self.facts: dict[str, Any] = {}
        if wait:
            self.read_facts()

    def read_facts(self) -> None:
        self.facts = self.receive()

    def send(self, command: str) -> None:
        try:
            self.process.stdin.write(command + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `receive` reports why the process ended

    def receive(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise WorkerFailed(self._failure())
        return json.loads(line)

    def request(self, command: str) -> Any:
        """Sends a command and returns the reply.

        Raises:
          WorkerFailed: the process ended.
        """
        self.send(command)
        return self.receive()

    def _failure(self) -> str:
        """The signal that ended the process, or its status and the last line of its errors."""
        status = self.process.wait()
        if status < 0:
            hint = ' (perhaps out of memory)' if -status == signal.SIGKILL else ''
            return f'killed by {signal.Signals(-status).name}{hint}'
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ['no error message']
        return f'ended with status {status}: {lines[-1]}'

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def add_only(parser: argparse.ArgumentParser, names: Collection[str],
             reference: str) -> Callable[[argparse.Namespace], list[str]]:
    """Adds `--only`; returns a function that gives the selected names and the reference."""
    parser.add_argument('--only', metavar='NAME,...',
                        help=f'only these of {", ".join(names)}')

    def select(arguments: argparse.Namespace) -> list[str]:
        if not arguments.only:
            return list(names)
        selected = arguments.only.split(',')
        unknown = [name for name in selected if name not in names]
        if unknown:
            parser.error(f'--only: there is no contestant {unknown[0]!r}')
        return [name for name in names if name in selected or name == reference]

    return select
