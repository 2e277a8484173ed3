"""TensorFlow checkpoints: find the files, check them, read the tensors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
import difflib
import functools
import os
import re
import tempfile

from inception_slim._atomic_write import recover
from inception_slim._special_files import check_regular, check_utf8
from inception_slim.checkpoint._weight_source import wrap_read_errors
from inception_slim.checkpoint.head import SLIM_HEAD, parse_head
from inception_slim.checkpoint.options import INPUT_RANGES
from inception_slim.errors import CheckpointError, error_summary
from inception_slim.nets import POOLINGS
import numpy as np
import tensorflow.compat.v1 as tf

POOLING = 'inception_slim/pooling'  # the tensor with the pooling, if it is not TF-Slim's
INPUT_RANGE = 'inception_slim/input_range'  # that of Inception-ResNet V1
HEAD = 'inception_slim/head'  # the layers after the base network, if they are not TF-Slim's
_OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'  # of `tf.train.Checkpoint`
_DATA_SUFFIX = re.compile(r'\.data-(\d{5})-of-(\d{5})$')
_V1_SHARDS, _V2_SHARDS = '-?????-of-?????', '.data-?????-of-?????'
_TABLE_MAGIC = b'\x57\xfb\x80\x8b\x24\x75\x47\xdb'  # the last eight bytes of a V1 file


class TFCheckpoint:
    """An opened TensorFlow checkpoint; a `WeightSource`.

    Args:
      path: see `find_prefix`.

    Raises:
      CheckpointError: the checkpoint is missing, incomplete or damaged.
    """

    input_scaling = None
    naming = None
    notes = ()
    has_structure = False
    unpacked: str | None = None

    def __init__(self, path: str | os.PathLike):
        self.prefix = find_prefix(path)
        self.version = 'V2' if tf.io.gfile.exists(self.prefix + '.index') else 'V1'
        with wrap_read_errors(self.prefix):
            self._reader = tf.train.NewCheckpointReader(self._readable_prefix())
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()
        self.pooling = self._read_choice(POOLING, 'pooling', POOLINGS) or 'average'
        self.input_range = self._read_choice(INPUT_RANGE, 'input range', INPUT_RANGES)
        head = self._read_text(HEAD)
        self.head = SLIM_HEAD if head is None else parse_head(head, self.prefix)

    def _read_choice(self, tensor: str, title: str, choices: Sequence[str]) -> str | None:
        """Returns what `checkpoint.convert` recorded in a tensor; None if it has none."""
        value = self._read_text(tensor)
        if value is not None and value not in choices:
            raise CheckpointError(f'{self.prefix} has the unknown {title} {value!r}; '
                                  f'supported: {", ".join(choices)}.')
        return value

    def _read_text(self, tensor: str) -> str | None:
        if tensor not in self.shapes:
            return None
        return bytes(self.read(tensor)).decode(errors='replace')

    def _readable_prefix(self) -> str:
        """The prefix for TensorFlow's reader, which takes it for a glob pattern."""
        if self.version == 'V1':
            base = self.prefix.removesuffix(_V1_SHARDS)
            return _escape_glob(base) + self.prefix[len(base):]
        if not re.search(r'[\[\\]', self.prefix):
            return self.prefix
        # Of V2 it needs the index by its name and by the pattern, which differ with a bracket.
        self._links = tempfile.TemporaryDirectory(prefix='inception_slim.')
        prefix = os.path.abspath(self.prefix)
        for path in (prefix + '.index', *tf.io.gfile.glob(_escape_glob(prefix) + _V2_SHARDS)):
            os.symlink(path, os.path.join(self._links.name, 'model' + path[len(prefix):]))
        return os.path.join(self._links.name, 'model')

    @functools.cached_property
    def object_names(self) -> dict[str, tuple[str, ...]]:
        """The tensors of each variable by its name, if `tf.train.Checkpoint` wrote the file.

        There, tensors are named by the attributes of objects that lead to the variable. Several
        objects may hold variables of the same name.
        """
        if _OBJECT_GRAPH not in self.shapes:
            return {}
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        content = bytes(self.read(_OBJECT_GRAPH))
        with wrap_read_errors(self.prefix, self.unpacked):
            graph.ParseFromString(content)
        names: dict[str, tuple[str, ...]] = {}
        for node in graph.nodes:
            for attribute in node.attributes:
                if attribute.full_name and attribute.checkpoint_key in self.shapes:
                    names[attribute.full_name] = (*names.get(attribute.full_name, ()),
                                                  attribute.checkpoint_key)
        return names

    def read(self, name: str) -> np.ndarray:
        """Returns the value of a tensor."""
        with wrap_read_errors(self.prefix, self.unpacked):
            return self._reader.get_tensor(name)


def find_prefix(path: str | os.PathLike) -> str:
    """Returns the prefix by which TensorFlow opens a checkpoint.

    Args:
      path: the prefix itself, a V1 file, one of the files of a V2 checkpoint, or a folder with a
        `checkpoint` state file or a single checkpoint.

    Raises:
      CheckpointError: there is no checkpoint at `path`, or a file of it is missing.
    """
    path = os.fsdecode(path)
    check_utf8(path, CheckpointError)
    if not path:
        raise CheckpointError('The path of the checkpoint is empty; give its prefix or folder.')
    if tf.io.gfile.isdir(path):
        return _find_in_folder(path)
    check_regular(path, CheckpointError)
    prefix = re.sub(r'\.(index|meta)$', '', _DATA_SUFFIX.sub('', path))
    recover(prefix)
    if tf.io.gfile.exists(prefix + '.index'):
        check_regular(prefix + '.index', CheckpointError)
        _check_data_files(prefix)
        return prefix
    if tf.io.gfile.exists(prefix):
        check_regular(prefix, CheckpointError)
        _check_v1_file(prefix)
        return prefix
    shards = tf.io.gfile.glob(_escape_glob(prefix) + _V1_SHARDS)
    if shards:
        for shard in shards:
            check_regular(shard, CheckpointError)
        return prefix + _V1_SHARDS
    if tf.io.gfile.exists(path):
        raise CheckpointError(f'{path} is one file of a checkpoint, but its index {prefix}.index '
                              'is missing; put it in the same folder.')
    raise CheckpointError(f'There is no checkpoint {path}{_suggest_names(path)}')


def _escape_glob(pattern: str) -> str:
    return re.sub(r'([*?\[\]\\])', r'\\\1', pattern)


def _find_in_folder(folder: str) -> str:
    names = tf.io.gfile.listdir(folder)
    prefixes = sorted(name[:-len('.index')] for name in names if name.endswith('.index'))
    check_regular(os.path.join(folder, 'checkpoint'), CheckpointError)
    state = tf.train.get_checkpoint_state(folder)
    if state is None and 'checkpoint' in names:
        raise CheckpointError(f'{folder}/checkpoint, the checkpoint state file, is damaged'
                              f'{_list_choices(prefixes)}')
    if state is not None and state.model_checkpoint_path:
        latest = state.model_checkpoint_path
        # The state file may have been written on another machine, in another folder.
        moved = os.path.join(folder, latest.replace('\\', '/').split('/')[-1])
        for prefix in (latest, moved):
            if tf.io.gfile.exists(prefix + '.index') or tf.io.gfile.exists(prefix):
                return find_prefix(prefix)
        raise CheckpointError(f'{folder}/checkpoint names {latest}, which does not exist'
                              f'{_list_choices(prefixes)}')
    if len(prefixes) == 1:
        return find_prefix(os.path.join(folder, prefixes[0]))
    count = 'more than one checkpoint' if prefixes else 'no checkpoint'
    raise CheckpointError(f'{folder} holds {count} and no "checkpoint" state file that names the '
                          f'latest one{_list_choices(prefixes)}')


def _list_choices(names: Collection[str]) -> str:
    """The end of an error message: what to give instead."""
    if not names:
        return '; give the path of a checkpoint.'
    ellipsis = ', ...' if len(names) > 5 else ''
    return f'; give one of: {", ".join(list(names)[:5])}{ellipsis}.'


def _suggest_names(path: str) -> str:
    """The end of an error message: similar names in the folder."""
    folder, name = os.path.split(path.rstrip('/'))
    if not tf.io.gfile.isdir(folder or '.'):
        return f': the folder {folder} does not exist.'
    names = {_DATA_SUFFIX.sub('', re.sub(r'\.(index|meta)$', '', file)).rstrip('/')
             for file in tf.io.gfile.listdir(folder or '.')}
    similar = difflib.get_close_matches(name, names, n=3)
    return f'; similar names there: {", ".join(similar)}.' if similar else '.'


def _check_data_files(prefix: str) -> None:
    """Checks that all data files of a V2 checkpoint exist."""
    shards: dict[int, set[int]] = {}  # by the number of shards in the file's name
    for path in tf.io.gfile.glob(_escape_glob(prefix) + _V2_SHARDS):
        check_regular(path, CheckpointError)
        shard, count = _DATA_SUFFIX.findall(path)[0]
        shards.setdefault(int(count), set()).add(int(shard))
    if not shards:
        raise CheckpointError(f'{prefix}.data-00000-of-00001, which holds the weights for '
                              f'{prefix}.index, is missing; put it in the same folder.')
    if any(len(present) == count for count, present in shards.items()):
        return
    count, present = max(shards.items())
    missing = min(set(range(count)) - present)
    raise CheckpointError(f'{prefix}.data-{missing:05d}-of-{count:05d} is missing: {len(present)} '
                          f'of {count} data files are present; put it in the same folder.')


def _check_v1_file(path: str) -> None:
    """Checks the end of a V1 checkpoint, which is a table file."""
    try:
        with tf.io.gfile.GFile(path, 'rb') as file:
            start = file.read(4096)
            file.seek(max(0, file.size() - len(_TABLE_MAGIC)))
            end = file.read(len(_TABLE_MAGIC))
    except tf.errors.OpError as error:
        raise CheckpointError(f'{path} cannot be read: {error_summary(error)}.') from None
    if end == _TABLE_MAGIC:
        return
    if not start:
        raise CheckpointError(f'{path} is empty, not a TensorFlow checkpoint; give the file or '
                              'prefix that tf.train.Saver wrote.')
    raise CheckpointError(f'{path} is not a TensorFlow checkpoint, or its end is missing; copy it '
                          'again.')
