"""ONNX files, in float32, with weights in float16, or in int8 (QDQ).

Reads the floating-point files of this package, by the names of their nodes. Needs
`inception_slim[onnx]`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import math
import os
from typing import TYPE_CHECKING, Any

from inception_slim import _optional
from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.head import detect_head
from inception_slim.checkpoint.naming import recognize
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.lazy_tensors import as_convolution, to_hwio
from inception_slim.formats.node_names import (
    detect_input_range,
    detect_pooling,
    foreign_names_error,
    parse_layer,
    quantized_error,
    slim_layers,
)
from inception_slim.formats.structure import (
    LAYOUT_CHANGES,
    Node,
    arithmetic_node,
    check_structure,
    input_node,
    pad_node,
)
from inception_slim.inference import fold_batch_norm
from inception_slim.inference.calibration import export_ops
from inception_slim.inference.engines import warm_up
from inception_slim.inference.graph import graph_with_placeholders, output_names
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

_LARGEST_FILE = 2**30


def read_weights(path: str) -> ImportedWeights:
    """Reads an ONNX file."""
    onnx = _optional.require('onnx', 'Reading ONNX files', CheckpointError, extra='onnx')
    numpy_helper = _optional.require('onnx.numpy_helper', 'Reading ONNX files', CheckpointError,
                                     extra='onnx')
    if os.path.getsize(path) > _LARGEST_FILE:
        raise CheckpointError(f'{path} has more than {_LARGEST_FILE >> 30} GiB, more than any '
                              'supported network.')
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:  # each implementation of protocol buffers has its own exceptions
        raise CheckpointError(f'{path} is damaged or truncated, or not an ONNX file; copy it '
                              'again.') from None
    constants: dict[str, LazyTensor] = {}
    for initializer in graph.initializer:
        name = initializer.name
        if initializer.data_location == onnx.TensorProto.EXTERNAL or initializer.external_data:
            raise CheckpointError(f'{path} stores {name} in another file, which is not read; save '
                                  'the model with its weights inside.')
        if initializer.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
            check_tensor_size(path, name, initializer.dims, np.dtype(np.float32))
            constants[name] = LazyTensor(tuple(initializer.dims), np.dtype(np.float32),
                                         partial(_load, numpy_helper, initializer))
    constants.update((node.output[0], constants[node.input[0]]) for node in graph.node
                     if node.op_type == 'Cast' and node.input[0] in constants)
    tensors: dict[str, LazyTensor] = {}
    for node in graph.node:
        if node.op_type == 'DequantizeLinear':
            raise quantized_error(path)
        layer = parse_layer(node.name)
        if layer is not None:
            _add_weights(tensors, *layer, node, constants)
    if not tensors:
        raise foreign_names_error(path, 'ONNX file')
    weights = ImportedWeights(path, 'ONNX file', 'TF-Slim', tensors, has_structure=True,
                              pooling=detect_pooling(node.name for node in graph.node),
                              input_range=detect_input_range(node.name for node in graph.node),
                              head=detect_head((node.name for node in graph.node), path))
    check_structure(path, recognize(weights).network, weights.pooling,
                    _structure(graph, numpy_helper), slim_layers(
                        node.name for node in graph.node
                        if node.op_type in ('Conv', 'Gemm', 'MatMul')), weights.head)
    return weights


def _load(numpy_helper: Any, initializer: Any) -> np.ndarray:
    return numpy_helper.to_array(initializer).astype(np.float32)


_ACTIVATIONS = frozenset(('Clip', 'Elu', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'Relu', 'Selu',
                          'Sigmoid', 'Softplus', 'Softsign', 'Tanh'))
_KINDS = {'BatchNormalization': 'norm', 'Cast': 'identity', 'Dropout': 'identity',
          'Flatten': 'flatten', 'GlobalAveragePool': 'mean', 'Identity': 'identity',
          'ReduceMean': 'mean', 'Reshape': 'flatten', 'Squeeze': 'flatten', 'Sum': 'add'}
_POOLS = {'MaxPool': 'max', 'AveragePool': 'avg'}


def _structure(graph: Any, numpy_helper: Any) -> dict[str, Node]:
    """The nodes of a graph for `check_structure`."""
    constants = {item.name: item for item in graph.initializer}
    constants.update((node.output[0], node.attribute[0].t) for node in graph.node
                     if node.op_type == 'Constant' and node.attribute)

    def value(name: str) -> np.ndarray | None:
        """A small constant."""
        tensor = constants.get(name)
        return (None if tensor is None or math.prod(tensor.dims) > 64
                else numpy_helper.to_array(tensor))

    producers = {output: node.name or output for node in graph.node for output in node.output}
    nodes = {item.name: input_node([side.dim_value for side in item.type.tensor_type.shape.dim])
             for item in graph.input if item.name not in constants}
    producers.update((name, name) for name in nodes)
    for node in graph.node:
        nodes[node.name or node.output[0]] = _structure_node(node, tuple(
            producers[name] for name in node.input
            if name in producers and name not in constants), value)
    return nodes


def _structure_node(node: Any, inputs: tuple[str, ...],
                    value: Callable[[str], np.ndarray | None]) -> Node:
    attributes = {attribute.name: attribute for attribute in node.attribute}

    def numbers(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(attributes[name].ints) if name in attributes else default

    def number(name: str, default: int) -> int:
        return attributes[name].i if name in attributes else default

    if node.op_type == 'Conv' or node.op_type in _POOLS:
        top, left, bottom, right = numbers('pads', (0, 0, 0, 0))
        padding: str | tuple[int, ...] = (top, bottom, left, right)
        if 'auto_pad' in attributes and attributes['auto_pad'].s != b'NOTSET':
            padding = attributes['auto_pad'].s.decode().removesuffix('_UPPER')
        groups = 1 if node.name.endswith('/depthwise') else number('group', 1)
        return Node(_POOLS.get(node.op_type, 'conv'), inputs[:1], numbers('kernel_shape', (1, 1)),
                    numbers('strides', (1, 1)), numbers('dilations', (1, 1)), padding,
                    groups=groups, counts_padding=bool(number('count_include_pad', 0)),
                    layout='NCHW')
    if node.op_type in _ACTIVATIONS:
        return Node('activation', inputs[:1], function=node.op_type.lower())
    if node.op_type == 'Concat':
        return Node('concat', inputs, axis=number('axis', 1))
    if node.op_type == 'Transpose' and numbers('perm', ()) in LAYOUT_CHANGES:
        return Node('transpose', inputs, permutation=numbers('perm', ()))
    if node.op_type == 'Pad':
        zeros = value(node.input[1]) if len(node.input) > 1 else np.array(numbers('pads', ()))
        return pad_node(inputs, None if zeros is None or zeros.size != 8 else zeros.reshape(2, 4).T)
    if node.op_type in _KINDS:
        return Node(_KINDS[node.op_type], inputs)
    if node.op_type in ('Add', 'Sub', 'Mul', 'Div'):
        operands = [item for name in node.input if (item := value(name)) is not None]
        return arithmetic_node(node.op_type.lower(), inputs, operands[0] if operands else None)
    return Node('other', inputs, function=node.op_type)


def _add_weights(tensors: dict[str, LazyTensor], layer: str, parameter: str, node: Any,
                 constants: dict[str, LazyTensor]) -> None:
    """Adds the weights and biases of a node."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == 'group'), 1)
    for name in node.input:
        constant = constants.get(name)
        if constant is None:
            continue
        if len(constant.shape) == 1:
            tensors[f'{layer}/biases'] = constant
        elif node.op_type in ('MatMul', 'Gemm') and len(constant.shape) == 2:
            # The classifier of some networks is a convolution, and a dense layer in the file.
            tensors[f'{layer}/{parameter}'] = (
                as_convolution(constant) if node.name.endswith('/Conv2D') else constant)
        elif node.op_type == 'Conv' and len(constant.shape) == 4:
            tensors[f'{layer}/{parameter}'] = to_hwio(
                constant, groups if parameter == 'depthwise_weights' else None)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes an ONNX file; see `registry.Writer`."""
    onnxruntime = _optional.require('onnxruntime', 'Export to ONNX', ExportError, extra='onnx')
    _write_model(info, weights, path, settings)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    inputs = session.get_inputs()[0]

    def predict(batch: np.ndarray) -> np.ndarray:
        return session.run(None, {inputs.name: batch})[0]

    warm_up('onnxruntime', lambda: predict(np.zeros((1, *inputs.shape[1:]), np.float32)))
    return predict


def _write_model(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
                 settings: ExportSettings) -> None:
    """Writes the ops of a network; in int8 with a pair of nodes for each quantization (QDQ)."""
    _optional.require('onnx', 'Export to ONNX', ExportError, extra='onnx')
    from inception_slim.inference.engines.onnxruntime_engine import build_model

    values = fold_batch_norm(weights)
    result = output_names(info)[-1]
    name = f'{result}:0'
    if info.num_classes is not None:  # as in TF-Slim's frozen graphs
        graph, _ = graph_with_placeholders(info, dict(values), classify=True)
        name = graph.get_operation_by_name(result).inputs[0].name
    images = settings.calibration_images if settings.precision == 'int8' else None
    network, head = export_ops(info, values, 'onnxruntime', images)
    model = build_model(network, info.image_size, head=head,
                        input_name='input:0', output=result, output_name=name,
                        weights_dtype=np.float16 if settings.precision == 'float16' else np.float32)
    with open(path, 'wb') as file:
        file.write(model)
