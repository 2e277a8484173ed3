"""The same network in PyTorch, and as an ONNX model: for runtimes that this package competes with.

Each is written from the graph that inception_slim runs itself, weights and all.
"""

from __future__ import annotations

from inception_slim.inference.engines.onnxruntime_engine import build_model
from inception_slim.inference.ir import Op, to_ops
import numpy as np
import tensorflow.compat.v1 as tf


def onnx_model(graph: tf.Graph) -> bytes:
    """An ONNX model of `[N, 3, side, side]` float32 to logits."""
    side = graph.get_tensor_by_name('inputs:0').shape[1]
    return build_model(list(to_ops(graph)), side, output='logits', channels_last=False)


def torch_model(graph: tf.Graph):
    """A PyTorch module of `[N, 3, side, side]` float32 to logits."""
    import torch
    from torch.nn import functional

    def padded(value, step: Op, filler: float):
        """The value, and what padding is left for the operation itself, which pads evenly."""
        top, left, bottom, right = step.padding
        if (top, left) == (bottom, right):
            return value, (top, left)
        return functional.pad(value, (left, right, top, bottom), value=filler), (0, 0)

    class Inception(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.steps = []
            for index, step in enumerate(to_ops(graph)):
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
