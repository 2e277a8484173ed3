"""How any of the datasets is read: sizes and keys in, a `slim.dataset.Dataset` out."""

from __future__ import annotations

import os
from collections.abc import Mapping

import tensorflow.compat.v1 as tf
import tf_slim as slim

from inception_slim.legacy.library.datasets import dataset_utils


def image_dataset(split_name: str, dataset_dir: str, file_pattern: str, reader, *,
                  sizes: Mapping[str, int], num_classes: int, descriptions: Mapping[str, str],
                  image: slim.tfexample_decoder.ItemHandler,
                  image_format: str, label_shape: tuple | None = ()) -> slim.dataset.Dataset:
    """A dataset of images with a class each.

    Args:
      split_name: one of `sizes`.
      dataset_dir: the folder of the TFRecords.
      file_pattern: their names, with `%s` for the split.
      reader: of records; None for `tf.TFRecordReader`.
      sizes: the images of each split.
      num_classes: how many classes there are.
      descriptions: what the items are.
      image: the handler of the image.
      image_format: of an example that does not say its own.
      label_shape: of the label; None leaves it to the example.

    Raises:
      ValueError: there is no such split.
    """
    if split_name not in sizes:
        raise ValueError(f'split name {split_name} was not recognized; known are '
                         f'{", ".join(sizes)}.')
    keys = {
        'image/encoded': tf.FixedLenFeature((), tf.string, default_value=''),
        'image/format': tf.FixedLenFeature((), tf.string, default_value=image_format),
        'image/class/label': tf.FixedLenFeature(
            [], tf.int64, default_value=tf.zeros([], dtype=tf.int64)),
    }
    label = slim.tfexample_decoder.Tensor('image/class/label', shape=label_shape)
    names = None
    if dataset_utils.has_labels(dataset_dir):
        names = dataset_utils.read_label_file(dataset_dir)
    return slim.dataset.Dataset(
        data_sources=os.path.join(dataset_dir, file_pattern % split_name),
        reader=reader or tf.TFRecordReader,
        decoder=slim.tfexample_decoder.TFExampleDecoder(keys, {'image': image, 'label': label}),
        num_samples=sizes[split_name], items_to_descriptions=dict(descriptions),
        num_classes=num_classes, labels_to_names=names)
