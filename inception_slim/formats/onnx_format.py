"""An ONNX file, for the runtimes that read it, in float32 or in eight bits.

Read again are ours in float32, by the names of their nodes.
"""

from __future__ import annotations

from functools import partial
import os
from typing import Any

from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.frozen_graph import classic_frozen_graph
from inception_slim.formats.node_names import (
    detect_pooling,
    layer_and_kind,
    quantized_error,
    to_hwio,
)
from inception_slim.formats.writing import PredictFn
from inception_slim.inference import fold_batch_norm
from inception_slim.inference.calibration import export_ops
from inception_slim.inference.engines import warm_up
from inception_slim.inference.graph import graph_with_placeholders
from inception_slim.nets import registry
import numpy as np
import tensorflow

_LARGEST_FILE = 2**30


def read_weights(path: str) -> ImportedWeights:
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
    values: dict[str, LazyTensor] = {}
    for each in graph.initializer:
        if each.data_location == onnx.TensorProto.EXTERNAL or each.external_data:
            raise CheckpointError(f'{path} keeps {each.name} in another file, which is not read; '
                                  'save it with its weights inside.')
        if each.data_type == onnx.TensorProto.FLOAT:
            check_tensor_size(path, each.name, each.dims, np.dtype(np.float32))
            values[each.name] = LazyTensor(tuple(each.dims), np.dtype(np.float32), partial(
                onnx.numpy_helper.to_array, each))
    tensors: dict[str, LazyTensor] = {}
    for node in graph.node:
        if node.op_type == 'DequantizeLinear':
            raise quantized_error(path)
        found = layer_and_kind(node.name)
        if found:
            _take(tensors, *found, node, values)
    if not tensors:
        raise CheckpointError(f'{path} is an ONNX file whose nodes are not named after the layers '
                              'of TF-Slim, as those of this package are; give what it was made of.')
    return ImportedWeights(path, 'ONNX file', 'TF-Slim', tensors,
                   pooling=detect_pooling(node.name for node in graph.node))


def _take(tensors: dict[str, LazyTensor], layer: str, kind: str, node: Any,
          values: dict[str, LazyTensor]) -> None:
    """The weights and biases of a node."""
    groups = next((each.i for each in node.attribute if each.name == 'group'), 1)
    for name in node.input:
        value = values.get(name)
        if value is None:
            continue
        if len(value.shape) == 1:
            tensors[f'{layer}/biases'] = value
        elif node.op_type in ('MatMul', 'Gemm') and len(value.shape) == 2:
            tensors[f'{layer}/{kind}'] = value
        elif node.op_type == 'Conv' and len(value.shape) == 4:
            tensors[f'{layer}/{kind}'] = to_hwio(
                value, groups if kind == 'depthwise_weights' else None)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str, quantize: str,
          images: np.ndarray) -> PredictFn:
    if quantize == 'int8':
        return _write_in_bytes(info, weights, path, images)
    try:
        import onnxruntime  # noqa: F401
        import tf2onnx
    except (ImportError, AttributeError) as error:
        raise _missing('tf2onnx and onnxruntime', error) from None
    definition, output = classic_frozen_graph(info, weights)
    try:
        tf2onnx.convert.from_graph_def(definition, input_names=['input:0'],
                                       output_names=[f'{output}:0'], output_path=path)
    except (AttributeError, TypeError, ImportError, ValueError) as error:
        raise ExportError(f'tf2onnx {tf2onnx.__version__} does not work with TensorFlow '
                          f'{tensorflow.__version__} ({error}); take another format.') from None
    return _asked(path)


def _missing(what: str, error: Exception) -> ExportError:
    return ExportError(f'onnx needs {what}, which cannot be imported ({error}); install them '
                       "with: pip install 'inception_slim[onnx]'")


def _asked(path: str) -> PredictFn:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    inputs = session.get_inputs()[0]

    def predict(batch: np.ndarray) -> np.ndarray:
        return session.run(None, {inputs.name: batch})[0]

    warm_up('onnxruntime', lambda: predict(np.zeros((1, *inputs.shape[1:]), np.float32)))
    return predict


def _write_in_bytes(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
                    images: np.ndarray) -> PredictFn:
    """With each rounding as a pair of nodes, by which runtimes know what to multiply in bytes."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise _missing('onnx and onnxruntime', error) from None
    from inception_slim.inference.engines.onnxruntime_engine import build_model

    values = fold_batch_norm(weights)
    graph, _ = graph_with_placeholders(info, dict(values), classify=True)
    output = graph.get_operation_by_name('predictions').inputs[0].name  # as in float32
    network, head = export_ops(info, values, 'onnxruntime', images)
    model = build_model(network, registry.NETWORKS[info.network].image_size, head=head,
                        input_name='input:0', output='predictions', output_name=output)
    with open(path, 'wb') as file:
        file.write(model)
    return _asked(path)
