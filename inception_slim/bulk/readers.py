"""Reads the encoded images of a work unit: image files, TFRecords and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import dataclass
import itertools
import os
import tempfile
from typing import Any, TypeVar

from inception_slim._optional import require
from inception_slim._special_files import special_kind
from inception_slim.data.filesystem import (
    is_remote,
    open_filesystem,
    read_url,
    wrap_io_errors,
)
from inception_slim.data.image_archive import open_archive, split_member
from inception_slim.data.image_formats import UnreadableImage
from inception_slim.data.input_pipeline import iterate
from inception_slim.data.tfrecord import scan_record_lengths
from inception_slim.errors import DatasetError, error_summary
import tensorflow.compat.v1 as tf

WorkUnit = dict[str, Any]  # see `sources`

_Item = TypeVar('_Item')
_PREFETCHED = 32  # images that are read ahead from a file with many images
_ENCODED = 'image/encoded'
_ROWS = 16  # of a Parquet file, read at a time
_BUFFER_BYTES = 2**20


@dataclass(frozen=True)
class Example:
    """An encoded image.

    Attributes:
      name: its file, or `FILE#NUMBER` for a record or row.
      encoded: its bytes; None if they are still to be read from the file, or cannot be read.
      error: why it cannot be read; None if that is not known yet.
      listed: whether the file existed when the sources were listed.
      is_record: whether it is of a TFRecord file.
    """

    name: str
    encoded: bytes | None = None
    error: str | None = None
    listed: bool = True
    is_record: bool = False


@dataclass(frozen=True)
class Columns:
    """Names of the image column and of the name column of Parquet files; None if not given."""

    image: str | None = None
    name: str | None = None


def read_examples(unit: WorkUnit, folder: str) -> Iterator[Example]:
    """Reads the images of a work unit, in order, including the unreadable ones.

    Args:
      unit: the work unit.
      folder: the folder that relative paths are relative to.

    Raises:
      DatasetError: a TFRecord or Parquet file cannot be opened.
    """
    if unit['kind'] == 'files':
        for name, size in unit['files']:
            yield Example(name, listed=size is not None)
        return
    name = unit['file']
    path = name if is_remote(name) else os.path.join(folder, name)
    examples = _read_records(path, name) if unit['kind'] == 'tfrecord' else _read_rows(path, unit)
    yield from _prefetch(examples, _PREFETCHED)


def read_bytes(example: Example, folder: str) -> bytes:
    """Reads the bytes of an image.

    Args:
      example: the image.
      folder: the folder that relative paths are relative to.

    Raises:
      UnreadableImage: the image does not exist, may not be read, or is no regular file.
      DatasetError: the storage failed, or the file has been removed during the run.
    """
    if example.error is not None:
        raise UnreadableImage(example.error)
    if example.encoded is not None:
        return example.encoded
    path = example.name if is_remote(example.name) else os.path.join(folder, example.name)
    member = split_member(path)
    if member is not None:
        archive = open_archive(member[0])
        try:
            return archive.read(member[1])
        except OSError as error:
            raise UnreadableImage(error_summary(error)) from None
    try:
        if is_remote(path):
            return read_url(path)
        kind = special_kind(path)
        if kind is not None:
            raise UnreadableImage(f'it is {kind}')
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        if example.listed:
            raise _missing_file(example.name) from None
        raise UnreadableImage('it does not exist') from None
    except PermissionError as error:
        raise UnreadableImage(error.strerror or 'permission denied') from None
    except OSError as error:
        raise DatasetError(f'{example.name} cannot be read: {error_summary(error)}.') from None


def _missing_file(path: str) -> DatasetError:
    return DatasetError(f'{path} does not exist any more, or not on every host. Restore it, and '
                        'run the same command to resume.')


def _prefetch(items: Iterable[_Item], count: int) -> Iterator[_Item]:
    """Yields the items; the next `count` ones are produced in a thread meanwhile."""
    iterator = iter(items)

    def next_chunk() -> list[_Item]:
        return list(itertools.islice(iterator, count))

    with ThreadPoolExecutor(1, 'inception_slim') as reader:
        future = reader.submit(next_chunk)
        while chunk := future.result():
            future = reader.submit(next_chunk)
            yield from chunk


# ---- TFRecords

def _read_records(path: str, name: str) -> Iterator[Example]:
    with _local_copy(path) as file:
        count = 0
        try:
            for record in iterate(lambda: tf.data.TFRecordDataset(os.fsencode(file))):
                yield _parse_record(record, f'{name}#{count}')
                count += 1
            return
        except tf.errors.OpError:
            pass
        # The position of the next record is unknown after a damaged one, but the record lengths
        # give the number of records that seem to follow.
        for number in range(count, max(count + 1, scan_record_lengths(file)[0])):
            yield Example(f'{name}#{number}', error='the file is damaged here or earlier')


def _parse_record(record: bytes, name: str) -> Example:
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's error class depends on its implementation
        return Example(name, error='the record is not a tf.train.Example')
    values = feature[_ENCODED].bytes_list.value if _ENCODED in feature else []
    if not values:
        return Example(name, error=f'the record has no {_ENCODED}')
    return Example(name, values[0], is_record=True)


@contextlib.contextmanager
def _local_copy(path: str) -> Iterator[str]:
    """Yields a path that TensorFlow can open; a remote file is copied to a temporary one."""
    if not is_remote(path):
        if not os.path.isfile(path):
            raise _missing_file(path)
        yield path
        return
    filesystem, inner = open_filesystem(path)
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, 'records')
        with wrap_io_errors(path):
            filesystem.get_file(inner, file)
        yield file


# ---- Parquet

def row_groups(path: str, rows: int, columns: Columns) -> Iterator[dict[str, Any]]:
    """Divides a Parquet file into ranges of whole row groups.

    Args:
      path: the file.
      rows: minimum number of rows of each range but the last.
      columns: the columns to read.

    Yields:
      The entries of a work unit: row_groups (first and end), first_row, images, image_column and
      name_column.

    Raises:
      DatasetError: the file cannot be read, or does not have these columns.
    """
    with _open_parquet(path) as file:
        image_column = _find_image_column(path, file.schema_arrow, columns.image)
        if columns.name is not None:
            _check_column(path, file.schema_arrow, columns.name)
        first_group, first_row, count = 0, 0, 0
        for group in range(file.num_row_groups):
            count += file.metadata.row_group(group).num_rows
            if count and (count >= rows or group + 1 == file.num_row_groups):
                yield {'row_groups': [first_group, group + 1], 'first_row': first_row,
                       'images': count, 'image_column': image_column, 'name_column': columns.name}
                first_group, first_row, count = group + 1, first_row + count, 0


def _read_rows(path: str, unit: WorkUnit) -> Iterator[Example]:
    image_column, name_column = unit['image_column'], unit['name_column']
    column, _, field = image_column.rpartition('.')
    number = unit['first_row']
    with _open_parquet(path) as file:
        if column not in file.schema_arrow.names:  # a column of bytes, maybe with a dot in its name
            column, field = image_column, ''
        names_to_read = [image_column] if name_column is None else [image_column, name_column]
        for batch in file.iter_batches(_ROWS, row_groups=range(*unit['row_groups']),
                                       columns=names_to_read, use_threads=False):
            images = batch.column(column)
            if field:
                images = images.flatten()[images.type.get_field_index(field)]
            names = batch.column(name_column) if name_column is not None else None
            for row, image in enumerate(images):
                name = names[row].as_py() if names is not None else None
                encoded = image.as_py()
                yield Example(f'{unit["file"]}#{number}' if name is None else str(name), encoded,
                              None if encoded else 'its row has no bytes')
                number += 1


@contextlib.contextmanager
def _open_parquet(path: str) -> Iterator[Any]:
    arrow = require('pyarrow', f'Reading {path}', DatasetError, extra='bulk')
    parquet = require('pyarrow.parquet', f'Reading {path}', DatasetError, extra='bulk')
    with contextlib.ExitStack() as stack:
        source: Any = path
        if is_remote(path):
            filesystem, inner = open_filesystem(path)
            with wrap_io_errors(path):
                source = stack.enter_context(filesystem.open(inner, 'rb'))
        try:
            file = stack.enter_context(parquet.ParquetFile(
                source, buffer_size=_BUFFER_BYTES, pre_buffer=False))
        except (arrow.ArrowException, OSError) as error:
            raise DatasetError(f'{path} cannot be read as Parquet: {error_summary(error)}.'
                               ) from None
        yield file


def _check_column(path: str, schema: Any, name: str) -> None:
    if schema.get_field_index(name) < 0:
        raise DatasetError(f'{path} has no column {name!r}; its columns are '
                           f'{", ".join(schema.names)}.')


def _find_image_column(path: str, schema: Any, name: str | None) -> str:
    """Returns the column of image bytes: a binary column, or `COLUMN.bytes` of a struct column."""
    types = require('pyarrow.types', f'Reading {path}', DatasetError, extra='bulk')

    def is_binary(dtype: Any) -> bool:
        return (types.is_binary(dtype) or types.is_large_binary(dtype)
                or types.is_fixed_size_binary(dtype))

    columns = {}
    for field in schema:
        if types.is_struct(field.type) and field.type.get_field_index('bytes') >= 0:
            if is_binary(field.type.field('bytes').type):
                columns[field.name] = f'{field.name}.bytes'  # Hugging Face's format
        elif is_binary(field.type):
            columns[field.name] = field.name
    if name is not None:
        _check_column(path, schema, name)
        if name not in columns:
            raise DatasetError(f'The column {name!r} of {path} has the type '
                               f'{schema.field(name).type}; give a column of image bytes.')
        return columns[name]
    if not columns:
        raise DatasetError(f'{path} has no column of image bytes.')
    if len(columns) > 1:
        raise DatasetError(f'{path} has several columns of bytes ({", ".join(columns)}); choose '
                           'one with image_column.')
    return next(iter(columns.values()))
