"""TensorFlow.js's layers models: `model.json`, a Keras model, and files of its weights beside it.

Source: https://www.tensorflow.org/js/guide/save_load, and tfjs-core's `io/types.ts`.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import keras_weights
from inception_slim.formats.keras_weights import Layer
import numpy as np

_LARGEST_JSON = 2**26
_TYPES = {'float32': '<f4', 'float16': '<f2', 'uint8': 'u1', 'uint16': '<u2', 'int32': '<i4'}


def read_weights(path: str) -> ImportedWeights:
    file = os.path.join(path, 'model.json') if os.path.isdir(path) else path
    with open(file, 'rb') as opened:
        text = opened.read(_LARGEST_JSON + 1)
    try:
        model = json.loads(text) if len(text) <= _LARGEST_JSON else {}
        topology, manifest = model['modelTopology'], model['weightsManifest']
        config = topology.get('model_config', topology)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f'{file} is no layers model of TensorFlow.js: such a JSON has a '
                              'modelTopology and a weightsManifest; copy it again.') from None
    layers: dict[str, Layer] = {}
    quantized = set()
    for group in manifest:
        shards = _Shards(file, group.get('paths'))
        for entry in group['weights']:
            name, tensor = _tensor(file, entry, shards)
            if 'quantization' in entry:
                quantized.add(entry['quantization']['dtype'])
            layer, _, parameter = name.rpartition('/')
            layer = layer.rsplit('/', 1)[-1]
            layers.setdefault(layer, Layer(layer, {})).values[parameter] = tensor
    found = keras_weights.build_imported_weights(
        path, 'layers model of TensorFlow.js', layers, config
    )
    if quantized:
        found.notes += (f'Its weights were kept in {" and ".join(sorted(quantized))}, and are '
                        'what these stand for.',)
    return found


class _Shards:
    """Files that are one row of bytes."""

    def __init__(self, model: str, names: Any):
        folder = os.path.dirname(model)
        self.position = 0
        self._model, self._files = model, []
        for name in names if isinstance(names, list) else []:
            if not isinstance(name, str) or os.path.basename(name) != name or name in ('', '..'):
                raise CheckpointError(f'{model} names weights outside of its folder, {name!r}; put '
                                      'them beside it.')
            file = os.path.join(folder, name)
            if not os.path.isfile(file):
                raise CheckpointError(f'{model} names {name}, which is not beside it; put it '
                                      'there.')
            self._files.append((file, os.path.getsize(file)))
        self.size = sum(size for _, size in self._files)

    def read(self, first: int, count: int) -> bytes:
        pieces = []
        for file, size in self._files:
            if first < size and count:
                with open(file, 'rb') as opened:
                    opened.seek(first)
                    pieces.append(opened.read(min(count, size - first)))
                count -= len(pieces[-1])
            first = max(0, first - size)
        return b''.join(pieces)


def _tensor(path: str, entry: Any, shards: _Shards) -> tuple[str, LazyTensor]:
    """The next of a row of weights."""
    name, shape, kept = str(entry['name']), tuple(entry['shape']), entry.get('quantization')
    kind = (kept or entry)['dtype']
    if kind not in _TYPES or entry['dtype'] not in _TYPES or not all(
            isinstance(side, int) and side >= 0 for side in shape):
        raise CheckpointError(f'{path} holds {name} as {kind}, which is not read here; take one '
                              f'with {", ".join(_TYPES)}.')
    dtype = np.dtype(_TYPES[kind])
    check_tensor_size(path, name, shape, np.dtype(np.float32))
    first, count = shards.position, dtype.itemsize * math.prod(shape)
    shards.position += count
    if shards.position > shards.size:
        raise CheckpointError(f'{path} is cut short: {name} would end at byte '
                              f'{shards.position:,} of {shards.size:,}; copy its weights again.')

    def load() -> np.ndarray:
        numbers = np.frombuffer(shards.read(first, count), dtype).reshape(shape)
        if kept and 'scale' in kept:
            # In float32, as TensorFlow.js does it.
            return numbers.astype(np.float32) * np.float32(kept['scale']) + np.float32(kept['min'])
        return numbers.astype(np.float32)

    return name, LazyTensor(shape, np.dtype(np.float32), load)
