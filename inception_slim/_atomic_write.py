"""Atomic writing of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import tempfile
from typing import BinaryIO

from inception_slim.errors import DatasetError, InceptionSlimError


def check_writable(path: str, error: type[InceptionSlimError] = DatasetError) -> None:
    """Raises `error` if no file can be written to `path`; call it before long work."""
    check_parent_folder(path, error)
    if os.path.isdir(path):
        raise error(f'{path} is a folder; give the name of a file to write.')


def check_parent_folder(path: str, error: type[InceptionSlimError] = DatasetError) -> None:
    """Raises `error` if the folder that `path` would be written to does not exist."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise error(f'There is no folder {folder} to write to; make it first.')


@contextmanager
def atomic_write(path: str, error: type[InceptionSlimError] = DatasetError) -> Iterator[BinaryIO]:
    """Opens a binary file that replaces `path` only when the `with` block ends without an error.

    Raises:
      error: the file cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(path))
    scratch = None
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            # A device or a pipe, such as /dev/stdout, is not to be replaced.
            with open(path, 'wb') as file:
                yield file
            return
        descriptor, scratch = tempfile.mkstemp(prefix=f'.{name}.', dir=folder)
        with os.fdopen(descriptor, 'wb') as file:
            yield file
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except OSError as cause:
        raise error(f'{path} cannot be written: {cause.strerror or cause}.') from None
    finally:
        if scratch and os.path.exists(scratch):
            os.remove(scratch)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
