"""The same network as an ONNX model and as a PyTorch module, for other runtimes.

Both are made from the graph that inception_slim runs, with its weights.
"""

from __future__ import annotations

from inception_slim.inference.engines.onnxruntime_engine import build_model
from inception_slim.inference.ir import Op, to_ops
import numpy as np
import tensorflow.compat.v1 as tf


def onnx_model(graph: tf.Graph) -> bytes:
    """An ONNX model from images `[N, 3, side, side]`, float32, to logits."""
    side = graph.get_tensor_by_name('inputs:0').shape[1]
    return build_model(to_ops(graph), side, output='logits', channels_last=False)


def torch_model(graph: tf.Graph):
    """A PyTorch module from images `[N, 3, side, side]`, float32, to logits."""
    import torch
    from torch.nn import functional

    def pad(value, op: Op, filler: float):
        """Pads a value if its padding is uneven; else returns the padding for the op itself."""
        top, left, bottom, right = op.padding
        if (top, left) == (bottom, right):
            return value, (top, left)
        return functional.pad(value, (left, right, top, bottom), value=filler), (0, 0)

    class Inception(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.ops = []
            for index, op in enumerate(to_ops(graph)):
                if op.weights is not None:
                    for key in ('weights', 'biases'):
                        value = np.ascontiguousarray(getattr(op, key))
                        self.register_buffer(f'{key}{index}', torch.from_numpy(value))
                self.ops.append((index, op._replace(weights=None, biases=None)))

        def forward(self, images):
            values = {'inputs': images}
            for index, op in self.ops:
                values[op.output] = self.run(index, op, [values[name] for name in op.inputs])
            return values['logits']

        def run(self, index, op, inputs):
            value = inputs[0]
            if op.kind in ('conv', 'dense'):
                weights, biases = getattr(self, f'weights{index}'), getattr(self, f'biases{index}')
                if op.kind == 'dense':
                    return value @ weights + biases
                value, padding = pad(value, op, 0.0)
                return functional.conv2d(value, weights, biases, op.stride, padding, 1,
                                         op.groups)
            if op.kind == 'max_pool':
                value, padding = pad(value, op, -torch.inf)
                return functional.max_pool2d(value, op.kernel, op.stride, padding)
            if op.kind == 'avg_pool':
                assert op.padding[:2] == op.padding[2:], 'average pools have even padding'
                return functional.avg_pool2d(value, op.kernel, op.stride, op.padding[:2],
                                             count_include_pad=False)
            return {'relu': lambda: functional.relu(value), 'add': lambda: value + inputs[1],
                    'concat': lambda: torch.cat(inputs, 1), 'flatten': lambda: value.flatten(1),
                    'scale': lambda: value * op.factor}[op.kind]()

    return Inception().eval()


def quantize_torch_model(model, images):
    """The model in int8, calibrated on images; `torch.compile` fuses its operations."""
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(
        x86.get_default_x86_inductor_quantization_config())
    # Without `strict`, the quantizer does not recognize the convolutions.
    exported = torch.export.export(
        model, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},), strict=True)
    prepared = prepare_pt2e(exported.module(), quantizer)
    prepared(images)
    return convert_pt2e(prepared)
