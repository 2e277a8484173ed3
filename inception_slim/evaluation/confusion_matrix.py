"""The confusion matrix, as a table or a picture."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.errors import DatasetError
import numpy as np

if TYPE_CHECKING:
    from inception_slim.evaluation.evaluate import Evaluation


def check_confusion_path(path: str) -> None:
    if not path.endswith(('.csv', '.png')):
        raise DatasetError(f'{path} must end in .csv, or in .png for a picture.')
    check_writable(path)
    if path.endswith('.png'):
        _matplotlib()


def _matplotlib():
    try:
        from matplotlib import figure
    except ImportError:
        raise DatasetError('A picture needs matplotlib; pip install "inception_slim[plot]", or '
                           'write a .csv file.') from None
    return figure


def write_confusion(result: Evaluation, path: str | os.PathLike) -> None:
    """Writes a confusion matrix: a row for each class, a column for each answer.

    Args:
      result: from `evaluate`.
      path: a .csv file with the names of the classes, or a .png picture, which needs matplotlib.

    Raises:
      DatasetError: the file cannot be written.
    """
    path = os.fspath(path)
    check_confusion_path(path)
    with atomic_write(path) as file:
        if path.endswith('.csv'):
            lines = [['class', *result.answer_names],
                     *([name, *row] for name, row in zip(result.class_names,
                                                         result.confusion.tolist()))]
            text = _Lines()
            csv.writer(text, lineterminator='\n').writerows(lines)
            file.write(''.join(text).encode(errors='surrogateescape'))
        else:
            _draw(result, file)


class _Lines(list):
    """What csv can write to."""

    write = list.append


def _draw(result: Evaluation, file) -> None:
    rows, columns = result.confusion.shape
    figure = _matplotlib().Figure(figsize=(max(4, min(20, 0.4 * columns + 2)),
                                           max(3, min(20, 0.4 * rows + 1.5))),
                                  layout='constrained')
    axes = figure.subplots()
    shares = result.confusion / np.maximum(1, result.confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    figure.colorbar(image, label='share of the class')
    axes.set_xlabel('answer')
    axes.set_ylabel('class')
    if columns <= 50:
        axes.set_xticks(range(columns), result.answer_names, rotation=90)
        axes.set_yticks(range(rows), result.class_names)
    if columns <= 20:
        for row, counts in enumerate(result.confusion):
            for column, count in enumerate(counts):
                axes.text(column, row, str(count), ha='center', va='center', fontsize=8,
                          color='white' if shares[row, column] > 0.5 else 'black')
    figure.savefig(file, format='png', dpi=120)
