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
from inception_slim.checkpoint.weight_sources import LARGEST_NETWORK, check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import keras_weights
from inception_slim.formats.keras_weights import Layer, iter_layer_configs
import numpy as np

_MAX_OBJECTS = 100_000
_MAX_DEPTH = 20  # of nested groups
_LARGEST_CONFIG = 2**26
# The weights in the order in which Keras numbers them. Batch norm may lack the first ones.
_CONVOLUTION, _NORM = ('kernel', 'bias'), ('gamma', 'beta', 'moving_mean', 'moving_variance')
_OTHER_GROUPS = ('optimizer_weights', 'optimizer', 'top_level_model_weights')


def read_weights(path: str) -> ImportedWeights:
    """Reads a Keras file."""
    import h5py  # installed with TensorFlow; only these files need it

    with open(path, 'rb') as file:
        is_zip = file.read(2) == b'PK'
    config, scratch = _unzip(path) if is_zip else (None, None)
    opened = h5py.File(path if scratch is None else scratch, 'r')
    layers = _layers(path, opened, config)
    if config is None:
        config = _parse_config(path, opened.attrs.get('model_config'))
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
    """Collects the layers of all groups; links to other files are refused."""
    import h5py

    names = _names_by_class_and_number(config)
    layers: dict[str, Layer] = {}
    objects = 0
    pending: list[tuple[Any, tuple[str, ...]]] = [(opened, ())]
    while pending:
        group, parents = pending.pop()
        for name in group:
            objects += 1
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointError(f'{path} contains a link, {name}, which is not followed; '
                                      'copy the weights into one file.')
            if objects > _MAX_OBJECTS or len(parents) > _MAX_DEPTH:
                raise CheckpointError(f'{path} has more groups than any supported network; it is '
                                      'damaged.')
            child = group[name]
            if isinstance(child, h5py.Group):
                if name not in _OTHER_GROUPS:
                    pending.append((child, (*parents, name)))
            elif isinstance(child, h5py.Dataset) and parents:
                _add_dataset(path, layers, parents, name, child, group, names)
    return layers


def _names_by_class_and_number(config: Any) -> dict[str, str]:
    """Maps names such as `conv2d_7`, which older releases of Keras 3 save, to the layers' names."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for kind, layer_config in iter_layer_configs(config):
        snake = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', kind.replace('2D', '2d')).lower()
        number = counts[snake] = counts.get(snake, -1) + 1
        names[snake if not number else f'{snake}_{number}'] = str(layer_config['name'])
    return names


def _add_dataset(path: str, layers: dict[str, Layer], parents: tuple[str, ...], name: str,
                 dataset: Any, group: Any, names: dict[str, str]) -> None:
    """Adds a dataset to its layer, if it is one of the weights."""
    parameter = name.removesuffix(':0')
    layer = _last_part(parents[-1])
    if layer == 'vars':  # Keras 3: `layers/conv2d_7/vars/0`
        layer_name = group.attrs.get('name')
        container = _last_part(parents[-2]) if len(parents) > 1 else ''
        if layer_name is None and not names:
            raise CheckpointError(
                f'{path} was written by a release of Keras that does not store the names of '
                'layers; save the whole model as .keras.')
        layer = str(layer_name) if layer_name is not None else names.get(container, container)
        is_convolution = '0' in group and len(group['0'].shape) > 1
        order = _CONVOLUTION if is_convolution else _NORM[-len(group):]
        if not parameter.isdigit() or int(parameter) >= len(order):
            return
        parameter = order[int(parameter)]
    if dataset.dtype.kind != 'f':
        return
    if dataset.external or dataset.is_virtual:
        raise CheckpointError(f'{path} stores the weights of {layer} in other files, which are not '
                              'read; copy them into one file.')
    for shape in (dataset.shape, dataset.chunks or ()):  # HDF5 decompresses a chunk as a whole
        check_tensor_size(path, f'{layer}/{parameter}', shape, dataset.dtype)
    values = layers.setdefault(layer, Layer(layer, {})).values
    values[parameter] = LazyTensor(dataset.shape, np.dtype(np.float32),
                                   lambda: np.asarray(dataset[()], np.float32))


def _last_part(name: str) -> str:
    return re.split(r'[\\/]', name)[-1]
