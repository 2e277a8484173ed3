"""How a Keras model scales images in layers before its base network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inception_slim.errors import CheckpointError
from inception_slim.formats.keras_head import NEUTRAL_LAYERS, LayerConfig
import numpy as np

# By the names of Keras 3's operations, and of TensorFlow's in tf-keras's TFOpLambda.
_OPERATIONS = {'truedivide': 'div', 'truediv': 'div', 'divide': 'div', 'subtract': 'sub',
               'multiply': 'mul', 'add': 'add', 'cast': 'cast'}
_LARGEST_OF_BYTES = 1.5  # no larger factor is applied to values up to 255


def input_scaling(path: str, configs: Iterable[LayerConfig],
                  ) -> tuple[tuple[np.ndarray, np.ndarray] | None, list[str]]:
    """Reads the layers before the first convolution.

    Args:
      path: the file, for messages.
      configs: the layers in order.

    Returns:
      The scaling as in `ImportedWeights.input_scaling`, and notes.

    Raises:
      CheckpointError: a layer does something else than scaling, or it is not known what.
    """
    scale, offset = np.ones(3), np.zeros(3)
    notes, is_scaled = [], False
    for config in configs:
        if config.kind == 'Conv2D':
            break
        if config.kind in NEUTRAL_LAYERS or config.kind.startswith('Random'):
            continue  # distortions of the training among them
        if config.kind == 'Resizing':
            notes.append(f'The layer {config.name} resizes images; this package resizes them as '
                         'TF-Slim does.')
            continue
        factor, shift = _step(path, config)
        scale, offset = scale * factor, offset * factor + shift
        is_scaled = True
    if not is_scaled:
        return None, notes
    half = 127.5
    if abs(scale).max() > _LARGEST_OF_BYTES:
        half = 0.5
        notes.append('Its layers scale images of values in [0, 1].')
    scaling = (half * scale, half * scale + offset)
    # None for layers that give [-1, 1].
    return (None if np.allclose(scaling, [[1] * 3, [0] * 3], atol=1e-6) else scaling), notes


def _step(path: str, config: LayerConfig) -> tuple[np.ndarray | float, np.ndarray | float]:
    """The factor of a layer, and what it adds to the product."""
    options = config.options
    if config.kind == 'Rescaling':
        return _channels(options.get('scale', 1)), _channels(options.get('offset', 0))
    if config.kind == 'Normalization':
        mean, variance = options.get('mean'), options.get('variance')
        if mean is None or variance is None or options.get('invert'):
            raise CheckpointError(f'{path} has a Normalization layer with learned statistics, '
                                  'which is not supported; remove it and normalize the images.')
        factor = 1 / np.maximum(np.sqrt(_channels(variance)), 1e-7)  # Keras's epsilon
        return factor, -_channels(mean) * factor
    name = config.kind.rsplit('>')[-1]
    if name == 'TFOpLambda':
        name = str(options.get('function')).rsplit('.', 1)[-1]
    operation = _OPERATIONS.get(name.lower())
    value, is_first = _operand(options.get('inbound_nodes'))
    if operation == 'cast':
        return 1.0, 0.0
    if operation == 'mul' and value is not None:
        return value, 0.0
    if operation == 'add' and value is not None:
        return 1.0, value
    if operation == 'sub' and value is not None:
        return (-1.0, value) if is_first else (1.0, -value)
    if operation == 'div' and value is not None and value.all() and not is_first:
        return 1 / value, 0.0
    advice = ('give what model.export writes, whose graph is read' if name == 'Lambda'
              else 'save the model without it')
    raise CheckpointError(f'{path} has the layer {config.name} ({config.kind}) before the network, '
                          f'which is not supported; {advice}.')


def _channels(value: Any) -> np.ndarray:
    return np.broadcast_to(np.ravel(np.asarray(value, np.float64)), (3,))


def _is_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_numbers, value))
    return isinstance(value, (int, float))


def _operand(inbound: Any) -> tuple[np.ndarray | None, bool]:
    """The constant operand of an operation, and whether it is the first one."""
    node = inbound[0] if isinstance(inbound, list) and inbound else None
    values: list[Any] = []
    if isinstance(node, dict):  # Keras 3
        values = [*node.get('args', ()), *(value for key, value in node.get('kwargs', {}).items()
                                           if key in ('x1', 'x2'))]
    elif isinstance(node, list) and len(node) == 4:  # tf-keras
        is_constant = node[0] == '_CONSTANT_VALUE'
        values = [node[2] if is_constant else None,
                  node[3].get('y') if isinstance(node[3], dict) else None]
    for position, value in enumerate(values):
        if isinstance(value, dict) and value.get('class_name') in ('__numpy__', '__tensor__'):
            value = value['config']['value']
        if _is_numbers(value) and np.size(value) in (1, 3):
            return _channels(value), position == 0
    return None, False
