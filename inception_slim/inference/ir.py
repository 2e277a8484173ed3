"""A network as a list of steps, from which engines other than TensorFlow's are built.

An Inception network's inference graph is convolutions, pools, concatenations and sums. It is read
from the graph that this package runs itself, so that what that has learnt (folded batch norm,
pooling after the 1×1 convolution) is in every engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

INPUTS = 'inputs'


class Op(NamedTuple):
    """One operation: what kind, from which values, to which, and how; channels come first."""

    # conv, dense, relu, max_pool, avg_pool, concat, add, scale, shift, flatten, softmax
    kind: str
    inputs: list[str]
    output: str
    # An array where the kind has weights: [out, in / groups, height, width]; of dense [in, out].
    weights: Any = None
    biases: Any = None  # likewise, [out]
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    groups: int = 1
    factor: float = 1.0
    counts_padding: bool = False  # an average counts the zeros around the grid
    unit: Any = None  # [out], of weights in eight bits: what a 1 in them stands for


def to_ops(graph: tf.Graph, weights: Mapping[str, np.ndarray] | None = None,
          output: str = 'logits') -> Iterator[Op]:
    """The operations from 'inputs' to an output, in order.

    Args:
      graph: of `inference.constant_graph`, or of `inference.graph.outline`.
      weights: of the outline, by op name.
      output: 'logits' or 'features'; the last step has that name, and gives `[N, channels]`.

    Raises:
      ValueError: the graph has an operation of another kind.
    """
    values = _Values(weights or {})
    last = graph.get_operation_by_name(output)
    needed, waiting = set(), [last]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [each.op for each in op.inputs]
    same: dict[str, str] = {}  # a value that is another one, by another name
    # A value with zeros around it: the value, and the zeros.
    padded: dict[str, tuple[str, Any]] = {}

    def source(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    for op in graph.get_operations():
        if op not in needed or op.type in ('Placeholder', 'Const'):
            continue
        inputs = [source(each.op.name) for each in op.inputs]
        if op.type in ('Conv2D', 'DepthwiseConv2dNative', 'MatMul'):
            yield _multiplication(op, inputs, values)
            for added in op.outputs[0].consumers():
                if added.type == 'BiasAdd':
                    same[added.name] = op.name
        elif op.type in ('MaxPool', 'AvgPool'):
            kernel = tuple(op.get_attr('ksize')[1:3])
            stride = op.get_attr('strides')[1]
            value, zeros = padded.get(inputs[0], (inputs[0], None))
            yield Op('max_pool' if op.type == 'MaxPool' else 'avg_pool', [value], op.name,
                       kernel=kernel, stride=stride, counts_padding=zeros is not None,
                       padding=zeros or _padding(op, kernel, stride))
        elif op.type == 'Pad':  # before an average
            (top, bottom), (left, right) = values.of(op.inputs[1])[1:3].tolist()
            padded[op.name] = inputs[0], (top, left, bottom, right)
        elif op.type == 'Mean':  # over the whole grid
            height, width = op.inputs[0].shape.as_list()[1:3]
            yield Op('avg_pool', inputs[:1], op.name, kernel=(height, width))
        elif op.type == 'Relu':
            yield Op('relu', inputs, op.name)
        elif op.type == 'ConcatV2':
            yield Op('concat', inputs[:-1], op.name)
        elif op.type == 'AddV2':
            yield Op('add', inputs, op.name)
        elif op.type == 'Mul':  # a residual branch, by a constant
            at = [each.op.type for each in op.inputs].index('Const')
            yield Op('scale', [inputs[1 - at]], op.name, factor=float(values.of(op.inputs[at])))
        elif op.type in ('Squeeze', 'Reshape'):
            yield Op('flatten', inputs[:1], op.name)
        elif op.type == 'Identity' and op is not last:
            same[op.name] = inputs[0]
        elif op.type not in ('BiasAdd', 'Identity'):
            raise ValueError(f'{op.name} is a {op.type}, which is not written for others yet')
    yield Op('flatten', [source(last.inputs[0].op.name)], output)


def head_ops(weights: np.ndarray, biases: np.ndarray, name: str = 'logits') -> list[Op]:
    """From 'features' to the logits, of this name, and 'predictions'.

    Args:
      weights: of a 1×1 convolution, or of a dense layer.
    """
    return [Op('dense', ['features'], name, weights.reshape(weights.shape[-2:]), biases),
            Op('softmax', [name], 'predictions')]


class _Values:
    """Constants of a graph, whether they are in it or beside it."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._weights = weights

    def of(self, tensor: tf.Tensor) -> np.ndarray:
        found = self._weights.get(tensor.op.name)
        return tf.make_ndarray(tensor.op.get_attr('value')) if found is None else found


def _multiplication(op: tf.Operation, inputs: list[str], values: _Values) -> Op:
    weights = values.of(op.inputs[1])
    added = [each for each in op.outputs[0].consumers() if each.type == 'BiasAdd']
    biases = values.of(added[0].inputs[1]) if added else None
    if op.type == 'MatMul':
        return Op('dense', inputs[:1], op.name, weights, biases)
    kernel, stride, groups = weights.shape[:2], op.get_attr('strides')[1], 1
    if op.type == 'Conv2D':
        weights = weights.transpose(3, 2, 0, 1)
    else:  # each input channel has outputs of its own
        groups = weights.shape[2]
        weights = weights.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel)
    if biases is None:
        biases = np.zeros(len(weights), np.float32)
    return Op('conv', inputs[:1], op.name, weights, biases, kernel, stride,
                _padding(op, kernel, stride), groups)


def _padding(op: tf.Operation, kernel: tuple[int, int],
             stride: int) -> tuple[int, int, int, int]:
    """What TensorFlow's 'SAME' adds, which is more at the end where it is odd."""
    if op.get_attr('padding') == b'VALID':
        return 0, 0, 0, 0
    sides = op.inputs[0].shape.as_list()[1:3]
    height, width = (max(0, (-(-side // stride) - 1) * stride + wide - side)
                     for side, wide in zip(sides, kernel))
    return height // 2, width // 2, height - height // 2, width - width // 2
