"""Keras's files: `.h5` of models and of weights, `.weights.h5`, and `.keras`, a zip of the last.

Only numbers and a configuration are read: no layer is made, and no code of the file is run.
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

_MOST_OBJECTS = 100_000
_LARGEST_CONFIG = 2**26
# The weights of these in the order in which Keras numbers them; batch norm's from its end.
_CONVOLUTION, _NORM = ('kernel', 'bias'), ('gamma', 'beta', 'moving_mean', 'moving_variance')
_NOT_THE_NETWORK = ('optimizer_weights', 'optimizer', 'top_level_model_weights')


def read_weights(path: str) -> ImportedWeights:
    import h5py  # which comes with TensorFlow; only these files need it

    with open(path, 'rb') as file:
        zipped = file.read(2) == b'PK'
    config, holding = None, None
    if zipped:
        config, holding = _unzipped(path)
    opened = h5py.File(path if holding is None else holding, 'r')
    layers = _layers(path, opened, config)
    if config is None:
        config = _config(path, opened.attrs.get('model_config'))
    kind = 'Keras .keras file' if zipped else 'Keras HDF5 file'
    return keras_weights.build_imported_weights(
        path, kind, layers, config, holding=(opened, holding)
    )


def _config(path: str, text: Any) -> Any:
    if text is None:
        return None
    if isinstance(text, bytes):
        text = text.decode(errors='replace')
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise CheckpointError(f'{path} is damaged: its configuration is no JSON; copy it '
                              'again.') from None


def _unzipped(path: str) -> tuple[Any, BinaryIO]:
    """The configuration, and the weights in a file that goes away with its last reader."""
    with zipfile.ZipFile(path) as archive:
        members = {each.filename: each for each in archive.infolist()}
        if 'config.json' not in members or 'model.weights.h5' not in members:
            shown = ', '.join(list(members)[:3]) or 'nothing'
            raise CheckpointError(f'{path} is a zip that holds {shown}, and no network; give a '
                                  '.keras file, or what is in the zip.')
        with archive.open(members['config.json']) as opened:
            text = opened.read(_LARGEST_CONFIG + 1)
        if len(text) > _LARGEST_CONFIG:
            raise CheckpointError(f'{path} unpacks to a configuration of more than '
                                  f'{_LARGEST_CONFIG >> 20} MiB; it is no Keras file.')
        scratch = tempfile.TemporaryFile()
        with archive.open(members['model.weights.h5']) as opened:
            left = LARGEST_NETWORK
            while chunk := opened.read(2**20):
                left -= len(chunk)
                if left < 0:
                    raise CheckpointError(f'{path} unpacks to more than '
                                          f'{LARGEST_NETWORK >> 30} GiB; it is no Keras file.')
                scratch.write(chunk)
    scratch.seek(0)
    return _config(path, text), scratch


def _layers(path: str, opened: Any, config: Any) -> dict[str, Layer]:
    import h5py

    names = _names_in_order(config)
    layers: dict[str, Layer] = {}
    seen = 0
    waiting: list[tuple[Any, tuple[str, ...]]] = [(opened, ())]
    while waiting:
        group, parents = waiting.pop()
        for name in group:
            seen += 1
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise CheckpointError(f'{path} holds a link to elsewhere, {name}, which is not '
                                      'followed; copy its weights into one file.')
            if seen > _MOST_OBJECTS or len(parents) > 20:
                raise CheckpointError(f'{path} holds more than any network; it is damaged.')
            child = group[name]
            if isinstance(child, h5py.Group):
                if name not in _NOT_THE_NETWORK:
                    waiting.append((child, (*parents, name)))
            elif isinstance(child, h5py.Dataset) and parents:
                _add(path, layers, parents, name, child, group, names)
    return layers


def _names_in_order(config: Any) -> dict[str, str]:
    """What files of weights of older Keras 3 call layers, by class and number -> their names."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for kind, each in iter_layer_configs(config):
        snake = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', kind.replace('2D', '2d')).lower()
        number = counts[snake] = counts.get(snake, -1) + 1
        names[snake if not number else f'{snake}_{number}'] = str(each['name'])
    return names


def _add(path: str, layers: dict[str, Layer], parents: tuple[str, ...], name: str, dataset: Any,
         group: Any, names: dict[str, str]) -> None:
    parameter = name.removesuffix(':0')
    layer = re.split(r'[\\/]', parents[-1])[-1]
    if layer == 'vars':
        said = group.attrs.get('name')
        container = re.split(r'[\\/]', parents[-2])[-1] if len(parents) > 1 else ''
        if said is None and not names:
            raise CheckpointError(
                f'{path} was written by a Keras that does not say in it what its layers are '
                'called; save the whole model, as .keras, which does.')
        layer = str(said) if said is not None else names.get(container, container)
        count = len(group)
        order = _CONVOLUTION if '0' in group and len(group['0'].shape) > 1 else _NORM[-count:]
        if not parameter.isdigit() or int(parameter) >= len(order):
            return
        parameter = order[int(parameter)]
    if dataset.dtype.kind != 'f':
        return
    if dataset.external or dataset.is_virtual:
        raise CheckpointError(f'{path} keeps the numbers of {layer} in other files, which are not '
                              'read; copy its weights into one file.')
    check_tensor_size(path, f'{layer}/{parameter}', dataset.shape, dataset.dtype)
    values = layers.setdefault(layer, Layer(layer, {})).values
    values[parameter] = LazyTensor(dataset.shape, np.dtype(np.float32),
                               lambda: np.asarray(dataset[()], np.float32))
