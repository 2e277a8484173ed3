"""safetensors: a header of names, and the numbers after it. Read and written without PyTorch.

Source: https://github.com/huggingface/safetensors, the section "Format".
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import struct
from typing import Any

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import state_dicts
from inception_slim.nets import POOLINGS
import numpy as np

_LARGEST_HEADER = 100_000_000  # as the format's own library allows
_TYPES = {'F64': np.float64, 'F32': np.float32, 'F16': np.float16, 'I64': np.int64,
          'I32': np.int32, 'I16': np.int16, 'I8': np.int8, 'U8': np.uint8, 'BOOL': np.bool_}


def read_weights(path: str) -> ImportedWeights:
    """A file, or a folder with `model.safetensors` as timm and its hub keep it."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    file = os.path.join(path, 'model.safetensors') if os.path.isdir(path) else path
    header, start = _header(file)
    metadata = header.pop('__metadata__', None) or {}
    room = os.path.getsize(file) - start
    state = {name: _tensor(file, name, entry, start, room) for name, entry in header.items()}
    pooling = metadata.get('pooling') if isinstance(metadata, dict) else None
    if pooling not in (None, *POOLINGS):
        raise CheckpointError(f'{file} pools in a way that is unknown here, {pooling!r}; known are '
                              f'{", ".join(POOLINGS)}.')
    input_scaling, notes = _input_scaling(os.path.join(folder, 'config.json'))
    return state_dicts.build_imported_weights(
        path, 'safetensors file', state, pooling=pooling, input_scaling=input_scaling, notes=notes
    )


def _header(path: str) -> tuple[dict[str, Any], int]:
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        beginning = file.read(8)
        length = struct.unpack('<Q', beginning)[0] if len(beginning) == 8 else 0
        if not 2 <= length <= min(size - 8, _LARGEST_HEADER):
            raise CheckpointError(f'{path} is no safetensors file, or damaged: its header would '
                                  f'have {length:,} bytes and the file has {size:,}; copy it '
                                  'again.')
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise CheckpointError(f'{path} is damaged: the header of a safetensors file is JSON, '
                                  'and this is none; copy it again.') from None
    if not isinstance(header, dict):
        raise CheckpointError(f'{path} is damaged: its header names no tensors; copy it again.')
    return header, 8 + length


def _tensor(path: str, name: str, entry: Any, start: int, room: int) -> LazyTensor:
    try:
        kind, shape, (first, last) = entry['dtype'], tuple(entry['shape']), entry['data_offsets']
        whole = all(isinstance(each, int) and each >= 0 for each in (*shape, first, last))
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole:
        raise CheckpointError(f'{path} is damaged: its header does not say where {name} is; copy '
                              'it again.')
    if kind == 'BF16':
        import ml_dtypes  # which comes with TensorFlow
        dtype = np.dtype(ml_dtypes.bfloat16)
    elif kind in _TYPES:
        dtype = np.dtype(_TYPES[kind])
    else:
        raise CheckpointError(f'{path} holds {name} as {kind}, which is not read here; take one '
                              f'with {", ".join(_TYPES)} or BF16.')
    size = check_tensor_size(path, name, shape, dtype)
    if last - first != size or last > room:
        raise CheckpointError(f'{path} is damaged or cut short: {name} would be bytes {first:,} to '
                              f'{last:,} of {room:,}, but has {size:,}; copy it again.')

    def load() -> np.ndarray:
        with open(path, 'rb') as file:
            file.seek(start + first)
            return np.frombuffer(file.read(size), dtype).reshape(shape)

    return LazyTensor(shape, dtype, load)


def _input_scaling(config: str) -> tuple[tuple | None, tuple[str, ...]]:
    """The scaling of images that a timm model's configuration beside it says, if there is one."""
    try:
        with open(config, encoding='utf-8') as file:
            said = json.loads(file.read(1_000_000))
        said = said.get('pretrained_cfg', said)
        mean, deviation = (np.asarray(said[each], float).reshape(3) for each in ('mean', 'std'))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, ()
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()):
        return None, ()
    if np.array_equal(mean, [0.5] * 3) and np.array_equal(deviation, [0.5] * 3):
        return None, ()
    return (0.5 / deviation, (0.5 - mean) / deviation), (
        f'Images less {mean.tolist()}, divided by {deviation.tolist()}, as config.json beside it '
        'says: folded into Conv2d_1a_3x3, so that it takes [-1, 1].',)


def save(path: str, state: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Writes arrays, float32 or int64, as a safetensors file."""
    header: dict[str, Any] = {'__metadata__': dict(metadata)}
    position = 0
    kinds = {np.dtype(kind): name for name, kind in _TYPES.items()}
    for name, value in state.items():
        header[name] = {'dtype': kinds[value.dtype], 'shape': list(value.shape),
                        'data_offsets': [position, position + value.nbytes]}
        position += value.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for value in state.values():
            file.write(np.ascontiguousarray(value).tobytes())
