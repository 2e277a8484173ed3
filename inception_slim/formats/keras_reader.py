"""Keras files: `.h5` of models and of weights, `.weights.h5`, and `.keras`, a zip of the latter.

Only numbers and a configuration are read. No layer is created and no code in the file is run.
"""

from __future__ import annotations

import json
import re
import tempfile
from typing import Any, BinaryIO
import zipfile

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import (
    LARGEST_NETWORK,
    LARGEST_TENSOR,
    check_tensor_size,
)
from inception_slim.errors import CheckpointError
from inception_slim.formats import hdf5, keras_weights
from inception_slim.formats.keras_head import Layer
from inception_slim.formats.keras_weights import model_layers
import numpy as np

_LARGEST_CONFIG = 2**26
_GROUPS = ('_layer_checkpoint_dependencies', 'layers', 'vars')  # in the paths of weights
# The weights in the order in which Keras numbers them. Batch norm may lack the first ones.
_CONVOLUTION, _NORM = ('kernel', 'bias'), ('gamma', 'beta', 'moving_mean', 'moving_variance')


def read_weights(path: str) -> ImportedWeights:
    """Reads a Keras file."""
    with open(path, 'rb') as file:
        is_zip = file.read(2) == b'PK'
    config, scratch = _unzip(path) if is_zip else (None, None)
    opened = hdf5.open_file(path, scratch, LARGEST_TENSOR)
    layers = _layers(path, opened, config)
    if config is None:
        config = _parse_config(path, hdf5.model_config(opened))
    version = 'Keras .keras file' if is_zip else 'Keras HDF5 file'
    return keras_weights.build_imported_weights(path, version, layers, config,
                                                holding=(opened, scratch))


def _parse_config(path: str, text: Any) -> Any:
    if text is None:
        return None
    if isinstance(text, bytes):
        text = text.decode(errors='replace')
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise CheckpointError(f'{path} is damaged: its configuration is not valid JSON; copy it '
                              'again.') from None


def _unzip(path: str) -> tuple[Any, BinaryIO]:
    """Returns the configuration, and the weights in a temporary file without a name."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if 'config.json' not in members or 'model.weights.h5' not in members:
            names = ', '.join(list(members)[:3]) or 'nothing'
            raise CheckpointError(f'{path} is a zip with {names}, not a Keras file; give a .keras '
                                  'file or what is in the zip.')
        with archive.open(members['config.json']) as opened:
            text = opened.read(_LARGEST_CONFIG + 1)
        if len(text) > _LARGEST_CONFIG:
            raise CheckpointError(f'{path} unpacks to a configuration of more than '
                                  f'{_LARGEST_CONFIG >> 20} MiB; it is not a Keras file.')
        scratch = tempfile.TemporaryFile()
        with archive.open(members['model.weights.h5']) as opened:
            left = LARGEST_NETWORK
            while chunk := opened.read(2**20):
                left -= len(chunk)
                if left < 0:
                    raise CheckpointError(f'{path} unpacks to more than '
                                          f'{LARGEST_NETWORK >> 30} GiB; it is not a Keras file.')
                scratch.write(chunk)
    scratch.seek(0)
    return _parse_config(path, text), scratch


def _layers(path: str, opened: Any, config: Any) -> dict[str, Layer]:
    names = _names_by_path(config)
    layers: dict[str, Layer] = {}
    for dataset in hdf5.datasets(path, opened):
        _add_dataset(path, layers, dataset, names)
    return layers


def _names_by_path(config: Any, parents: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Maps paths such as `functional/conv2d_7` to the layers' names.

    tf_keras and older releases of Keras 3 save a layer by its class and its number in its model.
    """
    names: dict[tuple[str, ...], str] = {}
    counts: dict[str, int] = {}
    for kind, options in model_layers(config):
        snake = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', kind.replace('2D', '2d')).lower()
        number = counts[snake] = counts.get(snake, -1) + 1
        path = (*parents, snake if not number else f'{snake}_{number}')
        if 'layers' in options:
            names.update(_names_by_path({'config': options}, path))
        else:
            names[path] = str(options['name'])
    return names


def _add_dataset(path: str, layers: dict[str, Layer], dataset: hdf5.Dataset,
                 names: dict[tuple[str, ...], str]) -> None:
    """Adds a dataset to its layer, if it is one of the weights."""
    parents, parameter = dataset.parents, dataset.name.removesuffix(':0')
    layer = _last_part(parents[-1])
    if layer == 'vars':  # Keras 3: `layers/conv2d_7/vars/0`
        container = _last_part(parents[-2]) if len(parents) > 1 else ''
        if dataset.group_name is None and not names:
            raise CheckpointError(
                f'{path} was written by a release of Keras that does not store the names of '
                'layers; save the whole model as .keras.')
        containers = tuple(part for name in parents for part in re.split(r'[\\/]', name)
                           if part not in _GROUPS)
        layer = dataset.group_name or names.get(containers, container)
        is_convolution = len(dataset.siblings.get('0', ())) > 1
        order = _CONVOLUTION if is_convolution else _NORM[-len(dataset.siblings):]
        if not parameter.isdigit() or int(parameter) >= len(order):
            return
        parameter = order[int(parameter)]
    if dataset.dtype.kind != 'f':
        return
    if dataset.is_elsewhere:
        raise CheckpointError(f'{path} stores the weights of {layer} in other files, which are not '
                              'read; copy them into one file.')
    for shape in (dataset.shape, dataset.chunks):  # HDF5 decompresses a chunk as a whole
        check_tensor_size(path, f'{layer}/{parameter}', shape, dataset.dtype)
    values = layers.setdefault(layer, Layer(layer, {})).values
    values[parameter] = LazyTensor(dataset.shape, np.dtype(np.float32), dataset.read)


def _last_part(name: str) -> str:
    return re.split(r'[\\/]', name)[-1]
