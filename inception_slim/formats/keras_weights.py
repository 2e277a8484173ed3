"""The layers of a Keras model that has an Inception network in it, as TF-Slim's variables.

Whatever file they come from: named layers with their weights, and, where the file has it, the
model's configuration, which says what comes before the body and after it. The body is that of
keras.applications, whose unnamed layers are numbered in the order in which TF-Slim makes them, or
one that this package wrote, whose layers have TF-Slim's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import re
from typing import Any

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.errors import CheckpointError
from inception_slim.formats.lazy_tensors import epsilon_note, shift_epsilon
from inception_slim.formats.name_maps import base_layers
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

_NETWORKS = ('inception_v3', 'inception_resnet_v2')
_PARAMETERS = {'kernel': 'weights', 'bias': 'biases', 'gamma': 'BatchNorm/gamma',
               'beta': 'BatchNorm/beta', 'moving_mean': 'BatchNorm/moving_mean',
               'moving_variance': 'BatchNorm/moving_variance'}
_REPEATS = {'35': 'Repeat', '17': 'Repeat_1', '8': 'Repeat_2'}
# What may stand between the body and the classifier, and does nothing when a network answers.
_IDLE = ('Dropout', 'Flatten', 'Reshape', 'Activation', 'Softmax', 'InputLayer',
         'SpatialDropout2D', 'GaussianNoise')
_GRID = 8


@dataclass(frozen=True)
class Layer:
    """A layer that has weights, by Keras's names of them."""

    name: str
    values: dict[str, LazyTensor]


def iter_layer_configs(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The layers of a configuration in order, those of models inside it in their place.

    Yields:
      The class and the configuration of each, which has its `name`.
    """
    inner = config.get('config', {}) if isinstance(config, dict) else {}
    layers = inner.get('layers', []) if isinstance(inner, dict) else inner
    for layer in layers if isinstance(layers, list) else []:
        if not isinstance(layer, dict) or not isinstance(layer.get('config'), dict):
            continue
        if 'layers' in layer['config']:
            yield from iter_layer_configs(layer)
        else:
            yield str(layer.get('class_name')), {'name': layer.get('name'), **layer['config']}


def build_imported_weights(path: str, version: str, layers: Mapping[str, Layer], config: Any,
               holding: Any = None) -> ImportedWeights:
    """The variables of a Keras model under TF-Slim's names.

    Args:
      path, version: of the file, for what is said of it.
      layers: those with weights, by name.
      config: the model's configuration, or None.
      holding: see `Foreign`.
    """
    said = {each['name']: (kind, each) for kind, each in iter_layer_configs(config)}
    network, places = _places(path, layers)
    known = registry.NETWORKS[network]
    tensors, notes = _body(path, network, places, said)
    used = {layer.name for pair in places.values() for layer in pair}
    input_scaling = _input_scaling(path, config)
    notes += _top(path, known, layers, used, said, config, tensors)
    tensors = {f'{known.scope}/{name}': tensor for name, tensor in tensors.items()}
    ours = 'Conv2d_1a_3x3' in layers
    return ImportedWeights(
        path,
        version,
        "Keras, TF-Slim's" if ours else 'keras.applications',
        tensors,
        pooling=_pooling(config),
        input_scaling=input_scaling,
        notes=tuple(notes),
        holding=holding,
    )


def _places(path: str, layers: Mapping[str, Layer],
            ) -> tuple[str, dict[str, tuple[Layer, ...]]]:
    """By TF-Slim's names of the body: a convolution, and its batch norm if it has one."""
    for network in _NETWORKS:
        flat = {name: name.replace('/', '_') for name in base_layers(network)}
        if all(each in layers for each in flat.values()):
            return network, {name: tuple(layers[each] for each in (
                theirs, f'{theirs}_BatchNorm') if each in layers) for name, theirs in flat.items()}
    numbered: dict[str, list[tuple[int, Layer]]] = {'conv2d': [], 'batch_normalization': []}
    for name, layer in layers.items():
        match = re.fullmatch(r'(conv2d|batch_normalization)(?:_(\d+))?', name)
        if match:
            numbered[match[1]].append((int(match[2] or 0), layer))
    convolutions, norms = ([layer for _, layer in sorted(each, key=lambda each: each[0])]
                           for each in numbered.values())
    residual = 'block35_1_conv' in layers and 'block8_10_conv' in layers and 'conv_7b' in layers
    network = 'inception_resnet_v2' if residual else 'inception_v3'
    unnamed = [name for name in base_layers(network) if name != 'Conv2d_7b_1x1' and not (
        name.endswith('/Conv2d_1x1') and 'Branch_' not in name)]
    if len(convolutions) < len(unnamed) or len(norms) < len(unnamed):
        raise CheckpointError(
            f'{path} is a Keras file of another network than Inception V3 and Inception-ResNet V2 '
            f'of keras.applications: it has {len(convolutions)} numbered convolutions and '
            f'{len(norms)} batch norms, not {len(unnamed)} of each.')
    places: dict[str, tuple[Layer, ...]] = {
        name: pair for name, *pair in zip(unnamed, convolutions, norms)}  # type: ignore[misc]
    if residual:
        places['Conv2d_7b_1x1'] = tuple(layers[each] for each in ('conv_7b', 'conv_7b_bn')
                                        if each in layers)
        for name in layers:
            match = re.fullmatch(r'block(\d+)_(\d+)_conv', name)
            if match:
                ours = 'Block8' if name == 'block8_10_conv' else (
                    f'{_REPEATS[match[1]]}/block{match[1]}_{match[2]}')
                places[f'{ours}/Conv2d_1x1'] = (layers[name],)
    return network, places


def _body(
    path: str,
    network: str,
    places: Mapping[str, tuple[Layer, ...]],
    said: Mapping[str, tuple[str, dict[str, Any]]],
) -> tuple[dict[str, LazyTensor], list[str]]:
    tensors: dict[str, LazyTensor] = {}
    epsilons = set()
    for name in base_layers(network):
        for layer in places.get(name, ()):
            epsilon = said.get(layer.name, ('', {}))[1].get('epsilon', BATCH_NORM_EPSILON)
            for theirs, tensor in layer.values.items():
                if theirs == 'moving_variance' and epsilon != BATCH_NORM_EPSILON:
                    tensor = shift_epsilon(tensor, float(epsilon))
                    epsilons.add(float(epsilon))
                if theirs in _PARAMETERS:
                    tensors[f'{name}/{_PARAMETERS[theirs]}'] = tensor
        _check_kernel(path, name, tensors)
    return tensors, [epsilon_note(epsilon) for epsilon in sorted(epsilons)]


def _check_kernel(path: str, name: str, tensors: Mapping[str, LazyTensor]) -> None:
    """A kernel has the size that its layer's name says: else the order is not TF-Slim's."""
    tensor = tensors.get(f'{name}/weights')
    size = tuple(int(side) for side in re.findall(r'\d+x\d+', name)[-1].split('x'))
    if name.startswith('Mixed_6a/') and name.endswith('1a_1x1'):
        size = (3, 3)  # whatever it says
    if tensor is None or tensor.shape[:2] != size:
        found = 'nothing' if tensor is None else f'a kernel of {list(tensor.shape)}'
        raise CheckpointError(f'{path} has {found} where {name} has one of {size[0]}×{size[1]}; '
                              'its layers are not those of keras.applications in their order.')


def _pooling(config: Any) -> str:
    """As this package wrote it; keras.applications pools as TF-Slim does."""
    names = [str(each.get('name')) for _, each in iter_layer_configs(config)]
    if any(name.endswith('_PaddedAvgPool') for name in names):
        return 'padded'
    return '2015' if 'Mixed_7c_Branch_3_MaxPool' in names else 'average'


def _input_scaling(path: str, config: Any) -> tuple | None:
    """What a rescaling before the body does to images: it wants [0, 255] then."""
    for kind, each in iter_layer_configs(config):
        if kind == 'Conv2D':
            break
        if kind == 'Rescaling':
            scale, offset = (np.broadcast_to(np.asarray(each.get(key, default), float), (3,))
                             for key, default in (('scale', 1), ('offset', 0)))
            found = (127.5 * scale, 127.5 * scale + offset)
            # 1 / 127.5 and -1 make [-1, 1], which is what it is without.
            return None if np.allclose(found, [[1] * 3, [0] * 3], atol=1e-6) else found
        if kind == 'Normalization':
            raise CheckpointError(f'{path} normalizes images by numbers that it learned; leave '
                                  'that layer out, and scale the images.')
    return None


def _top(path: str, known: registry.Network, layers: Mapping[str, Layer], used: set[str],
         said: Mapping[str, tuple[str, dict[str, Any]]], config: Any,
         tensors: dict[str, LazyTensor]) -> list[str]:
    """Takes the classifier, if it is one that TF-Slim's network can have; says what was found."""
    left = {name: layer for name, layer in layers.items() if name not in used}
    dense = [layer for layer in left.values() if len(layer.values['kernel'].shape) == 2] if all(
        'kernel' in layer.values for layer in left.values()) else []
    if not left:
        return ['It has no classifier; its body alone is read.']
    why = _no_classifier(left, dense, used, said, config)
    if why is None:
        dense.sort(key=lambda layer: _place(layer.name, said))
        why = _taken(known, dense, tensors)
    if why is not None:
        return [f'It ends otherwise than TF-Slim\'s network: {why}; its body alone is read, '
                'without a classifier.']
    kind = said.get(dense[-1].name, ('', {}))[1].get('activation')
    kind = kind.get('config', kind) if isinstance(kind, dict) else kind
    notes = []
    if not said:
        notes.append('A file of weights does not say how it pools before its classifier; the '
                     'average is taken, as keras.applications does.')
    if kind == 'sigmoid':
        notes.append('It ended with a sigmoid: the logits are the same, and predictions are those '
                     'of a softmax.')
    return notes


def _place(name: str, said: Mapping[str, Any]) -> tuple[int, int]:
    """In the order of the configuration, and else of the numbers at the ends of the names."""
    number = re.search(r'(\d+)$', name)
    return (list(said).index(name) if name in said else len(said), int(number[1]) if number else 0)


def _no_classifier(left: Mapping[str, Layer], dense: list[Layer], used: set[str],
                   said: Mapping[str, tuple[str, dict[str, Any]]], config: Any) -> str | None:
    """Why what follows the body cannot be TF-Slim's; None if it can."""
    if len(dense) != len(left):
        others = sorted(name for name in left if left[name] not in dense)
        return f'there is {", ".join(others[:3])} after its body'
    if not said and len(dense) > 1:
        return f'{len(dense)} dense layers follow, whose activations a file of weights leaves out'
    if not said:
        return None
    order = list(iter_layer_configs(config))
    last = max(place for place, (_, each) in enumerate(order) if each['name'] in used)
    averaged = False
    for kind, each in order[last + 1:]:
        if kind == 'Dense':
            if not averaged:
                return 'no average over the grid comes before its dense layer'
            active = each.get('activation')
            active = active.get('config', active) if isinstance(active, dict) else active
            if each['name'] != max(dense, key=lambda one: _place(one.name, said)).name and (
                    active not in (None, 'linear')):
                return f'a dense layer of {each.get("units")} with {active} comes first'
        elif kind == 'GlobalAveragePooling2D' or (
                kind == 'AveragePooling2D' and list(each.get('pool_size', ())) == [_GRID] * 2):
            averaged = True
        elif kind == 'BatchNormalization' or kind not in (
                *_IDLE, 'Concatenate', 'Add', 'ReLU', 'CustomScaleLayer', 'Lambda', 'Rescaling'):
            return f'there is {each["name"]}, a layer of the kind {kind}'
    return None


def _taken(
    known: registry.Network, dense: list[Layer], tensors: dict[str, LazyTensor]
) -> str | None:
    """Puts the dense layers, multiplied where they are more, in the classifier's place."""
    kernels = [layer.values['kernel'] for layer in dense]
    features = tensors[f'{base_layers(known.name)[-1]}/weights'].shape[-1]
    if known.name == 'inception_v3':
        features = sum(tensors[f'Mixed_7c/{name}/weights'].shape[-1] for name in (
            'Branch_0/Conv2d_0a_1x1', 'Branch_1/Conv2d_0b_1x3', 'Branch_1/Conv2d_0c_3x1',
            'Branch_2/Conv2d_0c_1x3', 'Branch_2/Conv2d_0d_3x1', 'Branch_3/Conv2d_0b_1x1'))
    if kernels[0].shape[0] != features:
        return (f'its first dense layer wants {kernels[0].shape[0]} numbers and the average over '
                f'the grid has {features}')
    classes = kernels[-1].shape[1]
    shape = (features, classes) if known.name != 'inception_v3' else (1, 1, features, classes)

    def weights() -> np.ndarray:
        if len(kernels) == 1:
            return kernels[0].load().reshape(shape)
        return np.float32(np.linalg.multi_dot([
            each.load().astype(np.float64) for each in kernels])).reshape(shape)

    def biases() -> np.ndarray:
        total: np.ndarray | float = 0.0
        for layer in dense:
            total = total @ layer.values['kernel'].load() if np.ndim(total) else total
            if 'bias' in layer.values:
                total = total + layer.values['bias'].load()
        return np.broadcast_to(total, (classes,)).astype(np.float32)

    tensors[f'{known.classifier}/weights'] = LazyTensor(shape, np.dtype(np.float32), weights)
    tensors[f'{known.classifier}/biases'] = LazyTensor((classes,), np.dtype(np.float32), biases)
    return None
