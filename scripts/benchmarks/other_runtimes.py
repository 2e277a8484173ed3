"""The same network in other runtimes: ONNX Runtime, OpenVINO and PyTorch.

An Inception network's inference graph is convolutions, pools, concatenations and sums; each is
written again as the runtime has it, from the graph that inception_slim runs, weights and all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf


class Step(NamedTuple):
    """One operation: what kind, from which values, to which, and how; channels come first."""

    kind: str  # conv, dense, relu, max_pool, avg_pool, concat, add, scale, flatten
    inputs: list[str]
    output: str
    weights: np.ndarray | None = None  # [out, in / groups, height, width]; dense: [in, out]
    biases: np.ndarray | None = None
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    groups: int = 1
    factor: float = 1.0


def steps(graph: tf.Graph) -> Iterator[Step]:
    """The operations from 'inputs' to 'logits', in order, of `inference.constant_graph`."""
    logits = graph.get_operation_by_name('logits')
    needed, waiting = set(), [logits]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [each.op for each in op.inputs]
    same = {}  # a value that is another one, by another name

    def source(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    for op in graph.get_operations():
        if op not in needed or op.type in ('Placeholder', 'Const'):
            continue
        inputs = [source(each.op.name) for each in op.inputs]
        if op.type in ('Conv2D', 'DepthwiseConv2dNative', 'MatMul'):
            yield multiplication(op, inputs)
            for added in op.outputs[0].consumers():
                if added.type == 'BiasAdd':
                    same[added.name] = op.name
        elif op.type in ('MaxPool', 'AvgPool'):
            kernel = tuple(op.get_attr('ksize')[1:3])
            stride = op.get_attr('strides')[1]
            yield Step('max_pool' if op.type == 'MaxPool' else 'avg_pool', inputs, op.name,
                       kernel=kernel, stride=stride, padding=padding_of(op, kernel, stride))
        elif op.type == 'Relu':
            yield Step('relu', inputs, op.name)
        elif op.type == 'ConcatV2':
            yield Step('concat', inputs[:-1], op.name)
        elif op.type == 'AddV2':
            yield Step('add', inputs, op.name)
        elif op.type == 'Mul':  # a residual branch, by a constant
            at = [each.op.type for each in op.inputs].index('Const')
            yield Step('scale', [inputs[1 - at]], op.name, factor=float(constant(op.inputs[at])))
        elif op.type in ('Squeeze', 'Reshape'):
            yield Step('flatten', inputs[:1], op.name)
        elif op.type == 'Identity' and op is not logits:
            same[op.name] = inputs[0]
        elif op.type not in ('BiasAdd', 'Identity'):
            raise ValueError(f'{op.name} is a {op.type}, which is not written for others yet')
    yield Step('flatten', [source(logits.inputs[0].op.name)], 'logits')


def multiplication(op: tf.Operation, inputs: list[str]) -> Step:
    weights = constant(op.inputs[1])
    added = [each for each in op.outputs[0].consumers() if each.type == 'BiasAdd']
    biases = constant(added[0].inputs[1]) if added else None
    if op.type == 'MatMul':
        return Step('dense', inputs[:1], op.name, weights, biases)
    kernel, stride, groups = weights.shape[:2], op.get_attr('strides')[1], 1
    if op.type == 'Conv2D':
        weights = weights.transpose(3, 2, 0, 1)
    else:  # each input channel has outputs of its own
        groups = weights.shape[2]
        weights = weights.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel)
    if biases is None:
        biases = np.zeros(len(weights), np.float32)
    return Step('conv', inputs[:1], op.name, weights, biases, kernel, stride,
                padding_of(op, kernel, stride), groups)


def constant(tensor: tf.Tensor) -> np.ndarray:
    return tf.make_ndarray(tensor.op.get_attr('value'))


def padding_of(op: tf.Operation, kernel: tuple[int, int],
               stride: int) -> tuple[int, int, int, int]:
    """What TensorFlow's 'SAME' adds, which is more at the end where it is odd."""
    if op.get_attr('padding') == b'VALID':
        return 0, 0, 0, 0
    sides = op.inputs[0].shape.as_list()[1:3]
    height, width = (max(0, (-(-side // stride) - 1) * stride + wide - side)
                     for side, wide in zip(sides, kernel))
    return height // 2, width // 2, height - height // 2, width - width // 2


def onnx_model(graph: tf.Graph) -> bytes:
    """An ONNX model of `[N, 3, side, side]` float32 to logits."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, weights = [], []

    def kept(name: str, value) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    for step in steps(graph):
        name, inputs = step.output, step.inputs
        window = {'kernel_shape': step.kernel, 'strides': (step.stride, step.stride),
                  'pads': step.padding}
        if step.kind in ('conv', 'dense'):
            inputs = [*inputs, kept(f'{name}:weights', step.weights),
                      kept(f'{name}:biases', step.biases)]
        elif step.kind == 'scale':
            inputs = [*inputs, kept(f'{name}:factor', step.factor)]
        operation, attributes = {
            'conv': ('Conv', {**window, 'group': step.groups}), 'dense': ('Gemm', {}),
            'max_pool': ('MaxPool', window), 'avg_pool': ('AveragePool', window),
            'relu': ('Relu', {}), 'concat': ('Concat', {'axis': 1}), 'add': ('Add', {}),
            'scale': ('Mul', {}), 'flatten': ('Flatten', {})}[step.kind]
        nodes.append(helper.make_node(operation, inputs, [name], **attributes))
    side = graph.get_tensor_by_name('inputs:0').shape[1]
    model = helper.make_model(
        helper.make_graph(
            nodes, 'inception',
            [helper.make_tensor_value_info('inputs', TensorProto.FLOAT, ('N', 3, side, side))],
            [helper.make_tensor_value_info('logits', TensorProto.FLOAT, ('N', None))], weights),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def torch_model(graph: tf.Graph):
    """A PyTorch module of `[N, 3, side, side]` float32 to logits."""
    import torch
    from torch.nn import functional

    def padded(value, step: Step, filler: float):
        """The value, and what padding is left for the operation itself, which pads evenly."""
        top, left, bottom, right = step.padding
        if (top, left) == (bottom, right):
            return value, (top, left)
        return functional.pad(value, (left, right, top, bottom), value=filler), (0, 0)

    class Inception(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.steps = []
            for index, step in enumerate(steps(graph)):
                if step.weights is not None:
                    for key in ('weights', 'biases'):
                        value = np.ascontiguousarray(getattr(step, key))
                        self.register_buffer(f'{key}{index}', torch.from_numpy(value))
                self.steps.append((index, step._replace(weights=None, biases=None)))

        def forward(self, images):
            values = {'inputs': images}
            for index, step in self.steps:
                values[step.output] = self.run(index, step, [values[each] for each in step.inputs])
            return values['logits']

        def run(self, index, step, inputs):
            value = inputs[0]
            if step.kind in ('conv', 'dense'):
                weights, biases = getattr(self, f'weights{index}'), getattr(self, f'biases{index}')
                if step.kind == 'dense':
                    return value @ weights + biases
                value, padding = padded(value, step, 0.0)
                return functional.conv2d(value, weights, biases, step.stride, padding, 1,
                                         step.groups)
            if step.kind == 'max_pool':
                value, padding = padded(value, step, -torch.inf)
                return functional.max_pool2d(value, step.kernel, step.stride, padding)
            if step.kind == 'avg_pool':
                assert step.padding[:2] == step.padding[2:], 'nothing that averages pads unevenly'
                return functional.avg_pool2d(value, step.kernel, step.stride, step.padding[:2],
                                             count_include_pad=False)
            return {'relu': lambda: functional.relu(value), 'add': lambda: value + inputs[1],
                    'concat': lambda: torch.cat(inputs, 1), 'flatten': lambda: value.flatten(1),
                    'scale': lambda: value * step.factor}[step.kind]()

    return Inception().eval()
