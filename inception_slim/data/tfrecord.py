"""TFRecord files in the format of TF-Slim's tools: names, number of records, writing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import contextlib
import os
import re
import struct

from inception_slim.data import filesystem
from inception_slim.data.labels import LABELS, write_labels
from inception_slim.errors import DatasetError
import numpy as np

# flowers_train_00000-of-00005.tfrecord, mnist_train.tfrecord, and ImageNet's train-00000-of-01024.
RECORD_FILE = re.compile(
    r'(?:.+_)?(?P<split>[A-Za-z][^_]*?)'
    r'(?:[_-](?P<shard>\d+)-of-(?P<shards>\d+)(?:\.tfrecords?)?|\.tfrecords?)')
LABEL_FEATURE = 'image/class/label'
_SIGNATURES = {b'\xff\xd8': b'jpg', b'\x89PNG': b'png', b'GIF': b'gif', b'BM': b'bmp',
               b'RIFF': b'webp'}


def scan_record_lengths(path: str) -> tuple[int, int]:
    """Returns the number of records that start in a file, and the declared end of the last one."""
    count, position, size = 0, 0, filesystem.size(path)
    with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
        while position < size:
            file.seek(position)
            header = file.read(12)  # the length and its checksum
            # A header that is cut short declares an end far behind that of the file.
            position += 16 + struct.unpack('<Q', header[:8].ljust(8, b'\xff'))[0]
            count += 1
    return count, position


def count_records(path: str) -> int:
    """Counts the records of a file.

    Raises:
      DatasetError: it cannot be read, is cut short, or is not a TFRecord file.
    """
    count, end = scan_record_lengths(path)
    if end != filesystem.size(path):
        raise DatasetError(f'{path} is not a TFRecord file, or is cut short after '
                           f'{max(0, count - 1)} records; copy it again.')
    return count


def count_labels_of_record(files: Iterable[str]) -> int:
    """The number of values of `image/class/label` in the first record of a file; 1 without any."""
    from google.protobuf.message import DecodeError
    import tensorflow as tf

    for path in files:
        with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
            header = file.read(12)
            record = file.read(struct.unpack('<Q', header[:8])[0]) if len(header) == 12 else b''
        # A damaged record is reported when the images are read.
        with contextlib.suppress(DecodeError):
            features = tf.train.Example.FromString(record).features.feature
            if count := len(features[LABEL_FEATURE].int64_list.value):
                return count
    return 1


def write_tfrecords(
        folder: str | os.PathLike,
        name: str,
        split: str,
        examples: Iterable[tuple[bytes, int | Sequence[int]]],
        class_names: Sequence[str],
        *,
        num_shards: int = 1) -> list[str]:
    """Writes images as TFRecords, and `labels.txt`, in the format of TF-Slim's tools.

    Args:
      folder: where to write; it is created if necessary.
      name: the name of the dataset, as in `NAME_SPLIT_00000-of-00005.tfrecord`.
      split: the split, such as 'train' or 'validation'.
      examples: `(encoded image, label)` of each example; a label is a number, or for a multi-label
        dataset a 0 or 1 for each class.
      class_names: the class names, for `labels.txt`.
      num_shards: the number of files.

    Returns:
      The paths of the TFRecord files.
    """
    import tensorflow as tf

    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, f'{name}_{split}_{shard:05d}-of-{num_shards:05d}.tfrecord')
             for shard in range(num_shards)]
    writers = [tf.io.TFRecordWriter(file) for file in files]
    for number, (encoded, label) in enumerate(examples):
        values = {
            'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
            'image/format': tf.train.Feature(bytes_list=tf.train.BytesList(
                value=[_image_format(encoded)])),
            LABEL_FEATURE: tf.train.Feature(int64_list=tf.train.Int64List(
                value=np.atleast_1d(label)))}
        example = tf.train.Example(features=tf.train.Features(feature=values))
        writers[number % num_shards].write(example.SerializeToString())
    for writer in writers:
        writer.close()
    write_labels(os.path.join(folder, LABELS), class_names)
    return files


def _image_format(encoded: bytes) -> bytes:
    return next((name for signature, name in _SIGNATURES.items()
                 if encoded.startswith(signature)), b'raw')
