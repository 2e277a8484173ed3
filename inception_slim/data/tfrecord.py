"""TFRecords as TF-Slim's tools wrote them: found, counted, written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import os
import re
import struct

from inception_slim.data import filesystem
from inception_slim.data.dataset import Dataset, resolve_split
from inception_slim.data.labels import LABELS, read_labels, write_labels
from inception_slim.errors import DatasetError
import tensorflow.compat.v1 as tf

# flowers_train_00000-of-00005.tfrecord, mnist_train.tfrecord, and ImageNet's train-00000-of-01024.
RECORD_FILE = re.compile(
    r'(?:.+_)?(?P<split>[A-Za-z][^_]*?)'
    r'(?:[_-](?P<shard>\d+)-of-(?P<shards>\d+)(?:\.tfrecords?)?|\.tfrecords?)')


def open_tfrecords(path: str, records: dict[str, re.Match], split: str | None,
                 part: tuple[int, int] = (0, 1)) -> Dataset:
    splits = sorted({match['split'] for match in records.values()})
    split = resolve_split(path, splits, split)
    chosen = {name: match for name, match in records.items() if match['split'] == split}
    sharded = [match for match in chosen.values() if match['shards']]
    if sharded:
        total = int(sharded[0]['shards'])
        missing = set(range(total)) - {int(match['shard']) for match in sharded}
        if missing:
            raise DatasetError(f'{path} holds {len(sharded)} of the {total} files of {split!r}: '
                               f'number {min(missing)} is missing; put it beside the others.')
    labels = os.path.join(path, LABELS)
    if not filesystem.is_file(labels):
        raise DatasetError(f'{labels} is missing; write the name of each class into it, in lines '
                           'like 0:daisy.')
    files = [os.path.join(path, name) for name in sorted(chosen)]
    index, count = part
    counts = [_count_records(file) if number % count == index else 0
              for number, file in enumerate(files)]
    if count == 1 and not sum(counts):
        raise DatasetError(f'The TFRecords of {split!r} in {path} hold no records; write them '
                           'again.')
    return Dataset(path, 'tfrecord', files, read_labels(labels), sum(counts), counts=counts)


def scan_record_lengths(file: str) -> tuple[int, int]:
    """How many records begin in a file, and where the last of them says that it ends."""
    count, position, size = 0, 0, filesystem.size(file)
    with filesystem.open_binary(file) as opened:
        while position < size:
            opened.seek(position)
            head = opened.read(12)  # the length, and its checksum
            position += 16 + struct.unpack('<Q', head[:8].ljust(8, b'\xff'))[0]
            count += 1
    return count, position


def _count_records(file: str) -> int:
    """How many records a whole file holds."""
    try:
        size = filesystem.size(file)
        count, end = scan_record_lengths(file)
    except OSError as error:
        raise DatasetError(f'{file} cannot be read: {error.strerror}.') from None
    if end != size:
        raise DatasetError(f'{file} is no TFRecord file, or one cut short after '
                           f'{max(0, count - 1)} records; copy it again.')
    return count


def write_tfrecords(
        folder: str | os.PathLike,
        name: str,
        split: str,
        examples: Iterable[tuple[bytes, int]],
        class_names: Sequence[str],
        *,
        num_shards: int = 1) -> list[str]:
    """Writes images as TF-Slim's tools did; returns the files.

    Args:
      folder: where to; made if it is not there.
      name: of the dataset, as in `NAME_SPLIT_00000-of-00005.tfrecord`.
      split: such as 'train' or 'validation'.
      examples: the bytes of an encoded image, and its label.
      class_names: for `labels.txt`.
      num_shards: how many files.
    """
    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, f'{name}_{split}_{shard:05d}-of-{num_shards:05d}.tfrecord')
             for shard in range(num_shards)]
    writers = [tf.io.TFRecordWriter(file) for file in files]
    for number, (encoded, label) in enumerate(examples):
        values = {
            'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
            'image/format': tf.train.Feature(bytes_list=tf.train.BytesList(
                value=[_format(encoded)])),
            'image/class/label': tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
        example = tf.train.Example(features=tf.train.Features(feature=values))
        writers[number % num_shards].write(example.SerializeToString())
    for writer in writers:
        writer.close()
    write_labels(os.path.join(folder, LABELS), class_names)
    return files


def _format(encoded: bytes) -> bytes:
    for start, found in ((b'\xff\xd8', b'jpg'), (b'\x89PNG', b'png'), (b'GIF', b'gif'),
                         (b'BM', b'bmp'), (b'RIFF', b'webp')):
        if encoded.startswith(start):
            return found
    return b'raw'
