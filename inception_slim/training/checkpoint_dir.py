"""The checkpoint directory of a training run."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import errno
import glob
import os
import re
import shutil
import tempfile

from inception_slim import checkpoint as checkpoints
from inception_slim.checkpoint.head import MULTI_LABEL_HEAD, SLIM_HEAD
from inception_slim.checkpoint.tf_checkpoint import HEAD
from inception_slim.errors import TrainingError, error_summary
import tensorflow.compat.v1 as tf

_NAME = 'model.ckpt'
# System errors that TensorFlow hides in long messages about its graph.
_SYSTEM_ERRORS = [os.strerror(code) for code in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT,
                                                 errno.EROFS, errno.EACCES, errno.EIO)]


def ensure_writable(folder: str) -> None:
    """Creates the folder if it is missing; raises a TrainingError if it is not writable."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f'{folder} cannot be written ({error.strerror}); give another '
                            'folder.') from None


def _write_error(path: str, reason: str) -> TrainingError:
    return TrainingError(f'{path} cannot be written ({reason}). Earlier checkpoints are intact: '
                         'free disk space and run the same command to resume.')


def checkpoint_prefix(folder: str, step: int) -> str:
    """The prefix of the checkpoint of a step, as `save` writes it."""
    return os.path.join(folder, f'{_NAME}-{step}')


def stored_head(multi_label: bool) -> list[tf.Variable]:
    """The variable by which checkpoints tell that the head is a sigmoid; none for a softmax."""
    return [tf.Variable(str(MULTI_LABEL_HEAD), name=HEAD, trainable=False, use_resource=True,
                        collections=[])] if multi_label else []


def build_saver(max_to_keep: int, head: Sequence[tf.Variable] = ()) -> tf.train.Saver:
    """A saver of all variables of the default graph, and of that of `stored_head`."""
    return tf.train.Saver([*tf.global_variables(), *head], max_to_keep=max_to_keep,
                          save_relative_paths=True)


def save(session: tf.Session, saver: tf.train.Saver, folder: str, step: int) -> str:
    """Writes a checkpoint and returns its prefix; a failed write leaves no files behind.

    Raises:
      TrainingError: the checkpoint cannot be written.
    """
    prefix = checkpoint_prefix(folder, step)
    try:
        return saver.save(session, os.path.join(folder, _NAME), global_step=step,
                          write_meta_graph=False)
    except (OSError, tf.errors.OpError) as error:
        _remove_partial(prefix)
        message = str(getattr(error, 'message', None) or error)
        reason = next((text for text in _SYSTEM_ERRORS if text in message), error_summary(error))
        raise _write_error(prefix, reason) from None


def _remove_partial(prefix: str) -> None:
    for path in glob.glob(glob.escape(prefix) + '[._]*'):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.remove(path)


class CheckpointDir:
    """The checkpoints of earlier runs in a folder, without those that cannot be read."""

    def __init__(self, folder: str, network: str, num_classes: int, multi_label: bool = False):
        """
        Args:
          folder: the `train_dir`.
          network: the network that is to be trained.
          num_classes: number of classes of the dataset.
          multi_label: whether its images have several labels.

        Raises:
          TrainingError: a checkpoint has another network, number of classes or activation, or no
            checkpoint can be read although the `checkpoint` file lists one.
        """
        self._folder = folder
        self._checkpoints: list[tuple[int, str]] = []
        unreadable = []
        for index in glob.glob(os.path.join(glob.escape(folder), f'{_NAME}-*.index')):
            match = re.fullmatch(rf'{re.escape(_NAME)}-(\d+)', os.path.basename(index)[:-6])
            if not match:
                continue
            prefix, step = index[:-len('.index')], int(match[1])
            try:
                info, _ = checkpoints.read(prefix)
            except checkpoints.CheckpointError as error:
                unreadable.append((prefix, error))
                continue
            if (info.network, info.num_classes) != (network, num_classes):
                raise TrainingError(
                    f'{prefix} is a checkpoint of {info.network} with {info.num_classes} classes, '
                    f'not of {network} with {num_classes}; give another --train-dir.')
            head = MULTI_LABEL_HEAD if multi_label else SLIM_HEAD
            if info.head != head:
                raise TrainingError(
                    f'{prefix} is a checkpoint with a {info.head.activation}, but images with '
                    f'{"several labels" if multi_label else "one label"} need a '
                    f'{head.activation}; give another --train-dir.')
            self._checkpoints.append((step, prefix))
        self._checkpoints.sort()
        # An interrupted save is not listed in the `checkpoint` file; a listed checkpoint that
        # cannot be read has been damaged.
        state = tf.train.get_checkpoint_state(folder)
        listed = {os.path.basename(path)
                  for path in (state.all_model_checkpoint_paths if state else ())}
        if not self._checkpoints:
            for prefix, error in unreadable:
                if os.path.basename(prefix) in listed:
                    raise TrainingError(f'No readable checkpoint in {folder}: {error} Remove the '
                                        'checkpoints to start over.')
        for leftover in glob.glob(os.path.join(glob.escape(folder), f'{_NAME}-*_temp*')):
            shutil.rmtree(leftover, ignore_errors=True)

    @property
    def newest(self) -> str | None:
        """The prefix of the newest readable checkpoint; None without one."""
        return self._checkpoints[-1][1] if self._checkpoints else None

    @property
    def step(self) -> int:
        """The step of the newest readable checkpoint; 0 without one."""
        return self._checkpoints[-1][0] if self._checkpoints else 0

    def restore(self, session: tf.Session, saver: tf.train.Saver) -> None:
        """Restores the newest complete checkpoint; `saver` will delete it and older ones in turn.

        Raises:
          TrainingError: no checkpoint is complete, or its variables are not those of the graph.
        """
        while True:
            _, prefix = self._checkpoints[-1]
            try:
                # Restoring would give a resource variable whatever shape the file has.
                shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
                for variable in tf.global_variables():
                    if shapes.get(variable.op.name) != variable.shape.as_list():
                        raise ValueError(variable.op.name)
                saver.restore(session, prefix)
                break
            except tf.errors.DataLossError:
                self._checkpoints.pop()
                if not self._checkpoints:
                    raise TrainingError(f'No complete checkpoint in {self._folder}. Remove the '
                                        'checkpoints to start over.') from None
            except (tf.errors.NotFoundError, tf.errors.InvalidArgumentError, ValueError):
                raise TrainingError(
                    f'{prefix} was written with other options (depth multiplier, image size, '
                    'trainable scopes or moving averages); give the same options, or another '
                    '--train-dir.') from None
        saver.recover_last_checkpoints([path for _, path in self._checkpoints])
