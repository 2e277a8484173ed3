"""The `tensorflow` package that scripts of TensorFlow 1 import.

It consists of `tf.compat.v1`, `tf.contrib`, version 1.15.5, the Keras and the layers of TensorFlow
1 (from tf-keras), and TensorFlow's private modules with the names they have lost since.
`resolve_module` returns the module for a dotted name; `import_hook` calls it for the imports of
scripts. The real modules of TensorFlow are not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import importlib
import types

from inception_slim._module_proxy import ModuleProxy
from inception_slim.legacy import contrib, estimator, lost_modules
import tensorflow
import tensorflow.compat.v1 as v1

VERSION = '1.15.5'

# Removed packages and what to use today.
REMOVED = {
    'tensorflow.examples': (
        'tensorflow.examples (tutorials) is no longer part of TensorFlow; of its modules, '
        'tensorflow.examples.tutorials.mnist.input_data is supported'),
    'tensorflow.models': (
        'tensorflow.models is a separate repository; add its folder to PYTHONPATH, or import '
        'nets, preprocessing, datasets and deployment, which are supported'),
}


_TUTORIAL = 'tensorflow.examples.tutorials.mnist.input_data'


def _package_of_tutorial(name: str) -> types.ModuleType:
    """A package that contains only the next part of the tutorial's name."""
    package = types.ModuleType(name)
    child = _TUTORIAL.removeprefix(f'{name}.').partition('.')[0]
    package.__dict__.update({'__path__': [], child: resolve_module(f'{name}.{child}')})
    return package


def _estimator_module(name: str) -> types.ModuleType | None:
    return estimator.import_module(
        name.replace('tensorflow.estimator', '_api.v1.estimator', 1).removeprefix('tensorflow.'),
        resolve_module)


def _keras(name: str = '') -> types.ModuleType:
    """A module of the Keras that TensorFlow 1 had."""
    try:
        return importlib.import_module('tf_keras.api._v1.keras' + name)
    except ModuleNotFoundError as error:
        if error.name != 'tf_keras':
            raise
        version = '.'.join(tensorflow.__version__.split('.')[:2])
        raise ImportError(
            f'tf.keras and tf.layers of TensorFlow 1 need tf-keras {version}, which is not '
            f"installed; install it with: pip install 'tf-keras=={version}.*'") from None


def _tensorflow() -> types.ModuleType:
    names: dict[str, Callable[[], object]] = {
        name: partial(resolve_module, f'tensorflow.{name}') for name in (
            'contrib', 'keras', 'layers', 'nn', 'gfile', 'python', 'compat', 'version', 'estimator',
            'core')}
    names.update({
        '__version__': lambda: VERSION, 'VERSION': lambda: VERSION, '__path__': list,
        'pywrap_tensorflow': lambda: resolve_module('tensorflow.python.pywrap_tensorflow'),
        'train': lambda: v1.train,
        '__all__': lambda: [name for name in dir(v1) if not name.startswith('_')] + ['contrib'],
    })
    return ModuleProxy(v1, names, name='tensorflow')


def _nn() -> types.ModuleType:
    return ModuleProxy(v1.nn, {'rnn_cell': lambda: _keras('.__internal__.legacy.rnn_cell')},
                       name='tensorflow.nn')


def _gfile_reading_bytes(gfile: types.ModuleType) -> types.ModuleType:
    """A `gfile` whose text mode returns bytes if a file is not text, as in Python 2."""

    class GFile(gfile.GFile):  # type: ignore[name-defined]
        def _prepare_value(self, value):
            try:
                return super()._prepare_value(value)
            except UnicodeDecodeError:
                self._binary_mode = True  # the rest of the file may be decodable by accident
                return super()._prepare_value(value)

    GFile.__doc__ = gfile.GFile.__doc__
    return ModuleProxy(gfile, {name: lambda: GFile for name in ('GFile', 'FastGFile', 'Open')})


_PROXIES: dict[str, Callable[[], types.ModuleType | None]] = {
    'tensorflow': _tensorflow,
    'tensorflow.nn': _nn,
    'tensorflow.layers': lambda: _keras('.__internal__.legacy.layers'),
    'tensorflow.keras': lambda: ModuleProxy(_keras(), {'__version__': lambda: '2.2.4-tf'}),
    'tensorflow.gfile': lambda: _gfile_reading_bytes(v1.gfile),
    'tensorflow.version': lambda: ModuleProxy(v1.version, {'VERSION': lambda: VERSION}),
    'tensorflow.compat': lambda: ModuleProxy(
        v1.compat, {'v1': lambda: resolve_module('tensorflow')}),
    'tensorflow.core': lambda: importlib.import_module('tensorflow.core'),
    'tensorflow.python.platform.gfile': lambda: _gfile_reading_bytes(
        importlib.import_module('tensorflow.python.platform.gfile')),
    'tensorflow.python.ops.rnn_cell': lambda: resolve_module('tensorflow.nn.rnn_cell'),
    'tensorflow.python.keras': lambda: resolve_module('tensorflow.keras'),
    _TUTORIAL: lambda: importlib.import_module('inception_slim.legacy.contrib.datasets'),
    **{name: partial(_package_of_tutorial, name) for name in (
        'tensorflow.examples', 'tensorflow.examples.tutorials',
        'tensorflow.examples.tutorials.mnist')},
    **lost_modules.MODULES,
}

# Private module -> name that it lost and that `tf.compat.v1` lacks too -> today's equivalent.
_LOST_NAMES: dict[str, dict[str, Callable[[], object]]] = {
    'tensorflow.python.pywrap_tensorflow': {
        'NewCheckpointReader': lambda: v1.train.NewCheckpointReader,
        'CheckpointReader': lambda: v1.train.NewCheckpointReader,
        'list_devices': lambda: importlib.import_module(
            'tensorflow.python.client.device_lib').list_local_devices,
    },
    'tensorflow.python.framework.ops': {
        'RegisterShape': lambda: lambda op_type: lambda function: function,
    },
    'tensorflow.python.framework.tensor_shape': {
        'scalar': lambda: lambda: v1.TensorShape([]),
        'vector': lambda: lambda length: v1.TensorShape([length]),
        'matrix': lambda: lambda rows, columns: v1.TensorShape([rows, columns]),
    },
    'tensorflow.python.util.nest': {
        'is_sequence': lambda: importlib.import_module('tensorflow.python.util.nest').is_nested,
    },
    'tensorflow.python.eager.context': {
        'list_devices': lambda: v1.config.list_logical_devices,
    },
}
# Public modules that may have a name which a private module has lost.
_PUBLIC_MODULES = ('nn', 'layers', 'train', 'math', 'image', 'graph_util', 'io', 'losses',
                   'metrics', 'summary', 'saved_model', 'nn.rnn_cell')
_MOVED_MODULES = {
    'tensorflow.python.training.training_ops': 'tensorflow.python.ops.gen_training_ops',
    'tensorflow.python.training.gen_training_ops': 'tensorflow.python.ops.gen_training_ops',
    'tensorflow.python.training.tracking': 'tensorflow.python.trackable',
    'tensorflow.python.training.summary_io': 'tensorflow.python.summary.summary_iterator',
    'tensorflow.python.ops.seq2seq': 'tensorflow.python.ops.rnn',
}


class _PrivateModule(ModuleProxy):
    """A private module of TensorFlow with the names that it had in TensorFlow 1."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            return super().__getattr__(name)
        value = self._look_up(name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith('tensorflow.python'):
            value = resolve_module(value.__name__) or value
        self.__dict__[name] = value
        return value

    def _look_up(self, name: str) -> object:
        dotted = f'{self.__name__}.{name}'
        if dotted in _PROXIES:
            return resolve_module(dotted)
        try:
            return super().__getattr__(name)
        except AttributeError:
            pass
        submodule = resolve_module(dotted)
        if submodule is not None:
            return submodule
        for holder in [] if name.startswith('_') else ['', *_PUBLIC_MODULES]:
            try:
                return getattr(resolve_module(f'tensorflow.{holder}') if holder else v1, name)
            except (AttributeError, ImportError):
                pass
        raise AttributeError(
            f'module {self.__name__!r} of TensorFlow {tensorflow.__version__} has no {name!r}')


def _import_or_none(name: str) -> types.ModuleType | None:
    """Import a module; None if it, or a package that it is in, does not exist."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or not name.startswith(error.name):
            raise
        return None


def _submodule(name: str) -> types.ModuleType | None:
    """A module that is an attribute of its parent module, or None."""
    parent, _, child = name.rpartition('.')
    module = getattr(resolve_module(parent), child, None)
    return module if isinstance(module, types.ModuleType) else None


def _contrib_module(name: str) -> types.ModuleType | None:
    if name in contrib.module_names():
        return contrib.get_module(name)
    if name == contrib.ROOT:
        return None
    parent, _, child = name.rpartition('.')
    module = getattr(resolve_module(parent), child)  # an unsupported module raises an error
    return module if isinstance(module, types.ModuleType) else None


def _removed_module(name: str) -> types.ModuleType | None:
    reason = next(reason for removed, reason in REMOVED.items()
                  if name == removed or name.startswith(removed + '.'))
    raise ModuleNotFoundError(reason + '.', name=name)


def _private_keras_module(name: str) -> types.ModuleType | None:
    return resolve_module(name.replace('tensorflow.python.keras', 'tensorflow.keras'))


def _private_module(name: str) -> types.ModuleType | None:
    module = _import_or_none(_MOVED_MODULES.get(name, name))
    return module and _PrivateModule(module, _LOST_NAMES.get(name, {}), name=name)


def _keras_module(name: str) -> types.ModuleType | None:
    return _submodule(name) or _import_or_none(
        name.replace('tensorflow.keras', 'tf_keras.src', 1))


def _public_module(name: str) -> types.ModuleType | None:
    return _submodule(name) or _import_or_none(name)


# Package -> resolver of its modules. The first package that contains a module resolves it.
_RESOLVERS: dict[str, Callable[[str], types.ModuleType | None]] = {
    contrib.ROOT: _contrib_module,
    **dict.fromkeys(REMOVED, _removed_module),
    **dict.fromkeys(('tensorflow.estimator', 'tensorflow.python.estimator'), _estimator_module),
    'tensorflow.python.keras': _private_keras_module,
    'tensorflow.python': _private_module,
    'tensorflow.keras': _keras_module,
    'tensorflow': _public_module,
}
_cache: dict[str, types.ModuleType | None] = {}


def resolve_module(name: str) -> types.ModuleType | None:
    """Return the module that scripts get for a dotted name below `tensorflow`.

    Returns:
      The module, or None if TensorFlow 1 had no such module.

    Raises:
      ImportError: TensorFlow 1 had the module, but it has no replacement; the message says what
        to do.
    """
    if name not in _cache:
        resolve = _PROXIES.get(name) or next(
            partial(resolver, name) for package, resolver in _RESOLVERS.items()
            if f'{name}.'.startswith(f'{package}.'))
        _cache[name] = resolve()
    return _cache[name]


def clear_cache() -> None:
    """Drop all modules created here, with the attributes that scripts have set on them."""
    _cache.clear()
