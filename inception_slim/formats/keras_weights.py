"""Maps the layers of a Keras model with an Inception network to TF-Slim's variables.

The input is the named layers of any file and, if the file has one, the configuration of the model,
which describes the layers before and after the base network. The base network is that of
keras.applications, which numbers its unnamed layers in the order in which TF-Slim builds them, or
one exported by this package, whose layers have TF-Slim's names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
import re
from typing import Any

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.head import SLIM_HEAD
from inception_slim.checkpoint.other_networks import describe_other_network
from inception_slim.errors import CheckpointError
from inception_slim.formats.keras_head import ACTIVATIONS, Layer, LayerConfig, add_head, pair
from inception_slim.formats.keras_images import input_scaling
from inception_slim.formats.lazy_tensors import epsilon_note, shift_epsilon
from inception_slim.formats.name_maps import base_layers, is_residual_projection
from inception_slim.formats.structure import Node, check_structure
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry

_PARAMETERS = {'kernel': 'weights', 'bias': 'biases', 'gamma': 'BatchNorm/gamma',
               'beta': 'BatchNorm/beta', 'moving_mean': 'BatchNorm/moving_mean',
               'moving_variance': 'BatchNorm/moving_variance'}
_REPEATS = {'35': 'Repeat', '17': 'Repeat_1', '8': 'Repeat_2'}
# The last convolution of each branch of Inception V3's last block: their channels are the features.
_V3_FEATURES = ('Branch_0/Conv2d_0a_1x1', 'Branch_1/Conv2d_0b_1x3', 'Branch_1/Conv2d_0c_3x1',
                'Branch_2/Conv2d_0c_1x3', 'Branch_2/Conv2d_0d_3x1', 'Branch_3/Conv2d_0b_1x1')

_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2D', 'SeparableConv2D')
_POOLS = {'MaxPooling2D': 'max', 'AveragePooling2D': 'avg'}
_KINDS = {'Add': 'add', 'Dropout': 'identity', 'GaussianNoise': 'identity',
          'GlobalAveragePooling2D': 'mean', 'SpatialDropout2D': 'identity'}
_LAYOUTS = {'channels_last': 'NHWC', 'channels_first': 'NCHW'}

# Layers of the base network by TF-Slim's names: a convolution, and its batch norm if it has one.
BaseLayers = dict[str, tuple[Layer, ...]]


def model_layers(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterates over the layers of a model in order.

    Yields:
      The class and the configuration of each layer; the latter has its `name`, and `layers` if it
      is a nested model.
    """
    inner = config.get('config', {}) if isinstance(config, dict) else {}
    layers = inner.get('layers', []) if isinstance(inner, dict) else inner
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict) and isinstance(layer.get('config'), dict):
            yield str(layer.get('class_name')), {
                'name': layer.get('name'), 'inbound_nodes': layer.get('inbound_nodes'),
                **layer['config']}


def iter_layer_configs(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterates over the layers of a configuration in order; nested models are flattened."""
    for kind, options in model_layers(config):
        if 'layers' in options:
            yield from iter_layer_configs({'config': options})
        else:
            yield kind, options


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
    configs = [LayerConfig(kind, str(options['name']), options)
               for kind, options in iter_layer_configs(config)]
    counts = Counter(config.name for config in configs)
    for name in layers:
        if counts[name] > 1:
            raise CheckpointError(f'{path} has {counts[name]} layers with the name {name}, in '
                                  'models inside each other; rename one of them and save it again.')
    own = _match_own_names(layers)
    network, base = own or _match_facenet(path, layers) or _match_keras_applications(
        path, layers, configs)
    tensors, notes = _base_tensors(path, network.name, base, configs)
    pooling = _pooling(configs)
    check_structure(path, network, pooling, _structure(configs),
                    {layer: pair[0].name for layer, pair in base.items() if pair})
    base_names = {layer.name for pair in base.values() for layer in pair}
    left = {name: layer for name, layer in layers.items() if name not in base_names}
    head = SLIM_HEAD
    if not network.has_embedding:
        channels = tensors[f'{base_layers(network.name)[-1]}/weights'].shape[-1]
        if network.name == 'inception_v3':
            channels = sum(tensors[f'Mixed_7c/{name}/weights'].shape[-1] for name in _V3_FEATURES)
        head, head_notes = add_head(network, channels, left, base_names, configs, tensors)
        notes += head_notes
    elif left:
        notes.append(f'{len(left)} layers do not belong to the network and are left out, such as '
                     f'{", ".join(sorted(left)[:3])}.')
    scaling, scaling_notes = input_scaling(path, configs)
    naming = 'facenet_keras' if network.has_embedding else 'keras.applications'
    return ImportedWeights(
        path, version, "Keras, TF-Slim's" if own else naming,
        {f'{network.scope}/{name}': tensor for name, tensor in tensors.items()},
        pooling=pooling, input_scaling=scaling,
        notes=(*notes, *scaling_notes), head=head, has_structure=bool(configs), holding=holding)


def _match_own_names(layers: Mapping[str, Layer]) -> tuple[registry.Network, BaseLayers] | None:
    """Finds the layers of a model that this package exported."""
    for network in ('inception_v3', 'inception_resnet_v2'):
        keras_names = {name: name.replace('/', '_') for name in base_layers(network)}
        if all(name in layers for name in keras_names.values()):
            return registry.NETWORKS[network], {
                name: _present(layers, keras_name, f'{keras_name}_BatchNorm')
                for name, keras_name in keras_names.items()}
    return None


def _match_facenet(path: str, layers: Mapping[str, Layer],
                   ) -> tuple[registry.Network, BaseLayers] | None:
    """Finds the layers of FaceNet's network in Keras (facenet_keras, deepface)."""
    network = registry.NETWORKS['inception_resnet_v1']
    # The stacks of blocks have no scope, and the last block is the sixth of its kind.
    keras_names = {name: re.sub(r'^(?:Repeat\w*/b|B)lock(8(?=/)|\d+_\d+)', lambda match: 'Block' + (
        '8_6' if match[1] == '8' else match[1]), name).replace('/', '_')
        for name in base_layers(network.name)}
    # deepface numbers the second branch of some blocks like the block.
    by_name = {re.sub(r'^(Block(?:17|8)_(\d+)_Branch_)\2(?=_Conv2d_0)', r'\g<1>1', name): layer
               for name, layer in layers.items()}
    missing = [name for name in keras_names.values() if name not in by_name]
    if len(missing) > len(keras_names) / 2:
        return None
    if missing:
        raise CheckpointError(f'{path} lacks {len(missing)} layers of {network.title}, such as '
                              f'{missing[0]}; copy it again.')
    return network, {name: _present(by_name, keras_name, f'{keras_name}_BatchNorm')
                     for name, keras_name in keras_names.items()}


def _match_keras_applications(path: str, layers: Mapping[str, Layer], configs: list[LayerConfig],
                              ) -> tuple[registry.Network, BaseLayers]:
    """Finds the layers of a model of keras.applications by their numbers."""
    convolutions, norms = (_numbered(layers, kind) for kind in ('conv2d', 'batch_normalization'))
    # Where the inputs of layers are recorded, another layer may have been numbered before them.
    norm_after = {config.inputs[0]: config.name for config in configs
                  if config.kind == 'BatchNormalization' and config.inputs}
    if norm_after:
        convolutions = [layer for layer in convolutions if norm_after.get(layer.name) in layers]
        norms = [layers[norm_after[layer.name]] for layer in convolutions]
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


def _base_tensors(path: str, network: str, base: BaseLayers, configs: list[LayerConfig],
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


def _structure(configs: list[LayerConfig]) -> dict[str, Node]:
    """The layers of a configuration for `check_structure`."""
    return {config.name: _structure_node(config) for config in configs}


def _structure_node(config: LayerConfig) -> Node:
    options = config.options
    inputs = config.inputs
    layout = _LAYOUTS.get(str(options.get('data_format')), '')
    kind = config.kind.rsplit('>')[-1]  # a registered class has its package before its name
    if config.kind in _CONVOLUTIONS and {'kernel_size', 'strides', 'padding'} <= set(options):
        return Node('conv', inputs, strides=pair(options['strides']),
                    dilations=pair(options.get('dilation_rate', 1)),
                    padding=str(options['padding']).upper(), layout=layout,
                    groups=options.get('groups', 1), function=config.activation)
    if config.kind in _POOLS:
        window = options.get('pool_size', 2)
        return Node(_POOLS[config.kind], inputs, pair(window),
                    pair(options.get('strides') or window), layout=layout,
                    padding=str(options.get('padding', 'valid')).upper())
    if config.kind == 'Activation' and config.activation == 'linear':
        return Node('identity', inputs)
    if config.kind in ACTIVATIONS:
        return Node('activation', inputs, function=config.activation)
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
        rows, columns = (pair(sides) for sides in pair(options.get('padding', 1)))
        return Node('pad', inputs, padding=(*rows, *columns))
    # keras.applications adds the scaled branch in a layer of its own.
    scale = options.get('scale', (options.get('arguments') or {}).get('scale'))
    if isinstance(scale, (int, float)):
        if config.kind == 'Rescaling' and not options.get('offset'):
            return Node('scale', inputs, factor=float(scale))
        if kind in ('CustomScaleLayer', 'Lambda') and len(inputs) == 2:
            return Node('add', inputs, factor=float(scale))
    return Node(_KINDS.get(config.kind, 'other'), inputs, function=config.kind)


def _pooling(configs: list[LayerConfig]) -> str:
    """The pooling of a model that this package exported; keras.applications pools as TF-Slim."""
    names = [config.name for config in configs]
    if any('_PaddedAvgPool' in name for name in names):
        return 'padded'
    return '2015' if any('Mixed_7c_Branch_3_MaxPool' in name for name in names) else 'average'
