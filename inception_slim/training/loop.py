"""Training a network, from scratch or from a checkpoint, in a loop that survives being killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
from dataclasses import dataclass
import os
import signal
import sys
import threading
import time
from typing import Any

from inception_slim import checkpoint as checkpoints, data
from inception_slim.data.filesystem import is_remote
from inception_slim.errors import TrainingError, WorkerLostError
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options, option_names
from inception_slim.training.checkpoint_dir import (
    CheckpointDir,
    close_writer,
    ensure_writable,
    save,
)
from inception_slim.training.distributed import SingleWorker, join_cluster
from inception_slim.training.loss_plot import LossPlot
from inception_slim.training.options import LearningOptions, TrainingOptions
from inception_slim.training.step import TrainStep, build_step
import tensorflow.compat.v1 as tf
from tqdm import tqdm

_KEPT = 5  # checkpoints in the folder


@dataclass(frozen=True)
class TrainResult:
    """What `train` did.

    Attributes:
      checkpoint: the prefix of the last checkpoint; None in a worker that is not the chief.
      step: the step it was written at.
      started_at: the step that this run began at.
      loss: the total loss of the last step; None if this run made none.
      interrupted: whether a signal ended it before its last step.
      unreadable: the names of the unreadable images that were skipped.
    """

    checkpoint: str | None
    step: int
    started_at: int
    loss: float | None
    interrupted: bool
    unreadable: list[str]


def train(
    dataset: str | os.PathLike | data.Dataset,
    train_dir: str | os.PathLike,
    *,
    log: Callable[[str], None] | None = None,
    network: str = 'inception_v3',
    trainable_scopes: Iterable[str] | None = None,
    learning_rate: float = 0.01,
    end_learning_rate: float = 0.0001,
    decay_factor: float = 0.94,
    aux_weight: float = 0.4,
    label_smoothing: float = 0.1,
    weight_decay: float = 4e-05,
    moving_average_decay: float | None = 0.9999,
    clip_gradients: float = 2.0,
    batch_norm_decay: float = 0.9997,
    dropout_keep_prob: float = 0.8,
    depth_multiplier: float = 1.0,
    min_depth: int = 16,
    precision: str = 'float32',
    recompute: bool = False,
    num_clones: int = 1,
    split: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_scope: str | None = None,
    exclude_scopes: Iterable[str] = (),
    steps: int = 10000,
    batch_size: int = 32,
    image_size: int | None = None,
    distort: bool = True,
    epochs_per_decay: float = 2.0,
    save_minutes: float = 10.0,
    summary_steps: int = 20,
    seed: int | None = None,
    strict: bool = False,
    shuffle_buffer: int = 4096,
    worker_timeout: float = 30.0,
    worker_wait: float = 10.0,
) -> TrainResult:
    """Trains a network on a dataset, or goes on where an earlier run in `train_dir` stopped.

    SIGINT and SIGTERM end it after the step at hand, with a checkpoint; a second one ends it at
    once. If it is killed outright, the next run goes on from the last checkpoint that is whole.

    Where `TF_CONFIG` names workers, this process is one of them: each step is made of the images of
    all, and the first of them, the chief, alone writes `train_dir`.

    Args:
      dataset: what `data.open_dataset` opens, or has opened.
      train_dir: the folder of checkpoints and TensorBoard summaries; made if it is not there. With
        matplotlib installed (`pip install "inception_slim[plot]"`), also of `loss.png`, the curve
        so far, drawn at each checkpoint.
      log: called with a line of text now and then.
      **options: those of `TrainingOptions`.

    Raises:
      TrainingError: an option is out of its range, `train_dir` holds another network's
        checkpoint or cannot be written, the loss is not a number any more, or the workers are not
        alike.
      WorkerLostError: a worker has ended or does not answer; the chief has saved what was done.
      CheckpointError: `checkpoint` cannot be read or does not fit.
      DatasetError: the dataset cannot be read.
    """
    chosen = build_options(TrainingOptions, locals(), TrainingError)
    train_dir = os.fspath(train_dir)
    if is_remote(train_dir):
        raise TrainingError(f'train_dir must be a folder of this machine, not {train_dir}; train '
                            'into a local one, and copy it there at the end.')
    workers = join_cluster(
        os.environ.get('TF_CONFIG'),
        _alike(chosen),
        patience=chosen.worker_timeout,
        minutes=chosen.worker_wait,
        log=log,
    )
    dataset, found, begun, scale = _opened(workers, dataset, train_dir, chosen)
    newest = found.newest if found else None
    bad: list[str] = []
    known = registry.NETWORKS[chosen.network]
    with tf.Graph().as_default() as graph, _signals_noted() as signals:
        # Weights are the chief's; what is drawn in a step, as by dropout, is each worker's own.
        tf.set_random_seed(chosen.seed if chosen.seed is None else chosen.seed + workers.index)
        # After a stop the images come in another order than at first.
        batch = tf.data.make_initializable_iterator(data.batches(
            dataset, chosen.batch_size * chosen.num_clones,
            image_size=chosen.image_size or known.image_size,
            training=True, distort=chosen.distort, repeat=True,
            seed=None if chosen.seed is None else chosen.seed + begun,
            strict=chosen.strict, bad=bad, shuffle_buffer=chosen.shuffle_buffer,
            part=(workers.index, workers.count)))
        element = batch.get_next()
        decay_steps = max(
            1,
            round(
                dataset.num_examples
                * chosen.epochs_per_decay
                / global_batch_size(chosen, workers.count)
            ),
        )
        shared = as_dict(chosen, option_names(LearningOptions))
        shared['end_learning_rate'] = min(chosen.end_learning_rate, chosen.learning_rate)
        step = build_step(element['image'], element['label'], dataset.num_classes,
                          workers=workers, decay_steps=decay_steps, batch_norm_scale=scale,
                          **shared)
        saver = tf.train.Saver(max_to_keep=_KEPT, save_relative_paths=True)
        # The averages begin as the variables' values, once these are what they should be.
        averaged = {each.op.name + checkpoints.MOVING_AVERAGE for each in tf.model_variables()}
        initialize = tf.variables_initializer([
            each for each in tf.global_variables() if each.op.name not in averaged])
        summary = tf.summary.merge([
            tf.summary.scalar('learning_rate', step.learning_rate),
            *(tf.summary.scalar(f'losses/{name}', loss) for name, loss in step.losses.items())])
        end_here = tf.placeholder_with_default(0.0, [])
        run = _Run(step, summary, end_here, workers.mean(end_here), saver, train_dir, newest, bad,
                   signals, workers, chosen, log)
        as_chief = workers.broadcast(tf.global_variables())
        with workers.session() as session:
            if found and found.newest:
                found.restore(session, saver)
            elif workers.is_chief:
                session.run(initialize)
                if chosen.checkpoint is not None:
                    checkpoints.restore(session, chosen.checkpoint, scope=known.scope,
                                        exclude=chosen.exclude_scopes,
                                        checkpoint_scope=chosen.checkpoint_scope)
                session.run(step.begin_averages)
            graph.finalize()
            with workers.watched(session):
                session.run(as_chief)
            session.run(batch.initializer)
            if workers.is_chief:
                if log and newest:
                    log(f'Going on from {newest}')
                data.write_labels(os.path.join(train_dir, data.LABELS), dataset.class_names,
                                  TrainingError)
            with data.reraise_dataset_errors():
                return _loop(session, run)


def global_batch_size(chosen: TrainingOptions, workers: int) -> int:
    return chosen.batch_size * chosen.num_clones * workers


def _alike(chosen: TrainingOptions) -> dict[str, Any]:
    """The options that all workers must have; where the weights come from is the chief's alone."""
    given = as_dict(chosen)
    for name in ('checkpoint', 'checkpoint_scope', 'exclude_scopes', 'save_minutes'):
        del given[name]
    if given['trainable_scopes'] is not None and not isinstance(given['trainable_scopes'], str):
        given['trainable_scopes'] = list(given['trainable_scopes'])
    return given


def _opened(workers: SingleWorker, given: str | os.PathLike | data.Dataset, train_dir: str,
            chosen: TrainingOptions) -> tuple[data.Dataset, CheckpointDir | None, int, bool]:
    """The data, the chief's folder, the step that it is at, and whether batch norm has gammas."""
    found: list[data.Dataset] = []
    folders: list[CheckpointDir] = []

    def look() -> dict[str, Any]:
        # Records are counted by all workers, each a part of the files.
        dataset = given if isinstance(given, data.Dataset) else data.open_dataset(
            given, chosen.split, part=(workers.index, workers.count))
        found.append(dataset)
        told = {'num_classes': dataset.num_classes, 'num_files': len(dataset.files)}
        if not workers.is_chief:
            return told
        ensure_writable(train_dir)
        folder = CheckpointDir(train_dir, chosen.network, dataset.num_classes)
        folders.append(folder)
        source = folder.newest or chosen.checkpoint
        scale = source is not None and checkpoints.inspect(
            source, checkpoint_scope=None if folder.newest else chosen.checkpoint_scope).has_gammas
        return {**told, 'step': folder.step, 'scale': scale}

    told = workers.together(look)
    workers.alike(told, ('num_classes', 'num_files'))
    dataset = found[0]
    if dataset.kind == 'tfrecord' and dataset is not given:
        dataset = dataset.with_counts(workers.summed(dataset.counts))
    return dataset, folders[0] if folders else None, told[0]['step'], told[0]['scale']


@dataclass(frozen=True)
class _Run:
    """What the loop works with; `end_asked` is above 0 where a worker was told to end."""

    step: TrainStep
    summary: tf.Tensor
    end_here: tf.Tensor
    end_asked: tf.Tensor
    saver: tf.train.Saver
    train_dir: str
    last: str | None
    bad: list[str]
    signals: list[int]
    workers: SingleWorker
    chosen: TrainingOptions
    log: Callable[[str], None] | None


class _Journal:
    """What a run leaves to be looked at: summaries, the curve, the bar and lines; the chief's."""

    def __init__(self, run: _Run, started: int):
        self._images = images = global_batch_size(run.chosen, run.workers.count)
        self._steps, self._log = run.chosen.steps, run.log
        self.curve = LossPlot(run.train_dir, started)
        self._writer = tf.summary.FileWriter(run.train_dir)
        self._bar = tqdm(total=self._steps * images, initial=started * images, unit=' images',
                         disable=None, file=sys.stderr, dynamic_ncols=True)
        self._since, self._logged = time.monotonic(), started

    def add(self, done: int, loss: float, lines: bytes | tuple[()]) -> None:
        """A step that was made, with its summary where one was due."""
        self._bar.update(self._images)
        if lines:
            now = time.monotonic()
            rate = (done - self._logged) * self._images / max(now - self._since, 1e-9)
            self._since, self._logged = now, done
            self._writer.add_summary(lines, done)
            self.curve.add(done, lines)
            self._writer.add_summary(tf.Summary(value=[tf.Summary.Value(
                tag='images_per_second', simple_value=rate)]), done)
            if self._log:
                self._log(f'step {done} of {self._steps}: loss {loss:.4f}, {rate:.1f} images/s')
        self._bar.set_postfix(step=done, loss=f'{loss:.3f}', refresh=False)

    def close(self) -> None:
        self._bar.close()
        close_writer(self._writer)


def _loop(session: tf.Session, run: _Run) -> TrainResult:
    """Steps until the last, a signal or an error; saves by the clock and at the end."""
    step, workers, steps = run.step, run.workers, run.chosen.steps
    started = done = saved = int(session.run(step.global_step))
    loss: float | None = None
    path = run.last
    journal = _Journal(run, started) if workers.is_chief else None
    stopping = False

    def keep(session: tf.Session) -> str:
        kept = save(session, run.saver, run.train_dir, done)
        if journal:
            journal.curve.draw()
        return kept

    try:
        next_save = time.monotonic() + 60 * run.chosen.save_minutes
        while done < steps and not stopping:
            due = (done + 1) % run.chosen.summary_steps == 0 or done + 1 == steps
            try:
                with workers.watched(session):
                    loss, lines, asked = session.run(
                        [step.train, run.summary if due else (), run.end_asked],
                        {run.end_here: float(bool(run.signals))})
            except tf.errors.InvalidArgumentError as error:
                if 'inf or nan' not in str(error):
                    raise
                if journal:
                    journal.curve.draw()  # which shows how it came to that
                raise TrainingError(
                    f'The loss is not a finite number any more at step {done + 1}; lower the '
                    'learning rate, and go on from the last checkpoint'
                    + (f', {path}.' if path else ', or begin again: there is none yet.')) from None
            except WorkerLostError as error:
                # No step is half made: the chief's variables are those of the last whole one.
                if workers.is_chief and done != saved:
                    with workers.session() as again:
                        path, saved = keep(again), done
                raise WorkerLostError(f'{error}; training stopped after step {done:,}'
                                      + (f', and is in {path}' if path else '')
                                      + '. The same command, in every worker, goes on.') from None
            done += 1
            # Alone, a signal ends it after the step at hand; with others, after the next, by when
            # all know.
            stopping = bool(run.signals) if workers.count == 1 else asked > 0
            if journal:
                journal.add(done, loss, lines)
            if workers.is_chief and time.monotonic() >= next_save:
                path, saved = keep(session), done
                next_save = time.monotonic() + 60 * run.chosen.save_minutes
        workers.end()
        if workers.is_chief and (saved != done or path is None):
            path = keep(session)
        elif journal:
            journal.curve.draw()
    finally:
        if journal:
            journal.close()
    return TrainResult(path, done, started, None if loss is None else float(loss), done < steps,
                   run.bad)


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
