"""Training a network, from scratch or from a checkpoint, in a loop that survives being killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from inception_slim import checkpoint as checkpoints
from inception_slim import data
from inception_slim.errors import TrainingError
from inception_slim.nets import factory
from inception_slim.options import made, names_of, taking, values
from inception_slim.training.curve import Curve
from inception_slim.training.folder import Folder, close, make_writable, save, write_labels
from inception_slim.training.options import LearningOptions, TrainingOptions
from inception_slim.training.step import Step, build_step

_KEPT = 5  # checkpoints in the folder


@dataclass(frozen=True)
class Trained:
    """What `train` did.

    Attributes:
      checkpoint: the prefix of the last checkpoint.
      step: the step it was written at.
      started_at: the step that this run began at.
      loss: the total loss of the last step; None if this run made none.
      interrupted: whether a signal ended it before its last step.
      bad: the names of the damaged images that were met and left out.
    """

    checkpoint: str
    step: int
    started_at: int
    loss: float | None
    interrupted: bool
    bad: list[str]


@taking(TrainingOptions)
def train(
        dataset: str | os.PathLike | data.Dataset,
        train_dir: str | os.PathLike,
        *,
        log: Callable[[str], None] | None = None,
        **options: Any) -> Trained:
    """Trains a network on a dataset, or goes on where an earlier run in `train_dir` stopped.

    SIGINT and SIGTERM end it after the step at hand, with a checkpoint; a second one ends it at
    once. If it is killed outright, the next run goes on from the last checkpoint that is whole.

    Args:
      dataset: what `data.open_dataset` opens, or has opened.
      train_dir: the folder of checkpoints and TensorBoard summaries; made if it is not there. With
        matplotlib installed (`pip install "inception_slim[plot]"`), also of `loss.png`, the curve
        so far, drawn at each checkpoint.
      log: called with a line of text now and then.
      **options: those of `TrainingOptions`.

    Raises:
      TrainingError: an option is out of its range, `train_dir` holds another network's
        checkpoint or cannot be written, or the loss is not a number any more.
      CheckpointError: `checkpoint` cannot be read or does not fit.
      DatasetError: the dataset cannot be read.
    """
    chosen = made(TrainingOptions, options, TrainingError)
    if isinstance(dataset, (str, os.PathLike)):
        dataset = data.open_dataset(dataset, chosen.split)
    train_dir = os.fspath(train_dir)
    make_writable(train_dir)
    found = Folder(train_dir, chosen.network, dataset.num_classes)
    if found.newest:
        scale = checkpoints.inspect(found.newest).has_gammas
    else:
        scale = chosen.checkpoint is not None and checkpoints.inspect(
            chosen.checkpoint, checkpoint_scope=chosen.checkpoint_scope).has_gammas
    bad: list[str] = []
    known = factory.NETWORKS[chosen.network]
    with tf.Graph().as_default() as graph, _signals_noted() as signals:
        tf.set_random_seed(chosen.seed)
        # After a stop the images come in another order than at first.
        batch = tf.data.make_initializable_iterator(data.batches(
            dataset, chosen.batch_size, image_size=chosen.image_size or known.image_size,
            training=True, distort=chosen.distort, repeat=True,
            seed=None if chosen.seed is None else chosen.seed + found.step,
            strict=chosen.strict, bad=bad))
        element = batch.get_next()
        decay_steps = max(1, round(
            dataset.num_examples * chosen.epochs_per_decay / chosen.batch_size))
        shared = values(chosen, names_of(LearningOptions))
        shared['end_learning_rate'] = min(chosen.end_learning_rate, chosen.learning_rate)
        step = build_step(element['image'], element['label'], dataset.num_classes,
                          decay_steps=decay_steps, batch_norm_scale=scale, **shared)
        saver = tf.train.Saver(max_to_keep=_KEPT, save_relative_paths=True)
        # The averages begin as the variables' values, once these are what they should be.
        averaged = {each.op.name + checkpoints.MOVING_AVERAGE for each in tf.model_variables()}
        initialize = tf.variables_initializer([
            each for each in tf.global_variables() if each.op.name not in averaged])
        summary = tf.summary.merge([
            tf.summary.scalar('learning_rate', step.learning_rate),
            *(tf.summary.scalar(f'losses/{name}', loss) for name, loss in step.losses.items())])
        with tf.Session() as session:
            if found.newest:
                found.restore(session, saver)
            else:
                session.run(initialize)
                if chosen.checkpoint is not None:
                    checkpoints.restore(session, chosen.checkpoint, scope=known.scope,
                                        exclude=chosen.exclude_scopes,
                                        checkpoint_scope=chosen.checkpoint_scope)
                session.run(step.begin_averages)
            graph.finalize()
            session.run(batch.initializer)
            if log and found.newest:
                log(f'Going on from {found.newest}')
            write_labels(train_dir, dataset.class_names)
            with data.errors_named():
                return _loop(session, step, saver, summary, signals, train_dir, found.newest, bad,
                             chosen, log)


def _loop(session: tf.Session, step: Step, saver: tf.train.Saver, summary: tf.Tensor,
          signals: list[int], train_dir: str, last: str | None, bad: list[str],
          chosen: TrainingOptions, log: Callable[[str], None] | None) -> Trained:
    """Steps until the last, a signal or an error; saves by the clock and at the end."""
    steps, batch_size = chosen.steps, chosen.batch_size
    started = done = saved = int(session.run(step.global_step))
    loss: float | None = None
    path = last
    curve = Curve(train_dir, started)
    writer = tf.summary.FileWriter(train_dir)
    bar = tqdm(total=steps * batch_size, initial=done * batch_size, unit=' images', disable=None,
               file=sys.stderr, dynamic_ncols=True)
    try:
        next_save = time.monotonic() + 60 * chosen.save_minutes
        since, logged = time.monotonic(), done
        while done < steps and not signals:
            due = (done + 1) % chosen.summary_steps == 0 or done + 1 == steps
            try:
                loss, lines = session.run([step.train, summary if due else ()])
            except tf.errors.InvalidArgumentError as error:
                if 'inf or nan' not in str(error):
                    raise
                curve.draw()  # which shows how it came to that
                raise TrainingError(
                    f'The loss is not a finite number any more at step {done + 1}; lower the '
                    'learning rate, and go on from the last checkpoint'
                    + (f', {path}.' if path else ', or begin again: there is none yet.')) from None
            done += 1
            bar.update(batch_size)
            if due:
                now = time.monotonic()
                rate = (done - logged) * batch_size / max(now - since, 1e-9)
                since, logged = now, done
                writer.add_summary(lines, done)
                curve.add(done, lines)
                writer.add_summary(tf.Summary(value=[tf.Summary.Value(
                    tag='images_per_second', simple_value=rate)]), done)
                if log:
                    log(f'step {done} of {steps}: loss {loss:.4f}, {rate:.1f} images/s')
            bar.set_postfix(step=done, loss=f'{loss:.3f}', refresh=False)
            if time.monotonic() >= next_save:
                path, saved = save(session, saver, train_dir, done), done
                curve.draw()
                next_save = time.monotonic() + 60 * chosen.save_minutes
        if saved != done or path is None:
            path = save(session, saver, train_dir, done)
        curve.draw()
    finally:
        bar.close()
        close(writer)
    return Trained(path, done, started, None if loss is None else float(loss), done < steps, bad)


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """A list that fills when the process is asked to end; only the main thread can ask for it."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before: dict[int, Any] = {}

    def note(number, frame):
        noted.append(number)
        signal.signal(number, before[number])  # a second one does what it always did

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
