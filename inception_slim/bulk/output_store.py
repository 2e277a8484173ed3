"""Where the output goes: a folder of this machine, or one that fsspec writes to.

Each file takes its place whole. What is written for the run itself, and not for readers of the
output, begins with `_`, which pyarrow, pandas and Spark leave out when they read a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
import io
import os
from typing import Any, BinaryIO, Protocol

from inception_slim._atomic_write import atomic_write
from inception_slim.data.filesystem import is_remote, open_filesystem, wrap_io_errors
from inception_slim.errors import DatasetError

_LOCK = '_lock'


class OutputStore(Protocol):
    """A folder to write to."""

    path: str

    def names(self, folder: str = '') -> list[str]:
        """The names in it, or in a folder of it; none where it is not there."""

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """A file, whole."""

    def open(self, name: str) -> BinaryIO: ...

    def remove(self, name: str) -> None:
        """A file, or a folder with files; nothing where it is not there."""

    def taken(self) -> contextlib.AbstractContextManager[None]:
        """Inside, it is there, and no other run's."""


def open_output(path: str | os.PathLike) -> OutputStore:
    path = os.fspath(path)
    return _Remote(path) if is_remote(path) else _Local(path)


class _Local:

    def __init__(self, path: str):
        self.path = path
        if os.path.exists(path) and not os.path.isdir(path):
            raise DatasetError(f'{path} is a file; give a folder to write to.')

    def names(self, folder: str = '') -> list[str]:
        path = os.path.join(self.path, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        path = os.path.join(self.path, name)
        with contextlib.suppress(OSError):  # if it cannot be made, writing says why
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with atomic_write(path) as file:
            file.writelines(lines)

    def open(self, name: str) -> BinaryIO:
        return open(os.path.join(self.path, name), 'rb')

    def remove(self, name: str) -> None:
        path = os.path.join(self.path, name)
        with contextlib.suppress(FileNotFoundError):
            if not os.path.isdir(path):
                os.remove(path)
                return
            for each in os.listdir(path):
                os.remove(os.path.join(path, each))
            os.rmdir(path)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        try:
            os.makedirs(self.path, exist_ok=True)
            lock = open(os.path.join(self.path, _LOCK), 'ab')
        except OSError as error:
            raise DatasetError(f'{self.path} cannot be written to: {error.strerror}.') from None
        with lock:
            try:
                import fcntl
            except ImportError:  # a system without it
                pass
            else:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # gone with the process
                except OSError:
                    raise DatasetError(f'Another run is writing to {self.path}; wait for its end, '
                                       'or give another folder.') from None
            for folder in ('', '_done'):  # what was being written when a run was killed
                for name in self.names(folder):
                    if name.startswith(('._', '.part-')):
                        self.remove(os.path.join(folder, name))
            yield


class _Remote:

    def __init__(self, path: str):
        self.path = path.rstrip('/')
        self._filesystem, self._root = open_filesystem(self.path)

    def names(self, folder: str = '') -> list[str]:
        path = f'{self._root}/{folder}'.rstrip('/')
        with wrap_io_errors(self.path):
            self._filesystem.invalidate_cache()
            try:
                found = self._filesystem.ls(path, detail=False)
            except FileNotFoundError:
                return []
        # A store of objects may name the folder itself among what is in it.
        return sorted(each.rstrip('/').rsplit('/', 1)[-1] for each in found
                      if each.rstrip('/') != path)

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        with wrap_io_errors(f'{self.path}/{name}', 'written'):
            with self._open(name, 'wb') as file:
                file.writelines(lines)

    def open(self, name: str) -> BinaryIO:
        with wrap_io_errors(f'{self.path}/{name}'):
            return io.BufferedReader(self._open(name, 'rb'))

    def _open(self, name: str, mode: str) -> Any:
        path = f'{self._root}/{name}'
        if mode == 'wb':
            self._filesystem.makedirs(path.rpartition('/')[0], exist_ok=True)
        return self._filesystem.open(path, mode)

    def remove(self, name: str) -> None:
        with wrap_io_errors(f'{self.path}/{name}', 'removed'), \
                contextlib.suppress(FileNotFoundError):
            self._filesystem.rm(f'{self._root}/{name}', recursive=True)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        yield  # a store of objects has no locks
