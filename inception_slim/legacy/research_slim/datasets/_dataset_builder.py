"""How any of the datasets is read: sizes and keys in, a `slim.dataset.Dataset` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from typing import Any

from inception_slim.legacy.research_slim.datasets import dataset_utils
import tensorflow.compat.v1 as tf
import tf_slim as slim


def dataset(split_name: str, dataset_dir: str, file_pattern: str, reader: Any, *,
            sizes: Mapping[str, int], num_classes: int, descriptions: Mapping[str, str],
            keys: Mapping[str, Any],
            items: Mapping[str, slim.tfexample_decoder.ItemHandler]) -> slim.dataset.Dataset:
    """A dataset of TFRecords on the disk.

    Args:
      split_name: one of `sizes`.
      dataset_dir: the folder of the TFRecords.
      file_pattern: their names, with `%s` for the split.
      reader: of records; None for `tf.TFRecordReader`.
      sizes: the images of each split.
      num_classes: how many classes there are.
      descriptions: what the items are.
      keys: the features of a record.
      items: what is made of them.

    Raises:
      ValueError: there is no such split.
    """
    if split_name not in sizes:
        raise ValueError(f'split name {split_name} was not recognized; known are '
                         f'{", ".join(sizes)}.')
    names = None
    if dataset_utils.has_labels(dataset_dir):
        names = dataset_utils.read_label_file(dataset_dir)
    return slim.dataset.Dataset(
        data_sources=os.path.join(dataset_dir, file_pattern % split_name),
        reader=reader or tf.TFRecordReader,
        decoder=slim.tfexample_decoder.TFExampleDecoder(dict(keys), dict(items)),
        num_samples=sizes[split_name], items_to_descriptions=dict(descriptions),
        num_classes=num_classes, labels_to_names=names)


def get_split_of(usual_pattern: str, sizes: Mapping[str, int], num_classes: int,
                 descriptions: Mapping[str, str], image: slim.tfexample_decoder.ItemHandler,
                 image_format: str, label_shape: tuple | None = ()) -> Callable:
    """The `get_split` of a dataset of images with a class each.

    Args:
      usual_pattern: the names of its files, with `%s` for the split.
      sizes: the images of each split.
      num_classes: how many classes there are.
      descriptions: what the items are.
      image: the handler of the image.
      image_format: of an example that does not say its own.
      label_shape: of the label; None leaves it to the example.
    """
    def get_split(split_name, dataset_dir, file_pattern=None, reader=None) -> slim.dataset.Dataset:
        """A split of the dataset.

        Args:
          split_name: one of `SPLITS_TO_SIZES`.
          dataset_dir: the folder of the TFRecords.
          file_pattern: their names, with `%s` for the split; None for the usual ones.
          reader: of records; None for `tf.TFRecordReader`.

        Raises:
          ValueError: there is no such split.
        """
        keys = {
            'image/encoded': tf.FixedLenFeature((), tf.string, default_value=''),
            'image/format': tf.FixedLenFeature((), tf.string, default_value=image_format),
            'image/class/label': tf.FixedLenFeature(
                [], tf.int64, default_value=tf.zeros([], dtype=tf.int64)),
        }
        label = slim.tfexample_decoder.Tensor('image/class/label', shape=label_shape)
        return dataset(split_name, dataset_dir, file_pattern or usual_pattern, reader, sizes=sizes,
                       num_classes=num_classes, descriptions=descriptions, keys=keys,
                       items={'image': image, 'label': label})

    return get_split
