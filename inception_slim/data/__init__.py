"""Images from TFRecords of TF-Slim's tools, or from plain folders, as batches for a network."""

from inception_slim.data.dataset import Dataset
from inception_slim.data.image_folder import SUFFIXES, image_files
from inception_slim.data.input_pipeline import (
    as_numpy_batches,
    batches,
    decode,
    image_batches,
    reraise_dataset_errors,
)
from inception_slim.data.labels import (
    IMAGENET,
    LABELS,
    find_labels_file,
    imagenet_classes,
    inception_2015_labels,
    read_labels,
)
from inception_slim.data.opening import has_tfrecords, open_dataset
from inception_slim.data.tfrecord import write_tfrecords
from inception_slim.errors import DatasetError

__all__ = [
    'IMAGENET',
    'LABELS',
    'SUFFIXES',
    'Dataset',
    'DatasetError',
    'as_numpy_batches',
    'batches',
    'decode',
    'reraise_dataset_errors',
    'has_tfrecords',
    'image_batches',
    'image_files',
    'imagenet_classes',
    'find_labels_file',
    'inception_2015_labels',
    'open_dataset',
    'read_labels',
    'write_tfrecords',
]
