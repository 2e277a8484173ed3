"""Reports unreadable images, images with frames, and wrong labels of a stream of images."""

from __future__ import annotations

import re
import warnings

from inception_slim.data.image_formats import DAMAGED, FIRST_FRAME
from inception_slim.data.labels import LABELS
from inception_slim.errors import DatasetError
import numpy as np


class ImageReport:
    """Reports what is wrong with images; each warning is given once.

    Args:
      total: the number of images; an error is raised once all are unreadable.
      strict: raise an error for an unreadable image.
      unreadable: a list to which the name of each unreadable image is added once.
      num_classes: the number of classes; None if there are no labels.
      path: the dataset, for the error message.
      multi_label: whether a label is a 0 or 1 for each class.
    """

    def __init__(self, total: int, strict: bool, unreadable: list[str] | None,
                 num_classes: int | None = None, path: str = '', multi_label: bool = False):
        self._total, self._strict, self._unreadable = total, strict, unreadable
        self._num_classes, self._path, self._multi_label = num_classes, path, multi_label
        self._reported: set[str] = set()
        self._warnings: set[str] = set()  # without numbers, so that each is given once

    def add_unreadable(self, name: str, problem: str) -> None:
        """Reports that an image cannot be read.

        Raises:
          DatasetError: the report is strict, or all images are unreadable.
        """
        if self._strict:
            raise DatasetError(f'{name} is unreadable: {problem}. Replace it, or leave out strict '
                               'to skip such images.')
        if name in self._reported:
            return
        self._reported.add(name)
        if self._unreadable is not None:
            self._unreadable.append(name)
        # Otherwise a repeated dataset would be searched for a readable image without end.
        if len(self._reported) == self._total:
            raise DatasetError(f'None of the {self._total} images can be read, the last is {name}: '
                               f'{problem}; give JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF files.')
        if problem != DAMAGED:
            self._warn(f'{name} is skipped: {problem}.', problem)

    def add_frames(self, name: str) -> None:
        """Reports that frames or pages follow the first one of an image."""
        self._warn(f'{name} {FIRST_FRAME}.', FIRST_FRAME)

    def check_label(self, name: str, label: int | np.integer | np.ndarray) -> None:
        """Raises a DatasetError if the label of an image is out of range."""
        if self._multi_label:
            if not np.isin(label, (0, 1)).all():
                raise DatasetError(f'{name} has a label that is neither 0 nor 1; write a 0 or 1 '
                                   'for each class.')
        elif self._num_classes is not None and not 0 <= label < self._num_classes:
            raise DatasetError(
                f'{name} has the label {label}, but {self._path} has {self._num_classes} classes, '
                f'0 to {self._num_classes - 1}; correct the record, or {LABELS}.')

    def _warn(self, message: str, problem: str) -> None:
        """Gives a warning, unless there was one of the same problem, whatever its numbers."""
        key = re.sub(r'[\d,]', '', problem)
        if key not in self._warnings:
            self._warnings.add(key)
            warnings.warn(message, stacklevel=3)
