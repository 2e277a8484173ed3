"""Patches that let tf-slim 1.1.0 run on TensorFlow 2.16 to 2.21.

TensorFlow 2.13 to 2.15 moved eleven names out of the private modules that tf-slim imports them
from, and moved the batch-norm layer to tf-keras. `install` replaces, in tf-slim's modules only, the
globals that name such a module with a proxy that has these names. TensorFlow's own modules,
`tf.keras`, eager mode and the v2 behaviors stay as they are. Importing `inception_slim` arranges
that `install` runs when `tf_slim` is imported.

tf-slim's development branch (1.2.0, 2026-07-02) already uses `array_ops_stack`, `cond.cond` and
`tf.layers.BatchNormalization`. PyPI still has 1.1.0. Once 1.2.0 is released there, what is left of
this file is the reader of partitioned checkpoints, if that bug is still there, and the speed-up of
`_slim_layers`; require the release and delete the rest.
"""

from __future__ import annotations

from collections.abc import Callable
import importlib
from importlib import metadata
import pkgutil
import sys
import types
from typing import Any

from inception_slim._module_proxy import ModuleProxy
from inception_slim._slim_layers import flatten_function, patched_layer
import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf

OLDEST_TENSORFLOW = (2, 16)
NEWEST_TENSORFLOW = (2, 21)
TF_SLIM = '1.1.0'


def _legacy_normalization(name: str) -> Any:
    # tf-keras takes a third of a second to import, so it is imported by the first batch-norm layer.
    expected = '.'.join(tensorflow.__version__.split('.')[:2])
    advice = f"install the matching one with: pip install 'tf-keras=={expected}.*'"
    try:
        installed = metadata.version('tf-keras')
    except metadata.PackageNotFoundError:
        raise ImportError(
            f'slim.batch_norm needs tf-keras {expected}, which is not installed; {advice}'
        ) from None
    if installed.split('.')[:2] != expected.split('.'):
        raise ImportError(
            f'slim.batch_norm needs tf-keras {expected} for TensorFlow {tensorflow.__version__}, '
            f'but tf-keras {installed} is installed; {advice}')
    module = importlib.import_module('tf_keras.src.legacy_tf_layers.normalization')
    return getattr(module, name)


# TensorFlow's private module -> the names that it lost -> what they are today.
_REMOVED: dict[str, dict[str, Callable[[], object]]] = {
    'tensorflow.python.framework.ops': {
        'Tensor': lambda: tf.Tensor,
        'IndexedSlices': lambda: tf.IndexedSlices,
    },
    'tensorflow.python.ops.array_ops': {
        'stack': lambda: tf.stack,
        'unstack': lambda: tf.unstack,
    },
    'tensorflow.python.ops.control_flow_ops': {
        'Assert': lambda: tf.Assert,
        'case': lambda: tf.case,
        'cond': lambda: tf.cond,
        'while_loop': lambda: tf.while_loop,
    },
    'tensorflow.python.ops.variable_scope': {
        'variable': lambda: tf.Variable,
    },
    'tensorflow.python.layers.normalization': {
        'BatchNormalization': lambda: patched_layer(
            _legacy_normalization('BatchNormalization')),
        'batch_normalization': lambda: _legacy_normalization('batch_normalization'),
    },
}

# TensorFlow's private module -> the layers in it that tf-slim uses, to be patched.
_LAYERS: dict[str, tuple[str, ...]] = {
    'tensorflow.python.layers.convolutional': (
        'Convolution1D', 'Convolution2D', 'Convolution3D', 'Convolution2DTranspose',
        'Convolution3DTranspose', 'SeparableConvolution2D'),
    'tensorflow.python.layers.core': ('Dense', 'Dropout'),
    'tensorflow.python.layers.pooling': (
        'AveragePooling2D', 'AveragePooling3D', 'MaxPooling2D', 'MaxPooling3D'),
}


_proxies: dict[types.ModuleType, ModuleProxy] = {}


def _proxy_for(module: types.ModuleType) -> ModuleProxy | None:
    """The proxy that tf-slim needs for a module of TensorFlow, or None if it needs none."""
    path = module.__name__
    if module not in _proxies:
        # `vars`, not `hasattr`: the latter would import tf-keras for the normalization module.
        names = {name: get for name, get in _REMOVED.get(path, {}).items()
                 if name not in vars(module)}
        for name in _LAYERS.get(path, ()):
            if name in vars(module):
                names[name] = lambda name=name: patched_layer(  # type: ignore[misc]
                    getattr(module, name))
        if path == 'tensorflow.python.layers.core':
            names['flatten'] = lambda: flatten_function(patched_layer(module.Flatten))
        if not names:
            return None
        _proxies[module] = ModuleProxy(module, names)
    return _proxies[module]


def complete(module: types.ModuleType) -> None:
    """Gives the removed names to one module that uses them. Idempotent.

    Args:
      module: a module with globals such as `ops` or `array_ops` that name TensorFlow's private
        modules.
    """
    for name, value in list(vars(module).items()):
        if not isinstance(value, types.ModuleType) or isinstance(value, ModuleProxy):
            continue
        if value.__name__ in _REMOVED or value.__name__ in _LAYERS:
            proxy = _proxy_for(value)
            if proxy is not None:
                setattr(module, name, proxy)


class _SliceableArray(np.ndarray):
    """An array that takes a list of slices as an index, like a tuple of slices."""

    def __getitem__(self, index):
        return super().__getitem__(tuple(index) if isinstance(index, list) else index)


class _SliceableReader:
    """A checkpoint reader that returns sliceable arrays."""

    def __init__(self, path: str):
        self._reader = tf.train.NewCheckpointReader(path)

    def __getattr__(self, name: str):
        return getattr(self._reader, name)

    def get_tensor(self, name: str):
        value = self._reader.get_tensor(name)
        return value.view(_SliceableArray) if isinstance(value, np.ndarray) else value


def _patch_partitioned_restore(variables: types.ModuleType) -> None:
    # slim.assign_from_checkpoint indexes the part of a partitioned variable with a list of slices,
    # which NumPy 1.23 and later do not treat as a tuple.
    if not isinstance(variables.tf, ModuleProxy):
        train = ModuleProxy(tf.train, {'NewCheckpointReader': lambda: _SliceableReader})
        variables.tf = ModuleProxy(tf, {'train': lambda: train})  # type: ignore[attr-defined]


def check_versions() -> None:
    """Checks the installed versions of TensorFlow and tf-slim.

    Raises:
      ImportError: TensorFlow is outside 2.16 to 2.21, or tf-slim is not 1.1.0.
    """
    installed = tuple(int(part) for part in tensorflow.__version__.split('.')[:2])
    if not OLDEST_TENSORFLOW <= installed <= NEWEST_TENSORFLOW:
        oldest, newest = ('.'.join(map(str, version))
                          for version in (OLDEST_TENSORFLOW, NEWEST_TENSORFLOW))
        raise ImportError(
            f'inception_slim supports TensorFlow {oldest} to {newest}, but TensorFlow '
            f'{tensorflow.__version__} is installed; install a supported one with: '
            f"pip install 'tensorflow=={newest}.*' 'tf-keras=={newest}.*'")
    try:
        slim = metadata.version('tf-slim')
    except metadata.PackageNotFoundError:
        slim = 'none'
    if slim != TF_SLIM:
        raise ImportError(
            f'inception_slim needs tf-slim {TF_SLIM}, but {slim} is installed; '
            f"install it with: pip install 'tf-slim=={TF_SLIM}'")


def install() -> None:
    """Patches all modules of the installed tf-slim. Idempotent.

    Runs at `import tf_slim` once `inception_slim` is imported, or at `import inception_slim` if
    tf-slim is imported before it.

    Raises:
      ImportError: TensorFlow is outside 2.16 to 2.21, or tf-slim is not 1.1.0.
    """
    check_versions()
    import tf_slim

    for module in pkgutil.walk_packages(tf_slim.__path__, 'tf_slim.'):
        if not module.name.endswith('_test'):
            complete(importlib.import_module(module.name))
    complete(tf_slim)
    _patch_partitioned_restore(sys.modules['tf_slim.ops.variables'])
