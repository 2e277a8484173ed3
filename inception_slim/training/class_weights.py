"""Weights of the classes in the loss, for datasets with many images of some and few of others."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import math
import os

from inception_slim.errors import TrainingError

BALANCED = 'balanced'


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """The weights with which each class has the same part of the loss: images / (classes * count).

    Args:
      counts: the images of each class; a class without images gets the weight 1 and does not count.

    Example:
      >>> from inception_slim.training.class_weights import balanced_weights
      >>> balanced_weights([30, 10])
      [0.6666666666666666, 2.0]
    """
    classes = sum(1 for count in counts if count)
    return [sum(counts) / (classes * count) if count else 1.0 for count in counts]


def read_class_weights(path: str | os.PathLike, class_names: Sequence[str]) -> list[float]:
    """Reads the weight of each class from a CSV table with the columns `class` and `weight`.

    Raises:
      TrainingError: the file cannot be read, or does not have one weight for each class.
    """
    path = os.fsdecode(path)
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            header, *rows = [row for row in csv.reader(file) if row]
        name_column, weight_column = header.index('class'), header.index('weight')
        weights = {row[name_column]: float(row[weight_column]) for row in rows}
    except OSError as error:
        raise TrainingError(f'{path} cannot be read ({error.strerror}); give balanced, or a CSV '
                            'table of class weights.') from None
    except (IndexError, ValueError, csv.Error):
        raise TrainingError(f'{path} is no table of class weights; write a CSV table with the '
                            'columns class and weight.') from None
    for name in class_names:
        if not 0 <= weights.get(name, -1) < math.inf:
            raise TrainingError(f'{path} has no weight of at least 0 for the class {name!r}; write '
                                'a line for each class.')
    unknown = set(weights).difference(class_names)
    if unknown or len(rows) != len(weights):
        raise TrainingError(f'{path} has weights of other classes ({min(unknown)!r})' if unknown
                            else f'{path} has a class twice; write a line for each class.')
    return [weights[name] for name in class_names]
