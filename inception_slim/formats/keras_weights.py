"""Maps the layers of a Keras model with an Inception network to TF-Slim's variables.

The input is the named layers of any file and, if the file has one, the configuration of the model,
which describes the layers before and after the base network. The base network is that of
keras.applications, which numbers its unnamed layers in the order in which TF-Slim builds them, or
one exported by this package, whose layers have TF-Slim's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import re
from typing import Any

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.other_networks import describe_other_network
from inception_slim.errors import CheckpointError
from inception_slim.formats.lazy_tensors import as_convolution, epsilon_note, shift_epsilon
from inception_slim.formats.name_maps import base_layers, is_residual_projection
from inception_slim.formats.structure import Node, check_structure
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

_PARAMETERS = {'kernel': 'weights', 'bias': 'biases', 'gamma': 'BatchNorm/gamma',
               'beta': 'BatchNorm/beta', 'moving_mean': 'BatchNorm/moving_mean',
               'moving_variance': 'BatchNorm/moving_variance'}
_REPEATS = {'35': 'Repeat', '17': 'Repeat_1', '8': 'Repeat_2'}
# Layers that may follow the last one with weights of the base network without changing predictions:
# the rest of that network, and layers that do nothing at inference.
_NEUTRAL_LAYERS = frozenset((
    'Concatenate', 'Add', 'ReLU', 'CustomScaleLayer', 'Lambda', 'Rescaling', 'Dropout', 'Flatten',
    'Reshape', 'Activation', 'Softmax', 'InputLayer', 'SpatialDropout2D', 'GaussianNoise'))
_GRID = 8  # side of the features before the average
# The last convolution of each branch of Inception V3's last block: their channels are the features.
_V3_FEATURES = ('Branch_0/Conv2d_0a_1x1', 'Branch_1/Conv2d_0b_1x3', 'Branch_1/Conv2d_0c_3x1',
                'Branch_2/Conv2d_0c_1x3', 'Branch_2/Conv2d_0d_3x1', 'Branch_3/Conv2d_0b_1x1')

_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2D', 'SeparableConv2D')
_POOLS = {'MaxPooling2D': 'max', 'AveragePooling2D': 'avg'}
_KINDS = {'Add': 'add', 'Dropout': 'identity', 'GaussianNoise': 'identity',
          'GlobalAveragePooling2D': 'mean', 'SpatialDropout2D': 'identity'}
_LAYOUTS = {'channels_last': 'NHWC', 'channels_first': 'NCHW'}

# Layers of the base network by TF-Slim's names: a convolution, and its batch norm if it has one.
BaseLayers = dict[str, tuple['Layer', ...]]


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
class _LayerConfig:
    """An entry of a model's configuration."""

    kind: str  # the class
    name: str
    options: Mapping[str, Any]


class _UnsupportedHeadError(Exception):
    """The layers after the base network are not TF-Slim's classifier; the message says why."""


def iter_layer_configs(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterates over the layers of a configuration in order; nested models are flattened.

    Yields:
      The class and the configuration of each layer; the latter has its `name`.
    """
    inner = config.get('config', {}) if isinstance(config, dict) else {}
    layers = inner.get('layers', []) if isinstance(inner, dict) else inner
    for layer in layers if isinstance(layers, list) else []:
        if not isinstance(layer, dict) or not isinstance(layer.get('config'), dict):
            continue
        if 'layers' in layer['config']:
            yield from iter_layer_configs(layer)
        else:
            yield str(layer.get('class_name')), {
                'name': layer.get('name'), 'inbound_nodes': layer.get('inbound_nodes'),
                **layer['config']}


def build_imported_weights(path: str, version: str, layers: Mapping[str, Layer], config: Any,
                           holding: Any = None) -> ImportedWeights:
    """Maps a Keras model to TF-Slim's variables.

    Args:
      path: the file, for messages.
      version: the kind of file, for messages.
      layers: the layers with weights, by name.
      config: the configuration of the model, or None.
      holding: see `ImportedWeights`.
    """
    configs = [_LayerConfig(kind, str(options['name']), options)
               for kind, options in iter_layer_configs(config)]
    own = _match_own_names(layers)
    network, base = own or _match_facenet(layers) or _match_keras_applications(path, layers)
    tensors, notes = _base_tensors(path, network.name, base, configs)
    pooling = _pooling(configs)
    check_structure(path, network, pooling, _structure(configs),
                    {layer: pair[0].name for layer, pair in base.items() if pair})
    base_names = {layer.name for pair in base.values() for layer in pair}
    left = {name: layer for name, layer in layers.items() if name not in base_names}
    if not network.has_embedding:
        notes += _add_classifier(network, left, base_names, configs, tensors)
    elif left:
        notes.append(f'{len(left)} layers do not belong to the network and are left out, such as '
                     f'{", ".join(sorted(left)[:3])}.')
    naming = 'facenet_keras' if network.has_embedding else 'keras.applications'
    return ImportedWeights(
        path, version, "Keras, TF-Slim's" if own else naming,
        {f'{network.scope}/{name}': tensor for name, tensor in tensors.items()},
        pooling=pooling, input_scaling=_input_scaling(path, configs),
        notes=tuple(notes), holding=holding)


def _match_own_names(layers: Mapping[str, Layer]) -> tuple[registry.Network, BaseLayers] | None:
    """Finds the layers of a model that this package exported."""
    for network in ('inception_v3', 'inception_resnet_v2'):
        keras_names = {name: name.replace('/', '_') for name in base_layers(network)}
        if all(name in layers for name in keras_names.values()):
            return registry.NETWORKS[network], {
                name: _present(layers, keras_name, f'{keras_name}_BatchNorm')
                for name, keras_name in keras_names.items()}
    return None


def _match_facenet(layers: Mapping[str, Layer]) -> tuple[registry.Network, BaseLayers] | None:
    """Finds the layers of FaceNet's network in Keras (facenet_keras, deepface)."""
    network = registry.NETWORKS['inception_resnet_v1']
    # The stacks of blocks have no scope, and the last block is the sixth of its kind.
    keras_names = {name: re.sub(r'^(?:Repeat\w*/b|B)lock(8(?=/)|\d+_\d+)', lambda match: 'Block' + (
        '8_6' if match[1] == '8' else match[1]), name).replace('/', '_')
        for name in base_layers(network.name)}
    # deepface numbers the second branch of some blocks like the block.
    by_name = {re.sub(r'^(Block(?:17|8)_(\d+)_Branch_)\2(?=_Conv2d_0)', r'\g<1>1', name): layer
               for name, layer in layers.items()}
    if not all(name in by_name for name in keras_names.values()):
        return None
    return network, {name: _present(by_name, keras_name, f'{keras_name}_BatchNorm')
                     for name, keras_name in keras_names.items()}


def _match_keras_applications(path: str, layers: Mapping[str, Layer],
                              ) -> tuple[registry.Network, BaseLayers]:
    """Finds the layers of a model of keras.applications by their numbers."""
    convolutions, norms = (_numbered(layers, kind) for kind in ('conv2d', 'batch_normalization'))
    residual = all(name in layers for name in ('block35_1_conv', 'block8_10_conv', 'conv_7b'))
    network = registry.NETWORKS['inception_resnet_v2' if residual else 'inception_v3']
    unnamed = [name for name in base_layers(network.name)
               if name != 'Conv2d_7b_1x1' and not is_residual_projection(name)]
    if len(convolutions) < len(unnamed) or len(norms) < len(unnamed):
        other = describe_other_network(layers)
        if other:
            raise CheckpointError(f'{path} is a file of {other}')
        raise CheckpointError(
            f'{path} is not an Inception V3 or Inception-ResNet V2 of keras.applications: it has '
            f'{len(convolutions)} numbered convolutions and {len(norms)} batch norms instead of '
            f'{len(unnamed)} of each.')
    base: BaseLayers = {name: (convolution, norm)
                        for name, convolution, norm in zip(unnamed, convolutions, norms)}
    if residual:
        base['Conv2d_7b_1x1'] = _present(layers, 'conv_7b', 'conv_7b_bn')
        for name in layers:
            match = re.fullmatch(r'block(35|17|8)_(\d+)_conv', name)
            if match:
                scope = f'{_REPEATS[match[1]]}/block{match[1]}_{match[2]}'
                if name == 'block8_10_conv':
                    scope = 'Block8'
                base[f'{scope}/Conv2d_1x1'] = (layers[name],)
    return network, base


def _present(layers: Mapping[str, Layer], *names: str) -> tuple[Layer, ...]:
    return tuple(layers[name] for name in names if name in layers)


def _numbered(layers: Mapping[str, Layer], kind: str) -> list[Layer]:
    """The layers called `kind`, `kind_1`, ... in the order of their numbers."""
    numbers = {name: int(match[1] or 0) for name in layers
               if (match := re.fullmatch(rf'{kind}(?:_(\d+))?', name))}
    return [layers[name] for name in sorted(numbers, key=numbers.__getitem__)]


def _base_tensors(path: str, network: str, base: BaseLayers, configs: list[_LayerConfig],
                  ) -> tuple[dict[str, LazyTensor], list[str]]:
    """The variables of the base network, and notes."""
    tensors: dict[str, LazyTensor] = {}
    by_name = {config.name: config for config in configs}
    other_epsilons = set()
    for name in base_layers(network):
        for layer in base.get(name, ()):
            config = by_name.get(layer.name)
            epsilon = config.options.get('epsilon', BATCH_NORM_EPSILON) if config else (
                BATCH_NORM_EPSILON)
            for parameter, tensor in layer.values.items():
                if parameter == 'moving_variance' and epsilon != BATCH_NORM_EPSILON:
                    tensor = shift_epsilon(tensor, float(epsilon))
                    other_epsilons.add(float(epsilon))
                if parameter in _PARAMETERS:
                    tensors[f'{name}/{_PARAMETERS[parameter]}'] = tensor
        _check_kernel_size(path, name, tensors)
    return tensors, [epsilon_note(epsilon) for epsilon in sorted(other_epsilons)]


def _check_kernel_size(path: str, name: str, tensors: Mapping[str, LazyTensor]) -> None:
    """Checks a kernel against the size in its layer's name, to detect another order of layers."""
    tensor = tensors.get(f'{name}/weights')
    sizes = re.findall(r'\d+x\d+', name)
    if not sizes:
        return  # a dense layer
    size = tuple(int(side) for side in sizes[-1].split('x'))
    if name.startswith('Mixed_6a/') and name.endswith('1a_1x1'):
        size = (3, 3)  # misnamed in TF-Slim
    if tensor is None or tensor.shape[:2] != size:
        actual = 'no kernel' if tensor is None else f'a kernel {list(tensor.shape)}'
        raise CheckpointError(f'{path} has {actual} for {name}, which needs {size[0]}×{size[1]}; '
                              'its layers are not those of keras.applications in their order.')


def _structure(configs: list[_LayerConfig]) -> dict[str, Node]:
    """The layers of a configuration for `check_structure`."""
    return {config.name: _structure_node(config) for config in configs}


def _structure_node(config: _LayerConfig) -> Node:
    options = config.options
    inputs = tuple(_inbound_names(options.get('inbound_nodes')))
    layout = _LAYOUTS.get(str(options.get('data_format')), '')
    kind = config.kind.rsplit('>')[-1]  # a registered class has its package before its name
    if config.kind in _CONVOLUTIONS and {'kernel_size', 'strides', 'padding'} <= set(options):
        return Node('conv', inputs, strides=_pair(options['strides']),
                    dilations=_pair(options.get('dilation_rate', 1)),
                    padding=str(options['padding']).upper(), layout=layout,
                    groups=options.get('groups', 1), function=str(_activation(config) or 'linear'))
    if config.kind in _POOLS:
        window = options.get('pool_size', 2)
        return Node(_POOLS[config.kind], inputs, _pair(window),
                    _pair(options.get('strides') or window), layout=layout,
                    padding=str(options.get('padding', 'valid')).upper())
    if config.kind == 'ReLU':
        changed = [name for name in ('max_value', 'negative_slope', 'threshold')
                   if options.get(name)]
        return Node('activation', inputs, function='relu with ' + changed[0] if changed else 'relu')
    if config.kind == 'Activation' and _activation(config) == 'linear':
        return Node('identity', inputs)
    if config.kind in ('Activation', 'ELU', 'LeakyReLU', 'PReLU', 'Softmax'):
        function = _activation(config) if config.kind == 'Activation' else config.kind
        return Node('activation', inputs, function=str(function))
    if config.kind in ('BatchNormalization', 'Concatenate'):
        axis = options.get('axis', -1)
        axis = axis[0] if isinstance(axis, list) and axis else axis
        return Node('norm' if config.kind == 'BatchNormalization' else 'concat', inputs,
                    axis=axis if isinstance(axis, int) else None)
    if config.kind == 'InputLayer':
        shape = options.get('batch_shape') or options.get('batch_input_shape') or [None]
        sides = tuple(side for side in shape[1:] if isinstance(side, int) and side > 3)
        return Node('input', window=sides if len(sides) == 2 else (1, 1))
    if config.kind == 'ZeroPadding2D':
        rows, columns = (_pair(sides) for sides in _pair(options.get('padding', 1)))
        return Node('pad', inputs, padding=(*rows, *columns))
    # keras.applications adds the scaled branch in a layer of its own.
    scale = options.get('scale', (options.get('arguments') or {}).get('scale'))
    if isinstance(scale, (int, float)):
        if config.kind == 'Rescaling' and not options.get('offset'):
            return Node('scale', inputs, factor=float(scale))
        if kind in ('CustomScaleLayer', 'Lambda') and len(inputs) == 2:
            return Node('add', inputs, factor=float(scale))
    return Node(_KINDS.get(config.kind, 'other'), inputs, function=config.kind)


def _inbound_names(node: Any) -> Iterator[str]:
    """The layers that a layer takes its inputs from, as Keras 2 or Keras 3 records them."""
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


def _pair(sides: Any) -> tuple[int, ...]:
    return tuple(sides) if isinstance(sides, (list, tuple)) else (sides, sides)


def _pooling(configs: list[_LayerConfig]) -> str:
    """The pooling of a model that this package exported; keras.applications pools as TF-Slim."""
    names = [config.name for config in configs]
    if any(name.endswith('_PaddedAvgPool') for name in names):
        return 'padded'
    return '2015' if 'Mixed_7c_Branch_3_MaxPool' in names else 'average'


def _input_scaling(path: str, configs: list[_LayerConfig]) -> tuple | None:
    """The scaling by a Rescaling layer before the base network, whose input is [0, 255]."""
    for config in configs:
        if config.kind == 'Conv2D':
            break
        if config.kind == 'Rescaling':
            scale, offset = (
                np.broadcast_to(np.asarray(config.options.get(key, default), float), (3,))
                for key, default in (('scale', 1), ('offset', 0)))
            scaling = (127.5 * scale, 127.5 * scale + offset)
            # None for a scale of 1 / 127.5 and an offset of -1, which give [-1, 1].
            return None if np.allclose(scaling, [[1] * 3, [0] * 3], atol=1e-6) else scaling
        if config.kind == 'Normalization':
            raise CheckpointError(f'{path} has a Normalization layer with learned statistics, '
                                  'which is not supported; remove it and normalize the images.')
    return None


def _add_classifier(network: registry.Network, left: Mapping[str, Layer], base_names: set[str],
                    configs: list[_LayerConfig], tensors: dict[str, LazyTensor]) -> list[str]:
    """Adds the classifier to `tensors` if TF-Slim's network can have it; returns notes.

    Args:
      network: the network.
      left: the layers that are not part of the base network.
      base_names: the names of the others.
      configs: the configuration; may be empty.
      tensors: the variables of the base network.
    """
    if not left:
        return ['There is no classifier; only the base network is read.']
    try:
        dense, activation = _dense_layers(left, base_names, configs)
        two_classes = dense[-1].values['kernel'].shape[1] == 1
        if activation not in ('softmax', 'linear') and (activation, two_classes) != (
                'sigmoid', True):
            raise _UnsupportedHeadError(f'its outputs have the activation {activation}, so they '
                                        'are not the probabilities of classes of which one is '
                                        'right')
        if two_classes and activation == 'softmax' and configs:
            raise _UnsupportedHeadError('it has one output with a softmax, which is always 1')
        _add_dense(network, dense, tensors, two_classes)
    except _UnsupportedHeadError as reason:
        return [f"The layers after the base network differ from TF-Slim's: {reason}. Only the "
                'base network is read.']
    notes = []
    if not configs:
        notes.append('A file of weights does not record the pooling before the classifier; '
                     'average pooling is assumed, as in keras.applications.')
    if two_classes:
        notes.append('The classifier has one output'
                     + (', whose sigmoid is the probability of class 1.' if activation == 'sigmoid'
                        else ', taken as the logit of class 1.')
                     + ' It is read as two classes: 0, the complement, and 1.')
    return notes


def _activation(config: _LayerConfig) -> str:
    """The activation of a layer: of a dense layer, or of a layer that is nothing else."""
    if config.kind in ('Softmax', 'ReLU'):
        return config.kind.lower()
    activation = config.options.get('activation')
    if isinstance(activation, dict):
        activation = activation.get('config', activation)
    return 'linear' if activation is None else str(activation)


def _dense_layers(left: Mapping[str, Layer], base_names: set[str],
                  configs: list[_LayerConfig]) -> tuple[list[Layer], str]:
    """The dense layers after the base network, first to last, and the activation of the last.

    Raises:
      _UnsupportedHeadError: they, or other layers there, do not make a linear classifier of
        averaged features.
    """
    dense = [layer for layer in left.values()
             if 'kernel' in layer.values and len(layer.values['kernel'].shape) == 2]
    if len(dense) != len(left):
        others = sorted(set(left) - {layer.name for layer in dense})
        raise _UnsupportedHeadError(f'there is {", ".join(others[:3])}')
    if not configs:
        if len(dense) > 1:
            raise _UnsupportedHeadError(f'there are {len(dense)} dense layers, and a file of '
                                        'weights does not record their activations')
        return dense, 'softmax'
    positions = {config.name: position for position, config in enumerate(configs)}
    dense.sort(key=lambda layer: (positions.get(layer.name, len(configs)), _number(layer.name)))
    last_of_base = max(position for position, config in enumerate(configs)
                       if config.name in base_names)
    averaged, activation = False, 'linear'
    for config in configs[last_of_base + 1:]:
        if config.kind == 'Dense' or averaged and config.kind in ('Activation', 'ReLU', 'Softmax'):
            if not averaged:
                raise _UnsupportedHeadError('no average pooling comes before its dense layer')
            if activation != 'linear':
                raise _UnsupportedHeadError(f'the activation {activation} comes before '
                                            f'{config.name}')
            activation = _activation(config)
        elif averaged and config.kind in ('Rescaling', 'Lambda', 'Add', 'Concatenate'):
            raise _UnsupportedHeadError(f'there is {config.name}, a {config.kind}')
        elif config.kind == 'GlobalAveragePooling2D' or (
                config.kind == 'AveragePooling2D'
                and list(config.options.get('pool_size', ())) == [_GRID] * 2):
            averaged = True
        elif config.kind not in _NEUTRAL_LAYERS:
            raise _UnsupportedHeadError(f'there is {config.name}, a {config.kind}')
    return dense, activation


def _number(name: str) -> int:
    match = re.search(r'\d+$', name)
    return int(match[0]) if match else 0


def _add_dense(network: registry.Network, dense: list[Layer], tensors: dict[str, LazyTensor],
               two_classes: bool) -> None:
    """Adds the classifier: the product of the dense layers, which have no activations between.

    Args:
      network: the network.
      dense: the layers, first to last.
      tensors: the variables; changed.
      two_classes: there is one output, the logit of class 1. With 0 as the logit of class 0, the
        softmax of both is the sigmoid of the output, exactly.
    """
    kernels = [layer.values['kernel'] for layer in dense]
    features = tensors[f'{base_layers(network.name)[-1]}/weights'].shape[-1]
    if network.name == 'inception_v3':
        features = sum(tensors[f'Mixed_7c/{name}/weights'].shape[-1] for name in _V3_FEATURES)
    if kernels[0].shape[0] != features:
        raise _UnsupportedHeadError(f'its first dense layer has {kernels[0].shape[0]} inputs '
                                    f'instead of {features}')
    shape = (features, 2 if two_classes else kernels[-1].shape[1])

    def with_class_0(value: np.ndarray) -> np.ndarray:
        if two_classes:
            value = np.concatenate([np.zeros_like(value), value], axis=-1)
        return value.astype(np.float32)

    def weights() -> np.ndarray:
        if len(kernels) == 1:
            return with_class_0(kernels[0].load())
        return with_class_0(np.linalg.multi_dot([
            kernel.load().astype(np.float64) for kernel in kernels]))

    def biases() -> np.ndarray:
        total: np.ndarray | float = 0.0
        for layer in dense:
            total = total @ layer.values['kernel'].load() if np.ndim(total) else total
            if 'bias' in layer.values:
                total = total + layer.values['bias'].load()
        return with_class_0(np.broadcast_to(total, kernels[-1].shape[1:]))

    kernel = LazyTensor(shape, np.dtype(np.float32), weights)
    if not network.has_dense_classifier:
        kernel = as_convolution(kernel)
    tensors[f'{network.classifier}/weights'] = kernel
    tensors[f'{network.classifier}/biases'] = LazyTensor(
        shape[1:], np.dtype(np.float32), biases)
