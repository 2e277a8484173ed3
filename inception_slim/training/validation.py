"""Evaluation of the network on validation images between the steps of a training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import json
import os
from typing import Any

from inception_slim import data
from inception_slim._atomic_write import atomic_write
from inception_slim.errors import TrainingError
from inception_slim.evaluation.classification_metrics import class_curves, mean_of_known
from inception_slim.training.checkpoint_dir import (
    build_saver,
    checkpoint_prefix,
    ensure_writable,
    save,
)
from inception_slim.training.distributed import WorkerGroup
import numpy as np
import tensorflow.compat.v1 as tf

_FOLDER, _FILE = 'best', 'validation.json'


@dataclass(frozen=True)
class ValidationResult:
    """The result of one evaluation.

    Attributes:
      step: the step after which the network was evaluated.
      accuracy: the share of images whose most likely class is their label; None of multi-label
        images.
      loss: the mean cross-entropy of the classifier, as `losses/logits` of the training.
      mean_average_precision: of multi-label images, over the classes that some of them have; None
        of others.
    """

    step: int
    accuracy: float | None
    loss: float
    mean_average_precision: float | None = None

    @property
    def score(self) -> float:
        """The accuracy, or the mean average precision."""
        return (self.accuracy if self.mean_average_precision is None
                else self.mean_average_precision) or 0.0

    @property
    def score_name(self) -> str:
        """The name of `score`."""
        return 'accuracy' if self.mean_average_precision is None else 'mean average precision'

    def is_better(self, other: ValidationResult | None) -> bool:
        """Whether its score is higher, or equal with a lower loss."""
        return other is None or (self.score, -self.loss) > (other.score, -other.loss)


def open_validation(dataset: data.Dataset, validation: str | float | os.PathLike,
                    part: tuple[int, int]) -> tuple[data.Dataset, data.Dataset]:
    """Opens the validation images of a dataset.

    Args:
      dataset: the training images.
      validation: the fraction of the training images to hold out, a split of the same dataset, or
        the path of another dataset.
      part: see `data.open_dataset`.

    Returns:
      The training images that remain, and the validation images.

    Raises:
      DatasetError: there are no such images.
      TrainingError: the fraction is out of range, the classes are others, or no image has one.
    """
    if isinstance(validation, (int, float)):
        if not 0 < validation < 1:
            raise TrainingError('validation must be a fraction greater than 0 and less than 1, a '
                                f'split or a folder, but is {validation:g}.')
        dataset, other = dataset.hold_out(validation)
    else:
        other = _open_other(dataset, os.fsdecode(validation), part)
    if other.kind == 'folder' and not any(data.count_labels(other)):
        raise TrainingError(f'No validation image of {other.path} has a label; give others.')
    return dataset, other


def _open_other(dataset: data.Dataset, path: str, part: tuple[int, int]) -> data.Dataset:
    if '/' in path or os.sep in path or path.lower().endswith('.csv'):
        other = data.open_dataset(path, part=part)
    else:
        other = data.open_dataset(dataset.path, path, part=part)
    if other.class_names != dataset.class_names:
        raise TrainingError(f'The validation images of {path} have other classes than those of '
                            f'{dataset.path}; write the same labels.txt or folders for both.')
    if other.multi_label != dataset.multi_label:
        raise TrainingError(f'The images of one of {path} and {dataset.path} have several labels, '
                            'and those of the other have one; write both in the same way.')
    return other


class Validator:
    """Evaluates the network of a graph on validation images, and keeps the best checkpoint.

    Attributes:
      best: the best result so far, also of earlier runs; None before the first.
      best_checkpoint: the prefix of its checkpoint; None in a worker that is not the chief.
    """

    def __init__(self, batches: tf.data.Dataset, dataset: data.Dataset,
                 build: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
                 workers: WorkerGroup, train_dir: str, best: ValidationResult | None,
                 head: Sequence[tf.Variable]):
        """Builds the evaluation in the default graph.

        Args:
          batches: the images of this worker, once, from `data.batches`.
          dataset: these of all workers.
          build: from images and labels to logits and the mean loss.
          workers: the workers, each with a part of the images.
          train_dir: the folder of the run.
          best: the best result of earlier runs.
          head: from `stored_head`.
        """
        self.best = best
        self.best_checkpoint: str | None = None
        self._dataset, self._workers = dataset, workers
        self._folder = os.path.join(train_dir, _FOLDER)
        self._batches = tf.data.make_initializable_iterator(batches)
        batch = self._batches.get_next()
        logits, loss = build(batch['image'], batch['label'])
        outputs = logits if dataset.multi_label else tf.argmax(logits, 1)
        self._fetches = (batch['label'], outputs, loss)
        # A row for each image of each worker: 1, or 0 if it is unreadable; loss, labels, outputs.
        width = dataset.num_classes if dataset.multi_label else 1
        self._rows = tf.placeholder(tf.float32, [
            -(-dataset.num_examples // workers.count), workers.count, 2 + 2 * width])
        self._reduced = workers.all_reduce_mean(self._rows)
        # Batch norm's moving averages are each worker's own, and the checkpoint has the chief's.
        trained = {variable.op.name for variable in tf.trainable_variables()}
        self._broadcast = workers.broadcast(
            [variable for variable in tf.model_variables() if variable.op.name not in trained])
        self._saver = build_saver(1, head)
        if best is not None and workers.is_chief:
            self.best_checkpoint = checkpoint_prefix(self._folder, best.step)
            self._saver.recover_last_checkpoints([self.best_checkpoint])

    def evaluate(self, session: tf.Session, step: int
                 ) -> tuple[ValidationResult, np.ndarray | None]:
        """Evaluates the variables of a session on the images of all workers.

        Returns:
          The result, and the confusion matrix `[labels, predictions]`; None of multi-label images.
        """
        rows = np.zeros(self._rows.shape.as_list(), np.float32)
        filled = 0
        session.run([self._batches.initializer, self._broadcast])
        while True:
            try:
                labels, outputs, loss = session.run(self._fetches)
            except tf.errors.OutOfRangeError:
                break
            count = len(labels)
            rows[filled:filled + count, self._workers.index] = np.column_stack(
                [np.ones(count), np.full(count, loss), labels, outputs])
            filled += count
        if self._workers.count > 1:
            rows = session.run(self._reduced, {self._rows: rows}) * self._workers.count
        rows = rows[rows[..., 0] > 0.5]
        labels, outputs = np.hsplit(rows[:, 2:], 2)
        labels = labels.round().astype(np.int64)
        loss = float(rows[:, 1].mean(dtype=np.float64))
        if self._dataset.multi_label:
            precision = mean_of_known(class_curves(labels > 0, outputs).average_precision)
            return ValidationResult(step, None, loss, precision or 0.0), None
        confusion = np.zeros((self._dataset.num_classes,) * 2, np.int64)
        np.add.at(confusion, (labels[:, 0], outputs[:, 0].round().astype(np.int64)), 1)
        return ValidationResult(step, float(np.trace(confusion)) / len(rows), loss), confusion

    def keep_best(self, session: tf.Session, result: ValidationResult) -> None:
        """Writes a checkpoint to the folder `best` if the result is the best; the chief does.

        Raises:
          TrainingError: it cannot be written.
        """
        if not result.is_better(self.best):
            return
        self.best = result
        if not self._workers.is_chief:
            return
        ensure_writable(self._folder)
        with self._workers.exit_suspended():
            self.best_checkpoint = save(session, self._saver, self._folder, result.step)
        data.write_labels(os.path.join(self._folder, data.LABELS), self._dataset.class_names,
                          TrainingError)
        with atomic_write(os.path.join(self._folder, _FILE), TrainingError) as file:
            file.write(json.dumps(asdict(result)).encode())


def read_best(train_dir: str) -> ValidationResult | None:
    """The result of the best checkpoint of earlier runs; None if there is none."""
    folder = os.path.join(train_dir, _FOLDER)
    try:
        with open(os.path.join(folder, _FILE), encoding='utf-8') as file:
            values = json.load(file)
        result = ValidationResult(int(values['step']), _number(values.get('accuracy')),
                                  float(values['loss']),
                                  _number(values.get('mean_average_precision')))
    except (AttributeError, OSError, ValueError, KeyError, TypeError):
        return None  # the next evaluation is the best then
    return result if os.path.exists(checkpoint_prefix(folder, result.step) + '.index') else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
