"""The flowers dataset: photos of five kinds, from TFRecords on the disk."""

from __future__ import annotations

from inception_slim.legacy.research_slim.datasets._dataset_builder import get_split_of
import tf_slim as slim

_FILE_PATTERN = 'flowers_%s_*.tfrecord'
SPLITS_TO_SIZES = {'train': 3320, 'validation': 350}
_NUM_CLASSES = 5
_ITEMS_TO_DESCRIPTIONS = {
    'image': 'A colour image of any size.',
    'label': 'A whole number from 0 to 4.',
}

get_split = get_split_of(
    _FILE_PATTERN, SPLITS_TO_SIZES, _NUM_CLASSES, _ITEMS_TO_DESCRIPTIONS,
    image=slim.tfexample_decoder.Image(), image_format='png', label_shape=None)
