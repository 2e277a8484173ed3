"""Lets tf-slim 1.1.0 run on a TensorFlow that removed names it uses.

TensorFlow 2.13 to 2.15 moved eleven names out of the private modules that tf-slim imports
them from, and moved the batch-norm layer out of TensorFlow altogether, into tf-keras.
`install` gives the names back to tf-slim's modules alone: inside `tf_slim`, the global that
names such a TensorFlow module is replaced by a view of it that has the missing names too.
TensorFlow's own modules, `tf.keras`, eager mode and the v2 behaviours stay as they were.

Everything ugly about TensorFlow's private modules is in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib
from importlib import metadata
import pkgutil
import sys
import types
from typing import Any

import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf

OLDEST_TENSORFLOW = (2, 16)
NEWEST_TENSORFLOW = (2, 21)
TF_SLIM = '1.1.0'


class ModuleView(types.ModuleType):
    """A module as somebody else should see it: itself, with some names added or replaced."""

    def __init__(self, module: types.ModuleType, names: Mapping[str, Callable[[], object]]):
        super().__init__(module.__name__, module.__doc__)
        self._module = module
        self._names = names

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is not kept here yet: look it up once, then keep it.
        if name in self._names:
            value = self._names[name]()
            setattr(self, name, value)
            return value
        return getattr(self._module, name)


def _legacy_normalization(name: str) -> Any:
    # tf-keras takes a third of a second to import, so only the first batch-norm layer pays.
    wanted = '.'.join(tensorflow.__version__.split('.')[:2])
    advice = f"install the matching one with: pip install 'tf-keras=={wanted}.*'"
    try:
        found = metadata.version('tf-keras')
    except metadata.PackageNotFoundError:
        raise ImportError(
            f'slim.batch_norm needs tf-keras {wanted}, which is not installed; {advice}') from None
    if found.split('.')[:2] != wanted.split('.'):
        raise ImportError(
            f'slim.batch_norm needs tf-keras {wanted}, to match TensorFlow '
            f'{tensorflow.__version__}, but tf-keras {found} is installed; {advice}')
    module = importlib.import_module('tf_keras.src.legacy_tf_layers.normalization')
    return getattr(module, name)


# TensorFlow's private module -> the names it lost -> where each can be had today.
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
        'BatchNormalization': lambda: _slims(_legacy_normalization('BatchNormalization')),
        'batch_normalization': lambda: _legacy_normalization('batch_normalization'),
    },
}

# Slim runs every layer through `layer.apply`, which warns of its own deprecation each time.
_LAYERS: dict[str, tuple[str, ...]] = {
    'tensorflow.python.layers.convolutional': (
        'Convolution1D', 'Convolution2D', 'Convolution3D', 'Convolution2DTranspose',
        'Convolution3DTranspose', 'SeparableConvolution2D'),
    'tensorflow.python.layers.core': ('Dense', 'Dropout'),
    'tensorflow.python.layers.pooling': (
        'AveragePooling2D', 'AveragePooling3D', 'MaxPooling2D', 'MaxPooling3D'),
}


class _IdentityList(list):
    """A list that finds by identity, which is how variables of a graph compare."""

    def __contains__(self, item: object) -> bool:
        return any(each is item for each in self)


def _over(function: Callable, **names: object) -> Callable:
    """The same code, to which some globals are others."""
    return types.FunctionType(function.__code__, {**function.__globals__, **names},
                              function.__name__, function.__defaults__, function.__closure__)


def _with_compat_v1(root: types.ModuleType, **names: Callable) -> ModuleView:
    """A `tf` whose `tf.compat.v1` has other functions."""
    v1 = ModuleView(root.compat.v1, {name: lambda value=value: value  # type: ignore[misc]
                                     for name, value in names.items()})
    compat = ModuleView(root.compat, {'v1': lambda: v1})
    return ModuleView(root, {'compat': lambda: compat})


def _improved(layer_class: type) -> dict[str, Callable]:
    """Methods of a legacy layer over other globals, by their names.

    `add_weight` puts all variables of the graph into a set, and looks for the new one in a list of
    them; each hash and comparison first finds out whether TensorFlow is eager, which takes more
    than half the time of building a large network. Here both find by identity at once. And
    `_assign_moving_average` warns of the deprecation of a function that it calls.
    """
    def trainable_variables():
        return _IdentityList(tf.trainable_variables())

    def colocate_with(variable):
        return tf.get_default_graph().colocate_with(variable)

    found = {}
    for base in layer_class.__mro__[::-1]:
        add_weight = vars(base).get('add_weight')
        if add_weight and base.__module__.endswith('.legacy_tf_layers.base'):
            names = add_weight.__globals__
            if 'tf_variables' in names:  # TensorFlow's own copy of the legacy layers
                view = {'tf_variables': ModuleView(names['tf_variables'], {
                    'trainable_variables': lambda: trainable_variables})}
            else:  # tf-keras's
                view = {'tf': _with_compat_v1(
                    names['tf'], trainable_variables=trainable_variables)}
            found['add_weight'] = _over(add_weight, set=_IdentityList, **view)
        assign = vars(base).get('_assign_moving_average')
        if assign:
            found['_assign_moving_average'] = _over(assign, tf=_with_compat_v1(
                assign.__globals__['tf'], colocate_with=colocate_with))
    return found


def _slims(layer_class: type) -> type:
    """The same layer under the same name, as slim should have it: without warnings, and quick."""

    def apply(self, inputs, *args, **kwargs):
        return self(inputs, *args, **kwargs)

    selector = next(sys.modules[base.__module__] for base in layer_class.__mro__
                    if base.__name__ == 'LayerVersionSelector')

    def new(cls, *args, **kwargs):
        # For each layer the class is given the bases of eager or of graph mode, whichever it has
        # already; and that empties Python's method caches.
        if issubclass(cls, selector.base_layer_v1.Layer) and not selector.should_use_v2():
            return super(selector.LayerVersionSelector, cls).__new__(cls)
        return super(ours, cls).__new__(cls, *args, **kwargs)

    ours = type(layer_class)(layer_class.__name__, (layer_class,), {
        'apply': apply, '__new__': new, '__doc__': layer_class.__doc__,
        '__module__': layer_class.__module__, **_improved(layer_class)})
    return ours


def _flatten_by(layer_class: type) -> Callable:
    """`flatten` by a new layer each time: a layer called again keeps its first graph and scope."""

    def flatten(inputs, name=None):
        return layer_class(name=name)(inputs)

    return flatten


_views: dict[types.ModuleType, ModuleView] = {}


def _view(module: types.ModuleType) -> ModuleView | None:
    """The view of a TensorFlow module that slim should have, or None if it needs none."""
    path = module.__name__
    if module not in _views:
        # `vars`, not `hasattr`: asking the normalization module would import tf-keras at once.
        names = {name: find for name, find in _REMOVED.get(path, {}).items()
                 if name not in vars(module)}
        for name in _LAYERS.get(path, ()):
            if name in vars(module):
                names[name] = lambda name=name: _slims(getattr(module, name))  # type: ignore[misc]
        if path == 'tensorflow.python.layers.core':
            names['flatten'] = lambda: _flatten_by(_slims(module.Flatten))
        if not names:
            return None
        _views[module] = ModuleView(module, names)
    return _views[module]


def complete(module: types.ModuleType) -> None:
    """Gives the removed names to one module that uses them.

    Args:
      module: a module with globals such as `ops` or `array_ops` that name TensorFlow's private
        modules. Doing it twice changes nothing more.
    """
    for name, value in list(vars(module).items()):
        if not isinstance(value, types.ModuleType) or isinstance(value, ModuleView):
            continue
        if value.__name__ in _REMOVED or value.__name__ in _LAYERS:
            view = _view(value)
            if view is not None:
                setattr(module, name, view)


class _Sliceable(np.ndarray):
    """An array that a list of slices indexes as a tuple of them does."""

    def __getitem__(self, index):
        return super().__getitem__(tuple(index) if isinstance(index, list) else index)


class _SliceableReader:
    """A checkpoint reader whose tensors are sliceable."""

    def __init__(self, path: str):
        self._reader = tf.train.NewCheckpointReader(path)

    def __getattr__(self, name: str):
        return getattr(self._reader, name)

    def get_tensor(self, name: str):
        value = self._reader.get_tensor(name)
        return value.view(_Sliceable) if isinstance(value, np.ndarray) else value


def _let_slim_slice_checkpoints(variables: types.ModuleType) -> None:
    # slim.assign_from_checkpoint indexes the part of a partitioned variable with a list of slices,
    # which NumPy 1.23 stopped taking for a tuple.
    if not isinstance(variables.tf, ModuleView):
        train = ModuleView(tf.train, {'NewCheckpointReader': lambda: _SliceableReader})
        variables.tf = ModuleView(tf, {'train': lambda: train})  # type: ignore[attr-defined]


def _check_versions() -> None:
    found = tuple(int(part) for part in tensorflow.__version__.split('.')[:2])
    if not OLDEST_TENSORFLOW <= found <= NEWEST_TENSORFLOW:
        raise ImportError(
            f'inception_slim supports TensorFlow {_dotted(OLDEST_TENSORFLOW)} to '
            f'{_dotted(NEWEST_TENSORFLOW)}, but TensorFlow {tensorflow.__version__} is installed; '
            'install a supported one with: '
            f"pip install 'tensorflow=={_dotted(NEWEST_TENSORFLOW)}.*' "
            f"'tf-keras=={_dotted(NEWEST_TENSORFLOW)}.*'")
    try:
        slim = metadata.version('tf-slim')
    except metadata.PackageNotFoundError:
        slim = 'none'
    if slim != TF_SLIM:
        raise ImportError(
            f'inception_slim needs tf-slim {TF_SLIM}, but {slim} is installed; '
            f"install it with: pip install 'tf-slim=={TF_SLIM}'")


def _dotted(version: tuple[int, ...]) -> str:
    return '.'.join(str(part) for part in version)


def install() -> None:
    """Makes the installed tf-slim work, wherever and whenever it was or will be imported.

    Runs when `inception_slim` is imported. Idempotent.

    Raises:
      ImportError: TensorFlow is outside 2.16 to 2.21, or tf-slim is not 1.1.0.
    """
    _check_versions()
    import tf_slim

    for found in pkgutil.walk_packages(tf_slim.__path__, 'tf_slim.'):
        if not found.name.endswith('_test'):
            complete(importlib.import_module(found.name))
    complete(tf_slim)
    _let_slim_slice_checkpoints(sys.modules['tf_slim.ops.variables'])
