"""Suppresses the lines that TensorFlow prints while it is imported.

TensorFlow writes a few of them before it reads TF_CPP_MIN_LOG_LEVEL, its own setting for them. The
command line and scripts call this module before they import TensorFlow; the library never does.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import sys
import tempfile

COMMAND = 'inception-slim'
LEVEL = 'TF_CPP_MIN_LOG_LEVEL'
# Whether `silence_tensorflow` set TF_CPP_MIN_LOG_LEVEL, rather than the user.
silenced = False


def is_command() -> bool:
    """Whether this process is `inception-slim` or `python -m inception_slim`."""
    return (os.path.splitext(os.path.basename(sys.argv[0]))[0] == COMMAND
            or sys.orig_argv[1:3] == ['-m', 'inception_slim'])


def silence_tensorflow() -> None:
    """Makes TensorFlow print errors only, unless the user set TF_CPP_MIN_LOG_LEVEL."""
    global silenced
    if LEVEL not in os.environ:
        os.environ[LEVEL] = '3'
        silenced = True


def quiet_requested() -> bool:
    """Whether TF_CPP_MIN_LOG_LEVEL is set to suppress TensorFlow's information."""
    level = os.environ.get(LEVEL, '0')
    return level.isdigit() and int(level) > 0


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its start-up lines, unless TF_CPP_MIN_LOG_LEVEL asks for them."""
    silence_tensorflow()
    with suppress_stderr() if quiet_requested() else contextlib.nullcontext():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Captures standard error, also from C++; prints it if an exception is raised."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            captured.seek(0)
            sys.stderr.write(captured.read().decode(errors='replace'))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
