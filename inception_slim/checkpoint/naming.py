"""Recognize the network in a checkpoint by its variable names, and describe it.

The names depend on the program that wrote the file: TF-Slim's names, the names of the first release
of March 2016, either of them under another scope, with or without moving averages.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
import os
import re

from inception_slim.checkpoint._weight_source import WeightSource
from inception_slim.checkpoint.batch_norm import describe_moving_averages
from inception_slim.checkpoint.head import SLIM_HEAD, Head
from inception_slim.checkpoint.options import PREWHITEN
from inception_slim.checkpoint.other_networks import describe_other_network
from inception_slim.checkpoint.weight_sources import open_weights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np

MOVING_AVERAGE = '/ExponentialMovingAverage'
SLIM_NAMES = 'TF-Slim'
FIRST_RELEASE_NAMES = 'first release (March 2016)'

_PARAMETERS = ('weights', 'biases', 'depthwise_weights', 'pointwise_weights', 'BatchNorm/beta',
               'BatchNorm/gamma', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance')
_MODEL_TENSOR = re.compile(
    rf'(?P<layer>.+?)/(?P<parameter>{"|".join(_PARAMETERS)})(?P<average>{MOVING_AVERAGE})?')
# Detectors of the Object Detection API: layers that SSD adds in the scope of the network, and the
# two scopes over which Faster R-CNN divides it.
_SSD_LAYER = re.compile(r'\w+_\d_Conv2d_\d_\w+')
_STAGES = ('FirstStageFeatureExtractor', 'SecondStageFeatureExtractor')
# Optimizers, by the slot that each adds to a variable.
_OPTIMIZERS = ('RMSProp', 'Momentum', 'Adam', 'Adagrad', 'Adadelta', 'Ftrl')


@dataclass(frozen=True)
class CheckpointInfo:
    """Description of a checkpoint.

    Attributes:
      path: the prefix by which TensorFlow opens it, or the path of a file of another format.
      format: 'V1' (one file) or 'V2' (an index and data files); else the kind of file.
      naming: the naming scheme of the layers: 'TF-Slim', 'first release (March 2016)',
        'torchvision'...
      network: the name of the network, such as 'inception_v3'.
      scope: the scope of the network's variables in the file; may be empty.
      num_classes: the number of classes; None without a classifier.
      has_background_class: whether class 0 is probably 'background', as in files of 1,001 classes.
      global_step: the training step; None if it is not recorded.
      has_moving_averages: whether the file has moving averages of the weights.
      has_gammas: whether batch norm was trained with `batch_norm_scale=True`.
      has_aux_logits: whether the file has the auxiliary classifier.
      optimizer: the optimizer whose slots the file has; None without slots.
      parameters: the number of parameters of the network, without moving averages and slots.
      depth_multiplier: the factor of the channels; None for a network without this option.
      min_depth: the minimum number of channels of a layer, if the shapes show it.
      pooling: how the pooled branches pool, one of `nets.POOLINGS`; 'average' is TF-Slim's.
      notes: other differences from TF-Slim's network, and how they were handled; from `inspect`,
        also whether batch norm's moving averages were hardly updated. Sentences.
      embedding_size: the size of the embedding; None for a network with a classifier.
      input_range: what images the weights take, one of `INPUT_RANGES`; only Inception-ResNet V1 has
        another than 'inception', which is [-1, 1].
      head: the layers after the base network.
      has_structure: whether the file declares the structure of its network, which was compared;
        else it holds weights only, of which shapes alone are compared.
      has_batch_norm: whether there is batch norm; exported graphs have it folded into the weights.
      image_size: height and width of the images to run it on: the network's own, unless
        `with_image_size` chose others.
    """

    path: str
    format: str
    naming: str
    network: str
    scope: str
    num_classes: int | None
    has_background_class: bool
    global_step: int | None
    has_moving_averages: bool
    has_gammas: bool
    has_aux_logits: bool
    optimizer: str | None
    parameters: int
    depth_multiplier: float | None
    min_depth: int
    pooling: str = 'average'
    notes: tuple[str, ...] = ()
    embedding_size: int | None = None
    input_range: str = 'inception'
    head: Head = SLIM_HEAD
    has_structure: bool = False
    has_batch_norm: bool = True
    image_size: int = field(kw_only=True)


@dataclass(frozen=True)
class NameMapping:
    """Maps the variables of a network to the tensors of a file.

    Attributes:
      network: the recognized network.
      naming: the naming scheme of the file, `SLIM_NAMES` or `FIRST_RELEASE_NAMES`.
      scope: the scope of the network's variables in the file; may be empty.
      tensors: TF-Slim's name without the scope -> the tensor's name in the file.
      averages: the same for the moving averages.
    """

    network: registry.Network
    naming: str
    scope: str
    tensors: dict[str, str]
    averages: dict[str, str]

    def tensor_for(self, name: str, use_ema: bool) -> str | None:
        """Returns the tensor of a variable, or its moving average if `use_ema` and it has one."""
        return (self.averages.get(name) if use_ema else None) or self.tensors.get(name)


def inspect(path: str | os.PathLike, *, checkpoint_scope: str | None = None) -> CheckpointInfo:
    """Describes a checkpoint without building a graph.

    Args:
      path: see `find_prefix`; or a file of another supported format.
      checkpoint_scope: the scope of the network to describe, if the file holds several.

    Raises:
      CheckpointError: the file cannot be read, or holds no supported network.

    Example:
      >>> from inception_slim import checkpoint
      >>> info = checkpoint.inspect('tests/golden/checkpoints/first_release/model.ckpt-157585')
      >>> info.network, info.num_classes, info.global_step
      ('inception_v3', 11, 157585)
    """
    source = open_weights(path)
    mapping = recognize(source, checkpoint_scope)
    info = build_info(source, mapping)
    note = describe_moving_averages(source, mapping.tensors, info.global_step)
    return dataclasses.replace(info, notes=(*info.notes, note)) if note else info


def recognize(source: WeightSource, scope: str | None = None) -> NameMapping:
    """Finds the network in an opened file.

    Args:
      source: the opened file.
      scope: the scope of the network, if the file holds several.

    Raises:
      CheckpointError: the file holds no supported network, or several and `scope` is None.
    """
    candidates = []
    for network in registry.NETWORKS.values():
        patterns = [(SLIM_NAMES, f'{network.unique_layer}/{parameter}')
                    for parameter in ('weights', 'depthwise_weights')]
        if network.name == 'inception_v3':
            patterns.append((FIRST_RELEASE_NAMES, _FIRST_RELEASE_UNIQUE_TENSOR))
        for naming, unique_tensor in patterns:
            for name in source.shapes:
                if name == unique_tensor or name.endswith('/' + unique_tensor):
                    candidates.append((network, naming, name[:-len(unique_tensor)].rstrip('/')))
    if scope is not None:
        candidates = [candidate for candidate in candidates if candidate[2] == scope]
    if not candidates:
        raise CheckpointError(_unsupported_message(source, scope))
    if len(candidates) > 1:
        scopes = ', '.join(repr(scope) for _, _, scope in candidates[:8])
        raise CheckpointError(f'{source.prefix} holds {len(candidates)} networks, under the scopes '
                              f'{scopes}; choose one with checkpoint_scope=.')
    network, naming, scope = candidates[0]
    tensors: dict[str, str] = {}
    averages: dict[str, str] = {}
    scopes = {_other_stage(scope), scope}
    for name in source.shapes:
        prefix = next((f'{item}/' if item else '' for item in scopes
                       if not item or name.startswith(f'{item}/')), None)
        if prefix is None:
            continue
        match = _MODEL_TENSOR.fullmatch(name.removeprefix(prefix))
        if match and not _SSD_LAYER.fullmatch(match['layer']):
            layer = match['layer']
            if naming == FIRST_RELEASE_NAMES:
                layer = FIRST_RELEASE.get(layer)
            if layer:
                mapping = averages if match['average'] else tensors
                mapping[f'{layer}/{match["parameter"]}'] = name
    return NameMapping(network, naming, scope, tensors, averages)


def _other_stage(scope: str) -> str:
    """The scope of the rest of a network that Faster R-CNN divides; else the same scope."""
    first, second = _STAGES
    return (scope.replace(first, second) if first in scope else scope.replace(second, first))


def _unsupported_message(source: WeightSource, scope: str | None) -> str:
    supported = ', '.join(network.title for network in registry.NETWORKS.values())
    if scope is not None:
        return f'{source.prefix} holds none of {supported} under the scope {scope!r}.'
    other = describe_other_network(source.shapes)
    if other:
        return f'{source.prefix} is a file of {other}'
    names = ', '.join(sorted(source.shapes)[:3])
    kind = 'checkpoint' if source.version in ('V1', 'V2') else source.version
    article = 'an' if kind[0] in 'AEIO' else 'a'
    return (f'{source.prefix} is {article} {kind} of another network than {supported}: it holds '
            f'{len(source.shapes)} tensors' + (f', such as {names}.' if names else '.'))


def build_info(source: WeightSource, mapping: NameMapping) -> CheckpointInfo:
    """Describes an opened file whose network was recognized."""
    network = mapping.network
    last_layer = mapping.tensors.get(
        f'{network.classifier}/{"weights" if network.has_embedding else "biases"}')
    size = source.shapes[last_layer][-1] if last_layer else None
    num_classes, embedding_size = (None, size) if network.has_embedding else (size, None)
    steps = [name for name in source.shapes
             if name.split('/')[-1] == 'global_step' and not source.shapes[name]]
    slots = {name.rsplit('/', 1)[-1] for name in source.shapes}
    depth_multiplier, min_depth = _infer_width(mapping, source)
    aux = network.aux_classifier
    return CheckpointInfo(
        path=source.prefix, format=source.version, naming=source.naming or mapping.naming,
        network=network.name, scope=mapping.scope, num_classes=num_classes,
        has_background_class=num_classes == 1001,
        global_step=int(source.read(min(steps, key=len))) if steps else None,
        has_moving_averages=bool(mapping.averages),
        has_gammas=any(name.endswith('/gamma') for name in mapping.tensors),
        has_aux_logits=bool(aux and f'{aux}/weights' in mapping.tensors),
        optimizer=next((name for name in _OPTIMIZERS if name in slots), None),
        parameters=sum(int(np.prod(source.shapes[name])) for name in mapping.tensors.values()),
        depth_multiplier=depth_multiplier, min_depth=min_depth,
        pooling=source.pooling, notes=(*source.notes, *_embedding_notes(mapping, source)),
        embedding_size=embedding_size, input_range=_input_range(network, source, embedding_size),
        head=source.head if num_classes is not None else SLIM_HEAD,
        has_structure=source.has_structure,
        has_batch_norm=any(name.endswith('/moving_variance') for name in mapping.tensors),
        image_size=network.image_size)


def with_image_size(info: CheckpointInfo, image_size: int | None) -> CheckpointInfo:
    """The description of a checkpoint that is run on images of another size; None changes nothing.

    Raises:
      CheckpointError: its head takes the positions of one size only.
    """
    if image_size in (None, info.image_size):
        return info
    if info.head.pool == 'flatten':
        raise CheckpointError(
            f'{info.path} has a classifier of each position of the last grid, so it only takes '
            f'images of {info.image_size}x{info.image_size}, not {image_size}x{image_size}; leave '
            'out image_size.')
    return dataclasses.replace(info, image_size=image_size)


def _input_range(network: registry.Network, source: WeightSource, size: int | None) -> str:
    """Returns the input range of the weights, or the most probable one.

    FaceNet's networks with 128 numbers are of 2017, when it prewhitened images. Those with 512 are
    of 2018, with fixed standardization, as are facenet-pytorch's.
    """
    if not network.has_embedding or source.input_scaling is not None:
        return 'inception'  # another range is folded into the weights
    return source.input_range or (PREWHITEN if size == 128 else 'facenet')


def _embedding_notes(mapping: NameMapping, source: WeightSource) -> tuple[str, ...]:
    """Notes on what a file with an embedding has beside the network."""
    outer = mapping.scope.rpartition('/')[0]
    name = f'{outer}/Logits/weights' if outer else 'Logits/weights'
    if not mapping.network.has_embedding or name not in source.shapes:
        return ()
    return (f'Logits, the classifier that the network was trained with '
            f'({source.shapes[name][-1]:,} classes), is left out.',)


def _infer_width(mapping: NameMapping, source: WeightSource) -> tuple[float | None, int]:
    """Infers `depth_multiplier` and `min_depth` from the channels of some layers.

    A layer has `max(int(full * depth_multiplier), min_depth)` channels.
    """
    pairs = [(full, source.shapes[mapping.tensors[f'{layer}/weights']][-1])
             for layer, full in mapping.network.channels.items()
             if f'{layer}/weights' in mapping.tensors]
    if not pairs:
        return None, 16
    if all(full == actual for full, actual in pairs):
        return 1.0, 16
    fewest = min(actual for _, actual in pairs)
    # Layers with more than the fewest channels are not limited by min_depth.
    unlimited = [(full, actual) for full, actual in pairs if actual > fewest] or [max(pairs)]
    low = max(actual / full for full, actual in unlimited)
    high = min((actual + 1) / full for full, actual in unlimited)
    # The shortest decimal number in [low, high).
    for digits in range(1, 7):
        multiplier = round(np.ceil(low * 10**digits - 1e-9) / 10**digits, digits)
        if multiplier < high:
            break
    limited = any(int(full * multiplier) < actual for full, actual in pairs)
    return float(multiplier), fewest if limited else min(fewest, 16)


def layer_name(name: str) -> str:
    """Returns the layer of a variable: its name without the parameter."""
    match = _MODEL_TENSOR.fullmatch(name)
    return match['layer'] if match else name


def is_model_tensor(name: str) -> bool:
    """Whether a tensor has the name of a variable of a network, such as `.../weights`."""
    return _MODEL_TENSOR.fullmatch(name) is not None


def _first_release_names() -> dict[str, str]:
    """Maps the layers of the first release to TF-Slim's, in the order in which both are built."""
    names = {'conv0': 'Conv2d_1a_3x3', 'conv1': 'Conv2d_2a_3x3', 'conv2': 'Conv2d_2b_3x3',
             'conv3': 'Conv2d_3b_1x1', 'conv4': 'Conv2d_4a_3x3',
             'aux_logits/proj': 'AuxLogits/Conv2d_1b_1x1',
             'aux_logits/Conv': 'AuxLogits/Conv2d_2a_5x5',
             'aux_logits/FC': 'AuxLogits/Conv2d_2b_1x1', 'logits/logits': 'Logits/Conv2d_1c_1x1'}
    one, pool = ['Conv2d_0a_1x1'], ['Conv2d_0b_1x1']
    triple = ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3']
    seven = ['Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1']
    sevens = ['Conv2d_0a_1x1', 'Conv2d_0b_7x1', 'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7']
    spread = ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_1x3', 'Conv2d_0d_3x1']

    def block(old, new, *branches):
        for index, (branch, layers) in enumerate(branches):
            for position, layer in enumerate(layers):
                conv = f'Conv_{position}' if position else 'Conv'
                names[f'mixed_{old}/{branch}/{conv}'] = f'Mixed_{new}/Branch_{index}/{layer}'

    for old, new, five in (('256a', '5b', ['Conv2d_0a_1x1', 'Conv2d_0b_5x5']),
                           ('288a', '5c', ['Conv2d_0b_1x1', 'Conv_1_0c_5x5']),
                           ('288b', '5d', ['Conv2d_0a_1x1', 'Conv2d_0b_5x5'])):
        block(f'35x35x{old}', new, ('branch1x1', one), ('branch5x5', five),
              ('branch3x3dbl', triple), ('branch_pool', pool))
    block('17x17x768a', '6a', ('branch3x3', ['Conv2d_1a_1x1']),
          ('branch3x3dbl', ['Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_1a_1x1']))
    for letter in 'bcde':
        block(f'17x17x768{letter}', f'6{letter}', ('branch1x1', one), ('branch7x7', seven),
              ('branch7x7dbl', sevens), ('branch_pool', pool))
    block('17x17x1280a', '7a', ('branch3x3', ['Conv2d_0a_1x1', 'Conv2d_1a_3x3']),
          ('branch7x7x3', [*seven, 'Conv2d_1a_3x3']))
    for old, new, last in (('a', '7b', 'Conv2d_0b_3x1'), ('b', '7c', 'Conv2d_0c_3x1')):
        block(f'8x8x2048{old}', new, ('branch1x1', one),
              ('branch3x3', ['Conv2d_0a_1x1', 'Conv2d_0b_1x3', last]),
              ('branch3x3dbl', spread), ('branch_pool', pool))
    return names


FIRST_RELEASE = _first_release_names()
_FIRST_RELEASE_UNIQUE_TENSOR = 'mixed_35x35x288a/branch5x5/Conv_1/weights'
