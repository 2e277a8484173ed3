"""The confusion matrix as a CSV table or a PNG plot."""

from __future__ import annotations

import os
from typing import BinaryIO

from inception_slim import _optional
from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.data.name_list import to_csv_line
from inception_slim.errors import DatasetError
from inception_slim.evaluation.results import Evaluation
import numpy as np

_MOST_NAMES = 50  # classes whose names fit on the axes
_MOST_COUNTS = 20  # classes whose counts fit in the cells


def check_confusion_path(path: str) -> None:
    """Raises DatasetError if a confusion matrix cannot be written to `path`."""
    if not path.endswith(('.csv', '.png')):
        raise DatasetError(f'{path} must end in .csv, or in .png for a plot.')
    check_writable(path)
    if path.endswith('.png'):
        _matplotlib_figure()


def _matplotlib_figure():
    return _optional.require('matplotlib.figure', 'The plot of a confusion matrix', DatasetError,
                             extra='plot')


def write_confusion(result: Evaluation, path: str | os.PathLike) -> None:
    """Writes a confusion matrix with a row for each label and a column for each prediction.

    Args:
      result: from `evaluate`.
      path: a .csv file, or a .png file for a plot, which needs matplotlib.

    Raises:
      DatasetError: the file cannot be written.
    """
    path = os.fsdecode(path)
    check_confusion_path(path)
    with atomic_write(path) as file:
        if path.endswith('.csv'):
            file.write(to_csv_line(['class', *result.prediction_names]))
            file.writelines(to_csv_line([name, *row]) for name, row in zip(
                result.class_names, result.confusion.tolist()))
        else:
            plot_confusion(result.confusion, result.class_names, result.prediction_names, file)


def plot_confusion(confusion: np.ndarray, class_names: list[str], prediction_names: list[str],
                   file: BinaryIO) -> None:
    """Plots a confusion matrix as PNG, with matplotlib.

    Args:
      confusion: `[labels, predictions]` counts.
      class_names: the names of the rows.
      prediction_names: the names of the columns.
      file: to write to.
    """
    rows, columns = confusion.shape
    figure = _matplotlib_figure().Figure(figsize=(max(4, min(20, 0.4 * columns + 2)),
                                                  max(3, min(20, 0.4 * rows + 1.5))),
                                         layout='constrained')
    axes = figure.subplots()
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    figure.colorbar(image, label='share of the true class')
    axes.set_xlabel('predicted class')
    axes.set_ylabel('true class')
    if columns <= _MOST_NAMES:
        axes.set_xticks(range(columns), prediction_names, rotation=90)
        axes.set_yticks(range(rows), class_names)
    if columns <= _MOST_COUNTS:
        for row, counts in enumerate(confusion):
            for column, count in enumerate(counts):
                axes.text(column, row, str(count), ha='center', va='center', fontsize=8,
                          color='white' if shares[row, column] > 0.5 else 'black')
    figure.savefig(file, format='png', dpi=120)
