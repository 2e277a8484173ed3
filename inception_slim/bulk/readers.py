"""The encoded images of a piece, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import dataclass
import itertools
import os
import tempfile
from typing import TypeVar

from inception_slim.bulk import parquet_reader
from inception_slim.bulk.sources import WorkUnit
from inception_slim.data.filesystem import (
    is_remote,
    open_filesystem,
    read_url,
    wrap_io_errors,
)
from inception_slim.data.tfrecord import scan_record_lengths
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

_Item = TypeVar('_Item')
_AHEAD = 32  # images that are read ahead of their use from a file that holds many
_ENCODED = 'image/encoded'


@dataclass(frozen=True)
class Example:
    """An image that is still encoded.

    Attributes:
      name: its file; of a record or row, `FILE#NUMBER`.
      encoded: its bytes, where they have been read; else they are those of the file.
      damage: why it has none.
      listed: whether the file was there when the sources were listed.
    """

    name: str
    encoded: bytes | None = None
    damage: str | None = None
    listed: bool = True


class UnreadableImage(Exception):
    """An image cannot be used; its argument says why."""


def read_examples(piece: WorkUnit, folder: str) -> Iterator[Example]:
    """The images of a piece, good and bad, in their order.

    Args:
      folder: where paths that do not begin at the root begin.

    Raises:
      DatasetError: a file of many images cannot be read at all.
    """
    if piece['kind'] == 'files':
        for name, size in piece['files']:
            yield Example(name, listed=size is not None)
        return
    path = resolve_path(piece['file'], folder)
    found = _records(path, piece['file']) if piece['kind'] == 'tfrecord' else _rows(path, piece)
    yield from _prefetch(found, _AHEAD)


def resolve_path(name: str, folder: str) -> str:
    return name if is_remote(name) else os.path.join(folder, name)


def read_bytes(example: Example, folder: str) -> bytes:
    """The bytes of an image.

    Raises:
      Damaged: it has none.
      DatasetError: they cannot be read now, which says nothing of the image.
    """
    if example.damage is not None:
        raise UnreadableImage(example.damage)
    if example.encoded is not None:
        return example.encoded
    try:
        if is_remote(example.name):
            return read_url(example.name)
        with open(os.path.join(folder, example.name), 'rb') as file:
            return file.read()
    except FileNotFoundError:
        if example.listed:
            raise DatasetError(
                f'{example.name} is no longer there, or not on every host; put it back, or where '
                'each host sees it, and give the same command again.') from None
        raise UnreadableImage('it does not exist') from None
    except PermissionError as error:
        raise UnreadableImage(error.strerror or 'it may not be read') from None
    except OSError as error:
        raise DatasetError(f'{example.name} cannot be read: {error.strerror or error}.') from None


def _rows(path: str, piece: WorkUnit) -> Iterator[Example]:
    for name, image in parquet_reader.read_rows(path, piece):
        yield Example(name, image, None if image else 'its row has no bytes')


def _records(path: str, name: str) -> Iterator[Example]:
    with _local_copy(path) as file:
        count = 0
        with tf.Graph().as_default() as graph:
            following = tf.data.make_one_shot_iterator(
                tf.data.TFRecordDataset(_bytes(file))).get_next()
        with tf.Session(graph=graph) as session:
            fetch = session.make_callable(following)
            while True:
                try:
                    record = fetch()
                except tf.errors.OutOfRangeError:
                    return
                except tf.errors.OpError:
                    break
                yield _of_record(record, f'{name}#{count}')
                count += 1
        # Where one is, cannot be trusted to say where the next is; but how many there seem to be.
        for number in range(count, max(count + 1, scan_record_lengths(file)[0])):
            yield Example(f'{name}#{number}', damage='the file is damaged here, or before it')


def _bytes(file: str) -> bytes:
    return os.fsencode(file)  # a file name need not be text


def _of_record(record: bytes, name: str) -> Example:
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf has an error of its own
        return Example(name, damage='the record is no tf.train.Example')
    values = feature[_ENCODED].bytes_list.value if _ENCODED in feature else []
    if not values:
        return Example(name, damage=f'the record has no {_ENCODED}')
    return Example(name, values[0])


@contextlib.contextmanager
def _local_copy(path: str) -> Iterator[str]:
    """A file that TensorFlow can open: one from elsewhere is fetched for as long as it is read."""
    if not is_remote(path):
        if not os.path.isfile(path):
            raise DatasetError(f'{path} is no longer there, or not on every host; put it where '
                               'each host sees it, and give the same command again.')
        yield path
        return
    opened, inner = open_filesystem(path)
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, 'records')
        with wrap_io_errors(path):
            opened.get_file(inner, file)
        yield file


def _prefetch(items: Iterable[_Item], count: int) -> Iterator[_Item]:
    """The items, up to so many of them made in a thread of their own while others are used."""
    iterator = iter(items)

    def some() -> list[_Item]:
        return list(itertools.islice(iterator, count))

    with ThreadPoolExecutor(1, 'inception_slim') as reader:
        following = reader.submit(some)
        while chunk := following.result():
            following = reader.submit(some)
            yield from chunk
