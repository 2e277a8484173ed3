"""Images in zip and tar files, which are read where they are: `ARCHIVE/MEMBER` is their path.

WebDataset's shards are such tar files: the label of `KEY.jpg` is in `KEY.cls`.
"""

from __future__ import annotations

import functools
import os
import re
import tarfile
import tempfile
import threading
from typing import IO
import weakref
import zipfile

from inception_slim._bounded_tar import BoundedTarInfo
from inception_slim.data import filesystem
from inception_slim.errors import DatasetError, error_summary

ARCHIVE_SUFFIXES = ('.zip', '.tar')
_COMPRESSED_TAR = re.compile(r'.*\.(tar\.(gz|bz2|xz|zst|lzma|z)|tgz|tbz2?|txz)', re.IGNORECASE)
_END_OF_ARCHIVE = re.compile(r'\.(?:zip|tar)(?=/.)', re.IGNORECASE | re.DOTALL)
_LARGEST_MEMBER = 2**30
_OPEN_ARCHIVES = 16
_DAMAGES = (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError,
            UnicodeError, ValueError)
_lock = threading.Lock()


def is_archive(path: str) -> bool:
    """Whether a file is an archive of images, by its name.

    Raises:
      DatasetError: it is a compressed tar file, in which a member cannot be found.
    """
    if _COMPRESSED_TAR.fullmatch(path):
        raise DatasetError(f'{path} is compressed as a whole, so its images cannot be read one by '
                           'one; decompress it to a .tar file.')
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def split_member(path: str) -> tuple[str, str] | None:
    """The archive and the member of a path `ARCHIVE/MEMBER`; None for another path."""
    for match in _END_OF_ARCHIVE.finditer(path):
        archive, member = path[:match.end()], path[match.end() + 1:]
        if filesystem.is_remote(path) or os.path.isfile(archive):
            return archive, member
    return None


def open_archive(path: str) -> ImageArchive:
    """Opens an archive, or returns it if it is open; the last ones stay open.

    Raises:
      DatasetError: it cannot be read.
    """
    with _lock:
        return _open(path, None if filesystem.is_remote(path) else _state(path))


def _state(path: str) -> tuple[int, ...]:
    with filesystem.wrap_io_errors(path):
        status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


@functools.lru_cache(_OPEN_ARCHIVES)
def _open(path: str, state: tuple[int, ...] | None) -> ImageArchive:
    return ImageArchive(path)


class ImageArchive:
    """The files in a zip or tar file; safe to read from several threads.

    Attributes:
      sizes: the size of each visible file by its name, in the order of the archive.
    """

    def __init__(self, path: str):
        self._path = path
        self._file = _open_local(path)
        weakref.finalize(self, self._file.close)  # when it is no longer among the last ones
        self._zip: zipfile.ZipFile | None = None
        self._offsets: dict[str, int] = {}
        try:
            if path.lower().endswith('.zip'):
                self._zip = zipfile.ZipFile(self._file)
                sizes = {info.filename: info.file_size for info in self._zip.infolist()
                         if not info.is_dir()}
            else:
                with tarfile.open(fileobj=self._file, mode='r:', tarinfo=BoundedTarInfo) as tar:
                    members = [member for member in tar
                               if member.isreg() and not member.issparse()]
                names = [member.name.removeprefix('./') for member in members]
                sizes = {name: member.size for name, member in zip(names, members)}
                self._offsets = {name: member.offset_data for name, member in zip(names, members)}
        except (*_DAMAGES, OSError) as error:
            raise DatasetError(f'{path} is damaged, or no {path[-3:].lower()} file '
                               f'({error_summary(error)}); copy it again.') from None
        self.sizes = {name: size for name, size in sizes.items() if _is_visible(name)}

    def read(self, name: str) -> bytes:
        """Reads a file.

        Raises:
          FileNotFoundError: there is no such file.
          OSError: it is damaged, encrypted or too large.
        """
        if name not in self.sizes:
            raise FileNotFoundError(f'{self._path} has no {name}')
        if self.sizes[name] > _LARGEST_MEMBER:
            raise OSError(f'it has {self.sizes[name]:,} bytes')
        if self._zip is None:
            content = os.pread(self._file.fileno(), self.sizes[name], self._offsets[name])
            if len(content) < self.sizes[name]:
                raise OSError('the archive is truncated')
            return content
        try:
            return self._zip.read(name)
        except Exception as error:  # zlib, lzma and bz2 have errors of their own
            raise OSError(error_summary(error)) from None


def _open_local(path: str) -> IO[bytes]:
    """Opens a file, of a remote one a copy that exists as long as it is open."""
    if not filesystem.is_remote(path):
        return filesystem.open_binary(path)
    copy = tempfile.TemporaryFile()
    with filesystem.open_binary(path) as source, filesystem.wrap_io_errors(path):
        while chunk := source.read(2**20):
            copy.write(chunk)
    copy.seek(0)
    return copy


def _is_visible(name: str) -> bool:
    """Whether neither a file nor a folder that it is in is hidden or of macOS's attributes."""
    parts = [part for part in name.split('/') if part != '.']
    return not any(part.startswith('.') or part == '__MACOSX' for part in parts)


def list_members(path: str, suffixes: tuple[str, ...]) -> list[str]:
    """The paths of the images in an archive, in its order.

    Args:
      path: the archive.
      suffixes: of the names of images.

    Raises:
      DatasetError: it cannot be read, or holds no images.
    """
    names = [name for name in open_archive(path).sizes if name.lower().endswith(suffixes)]
    if not names:
        raise DatasetError(f'{path} holds no images; give an archive of files that end in '
                           f'{", ".join(suffixes)}.')
    return [f'{path}/{name}' for name in names]


def read_labels_of(path: str, files: list[str]) -> list[str] | None:
    """The labels in WebDataset's `KEY.cls` files of images in an archive; None if there are none.

    Args:
      path: the archive.
      files: from `list_members`.

    Raises:
      DatasetError: an image has no label, or one that cannot be read.
    """
    archive = open_archive(path)
    if not any(name.endswith('.cls') for name in archive.sizes):
        return None
    labels = []
    for file in files:
        folder, slash, name = file[len(path) + 1:].rpartition('/')
        label = f'{folder}{slash}{name.partition(".")[0]}.cls'
        try:
            labels.append(archive.read(label).decode().strip())
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f'{file} has no label in {label}: {error_summary(error)}; add it, '
                               'or leave the image out.') from None
    return labels


def read_file(path: str) -> bytes:
    """Reads a local or remote file, or a member of an archive.

    Raises:
      OSError: the file does not exist, or a member of an archive cannot be read.
      DatasetError: the storage failed, or an archive is damaged.
    """
    member = split_member(path)
    if member is not None:
        return open_archive(member[0]).read(member[1])
    try:
        with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
            return file.read()
    except DatasetError:
        if filesystem.exists(path):
            raise
        raise FileNotFoundError(f'{path} does not exist') from None
