"""The training loop: trains a network, resumes an interrupted run, and saves checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
from dataclasses import asdict, dataclass
import os
import signal
import threading
import time
from typing import Any

from inception_slim import checkpoint as checkpoints, data
from inception_slim.checkpoint.batch_norm import auto_decay, describe_few_updates
from inception_slim.checkpoint.head import MULTI_LABEL_HEAD, SLIM_HEAD
from inception_slim.data.filesystem import is_remote
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import TrainingError, WorkerLostError
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options, option_names
from inception_slim.training.checkpoint_dir import (
    CheckpointDir,
    build_saver,
    ensure_writable,
    save,
    stored_head,
)
from inception_slim.training.class_weights import (
    BALANCED,
    balanced_weights,
    read_class_weights,
)
from inception_slim.training.distributed import WorkerGroup, join_cluster
from inception_slim.training.journal import Journal, StepValues
from inception_slim.training.options import (
    AUTO,
    ClassWeight,
    LearningOptions,
    TrainingOptions,
)
from inception_slim.training.run_file import StoredRun, read_run, write_run
from inception_slim.training.step import build_step
from inception_slim.training.validation import (
    ValidationResult,
    Validator,
    open_validation,
    read_best,
)
import tensorflow.compat.v1 as tf

_MAX_CHECKPOINTS = 5
_DEFAULT_STEPS = 10_000
_SUMMARY_IMAGES = 4


@dataclass(frozen=True)
class TrainResult:
    """The result of `train`.

    Attributes:
      checkpoint: prefix of the last checkpoint; None in a worker that is not the chief.
      step: the step after which it was written.
      started_at: the step at which this run started.
      loss: the total loss of the last step; None if this run made no step.
      interrupted: whether a signal ended the run before its last step.
      unreadable: the names of the unreadable images that were skipped.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
      best: the best result on the validation images, of earlier runs too; None without any.
      best_checkpoint: the prefix of its checkpoint, in the chief.
      stopped_early: whether `patience` ended the run before its last step.
      warning: that batch norm's moving averages were hardly updated; None if they were.
    """

    checkpoint: str | None
    step: int
    started_at: int
    loss: float | None
    interrupted: bool
    unreadable: list[str]
    rotated: int = 0
    best: ValidationResult | None = None
    best_checkpoint: str | None = None
    stopped_early: bool = False
    warning: str | None = None


def train(
    dataset: str | os.PathLike | data.Dataset,
    train_dir: str | os.PathLike,
    *,
    log: Callable[[str], None] | None = None,
    network: str = 'inception_v3',
    trainable_scopes: Iterable[str] | None = None,
    learning_rate: float = 0.01,
    learning_rate_decay: str = 'exponential',
    end_learning_rate: float = 0.0001,
    decay_factor: float = 0.94,
    aux_weight: float = 0.4,
    label_smoothing: float | None = None,
    focal_gamma: float = 0.0,
    weight_decay: float = 4e-05,
    moving_average_decay: float | None = 0.9999,
    clip_gradients: float = 2.0,
    batch_norm_decay: float | str = 0.9997,
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
    steps: int | None = None,
    epochs: float | None = None,
    batch_size: int = 32,
    image_size: int | None = None,
    distort: bool = True,
    epochs_per_decay: float = 2.0,
    warmup_epochs: float = 0.0,
    freeze_epochs: float = 0.0,
    save_minutes: float = 10.0,
    summary_steps: int = 20,
    seed: int | None = None,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    exif: bool | None = None,
    background: str | None = None,
    shuffle_buffer: int = 4096,
    class_weights: str | os.PathLike | None = None,
    balanced_sampling: bool = False,
    validation: str | float | os.PathLike | None = None,
    eval_every: int | None = None,
    patience: int | None = None,
    worker_timeout: float = 30.0,
    worker_wait: float = 10.0,
) -> TrainResult:
    """Trains a network on a dataset, or resumes the run that was interrupted in `train_dir`.

    SIGINT and SIGTERM end the run after the current step, with a checkpoint; a second signal ends
    it at once. A run that is killed resumes from its last complete checkpoint.

    If `TF_CONFIG` names several workers, this process is one of them: each step uses images of all
    workers, and only the chief, worker 0, writes to `train_dir`.

    Args:
      dataset: an open dataset, or a path that `data.open_dataset` opens. For a multi-label one, the
        network learns a sigmoid for each class; this is stored in its checkpoints.
      train_dir: local folder for checkpoints, and summaries for TensorBoard (`pip install
        "inception_slim[tensorboard]"`); created if missing. With matplotlib installed (`pip install
        "inception_slim[plot]"`), also for `loss.png`, a plot of the losses that is updated with
        each checkpoint.
      log: called with a line of text now and then.
      network, trainable_scopes, learning_rate, learning_rate_decay, end_learning_rate,
        decay_factor, aux_weight, label_smoothing, focal_gamma, weight_decay,
        moving_average_decay, clip_gradients, batch_norm_decay, dropout_keep_prob,
        depth_multiplier, min_depth, precision, recompute, num_clones: the network and its training
        step; see `LearningOptions`.
        `batch_norm_decay` may be 'auto', which chooses it by the number of steps.
      split: split of the dataset, such as 'train'.
      checkpoint: initial weights of the first run; None initializes randomly.
      checkpoint_scope: the network to use if `checkpoint` contains several.
      exclude_scopes: scopes that are not restored from `checkpoint`, such as 'Logits'; the heads
        are left out by themselves if it has another number of classes.
      steps: number of the last step, counted from the first run; None means 10,000, or what
        `epochs` makes.
      epochs: how often all images of the dataset are used, instead of `steps`.
      batch_size: images per step for each clone of each worker.
      image_size: height and width of the input; None means the network's own.
      distort: augment the images; False preprocesses them as for evaluation.
      epochs_per_decay: epochs after which the learning rate decays.
      warmup_epochs: epochs in which the learning rate rises linearly to its scheduled value.
      freeze_epochs: epochs at the start in which only the heads are trained.
      save_minutes: minutes between checkpoints; the last five are kept.
      summary_steps: steps between summaries, and between lines to `log`.
      seed: seed of weights, dropout, order and distortion of the images.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; None does so for image files and
        not for TFRecords.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      shuffle_buffer: TFRecord examples in the shuffle buffer.
      class_weights: weights of the classes in the loss: 'balanced', by which each class has the
        same part of it, or a CSV table with the columns `class` and `weight`; for multi-label
        images see `TrainingOptions`.
      balanced_sampling: draw each image of a random class, so that all are equally frequent; not of
        multi-label images.
      validation: images on which the network is evaluated between steps, with the checkpoint of the
        highest accuracy, or mean average precision of multi-label images, in `best`: a split of the
        dataset, the path of another dataset (with a slash), or the fraction of the image files to
        hold out.
      eval_every: steps between evaluations; None means an epoch.
      patience: evaluations without a better one after which training ends; None means never.
      worker_timeout: seconds without a response after which a worker counts as lost.
      worker_wait: minutes to wait for the other workers to start.

    Returns:
      A `TrainResult`.

    Raises:
      TrainingError: an option is out of range, `train_dir` is not writable or contains another
        network's checkpoint, the loss is not finite, or the workers are not consistent.
      WorkerLostError: another worker failed; the chief has saved a checkpoint.
      CheckpointError: `checkpoint` cannot be read or does not match the network.
      DatasetError: the dataset cannot be read.
    """
    return _run(dataset, os.fsdecode(train_dir), locals(), log, stored=False)


def resume(
    train_dir: str | os.PathLike,
    dataset: str | os.PathLike | data.Dataset | None = None,
    *,
    log: Callable[[str], None] | None = None,
    **options: Any,
) -> TrainResult:
    """Resumes the run in `train_dir` with its own options, from `training.json` in it.

    Args:
      train_dir: the folder of the run.
      dataset: another dataset, of the same number of classes; None means that of the run.
      log: called with a line of text now and then.
      **options: options of `train` to change, such as `steps`.

    Returns:
      A `TrainResult`.

    Raises:
      TrainingError: there is no such file, an option contradicts the checkpoints (network,
        depth_multiplier, min_depth); and as of `train`.
      TypeError: `train` has no such option.
    """
    unknown = set(options).difference(option_names(TrainingOptions))
    if unknown:
        raise TypeError(f'train has no option {min(unknown)!r}')
    return _run(dataset, os.fsdecode(train_dir), options, log, stored=True)


def _run(dataset: str | os.PathLike | data.Dataset | None, train_dir: str,
         given: Mapping[str, Any], log: Callable[[str], None] | None, *,
         stored: bool) -> TrainResult:
    """Trains with the given options; if `stored`, with those in `train_dir` where none is given."""
    options = build_options(TrainingOptions, given, TrainingError)
    if is_remote(train_dir):
        raise TrainingError(
            f'train_dir must be a local folder, not {train_dir}; train into a local '
            'folder and copy it afterwards.'
        )
    with join_cluster(os.environ.get('TF_CONFIG'), _common_options(options),
                      timeout=options.worker_timeout, wait_minutes=options.worker_wait,
                      log=log) as workers:
        if stored:
            # The chief alone has the folder.
            run = StoredRun(**workers.all_gather(lambda: asdict(
                read_run(train_dir)) if workers.is_chief else {})[0])
            options = build_options(TrainingOptions, run.merge(train_dir, given), TrainingError)
            dataset = run.dataset if dataset is None else dataset
        if dataset is None:
            raise TrainingError(f'The dataset of the run in {train_dir} was no path; give it.')
        if options.steps is not None and options.epochs is not None:
            raise TrainingError('steps and epochs both say how long to train; give one of them.')
        if options.validation is None and (options.eval_every or options.patience):
            raise TrainingError('eval_every and patience need validation images; give validation.')
        inputs = _open_inputs(workers, dataset, train_dir, options)
        with tf.Graph().as_default(), _record_signals() as signals:
            trainer = Trainer(inputs, train_dir, options, workers, signals, log)
            with workers.session() as session:
                trainer.initialize(session)
                with data.reraise_dataset_errors():
                    return trainer.run(session)


def _common_options(options: TrainingOptions) -> dict[str, Any]:
    """The options that must be the same in all workers; the chief alone restores and saves."""
    values = as_dict(options)
    for name in ('checkpoint', 'checkpoint_scope', 'exclude_scopes', 'save_minutes'):
        del values[name]
    if values['trainable_scopes'] is not None and not isinstance(values['trainable_scopes'], str):
        values['trainable_scopes'] = list(values['trainable_scopes'])
    return values


@dataclass(frozen=True)
class _Inputs:
    """What a run starts from.

    Attributes:
      dataset: the images, with the record counts of all files.
      validation: the validation images, likewise; None without any.
      source: the path of the dataset; None if it was given as an object.
      checkpoints: the chief's checkpoint directory; None in other workers.
      step: the step of the newest checkpoint, 0 without one.
      has_batch_norm: whether there is batch norm in the checkpoint to start from, if any.
      has_gammas: whether batch norm has gammas in that checkpoint.
      class_weights: of the loss, see `StepOptions`.
      source_classes: the number of classes of that checkpoint, None without a classifier; that of
        the dataset if there is no checkpoint.
      best: the best result of earlier runs on the validation images.
    """

    dataset: data.Dataset
    validation: data.Dataset | None
    source: str | None
    checkpoints: CheckpointDir | None
    step: int
    has_batch_norm: bool
    has_gammas: bool
    source_classes: int | None
    class_weights: Sequence[ClassWeight] | None
    best: ValidationResult | None


def _open_inputs(workers: WorkerGroup, source: str | os.PathLike | data.Dataset, train_dir: str,
                 options: TrainingOptions) -> _Inputs:
    """Opens the dataset and the checkpoint directory, and checks that all workers agree."""
    dataset: data.Dataset | None = None
    validation: data.Dataset | None = None
    directory: CheckpointDir | None = None
    weights: Sequence[ClassWeight] | None = None
    # Each worker counts the records of a part of the files.
    part = (workers.index, workers.count)

    def open_local() -> dict[str, Any]:
        nonlocal dataset, validation, directory, weights
        dataset = source if isinstance(source, data.Dataset) else data.open_dataset(
            source, options.split, part=part)
        if options.validation is not None:
            dataset, validation = open_validation(dataset, options.validation, part)
        if options.class_weights not in (None, BALANCED):
            weights = read_class_weights(options.class_weights, dataset.class_names)
            if dataset.multi_label:
                weights = [(1.0, weight) for weight in weights]
        result = {'num_classes': dataset.num_classes, 'multi_label': dataset.multi_label,
                  'num_files': len(dataset.files),
                  'num_validation_files': len(validation.files) if validation else 0}
        if not workers.is_chief:
            return result
        ensure_writable(train_dir)
        directory = CheckpointDir(train_dir, options.network, dataset.num_classes,
                                  dataset.multi_label)
        checkpoint = directory.newest or options.checkpoint
        info = checkpoint and checkpoints.inspect(
            checkpoint, checkpoint_scope=None if directory.newest else options.checkpoint_scope)
        return {**result, 'step': directory.step,
                'has_batch_norm': info.has_batch_norm if info else True,
                'has_gammas': info.has_gammas if info else False,
                'source_classes': info.num_classes if info else dataset.num_classes,
                'best': asdict(best) if validation and (best := read_best(train_dir)) else None}

    results = workers.all_gather(open_local)
    workers.check_consistent(results, ('num_classes', 'multi_label', 'num_files',
                                       'num_validation_files'))
    assert dataset is not None
    if dataset.kind == 'tfrecord' and dataset is not source:
        dataset = dataset.with_counts(workers.all_reduce_sum(dataset.counts))
    if validation and validation.kind == 'tfrecord':
        validation = validation.with_counts(workers.all_reduce_sum(validation.counts))
    path = None if isinstance(source, data.Dataset) else _absolute(os.fsdecode(source))
    if options.class_weights == BALANCED:
        counts = workers.all_reduce_sum(data.count_labels(dataset, part))
        weights = balanced_weights(counts) if not dataset.multi_label else [
            balanced_weights([dataset.num_examples - count, count]) for count in counts]
    chief = results[0]
    best = ValidationResult(**chief['best']) if chief.get('best') else None
    return _Inputs(dataset, validation, path, directory, chief['step'], chief['has_batch_norm'],
                   chief['has_gammas'], chief['source_classes'], weights, best)


def _absolute(path: str) -> str:
    return path if is_remote(path) else os.path.abspath(path)


class Trainer:
    """One training run: its graph, its state and its loop.

    The constructor builds the graph in the default graph.
    """

    def __init__(self, inputs: _Inputs, train_dir: str, options: TrainingOptions,
                 workers: WorkerGroup, signals: list[int],
                 log: Callable[[str], None] | None):
        """
        Args:
          inputs: from `_open_inputs`.
          train_dir: folder for checkpoints and summaries.
          options: the options of `train`.
          workers: this worker's group.
          signals: filled with the signals that ask this process to end.
          log: called with a line of text now and then.
        """
        self._inputs, self._train_dir, self._options = inputs, train_dir, options
        self._workers, self._signals, self._log = workers, signals, log
        self._network = registry.NETWORKS[options.network]
        self._images_per_step = options.batch_size * options.num_clones * workers.count
        self._last_step = self._count_steps(options.epochs) if options.epochs is not None else (
            options.steps or _DEFAULT_STEPS)
        self._unreadable: list[str] = []
        self._rotated: set[str] = set()
        self._checkpoint = inputs.checkpoints.newest if inputs.checkpoints else None
        self._step = self._saved_step = 0
        self._values: StepValues | None = None
        self._next_save = 0.0
        self._journal: Journal | None = None

        # The chief initializes the weights; the random numbers of a step, as for dropout, are each
        # worker's own.
        seed = options.seed
        tf.set_random_seed(None if seed is None else seed + workers.index)
        self._batches = self._build_input()
        batch = self._batches.get_next()
        shared = as_dict(options, option_names(LearningOptions))
        shared['end_learning_rate'] = min(options.end_learning_rate, options.learning_rate)
        if shared['batch_norm_decay'] == AUTO:
            shared['batch_norm_decay'] = auto_decay(self._last_step)
        self._frozen_steps = self._steps_of(options.freeze_epochs)
        self._train = build_step(batch['image'], batch['label'], inputs.dataset.num_classes,
                                 workers=workers,
                                 decay_steps=self._count_steps(options.epochs_per_decay),
                                 warmup_steps=self._steps_of(options.warmup_epochs),
                                 total_steps=self._last_step,
                                 separate_heads=self._frozen_steps > 0,
                                 class_weights=inputs.class_weights,
                                 use_batch_norm=inputs.has_batch_norm,
                                 batch_norm_scale=inputs.has_gammas, **shared)
        self._head = stored_head(inputs.dataset.multi_label)
        self._saver = build_saver(_MAX_CHECKPOINTS, self._head)
        # The moving averages are initialized from the variables, after these have their values.
        averages = {variable.op.name + checkpoints.MOVING_AVERAGE
                    for variable in tf.model_variables()}
        self._initializer = tf.variables_initializer([
            variable for variable in tf.global_variables() if variable.op.name not in averages])
        self._image_summary = tf.summary.image('input', batch['image'], _SUMMARY_IMAGES)
        self._summary = tf.summary.merge([
            tf.summary.scalar('learning_rate', self._train.learning_rate),
            *(tf.summary.scalar(f'losses/{name}', loss)
              for name, loss in self._train.losses.items())])
        self._validator: Validator | None = None
        if inputs.validation:
            self._validator = Validator(
                self._read(inputs.validation), inputs.validation, self._train.build_evaluation,
                workers, train_dir, inputs.best, self._head)
        self._eval_every = options.eval_every or self._count_steps(1)
        # Whether this worker was asked to end, and (if above 0) whether any worker was.
        self._end_requested = tf.placeholder_with_default(0.0, [])
        self._any_end_requested = workers.all_reduce_mean(self._end_requested)
        self._broadcast = workers.broadcast(tf.global_variables())

    def _steps_of(self, epochs: float) -> int:
        return round(self._inputs.dataset.num_examples * epochs / self._images_per_step)

    def _count_steps(self, epochs: float) -> int:
        return max(1, self._steps_of(epochs))

    def _build_input(self) -> tf.data.Iterator:
        options, seed = self._options, self._options.seed
        return tf.data.make_initializable_iterator(self._read(
            self._inputs.dataset, training=True, distort=options.distort, repeat=True,
            # A resumed run gets the images in another order.
            seed=None if seed is None else seed + self._inputs.step,
            shuffle_buffer=options.shuffle_buffer, balanced=options.balanced_sampling))

    def _read(self, dataset: data.Dataset, **settings: Any) -> tf.data.Dataset:
        options = self._options
        return data.batches(
            dataset, options.batch_size * options.num_clones,
            image_size=options.image_size or self._network.image_size,
            strict=options.strict, unreadable=self._unreadable, max_pixels=options.max_pixels,
            exif=options.exif, background=options.background, rotated=self._rotated,
            part=(self._workers.index, self._workers.count), **settings)

    def initialize(self, session: tf.Session) -> None:
        """Restores or initializes the variables in the chief, and broadcasts them."""
        options, workers = self._options, self._workers
        if self._inputs.checkpoints and self._checkpoint:
            self._inputs.checkpoints.restore(session, self._saver)
        elif workers.is_chief:
            session.run([self._initializer, tf.variables_initializer(self._head)])
            if options.checkpoint is not None:
                checkpoints.restore(
                    session, options.checkpoint, scope=self._network.scope,
                    exclude=self._excluded_scopes(), checkpoint_scope=options.checkpoint_scope,
                    activation=(MULTI_LABEL_HEAD if self._inputs.dataset.multi_label
                                else SLIM_HEAD).activation)
            session.run(self._train.init_averages)
        session.graph.finalize()
        with workers.raise_on_worker_loss(session):
            session.run(self._broadcast)
        session.run(self._batches.initializer)
        if workers.is_chief:
            if self._log and self._checkpoint:
                self._log(f'Resuming from {self._checkpoint}')
            elif self._log and not self._inputs.has_batch_norm:
                self._log(f'{options.checkpoint} has batch norm folded into its weights; the '
                          'network is trained with biases instead')
            data.write_labels(os.path.join(self._train_dir, data.LABELS),
                              self._inputs.dataset.class_names, TrainingError)
            write_run(self._train_dir, self._inputs.source, self._inputs.dataset.num_classes,
                      options)

    def _excluded_scopes(self) -> list[str]:
        """The scopes not to restore, with the heads if the checkpoint has other classes."""
        options, classes = self._options, self._inputs.dataset.num_classes
        if isinstance(options.exclude_scopes, str):
            raise TrainingError('exclude_scopes must be a list of scopes, not '
                                f'{options.exclude_scopes!r}.')
        scopes = list(options.exclude_scopes)
        given = {scope.removeprefix(self._network.scope + '/').rstrip('/') for scope in scopes}
        heads = [head for head in self._network.heads if head not in given]
        if self._inputs.source_classes == classes or not heads:
            return scopes
        if self._log:
            count = self._inputs.source_classes
            self._log(f'{options.checkpoint} has {"no" if count is None else f"{count:,}"} classes '
                      f'and the dataset {classes:,}: {" and ".join(heads)} start from random '
                      'weights')
        return scopes + heads

    def run(self, session: tf.Session) -> TrainResult:
        """Trains to the last step, a signal or an error; saves at intervals and at the end."""
        workers = self._workers
        start = self._step = self._saved_step = int(session.run(self._train.global_step))
        if workers.is_chief:
            self._journal = Journal(self._train_dir, start, self._last_step,
                                    self._images_per_step, self._log)
            if start < self._last_step:
                # By themselves: to fetch them with a step would optimize its graph once more.
                self._journal.add_start(as_dict(self._options), session.run(self._image_summary))
        self._next_save = time.monotonic() + 60 * self._options.save_minutes
        stopping = False
        try:
            while self._step < self._last_step and not stopping and not self._is_out_of_patience():
                stopping = self._run_step(session)
                if not stopping and (self._step % self._eval_every == 0
                                     or self._step == self._last_step):
                    self._validate(session)
                self._save_if_due(session)
            if workers.is_chief and (self._saved_step != self._step or self._checkpoint is None):
                self._save(session)
            elif self._journal:
                self._journal.loss_plot.draw()
            workers.barrier()
        finally:
            if self._journal:
                self._journal.close()
        return TrainResult(self._checkpoint, self._step, start,
                           float(self._values.loss) if self._values else None,
                           stopping and self._step < self._last_step, self._unreadable,
                           len(self._rotated.difference(self._unreadable)),
                           self._validator.best if self._validator else None,
                           self._validator.best_checkpoint if self._validator else None,
                           self._is_out_of_patience() and self._step < self._last_step,
                           self._batch_norm_warning())

    def _run_step(self, session: tf.Session) -> bool:
        """Runs one step; returns whether the run shall end after it."""
        number = self._step + 1
        train = self._train.train
        if number <= self._frozen_steps and self._train.train_heads is not None:
            train = self._train.train_heads
        elif number == self._frozen_steps + 1 > 1 and self._log:
            self._log(f'step {number}: all layers are trained from here on')
        with_summary = number % self._options.summary_steps == 0 or number == self._last_step
        try:
            with self._workers.raise_on_worker_loss(session):
                values, summary, end_requested = session.run(
                    [StepValues(train, self._train.losses['logits'],
                                self._train.accuracy),
                     self._summary if with_summary else (), self._any_end_requested],
                    {self._end_requested: float(bool(self._signals))})
        except tf.errors.InvalidArgumentError as error:
            if 'inf or nan' not in str(error):
                raise
            if self._journal:
                self._journal.loss_plot.draw()  # shows how the loss got there
            advice = (f'resume from the last checkpoint, {self._checkpoint}' if self._checkpoint
                      else 'start again (there is no checkpoint yet)')
            raise TrainingError(f'The loss is not finite at step {number}; lower the learning rate '
                                f'and {advice}.') from None
        except WorkerLostError as error:
            raise self._handle_worker_loss(error) from None
        self._step, self._values = number, values
        if self._journal:
            self._journal.add(number, values, summary)
        # One worker ends after the current step; several end after the next one, when all know.
        return bool(self._signals) if self._workers.count == 1 else end_requested > 0

    def _validate(self, session: tf.Session) -> None:
        """Evaluates the network on the validation images, if there are any."""
        if self._validator is None:
            return
        start = time.monotonic()
        try:
            with self._workers.raise_on_worker_loss(session):
                result, confusion = self._validator.evaluate(session, self._step)
        except WorkerLostError as error:
            raise self._handle_worker_loss(error) from None
        if self._journal:
            self._journal.add_validation(result, confusion, self._inputs.dataset.class_names,
                                         time.monotonic() - start)
        self._validator.keep_best(session, result)

    def _batch_norm_warning(self) -> str | None:
        decay = self._options.batch_norm_decay
        # A run that trains some layers leaves the others as their averages describe them.
        if (isinstance(decay, str) or self._options.trainable_scopes is not None
                or not self._inputs.has_batch_norm or self._step < self._last_step):
            return None
        return describe_few_updates(self._step, decay)

    def _is_out_of_patience(self) -> bool:
        # By steps, not by a counter, so that a resumed run needs no state for it.
        patience = self._options.patience
        return bool(patience and self._validator and self._validator.best and (
            self._step - self._validator.best.step) // self._eval_every >= patience)

    def _handle_worker_loss(self, error: WorkerLostError) -> WorkerLostError:
        """Saves the last complete step in the chief, and returns the error to raise.

        The interrupted step has changed no variable; see `WorkerGroup.average_gradients`.
        """
        if self._workers.is_chief and self._step != self._saved_step:
            with self._workers.session() as session:
                self._save(session)
        where = f' and saved {self._checkpoint}' if self._checkpoint else ''
        return WorkerLostError(f'{error}; training stopped after step {self._step:,}{where}. To '
                               'resume, run the same command in every worker.')

    def _save_if_due(self, session: tf.Session) -> None:
        if self._workers.is_chief and time.monotonic() >= self._next_save:
            self._save(session)
            self._next_save = time.monotonic() + 60 * self._options.save_minutes

    def _save(self, session: tf.Session) -> None:
        with self._workers.exit_suspended():
            self._checkpoint = save(session, self._saver, self._train_dir, self._step)
        self._saved_step = self._step
        if self._journal:
            self._journal.loss_plot.draw()


@contextlib.contextmanager
def _record_signals() -> Iterator[list[int]]:
    """Yields a list that receives SIGINT and SIGTERM; outside the main thread it stays empty."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, previous[number])  # a second signal has its usual effect

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
