"""A directory of calibrated int8 networks, so that later starts need not calibrate.

A file holds one network. Written atomically. Used only if the checksum and the cache key match;
otherwise the network is recalibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import io
import json
import os
from typing import Any
import warnings
import zipfile

from inception_slim._atomic_write import atomic_write
from inception_slim.errors import DatasetError, error_summary
from inception_slim.inference.ir import Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np

_FIRST_LINE = b'inception_slim network in int8, 2\n'
_DIGITS = 64  # of a SHA-256
_ARRAYS = ('weights', 'biases', 'scales')


def images_digest(images: np.ndarray) -> str:
    """Identifies calibration images by their content."""
    return _digest({'images': images}, {})


def cache_key(values: Mapping[str, np.ndarray], **origin: Any) -> str:
    """Identifies everything but the images that an int8 network depends on.

    By the content of the weights, so that a checkpoint may move or be converted.

    Args:
      values: the weights.
      **origin: versions, options and the processor's features; JSON values.
    """
    return _digest(values, origin)


def _digest(values: Mapping[str, np.ndarray], origin: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode())
    for name in sorted(values):
        value = np.ascontiguousarray(values[name])
        digest.update(f'{name} {value.dtype.str} {value.shape}\n'.encode())
        digest.update(value.data)
    return digest.hexdigest()


def cache_path(folder: str | os.PathLike, network: str, key: str) -> str:
    """Path of a network's file in the directory."""
    return os.path.join(os.fsdecode(folder), f'{network}-{key[:16]}.int8')


def load(path: str, key: str, images: str | None) -> QuantizedNetwork | None:
    """Reads a cached network; None if there is none or it cannot be trusted.

    Args:
      path: from `cache_path`.
      key: from `cache_key`; the file must have the same one.
      images: digest of the calibration images; None accepts any.
    """
    try:
        with open(path, 'rb') as file:
            if file.readline(2 * len(_FIRST_LINE)) != _FIRST_LINE:
                return None
            checksum, content = file.read(_DIGITS).decode('ascii', 'replace'), file.read()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != checksum:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            plan = json.loads(arrays['plan'].tobytes())
            if plan['key'] != key or images not in (None, plan['images']):
                return None
            ops = [_read_op(fields, {name: arrays[f'{index}/{name}'] for name in _ARRAYS
                                     if f'{index}/{name}' in arrays})
                   for index, fields in enumerate(plan['ops'])]
        return QuantizedNetwork(ops, plan['ranges'], plan['image_size'])
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None  # the checksum is right, but the file was not written by `save`


def _read_op(fields: dict[str, Any], arrays: dict[str, Any]) -> Op:
    fields['kernel'], fields['padding'] = tuple(fields['kernel']), tuple(fields['padding'])
    return Op(**fields, **arrays)


def save(path: str, key: str, images: str, network: QuantizedNetwork) -> None:
    """Writes a network to the cache; warns if that fails."""
    arrays, ops = {}, []
    for index, op in enumerate(network.ops):
        fields = op._asdict()
        for name in _ARRAYS:
            value = fields.pop(name)
            if value is not None:
                arrays[f'{index}/{name}'] = value
        ops.append(fields)
    plan = {'key': key, 'images': images, 'image_size': network.image_size,
            'ranges': network.ranges, 'ops': ops}
    content = io.BytesIO()
    np.savez(content, plan=np.frombuffer(json.dumps(plan, default=int).encode(), np.uint8),
             **arrays)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with atomic_write(path) as file:
            file.write(_FIRST_LINE)
            file.write(hashlib.sha256(content.getbuffer()).hexdigest().encode())
            file.write(content.getbuffer())
    except (OSError, DatasetError) as error:
        warnings.warn(f'The calibrated network is not cached in {os.path.dirname(path)}: '
                      f'{error_summary(error)}.', stacklevel=5)
