"""Finding what a folder of data holds."""

from __future__ import annotations

import os
import re

from inception_slim.data import filesystem
from inception_slim.data.dataset import Dataset, list_visible
from inception_slim.data.image_folder import open_image_folder
from inception_slim.data.tfrecord import RECORD_FILE, open_tfrecords
from inception_slim.errors import DatasetError


def open_dataset(path: str | os.PathLike, split: str | None = None, *,
                 part: tuple[int, int] = (0, 1)) -> Dataset:
    """Finds the images, labels and class names in a folder.

    Args:
      path: a folder of TFRecords as TF-Slim's tools wrote them (`flowers_train_00000-of-00005
        .tfrecord` and so on, with `labels.txt`), or a folder with one sub-folder a class, whose
        names in sorted order are the classes. Here, or behind a scheme that `tf.io.gfile` knows.
      split: which part to take, such as 'train' or 'validation'; of class folders, the sub-folder
        that holds them. Needed where there is more than one.
      part: `(index, count)` counts the records of this share of the files alone; the others have
        0 of them.

    Raises:
      DatasetError: the folder is missing, empty, incomplete, or has no such split.

    Example:
      >>> from inception_slim import data
      >>> dataset = data.open_dataset('tests/golden/legacy_scripts', split='validation')
      >>> dataset.kind, dataset.num_classes, dataset.num_examples
      ('tfrecord', 5, 25)
    """
    path = os.fspath(path)
    try:
        there = filesystem.is_dir(path)
        what = 'is a file' if not there and filesystem.exists(path) else 'does not exist'
    except OSError as error:
        raise DatasetError(f'{path} cannot be read: {error.strerror}.') from None
    if not there:
        raise DatasetError(f'{path} {what}; give a folder of TFRecords, or one with a sub-folder '
                           'for each class.')
    records = _records_in(path)
    if records:
        return open_tfrecords(path, records, split, part)
    return open_image_folder(path, list_visible(path), split)


def has_tfrecords(path: str | os.PathLike) -> bool:
    """Whether a folder is one of TFRecords, named as TF-Slim's tools name them."""
    return bool(_records_in(os.fspath(path)))


def _records_in(path: str) -> dict[str, re.Match]:
    return {name: match for name in list_visible(path) if (match := RECORD_FILE.fullmatch(name))
            and filesystem.is_file(os.path.join(path, name))}
