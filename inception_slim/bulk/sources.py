"""What there is to do: the sources, cut into pieces that are the same whenever they are cut.

A piece is one line of JSON: as many image files as go into a file of the output, a file of records,
or row groups of a Parquet file. Nothing here holds more of the sources than a piece, or a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import itertools
import json
import os
from typing import Any

from inception_slim.bulk.parquet_reader import Columns, row_groups
from inception_slim.data.filesystem import (
    is_remote,
    list_visible,
    open_filesystem,
    wrap_io_errors,
)
from inception_slim.data.image_folder import SUFFIXES
from inception_slim.data.tfrecord import RECORD_FILE
from inception_slim.errors import DatasetError

WorkUnit = dict[str, Any]
_IMAGE, _RECORDS, _PARQUET, _LIST = 'image', 'tfrecord', 'parquet', 'list'
_LISTS = ('.txt', '.lst', '.list')
_HEADS = {b'PAR1': _PARQUET, b'\xff\xd8': _IMAGE, b'\x89PNG': _IMAGE, b'GIF8': _IMAGE,
          b'BM': _IMAGE, b'RIFF': _IMAGE}


def work_units(sources: Iterable[str], shard_size: int, columns: Columns) -> Iterator[WorkUnit]:
    """The pieces of sources, in their order.

    Args:
      sources: paths and URLs: images, TFRecord files, Parquet files, folders with any of them
        anywhere below, and text files with the path of a file in each line.
      shard_size: files in a piece, and the least rows of a Parquet file in one.

    Raises:
      DatasetError: a source cannot be read, or holds nothing.
    """
    found = itertools.chain.from_iterable(map(_files, sources))
    for kind, group in itertools.groupby(found, key=lambda each: each[0]):
        files = ((path, size) for _, path, size in group)
        if kind == _IMAGE:
            while some := list(itertools.islice(files, shard_size)):
                yield {'kind': 'files', 'files': some, 'images': len(some)}
        elif kind == _RECORDS:
            for path, size in files:
                yield {'kind': kind, 'file': path, 'size': size, 'images': None}
        else:
            for path, size in files:
                for groups in row_groups(path, shard_size, columns):
                    yield {'kind': kind, 'file': path, 'size': size, **groups}


def to_json_line(piece: WorkUnit) -> bytes:
    return json.dumps(piece, separators=(',', ':')).encode() + b'\n'


def _kind(path: str) -> str | None:
    name = path.rsplit('/', 1)[-1]
    lower = name.lower()
    if lower.endswith(SUFFIXES):
        return _IMAGE
    if lower.endswith(('.parquet', '.pq')):
        return _PARQUET
    if lower.endswith(('.tfrecord', '.tfrecords')) or RECORD_FILE.fullmatch(name):
        return _RECORDS
    return None


def _files(source: str) -> Iterator[tuple[str, str, int | None]]:
    """The files that a source means: kind, path, and size if that is known."""
    if is_remote(source):
        yield from _remote(source)
        return
    if os.path.isdir(source):
        yield from _some(source, _of_folder(source))
        return
    try:
        size = os.path.getsize(source)
    except OSError:
        raise DatasetError(f'{source} does not exist; give images, TFRecords, Parquet files, '
                           'folders of them, or text files that list them.') from None
    yield from _of_file(source, size)


def _of_folder(folder: str) -> Iterator[tuple[str, str, int | None]]:
    for path, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in list_visible(path):
            file = os.path.join(path, name)
            kind = _kind(file)
            if kind and not os.path.isdir(file):
                yield kind, file, _size(file)


def _size(file: str) -> int | None:
    """None where it is not there, as behind a link to nowhere."""
    try:
        return os.path.getsize(file)
    except OSError:
        return None


def _remote(url: str) -> Iterator[tuple[str, str, int | None]]:
    opened, root = open_filesystem(url)
    with wrap_io_errors(url):
        about = opened.info(root)
        if about['type'] != 'directory':
            yield from _of_file(url, about.get('size'))
            return
        yield from _some(url, _of_remote_folder(opened, root))


def _of_remote_folder(opened: Any, folder: str) -> Iterator[tuple[str, str, int | None]]:
    # A store of objects may name the folder itself among what is in it.
    entries = sorted(((each['name'], each['type'], each.get('size'))
                      for each in opened.ls(folder, detail=True)
                      if each['name'].rstrip('/') != folder.rstrip('/')), key=lambda each: each[0])
    opened.invalidate_cache()  # or it would keep the whole tree
    for path, kind_of_entry, size in entries:
        kind = _kind(path)
        if kind_of_entry != 'directory' and kind and not _hidden(path):
            yield kind, opened.unstrip_protocol(path), size
    for path, kind_of_entry, _ in entries:
        if kind_of_entry == 'directory' and not _hidden(path):
            yield from _of_remote_folder(opened, path)


def _hidden(path: str) -> bool:
    return path.rstrip('/').rsplit('/', 1)[-1].startswith('.')


def _some(folder: str, files: Iterable[tuple[str, str, int | None]]
          ) -> Iterator[tuple[str, str, int | None]]:
    empty = True
    for each in files:
        empty = False
        yield each
    if empty:
        raise DatasetError(f'{folder} holds no images: neither files that end in '
                           f'{", ".join(SUFFIXES)}, nor TFRecords, nor Parquet; give a folder '
                           'that does.')


def _of_file(path: str, size: int | None) -> Iterator[tuple[str, str, int | None]]:
    kind = _kind(path)
    if kind is None and path.lower().endswith(_LISTS):
        yield from _some(path, _listed(path))
        return
    if kind is None:
        with _opened(path) as file:
            head = file.read(4)
        kind = next((each for start, each in _HEADS.items() if head.startswith(start)), None)
    if kind is None:
        raise DatasetError(f'{path} is no image, TFRecord or Parquet file by its name and its '
                           f'beginning, and no list by its end, one of {", ".join(_LISTS)}; give '
                           'one of these.')
    yield kind, path, size


def _listed(path: str) -> Iterator[tuple[str, str, int | None]]:
    """The files of a list: those without a folder of their own are beside it.

    Those elsewhere are not looked up one by one; those that are not there are found out later.
    """
    beside = path.rpartition('/')[0]
    with _opened(path) as lines:
        for line in lines:
            name = os.fsdecode(line.rstrip(b'\r\n'))
            if not name.strip():
                continue
            if not is_remote(name) and not os.path.isabs(name) and beside:
                name = f'{beside}/{name}'
            yield _kind(name) or _IMAGE, name, None if is_remote(name) else _size(name)


def _opened(path: str) -> Any:
    if not is_remote(path):
        return open(path, 'rb')
    opened, inner = open_filesystem(path)
    return opened.open(inner, 'rb')
