"""Evaluation of the network on validation images between the steps of a training run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
import json
import os

from inception_slim import data
from inception_slim._atomic_write import atomic_write
from inception_slim.errors import TrainingError
from inception_slim.training.checkpoint_dir import checkpoint_prefix, ensure_writable, save
from inception_slim.training.distributed import WorkerGroup
import numpy as np
import tensorflow.compat.v1 as tf

_FOLDER, _FILE = 'best', 'validation.json'


@dataclass(frozen=True)
class ValidationResult:
    """The result of one evaluation.

    Attributes:
      step: the step after which the network was evaluated.
      accuracy: the share of images whose most likely class is their label.
      loss: the mean cross-entropy of the classifier, as `losses/logits` of the training.
    """

    step: int
    accuracy: float
    loss: float

    def is_better(self, other: ValidationResult | None) -> bool:
        """Whether its accuracy is higher, or equal with a lower loss."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


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
      TrainingError: the fraction is out of range, or the classes are others.
    """
    if isinstance(validation, (int, float)):
        if not 0 < validation < 1:
            raise TrainingError('validation must be a fraction greater than 0 and less than 1, a '
                                f'split or a folder, but is {validation:g}.')
        return dataset.hold_out(validation)
    path = os.fsdecode(validation)
    if '/' in path or os.sep in path or path.lower().endswith('.csv'):
        other = data.open_dataset(path, part=part)
    else:
        other = data.open_dataset(dataset.path, path, part=part)
    if other.class_names != dataset.class_names:
        raise TrainingError(f'The validation images of {path} have other classes than those of '
                            f'{dataset.path}; write the same labels.txt or folders for both.')
    return dataset, other


class Validator:
    """Evaluates the network of a graph on validation images, and keeps the best checkpoint.

    Attributes:
      best: the best result so far, also of earlier runs; None before the first.
      best_checkpoint: the prefix of its checkpoint; None in a worker that is not the chief.
    """

    def __init__(self, batches: tf.data.Dataset, class_names: list[str],
                 build: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
                 workers: WorkerGroup, train_dir: str, best: ValidationResult | None):
        """Builds the evaluation in the default graph.

        Args:
          batches: the images of this worker, once, from `data.batches`.
          class_names: the names of the classes.
          build: from images and labels to logits and the mean loss.
          workers: the workers, each with a part of the images.
          train_dir: the folder of the run.
          best: the best result of earlier runs.
        """
        self.best = best
        self.best_checkpoint: str | None = None
        self._class_names, self._workers = class_names, workers
        self._folder = os.path.join(train_dir, _FOLDER)
        self._batches = tf.data.make_initializable_iterator(batches)
        batch = self._batches.get_next()
        logits, loss = build(batch['image'], batch['label'])
        self._fetches = (batch['label'], tf.argmax(logits, 1), loss)
        self._totals = tf.placeholder(tf.float32, [2 + len(class_names) ** 2])
        self._reduced = workers.all_reduce_mean(self._totals)
        self._saver = tf.train.Saver(max_to_keep=1, save_relative_paths=True)
        if best is not None and workers.is_chief:
            self.best_checkpoint = checkpoint_prefix(self._folder, best.step)
            self._saver.recover_last_checkpoints([self.best_checkpoint])

    def evaluate(self, session: tf.Session, step: int) -> tuple[ValidationResult, np.ndarray]:
        """Evaluates the variables of a session on the images of all workers.

        Returns:
          The result, and the confusion matrix `[labels, predictions]`.
        """
        classes = len(self._class_names)
        confusion = np.zeros((classes, classes), np.int64)
        loss_sum = 0.0
        session.run(self._batches.initializer)
        while True:
            try:
                labels, predictions, loss = session.run(self._fetches)
            except tf.errors.OutOfRangeError:
                break
            np.add.at(confusion, (labels, predictions), 1)
            loss_sum += float(loss) * len(labels)
        totals = np.concatenate([[loss_sum, confusion.sum()], confusion.ravel()])
        if self._workers.count > 1:
            totals = session.run(self._reduced, {self._totals: totals}) * self._workers.count
            confusion = totals[2:].round().astype(np.int64).reshape(classes, classes)
        loss_sum, count = totals[:2].tolist()
        accuracy = float(np.trace(confusion)) / count
        return ValidationResult(step, accuracy, loss_sum / count), confusion

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
        data.write_labels(os.path.join(self._folder, data.LABELS), self._class_names, TrainingError)
        with atomic_write(os.path.join(self._folder, _FILE), TrainingError) as file:
            file.write(json.dumps(asdict(result)).encode())


def read_best(train_dir: str) -> ValidationResult | None:
    """The result of the best checkpoint of earlier runs; None if there is none."""
    folder = os.path.join(train_dir, _FOLDER)
    try:
        with open(os.path.join(folder, _FILE), encoding='utf-8') as file:
            values = json.load(file)
        result = ValidationResult(int(values['step']), float(values['accuracy']),
                                  float(values['loss']))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the next evaluation is the best then
    return result if os.path.exists(checkpoint_prefix(folder, result.step) + '.index') else None
