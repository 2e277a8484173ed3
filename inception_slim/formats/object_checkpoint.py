"""Checkpoints of TensorFlow 2, `tf.train.Checkpoint`, by themselves or in a SavedModel.

They name tensors by the attributes of objects that lead to a variable, and record the variable's
own name beside it: TF-Slim's, or `conv2d_7/kernel` of a Keras model.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
import re

from inception_slim.checkpoint import ImportedWeights, LazyTensor, wrap_read_errors
from inception_slim.checkpoint.naming import is_model_tensor
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.errors import CheckpointError
from inception_slim.formats.keras_head import Layer
from inception_slim.formats.keras_weights import build_imported_weights
import numpy as np

_KERAS_PARAMETERS = frozenset(('kernel', 'bias', 'gamma', 'beta', 'moving_mean',
                               'moving_variance'))


def open_weights(file: TFCheckpoint) -> ImportedWeights | None:
    """Returns the network in a checkpoint of `tf.train.Checkpoint`; None if there is none."""
    with wrap_read_errors(file.prefix):
        weights = slim_weights(file, file.prefix, 'TensorFlow 2 checkpoint')
        if weights is None and (layers := keras_layers(file)):
            weights = build_imported_weights(
                file.prefix, 'TensorFlow 2 checkpoint of Keras', layers, None)
    return weights


def slim_weights(file: TFCheckpoint, path: str, version: str) -> ImportedWeights | None:
    """Returns the variables with TF-Slim's names; None if there are none.

    Args:
      file: a checkpoint.
      path: the file that it is a part of, for messages.
      version: the kind of that file.
    """
    tensors = {name: _tensor(file, name, keys) for name, keys in _variables(file).items()
               if is_model_tensor(name)}
    return ImportedWeights(path, version, 'TF-Slim', tensors) if tensors else None


def keras_layers(file: TFCheckpoint) -> dict[str, Layer]:
    """Returns the layers of a Keras model by name; empty if there is no convolution."""
    # Optimizers name their variables after the model's, such as `Adam/m/conv2d/kernel`: the
    # shortest name is the model's.
    variables = _variables(file)
    layers: dict[str, Layer] = {}
    for name in sorted(variables, key=lambda name: (name.count('/'), name)):
        if (parsed := layer_parameter(name)) and file.dtypes[variables[name][0]].is_floating:
            layer, parameter = parsed
            values = layers.setdefault(layer, Layer(layer, {})).values
            if parameter not in values:
                values[parameter] = _tensor(file, name, variables[name])
    has_convolution = any(len(layer.values['kernel'].shape) == 4 for layer in layers.values()
                          if 'kernel' in layer.values)
    return layers if has_convolution else {}


def layer_parameter(name: str) -> tuple[str, str] | None:
    """The layer and the parameter of a Keras variable; None if the name is of another variable.

    Example:
      >>> from inception_slim.formats.object_checkpoint import layer_parameter
      >>> layer_parameter('inception_v3/conv2d_7/kernel:0')
      ('conv2d_7', 'kernel')
    """
    parts = re.sub(r':0$', '', name).split('/')
    return (parts[-2], parts[-1]) if len(parts) > 1 and parts[-1] in _KERAS_PARAMETERS else None


def _variables(file: TFCheckpoint) -> dict[str, tuple[str, ...]]:
    """The tensors of each variable, by its name."""
    return file.object_names or {name: (name,) for name in file.shapes}


def _tensor(file: TFCheckpoint, name: str, keys: tuple[str, ...]) -> LazyTensor:
    if len({tuple(file.shapes[key]) for key in keys}) > 1:
        raise _same_name_error(file, name)
    return LazyTensor(tuple(file.shapes[keys[0]]), np.dtype(np.float32),
                      partial(_read, file, name, keys))


def _read(file: TFCheckpoint, name: str, keys: Iterable[str]) -> np.ndarray:
    """Reads a variable; Keras 3 exports each one twice."""
    value, *others = map(file.read, keys)
    if not all(np.array_equal(value, other, equal_nan=True) for other in others):
        raise _same_name_error(file, name)
    return np.asarray(value, np.float32)


def _same_name_error(file: TFCheckpoint, name: str) -> CheckpointError:
    return CheckpointError(f'{file.prefix} has several variables with the name {name}, in models '
                           'inside each other; rename one of the layers and save it again.')
