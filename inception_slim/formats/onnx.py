"""An ONNX file, for the runtimes that read it. Read again are ours, by the names of their nodes."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Any

import numpy as np
import tensorflow

from inception_slim.checkpoint import CheckpointInfo, Foreign, Tensor
from inception_slim.checkpoint.foreign import check_size
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.frozen import classic
from inception_slim.formats.writing import Answer

_LARGEST_FILE = 2**30
# `InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D`: a scope, the scope of the variables, the layer.
_LAYER = re.compile(r'(?:.*/)?(Inception\w+)/(?:\1/)?(.+?)/(?:Conv2D|MatMul|separable_conv2d|'
                    r'depthwise|BiasAdd)(?:__\d+)?')


def open_foreign(path: str) -> Foreign:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise CheckpointError(f'{path} is an ONNX file, and reading it needs onnx, which cannot be '
                              f"imported ({error}); install it with: pip install "
                              "'inception_slim[onnx]'") from None
    if os.path.getsize(path) > _LARGEST_FILE:
        raise CheckpointError(f'{path} is larger than any network here; it is no such file.')
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:  # each implementation of protocol buffers has an error of its own
        raise CheckpointError(f'{path} is damaged or cut short, or no ONNX file; copy it '
                              'again.') from None
    values: dict[str, Tensor] = {}
    for each in graph.initializer:
        if each.data_location == onnx.TensorProto.EXTERNAL or each.external_data:
            raise CheckpointError(f'{path} keeps {each.name} in another file, which is not read; '
                                  'save it with its weights inside.')
        if each.data_type == onnx.TensorProto.FLOAT:
            check_size(path, each.name, each.dims, np.dtype(np.float32))
            values[each.name] = Tensor(tuple(each.dims), np.dtype(np.float32), partial(
                onnx.numpy_helper.to_array, each))
    tensors: dict[str, Tensor] = {}
    for node in graph.node:
        match = _LAYER.fullmatch(node.name)
        if match:
            _take(tensors, f'{match[1]}/{match[2]}', node, values)
    if not tensors:
        raise CheckpointError(f'{path} is an ONNX file whose nodes are not named after the layers '
                              'of TF-Slim, as those of this package are; give what it was made of.')
    names = ' '.join(node.name for node in graph.node)
    return Foreign(path, 'ONNX file', 'TF-Slim', tensors, pooling=(
        'padded' if 'PaddedAvgPool_0a_3x3' in names else
        '2015' if 'Mixed_7c/Branch_3/MaxPool_0a_3x3' in names else 'average'))


def _in_order(kernel: Tensor) -> np.ndarray:
    return np.ascontiguousarray(kernel.load().transpose(2, 3, 1, 0))


def _take(tensors: dict[str, Tensor], layer: str, node: Any, values: dict[str, Tensor]) -> None:
    """The weights of a node, in TensorFlow's order of dimensions."""
    given = [values[name] for name in node.input if name in values]
    for value in given:
        if node.op_type == 'Conv' and len(value.shape) == 4:
            out, into, height, width = value.shape
            tensors[f'{layer}/weights'] = Tensor(
                (height, width, into, out), value.dtype,
                partial(_in_order, value))
        elif node.op_type in ('MatMul', 'Gemm') and len(value.shape) == 2:
            tensors[f'{layer}/weights'] = value
        elif len(value.shape) == 1:
            tensors[f'{layer}/biases'] = value


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str) -> Answer:
    try:
        import onnxruntime
        import tf2onnx
    except (ImportError, AttributeError) as error:
        raise ExportError('onnx needs tf2onnx and onnxruntime, which cannot be imported '
                          f"({error}); install them with: pip install 'inception_slim[onnx]'"
                          ) from None
    definition, output = classic(info, weights)
    try:
        tf2onnx.convert.from_graph_def(definition, input_names=['input:0'],
                                       output_names=[f'{output}:0'], output_path=path)
    except (AttributeError, TypeError, ImportError, ValueError) as error:
        raise ExportError(f'tf2onnx {tf2onnx.__version__} does not work with TensorFlow '
                          f'{tensorflow.__version__} ({error}); take another format.') from None
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda batch: session.run([f'{output}:0'], {'input:0': batch})[0]
