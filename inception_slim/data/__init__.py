"""Images from TFRecords of TF-Slim's tools, or from plain folders, as batches for a network."""

from inception_slim.data.batches import arrays, batches, decode, errors_named, image_batches
from inception_slim.data.dataset import Dataset
from inception_slim.data.folders import SUFFIXES, image_files
from inception_slim.data.labels import (
    IMAGENET,
    LABELS,
    imagenet_classes,
    labels_beside,
    labels_of_2015,
    read_labels,
)
from inception_slim.data.opening import holds_records, open_dataset
from inception_slim.data.records import write_tfrecords
from inception_slim.errors import DatasetError

__all__ = [
    'IMAGENET', 'LABELS', 'SUFFIXES', 'Dataset', 'DatasetError', 'arrays', 'batches', 'decode',
    'errors_named', 'holds_records', 'image_batches', 'image_files', 'imagenet_classes',
    'labels_beside', 'labels_of_2015', 'open_dataset', 'read_labels', 'write_tfrecords',
]
