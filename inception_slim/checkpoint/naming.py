"""Whose names a checkpoint has, and what it holds by them.

What a file is called inside depends on who wrote it, and when: TF-Slim's names, the names of the
first release of March 2016, either of them under another scope, and moving averages of the weights
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
import re

from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.checkpoint.weight_sources import ImportedWeights, open_weights
from inception_slim.errors import CheckpointError
from inception_slim.nets import registry
import numpy as np

MOVING_AVERAGE = '/ExponentialMovingAverage'
SLIM_NAMES = 'TF-Slim'
FIRST_RELEASE_NAMES = 'first release (March 2016)'

_PARAMETERS = ('weights', 'biases', 'depthwise_weights', 'pointwise_weights', 'BatchNorm/beta',
               'BatchNorm/gamma', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance')
# A tensor of the model: its layer, its parameter, and whether it is that parameter's average.
_MODEL_TENSOR = re.compile(
    rf'(?P<layer>.+?)/(?P<parameter>{"|".join(_PARAMETERS)})(?P<average>{MOVING_AVERAGE})?')
_OPTIMIZERS = {  # by the slots that each leaves beside a variable
    'RMSProp': 'RMSProp', 'Momentum': 'Momentum', 'Adam': 'Adam', 'Adagrad': 'Adagrad',
    'Adadelta': 'Adadelta', 'Ftrl': 'Ftrl'}
_OTHER_NETWORKS = {  # by a piece of a tensor's name
    r'(^|/)resnet_v[12]_\d+/': 'ResNet', r'(^|/)vgg_(a|16|19)/': 'VGG',
    r'(^|/)alexnet_v2/': 'AlexNet', r'(^|/)overfeat/': 'OverFeat',
    r'(^|/)MobilenetV\d/': 'MobileNet', r'(^|/)(nasnet|pnasnet|cell_\d+/)': 'NASNet',
    r'(^|/)(bert|transformer)/': 'a text model'}


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint holds.

    Attributes:
      path: the prefix by which TensorFlow opens it, or the path of another kind of file.
      format: 'V1', one file, or 'V2', an index and its data; or what other kind of file it is.
      naming: whose names the layers have: 'TF-Slim', 'first release (March 2016)', 'torchvision'...
      network: the network's name, such as 'inception_v3'.
      scope: what precedes the network's layers in the names; may be empty.
      num_classes: width of the classifier; None without one.
      has_background_class: whether class 0 is likely 'background', as in files of 1,001 classes.
      global_step: the training step it was written at; None if it does not say.
      has_moving_averages: whether it holds moving averages of the weights.
      has_gammas: whether batch norm was trained with `batch_norm_scale=True`.
      has_aux_logits: whether it holds the auxiliary classifier.
      optimizer: whose slots it holds; None if it holds none.
      parameters: how many numbers the network has, without averages and slots.
      depth_multiplier: factor of the channels; None if the network is not thinned by one.
      min_depth: the fewest channels of a layer, where that shows.
      pooling: how the pooled branches pool, one of `nets.POOLINGS`: 'average' as TF-Slim's.
      notes: what else differs from TF-Slim's network and how it was mapped: a sentence each.
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


@dataclass(frozen=True)
class NameMapping:
    """Where a file has which variable of which network."""

    network: registry.Network
    naming: str
    scope: str
    tensors: dict[str, str]  # TF-Slim's name inside the scope -> name in the file
    averages: dict[str, str]  # the same for the moving averages

    def source(self, name: str, use_ema: bool) -> str | None:
        return (self.averages.get(name) if use_ema else None) or self.tensors.get(name)


def recognize(file: TFCheckpoint | ImportedWeights, scope: str | None = None) -> NameMapping:
    """Finds the one network in a file, or says why there is none or more than one."""
    candidates = []
    for network in registry.NETWORKS.values():
        fingerprints = [(SLIM_NAMES, f'{network.fingerprint}/{parameter}')
                        for parameter in ('weights', 'depthwise_weights')]
        if network.name == 'inception_v3':
            fingerprints.append((FIRST_RELEASE_NAMES, _FIRST_RELEASE_FINGERPRINT))
        for naming, fingerprint in fingerprints:
            for name in file.shapes:
                if name == fingerprint or name.endswith('/' + fingerprint):
                    candidates.append((network, naming, name[:-len(fingerprint)].rstrip('/')))
    if scope is not None:
        candidates = [each for each in candidates if each[2] == scope]
    if not candidates:
        raise CheckpointError(_what_else(file, scope))
    if len(candidates) > 1:
        scopes = ', '.join(repr(each[2]) for each in candidates[:8])
        raise CheckpointError(f'{file.prefix} holds {len(candidates)} networks, under the scopes '
                              f'{scopes}; choose one with checkpoint_scope=.')
    network, naming, scope = candidates[0]
    tensors: dict[str, str] = {}
    averages: dict[str, str] = {}
    for name in file.shapes:
        if scope and not name.startswith(scope + '/'):
            continue
        match = _MODEL_TENSOR.fullmatch(name[len(scope) + 1 if scope else 0:])
        if match:
            layer = match['layer']
            if naming == FIRST_RELEASE_NAMES:
                layer = FIRST_RELEASE.get(layer)
            if layer:
                kind = averages if match['average'] else tensors
                kind[f'{layer}/{match["parameter"]}'] = name
    return NameMapping(network, naming, scope, tensors, averages)


def _what_else(file: TFCheckpoint | ImportedWeights, scope: str | None) -> str:
    known = ', '.join(network.title for network in registry.NETWORKS.values())
    if scope is not None:
        return f'{file.prefix} holds none of {known} under the scope {scope!r}.'
    for pattern, title in _OTHER_NETWORKS.items():
        if any(re.search(pattern, name) for name in file.shapes):
            return (f'{file.prefix} is a checkpoint of {title}, but this reads {known}; '
                    'give one of those.')
    names = ', '.join(sorted(file.shapes)[:3])
    kind = 'checkpoint' if file.version in ('V1', 'V2') else file.version
    return (f'{file.prefix} is a{"n" if kind[0] in "AEIO" else ""} {kind} of another network than '
            f'{known}: it holds {len(file.shapes)} tensors' + (f', such as {names}.' if names else
                                                                ' of any.'))


def _first_release_names() -> dict[str, str]:
    """Layers of the first release -> TF-Slim's, in the order in which both were built."""
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
_FIRST_RELEASE_FINGERPRINT = 'mixed_35x35x288a/branch5x5/Conv_1/weights'


def _depth(layout: NameMapping, file: TFCheckpoint | ImportedWeights) -> tuple[float | None, int]:
    """The depth multiplier and the minimum depth that explain the channels found."""
    pairs = []
    for layer, channels in layout.network.channels.items():
        tensor = layout.tensors.get(f'{layer}/weights')
        if tensor:
            pairs.append((channels, file.shapes[tensor][-1]))
    if not pairs:
        return None, 16
    if all(full == found for full, found in pairs):
        return 1.0, 16
    fewest = min(found for _, found in pairs)
    # int(full * multiplier) == found, for every layer that is not held up by the minimum.
    free = [(full, found) for full, found in pairs if found > fewest]
    free = free or [max(pairs)]
    low = max(found / full for full, found in free)
    high = min((found + 1) / full for full, found in free)
    for digits in range(1, 7):
        multiplier = round(np.ceil(low * 10**digits - 1e-9) / 10**digits, digits)
        if multiplier < high:
            break
    held_up = any(int(full * multiplier) < found for full, found in pairs)
    return float(multiplier), fewest if held_up else min(fewest, 16)


def build_info(file: TFCheckpoint | ImportedWeights, layout: NameMapping) -> CheckpointInfo:
    classes = layout.tensors.get(f'{layout.network.classifier}/biases')
    num_classes = file.shapes[classes][-1] if classes else None
    steps = [name for name in file.shapes
             if name.split('/')[-1] == 'global_step' and not file.shapes[name]]
    slots = {name.rsplit('/', 1)[-1] for name in file.shapes}
    optimizer = next((title for slot, title in _OPTIMIZERS.items() if slot in slots), None)
    multiplier, min_depth = _depth(layout, file)
    aux = layout.network.aux_classifier
    return CheckpointInfo(
        path=file.prefix, format=file.version,
        naming=getattr(file, 'naming', layout.naming),
        network=layout.network.name, scope=layout.scope, num_classes=num_classes,
        has_background_class=num_classes == 1001,
        global_step=int(file.read(min(steps, key=len))) if steps else None,
        has_moving_averages=bool(layout.averages),
        has_gammas=any(name.endswith('/gamma') for name in layout.tensors),
        has_aux_logits=bool(aux and f'{aux}/weights' in layout.tensors),
        optimizer=optimizer,
        parameters=sum(int(np.prod(file.shapes[name])) for name in layout.tensors.values()),
        depth_multiplier=multiplier, min_depth=min_depth, pooling=file.pooling, notes=file.notes)


def inspect(path: str | os.PathLike, *, checkpoint_scope: str | None = None) -> CheckpointInfo:
    """Says what a checkpoint holds, without a graph.

    Args:
      path: see `find_prefix`; or a file of another format that is known here.
      checkpoint_scope: which network to look at, where the file holds more than one.

    Raises:
      CheckpointError: it cannot be read, or holds no network that is known here.

    Example:
      >>> from inception_slim import checkpoint
      >>> info = checkpoint.inspect('tests/golden/checkpoints/first_release/model.ckpt-157585')
      >>> info.network, info.num_classes, info.global_step
      ('inception_v3', 11, 157585)
    """
    file = open_weights(path)
    return build_info(file, recognize(file, checkpoint_scope))


def layer_name(name: str) -> str:
    match = _MODEL_TENSOR.fullmatch(name)
    return match['layer'] if match else name


def is_model_tensor(name: str) -> bool:
    """Whether a tensor has the name of a variable of a network, such as `.../weights`."""
    return _MODEL_TENSOR.fullmatch(name) is not None
