"""CIFAR-10: small photos of ten kinds, from TFRecords on the disk."""

from __future__ import annotations

from inception_slim.legacy.research_slim.datasets._dataset_builder import get_split_of
import tf_slim as slim

_FILE_PATTERN = 'cifar10_%s.tfrecord'
SPLITS_TO_SIZES = {'train': 50000, 'test': 10000}
_NUM_CLASSES = 10
_ITEMS_TO_DESCRIPTIONS = {
    'image': 'A colour image of 32x32.',
    'label': 'A whole number from 0 to 9.',
}

get_split = get_split_of(
    _FILE_PATTERN, SPLITS_TO_SIZES, _NUM_CLASSES, _ITEMS_TO_DESCRIPTIONS,
    image=slim.tfexample_decoder.Image(shape=[32, 32, 3]), image_format='png', label_shape=None)
