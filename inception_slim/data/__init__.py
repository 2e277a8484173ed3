"""Datasets (TFRecords or image folders), input pipelines, preprocessing and class names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim._lazy import lazy_exports

if TYPE_CHECKING:
    from inception_slim.data.dataset import (
        Dataset as Dataset,
        has_tfrecords as has_tfrecords,
        open_dataset as open_dataset,
    )
    from inception_slim.data.image_folder import SUFFIXES as SUFFIXES, image_files as image_files
    from inception_slim.data.image_reader import read_batches as read_batches
    from inception_slim.data.input_pipeline import (
        as_numpy_batches as as_numpy_batches,
        batches as batches,
        count_labels as count_labels,
        decode as decode,
        image_batches as image_batches,
        reraise_dataset_errors as reraise_dataset_errors,
    )
    from inception_slim.data.labels import (
        IMAGENET as IMAGENET,
        LABELS as LABELS,
        find_labels_file as find_labels_file,
        imagenet_classes as imagenet_classes,
        inception_2015_labels as inception_2015_labels,
        read_labels as read_labels,
        write_labels as write_labels,
    )
    from inception_slim.data.name_list import read_names as read_names
    from inception_slim.data.tfrecord import write_tfrecords as write_tfrecords
    from inception_slim.errors import DatasetError as DatasetError
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, {
        'dataset': 'Dataset has_tfrecords open_dataset',
        'image_folder': 'SUFFIXES image_files',
        'image_reader': 'read_batches',
        'input_pipeline': (
            'as_numpy_batches batches count_labels decode image_batches '
            'reraise_dataset_errors'),
        'labels': (
            'IMAGENET LABELS find_labels_file imagenet_classes inception_2015_labels '
            'read_labels write_labels'),
        'name_list': 'read_names',
        'tfrecord': 'write_tfrecords',
        'inception_slim.errors': 'DatasetError',
    })
