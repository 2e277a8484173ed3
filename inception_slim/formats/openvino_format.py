"""OpenVINO's intermediate representation: a folder with `openvino_model.xml` and its `.bin`.

Reads the files of this package, by the names of their layers. Needs `inception_slim[openvino]`.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from inception_slim import _optional
from inception_slim.checkpoint import CheckpointInfo, ImportedWeights, LazyTensor
from inception_slim.checkpoint.head import detect_head
from inception_slim.checkpoint.naming import recognize
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats.lazy_tensors import as_convolution, flatten, to_hwio, transform
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
from inception_slim.inference.graph import output_names
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

FILE = 'openvino_model.xml'  # the name that optimum uses too
_LARGEST_FILE = 2**30
_CONVOLUTIONS = ('Convolution', 'GroupConvolution')
_OPS_WITH_WEIGHTS = (*_CONVOLUTIONS, 'MatMul')
_ACTIVATIONS = frozenset(('Clamp', 'Elu', 'PRelu', 'Relu', 'Selu', 'Sigmoid', 'SoftPlus', 'Tanh'))
_KINDS = {'BatchNormInference': 'norm', 'Convert': 'identity', 'ReduceMean': 'mean',
          'Reshape': 'flatten', 'Squeeze': 'flatten'}
_POOLS = {'MaxPool': 'max', 'AvgPool': 'avg'}


def read_weights(path: str) -> ImportedWeights:
    """Reads a folder with `openvino_model.xml`, or an `.xml` file with its `.bin` beside it."""
    file = os.path.join(path, FILE) if os.path.isdir(path) else path
    openvino = _optional.require('openvino', 'Reading OpenVINO models', CheckpointError,
                                 extra='openvino')
    weights = f'{os.path.splitext(file)[0]}.bin'
    if not os.path.isfile(weights):
        raise CheckpointError(f'{weights}, which has the weights of {file}, does not exist; put '
                              'it beside it.')
    if os.path.getsize(weights) > _LARGEST_FILE:
        raise CheckpointError(f'{weights} has more than {_LARGEST_FILE >> 30} GiB, more than any '
                              'supported network.')
    model = openvino.Core().read_model(file)
    tensors: dict[str, LazyTensor] = {}
    operations = model.get_ordered_ops()
    for operation in operations:
        layer = parse_layer(operation.get_friendly_name())
        if layer is None or operation.get_type_name() not in _OPS_WITH_WEIGHTS:
            continue
        scope, parameter = layer
        tensors[f'{scope}/{parameter}'] = _kernel(path, operation)
        for consumer in operation.output(0).get_target_inputs():
            if consumer.get_node().get_type_name() == 'Add':
                tensors[f'{scope}/biases'] = flatten(
                    _constant(path, consumer.get_node().input_value(1).get_node()))
    if not tensors:
        raise foreign_names_error(path, 'OpenVINO model')
    names = [operation.get_friendly_name() for operation in operations]
    imported = ImportedWeights(path, 'OpenVINO IR', 'TF-Slim', tensors,
                               pooling=detect_pooling(names), input_range=detect_input_range(names),
                               head=detect_head(names, path), has_structure=True)
    check_structure(
        path, recognize(imported).network, imported.pooling,
        {operation.get_friendly_name(): _structure_node(operation) for operation in operations},
        slim_layers(operation.get_friendly_name() for operation in operations
                    if operation.get_type_name() in _OPS_WITH_WEIGHTS), imported.head)
    return imported


def _structure_node(operation: Any) -> Node:
    """An operation for `check_structure`."""
    kind, attributes = operation.get_type_name(), operation.get_attributes()
    sources = [value.get_node() for value in operation.input_values()]
    inputs = tuple(node.get_friendly_name() for node in sources if not _is_constant(node))
    values = [value for node in sources if (value := _small_constant(node)) is not None]
    if kind == 'Parameter':
        return input_node([side.get_length() if side.is_static else 0
                           for side in operation.get_partial_shape()])
    if kind in _CONVOLUTIONS or kind in _POOLS:
        window = tuple(attributes['kernel']) if kind in _POOLS else (1, 1)
        (top, left), (bottom, right) = attributes['pads_begin'], attributes['pads_end']
        padding: str | tuple[int, ...] = (top, bottom, left, right)
        if attributes.get('auto_pad', 'explicit') != 'explicit':
            padding = attributes['auto_pad'].upper().removesuffix('_UPPER')
        return Node(_POOLS.get(kind, 'conv'), inputs[:1], window, tuple(attributes['strides']),
                    tuple(attributes.get('dilations', (1, 1))), padding, layout='NCHW',
                    counts_padding=not attributes.get('exclude-pad', True))
    if kind in _ACTIVATIONS:
        return Node('activation', inputs[:1], function=kind.lower())
    if kind == 'Concat':
        return Node('concat', inputs, axis=attributes['axis'])
    if kind == 'Transpose' and values and tuple(values[0].tolist()) in LAYOUT_CHANGES:
        return Node('transpose', inputs, permutation=tuple(values[0].tolist()))
    if kind == 'Pad' and len(values) > 1:
        return pad_node(inputs, np.stack(values[:2], axis=1))
    if kind in _KINDS:
        return Node(_KINDS[kind], inputs[:1])
    if kind in ('Add', 'Multiply', 'Subtract', 'Divide'):
        return arithmetic_node(kind.lower()[:3], inputs, values[0] if values else None)
    return Node('other', inputs, function=kind)


def _small_constant(node: Any) -> np.ndarray | None:
    while node.get_type_name() == 'Convert':
        node = node.input_value(0).get_node()
    if node.get_type_name() != 'Constant' or math.prod(node.get_output_shape(0)) > 64:
        return None
    return np.array(node.data)


def _is_constant(node: Any) -> bool:
    while node.get_type_name() == 'Convert':
        node = node.input_value(0).get_node()
    return node.get_type_name() == 'Constant'


def _kernel(path: str, operation: Any) -> LazyTensor:
    """The weights of an operation in TensorFlow's order."""
    kernel = _constant(path, operation.input_value(1).get_node())
    if len(kernel.shape) == 5:  # depthwise: [groups, out, in, height, width]
        groups, out, *rest = kernel.shape
        return to_hwio(transform(kernel, (groups * out, *rest), lambda value: value), groups)
    if len(kernel.shape) == 4:
        return to_hwio(kernel)
    if operation.get_friendly_name().endswith('Conv2D'):  # a classifier that is 1×1 in TF-Slim
        return as_convolution(kernel)
    return kernel


def _constant(path: str, node: Any) -> LazyTensor:
    """A constant of any float dtype as float32."""
    while node.get_type_name() == 'Convert':
        node = node.input_value(0).get_node()
    if node.get_type_name() != 'Constant' or 'f' not in node.get_element_type().get_type_name():
        raise quantized_error(path)
    name, shape = node.get_friendly_name(), tuple(node.get_output_shape(0))
    check_tensor_size(path, name, shape, np.dtype(np.float32))
    return LazyTensor(shape, np.dtype(np.float32), lambda: np.array(node.data, np.float32))


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a folder; see `registry.Writer`."""
    openvino = _optional.require('openvino', 'Export to OpenVINO', ExportError, extra='openvino')
    from inception_slim.inference.engines.openvino_engine import build_model

    images = settings.calibration_images if settings.precision == 'int8' else None
    names = output_names(info)
    network, head = export_ops(info, fold_batch_norm(weights), 'openvino', images)
    model = build_model(network, info.image_size, head=head, input_name='input',
                        outputs=dict(zip(names, [op.output for op in head[-2:]] or names)))
    os.mkdir(path)
    file = os.path.join(path, FILE)
    openvino.save_model(model, file, compress_to_fp16=settings.precision == 'float16')
    core = openvino.Core()
    # Without a memory map of the file, because some systems cannot move a mapped one.
    compiled = core.compile_model(core.read_model(file), 'CPU', {
        'INFERENCE_PRECISION_HINT': 'f32', 'ENABLE_MMAP': False})

    def predict(batch: np.ndarray) -> np.ndarray:
        return compiled(batch)[names[-1]]

    warm_up('openvino', lambda: predict(np.zeros((1, *[info.image_size] * 2, 3), np.float32)))
    return predict
