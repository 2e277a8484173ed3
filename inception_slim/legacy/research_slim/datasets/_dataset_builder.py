"""The datasets of research/slim as one table, and the `get_split` that reads any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
from typing import Any

from inception_slim.legacy.research_slim.datasets import dataset_utils
import tensorflow.compat.v1 as tf
import tf_slim as slim

_decoder = slim.tfexample_decoder


@dataclass(frozen=True)
class ImageDataset:
    """A dataset of images with one class each, in TFRecords.

    Attributes:
      file_pattern: default file names, with `%s` for the split.
      splits_to_sizes: number of images in each split.
      num_classes: number of classes.
      descriptions: description of each item.
      image: handler that decodes the image.
      image_format: format of examples without 'image/format'.
      label_shape: shape of the label; None leaves it as it is in the example.
      keys: features of an example besides the image; by default an int64 'image/class/label'.
      items: items of an example besides the image and the label.
    """

    file_pattern: str
    splits_to_sizes: Mapping[str, int]
    num_classes: int
    descriptions: Mapping[str, str]
    image: slim.tfexample_decoder.ItemHandler
    image_format: str
    label_shape: tuple | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    items: Mapping[str, slim.tfexample_decoder.ItemHandler] = field(default_factory=dict)

    def get_split(self, split_name, dataset_dir, file_pattern=None,
                  reader=None) -> slim.dataset.Dataset:
        """Return a split of the dataset.

        Args:
          split_name: a key of `splits_to_sizes`.
          dataset_dir: folder with the TFRecords.
          file_pattern: file names, with `%s` for the split; None for the default names.
          reader: reader of the records; None for `tf.TFRecordReader`.

        Raises:
          ValueError: there is no such split.
        """
        if split_name not in self.splits_to_sizes:
            raise ValueError(f'split name {split_name} was not recognized; known splits: '
                             f'{", ".join(self.splits_to_sizes)}.')
        names = None
        if dataset_utils.has_labels(dataset_dir):
            names = dataset_utils.read_label_file(dataset_dir)
        keys = {
            'image/encoded': tf.FixedLenFeature((), tf.string, default_value=''),
            'image/format': tf.FixedLenFeature((), tf.string, default_value=self.image_format),
            **(self.keys or {'image/class/label': tf.FixedLenFeature(
                [], tf.int64, default_value=tf.zeros([], dtype=tf.int64))}),
        }
        items = {'image': self.image,
                 'label': _decoder.Tensor('image/class/label', shape=self.label_shape),
                 **self.items}
        pattern = (file_pattern or self.file_pattern) % split_name
        return slim.dataset.Dataset(
            data_sources=os.path.join(dataset_dir, pattern), reader=reader or tf.TFRecordReader,
            decoder=_decoder.TFExampleDecoder(keys, items),
            num_samples=self.splits_to_sizes[split_name],
            items_to_descriptions=dict(self.descriptions), num_classes=self.num_classes,
            labels_to_names=names)


DATASETS = {
    'cifar10': ImageDataset(
        file_pattern='cifar10_%s.tfrecord', splits_to_sizes={'train': 50000, 'test': 10000},
        num_classes=10,
        descriptions={'image': 'A color image of 32x32 pixels.',
                      'label': 'An integer between 0 and 9.'},
        image=_decoder.Image(shape=[32, 32, 3]), image_format='png'),
    'flowers': ImageDataset(
        file_pattern='flowers_%s_*.tfrecord', splits_to_sizes={'train': 3320, 'validation': 350},
        num_classes=5,
        descriptions={'image': 'A color image of varying size.',
                      'label': 'An integer between 0 and 4.'},
        image=_decoder.Image(), image_format='png'),
    'imagenet': ImageDataset(
        file_pattern='%s-*', splits_to_sizes={'train': 1281167, 'validation': 50000},
        num_classes=1001,
        descriptions={'image': 'A color image of varying size.',
                      'label': 'An integer between 1 and 1000; 0 is the background class.',
                      'label_text': 'The name of the class.',
                      'object/bbox': 'A list of bounding boxes.',
                      'object/label': 'A list of classes, one per bounding box.'},
        image=_decoder.Image(), image_format='jpeg',
        keys={
            'image/class/label': tf.FixedLenFeature([], dtype=tf.int64, default_value=-1),
            'image/class/text': tf.FixedLenFeature([], dtype=tf.string, default_value=''),
            **{f'image/object/bbox/{side}': tf.VarLenFeature(dtype=tf.float32)
               for side in ('xmin', 'ymin', 'xmax', 'ymax')},
            'image/object/class/label': tf.VarLenFeature(dtype=tf.int64),
        },
        items={
            'label_text': _decoder.Tensor('image/class/text'),
            'object/bbox': _decoder.BoundingBox(['ymin', 'xmin', 'ymax', 'xmax'],
                                                'image/object/bbox/'),
            'object/label': _decoder.Tensor('image/object/class/label'),
        }),
    'mnist': ImageDataset(
        file_pattern='mnist_%s.tfrecord', splits_to_sizes={'train': 60000, 'test': 10000},
        num_classes=10,
        descriptions={'image': 'A grayscale image of 28x28 pixels.',
                      'label': 'An integer between 0 and 9.'},
        image=_decoder.Image(shape=[28, 28, 1], channels=1), image_format='raw', label_shape=()),
}
