"""Files that are elsewhere, by fsspec: `s3://`, `gs://`, `hdfs://`, `memory://` and the like."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from inception_slim.errors import DatasetError, InceptionSlimError


def open_filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise DatasetError(f'{url} needs fsspec; pip install "inception_slim[bulk]", or give a '
                           'path of this machine.') from None
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:  # which package it lacks
        raise DatasetError(f'{url} cannot be opened: {_sentence(error)}.') from None
    except Exception as error:
        raise DatasetError(f'{url} cannot be opened: {_sentence(error)}; give a URL that fsspec '
                           'knows.') from None


def read(url: str) -> bytes:
    """All of a file.

    Raises:
      FileNotFoundError: it is not there.
      DatasetError: it cannot be read, which says nothing of the image in it.
    """
    opened, path = open_filesystem(url)
    with wrap_io_errors(url, missing=False):
        return opened.cat_file(path)


@contextlib.contextmanager
def wrap_io_errors(url: str, done: str = 'read', missing: bool = True) -> Iterator[None]:
    """Inside, what a store fails with is raised as a DatasetError: each has errors of its own.

    Args:
      missing: whether this goes for a file that is not there as well.
    """
    try:
        yield
    except InceptionSlimError:
        raise
    except FileNotFoundError:
        if not missing:
            raise
        raise DatasetError(f'{url} does not exist.') from None
    except Exception as error:
        raise DatasetError(f'{url} cannot be {done}: {_sentence(error)}.') from None


def _sentence(error: Exception) -> str:
    text = str(getattr(error, 'strerror', None) or error) or type(error).__name__
    return text.splitlines()[0].rstrip('.')
