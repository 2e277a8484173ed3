"""A contestant's process as the one that asks sees it, and which contestants were asked for."""

import argparse
from collections.abc import Callable, Collection
import os
import signal
import subprocess
import tempfile


class Process:
    """A worker that answers a line for each line it is given.

    Attributes:
      process: what was started.
      errors: the file that its errors go to.
    """

    def __init__(self, command: list[str], cores: set[int] | None = None,
                 environment: dict[str, str] | None = None):
        self.errors = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True,
                                        env={**os.environ, **(environment or {})})
        if cores:
            os.sched_setaffinity(self.process.pid, cores)

    def send(self, question: str) -> None:
        """Asks; that a process has ended, and why, is found where its answer is read."""
        try:
            self.process.stdin.write(question + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def why_it_ended(self) -> str:
        """Of a process that said nothing itself: its signal, or the last line of its errors."""
        status = self.process.wait()
        if status < 0:
            hint = ', as where memory runs out' if -status == signal.SIGKILL else ''
            return f'it was killed by {signal.Signals(-status).name}{hint}'
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines() or ['it said nothing']
        return f'it ended with status {status}: {lines[-1]}'

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def add_only(parser: argparse.ArgumentParser, known: Collection[str],
             reference: str) -> Callable[[argparse.Namespace], list[str]]:
    """Adds `--only`; what is returned says which contestants were asked for, and the reference."""
    parser.add_argument('--only', metavar='NAME,...',
                        help=f'of these contestants alone: {", ".join(known)}')

    def chosen(arguments: argparse.Namespace) -> list[str]:
        if not arguments.only:
            return list(known)
        wanted = arguments.only.split(',')
        unknown = [name for name in wanted if name not in known]
        if unknown:
            parser.error(f'--only: there is no contestant {unknown[0]!r}')
        return [name for name in known if name in wanted or name == reference]

    return chosen
