"""Helpers for the datasets of research/slim: features of examples, and label files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import contextlib
import os

import tensorflow.compat.v1 as tf

LABELS_FILENAME = 'labels.txt'


def _as_list(values) -> Sequence:
    return values if isinstance(values, (tuple, list)) else [values]


def int64_feature(values) -> tf.train.Feature:
    """Return an int64 feature of a number or a list of numbers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_as_list(values)))


def float_feature(values) -> tf.train.Feature:
    """Return a float feature of a number or a list of numbers."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=_as_list(values)))


def bytes_list_feature(values) -> tf.train.Feature:
    """Return a bytes feature of a value or a list of values."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=_as_list(values)))


float_list_feature = float_feature


def bytes_feature(values: bytes | str) -> tf.train.Feature:
    """Return a bytes feature; str is encoded, as Python 2 scripts pass it."""
    if isinstance(values, str):
        values = values.encode()
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[values]))


def image_to_tfexample(image_data: bytes, image_format: bytes | str, height: int, width: int,
                       class_id: int) -> tf.train.Example:
    """Return the example of an encoded image and its class."""
    return tf.train.Example(features=tf.train.Features(feature={
        'image/encoded': bytes_feature(image_data),
        'image/format': bytes_feature(image_format),
        'image/class/label': int64_feature(class_id),
        'image/height': int64_feature(height),
        'image/width': int64_feature(width),
    }))


def write_label_file(labels_to_class_names: Mapping[int, str], dataset_dir: str,
                     filename: str = LABELS_FILENAME) -> None:
    """Write the class names, in lines such as `0:daisy`."""
    with tf.gfile.Open(os.path.join(dataset_dir, filename), 'w') as file:
        for label, name in labels_to_class_names.items():
            file.write(f'{label}:{name}\n')


def has_labels(dataset_dir: str, filename: str = LABELS_FILENAME) -> bool:
    """Return whether a dataset has a label file."""
    return tf.gfile.Exists(os.path.join(dataset_dir, filename))


def read_label_file(dataset_dir: str, filename: str = LABELS_FILENAME) -> dict[int, str]:
    """Read the class names by class number."""
    with tf.gfile.Open(os.path.join(dataset_dir, filename), 'r') as file:
        lines = filter(None, file.read().split('\n'))
        pairs = (line.split(':', 1) for line in lines)
        return {int(number): name for number, name in pairs}


def open_sharded_output_tfrecords(exit_stack: contextlib.ExitStack, base_path: str,
                                  num_shards: int) -> list[tf.python_io.TFRecordWriter]:
    """Open a writer for each shard of a dataset; `exit_stack` closes them."""
    return [exit_stack.enter_context(tf.python_io.TFRecordWriter(
        f'{base_path}-{shard:05d}-of-{num_shards:05d}')) for shard in range(num_shards)]
