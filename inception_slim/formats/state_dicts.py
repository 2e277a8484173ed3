"""Converts state dicts of torchvision, timm and facenet-pytorch to TF-Slim's variables and back.

Tensors are renamed and transposed; batch norm has the same epsilon, 0.001. PyTorch's Inception V3
includes the padding when its blocks average ('padded' pooling); V4 and Inception-ResNet V2 of timm
do not.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
from typing import TYPE_CHECKING

from inception_slim.checkpoint import (
    MOVING_AVERAGE,
    CheckpointInfo,
    ImportedWeights,
    LazyTensor,
    read,
)
from inception_slim.checkpoint.head import Head
from inception_slim.checkpoint.other_networks import describe_other_network
from inception_slim.data.labels import CLASSES_OF_2015
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.frozen_graph import predict
from inception_slim.formats.lazy_tensors import as_convolution, to_hwio, transform
from inception_slim.formats.name_maps import (
    has_torch_names,
    is_residual_projection,
    torch_names,
)
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import PredictFn

# Weights that only one network has.
_UNIQUE_WEIGHTS = {'inception_v3': 'Mixed_5b.branch1x1.conv.weight',
                 'inception_v4': 'features.3.conv.conv.weight',
                 'inception_resnet_v1': 'conv2d_4b.conv.weight',
                 'inception_resnet_v2': 'repeat.0.branch0.conv.weight'}
_BATCH_NORM = {'bias': 'beta', 'running_mean': 'moving_mean', 'running_var': 'moving_variance'}
_HEADS = ('fc', 'last_linear', 'classif', 'head.fc')  # names of the classifier
_AUX = 'AuxLogits/'


def recognize(path: str, names: Mapping[str, LazyTensor]) -> tuple[str, str]:
    """Returns the network of a state dict, and the prefix of its names, such as `module.`.

    Raises:
      CheckpointError: it is not a supported network.
    """
    for network, unique in _UNIQUE_WEIGHTS.items():
        for name in names:
            if name == unique or name.endswith('.' + unique):
                return network, name[:-len(unique)]
    other = describe_other_network(names)
    if other:
        raise CheckpointError(f'{path} is a file of {other}')
    supported = ', '.join(registry.NETWORKS[name].title for name in _UNIQUE_WEIGHTS)
    examples = f', such as {", ".join(sorted(names)[:3])}' if names else ''
    raise CheckpointError(f'{path} does not contain {supported} with the names of torchvision or '
                          f'timm; it has {len(names)} tensors{examples}.')


def build_imported_weights(
    path: str,
    version: str,
    state: Mapping[str, LazyTensor],
    *,
    averages: Mapping[str, LazyTensor] | None = None,
    pooling: str | None = None,
    input_scaling: tuple | None = None,
    notes: tuple[str, ...] = (),
) -> ImportedWeights:
    """Maps a state dict to TF-Slim's variables.

    Args:
      path: the file, for messages.
      version: the kind of file, for messages.
      state: the tensors, in PyTorch's shapes.
      averages: the same for the moving averages of the weights, if the file has them.
      pooling: the pooling that the file declares; that of the PyTorch network if None.
      input_scaling: see `ImportedWeights`.
      notes: further notes.
    """
    network, prefix = recognize(path, state)
    tensors, new_notes = _variables(path, network, state, prefix)
    scope = registry.NETWORKS[network].scope
    classes = tensors.get(f'{registry.NETWORKS[network].classifier}/biases')
    if pooling is None:
        pooling = 'average'
        if network == 'inception_v3':
            pooling = 'padded'
            if classes is not None and classes.shape == (CLASSES_OF_2015,):
                pooling = '2015'  # the network of pytorch-fid and torch-fidelity
    variables = {f'{scope}/{name}': tensor for name, tensor in tensors.items()}
    if averages is not None:
        averaged, _ = _variables(path, network, averages, recognize(path, averages)[1],
                                 gammas=any(name.endswith('gamma') for name in tensors))
        variables.update({f'{scope}/{name}{MOVING_AVERAGE}': tensor
                           for name, tensor in averaged.items()})
    return ImportedWeights(
        path,
        version,
        {'inception_v3': 'torchvision and timm', 'inception_resnet_v1': 'facenet-pytorch'}.get(
            network, 'timm'),
        variables,
        pooling=pooling,
        input_scaling=input_scaling,
        notes=(*notes, *new_notes),
    )


def _variables(path: str, network: str, state: Mapping[str, LazyTensor], prefix: str,
               gammas: bool | None = None) -> tuple[dict[str, LazyTensor], list[str]]:
    """The variables by TF-Slim's names in the network's scope, and notes.

    Args:
      gammas: whether to keep the gammas of batch norm; None keeps them unless all are 1.
    """
    known = registry.NETWORKS[network]
    left = {name[len(prefix):]: tensor for name, tensor in state.items()
            if name.startswith(prefix) and not name.endswith('num_batches_tracked')}
    tensors: dict[str, LazyTensor] = {}
    scales: dict[str, LazyTensor] = {}
    notes: list[str] = []
    for layer, module in torch_names(network).items():
        convolution, norm = _modules(module)
        if layer == known.classifier and not known.has_embedding:
            notes += _classifier(left, layer, tensors)
        elif f'{convolution}.weight' in left:
            tensors[f'{layer}/weights'] = _kernel(path, left, f'{convolution}.weight')
            for torch_name, slim_name in _BATCH_NORM.items():
                value = left.pop(f'{norm}.{torch_name}', None)
                if value is not None:
                    tensors[f'{layer}/BatchNorm/{slim_name}'] = _as_float32(value)
            if f'{norm}.weight' in left:
                scales[f'{layer}/BatchNorm/gamma'] = _as_float32(left.pop(f'{norm}.weight'))
        elif f'{module}.weight' in left and f'{module}.bias' in left:
            tensors[f'{layer}/weights'] = _kernel(
                path, left, f'{module}.weight', layer == known.aux_classifier)
            tensors[f'{layer}/biases'] = _as_float32(left.pop(f'{module}.bias'))
        elif not layer.startswith(_AUX):
            raise CheckpointError(f'{path} is incomplete: {module} of {known.title} is missing; '
                                  'copy it again.')
    if gammas is None:
        gammas = any(not np.array_equal(scale.load(), np.ones(scale.shape, np.float32))
                     for scale in scales.values())
        if scales and not gammas:
            notes.append('All gammas of batch norm are 1 and left out.')
    if gammas:
        tensors.update(scales)
    if left:
        notes.append(f'{len(left)} tensors do not belong to the network and are left out, such as '
                     f'{", ".join(sorted(left)[:3])}.')
    return tensors, notes


def _modules(module: str) -> tuple[str, str]:
    """The modules of a layer's convolution, or product, and of its batch norm."""
    if module == 'last_linear':  # facenet-pytorch's embedding
        return module, 'last_bn'
    return f'{module}.conv', f'{module}.bn'


def _classifier(
    left: dict[str, LazyTensor], layer: str, tensors: dict[str, LazyTensor]
) -> list[str]:
    """Moves the classifier from `left` to `tensors`; returns notes if that is not possible."""
    for head in _HEADS:
        rows = [name for name in left
                if re.fullmatch(rf'{re.escape(head)}(\.\w+)?\.weight', name)
                and len(left[name].shape) == 2]
        if len(rows) > 1:
            return [f'There are {len(rows)} dense layers, {head}, and a state dict does not record '
                    'their activations. Only the base network is read.']
        bias = rows[0].removesuffix('weight') + 'bias' if rows else None
        if bias in left:
            tensors[f'{layer}/weights'] = _kernel(
                '', left, rows[0], layer.startswith('Logits/Conv2d'))
            tensors[f'{layer}/biases'] = _as_float32(left.pop(bias))
            return []
    return ['There is no classifier; only the base network is read.']


def _as_float32(tensor: LazyTensor) -> LazyTensor:
    return transform(tensor, tensor.shape, lambda value: value)


def _kernel(path: str, left: dict[str, LazyTensor], name: str,
            is_convolution: bool = False) -> LazyTensor:
    """Takes a kernel out of `left`, in TensorFlow's order.

    Args:
      path: the file, for messages.
      left: tensors by name.
      name: of `[out, in, height, width]`, or of `[out, in]` of a dense layer.
      is_convolution: whether the dense layer is a 1×1 convolution in TF-Slim.
    """
    tensor = left.pop(name)
    if len(tensor.shape) == 2:
        dense = transform(tensor, tensor.shape[::-1], np.transpose)
        return as_convolution(dense) if is_convolution else dense
    if len(tensor.shape) != 4:
        raise CheckpointError(f'{path} has a convolution, {name}, with {len(tensor.shape)} '
                              'instead of 4 dimensions; it is another network.')
    return to_hwio(tensor)


def state_dict(info: CheckpointInfo, weights: Mapping[str, np.ndarray], *,
               aux: bool = True) -> dict[str, np.ndarray]:
    """Converts a network to a state dict for `load_state_dict(..., strict=True)`.

    Args:
      info: from `checkpoint.read`.
      weights: from `checkpoint.read`.
      aux: include Inception V3's auxiliary head if there is one.

    Raises:
      ExportError: none of the libraries has the network.
    """
    check(info)
    network = registry.NETWORKS[info.network]
    state: dict[str, np.ndarray] = {}
    for layer, module in torch_names(info.network).items():
        if f'{layer}/weights' not in weights or (layer.startswith(_AUX) and not aux):
            continue
        kernel = weights[f'{layer}/weights']
        convolution, norm = _modules(module)
        dense = layer in (network.classifier, network.aux_classifier)
        kernel = np.ascontiguousarray(kernel.reshape(kernel.shape[-2:]).T if dense
                                      else np.transpose(kernel, (3, 2, 0, 1)))
        biases = weights.get(f'{layer}/biases')
        if is_residual_projection(layer) or dense and not network.has_embedding:
            state.update({f'{module}.weight': kernel, f'{module}.bias': weights[f'{layer}/biases']})
            continue
        ones = np.ones(len(kernel), np.float32)
        state[f'{convolution}.weight'] = kernel
        if biases is not None:  # as a batch norm that only adds
            values = (ones, biases, 0 * ones, np.float32(1 - BATCH_NORM_EPSILON) * ones)
        else:
            values = tuple(weights.get(f'{layer}/BatchNorm/{parameter}', ones) for parameter in (
                'gamma', 'beta', 'moving_mean', 'moving_variance'))
        for name, value in zip(('weight', 'bias', 'running_mean', 'running_var'), values):
            state[f'{norm}.{name}'] = value
        state[f'{norm}.num_batches_tracked'] = np.array(0, np.int64)
    return state


def predict_file(path: str, head: Head) -> PredictFn:
    """Opens a written state dict, which gives logits; predictions are those of a head."""
    info, weights = read(path)
    info = dataclasses.replace(info, head=head)
    return lambda batch: predict(info, weights, batch)[1]


def check(info: CheckpointInfo) -> None:
    """Raises an ExportError if none of torchvision, timm and facenet-pytorch has the network."""
    title = registry.NETWORKS[info.network].title
    if not has_torch_names(info.network):
        raise ExportError(f'Neither torchvision nor timm has {title} as in TF-Slim; they have '
                          'Inception V3, V4 and Inception-ResNet V2. Choose onnx.')
    if not info.head.is_classic:
        raise ExportError(f'{info.path} has the head {info.head}; the networks of torchvision and '
                          'timm have one dense layer after an average. Choose onnx.')
    if info.depth_multiplier not in (None, 1.0):
        raise ExportError(f'{info.path} is {title} with depth_multiplier='
                          f'{info.depth_multiplier:g}; torchvision and timm have it at full width '
                          'only. Choose onnx.')
    if info.network == 'inception_v3' and info.pooling == 'average':
        raise ExportError(
            "PyTorch's Inception V3 includes the padding when its blocks average and TF-Slim's "
            "does not, so predictions would differ. To export the weights anyway, set "
            "pooling='padded' (--pooling padded).")
