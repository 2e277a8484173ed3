"""Calibrated networks kept in a folder, so that a second start need not calibrate.

A file holds one network in eight bits. It is written whole or not at all, and believed only where
its checksum and what it says it was made from are as they should be: else it is made again.
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
from inception_slim.errors import DatasetError
from inception_slim.inference.ir import Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np

_FIRST_LINE = b'inception_slim network in int8, 1\n'
_DIGITS = 64  # of a SHA-256
_ARRAYS = ('weights', 'biases', 'unit')


def images_digest(images: np.ndarray) -> str:
    """By which the same images are known again."""
    return _digest({'images': images}, {})


def cache_key(values: Mapping[str, np.ndarray], **made_from: Any) -> str:
    """What a network in eight bits is made from but for the images: weights, versions, processor.

    By the weights themselves, so that a checkpoint may move, or change its format.
    """
    return _digest(values, made_from)


def _digest(values: Mapping[str, np.ndarray], more: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(more, sort_keys=True).encode())
    for name in sorted(values):
        value = np.ascontiguousarray(values[name])
        digest.update(f'{name} {value.dtype.str} {value.shape}\n'.encode())
        digest.update(value.data)
    return digest.hexdigest()


def cache_path(folder: str | os.PathLike, network: str, key: str) -> str:
    """The file of a network in the folder."""
    return os.path.join(os.fspath(folder), f'{network}-{key[:16]}.int8')


def load(path: str, key: str, images: str | None) -> QuantizedNetwork | None:
    """The network that was kept, or None where there is none that can be trusted.

    Args:
      path: of `path_of`.
      key: of `key_of`; that of the file must be the same.
      images: the digest of the calibration images; None takes those that it was made from.
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
            steps = [_step(fields, {each: arrays[f'{number}/{each}'] for each in _ARRAYS
                                    if f'{number}/{each}' in arrays})
                     for number, fields in enumerate(plan['steps'])]
        return QuantizedNetwork(steps, plan['ranges'], plan['side'])
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None  # its checksum is right, but it was not written by this


def _step(fields: dict[str, Any], arrays: dict[str, Any]) -> Op:
    fields['kernel'], fields['padding'] = tuple(fields['kernel']), tuple(fields['padding'])
    return Op(**fields, **arrays)


def save(path: str, key: str, images: str, network: QuantizedNetwork) -> None:
    """Keeps a network; where that cannot be, warns and goes on without."""
    arrays, steps = {}, []
    for number, step in enumerate(network.steps):
        fields = step._asdict()
        for each in _ARRAYS:
            value = fields.pop(each)
            if value is not None:
                arrays[f'{number}/{each}'] = value
        steps.append(fields)
    plan = {'key': key, 'images': images, 'side': network.side, 'ranges': network.ranges,
            'steps': steps}
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
        reason = str(error) if isinstance(error, DatasetError) else f'{path}: {error.strerror}.'
        warnings.warn(f'The calibrated network is not kept: {reason}', stacklevel=5)
