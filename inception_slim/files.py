"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from inception_slim.errors import DatasetError


def check_file(path: str) -> None:
    """Raises if no file can be at a path: before hours of work, not after them."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise DatasetError(f'There is no folder {folder} to write to; make it first.')
    if os.path.isdir(path):
        raise DatasetError(f'{path} is a folder; give the name of a file to write.')


@contextmanager
def written(path: str) -> Iterator[BinaryIO]:
    """A binary file that takes its place, whole, when all has been written."""
    folder, name = os.path.split(os.path.abspath(path))
    scratch = None
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=f'.{name}.', dir=folder)
        with os.fdopen(descriptor, 'wb') as file:
            yield file
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except OSError as error:
        raise DatasetError(f'{path} cannot be written: {error.strerror or error}.') from None
    finally:
        if scratch and os.path.exists(scratch):
            os.remove(scratch)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
