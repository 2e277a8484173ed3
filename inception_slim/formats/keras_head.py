"""Reads the layers of a Keras model after its base network as a `Head`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import functools
from typing import Any

from inception_slim.checkpoint import LazyTensor
from inception_slim.checkpoint.head import OUTPUT_ACTIVATIONS, SLIM_HEAD, Head
from inception_slim.formats.lazy_tensors import as_convolution, transform
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

GRID = 8  # side of the features before they are pooled
_POOLS = {'GlobalAveragePooling2D': 'average', 'AveragePooling2D': 'average',
          'GlobalMaxPooling2D': 'max', 'MaxPooling2D': 'max', 'Flatten': 'flatten'}
ACTIVATIONS = ('Activation', 'ReLU', 'Softmax', 'ELU', 'LeakyReLU', 'PReLU')
# Layers that do nothing at inference.
NEUTRAL_LAYERS = frozenset((
    'ActivityRegularization', 'AlphaDropout', 'Dropout', 'GaussianDropout', 'GaussianNoise',
    'InputLayer', 'SpatialDropout2D'))


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
      name: its name.
      values: its weights by Keras's names, such as 'kernel'.
    """

    name: str
    values: dict[str, LazyTensor]


@dataclass(frozen=True)
class LayerConfig:
    """An entry of a model's configuration."""

    kind: str  # the class
    name: str
    options: Mapping[str, Any]

    @property
    def activation(self) -> str:
        """The activation of a layer: of a dense layer, or of a layer that is nothing else."""
        if self.kind == 'ReLU':
            changed = [name for name in ('max_value', 'negative_slope', 'threshold')
                       if self.options.get(name)]
            return f'relu with {changed[0]}' if changed else 'relu'
        if self.kind in ACTIVATIONS and self.kind != 'Activation':
            return self.kind.lower()
        activation = self.options.get('activation')
        if isinstance(activation, dict):
            activation = activation.get('config', activation)
        return 'linear' if activation is None else str(activation)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The layers that it takes its inputs from, as Keras 2 or Keras 3 records them."""
        return tuple(_inbound_names(self.options.get('inbound_nodes')))


def _inbound_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        history = node.get('keras_history')
        if isinstance(history, list) and history and isinstance(history[0], str):
            yield history[0]
        else:
            for value in node.values():
                yield from _inbound_names(value)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            yield node[0]
        else:
            for value in node:
                yield from _inbound_names(value)


@dataclass
class _Part:
    """Dense layers and batch norms without an activation between them, which are one dense layer.

    Attributes:
      layers: with their configurations; None for a file without one.
      activation: after the last one.
    """

    layers: list[tuple[Layer, LayerConfig | None]] = field(default_factory=list)
    activation: str = 'linear'


class _UnsupportedHeadError(Exception):
    """The layers after the base network cannot be mapped; the message says which, and why."""


def add_head(network: registry.Network, channels: int, left: Mapping[str, Layer],
             base_names: set[str], configs: Sequence[LayerConfig],
             tensors: dict[str, LazyTensor]) -> tuple[Head, list[str]]:
    """Adds the dense layers of a head to `tensors`; returns the head and notes.

    Args:
      network: the network.
      channels: of its last grid.
      left: the layers with weights that are not part of the base network.
      base_names: the names of the others.
      configs: the configuration; may be empty.
      tensors: the variables of the base network.
    """
    if not left:
        return SLIM_HEAD, ['There is no classifier; only the base network is read.']
    try:
        pool, parts = _parts(left, base_names, configs)
        layers = _dense_layers(parts, channels, pool)
    except _UnsupportedHeadError as reasons:
        return SLIM_HEAD, [f'The layers after the base network cannot all be mapped: {reasons}. '
                           'Only the base network is read.']
    notes = []
    if not configs:
        notes.append('A file of weights does not record the pooling before the classifier and its '
                     'activation; average pooling and a softmax are assumed, as in '
                     'keras.applications.')
    activation = parts[-1].activation
    if layers[-1][1].shape == (1,):
        notes.append('The classifier has one output'
                     + (', whose sigmoid is the probability of class 1.' if activation == 'sigmoid'
                        else ', taken as the logit of class 1.')
                     + ' It is read as two classes: 0, the complement, and 1.')
        # With 0 as the logit of class 0, the softmax of both is the sigmoid of the output, exactly.
        kernel, biases = layers[-1]
        layers[-1] = (transform(kernel, (kernel.shape[0], 2), _with_class_0),
                      transform(biases, (2,), _with_class_0))
        activation = 'softmax'
    head = Head(pool, len(layers) - 1, activation)
    if not network.has_dense_classifier:
        layers[-1] = as_convolution(layers[-1][0]), layers[-1][1]
    for name, values in zip((*head.hidden_layers, network.classifier), layers):
        tensors.update(zip((f'{name}/weights', f'{name}/biases'), values))
    return head, notes


def _with_class_0(value: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(value), value], axis=-1)


def _parts(left: Mapping[str, Layer], base_names: set[str],
           configs: Sequence[LayerConfig]) -> tuple[str, list[_Part]]:
    """How the last grid is pooled, and the layers after it.

    Raises:
      _UnsupportedHeadError: layers cannot be mapped.
    """
    if not configs:
        dense = [layer for layer in left.values() if set(layer.values) <= {'kernel', 'bias'}]
        if len(left) > 1 or not dense:
            raise _UnsupportedHeadError(
                f'there are the layers {", ".join(sorted(left))}, and a file of weights does not '
                'record their activations')
        return 'average', [_Part([(dense[0], None)], 'softmax')]
    last_of_base = max(position for position, config in enumerate(configs)
                       if config.name in base_names)
    pool, before = '', ''
    parts, problems = [_Part()], []
    names = {config.name for config in configs}
    remaining = set(left)
    for config in configs[last_of_base + 1:]:
        problem, part = '', parts[-1]
        remaining.discard(config.name)
        inputs = [name for name in config.inputs if name in names]  # not those of nested models
        if pool and inputs and inputs != [before]:
            problem = f'takes {" and ".join(inputs)} instead of {before}'
        if not pool and config.kind in _POOLS:
            pool = _POOLS[config.kind]
            if 'pool_size' in config.options and set(pair(config.options['pool_size'])) != {GRID}:
                problem = f'does not pool the whole grid of {GRID}×{GRID}'
            elif config.options.get('data_format') == 'channels_first':
                problem = 'has channels first'
            elif pool == 'max' and part.layers:
                problem = f'takes the maximum of {part.layers[-1][0].name}'
        elif config.kind == 'BatchNormalization' and config.name in left:
            part.layers.append((left[config.name], config))
            axis = config.options.get('axis', -1)
            if axis not in ((-1, [-1], 1, [1]) if pool else (-1, [-1], 3, [3])):
                problem = f'normalizes the axis {axis}'
        elif not pool and (config.kind == 'Concatenate' or config.kind in ACTIVATIONS
                           and config.activation in ('relu', 'linear') and not part.layers):
            continue  # the rest of the base network
        elif pool and config.kind == 'Dense' and config.name in left:
            part.layers.append((left[config.name], config))
        elif config.kind in NEUTRAL_LAYERS or pool and config.kind == 'Flatten':
            pass
        elif not (pool and (config.kind in ACTIVATIONS or config.kind == 'Reshape'
                            and len(config.options.get('target_shape', ())) == 1)):
            problem = 'is not supported here'
            if config.kind == 'Activation':
                problem = f'has the activation {config.activation}, which {problem}'
        if pool and config.kind in (*ACTIVATIONS, 'Dense') and config.activation != 'linear':
            part.activation = config.activation
            if config.activation not in ('relu', *OUTPUT_ACTIVATIONS):
                problem = problem or f'has the activation {config.activation}'
            if not any('kernel' in layer.values for layer, _ in part.layers):
                problem = problem or f'applies {config.activation} to no dense layer'
            parts.append(_Part())
        if problem:
            problems.append(f'{config.name} ({config.kind}) {problem}')
        before = config.name
    if len(parts) > 1 and not parts[-1].layers:
        parts.pop()
    problems += [f'{part.layers[-1][0].name} is followed by {part.activation} before other layers'
                 for part in parts[:-1] if part.activation in OUTPUT_ACTIVATIONS]
    problems += [f'{name} is not after the base network' for name in sorted(remaining)]
    if not problems and not any('kernel' in layer.values for layer, _ in parts[-1].layers):
        problems.append('there is no dense layer at their end')
    if not problems and parts[-1].activation not in OUTPUT_ACTIVATIONS:
        problems.append(f'the activation of the last one is {parts[-1].activation}')
    if problems:
        raise _UnsupportedHeadError('; '.join(problems))
    return pool, parts


def pair(sides: Any) -> tuple[int, ...]:
    """Both sides of a size that Keras records as one number or two."""
    return tuple(sides) if isinstance(sides, (list, tuple)) else (sides, sides)


def _dense_layers(parts: Sequence[_Part], channels: int,
                  pool: str) -> list[tuple[LazyTensor, LazyTensor]]:
    """The weights and biases of one dense layer for each part."""
    result = []
    grid = GRID ** 2 if pool == 'flatten' else 1
    size = channels * grid
    for part in parts:
        load = functools.partial(_compose, part.layers, size, grid)
        first = size
        for layer, _ in part.layers:
            kernel = layer.values.get('kernel', layer.values.get('moving_variance'))
            if kernel is None or kernel.shape[0] != size and kernel.shape != (size // grid,):
                raise _UnsupportedHeadError(f'{layer.name} has the shape '
                                            f'{list(kernel.shape) if kernel else []} and takes '
                                            f'{size} values')
            if 'kernel' in layer.values:
                size, grid = kernel.shape[1], 1
        if size == 1 and part is parts[-1] and part.activation == 'softmax':
            raise _UnsupportedHeadError(f'{part.layers[-1][0].name} has one output with a softmax, '
                                        'which is always 1')
        result.append((
            LazyTensor((first, size), np.dtype(np.float32), functools.partial(_item, load, 0)),
            LazyTensor((size,), np.dtype(np.float32), functools.partial(_item, load, 1))))
    return result


def _item(load: Callable[[], tuple[np.ndarray, np.ndarray]], index: int) -> np.ndarray:
    return load()[index]


def _compose(layers: Sequence[tuple[Layer, LayerConfig | None]], size: int,
             grid: int) -> tuple[np.ndarray, np.ndarray]:
    """The weights and biases of one dense layer that equals these layers.

    Args:
      layers: dense layers and batch norms.
      size: the number of values that they take.
      grid: the number of positions of the grid that they take, which Keras flattens by position
        and this package by channel; 1 if it was pooled.
    """
    kernel: np.ndarray | None = None
    scale: np.ndarray | float = 1.0  # of the values before the first kernel
    biases: np.ndarray | float = 0.0
    for layer, config in layers:
        values = {name: tensor.load() for name, tensor in layer.values.items()}
        if 'moving_variance' in values:
            epsilon = BATCH_NORM_EPSILON if config is None else config.options.get(
                'epsilon', BATCH_NORM_EPSILON)
            factor = values.get('gamma', 1) / np.sqrt(
                values['moving_variance'].astype(np.float64) + epsilon)
            shift = values.get('beta', 0) - values['moving_mean'] * factor
            if kernel is None and len(factor) != size:  # before the grid is flattened
                factor, shift = (np.tile(value, grid) for value in (factor, shift))
            biases = biases * factor + shift
            if kernel is None:
                scale = scale * factor
            else:
                kernel = kernel * factor
            continue
        value = values['kernel']
        biases = (biases @ value if np.ndim(biases) else 0) + values.get('bias', 0)
        if kernel is not None:
            kernel = kernel.astype(np.float64) @ value
        else:
            kernel = np.reshape(scale, (-1, 1)) * value if np.ndim(scale) else value
    assert kernel is not None
    if grid > 1:
        kernel = kernel.reshape(grid, -1, kernel.shape[1]).swapaxes(0, 1)
    return kernel.reshape(size, -1).astype(np.float32), np.broadcast_to(
        biases, kernel.shape[-1:]).astype(np.float32)
