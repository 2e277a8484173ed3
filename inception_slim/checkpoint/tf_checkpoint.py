"""The files of a checkpoint: found, opened, read; what is damaged is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable
import difflib
import os
import re
from typing import TYPE_CHECKING

from inception_slim.errors import CheckpointError
from inception_slim.nets import POOLINGS
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from inception_slim.checkpoint.weight_sources import ImportedWeights

_DATA_SUFFIX = re.compile(r'\.data-(\d{5})-of-(\d{5})$')


def find_prefix(path: str | os.PathLike) -> str:
    """The prefix by which TensorFlow opens the checkpoint that `path` means.

    Args:
      path: the prefix itself, a V1 file, a directory with a `checkpoint` state file, or one of the
        files of a V2 checkpoint.

    Raises:
      CheckpointError: there is no checkpoint, or something else, or a part of it is missing.
    """
    path = os.fspath(path)
    if not path:
        raise CheckpointError('The path of the checkpoint is empty; give its prefix or folder.')
    if tf.io.gfile.isdir(path):
        return _in_directory(path)
    prefix = re.sub(r'\.(index|meta)$', '', _DATA_SUFFIX.sub('', path))
    if tf.io.gfile.exists(prefix + '.index'):
        _check_shards(prefix)
        return prefix
    if tf.io.gfile.exists(prefix):
        _check_is_table(prefix)
        return prefix
    if tf.io.gfile.glob(_escaped(prefix) + '-?????-of-?????'):
        return prefix + '-?????-of-?????'
    if tf.io.gfile.exists(path):
        raise CheckpointError(
            f'{path} is one part of a checkpoint, but {prefix}.index, which says what is in it, '
            'is not beside it; put it there.')
    raise CheckpointError(f'There is no checkpoint {path}{_nearest(path)}')


def _escaped(pattern: str) -> str:
    return re.sub(r'([*?\[\]\\])', r'\\\1', pattern)


def _in_directory(directory: str) -> str:
    names = tf.io.gfile.listdir(directory)
    prefixes = sorted(name[:-len('.index')] for name in names if name.endswith('.index'))
    state = tf.train.get_checkpoint_state(directory)
    if state is None and 'checkpoint' in names:
        raise CheckpointError(f'{directory}/checkpoint, which says which checkpoint to take, is '
                              f'damaged{_listed(prefixes)}')
    if state is not None and state.model_checkpoint_path:
        wanted = state.model_checkpoint_path
        # The paths in it may be another machine's.
        for prefix in (wanted, os.path.join(directory, wanted.replace('\\', '/').split('/')[-1])):
            if tf.io.gfile.exists(prefix + '.index') or tf.io.gfile.exists(prefix):
                return find_prefix(prefix)
        raise CheckpointError(f'{directory}/checkpoint names {wanted}, which is not there'
                              f'{_listed(prefixes)}')
    if len(prefixes) == 1:
        return find_prefix(os.path.join(directory, prefixes[0]))
    what = 'more than one checkpoint' if prefixes else 'no checkpoint'
    raise CheckpointError(f'{directory} holds {what} and no "checkpoint" file that says which to '
                          f'take{_listed(prefixes)}')


def _listed(names: Collection[str]) -> str:
    if not names:
        return '; give the path of a checkpoint.'
    shown = ', '.join(list(names)[:5]) + (', ...' if len(names) > 5 else '')
    return f'; name one of: {shown}.'


def _nearest(path: str) -> str:
    directory, name = os.path.split(path.rstrip('/'))
    if not tf.io.gfile.isdir(directory or '.'):
        return f': its folder, {directory}, does not exist.'
    names = {_DATA_SUFFIX.sub('', re.sub(r'\.(index|meta)$', '', each)).rstrip('/')
             for each in tf.io.gfile.listdir(directory or '.')}
    close = difflib.get_close_matches(name, names, n=3)
    return f'; near it are: {", ".join(close)}.' if close else '.'


def _check_shards(prefix: str) -> None:
    found: dict[int, set[int]] = {}
    for path in tf.io.gfile.glob(_escaped(prefix) + '.data-?????-of-?????'):
        shard, count = _DATA_SUFFIX.findall(path)[0]
        found.setdefault(int(count), set()).add(int(shard))
    if not found:
        raise CheckpointError(f'{prefix}.index is there, but {prefix}.data-00000-of-00001, which '
                              'holds its weights, is missing; put it beside it.')
    for count, shards in found.items():
        if len(shards) == count:
            return
    count, shards = max(found.items())
    missing = min(set(range(count)) - shards)
    raise CheckpointError(f'{prefix}.data-{missing:05d}-of-{count:05d} is missing: '
                          f'{len(shards)} of {count} parts are there; put it beside the others.')


def _check_is_table(path: str) -> None:
    """A V1 checkpoint is a table, whose last eight bytes say so."""
    try:
        with tf.io.gfile.GFile(path, 'rb') as file:
            head = file.read(4096)
            file.seek(max(0, file.size() - 8))
            tail = file.read(8)
    except tf.errors.OpError as error:
        raise CheckpointError(f'{path} cannot be read: {error_summary(error)}') from None
    if tail == b'\x57\xfb\x80\x8b\x24\x75\x47\xdb':
        return
    if not head:
        raise CheckpointError(f'{path} is empty, not a TensorFlow checkpoint; give the file, or '
                              'the prefix, that tf.train.Saver wrote.')
    raise CheckpointError(f'{path} is no TensorFlow checkpoint, or one cut short: its end is '
                          'missing; copy it again.')


def error_summary(error: BaseException) -> str:
    message = getattr(error, 'message', None) or str(error)
    return (message.splitlines() or [type(error).__name__])[0].rstrip('.')


POOLING = 'inception_slim/pooling'  # the tensor that says how, where not as TF-Slim's network


class TFCheckpoint:
    """An opened checkpoint: shapes by name, and values on demand."""

    input_scaling = None  # as TF-Slim's networks want them
    notes = ()

    def __init__(self, path: str | os.PathLike):
        self.prefix = find_prefix(path)
        self.version = 'V2' if tf.io.gfile.exists(self.prefix + '.index') else 'V1'
        with self._damage_named():
            self._reader = tf.train.NewCheckpointReader(self.prefix)
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()
        self.pooling = 'average'
        if POOLING in self.shapes:
            self.pooling = bytes(self.read(POOLING)).decode(errors='replace')
            if self.pooling not in POOLINGS:
                raise CheckpointError(f'{self.prefix} pools in a way that is unknown here, '
                                      f'{self.pooling!r}; known are {", ".join(POOLINGS)}.')

    def read(self, name: str) -> np.ndarray:
        with self._damage_named():
            return self._reader.get_tensor(name)

    def _damage_named(self):
        return _WrapReadErrors(self.prefix)


class _WrapReadErrors:
    """Turns whatever the reader raises into one sentence."""

    def __init__(self, prefix: str):
        self._prefix = prefix

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is not None and isinstance(error, Exception):
            raise CheckpointError(
                f'{self._prefix} is damaged or cut short ({error_summary(error)}); '
                'copy it again from where it came.') from None


def read_finite(file: TFCheckpoint | ImportedWeights, names: Iterable[str],
                  copied: bool = False) -> dict[str, np.ndarray]:
    """The values, once all are read: then damage has shown, and numbers that are none.

    TensorFlow never gives memory of its tensors back; copies of them are NumPy's, which does.
    """
    values = {name: file.read(name).copy() if copied else file.read(name) for name in names}
    bad = []
    for name, value in values.items():
        # A sum of squares is finite only if all are; where it overflows, look closer.
        flat = value.ravel()
        with np.errstate(over='ignore', invalid='ignore'):
            if not np.isfinite(np.dot(flat, flat)) and not np.isfinite(flat).all():
                bad.append(name)
    if bad:
        raise CheckpointError(
            f'{file.prefix} holds NaN or infinite numbers in {len(bad)} tensors, such as '
            f'{bad[0]}: the training that wrote it had diverged; take an earlier checkpoint.')
    return values
