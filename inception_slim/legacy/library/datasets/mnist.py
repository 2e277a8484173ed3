"""MNIST: handwritten digits, from TFRecords on the disk."""

from __future__ import annotations

import tf_slim as slim

from inception_slim.legacy.library.datasets.reading import image_dataset

_FILE_PATTERN = 'mnist_%s.tfrecord'
SPLITS_TO_SIZES = {'train': 60000, 'test': 10000}
_NUM_CLASSES = 10
_ITEMS_TO_DESCRIPTIONS = {
    'image': 'A grey image of 28x28.',
    'label': 'A whole number from 0 to 9.',
}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None) -> slim.dataset.Dataset:
    """A split of the dataset.

    Args:
      split_name: 'train' or 'test'.
      dataset_dir: the folder of the TFRecords.
      file_pattern: their names, with `%s` for the split; None for the usual ones.
      reader: of records; None for `tf.TFRecordReader`.

    Raises:
      ValueError: there is no such split.
    """
    return image_dataset(
        split_name, dataset_dir, file_pattern or _FILE_PATTERN, reader,
        sizes=SPLITS_TO_SIZES, num_classes=_NUM_CLASSES, descriptions=_ITEMS_TO_DESCRIPTIONS,
        image=slim.tfexample_decoder.Image(shape=[28, 28, 1], channels=1), image_format='raw')
