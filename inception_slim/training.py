"""Training a network, from scratch or from a checkpoint, as TF-Slim's users trained theirs.

Each step is softmax cross-entropy with smoothed labels on the logits and, with less weight, on the
auxiliary logits; the L2 loss of the arg scope; RMSProp with a rate that decays; batch norm's
moving averages with the step and the moving averages of the weights after it. What is written are
TF-Slim's checkpoints, which TensorFlow 1.15.5 reads too.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tqdm import tqdm

from inception_slim import checkpoint as checkpoints
from inception_slim import data
from inception_slim.nets import factory

_KEPT = 5  # checkpoints in the folder
_NAME = 'model.ckpt'


class TrainingError(ValueError):
    """Training cannot begin or go on; one sentence says why, and what to do."""


@dataclass(frozen=True)
class Step:
    """One training step, as tensors and an op of a graph.

    Attributes:
      train: runs the step, all of it; its value is the total loss from before it.
      losses: the parts of the loss, scalars by name: 'total', 'logits', 'regularization', and
        'aux_logits' where there is an auxiliary head.
      learning_rate: of this step, a scalar.
      global_step: how many steps were made, int64.
      averages: the moving averages of the weights; None without them.
      begin_averages: sets every moving average to its variable's present value.
    """

    train: tf.Tensor
    losses: dict[str, tf.Tensor]
    learning_rate: tf.Tensor
    global_step: tf.Variable
    averages: tf.train.ExponentialMovingAverage | None
    begin_averages: tf.Operation


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


def build_step(
        images: tf.Tensor,
        labels: tf.Tensor,
        num_classes: int,
        *,
        network: str = 'inception_v3',
        trainable_scopes: Iterable[str] | None = None,
        learning_rate: float = 0.01,
        end_learning_rate: float = 0.0001,
        decay_factor: float = 0.94,
        decay_steps: int = 1000,
        aux_weight: float = 0.4,
        label_smoothing: float = 0.1,
        weight_decay: float = 0.00004,
        moving_average_decay: float | None = 0.9999,
        clip_gradients: float = 2.0,
        batch_norm_decay: float = 0.9997,
        batch_norm_scale: bool = False,
        dropout_keep_prob: float = 0.8,
        depth_multiplier: float = 1.0,
        min_depth: int = 16) -> Step:
    """Builds the network and one step of its training in the default graph.

    Args:
      images: `[batch, height, width, 3]` float32 in [-1, 1].
      labels: `[batch]` integers in [0, num_classes).
      num_classes: width of the classifiers.
      network: its name in `nets.factory`.
      trainable_scopes: train the variables under these scopes alone, such as 'Logits' or
        'InceptionV3/Logits'; None trains all.
      learning_rate: of the first step.
      end_learning_rate: it decays no further than this.
      decay_factor: what the rate is multiplied by, every `decay_steps`, at once.
      decay_steps: see `decay_factor`.
      aux_weight: weight of the auxiliary head's loss; 0 leaves the head untrained.
      label_smoothing: the part of each label that is spread over all classes, in [0, 1).
      weight_decay: factor of the L2 loss.
      moving_average_decay: what the average of a weight keeps of itself in a step, less in the
        first thousands of steps; None or 0 keeps no averages.
      clip_gradients: the largest norm of each variable's gradient; 0 leaves them as they are.
      batch_norm_decay: what batch norm's moving averages keep of themselves in a step; 0.9997
        wants ten thousand steps, 0.99 a few hundred.
      batch_norm_scale: whether batch norm has gammas.
      dropout_keep_prob: the part of the pooled features that dropout keeps, in (0, 1].
      depth_multiplier: factor of every convolution's number of channels, greater than 0.
      min_depth: the fewest channels a convolution is thinned to.

    Raises:
      ValueError: an argument is out of its range, or `trainable_scopes` names nothing.

    Source: https://arxiv.org/abs/1512.00567, section 8, and the defaults of TF-Slim's users.
    """
    known = factory.NETWORKS[network]
    arguments = {'dropout_keep_prob': dropout_keep_prob}
    if known.channels:
        arguments.update(depth_multiplier=depth_multiplier, min_depth=min_depth)
    elif depth_multiplier != 1:
        raise TrainingError(f'{known.title} cannot be thinned; leave depth_multiplier at 1.')
    # Resource variables, whose reads and writes have an order; their names are the same.
    with tf.variable_scope('', use_resource=True):
        global_step = tf.train.get_or_create_global_step()
        with slim.arg_scope(known.arg_scope(weight_decay=weight_decay,
                                            batch_norm_decay=batch_norm_decay,
                                            batch_norm_scale=batch_norm_scale)):
            logits, end_points = known.function(images, num_classes=num_classes, is_training=True,
                                                **arguments)
        wanted = tf.one_hot(labels, num_classes)
        losses = {'logits': tf.losses.softmax_cross_entropy(
            wanted, logits, label_smoothing=label_smoothing)}
        if 'AuxLogits' in end_points:
            losses['aux_logits'] = tf.losses.softmax_cross_entropy(
                wanted, end_points['AuxLogits'], weights=aux_weight,
                label_smoothing=label_smoothing, scope='aux_loss')
        losses['regularization'] = tf.losses.get_regularization_loss()
        losses['total'] = tf.losses.get_total_loss()
        rate = tf.maximum(float(end_learning_rate), tf.train.exponential_decay(
            learning_rate, global_step, decay_steps, decay_factor, staircase=True),
            name='decayed_learning_rate')
        optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
        train_step = slim.learning.create_train_op(
            losses['total'], optimizer, global_step=global_step,
            variables_to_train=_trainable(known, trainable_scopes),
            clip_gradient_norm=clip_gradients or 0)
        if not moving_average_decay:
            return Step(train_step, losses, rate, global_step, None, tf.no_op())
        averages = tf.train.ExponentialMovingAverage(moving_average_decay, global_step)
        variables = slim.get_model_variables()
        with tf.control_dependencies([train_step]):
            averaged = averages.apply(variables)
        with tf.control_dependencies([averaged]):
            train_step = tf.identity(train_step, 'train_step')
        begin = tf.group(*(tf.assign(averages.average(each), each) for each in variables))
    return Step(train_step, losses, rate, global_step, averages, begin)


def _trainable(network: factory.Network, scopes: Iterable[str] | None) -> list[tf.Variable]:
    variables = tf.trainable_variables()
    if scopes is None:
        return variables
    if isinstance(scopes, str):
        raise TrainingError(f'trainable_scopes must be a list of scopes, not {scopes!r}; '
                            f'write trainable_scopes=[{scopes!r}].')
    chosen = set()
    for scope in scopes:
        inside = scope.strip('/').removeprefix(network.scope + '/')
        under = network.scope if inside == network.scope else f'{network.scope}/{inside}'
        found = [each.op.name for each in variables if each.op.name.startswith(under + '/')]
        if not found:
            raise TrainingError(f'No trainable variable is under the scope {scope!r}; name scopes '
                                'such as Logits, AuxLogits or Mixed_7c.')
        chosen.update(found)
    if not chosen:
        raise TrainingError('trainable_scopes is empty; name a scope, or leave it out.')
    return [each for each in variables if each.op.name in chosen]


def train(
        dataset: str | os.PathLike | data.Dataset,
        train_dir: str | os.PathLike,
        *,
        split: str | None = None,
        network: str = 'inception_v3',
        checkpoint: str | os.PathLike | None = None,
        checkpoint_scope: str | None = None,
        exclude_scopes: Iterable[str] = (),
        trainable_scopes: Iterable[str] | None = None,
        steps: int = 10_000,
        batch_size: int = 32,
        image_size: int | None = None,
        distort: bool = True,
        learning_rate: float = 0.01,
        end_learning_rate: float = 0.0001,
        decay_factor: float = 0.94,
        epochs_per_decay: float = 2.0,
        aux_weight: float = 0.4,
        label_smoothing: float = 0.1,
        weight_decay: float = 0.00004,
        moving_average_decay: float | None = 0.9999,
        clip_gradients: float = 2.0,
        batch_norm_decay: float = 0.9997,
        dropout_keep_prob: float = 0.8,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        save_minutes: float = 10,
        summary_steps: int = 20,
        seed: int | None = None,
        strict: bool = False,
        log: Callable[[str], None] | None = None) -> Trained:
    """Trains a network on a dataset, or goes on where an earlier run in `train_dir` stopped.

    SIGINT and SIGTERM end it after the step at hand, with a checkpoint; a second one ends it at
    once. If it is killed outright, the next run goes on from the last checkpoint that is whole.

    Args:
      dataset: what `data.open_dataset` opens, or has opened.
      train_dir: the folder of checkpoints and TensorBoard summaries; made if it is not there.
      split: the split of the dataset to train on; as in `data.open_dataset`.
      network: its name in `nets.factory`.
      checkpoint: where the first run's weights come from; any that `inception_slim.checkpoint`
        reads. None begins with random weights.
      checkpoint_scope: which network to take from it, where it holds more than one.
      exclude_scopes: what not to take from it, such as 'Logits' and 'AuxLogits' where the classes
        are others.
      trainable_scopes: see `build_step`.
      steps: where to stop, counted from the first step of the first run.
      batch_size: images in one step.
      image_size: pixels of a side; the network's own by default.
      distort: show pieces of the images, flipped and in other colours, see
        `preprocessing.for_training`; False shows them as evaluation does.
      learning_rate, end_learning_rate, decay_factor: see `build_step`.
      epochs_per_decay: after how many times through the dataset the rate falls by `decay_factor`.
      aux_weight, label_smoothing, weight_decay, moving_average_decay: see `build_step`.
      clip_gradients, batch_norm_decay, dropout_keep_prob: see `build_step`.
      depth_multiplier, min_depth: see `build_step`.
      save_minutes: minutes from one checkpoint to the next; the last five are kept.
      summary_steps: steps from one summary, and one line to `log`, to the next.
      seed: makes weights, dropout and the order of the images those of an earlier run, where the
        threads of tf.data allow it.
      strict: stop at a damaged image instead of leaving it out.
      log: called with a line of text now and then.

    Raises:
      TrainingError: an argument is out of its range, `train_dir` holds another network's
        checkpoint or cannot be written, or the loss is not a number any more.
      CheckpointError: `checkpoint` cannot be read or does not fit.
      data.DatasetError: the dataset cannot be read.
    """
    if network not in factory.NETWORKS:
        raise TrainingError(f'There is no network {network!r}; name one of '
                            f'{", ".join(factory.NETWORKS)}.')
    for name, value, least in (
            ('steps', steps, 1), ('batch_size', batch_size, 1), ('summary_steps', summary_steps, 1),
            ('image_size', image_size or 1, 1), ('min_depth', min_depth, 1),
            ('clip_gradients', clip_gradients or 0, 0), ('aux_weight', aux_weight, 0),
            ('weight_decay', weight_decay, 0), ('end_learning_rate', end_learning_rate, 0)):
        if not value >= least:
            raise TrainingError(f'{name} must be at least {least}, but is {value}.')
    for name, value in (('learning_rate', learning_rate), ('decay_factor', decay_factor),
                        ('epochs_per_decay', epochs_per_decay), ('save_minutes', save_minutes),
                        ('depth_multiplier', depth_multiplier)):
        if not value > 0:
            raise TrainingError(f'{name} must be greater than 0, but is {value}.')
    for name, value in (('label_smoothing', label_smoothing),
                        ('batch_norm_decay', batch_norm_decay),
                        ('moving_average_decay', moving_average_decay or 0),
                        ('dropout', 1 - dropout_keep_prob)):
        if not 0 <= value < 1:
            raise TrainingError(f'{name} must be at least 0 and less than 1, but is {value:g}.')
    if isinstance(dataset, (str, os.PathLike)):
        dataset = data.open_dataset(dataset, split)
    train_dir = os.fspath(train_dir)
    _make_writable(train_dir)
    found = _Folder(train_dir, network, dataset.num_classes)
    if found.newest:
        scale = checkpoints.inspect(found.newest).has_gammas
    else:
        scale = checkpoint is not None and checkpoints.inspect(
            checkpoint, checkpoint_scope=checkpoint_scope).has_gammas
    bad = []
    known = factory.NETWORKS[network]
    with tf.Graph().as_default() as graph, _signals_noted() as signals:
        tf.set_random_seed(seed)
        # After a stop the images come in another order than at first.
        batch = tf.data.make_initializable_iterator(data.batches(
            dataset, batch_size, image_size=image_size or known.image_size, training=True,
            distort=distort, repeat=True, seed=None if seed is None else seed + found.step,
            strict=strict, bad=bad))
        element = batch.get_next()
        decay_steps = max(1, round(dataset.num_examples * epochs_per_decay / batch_size))
        step = build_step(
            element['image'], element['label'], dataset.num_classes, network=network,
            trainable_scopes=trainable_scopes, learning_rate=learning_rate,
            end_learning_rate=min(end_learning_rate, learning_rate), decay_factor=decay_factor,
            decay_steps=decay_steps, aux_weight=aux_weight, label_smoothing=label_smoothing,
            weight_decay=weight_decay, moving_average_decay=moving_average_decay,
            clip_gradients=clip_gradients, batch_norm_decay=batch_norm_decay,
            batch_norm_scale=scale, dropout_keep_prob=dropout_keep_prob,
            depth_multiplier=depth_multiplier, min_depth=min_depth)
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
                if checkpoint is not None:
                    checkpoints.restore(session, checkpoint, scope=known.scope,
                                        exclude=exclude_scopes, checkpoint_scope=checkpoint_scope)
                session.run(step.begin_averages)
            graph.finalize()
            session.run(batch.initializer)
            if log and found.newest:
                log(f'Going on from {found.newest}')
            _write_labels(train_dir, dataset.class_names)
            with data.errors_named():
                return _loop(session, step, saver, summary, signals, train_dir, found.newest, bad,
                             steps=steps, batch_size=batch_size, save_minutes=save_minutes,
                             summary_steps=summary_steps, log=log)


def _loop(session, step, saver, summary, signals, train_dir, last, bad, *, steps, batch_size,
          save_minutes, summary_steps, log) -> Trained:
    """Steps until the last, a signal or an error; saves by the clock and at the end."""
    started = done = saved = int(session.run(step.global_step))
    loss, path = None, last
    writer = tf.summary.FileWriter(train_dir)
    bar = tqdm(total=steps * batch_size, initial=done * batch_size, unit=' images', disable=None,
               file=sys.stderr, dynamic_ncols=True)
    try:
        next_save = time.monotonic() + 60 * save_minutes
        since, logged = time.monotonic(), done
        while done < steps and not signals:
            due = (done + 1) % summary_steps == 0 or done + 1 == steps
            try:
                loss, lines = session.run([step.train, summary if due else ()])
            except tf.errors.InvalidArgumentError as error:
                if 'inf or nan' not in str(error):
                    raise
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
                writer.add_summary(tf.Summary(value=[tf.Summary.Value(
                    tag='images_per_second', simple_value=rate)]), done)
                if log:
                    log(f'step {done} of {steps}: loss {loss:.4f}, {rate:.1f} images/s')
            bar.set_postfix(step=done, loss=f'{loss:.3f}', refresh=False)
            if time.monotonic() >= next_save:
                path, saved = _save(session, saver, train_dir, done), done
                next_save = time.monotonic() + 60 * save_minutes
        if saved != done or path is None:
            path = _save(session, saver, train_dir, done)
    finally:
        bar.close()
        _close(writer)
    return Trained(path, done, started, None if loss is None else float(loss), done < steps, bad)


# The folder -----------------------------------------------------------------------------------

def _make_writable(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f'{folder} cannot be written ({error.strerror}); give another '
                            'folder.') from None


def _write_labels(folder: str, class_names: Iterable[str]) -> None:
    path = os.path.join(folder, 'labels.txt')
    try:
        with open(path + '.new', 'w') as file:
            file.writelines(f'{index}:{name}\n' for index, name in enumerate(class_names))
        os.replace(path + '.new', path)
    except OSError as error:
        raise _not_written(path, error.strerror) from None


def _not_written(path: str, why: str) -> TrainingError:
    return TrainingError(f'{path} cannot be written ({why}); the checkpoints before it are as they '
                         'were: make room, and run the same again to go on from the last.')


def _save(session: tf.Session, saver: tf.train.Saver, folder: str, step: int) -> str:
    prefix = os.path.join(folder, f'{_NAME}-{step}')
    try:
        return saver.save(session, os.path.join(folder, _NAME), global_step=step,
                          write_meta_graph=False)
    except (OSError, tf.errors.OpError) as error:
        _remove(prefix)
        raise _not_written(prefix, _reason(error)) from None


def _reason(error: Exception) -> str:
    """The system's own words, which TensorFlow wraps in many lines of the graph's."""
    message = getattr(error, 'message', None) or str(error)
    words = [os.strerror(code) for code in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS,
                                            errno.EACCES, errno.EIO)]
    return next((each for each in words if each in message), message.splitlines()[0].rstrip('.:'))


def _remove(prefix: str) -> None:
    """What a save that did not end left behind."""
    for path in glob.glob(glob.escape(prefix) + '[._]*'):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.remove(path)


def _close(writer: tf.summary.FileWriter) -> None:
    # Summaries are not worth an error of their own: a full disk has stopped them, and says so when
    # the checkpoint is written.
    with contextlib.suppress(OSError, tf.errors.OpError):
        writer.close()


class _Folder:
    """The checkpoints of earlier runs in a folder, from the newest that is whole."""

    def __init__(self, folder: str, network: str, num_classes: int):
        self._folder = folder
        self._whole = []
        damaged = []
        for index in glob.glob(os.path.join(glob.escape(folder), f'{_NAME}-*.index')):
            match = re.fullmatch(rf'{re.escape(_NAME)}-(\d+)', os.path.basename(index)[:-6])
            if not match:
                continue
            prefix, step = index[:-len('.index')], int(match[1])
            try:
                info, _ = checkpoints.read(prefix)
            except checkpoints.CheckpointError as error:
                damaged.append((prefix, error))
                continue
            if (info.network, info.num_classes) != (network, num_classes):
                raise TrainingError(
                    f'{prefix} is of {info.network} with {info.num_classes} classes, not of '
                    f'{network} with {num_classes}; give another --train-dir.')
            self._whole.append((step, prefix))
        self._whole.sort()
        # A save that was cut short is in nobody's list; one that was listed is worth a word.
        state = tf.train.get_checkpoint_state(folder)
        listed = state.all_model_checkpoint_paths if state else ()
        listed = {os.path.basename(path) for path in listed}
        if not self._whole:
            for prefix, error in damaged:
                if os.path.basename(prefix) in listed:
                    raise TrainingError(f'No checkpoint in {folder} can be read ({error}) Take '
                                        'them away to begin again.')
        for leftover in glob.glob(os.path.join(glob.escape(folder), f'{_NAME}-*_temp*')):
            shutil.rmtree(leftover, ignore_errors=True)

    @property
    def newest(self) -> str | None:
        return self._whole[-1][1] if self._whole else None

    @property
    def step(self) -> int:
        return self._whole[-1][0] if self._whole else 0

    def restore(self, session: tf.Session, saver: tf.train.Saver) -> None:
        """The newest whose every part can be read; those before it stay known to the saver."""
        while True:
            step, prefix = self._whole[-1]
            try:
                # Restoring gives a resource variable whatever shape the file has.
                shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
                for each in tf.global_variables():
                    if shapes.get(each.op.name) != each.shape.as_list():
                        raise ValueError(each.op.name)
                saver.restore(session, prefix)
                break
            except tf.errors.DataLossError:
                self._whole.pop()
                if not self._whole:
                    raise TrainingError(f'No checkpoint in {self._folder} can be read whole; take '
                                        'them away to begin again.') from None
            except (tf.errors.NotFoundError, tf.errors.InvalidArgumentError, ValueError):
                raise TrainingError(
                    f'{prefix} was written by a training with other options (width, image size, '
                    'trainable scopes or moving averages); give those, or another '
                    '--train-dir.') from None
        saver.recover_last_checkpoints([path for _, path in self._whole])


# Signals --------------------------------------------------------------------------------------

@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """A list that fills when the process is asked to end; only the main thread can ask for it."""
    noted = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {}

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
