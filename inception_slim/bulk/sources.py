"""Lists the sources of a bulk run and divides them into work units.

A work unit is a JSON object: up to `shard_size` image files, one TFRecord file, or a range of row
groups of a Parquet file. The same sources always give the same work units. Memory use is limited to
one work unit and one folder listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import itertools
import json
import os
from typing import IO

from inception_slim._special_files import check_regular, is_inherited_stream, special_kind
from inception_slim.bulk.readers import Columns, WorkUnit, row_groups
from inception_slim.data.filesystem import (
    is_remote,
    open_filesystem,
    walk,
    walk_remote,
    warn_of_broken_link,
    wrap_io_errors,
)
from inception_slim.data.image_archive import (
    ARCHIVE_SUFFIXES,
    is_archive,
    list_members,
    open_archive,
)
from inception_slim.data.image_folder import SUFFIXES
from inception_slim.data.image_formats import HEADER_BYTES, image_format
from inception_slim.data.image_list import LIST_SUFFIXES
from inception_slim.data.tfrecord import RECORD_FILE
from inception_slim.errors import DatasetError

_IMAGE, _RECORDS, _PARQUET, _ARCHIVE = 'image', 'tfrecord', 'parquet', 'archive'
_ADVICE = ('give images, TFRecord files, Parquet files, zip or tar files, folders of these, or '
           'text files that list images')

_File = tuple[str, str, int | None]  # kind, path, and size in bytes (None if unknown)


def work_units(sources: Iterable[str], shard_size: int, columns: Columns) -> Iterator[WorkUnit]:
    """Divides sources into work units, in order.

    Args:
      sources: paths and URLs: images, TFRecord files, Parquet files, zip and tar files of images,
        folders with any of these at any depth, and text files that list one file per line.
      shard_size: image files per work unit, and minimum number of Parquet rows per work unit.
      columns: the columns of Parquet files.

    Raises:
      DatasetError: a source cannot be read or contains no images.
    """
    all_files = _open_archives(itertools.chain.from_iterable(map(_list_files, sources)))
    for kind, group in itertools.groupby(all_files, key=lambda file: file[0]):
        files = ((path, size) for _, path, size in group)
        if kind == _IMAGE:
            while chunk := list(itertools.islice(files, shard_size)):
                yield {'kind': 'files', 'files': chunk, 'images': len(chunk)}
        elif kind == _RECORDS:
            for path, size in files:
                yield {'kind': kind, 'file': path, 'size': size, 'images': None}
        else:
            for path, size in files:
                for rows in row_groups(path, shard_size, columns):
                    yield {'kind': kind, 'file': path, 'size': size, **rows}


def _open_archives(files: Iterable[_File]) -> Iterator[_File]:
    """Replaces archives by the images in them."""
    for kind, path, size in files:
        if kind != _ARCHIVE:
            yield kind, path, size
            continue
        sizes = open_archive(path).sizes
        for member in list_members(path, SUFFIXES):
            yield _IMAGE, member, sizes[member[len(path) + 1:]]


def to_json_line(unit: WorkUnit) -> bytes:
    return json.dumps(unit, separators=(',', ':')).encode() + b'\n'


def _list_files(source: str) -> Iterator[_File]:
    """Lists the files of a source."""
    if is_remote(source):
        yield from _list_remote(source)
    elif os.path.isdir(source):
        yield from _require_images(source, _walk_folder(source))
    else:
        try:
            size = os.path.getsize(source)
        except OSError:
            raise DatasetError(f'{source} does not exist; {_ADVICE}.') from None
        yield from _list_file(source, size)


def _walk_folder(folder: str) -> Iterator[_File]:
    for path, names in walk(folder):
        for name in names:
            file = os.path.join(path, name)
            kind = _kind_by_name(file)
            if kind:
                yield kind, file, _size(file)
            else:
                warn_of_broken_link(file)


def _size(file: str) -> int | None:
    """The size of a file; None if it does not exist, as for a broken link."""
    try:
        return os.path.getsize(file)
    except OSError:
        return None


def _list_remote(url: str) -> Iterator[_File]:
    filesystem, root = open_filesystem(url)
    with wrap_io_errors(url):
        info = filesystem.info(root)
    if info['type'] == 'directory':
        yield from _require_images(url, ((kind, file, size) for file, size in walk_remote(url)
                                         if (kind := _kind_by_name(file))))
    else:
        yield from _list_file(url, info.get('size'))


def _require_images(source: str, files: Iterable[_File]) -> Iterator[_File]:
    """Yields the files; raises a DatasetError if there are none."""
    empty = True
    for file in files:
        empty = False
        yield file
    if empty:
        raise DatasetError(f'{source} contains no images; give a folder or list of image files '
                           f'({", ".join(SUFFIXES)}), TFRecord files or Parquet files.')


def _list_file(path: str, size: int | None) -> Iterator[_File]:
    is_archive(path)  # raises an error for a compressed tar file
    kind = _kind_by_name(path)
    if kind is None and (path.lower().endswith(LIST_SUFFIXES)
                         or special_kind(path) and is_inherited_stream(path)):
        yield from _require_images(path, _read_list(path))
        return
    if kind is None:
        with _open(path) as file:
            head = file.read(HEADER_BYTES)
        kind = _PARQUET if head.startswith(b'PAR1') else _IMAGE if image_format(head) else None
    if kind is None:
        raise DatasetError(f'{path} has no known file type; {_ADVICE} '
                           f'({", ".join(LIST_SUFFIXES)}).')
    yield kind, path, size


def _kind_by_name(path: str) -> str | None:
    name = path.rsplit('/', 1)[-1]
    lower = name.lower()
    if lower.endswith(SUFFIXES):
        return _IMAGE
    if lower.endswith(ARCHIVE_SUFFIXES):
        return _ARCHIVE
    if lower.endswith(('.parquet', '.pq')):
        return _PARQUET
    if lower.endswith(('.tfrecord', '.tfrecords')) or RECORD_FILE.fullmatch(name):
        return _RECORDS
    return None


def _read_list(path: str) -> Iterator[_File]:
    """Reads a text file of paths, which are relative to its folder; those of a stream are not.

    The existence of remote files is not checked here, which would take one request per file.
    """
    folder = '' if is_inherited_stream(path) else path.rpartition('/')[0]
    with _open(path) as lines:
        for line in lines:
            name = os.fsdecode(line.rstrip(b'\r\n'))
            if not name.strip():
                continue
            if not is_remote(name) and not os.path.isabs(name) and folder:
                name = f'{folder}/{name}'
            yield _kind_by_name(name) or _IMAGE, name, None if is_remote(name) else _size(name)


def _open(path: str) -> IO[bytes]:
    if not is_remote(path):
        check_regular(path, DatasetError, allow_stream=True)
        return open(path, 'rb')
    filesystem, inner = open_filesystem(path)
    return filesystem.open(inner, 'rb')
