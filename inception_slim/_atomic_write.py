"""Atomic writing of files, of folders, and of sets of files.

The new content is written to `.NAME.swap/new`, beside the target NAME, and flushed to the disk.
Then it takes the place of the old content:

- a file, or a folder where there is none yet, by one rename;
- a folder that replaces another one, by one exchange (`renameat2`), where the system has it;
- several files, or a folder without an exchange, by several renames. Before the first one, `new` is
  renamed to `complete`. A run that finds `complete` of a killed run does the remaining renames.

So a run that is killed at any moment, also while it finishes an earlier one, leaves all of the old
or all of the new content, once `recover` or another run of the same target has been called. The
scratch folder is locked by the process that writes: one without a lock is of a killed run, and the
next run of the same target removes it. Where folders cannot be locked (Windows, some network file
systems), the scratch folder has a random name, and a killed run is not cleaned up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
import ctypes
import errno
import os
import shutil
import tempfile
import time
from typing import BinaryIO

from inception_slim._special_files import special_kind
from inception_slim.errors import DatasetError, InceptionSlimError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NEW, _COMPLETE, _OLD = 'new', 'complete', 'old'
_LOCK_WAIT = 10.0  # seconds for another run of the same target to end
_LOCK_PAUSE = 0.05
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


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


def check_replaceable(path: str, error: type[InceptionSlimError] = DatasetError) -> None:
    """Raises `error` if `path` is a link, a named pipe, a socket or a device."""
    kind = 'a symbolic link' if os.path.islink(path) else special_kind(path)
    if kind is not None:
        raise error(f'{path} is {kind}, which is not replaced; give another path.')


@contextmanager
def atomic_write(path: str, error: type[InceptionSlimError] = DatasetError) -> Iterator[BinaryIO]:
    """Opens a binary file that replaces `path` only when the `with` block ends without an error.

    Raises:
      error: the file cannot be written.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A device or a pipe, such as /dev/stdout, is not to be replaced.
        with _wrap_errors(path, error), open(path, 'wb') as file:
            yield file
        return
    target = os.path.realpath(path) if os.path.islink(path) else path  # a link stays
    with replace_together(target, error) as folder:
        with open(os.path.join(folder, os.path.basename(target)), 'wb') as file:
            yield file


@contextmanager
def replace_together(path: str, error: type[InceptionSlimError] = DatasetError,
                     obsolete: Collection[str] = ()) -> Iterator[str]:
    """Yields a new folder, whose entries take the place of those beside `path` together.

    They do so when the `with` block ends without an error, in the order of their names. While they
    do, a file of the old content and one of the new can be beside each other only if more than one
    existing file is replaced.

    Args:
      path: the target: a file or folder, or what names of several files have in common.
      error: the class of the exceptions.
      obsolete: the files of the old content, which the block may still add. Those that are not
        replaced are removed at last.

    Raises:
      error: the content cannot be written, or another run is writing to the same target.
    """
    check_parent_folder(path, error)
    parent = os.path.dirname(os.path.abspath(path))
    with _wrap_errors(path, error), _scratch_folder(path, error) as scratch:
        new = os.path.join(scratch, _NEW)
        os.mkdir(new)
        yield new
        names = _commit(scratch, parent)
        for file in obsolete:
            if os.path.basename(file) not in names:
                with suppress(FileNotFoundError):
                    os.remove(file)


def recover(path: str) -> None:
    """Finishes the replacement of `path` by a killed run, if its new content was complete.

    Call it before reading content of several files. Nothing happens if the folder is read-only.
    """
    if _is_complete(_scratch_path(path)):
        with suppress(OSError), _scratch_folder(path, InceptionSlimError):
            pass


@contextmanager
def _wrap_errors(path: str, error: type[InceptionSlimError]) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise error(f'{path} cannot be written: {cause.strerror or cause}.') from None


def _scratch_path(path: str) -> str:
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f'.{name}.swap')


@contextmanager
def _scratch_folder(path: str, error: type[InceptionSlimError]) -> Iterator[str]:
    """Creates and locks the scratch folder of a target, and removes it at the end.

    If a killed run left one, its work is finished first.
    """
    scratch = _scratch_path(path)
    parent = os.path.dirname(scratch)
    deadline = time.monotonic() + _LOCK_WAIT
    descriptor = None
    while descriptor is None:
        with suppress(FileExistsError):
            os.mkdir(scratch)
        try:
            descriptor = _lock(scratch)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise error(f'Another run is writing to {path}; wait until it ends, or give '
                            'another path.') from None
            time.sleep(_LOCK_PAUSE)
        except _LocksUnsupportedError:
            os.rmdir(scratch)
            scratch = tempfile.mkdtemp('.swap', f'.{os.path.basename(path)}.', parent)
            break
    try:
        _clear(scratch, parent)
        yield scratch
    finally:
        # If an error ended the renames, `complete` is left to the next run.
        if not _is_complete(scratch):
            shutil.rmtree(scratch, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


class _LocksUnsupportedError(Exception):
    """The file system has no locks for folders."""


def _lock(folder: str) -> int | None:
    """Locks a folder until the returned descriptor is closed; None if it was removed meanwhile.

    Raises:
      BlockingIOError: another process has locked it.
    """
    if fcntl is None:
        raise _LocksUnsupportedError
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.lstat(folder)):
            return descriptor
    except FileNotFoundError:
        pass
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        raise _LocksUnsupportedError from None
    os.close(descriptor)
    return None


def _is_complete(scratch: str) -> bool:
    """Whether a scratch folder holds new content that is to be moved to its place.

    A link is never followed: a folder of unknown origin could have any other one moved with it.
    """
    return all(os.path.isdir(path) and not os.path.islink(path)
               for path in (scratch, os.path.join(scratch, _COMPLETE)))


def _clear(scratch: str, parent: str) -> None:
    """Finishes the work of a killed run, and removes what it left in the scratch folder."""
    if _is_complete(scratch):
        _move_complete(scratch, parent)
    for name in os.listdir(scratch):
        shutil.rmtree(os.path.join(scratch, name))


def _commit(scratch: str, parent: str) -> list[str]:
    """Moves the entries of `new` to their places; returns their names."""
    new = os.path.join(scratch, _NEW)
    names = sorted(os.listdir(new))
    for folder, _, files in os.walk(new):
        for file in files:
            _flush(os.path.join(folder, file))
        _flush_folder(folder)
    if len(names) == 1:
        source, target = os.path.join(new, names[0]), os.path.join(parent, names[0])
        if not os.path.lexists(target) or not (os.path.isdir(source) or os.path.isdir(target)):
            os.replace(source, target)
            _flush_folder(parent)
            return names
        if _exchange(source, target):
            _flush_folder(parent)
            return names
    os.rename(new, os.path.join(scratch, _COMPLETE))
    _flush_folder(scratch)
    _move_complete(scratch, parent)
    return names


def _move_complete(scratch: str, parent: str) -> None:
    """Moves the remaining entries of `complete` to their places."""
    complete, old = os.path.join(scratch, _COMPLETE), os.path.join(scratch, _OLD)
    for name in sorted(os.listdir(complete)):
        source, target = os.path.join(complete, name), os.path.join(parent, name)
        if os.path.lexists(target) and (os.path.isdir(source) or os.path.isdir(target)):
            shutil.rmtree(old, ignore_errors=True)
            os.rename(target, old)
        os.replace(source, target)
    _flush_folder(parent)
    os.rmdir(complete)


def _exchange(first: str, second: str) -> bool:
    """Exchanges two paths in one step; returns False if the system or file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if not renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second),
                     _RENAME_EXCHANGE):
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), second)


def _flush(file: str) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: str) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
