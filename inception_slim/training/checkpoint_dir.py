"""The folder of a training: its checkpoints and labels, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import tempfile

from inception_slim import checkpoint as checkpoints
from inception_slim.errors import TrainingError
import tensorflow.compat.v1 as tf

_NAME = 'model.ckpt'


def ensure_writable(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f'{folder} cannot be written ({error.strerror}); give another '
                            'folder.') from None


def _not_written(path: str, why: str) -> TrainingError:
    return TrainingError(f'{path} cannot be written ({why}); the checkpoints before it are as they '
                         'were: make room, and run the same again to go on from the last.')


def save(session: tf.Session, saver: tf.train.Saver, folder: str, step: int) -> str:
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


def close_writer(writer: tf.summary.FileWriter) -> None:
    # Summaries are not worth an error of their own: a full disk has stopped them, and says so when
    # the checkpoint is written.
    with contextlib.suppress(OSError, tf.errors.OpError):
        writer.close()


class CheckpointDir:
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
