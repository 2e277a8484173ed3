"""Comparison of an evaluation with an earlier one, of which `evaluate --json` was stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
import os

from inception_slim.data import filesystem
from inception_slim.errors import DatasetError
from inception_slim.evaluation.classification_metrics import difference_interval
from inception_slim.evaluation.results import Evaluation


@dataclass(frozen=True)
class Difference:
    """How an accuracy changed.

    Attributes:
      name: of the accuracy, or of a class.
      before, after: the accuracies, in [0, 1].
      interval: the 95 % confidence interval of `after - before`, as of different images.
    """

    name: str
    before: float
    after: float
    interval: tuple[float, float]

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def is_significant(self) -> bool:
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class OtherRun:
    """An earlier evaluation.

    Attributes:
      path: its file.
      top_1, top_5: the numbers of images.
      total: the number of all images.
      correct, images: by class.
    """

    path: str
    top_1: int
    top_5: int
    total: int
    correct: list[int]
    images: list[int]

    def differences(self, result: Evaluation) -> list[Difference]:
        """The differences of the top-1 and top-5 accuracy."""
        return [_difference(name, round(share * result.num_examples), result.num_examples, correct,
                            self.total)
                for name, share, correct in (('Top-1 accuracy', result.top_1, self.top_1),
                                             ('Top-5 accuracy', result.top_5, self.top_5))]

    def class_differences(self, result: Evaluation) -> list[Difference]:
        """The differences of the classes with images in both, the largest first."""
        differences = [_difference(row['name'], row['correct'], row['images'], correct, images)
                       for row, correct, images in zip(result.per_class, self.correct, self.images)
                       if row['images'] and images]
        return sorted(differences, key=lambda difference: -abs(difference.change))


def _difference(name: str, correct: int, total: int, other_correct: int,
                other_total: int) -> Difference:
    return Difference(name, other_correct / other_total, correct / total,
                      difference_interval(correct, total, other_correct, other_total))


def read_other_run(path: str | os.PathLike, class_names: Sequence[str]) -> OtherRun:
    """Reads the JSON of an evaluation.

    Args:
      path: the file.
      class_names: of the dataset that it must have been of.

    Raises:
      DatasetError: the file cannot be read, is none of an evaluation, or is of other classes.
    """
    path = os.fsdecode(path)
    with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
        content = file.read()
    try:
        values = json.loads(content)
        total, rows = values['num_examples'], values['per_class']
        run = OtherRun(path, round(values['top_1'] * total), round(values['top_5'] * total), total,
                       [int(row['correct']) for row in rows], [int(row['images']) for row in rows])
        names = [row['name'] for row in rows]
        if not (0 <= run.top_1 <= total and 0 <= run.top_5 <= total == sum(run.images)
                and all(0 <= correct <= images
                        for correct, images in zip(run.correct, run.images))) or not total:
            raise ValueError
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        raise DatasetError(f'{path} is not the result of an evaluation; give a file with the '
                           'output of evaluate --json.') from None
    if names != list(class_names):
        raise DatasetError(f'{path} is of other classes ({len(names):,}) than this dataset '
                           f'({len(class_names):,}); compare evaluations of one dataset.')
    return run
