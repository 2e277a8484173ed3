"""ImageNet of 2012, from TFRecords on the disk: a thousand classes, and background."""

from __future__ import annotations

from inception_slim.legacy.research_slim.datasets._dataset_builder import dataset
import tensorflow.compat.v1 as tf
import tf_slim as slim

_FILE_PATTERN = '%s-*'
_SPLITS_TO_SIZES = {'train': 1281167, 'validation': 50000}
_NUM_CLASSES = 1001
_ITEMS_TO_DESCRIPTIONS = {
    'image': 'A colour image of any size.',
    'label': 'The class, a whole number from 1 to 1000; 0 is background.',
    'label_text': 'The name of the class.',
    'object/bbox': 'A list of boxes.',
    'object/label': 'A list of classes, one a box.',
}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None) -> slim.dataset.Dataset:
    """A split of the dataset.

    Args:
      split_name: 'train' or 'validation'.
      dataset_dir: the folder of the TFRecords.
      file_pattern: their names, with `%s` for the split; None for the usual ones.
      reader: of records; None for `tf.TFRecordReader`.

    Raises:
      ValueError: there is no such split.
    """
    keys = {
        'image/encoded': tf.FixedLenFeature((), tf.string, default_value=''),
        'image/format': tf.FixedLenFeature((), tf.string, default_value='jpeg'),
        'image/class/label': tf.FixedLenFeature([], dtype=tf.int64, default_value=-1),
        'image/class/text': tf.FixedLenFeature([], dtype=tf.string, default_value=''),
        **{f'image/object/bbox/{side}': tf.VarLenFeature(dtype=tf.float32)
           for side in ('xmin', 'ymin', 'xmax', 'ymax')},
        'image/object/class/label': tf.VarLenFeature(dtype=tf.int64),
    }
    decoder = slim.tfexample_decoder
    items = {
        'image': decoder.Image('image/encoded', 'image/format'),
        'label': decoder.Tensor('image/class/label'),
        'label_text': decoder.Tensor('image/class/text'),
        'object/bbox': decoder.BoundingBox(['ymin', 'xmin', 'ymax', 'xmax'],
                                           'image/object/bbox/'),
        'object/label': decoder.Tensor('image/object/class/label'),
    }
    return dataset(split_name, dataset_dir, file_pattern or _FILE_PATTERN, reader,
                   sizes=_SPLITS_TO_SIZES, num_classes=_NUM_CLASSES,
                   descriptions=_ITEMS_TO_DESCRIPTIONS, keys=keys, items=items)
