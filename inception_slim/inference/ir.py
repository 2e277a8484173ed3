"""The intermediate representation (IR) of a network: a list of ops that every engine is built from.

The inference graph of an Inception network consists of convolutions, pools, concatenations and
sums. The ops are read from the graph that this package itself runs, so that every engine gets the
folded batch norm and the pooling after the 1×1 convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import functools
from typing import Any, NamedTuple

from inception_slim.checkpoint.options import PREWHITEN
from inception_slim.data.preprocessing import min_deviation
from inception_slim.inference.graph import EMBEDDING_EPSILON, graph_without_weights
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

INPUTS = 'inputs'
_PREWHITENED = f'{PREWHITEN}/images'


class Op(NamedTuple):
    """One operation; tensors are channels first.

    Attributes:
      kind: conv, dense, relu, max_pool, avg_pool, concat, add, scale, prewhiten, flatten, softmax,
        sigmoid, linear (which changes nothing) or normalize.
      inputs: names of the values that it takes.
      output: name of the value that it computes.
      weights: `[out, in / groups, height, width]`; of a dense layer, `[in, out]`.
      biases: `[out]`.
      kernel: height and width of the window.
      stride: the same in both directions.
      padding: top, left, bottom, right.
      groups: of a convolution; as many as input channels if it is depthwise.
      factor: of the kind 'scale'; of 'prewhiten', the smallest deviation; of 'normalize', the
        smallest squared length.
      count_include_pad: an average counts the zeros of the padding.
      scales: `[out]`, the quantization scales of int8 weights.
      means: `[out]`, of a convolution, estimates of the means of its channels after their ReLU;
        None if they are unknown.
    """

    kind: str
    inputs: list[str]
    output: str
    weights: Any = None
    biases: Any = None
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    factor: float = 1.0
    count_include_pad: bool = False
    scales: Any = None
    means: Any = None


def to_ops(graph: tf.Graph, weights: Mapping[str, np.ndarray] | None = None,
           output: str = 'logits', means: Mapping[str, np.ndarray] | None = None) -> list[Op]:
    """Reads the ops from 'inputs' to an output, in execution order.

    Args:
      graph: from `constant_graph` or `graph_with_placeholders`.
      weights: from `graph_with_placeholders`.
      output: 'logits' or 'features'; the last op has that name and computes `[N, channels]`.
      means: from `relu_means`, for the convolutions.

    Raises:
      ValueError: the graph has an operation of an unsupported type.
    """
    last = graph.get_operation_by_name(output)
    return _GraphReader(graph, last, weights or {}, means or {}).read()


@functools.cache
def network_ops(name: str, pooling: str) -> tuple[Op, ...]:
    """The ops of a network from 'inputs' to 'features', with zeros as its weights.

    Args:
      name: the network.
      pooling: how its pooled branches pool, one of `nets.POOLINGS`; before the 1×1 convolution.
    """
    graph, weights = graph_without_weights(registry.NETWORKS[name], pooling)
    return tuple(to_ops(graph, weights, 'features'))


def users_of(ops: Sequence[Op]) -> dict[str, list[Op]]:
    """The ops that take a value, by its name."""
    users: dict[str, list[Op]] = {}
    for op in ops:
        for name in op.inputs:
            users.setdefault(name, []).append(op)
    return users


def head_ops(layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str,
             names: Sequence[str] = ()) -> list[Op]:
    """The ops from 'features' to the logits and 'predictions', or to 'embeddings' of length 1.

    Args:
      layers: weights, of dense layers or 1×1 convolutions, and biases; the last is the classifier
        or the embedding. There are ReLUs between them.
      activation: of the last layer, one of `OUTPUT_ACTIVATIONS`; 'normalize' for an embedding.
      names: of the layers' values; by default the last one is 'logits'.
    """
    names = names or [*(f'hidden_{number}' for number in range(len(layers) - 1)), 'logits']
    ops: list[Op] = []
    for (weights, biases), name in zip(layers, names):
        if ops:
            ops.append(Op('relu', [ops[-1].output], f'{ops[-1].output}/relu'))
        ops.append(Op('dense', [ops[-1].output if ops else 'features'], name,
                      weights.reshape(weights.shape[-2:]), biases))
    if activation == 'normalize':
        return [*ops, Op('normalize', [ops[-1].output], 'embeddings', factor=EMBEDDING_EPSILON)]
    return [*ops, Op(activation, [ops[-1].output], 'predictions')]


def pooled_grid(ops: Sequence[Op]) -> tuple[str, Op]:
    """The last grid of a network, and the op by which it becomes 'features'.

    Args:
      ops: from `to_ops`.

    Returns:
      The name of the grid's value; an op of the kind 'avg_pool', 'max_pool' or 'flatten'.
    """
    producers = {op.output: op for op in ops}
    op = ops[-1]
    while op.kind == 'flatten':
        source = op.inputs[0]
        op = producers[source]
    is_pool = op.kind in ('avg_pool', 'max_pool') and not any(op.padding)
    return (op.inputs[0], op) if is_pool else (source, ops[-1])


class _GraphReader:
    """Translates TensorFlow operations to ops."""

    def __init__(self, graph: tf.Graph, last: tf.Operation, weights: Mapping[str, np.ndarray],
                 means: Mapping[str, np.ndarray]):
        self._last = last
        self._weights = weights
        self._means = means
        needed, waiting = set(), [last]
        while waiting:
            operation = waiting.pop()
            if operation not in needed:
                needed.add(operation)
                if operation.name != _PREWHITENED:  # one op of ours, several of TensorFlow's
                    waiting += [tensor.op for tensor in operation.inputs]
        self._operations = [op for op in graph.get_operations() if op in needed and op is not last]
        self._aliases: dict[str, str] = {}  # a value -> the value that it equals
        # A padded value -> the value inside, and the zeros around it.
        self._padded: dict[str, tuple[str, tuple[int, int, int, int]]] = {}

    def read(self) -> list[Op]:
        ops = []
        for operation in self._operations:
            if operation.name == _PREWHITENED:
                size = operation.outputs[0].shape[1:].num_elements()
                ops.append(Op(PREWHITEN, [INPUTS], operation.name, factor=min_deviation(size)))
                continue
            if operation.type not in _HANDLERS:
                raise ValueError(f'{operation.name} has the type {operation.type}, which is not '
                                 'supported.')
            handler = _HANDLERS[operation.type]
            if handler is not None:
                op = handler(self, operation)
                if op is not None:
                    ops.append(op)
        return [*ops, Op('flatten', self._inputs(self._last)[:1], self._last.name)]

    def _inputs(self, operation: tf.Operation) -> list[str]:
        return [self._resolve(tensor.op.name) for tensor in operation.inputs]

    def _resolve(self, name: str) -> str:
        while name in self._aliases:
            name = self._aliases[name]
        return name

    def _constant(self, tensor: tf.Tensor) -> np.ndarray:
        value = self._weights.get(tensor.op.name)
        return tf.make_ndarray(tensor.op.get_attr('value')) if value is None else value

    def _biases(self, operation: tf.Operation, channels: int) -> np.ndarray:
        """The biases that are added to a product, or zeros; their sum becomes its alias."""
        for consumer in operation.outputs[0].consumers():
            if consumer.type == 'BiasAdd':
                self._aliases[consumer.name] = operation.name
                return self._constant(consumer.inputs[1])
        return np.zeros(channels, np.float32)

    # Handlers of operation types. None stands for no op of its own.

    def _alias(self, operation: tf.Operation) -> None:
        self._aliases[operation.name] = operation.inputs[0].op.name

    def _pad(self, operation: tf.Operation) -> None:  # before an average pool
        (top, bottom), (left, right) = self._constant(operation.inputs[1])[1:3].tolist()
        self._padded[operation.name] = self._inputs(operation)[0], (top, left, bottom, right)

    def _conv(self, operation: tf.Operation) -> Op:
        weights = self._constant(operation.inputs[1])
        kernel, stride, groups = weights.shape[:2], operation.get_attr('strides')[1], 1
        means = None
        if operation.type == 'Conv2D':
            # The weights are named NETWORK/LAYER/weights.
            layer = operation.inputs[1].op.name.partition('/')[2].rpartition('/')[0]
            means = self._means.get(layer)
            weights = weights.transpose(3, 2, 0, 1)
        else:  # depthwise: each input channel is a group
            groups = weights.shape[2]
            weights = weights.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel)
        return Op('conv', self._inputs(operation)[:1], operation.name, weights,
                  self._biases(operation, len(weights)), kernel, stride,
                  _padding(operation, kernel, stride), groups, means=means)

    def _dense(self, operation: tf.Operation) -> Op:
        weights = self._constant(operation.inputs[1])
        return Op('dense', self._inputs(operation)[:1], operation.name, weights,
                  self._biases(operation, weights.shape[1]))

    def _pool(self, operation: tf.Operation) -> Op:
        kernel = tuple(operation.get_attr('ksize')[1:3])
        stride = operation.get_attr('strides')[1]
        source = self._inputs(operation)[0]
        source, zeros = self._padded.get(source, (source, None))
        return Op('max_pool' if operation.type == 'MaxPool' else 'avg_pool', [source],
                  operation.name, kernel=kernel, stride=stride,
                  padding=zeros or _padding(operation, kernel, stride),
                  count_include_pad=zeros is not None)

    def _mean(self, operation: tf.Operation) -> Op:  # over the whole grid
        height, width = operation.inputs[0].shape.as_list()[1:3]
        return Op('avg_pool', self._inputs(operation)[:1], operation.name, kernel=(height, width))

    def _relu(self, operation: tf.Operation) -> Op:
        return Op('relu', self._inputs(operation), operation.name)

    def _concat(self, operation: tf.Operation) -> Op:
        return Op('concat', self._inputs(operation)[:-1], operation.name)

    def _add(self, operation: tf.Operation) -> Op:
        return Op('add', self._inputs(operation), operation.name)

    def _scale(self, operation: tf.Operation) -> Op:  # a residual branch, by a constant
        position = [tensor.op.type for tensor in operation.inputs].index('Const')
        return Op('scale', [self._inputs(operation)[1 - position]], operation.name,
                  factor=float(self._constant(operation.inputs[position])))

    def _flatten(self, operation: tf.Operation) -> Op:
        return Op('flatten', self._inputs(operation)[:1], operation.name)


_HANDLERS: dict[str, Callable[[_GraphReader, tf.Operation], Op | None] | None] = {
    'Placeholder': None,
    'Const': None,
    'Identity': _GraphReader._alias,
    'Transpose': _GraphReader._alias,  # of the last grid, to channels first, as all values here are
    'BiasAdd': None,  # read with the product before it
    'Pad': _GraphReader._pad,
    'Conv2D': _GraphReader._conv,
    'DepthwiseConv2dNative': _GraphReader._conv,
    'MatMul': _GraphReader._dense,
    'MaxPool': _GraphReader._pool,
    'AvgPool': _GraphReader._pool,
    'Mean': _GraphReader._mean,
    'Relu': _GraphReader._relu,
    'ConcatV2': _GraphReader._concat,
    'AddV2': _GraphReader._add,
    'Mul': _GraphReader._scale,
    'Squeeze': _GraphReader._flatten,
    'Reshape': _GraphReader._flatten,
}


def _padding(operation: tf.Operation, kernel: tuple[int, int],
             stride: int) -> tuple[int, int, int, int]:
    """The zeros of TensorFlow's 'SAME'; an odd one is at the bottom or on the right."""
    if operation.get_attr('padding') == b'VALID':
        return 0, 0, 0, 0
    sides = operation.inputs[0].shape.as_list()[1:3]
    height, width = (max(0, (-(-side // stride) - 1) * stride + window - side)
                     for side, window in zip(sides, kernel))
    return height // 2, width // 2, height - height // 2, width - width // 2
