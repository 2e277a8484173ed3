"""State dicts of PyTorch's networks, torchvision's and timm's, as TF-Slim's variables and back.

The arithmetic is a renaming and a transposition. Batch norm adds 0.001 to the variance in all of
them. PyTorch's Inception V3 counts the zeros around the grid when it averages, which is said by
`pooling`; V4 and Inception-ResNet V2 of timm do not.
"""

from __future__ import annotations

from collections.abc import Mapping
import re

from inception_slim.checkpoint import MOVING_AVERAGE, CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.data.labels import CLASSES_OF_2015
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.name_maps import has_torch_names, torch_names
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

# A module that each network has and no other, by its weights.
_FINGERPRINTS = {'inception_v3': 'Mixed_5b.branch1x1.conv.weight',
                 'inception_v4': 'features.3.conv.conv.weight',
                 'inception_resnet_v2': 'repeat.0.branch0.conv.weight'}
_BATCH_NORM = {'bias': 'beta', 'running_mean': 'moving_mean', 'running_var': 'moving_variance'}
_HEADS = ('fc', 'last_linear', 'classif', 'head.fc')  # what a classifier has been called
_AUX = 'AuxLogits/'


def recognize(path: str, names: Mapping[str, LazyTensor]) -> tuple[str, str]:
    """The network of a state dict, and what precedes its names, such as `module.`.

    Raises:
      CheckpointError: it is none that is known here.
    """
    for network, fingerprint in _FINGERPRINTS.items():
        for name in names:
            if name == fingerprint or name.endswith('.' + fingerprint):
                return network, name[:-len(fingerprint)]
    known = ', '.join(registry.NETWORKS[name].title for name in _FINGERPRINTS)
    shown = ', '.join(sorted(names)[:3]) or 'nothing'
    raise CheckpointError(f'{path} holds another network than {known}, as torchvision and timm '
                          f'name them: its {len(names)} tensors are such as {shown}.')


def build_imported_weights(path: str, version: str, state: Mapping[str, LazyTensor], *,
               averages: Mapping[str, LazyTensor] | None = None, pooling: str | None = None,
               input_scaling: tuple | None = None, notes: tuple[str, ...] = ()) -> ImportedWeights:
    """The variables of a state dict under TF-Slim's names.

    Args:
      path, version: of the file, for what is said of it.
      state: the tensors as PyTorch shapes them.
      averages: the same of the moving averages of the weights, where the file has them.
      pooling: as the file says; as PyTorch does where it does not say.
      input_scaling: see `Foreign`.
      notes: what is said of it besides.
    """
    network, prefix = recognize(path, state)
    tensors, found = _variables(path, network, state, prefix)
    said = [*notes, *found]
    scope = registry.NETWORKS[network].scope
    classes = tensors.get(f'{registry.NETWORKS[network].classifier}/biases')
    if pooling is None:
        pooling = 'average'
        if network == 'inception_v3':
            pooling = 'padded'
            if classes is not None and classes.shape == (CLASSES_OF_2015,):
                pooling = '2015'  # as pytorch-fid and torch-fidelity keep that network
    everything = {f'{scope}/{name}': tensor for name, tensor in tensors.items()}
    if averages is not None:
        averaged, _ = _variables(path, network, averages, recognize(path, averages)[1],
                                 gammas=any(name.endswith('gamma') for name in tensors))
        everything.update({f'{scope}/{name}{MOVING_AVERAGE}': tensor
                           for name, tensor in averaged.items()})
    return ImportedWeights(
        path,
        version,
        'torchvision and timm' if network == 'inception_v3' else 'timm',
        everything,
        pooling=pooling,
        input_scaling=input_scaling,
        notes=tuple(said),
    )


def _variables(path: str, network: str, state: Mapping[str, LazyTensor], prefix: str,
               gammas: bool | None = None) -> tuple[dict[str, LazyTensor], list[str]]:
    """By TF-Slim's names in the network's scope; and what is to be said."""
    known = registry.NETWORKS[network]
    left = {name[len(prefix):]: tensor for name, tensor in state.items()
            if name.startswith(prefix) and not name.endswith('num_batches_tracked')}
    tensors: dict[str, LazyTensor] = {}
    scales: dict[str, LazyTensor] = {}
    notes: list[str] = []
    for layer, module in torch_names(network).items():
        if layer == known.classifier:
            notes += _classifier(left, layer, tensors)
        elif f'{module}.conv.weight' in left:
            tensors[f'{layer}/weights'] = _transposed(path, left.pop(f'{module}.conv.weight'))
            for theirs, ours in _BATCH_NORM.items():
                if f'{module}.bn.{theirs}' in left:
                    tensors[f'{layer}/BatchNorm/{ours}'] = _plain(left.pop(f'{module}.bn.{theirs}'))
            if f'{module}.bn.weight' in left:
                scales[f'{layer}/BatchNorm/gamma'] = _plain(left.pop(f'{module}.bn.weight'))
        elif f'{module}.weight' in left and f'{module}.bias' in left:
            tensors[f'{layer}/weights'] = _transposed(
                path, left.pop(f'{module}.weight'), layer == known.aux_classifier)
            tensors[f'{layer}/biases'] = _plain(left.pop(f'{module}.bias'))
        elif not layer.startswith(_AUX):
            raise CheckpointError(f'{path} is incomplete: of {known.title} it has no {module}; '
                                  'find the whole.')
    if gammas is None:
        gammas = any(not np.array_equal(each.load(), np.ones(each.shape, np.float32))
                     for each in scales.values())
        if scales and not gammas:
            notes.append('Every gamma of its batch norm is 1, and left out.')
    if gammas:
        tensors.update(scales)
    if left:
        notes.append(f'Tensors of no layer of the network, left out: {len(left)}, such as '
                     f'{", ".join(sorted(left)[:3])}.')
    return tensors, notes


def _classifier(
    left: dict[str, LazyTensor], layer: str, tensors: dict[str, LazyTensor]
) -> list[str]:
    """Takes the classifier out of what is left: under any of its names, alone or in a row."""
    for head in _HEADS:
        rows = [name for name in left
                if re.fullmatch(rf'{re.escape(head)}(\.\w+)?\.weight', name)
                and len(left[name].shape) == 2]
        if len(rows) > 1:
            return [f'It ends with {len(rows)} dense layers, {head}, whose activations a state '
                    'dict does not say; its body alone is read, without a classifier.']
        if rows and rows[0].removesuffix('weight') + 'bias' in left:
            tensors[f'{layer}/weights'] = _transposed(
                '', left.pop(rows[0]), layer.startswith('Logits/Conv2d'))
            tensors[f'{layer}/biases'] = _plain(left.pop(rows[0].removesuffix('weight') + 'bias'))
            return []
    return ['It has no classifier; its body alone is read.']


def _plain(tensor: LazyTensor) -> LazyTensor:
    return LazyTensor(tensor.shape, np.dtype(np.float32),
                  lambda: np.asarray(tensor.load(), np.float32))


def _transposed(path: str, tensor: LazyTensor, as_convolution: bool = False) -> LazyTensor:
    """[out, in, height, width] as [height, width, in, out], or a dense layer's as [in, out]."""
    if len(tensor.shape) == 2:
        shape = tensor.shape[::-1]
        if as_convolution:
            shape = (1, 1, *shape)
        return LazyTensor(shape, np.dtype(np.float32), lambda: np.ascontiguousarray(
            tensor.load().T, np.float32).reshape(shape))
    if len(tensor.shape) != 4:
        raise CheckpointError(f'{path} has weights of {len(tensor.shape)} dimensions where '
                              'convolutions have 4; it is another network.')
    out, into, height, width = tensor.shape
    return LazyTensor(
        (height, width, into, out),
        np.dtype(np.float32),
        lambda: np.ascontiguousarray(np.transpose(tensor.load(), (2, 3, 1, 0)), np.float32),
    )


def state_dict(info: CheckpointInfo, weights: Mapping[str, np.ndarray], *,
               aux: bool = True) -> dict[str, np.ndarray]:
    """A network as torchvision and timm name it, for `load_state_dict(..., strict=True)`.

    Args:
      info, weights: from `checkpoint.read`.
      aux: with Inception V3's auxiliary head, where there is one.

    Raises:
      ExportError: neither library has the network, or pools as it does.
    """
    check(info)
    network = registry.NETWORKS[info.network]
    state: dict[str, np.ndarray] = {}
    for layer, module in torch_names(info.network).items():
        if f'{layer}/weights' not in weights or (layer.startswith(_AUX) and not aux):
            continue
        kernel = weights[f'{layer}/weights']
        dense = layer in (network.classifier, network.aux_classifier)
        kernel = np.ascontiguousarray(kernel.reshape(kernel.shape[-2:]).T if dense
                                      else np.transpose(kernel, (3, 2, 0, 1)))
        biases = weights.get(f'{layer}/biases')
        if dense or layer.endswith('/Conv2d_1x1') and 'Branch_' not in layer:
            state.update({f'{module}.weight': kernel, f'{module}.bias': weights[f'{layer}/biases']})
            continue
        ones = np.ones(len(kernel), np.float32)
        state[f'{module}.conv.weight'] = kernel
        if biases is not None:  # a batch norm that only adds
            values = (ones, biases, 0 * ones, np.float32(1 - BATCH_NORM_EPSILON) * ones)
        else:
            values = tuple(weights.get(f'{layer}/BatchNorm/{each}', ones) for each in (
                'gamma', 'beta', 'moving_mean', 'moving_variance'))
        for name, value in zip(('weight', 'bias', 'running_mean', 'running_var'), values):
            state[f'{module}.bn.{name}'] = value
        state[f'{module}.bn.num_batches_tracked'] = np.array(0, np.int64)
    return state


def check(info: CheckpointInfo) -> None:
    """Raises an ExportError where PyTorch's libraries have no such network."""
    title = registry.NETWORKS[info.network].title
    if not has_torch_names(info.network):
        raise ExportError(f'{title} is in neither torchvision nor timm as TF-Slim built it, which '
                          'have Inception V3, V4 and Inception-ResNet V2; take onnx.')
    if info.depth_multiplier not in (None, 1.0):
        raise ExportError(f'{info.path} is {title} at depth_multiplier={info.depth_multiplier:g}, '
                          'which torchvision and timm have at full width alone; take onnx.')
    if info.network == 'inception_v3' and info.pooling == 'average':
        raise ExportError(
            "PyTorch's Inception V3 counts the zeros around the grid when it averages and "
            "TF-Slim's does not, so that its answers would differ; write it all the same with "
            "pooling='padded' (--pooling padded), which takes the weights as if made for that.")
