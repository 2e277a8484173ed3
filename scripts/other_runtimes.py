"""The same frozen graph in other runtimes: ONNX Runtime, OpenVINO and PyTorch.

Inception's inference graph is convolutions, pools and concatenations; each is written again as the
runtime has it, from the graph that inception_slim itself runs, weights and all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf


class Step(NamedTuple):
    """One operation: what kind, from which values, to which, and how."""

    kind: str  # conv, relu, max_pool, avg_pool, concat, flatten
    inputs: list[str]
    output: str
    weights: np.ndarray | None = None  # [height, width, in, out]
    biases: np.ndarray | None = None
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)


def steps(definition: tf.GraphDef) -> Iterator[Step]:
    """The operations from 'inputs' to 'logits', in order."""
    nodes = {node.name: node for node in definition.node}
    constants = {node.name: tf.make_ndarray(node.attr['value'].tensor)
                 for node in definition.node if node.op == 'Const'}
    same = {}  # a value that is another one, by another name

    def source(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    def constant(name: str) -> np.ndarray:
        while name not in constants:
            name = nodes[name].input[0]
        return constants[name]

    biases = {node.input[0]: node for node in definition.node if node.op == 'BiasAdd'}
    for node in definition.node:
        inputs = [source(each) for each in node.input]
        if node.op in ('Conv2D', 'MaxPool', 'AvgPool'):
            if node.op == 'Conv2D':
                weights = constant(node.input[1])
                kernel = weights.shape[:2]
            else:
                kernel = tuple(node.attr['ksize'].list.i)[1:3]
            padding = tuple((side - 1) // 2 for side in kernel)
            if node.attr['padding'].s == b'VALID':
                padding = (0, 0)
            stride = node.attr['strides'].list.i[1]
            if node.op == 'Conv2D':
                added = biases[node.name]
                yield Step('conv', inputs[:1], added.name, weights, constant(added.input[1]),
                           kernel, stride, padding)
            else:
                kind = 'max_pool' if node.op == 'MaxPool' else 'avg_pool'
                yield Step(kind, inputs, node.name, kernel=kernel, stride=stride, padding=padding)
        elif node.op == 'Relu':
            yield Step('relu', inputs, node.name)
        elif node.op == 'ConcatV2':
            yield Step('concat', inputs[:-1], node.name)
        elif node.op == 'Squeeze':
            yield Step('flatten', inputs, node.name)
        elif node.op == 'Identity' and node.input[0] not in constants:
            same[node.name] = node.input[0]
        elif node.op not in ('BiasAdd', 'Const', 'Placeholder', 'Identity'):
            raise ValueError(f'{node.name} is a {node.op}, which is not written for others yet')
    yield Step('flatten', [source('logits')], 'logits')


def onnx_model(definition: tf.GraphDef) -> bytes:
    """An ONNX model of `[N, 3, side, side]` float32 to logits."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, weights = [], []
    for step in steps(definition):
        name = step.output
        window = {'kernel_shape': step.kernel, 'strides': (step.stride, step.stride),
                  'pads': (*step.padding, *step.padding)}
        if step.kind == 'conv':
            arrays = {'weights': step.weights.transpose(3, 2, 0, 1), 'biases': step.biases}
            inputs = [f'{name}:{key}' for key in arrays]
            weights += [numpy_helper.from_array(np.ascontiguousarray(value), key)
                        for key, value in zip(inputs, arrays.values())]
            nodes.append(helper.make_node('Conv', [*step.inputs, *inputs], [name], **window))
        elif step.kind in ('max_pool', 'avg_pool'):
            operation = 'MaxPool' if step.kind == 'max_pool' else 'AveragePool'
            nodes.append(helper.make_node(operation, step.inputs, [name], **window))
        elif step.kind == 'concat':
            nodes.append(helper.make_node('Concat', step.inputs, [name], axis=1))
        else:
            operation = {'relu': 'Relu', 'flatten': 'Flatten'}[step.kind]
            nodes.append(helper.make_node(operation, step.inputs, [name]))
    side = next(node for node in definition.node if node.op == 'Placeholder'
                ).attr['shape'].shape.dim[1].size
    graph = helper.make_graph(
        nodes, 'inception',
        [helper.make_tensor_value_info('inputs', TensorProto.FLOAT, ('N', 3, side, side))],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, ('N', None))], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def torch_model(definition: tf.GraphDef):
    """A PyTorch module of `[N, 3, side, side]` float32 to logits."""
    import torch
    from torch.nn import functional

    class Inception(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.steps = []
            for index, step in enumerate(steps(definition)):
                if step.kind == 'conv':
                    for key in ('weights', 'biases'):
                        value = getattr(step, key)
                        value = value.transpose(3, 2, 0, 1) if key == 'weights' else value
                        self.register_buffer(f'{key}{index}', torch.from_numpy(value.copy()))
                self.steps.append((index, step._replace(weights=None, biases=None)))

        def forward(self, images):
            values = {'inputs': images}
            for index, step in self.steps:
                inputs = [values[name] for name in step.inputs]
                if step.kind == 'conv':
                    value = functional.conv2d(
                        inputs[0], getattr(self, f'weights{index}'),
                        getattr(self, f'biases{index}'), step.stride, step.padding)
                elif step.kind == 'max_pool':
                    value = functional.max_pool2d(inputs[0], step.kernel, step.stride,
                                                  step.padding)
                elif step.kind == 'avg_pool':
                    value = functional.avg_pool2d(inputs[0], step.kernel, step.stride,
                                                  step.padding, count_include_pad=False)
                elif step.kind == 'concat':
                    value = torch.cat(inputs, 1)
                elif step.kind == 'relu':
                    value = functional.relu(inputs[0])
                else:
                    value = inputs[0].flatten(1)
                values[step.output] = value
            return values['logits']

    return Inception().eval()
