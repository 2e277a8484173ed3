"""A directory of prepared networks, so that later starts need not prepare them.

- `NAME-KEY.folded`: the layers of the head of a checkpoint, and its ops with batch norm folded into
  them if they were needed, in float32 or rounded to bfloat16. Used as long as the files of the
  checkpoint are the same, by their size, times and inode, as build tools compare files.
- `NAME-KEY.int8`: the ops of a calibrated network. Used for equal weights, wherever they are from.
- `ENGINE-KEY.model`: what an engine builds of a network: the TensorFlow graph of `session`, without
  its filters, the model of `tflite` or `onnxruntime`, or a compiled model of `openvino`. Used for
  equal ops.

All are safetensors files, which hold arrays and JSON, and no code. A file is written atomically,
and used only if its checksums and its key match; otherwise the network is prepared again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
import json
import os
from typing import Any, NamedTuple, TypeVar
import warnings
import zlib

from inception_slim import __version__
from inception_slim._atomic_write import atomic_write
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.head import parse_head
from inception_slim.checkpoint.keras_model import FOLDER_PREFIX
from inception_slim.errors import DatasetError, error_summary
from inception_slim.inference.ir import Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np
import safetensors.numpy
import tensorflow.compat.v1 as tf

# To be raised whenever the content of the files changes.
_VERSIONS = {'format': 8, 'version': __version__}
_ARRAYS = ('weights', 'biases', 'scales')
_BFLOAT16 = tf.bfloat16.as_numpy_dtype
# Filters are stored in the order of TensorFlow, in which they are in memory too: without copies.
_TO_HWIO, _FROM_HWIO = (2, 3, 1, 0), (3, 2, 0, 1)
# Of safetensors files; those that are used.
_DTYPES = {'F32': np.float32, 'I8': np.int8, 'U8': np.uint8, 'U16': np.uint16}
_ALIGNMENT = 64  # bytes
_Model = TypeVar('_Model')
# Files of these kinds may name others, which may have any name.
_NAMES_OTHERS = ('.json', '.onnx')
_MANY_FILES = 1000


class FoldedFile(NamedTuple):
    """What a file of a folded network holds, besides its ops.

    Attributes:
      info: from `checkpoint.read`.
      head: weights and biases of the layers of the head; None without a last layer.
      digest: of a sixteenth of the folded weights.
      weights_digest: of all of the folded weights, without those of the head.
    """

    info: CheckpointInfo
    head: list[tuple[np.ndarray, np.ndarray]] | None
    digest: str
    weights_digest: str


def images_digest(images: np.ndarray) -> str:
    """Identifies calibration images by their content."""
    return cache_key({'images': images})


def cache_key(values: Mapping[str, np.ndarray], **origin: Any) -> str:
    """Identifies what a network depends on.

    By the content of the weights, so that a checkpoint may move or be converted.

    Args:
      values: the weights.
      **origin: versions, options and the processor's features; JSON values.
    """
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True, default=int).encode())
    for name in sorted(values):
        value = np.ascontiguousarray(values[name])
        digest.update(f'{name} {value.dtype.str} {value.shape}\n'.encode())
        digest.update(value.data)
    return digest.hexdigest()


def cache_path(folder: str | os.PathLike, network: str, key: str) -> str:
    """Path of the file of an int8 network in the directory."""
    return os.path.join(os.fsdecode(folder), f'{network}-{key[:16]}.int8')


def load(path: str, key: str, images: str | None) -> tuple[QuantizedNetwork, str] | None:
    """Reads a cached int8 network; None if there is none or it cannot be trusted.

    Args:
      path: from `cache_path`.
      key: from `cache_key`; the file must have the same one.
      images: digest of the calibration images; None accepts any.

    Returns:
      The network, and the digest of its ops.
    """
    try:
        plan, arrays = _open(path, key)
        if images not in (None, plan['images']):
            return None
        network = QuantizedNetwork(_read_ops(plan, arrays), plan['ranges'], plan['image_size'])
        return network, plan['ops_digest']
    except _Unusable:
        return None


def save(path: str, key: str, images: str, network: QuantizedNetwork) -> str:
    """Writes an int8 network to the cache; warns if that fails. Returns the digest of its ops."""
    return _write(path, {'key': key, 'images': images, 'image_size': network.image_size,
                         'ranges': network.ranges}, network.ops)


class ModelCache:
    """The cached files of what engines build of one network.

    Args:
      folder: the directory of the cache.
      ops_digest: the digest of the ops of the network. Without it or the directory, nothing is
        cached.
    """

    def __init__(self, folder: str | os.PathLike | None = None, ops_digest: str | None = None):
        self._folder, self._ops_digest = folder, ops_digest

    def load_or_build(self, engine: str, build: Callable[[], _Model],
                      serialize: Callable[[_Model], bytes], parse: Callable[[np.ndarray], _Model],
                      **origin: Any) -> _Model:
        """What an engine builds, from the cache if possible; else it is built and cached.

        Args:
          engine: its name.
          build: returns the model.
          serialize: returns the bytes of a model.
          parse: returns the model of these bytes, `[N]` uint8.
          **origin: what the model depends on besides the ops; JSON values.
        """
        if self._folder is None or self._ops_digest is None:
            return build()
        key = cache_key({}, ops=self._ops_digest, **_VERSIONS, **origin)
        path = os.path.join(os.fsdecode(self._folder), f'{engine}-{key[:16]}.model')
        with contextlib.suppress(_Unusable):
            return parse(_array(*_open(path, key), 'model'))
        built = build()
        _write(path, {'key': key}, arrays={'model': np.frombuffer(serialize(built), np.uint8)})
        return built


NO_MODEL_CACHE = ModelCache()


class CachedOps:
    """The ops in a file of the cache.

    Attributes:
      digest: of the ops, equal for equal ops.
    """

    def __init__(self, plan: dict[str, Any], arrays: Mapping[str, np.ndarray]):
        self._plan, self._arrays = plan, arrays
        self.digest: str = plan['ops_digest']

    def read(self) -> list[Op] | None:
        """Reads the ops, to be called once; None if they are damaged."""
        try:
            return _read_ops(self._plan, self._arrays)
        except _Unusable:
            return None


class FoldedCache:
    """The cached file of the folded network of one checkpoint.

    Args:
      folder: the directory of the cache; None for no cache.
      checkpoint: the path of the checkpoint. If it is not on a local disk, nothing is cached.
      **options: with which it is read; JSON values.
    """

    def __init__(self, folder: str | os.PathLike | None, checkpoint: str | os.PathLike,
                 **options: Any):
        path = os.fsdecode(checkpoint)
        # The files are looked at before they are read, so that those that change meanwhile are
        # read again.
        states = None if folder is None else _file_states(path)
        self._path: str | None = None
        if folder is not None and states:
            origin = {**_VERSIONS, 'path': path, 'real_path': os.path.realpath(path), **options}
            # The path is in the name, and the states only in the key: another state of a file
            # replaces the one before.
            name = os.path.basename(os.path.realpath(path))
            self._path = os.path.join(os.fsdecode(folder),
                                      f'{name}-{cache_key({}, **origin)[:16]}.folded')
            self._key = cache_key({}, states=states, **origin)

    @property
    def is_enabled(self) -> bool:
        return self._path is not None

    def read(self) -> tuple[FoldedFile, CachedOps | None] | None:
        """Reads the file except for its ops, if it has any; None if it is missing or unusable."""
        if self._path is None:
            return None
        try:
            plan, arrays = _open(self._path, self._key)
            layers = [(_array(plan, arrays, f'head/{index}/weights').copy(),
                       _array(plan, arrays, f'head/{index}/biases').copy())
                      for index in range(plan['head_layers'] or 0)]
            content = FoldedFile(
                _parse_info(plan['info']), None if plan['head_layers'] is None else layers,
                plan['digest'], plan['weights_digest'])
            return content, CachedOps(plan, arrays) if plan['ops'] else None
        except _Unusable:
            return None

    def write(self, content: FoldedFile, ops: Sequence[Op] = ()) -> str | None:
        """Writes the file, with ops or without; warns if that fails.

        Returns:
          The digest of the ops; None if nothing is cached.
        """
        if self._path is None:
            return None
        arrays = {f'head/{index}/{name}': value
                  for index, layer in enumerate(content.head or [])
                  for name, value in zip(_ARRAYS, layer)}
        info = dataclasses.asdict(content.info) | {'head': str(content.info.head)}
        return _write(self._path, {
            'key': self._key, 'info': info, 'digest': content.digest,
            'weights_digest': content.weights_digest,
            'head_layers': None if content.head is None else len(content.head)}, ops, arrays)


def _parse_info(fields: dict[str, Any]) -> CheckpointInfo:
    return CheckpointInfo(**{**fields, 'notes': tuple(fields['notes']),
                             'head': parse_head(fields['head'], fields['path'])})


def _file_states(path: str) -> list[list[Any]] | None:
    """Name, size, times and inode of the files that a checkpoint may consist of.

    None if they cannot be listed: it is not on a local disk, or a folder of very many files. Other
    files may be among them: then a network is prepared once too often.
    """
    if os.path.basename(os.path.dirname(path)).startswith(FOLDER_PREFIX):
        return None  # a model in memory, whose file is deleted soon
    states: list[list[Any]] = []
    try:
        if os.path.isdir(path):
            names = [os.path.join(folder, name) for folder, _, files in os.walk(path)
                     for name in files]
        else:
            folder, name = os.path.split(path)
            exists, everything = os.path.exists(path), path.lower().endswith(_NAMES_OTHERS)
            # The data of model.onnx or model.xml, or the files with the prefix model.ckpt-1000.
            start = os.path.splitext(name)[0] if exists else name
            names = [entry.path for entry in os.scandir(folder or '.')
                     if entry.is_file() and (everything or entry.name.startswith(start))]
        if len(names) > _MANY_FILES:
            return None
        for name in sorted(names):
            state = os.stat(name)
            states.append([name, state.st_size, state.st_mtime_ns, state.st_ctime_ns,
                           state.st_ino])
    except OSError:
        return None
    return states


class _Unusable(Exception):
    """A cached file is missing, damaged, of another format, or has another key."""


def _open(path: str, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plan of a file, and its arrays, which are read and checked when they are needed."""
    try:
        content = np.memmap(path, np.uint8, 'c')  # OpenVINO takes no read-only arrays
        start = 8 + int.from_bytes(content[:8].tobytes(), 'little')
        header = json.loads(content[8:start].tobytes())
        metadata = header.pop('__metadata__')
        text = metadata['plan']
        if zlib.crc32(text.encode()) != int(metadata['checksum']):
            raise _Unusable
        plan = json.loads(text)
        if plan['key'] != key:
            raise _Unusable
        arrays = {}
        for name, field in header.items():
            first, last = field['data_offsets']
            arrays[name] = content[start:][first:last].view(_DTYPES[field['dtype']]).reshape(
                field['shape'])
        return plan, arrays
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _Unusable from error


def _array(plan: dict[str, Any], arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """An array, mapped from the file, which may change later: what is kept has to be copied."""
    try:
        value = arrays[name]
        if _checksum(value) != plan['checksums'][name]:
            raise _Unusable
    except KeyError as error:
        raise _Unusable from error
    return value.view(_BFLOAT16) if value.dtype == np.uint16 else value


def _checksum(value: np.ndarray) -> int:
    return zlib.crc32(value.data, zlib.crc32(f'{value.dtype.str} {value.shape}'.encode()))


def _split(ops: Sequence[Op]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """The fields of ops, and their arrays by index and field."""
    arrays, items = {}, []
    for index, op in enumerate(ops):
        fields = op._asdict()
        for name in _ARRAYS:
            value = fields.pop(name)
            if value is not None:
                arrays[f'{index}/{name}'] = (
                    value.transpose(_TO_HWIO) if value.ndim == 4 else value)
        items.append(fields)
    return items, arrays


def _read_ops(plan: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Op]:
    ops = []
    for index, fields in enumerate(plan['ops']):
        values: dict[str, Any] = {
            name: _array(plan, arrays, f'{index}/{name}') for name in _ARRAYS
            if f'{index}/{name}' in plan['checksums']}
        for name, value in values.items():
            # Engines bring filters into another order or memory, and would keep the others.
            values[name] = value.transpose(_FROM_HWIO) if value.ndim == 4 else value.copy()
        ops.append(Op(**{**fields, 'kernel': tuple(fields['kernel']),
                         'padding': tuple(fields['padding'])}, **values))
    return ops


def _write(path: str, plan: dict[str, Any], ops: Sequence[Op] = (),
           arrays: Mapping[str, np.ndarray] | None = None) -> str:
    """Writes a file of a plan, ops and other arrays. Returns the digest of the ops."""
    fields, op_arrays = _split(ops)
    arrays = {name: np.ascontiguousarray(value)
              for name, value in {**op_arrays, **(arrays or {})}.items()}
    arrays = {name: value.view(np.uint16) if value.dtype == _BFLOAT16 else value
              for name, value in arrays.items()}
    checksums = {name: _checksum(value) for name, value in arrays.items()}
    ops_digest = cache_key({}, ops=fields, checksums={name: checksums[name] for name in op_arrays},
                           ranges=plan.get('ranges'))
    text = json.dumps({**plan, 'ops': fields, 'ops_digest': ops_digest, 'checksums': checksums},
                      default=int)
    content = safetensors.numpy.save(
        arrays, {'plan': text, 'checksum': str(zlib.crc32(text.encode()))})
    end = 8 + int.from_bytes(content[:8], 'little')
    # Spaces may follow the header. TensorFlow copies arrays that are not aligned.
    padding = -end % _ALIGNMENT
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with atomic_write(path) as file:
            file.write((end - 8 + padding).to_bytes(8, 'little') + content[8:end] + b' ' * padding)
            file.write(memoryview(content)[end:])
    except (OSError, DatasetError) as error:
        warnings.warn(f'The prepared network is not cached in {os.path.dirname(path)}: '
                      f'{error_summary(error)}.', stacklevel=5)
    return ops_digest
