"""TensorFlow 1's face: the `tensorflow` that a script of then sees.

`tensorflow` is everything of `tf.compat.v1`, with `tf.contrib`, version 1.15.5, the layers and the
Keras of then, and TensorFlow's private modules with the names that they lost. `find` gives the
module of each dotted name; the scripts' imports come here (see `imports`). The real modules of
TensorFlow are neither changed nor replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import importlib
import types

from inception_slim._module_proxy import ModuleProxy
import tensorflow
import tensorflow.compat.v1 as v1

ROOTS = frozenset({'tensorflow'})
VERSION = '1.15.5'


# What is not there, by the beginning of its name: what it was, and what to do today.
GONE = {
    'tensorflow.estimator': (
        'tf.estimator left TensorFlow in 2.16 and has no successor that runs TensorFlow 1 code; '
        'train with slim.learning.train or a Session of your own'),
    'tensorflow.examples': (
        'tensorflow.examples were tutorials that are no longer shipped; the MNIST digits that '
        'input_data read come from tf.keras.datasets.mnist.load_data()'),
    'tensorflow.models': (
        'tensorflow.models is a repository of its own; put its folder on PYTHONPATH, or import '
        'nets, preprocessing, datasets and deployment, which are served'),
}


class _Gone(types.ModuleType):
    """A module of which every name says that it is gone."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)
        raise AttributeError(GONE[self.__name__] + '.')


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


def _read_as_then(gfile: types.ModuleType) -> types.ModuleType:
    """A `gfile` whose text mode gives the bytes of what is no text, as Python 2 did."""

    class GFile(gfile.GFile):  # type: ignore[name-defined]
        def _prepare_value(self, value):
            try:
                return super()._prepare_value(value)
            except UnicodeDecodeError:
                self._binary_mode = True  # what comes next may look like text, and is none
                return super()._prepare_value(value)

    GFile.__doc__ = gfile.GFile.__doc__
    return ModuleProxy(gfile, {name: lambda: GFile for name in ('GFile', 'FastGFile', 'Open')})


_FACES: dict[str, Callable[[], types.ModuleType | None]] = {
    'tensorflow': _tensorflow,
    'tensorflow.nn': _nn,
    'tensorflow.layers': lambda: _keras('.__internal__.legacy.layers'),
    'tensorflow.keras': lambda: ModuleProxy(_keras(), {'__version__': lambda: '2.2.4-tf'}),
    'tensorflow.gfile': lambda: _read_as_then(v1.gfile),
    'tensorflow.version': lambda: ModuleProxy(v1.version, {'VERSION': lambda: VERSION}),
    'tensorflow.compat': lambda: ModuleProxy(
        v1.compat, {'v1': lambda: resolve_module('tensorflow')}
    ),
    'tensorflow.core': lambda: importlib.import_module('tensorflow.core'),
    'tensorflow.estimator': lambda: _Gone('tensorflow.estimator'),
    'tensorflow.python.platform.gfile': lambda: _read_as_then(
        importlib.import_module('tensorflow.python.platform.gfile')
    ),
    'tensorflow.python.ops.rnn_cell': lambda: resolve_module('tensorflow.nn.rnn_cell'),
    'tensorflow.python.keras': lambda: resolve_module('tensorflow.keras'),
    'tensorflow.python.estimator': lambda: _Gone('tensorflow.estimator'),
}

# Private module -> a name that it lost and that is not in tf.compat.v1 either -> what it is now.
_LOST: dict[str, dict[str, Callable[[], object]]] = {
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
# Where a private module's name may be today, by what was its business.
_PUBLIC = ('', 'nn', 'layers', 'train', 'math', 'image', 'graph_util', 'io', 'losses', 'metrics',
           'summary', 'saved_model', 'nn.rnn_cell')
_PLACES = {
    'tensorflow.python.training.training_ops': 'tensorflow.python.ops.gen_training_ops',
    'tensorflow.python.training.gen_training_ops': 'tensorflow.python.ops.gen_training_ops',
    'tensorflow.python.training.tracking': 'tensorflow.python.trackable',
    'tensorflow.python.training.summary_io': 'tensorflow.python.summary.summary_iterator',
    'tensorflow.python.ops.seq2seq': 'tensorflow.python.ops.rnn',
}


class _Private(ModuleProxy):
    """A private module of TensorFlow with the names that it had."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            return super().__getattr__(name)
        dotted = f'{self.__name__}.{name}'
        try:
            value = super().__getattr__(name)
        except AttributeError:
            value = self._elsewhere(name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith('tensorflow.python'):
            value = resolve_module(value.__name__) or value
        elif dotted in _FACES:
            value = resolve_module(dotted)
        self.__dict__[name] = value
        return value

    def _elsewhere(self, name: str) -> object:
        found = resolve_module(f'{self.__name__}.{name}')
        if found is not None:
            return found
        if not name.startswith('_'):
            for place in _PUBLIC:
                try:
                    holder = resolve_module('tensorflow.' + place) if place else v1
                    return getattr(holder, name)
                except (AttributeError, ImportError):
                    pass
        raise AttributeError(
            f'module {self.__name__!r} of TensorFlow {tensorflow.__version__} has no {name!r}')


def _private(dotted: str) -> types.ModuleType | None:
    place = _PLACES.get(dotted, dotted)
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if not error.name or not place.startswith(error.name):
            raise
        return None
    return _Private(module, _LOST.get(dotted, {}), name=dotted)


def _contrib(dotted: str) -> types.ModuleType | None:
    from inception_slim.legacy import contrib
    make = contrib.modules().get(dotted)
    if make is not None:
        return make()
    if dotted == 'tensorflow.contrib':
        return None
    parent, _, child = dotted.rpartition('.')
    found = getattr(resolve_module(parent), child)  # raises a sentence if that is gone
    return found if isinstance(found, types.ModuleType) else None


def _find(dotted: str) -> types.ModuleType | None:
    if dotted in _FACES:
        return _FACES[dotted]()
    if (dotted + '.').startswith('tensorflow.contrib.'):
        return _contrib(dotted)
    for gone, sentence in GONE.items():
        if (dotted + '.').startswith(gone + '.'):
            raise ModuleNotFoundError(sentence + '.', name=dotted)
    if (dotted + '.').startswith('tensorflow.python.keras.'):
        return resolve_module(dotted.replace('tensorflow.python.keras', 'tensorflow.keras'))
    if (dotted + '.').startswith('tensorflow.python.'):
        return _private(dotted)
    parent, _, child = dotted.rpartition('.')
    holder = resolve_module(parent)
    found = getattr(holder, child, None) if holder is not None else None
    if isinstance(found, types.ModuleType):
        return found
    for name in (f'tf_keras.src{dotted[len("tensorflow.keras"):]}'
                 if dotted.startswith('tensorflow.keras.') else dotted,):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not error.name or not name.startswith(error.name):
                raise
    return None


_made: dict[str, types.ModuleType | None] = {}


def resolve_module(dotted: str) -> types.ModuleType | None:
    """The module that a script should have by a dotted name that begins with `tensorflow`.

    Returns:
      The module, or None where TensorFlow 1 had none of that name.

    Raises:
      ImportError: it had one, and nothing stands behind it today; a sentence says what to do.
    """
    if dotted not in _made:
        _made[dotted] = _find(dotted)
    return _made[dotted]


def clear_cache() -> None:
    """Forgets the modules that were made, and what scripts have set in them."""
    _made.clear()


served_library: set[str] = set()


def research_slim_module(name: str) -> types.ModuleType | None:
    """The module that stands for one of the model library's, such as `nets.inception_v3`."""
    from inception_slim.legacy import research_slim
    path = research_slim.modules().get(name)
    if path is None:
        return None
    module = importlib.import_module(path)
    served_library.add(name)
    return module
