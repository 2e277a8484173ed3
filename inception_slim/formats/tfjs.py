"""TensorFlow.js layers models: `model.json`, a Keras model, with files of weights beside it.

Source: https://www.tensorflow.org/js/guide/save_load, and tfjs-core's `io/types.ts`.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
import math
import os
from typing import TYPE_CHECKING, Any

from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor, read
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import keras_weights, keras_writer
from inception_slim.formats.frozen_graph import predict
from inception_slim.formats.keras_head import Layer, LayerConfig
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

FILE, SHARDS = 'model.json', 'group1-shard*.bin'
_SHARD_BYTES = 2**22  # browsers keep files of at most 4 MiB
_LARGEST_JSON = 2**26
_DTYPES = {'float32': '<f4', 'float16': '<f2', 'uint8': 'u1', 'uint16': '<u2', 'int32': '<i4'}


def read_weights(path: str) -> ImportedWeights:
    """Reads a `model.json` or its folder."""
    file = os.path.join(path, FILE) if os.path.isdir(path) else path
    with open(file, 'rb') as opened:
        text = opened.read(_LARGEST_JSON + 1)
    try:
        model = json.loads(text) if len(text) <= _LARGEST_JSON else {}
        topology, manifest = model['modelTopology'], model['weightsManifest']
        config = topology.get('model_config', topology)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f'{file} is not a TensorFlow.js layers model: it needs a '
                              'modelTopology and a weightsManifest.') from None
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
    weights = keras_weights.build_imported_weights(
        path, 'TensorFlow.js layers model', layers, config)
    if quantized:
        weights.notes += (f'The weights were stored as {" and ".join(sorted(quantized))} and are '
                          'dequantized.',)
    return weights


class _Shards:
    """The concatenation of several files."""

    def __init__(self, model: str, names: Any):
        folder = os.path.dirname(model)
        self.position = 0
        self._files: list[tuple[str, int]] = []
        for name in names if isinstance(names, list) else []:
            if not isinstance(name, str) or os.path.basename(name) != name or name in ('', '..'):
                raise CheckpointError(f'{model} refers to weights outside of its folder, {name!r}; '
                                      'put them beside it.')
            file = os.path.join(folder, name)
            if not os.path.isfile(file):
                raise CheckpointError(f'{model} needs the file {name} beside it, which does not '
                                      'exist.')
            self._files.append((file, os.path.getsize(file)))
        self.size = sum(size for _, size in self._files)

    def read(self, first: int, count: int) -> bytes:
        """Reads `count` bytes from the offset `first`."""
        parts = []
        for file, size in self._files:
            if first < size and count:
                with open(file, 'rb') as opened:
                    opened.seek(first)
                    parts.append(opened.read(min(count, size - first)))
                count -= len(parts[-1])
            first = max(0, first - size)
        return b''.join(parts)


def _tensor(path: str, entry: Any, shards: _Shards) -> tuple[str, LazyTensor]:
    """The name of an entry of the manifest, and its tensor at the position of `shards`."""
    name, shape = str(entry['name']), tuple(entry['shape'])
    quantization = entry.get('quantization')
    stored_dtype = (quantization or entry)['dtype']
    if stored_dtype not in _DTYPES or entry['dtype'] not in _DTYPES or not all(
            isinstance(side, int) and side >= 0 for side in shape):
        raise CheckpointError(f'{path} has the unsupported dtype {stored_dtype} or an invalid '
                              f'shape in {name}; supported are {", ".join(_DTYPES)}.')
    dtype = np.dtype(_DTYPES[stored_dtype])
    if quantization and dtype.kind != 'f' and not all(
            isinstance(quantization.get(key), (int, float)) and math.isfinite(quantization[key])
            for key in ('scale', 'min')):
        raise CheckpointError(f'{path} has no finite scale and min for {name}, which is stored as '
                              f'{stored_dtype}; convert the model to TensorFlow.js again.')
    check_tensor_size(path, name, shape, np.dtype(np.float32))
    first, count = shards.position, dtype.itemsize * math.prod(shape)
    shards.position += count
    if shards.position > shards.size:
        raise CheckpointError(f'{path} is truncated: {name} ends at byte {shards.position:,} of '
                              f'{shards.size:,}; copy its weights again.')

    def load() -> np.ndarray:
        value = np.frombuffer(shards.read(first, count), dtype).reshape(shape).astype(np.float32)
        if quantization and 'scale' in quantization:
            # In float32, like TensorFlow.js.
            value = value * np.float32(quantization['scale']) + np.float32(quantization['min'])
        return value

    return name, LazyTensor(shape, np.dtype(np.float32), load)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a folder with a layers model in the layers of Keras; see `registry.Writer`."""
    os.mkdir(path)
    model = keras_writer.keras_model(info, weights)
    dtype = np.dtype(_DTYPES[settings.precision])
    entries: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for layer in model.layers:
        for variable in layer.weights:
            value = variable.numpy()
            entry: dict[str, Any] = {'name': f'{layer.name}/{variable.name}',
                                     'shape': list(value.shape), 'dtype': 'float32'}
            if settings.precision != 'float32':
                entry['quantization'] = {'dtype': settings.precision, 'original_dtype': 'float32'}
            entries.append(entry)
            parts.append(value.astype(dtype).tobytes())
    content = b''.join(parts)
    count = -(-len(content) // _SHARD_BYTES)
    shards = [SHARDS.replace('*', f'{number}of{count}') for number in range(1, count + 1)]
    for number, name in enumerate(shards):
        with open(os.path.join(path, name), 'wb') as file:
            file.write(content[number * _SHARD_BYTES:(number + 1) * _SHARD_BYTES])
    with open(os.path.join(path, FILE), 'w', encoding='utf-8') as file:
        json.dump({'format': 'layers-model', 'generatedBy': 'inception_slim', 'convertedBy': None,
                   'modelTopology': {
                       'keras_version': '2.15.0', 'backend': 'tensorflow',
                       'model_config': {'class_name': 'Functional', 'config': _topology(model)}},
                   'weightsManifest': [{'paths': shards, 'weights': entries}]}, file)
    loaded_info, loaded = read(path)
    return lambda batch: predict(loaded_info, loaded, batch)[1]


def _topology(model: Any) -> dict[str, Any]:
    """The configuration of a Keras 3 model in the form of Keras 2, which TensorFlow.js reads."""
    layers = []
    for layer in json.loads(model.to_json())['config']['layers']:
        config = LayerConfig(layer['class_name'], layer['name'], layer)
        options = {key: value for key, value in layer['config'].items()
                   if isinstance(value, (str, int, float, list))}
        if 'batch_shape' in options:
            options['batch_input_shape'] = options.pop('batch_shape')
        nodes = [[[name, 0, 0, {}] for name in config.inputs]] if config.inputs else []
        layers.append({'class_name': config.kind, 'name': config.name,
                       'config': {**options, 'dtype': 'float32'}, 'inbound_nodes': nodes})
    return {'name': model.name, 'layers': layers,
            'input_layers': _ends(layers[:1]), 'output_layers': _ends(layers[-1:])}


def _ends(layers: Iterable[dict[str, Any]]) -> list[list[Any]]:
    return [[layer['name'], 0, 0] for layer in layers]
