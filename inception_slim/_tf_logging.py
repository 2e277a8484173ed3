"""Holds back the lines that TensorFlow prints while it is imported, where that is asked for.

TensorFlow writes a few of them before it has read its own setting for them, TF_CPP_MIN_LOG_LEVEL.
Knows nothing of TensorFlow, and is imported before it.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import sys
import tempfile

COMMAND = 'inception-slim'
LEVEL = 'TF_CPP_MIN_LOG_LEVEL'
# Whether the command hushed TensorFlow, and not its user.
silenced = False


def is_command() -> bool:
    """Whether this process is `inception-slim` or `python -m inception_slim`."""
    return (os.path.splitext(os.path.basename(sys.argv[0]))[0] == COMMAND
            or sys.orig_argv[1:3] == ['-m', 'inception_slim'])


def silence_tensorflow() -> None:
    """Has TensorFlow print errors alone, unless the user said what it should print."""
    global silenced
    if LEVEL not in os.environ:
        os.environ[LEVEL] = '3'
        silenced = True


def quiet_requested() -> bool:
    """Whether the user set TF_CPP_MIN_LOG_LEVEL to leave TensorFlow's information out."""
    level = os.environ.get(LEVEL, '0')
    return level.isdigit() and int(level) > 0


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Keeps what is written to standard error, from C++ too; shows it if an error is raised."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            kept.seek(0)
            sys.stderr.write(kept.read().decode(errors='replace'))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
