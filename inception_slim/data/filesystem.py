"""Files of datasets and of `bulk`: local paths, and URLs such as `gs://bucket/folder`.

Local paths go to the operating system and URLs to fsspec. Without fsspec, or without its package
for the URL's scheme, `tf.io.gfile` opens the schemes that TensorFlow supports. Only TFRecords in
tf.data pipelines are read by TensorFlow itself, see `check_tensorflow_reads`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
from typing import IO, Any
import warnings

from inception_slim._optional import require
from inception_slim._special_files import check_regular
from inception_slim.errors import DatasetError, InceptionSlimError, error_summary


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is a URL."""
    return '://' in os.fsdecode(path)


def exists(path: str) -> bool:
    """Whether a file or folder exists."""
    if not is_remote(path):
        return os.path.exists(path)
    return _file_type(path) is not None


def is_dir(path: str) -> bool:
    """Whether a folder exists."""
    return _file_type(path) == 'directory' if is_remote(path) else os.path.isdir(path)


def is_file(path: str) -> bool:
    """Whether a file exists that is not a folder."""
    return _file_type(path) == 'file' if is_remote(path) else os.path.isfile(path)


def _file_type(url: str) -> str | None:
    """Returns 'file' or 'directory', or None if there is neither."""
    opened = _find_filesystem(url)
    if opened is None:
        if _call_gfile(url, 'isdir'):
            return 'directory'
        return 'file' if _call_gfile(url, 'exists') else None
    filesystem, path = opened
    with wrap_io_errors(url, missing=False):
        # Not `exists`, which is also False if the storage does not respond.
        try:
            return 'directory' if filesystem.info(path)['type'] == 'directory' else 'file'
        except FileNotFoundError:
            return None


def size(path: str) -> int:
    """Returns the size of a file in bytes."""
    with wrap_io_errors(path):
        if not is_remote(path):
            return os.path.getsize(path)
        opened = _find_filesystem(path)
        if opened is None:
            return _call_gfile(path, 'stat').length
        filesystem, inner = opened
        return filesystem.size(inner)


def listdir(folder: str) -> list[str]:
    """Lists the names in a folder."""
    with wrap_io_errors(folder):
        if not is_remote(folder):
            return os.listdir(folder)
        opened = _find_filesystem(folder)
        if opened is None:
            # Object stores mark folders by a slash at the end.
            return [name.rstrip('/') for name in _call_gfile(folder, 'listdir')]
        filesystem, inner = opened
        filesystem.invalidate_cache()
        paths = [path.rstrip('/') for path in filesystem.ls(inner, detail=False)]
        # Object stores may list the folder itself.
        return [path.rsplit('/', 1)[-1] for path in paths if path != inner.rstrip('/')]


def list_visible(folder: str) -> list[str]:
    """Lists the names in a folder that do not start with a dot, sorted."""
    return sorted(name for name in listdir(folder) if not name.startswith('.'))


def walk(root: str) -> Iterator[tuple[str, list[str]]]:
    """Yields a local folder and each visible folder in it, with the sorted names of its files.

    Links to folders are followed after the folders that are no links. Each folder is visited once,
    also if several links lead to it, or if a link leads to a folder that it is in.

    Raises:
      DatasetError: a folder cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    links = [root]
    for start in links:  # which grows
        folders = [start]
        while folders:
            folder = folders.pop()
            names, subfolders = [], []
            with wrap_io_errors(folder):
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as entries:
                    for entry in entries:
                        is_link = entry.is_symlink()
                        if entry.name.startswith('.'):
                            continue
                        # `entry.is_dir` raises an error for a link to itself.
                        if os.path.isdir(entry.path) if is_link else entry.is_dir():
                            subfolders.append((entry.path, is_link))
                        else:
                            names.append(entry.name)
            yield folder, sorted(names)
            subfolders.sort()
            links += [path for path, is_link in subfolders if is_link]
            folders += [path for path, is_link in reversed(subfolders) if not is_link]


def walk_remote(url: str) -> Iterator[tuple[str, int | None]]:
    """Yields the URL and the size of each visible file in a remote folder, at any depth.

    The files of a folder are sorted and come before those of the folders in it.

    Raises:
      DatasetError: fsspec cannot open it, or a folder cannot be read.
    """
    filesystem, root = open_filesystem(url)
    with wrap_io_errors(url):
        yield from _walk_remote(filesystem, root)


def _walk_remote(filesystem: Any, folder: str) -> Iterator[tuple[str, int | None]]:
    entries = sorted((entry['name'], entry['type'], entry.get('size'))
                     for entry in filesystem.ls(folder, detail=True)
                     # Object stores may list the folder itself.
                     if entry['name'].rstrip('/') != folder.rstrip('/'))
    filesystem.invalidate_cache()  # which would hold the whole tree
    visible = [entry for entry in entries
               if not entry[0].rstrip('/').rsplit('/', 1)[-1].startswith('.')]
    for path, entry_type, size in visible:
        if entry_type != 'directory':
            yield filesystem.unstrip_protocol(path), size
    for path, entry_type, _ in visible:
        if entry_type == 'directory':
            yield from _walk_remote(filesystem, path)


def warn_of_broken_link(path: str) -> None:
    """Warns if a local path, which is left out of a listing, is a link to nothing."""
    if os.path.islink(path) and not os.path.exists(path):
        warnings.warn(f'{path} is left out: it is a link to {os.readlink(path)}, which does not '
                      'exist.', stacklevel=2)


def open_binary(path: str) -> IO[bytes]:
    """Opens a file for reading; wrap the reads in `wrap_io_errors`.

    An open descriptor, such as `/dev/stdin`, can be read once, from its beginning to its end.

    Raises:
      DatasetError: it does not exist or cannot be opened, or is a named pipe, a socket or a device.
    """
    with wrap_io_errors(path):
        if not is_remote(path):
            check_regular(path, DatasetError, allow_stream=True)
            return open(path, 'rb')
        opened = _find_filesystem(path)
        if opened is None:
            file = _call_gfile(path, 'GFile', 'rb')
            file.size()  # which opens it
            return file
        filesystem, inner = opened
        return filesystem.open(inner, 'rb')


def open_filesystem(url: str) -> tuple[Any, str]:
    """Returns the fsspec file system of a URL, and the path in it.

    Raises:
      DatasetError: fsspec, or its package for the URL's scheme, is missing or fails.
    """
    fsspec = require('fsspec', f'Opening {url}', DatasetError, extra='bulk')
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:  # which names the missing package
        raise DatasetError(f'{url} cannot be opened: {error_summary(error)}.') from None
    except Exception as error:
        raise DatasetError(f'{url} cannot be opened: {error_summary(error)}; give a URL that '
                           'fsspec supports.') from None


def read_url(url: str) -> bytes:
    """Reads a file.

    Raises:
      FileNotFoundError: it does not exist.
      DatasetError: it cannot be read because the storage fails.
    """
    filesystem, path = open_filesystem(url)
    with wrap_io_errors(url, missing=False):
        return filesystem.cat_file(path)


def check_tensorflow_reads(path: str) -> None:
    """Raises a DatasetError if tf.data cannot read a path because of the scheme of its URL."""
    if is_remote(path):
        _call_gfile(path, 'exists')


@contextlib.contextmanager
def wrap_io_errors(path: str, action: str = 'read', missing: bool = True) -> Iterator[None]:
    """Reraises any error of a file system, except this package's own, as a DatasetError.

    Args:
      path: the file or folder, for the message.
      action: what failed, a participle such as 'read' or 'written', for the message.
      missing: wrap a FileNotFoundError too.
    """
    try:
        yield
    except (InceptionSlimError, MemoryError):
        raise
    except FileNotFoundError:
        if not missing:
            raise
        raise DatasetError(f'{path} does not exist.') from None
    except Exception as error:
        raise DatasetError(f'{path} cannot be {action}: {error_summary(error)}.') from None


def _find_filesystem(url: str) -> tuple[Any, str] | None:
    """Returns the file system of a URL and the path in it; None leaves it to `tf.io.gfile`."""
    try:
        import fsspec
    except ImportError:
        return None
    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError):  # no package for the scheme, or an unknown scheme
        return None
    except Exception as error:
        raise DatasetError(f'{url} cannot be opened: {error_summary(error)}.') from None


def _call_gfile(url: str, name: str, *arguments: Any) -> Any:
    import tensorflow as tf

    function: Callable = getattr(tf.io.gfile, name)
    try:
        return function(url, *arguments)
    except tf.errors.UnimplementedError:
        raise DatasetError(f'{url} cannot be read: TensorFlow does not support '
                           f'{url.partition("://")[0]}://; copy the files to a local folder.'
                           ) from None
    except tf.errors.OpError as error:
        raise DatasetError(f'{url} cannot be read: {error_summary(error)}.') from None
