"""What programs add around a network in a frozen graph: a retrained classifier, image scaling.

TensorFlow's `retrain.py` (2016 to 2018; the one of TensorFlow for Poets) put a dense layer and a
softmax, `final_result`, after the pooled features of a network, and froze both. The scopes changed
between versions (`final_weights`, `final_training_ops/weights/final_weights`,
`final_retrain_ops/weights/final_weights`), but all begin with `final_`.

Source: https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py and its
predecessors in TensorFlow's repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inception_slim.checkpoint import LazyTensor
from inception_slim.errors import CheckpointError
from inception_slim.formats.lazy_tensors import as_convolution
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

_SUMS = frozenset(('Add', 'AddV2', 'BiasAdd'))
# Operations that do not change the values of the features.
_PASSED = frozenset(('Identity', 'PlaceholderWithDefault', 'Reshape', 'Squeeze', 'StopGradient'))
_POOLING = frozenset(('AvgPool', 'Mean'))
# Operations between the image and the network that keep the range of the values.
_KEPT_RANGE = frozenset(('Identity', 'Cast', 'ExpandDims', 'Reshape', 'Squeeze', 'ResizeBilinear',
                         'ResizeBicubic', 'ResizeNearestNeighbor', 'PlaceholderWithDefault'))


@dataclass(frozen=True)
class Classifier:
    """A dense layer after the features of a network.

    Attributes:
      weights: `[features, classes]`.
      biases: `[classes]`.
    """

    weights: LazyTensor
    biases: LazyTensor


def find_classifier(path: str, nodes: Mapping[str, tf.NodeDef],
                    constants: Mapping[str, LazyTensor]) -> Classifier | None:
    """Finds the classifier of `retrain.py`; None if the graph has none.

    Args:
      path: the file, for messages.
      nodes: the nodes of the graph, by name.
      constants: its float constants, by name.

    Raises:
      CheckpointError: there is such a classifier, but not after the averaged features, or its
        outputs are not a softmax.
    """
    for node in nodes.values():
        if node.op != 'MatMul':
            continue
        name = constant_name(nodes, node.input[1])
        weights = constants.get(name)
        if weights is None or len(weights.shape) != 2 or 'final_' not in f'{name} {node.name}':
            continue
        total = next((other for other in nodes.values() if other.op in _SUMS
                      and _producer(nodes, other.input[0]) is node), None)
        biases = constants.get(constant_name(nodes, total.input[1])) if total else None
        if total is None or biases is None or biases.shape != weights.shape[1:]:
            raise CheckpointError(f'{path} has a dense layer, {node.name}, without biases; it is '
                                  'not a classifier of retrain.py.')
        activation = next((other.op for other in nodes.values() if other.input
                           and _producer(nodes, other.input[0]) is total), None)
        if activation not in ('Softmax', None):
            raise CheckpointError(f'{path} applies {activation} to its dense layer, {node.name}; '
                                  'a softmax, as in retrain.py, is needed.')
        features = _producer(nodes, node.input[0])
        while features is not None and features.op in _PASSED:
            features = _producer(nodes, features.input[0])
        if features is None or features.op not in _POOLING:
            after = 'nothing that is in the graph' if features is None else (
                f'{features.name}, a {features.op}')
            raise CheckpointError(f'{path} has a dense layer, {node.name}, after {after}; it must '
                                  'follow the average pooling of the network.')
        return Classifier(weights, biases)
    return None


def replace_classifier(tensors: dict[str, LazyTensor], network: registry.Network, scope: str,
                       classifier: Classifier) -> None:
    """Replaces the classifier in the variables of a network.

    Args:
      tensors: the variables; changed.
      network: the network.
      scope: the scope of the network's variables.
      classifier: the new one.
    """
    heads = tuple(f'{scope}/{head}/' for head in network.heads)
    for name in [name for name in tensors if name.startswith(heads)]:
        del tensors[name]
    weights = classifier.weights
    if not network.has_dense_classifier:
        weights = as_convolution(weights)
    tensors[f'{scope}/{network.classifier}/weights'] = weights
    tensors[f'{scope}/{network.classifier}/biases'] = classifier.biases


def find_input_scaling(nodes: Mapping[str, tf.NodeDef], constants: Mapping[str, LazyTensor],
                       ) -> tuple[np.ndarray, np.ndarray] | None:
    """How a graph scales its images before the first layer.

    Args:
      nodes: the nodes of the graph, by name.
      constants: its float constants, by name.

    Returns:
      See `ImportedWeights.input_scaling`. The images of a graph without scaling are in [-1, 1];
      other images are uint8 or in [0, 255], or in [0, 1] if the factor is that large.
    """
    scale, shift = np.ones(3), np.zeros(3)
    node = next((_producer(nodes, layer.input[0]) for layer in nodes.values()
                 if layer.op in ('Conv2D', 'DepthwiseConv2dNative')
                 and (kernel := constants.get(constant_name(nodes, layer.input[1]))) is not None
                 and kernel.shape[2:3] == (3,)), None)
    while node is not None and node.input:
        if node.op in _KEPT_RANGE:
            node = _producer(nodes, node.input[0])
            continue
        operands = [constants.get(constant_name(nodes, name)) for name in node.input[:2]]
        position, operand = next(((index, operand) for index, operand in enumerate(operands)
                                  if operand is not None), (0, None))
        if operand is None or operand.load().size not in (1, 3):
            break
        value = operand.load().astype(np.float64).ravel()
        if node.op in ('Add', 'AddV2', 'BiasAdd'):
            shift = shift + scale * value
        elif node.op == 'Sub' and position == 1:
            shift = shift - scale * value
        elif node.op == 'Mul':
            scale = scale * value
        elif node.op in ('RealDiv', 'Div') and position == 1:
            scale = scale / value
        else:
            break
        node = _producer(nodes, node.input[1 - position])
    if np.allclose(scale, 1) and np.allclose(shift, 0):
        return None
    # Images in [-1, 1] times 127.5, plus 127.5, are in [0, 255].
    half = 127.5 if np.abs(scale).max() < 0.5 else 0.5
    scaling = (half * scale, half * scale + shift)
    return None if np.allclose(scaling, [[1] * 3, [0] * 3], atol=1e-6) else scaling


def _producer(nodes: Mapping[str, tf.NodeDef], name: str) -> tf.NodeDef | None:
    return nodes.get(name.removeprefix('^').split(':')[0])


def constant_name(nodes: Mapping[str, tf.NodeDef], name: str) -> str:
    """The name of the constant that an input is; '' if it is none."""
    node = _producer(nodes, name)
    while node is not None and node.op in ('Identity', 'ReadVariableOp'):
        node = _producer(nodes, node.input[0])
    return node.name if node is not None and node.op == 'Const' else ''
