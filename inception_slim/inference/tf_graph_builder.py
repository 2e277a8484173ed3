"""Builds TensorFlow graphs from ops, in floating point or in int8.

Where TensorFlow registers oneDNN's own operations, for which it has no Python functions, the graphs
are made of those.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
import platform
from typing import Any, NamedTuple

from inception_slim.data import preprocessing
from inception_slim.inference.channel_scaling import count_channels
from inception_slim.inference.cpu_features import has_bfloat16
from inception_slim.inference.graph import SPATIAL_CHANNELS, SPATIAL_SIZE, SPATIAL_VALUE
from inception_slim.inference.ir import INPUTS, Op, pooled_grid, users_of
from inception_slim.inference.quantization import (
    CalibrationStats,
    QuantizedNetwork,
    conv_inputs,
    relu_outputs,
    unbranched_relus,
)
import numpy as np
import tensorflow.compat.v1 as tf

_FLOAT_CONV = '_MklNativeFusedConv2D'
_CONV, _MAX_POOL = '_FusedQuantizedConv2D', '_MklQuantizedMaxPool'
_AVG_POOL, _QUANTIZE = '_MklQuantizedAvgPool', '_MklQuantizeV2'
_SAMPLE_SIZE = 16384  # elements of a value that are sampled in each image


class SessionGraph(NamedTuple):
    """A graph from `inputs` to `features`, both float32, and the values of its variables.

    The weights are variables, because a Session keeps several copies of constants.

    Attributes:
      graph: with an operation `initialize`, which assigns the variables.
      weights: the values by the names of the placeholders that `initialize` reads.
    """

    graph: tf.Graph
    weights: dict[str, np.ndarray]

    def initialize(self, session: tf.Session) -> None:
        """Assigns the variables in a session of the graph."""
        session.run('initialize', self.weights)


def import_graph(definition: tf.GraphDef, ops: Sequence[Op]) -> SessionGraph:
    """A graph that was built from ops before, which takes a fraction of the time."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name='')
    return SessionGraph(graph, _initial_values(graph, ops))


def _initial_values(graph: tf.Graph, ops: Sequence[Op]) -> dict[str, np.ndarray]:
    """The values that `initialize` reads."""
    nodes = {node.name: node for node in graph.get_operations() if node.type == 'Placeholder'}
    values = {}
    for op in ops:
        node = nodes.get(f'{op.output}/value')
        if node is not None:
            dtype = node.get_attr('dtype').as_numpy_dtype
            weights = op.weights if dtype == np.int8 else _dequantized_weights(op)
            values[node.outputs[0].name] = np.ascontiguousarray(
                weights.transpose(2, 3, 1, 0), dtype)
    return values


def has_onednn() -> bool:
    """Whether this TensorFlow has oneDNN's floating-point convolution, and it is not disabled."""
    return _has_onednn_kernels(_FLOAT_CONV)


def has_onednn_int8() -> bool:
    """Whether this TensorFlow has oneDNN's int8 operations, and they are not disabled."""
    return _has_onednn_kernels(_CONV, _MAX_POOL, _AVG_POOL, _QUANTIZE)


def _has_onednn_kernels(*names: str) -> bool:
    from tensorflow.python.framework import kernels

    # On processors with AVX2 alone TensorFlow leaves these operations out of its graphs by default,
    # although they are faster there too: 1.2 times in float32. A graph that names them runs them.
    return (os.environ.get('TF_ENABLE_ONEDNN_OPTS', '').lower() not in ('0', 'false')
            and platform.machine() in ('x86_64', 'AMD64')
            and all(kernels.get_registered_kernels_for_op(name).kernel for name in names))


def calibration_graph(ops: Sequence[Op], image_size: int, dtype: tf.DType, *,
                      weights_dtype: tf.DType | None = None) -> SessionGraph:
    """Builds a graph whose 'features' are the statistics of each image.

    Args:
      ops: of the network.
      image_size: side of the images in pixels.
      dtype: dtype of the multiplications.
      weights_dtype: dtype in which the weights are stored; by default `dtype`.

    Returns:
      A graph from `inputs` to `features`, rows for `parse_calibration_output`.
    """
    with tf.Graph().as_default():
        builder = _CastWeightsBuilder(image_size, dtype, weights_dtype or dtype)
        builder.add_all(ops)
        values = builder.values
        rows = [tf.reduce_max(tf.cast(values[name], tf.float32), (1, 2))
                for name in relu_outputs(ops)]
        rows += [tf.reduce_mean(tf.cast(values[name], tf.float32), (1, 2))
                 for name in conv_inputs(ops)]
        rows += [_sample(values[name]) for name in unbranched_relus(ops)]
        return builder.finish(tf.concat(rows, 1))


def _sample(value: tf.Tensor) -> tf.Tensor:
    """Elements of each image, of each channel in turn, `[N, _SAMPLE_SIZE]`."""
    channels = value.shape[3]
    positions = math.prod(value.shape[1:3])
    step = round(0.618 * positions) or 1  # neighbours in the sample are far apart in the image
    while math.gcd(step, positions) > 1:  # so that no position is repeated before all were taken
        step += 1
    numbers = np.arange(_SAMPLE_SIZE, dtype=np.int64)
    # Once all pairs of position and channel would be repeated, the positions are shifted.
    shifts = numbers // math.lcm(positions, channels)
    indices = (numbers + shifts) * step % positions * channels + numbers % channels
    return tf.cast(tf.gather(tf.reshape(value, (-1, positions * channels)), indices, axis=1),
                   tf.float32)


def parse_calibration_output(ops: Sequence[Op], rows: np.ndarray) -> CalibrationStats:
    """Reads the statistics from the output of `calibration_graph`, one row per image."""
    channels, column = count_channels(ops), 0

    def columns(count: int) -> np.ndarray:
        nonlocal column
        column += count
        return rows[:, column - count:column]

    largest = {name: columns(channels[name]) for name in relu_outputs(ops)}
    means = {name: columns(channels[name]).mean(0, dtype=np.float64) for name in conv_inputs(ops)}
    samples = {name: columns(_SAMPLE_SIZE) for name in unbranched_relus(ops)}
    return CalibrationStats(largest, means, samples)


def float_graph(ops: Sequence[Op], image_size: int, dtype: tf.DType,
                spatial: bool = False) -> SessionGraph:
    """Builds a graph that multiplies in `dtype`.

    Args:
      ops: of the network.
      image_size: side of the images in pixels.
      dtype: dtype of the multiplications.
      spatial: append the spatial features of Inception V3 to the features.
    """
    with tf.Graph().as_default():
        # oneDNN refuses bfloat16 on processors without its instructions; TensorFlow emulates it.
        fuses_convs = has_onednn() and (dtype != tf.bfloat16 or has_bfloat16())
        builder = _GraphBuilder(image_size, dtype, fuses_convs=fuses_convs)
        builder.add_all(ops)
        features = tf.cast(builder.values['features'], tf.float32)
        if spatial:
            grid = tf.cast(builder.values[SPATIAL_VALUE][..., :SPATIAL_CHANNELS], tf.float32)
            features = tf.concat([features, tf.reshape(grid, (-1, SPATIAL_SIZE))], 1)
        return builder.finish(features)


def quantized_graph(network: QuantizedNetwork) -> SessionGraph:
    """Builds a graph with int8 convolutions."""
    with tf.Graph().as_default():
        builder = _GraphBuilder(network.image_size, tf.float32, network.ranges,
                                fuses_convs=has_onednn())
        builder.add_all(network.ops)
        return builder.finish(builder.dequantized('features'))


def fake_quant_graph(network: QuantizedNetwork) -> tf.Graph:
    """Builds a float32 graph with fake-quantization nodes, for a converter.

    Returns:
      A graph from `inputs`, which the caller prewhitens if the network does, to
      `features` before they are pooled, `[N, height, width, channels]`: a converter would
      quantize an average too.
    """
    with tf.Graph().as_default() as graph:
        builder = _FakeQuantBuilder(network.image_size, tf.float32, network.ranges)
        builder.add_all(network.ops)
        tf.identity(builder.values[pooled_grid(network.ops)[0]], 'features')
    return graph


class _GraphBuilder:
    """Adds ops to the default graph; tensors are channels last.

    Attributes:
      values: floating-point tensors by the name of their value.
    """

    def __init__(self, image_size: int, dtype: tf.DType, ranges: dict[str, float] | None = None,
                 fuses_convs: bool = False):
        inputs = tf.placeholder(tf.float32, (None, image_size, image_size, 3), name=INPUTS)
        self.values = {INPUTS: tf.cast(inputs, dtype)}
        self._dtype = dtype
        self._ranges = ranges or {}
        self._fuses_convs = fuses_convs  # with their bias and ReLU, by oneDNN
        self._quantized: dict[str, tf.Tensor] = {}  # quint8 tensors
        self._scalars: dict[float, tf.Tensor] = {}
        self._ops: Sequence[Op] = ()
        self._assignments: list[tf.Operation] = []

    def finish(self, features: tf.Tensor) -> SessionGraph:
        """The default graph, with its output."""
        tf.identity(features, 'features')
        tf.group(self._assignments, name='initialize')
        graph = tf.get_default_graph()
        return SessionGraph(graph, _initial_values(graph, self._ops))

    def add_all(self, ops: Sequence[Op]) -> None:
        self._ops = ops
        users = users_of(ops)
        fused = set()
        for op in ops:
            if op.output in fused:
                continue
            next_ops = users.get(op.output, [])
            has_relu = [user.kind for user in next_ops] == ['relu']
            output = next_ops[0].output if has_relu else op.output
            if op.scales is not None and has_relu:
                self._quantized[output] = self._quantized_conv(op, output)
                fused.add(output)
            elif self._fuses_convs and op.kind == 'conv' and op.groups == 1:
                self.values[output] = self._fused_conv(op, has_relu)
                fused.add(output)
            elif op.kind == 'concat' and self._are_quantized(op):
                self._quantized[op.output] = tf.concat(
                    [self._quantized[name] for name in op.inputs], 3)
            elif op.kind == 'max_pool' and self._are_quantized(op):
                self._quantized[op.output] = self._quantized_pool(
                    _MAX_POOL, op, self._quantized[op.inputs[0]], _padding(op))
            # An average without padding covers the whole grid: features stay floating point.
            elif op.kind == 'avg_pool' and any(op.padding) and self._are_quantized(op):
                self._quantized[op.output] = self._quantized_average(op)
            else:
                inputs = [self.dequantized(name) for name in op.inputs]
                self.values[op.output] = self._float_op(op, inputs)

    def _are_quantized(self, op: Op) -> bool:
        return all(name in self._quantized for name in op.inputs)

    def dequantized(self, name: str) -> tf.Tensor:
        """The floating-point tensor of a value."""
        if name not in self.values:
            value = tf.cast(tf.bitcast(self._quantized[name], tf.uint8), tf.float32)
            self.values[name] = value * np.float32(self._ranges[name] / 255)
        return self.values[name]

    def _quantize(self, name: str) -> tf.Tensor:
        if name not in self._quantized:
            value = self.values[name]
            self._quantized[name] = self._add_node(
                _QUANTIZE, [value, self._scalar(0), self._scalar(self._ranges[name])],
                value.shape, T=tf.quint8, mode=b'SCALED', round_mode=b'HALF_TO_EVEN',
                narrow_range=False, axis=-1)
        return self._quantized[name]

    def _scalar(self, value: float) -> tf.Tensor:
        if value not in self._scalars:
            self._scalars[value] = tf.constant(value, tf.float32)
        return self._scalars[value]

    def _quantized_conv(self, op: Op, output: str) -> tf.Tensor:
        """Convolution, bias, ReLU and requantization in one node."""
        source = self._quantize(op.inputs[0])
        limits = op.scales * 127  # the node takes the values of -127 and 127 as the range
        weights = tf.bitcast(self._filter(op, tf.int8), tf.qint8)
        ranges = [self._scalar(0), self._scalar(self._ranges[op.inputs[0]]),
                  tf.constant(-limits), tf.constant(limits),
                  self._scalar(0), self._scalar(self._ranges[output])]
        return self._add_node(
            _CONV, [source, weights, tf.constant(op.biases), *ranges],
            self._output_shape(op, source, len(op.weights), _padding(op)), kernel='',
            Tinput=tf.quint8, Tfilter=tf.qint8, Tbias=tf.float32, Tsummand=tf.quint8,
            out_type=tf.quint8, Tdevice_inputs=[tf.quint8, tf.qint8, tf.float32],
            Thost_inputs=[tf.float32] * 6, Tdevice_outputs=[tf.quint8],
            Thost_outputs=[tf.float32] * 2, strides=[1, op.stride, op.stride, 1],
            padding=_padding(op).encode(), data_format=b'NHWC', is_filter_const=True,
            is_bias_const=True, dilations=[1] * 4,
            fused_ops=[b'BiasAdd', b'Relu', b'Requantize'])

    def _fused_conv(self, op: Op, has_relu: bool) -> tf.Tensor:
        """Floating-point convolution, bias and perhaps ReLU in one node.

        TensorFlow makes such nodes itself, but of a filter that is a variable it does not know
        that it never changes, and would bring it into oneDNN's layout in every run.
        """
        source, dtype = self.dequantized(op.inputs[0]), self._dtype
        return self._add_node(
            _FLOAT_CONV,
            [source, self._filter(op, dtype), tf.constant(op.biases.astype(dtype.as_numpy_dtype))],
            self._output_shape(op, source, len(op.weights), _padding(op)),
            kernel='MklNameChangeOp', T=dtype, TArgs=[dtype], num_args=1, num_host_args=0,
            strides=[1, op.stride, op.stride, 1], padding=_padding(op).encode(),
            data_format=b'NHWC', filter_format=b'HWIO', is_filter_const=True, dilations=[1] * 4,
            fused_ops=[b'BiasAdd', b'Relu'] if has_relu else [b'BiasAdd'])

    def _quantized_average(self, op: Op) -> tf.Tensor:
        source = self._quantized[op.inputs[0]]
        if not op.count_include_pad:
            return self._quantized_pool(_AVG_POOL, op, source, _padding(op))
        source = tf.bitcast(_pad(tf.bitcast(source, tf.uint8), op), tf.quint8)
        return self._quantized_pool(_AVG_POOL, op, source, 'VALID')

    def _quantized_pool(self, node_type: str, op: Op, source: tf.Tensor,
                        padding: str) -> tf.Tensor:
        high = self._scalar(self._ranges[op.inputs[0]])
        return self._add_node(
            node_type, [source, self._scalar(0), high],
            self._output_shape(op, source, source.shape[3], padding), T=tf.quint8,
            ksize=[1, *op.kernel, 1], strides=[1, op.stride, op.stride, 1],
            padding=padding.encode())

    def _output_shape(self, op: Op, source: tf.Tensor, channels: int, padding: str) -> tuple:
        """The shape of a window op; these nodes have no shape inference."""
        if padding == 'SAME':
            sides = [-(-side // op.stride) for side in source.shape[1:3]]
        else:
            sides = [(side - window) // op.stride + 1
                     for side, window in zip(source.shape[1:3], op.kernel)]
        return None, *sides, channels

    def _float_op(self, op: Op, inputs: list[tf.Tensor]) -> tf.Tensor:
        value = inputs[0]
        if op.kind == 'conv':
            return self._conv(op, value)
        if op.kind == 'relu':
            return tf.nn.relu(value)
        if op.kind == 'max_pool':
            return tf.nn.max_pool(value, op.kernel, op.stride, _padding(op))
        if op.kind == 'avg_pool' and op.count_include_pad:
            return tf.nn.avg_pool(_pad(value, op), op.kernel, op.stride, 'VALID')
        if op.kind == 'avg_pool':
            return tf.nn.avg_pool(value, op.kernel, op.stride, _padding(op))
        if op.kind == 'concat':
            return tf.concat(inputs, 3)
        if op.kind == 'add':
            return value + inputs[1]
        if op.kind == 'prewhiten':
            return preprocessing.prewhiten(value)
        if op.kind == 'scale':
            return value * np.asarray(op.factor, self._dtype.as_numpy_dtype)
        if op.kind == 'flatten':
            if value.shape.rank == 4:
                value = tf.transpose(value, (0, 3, 1, 2))
            return tf.reshape(value, (-1, math.prod(value.shape[1:])))
        raise ValueError(f'{op.output} has the kind {op.kind}, which is not supported here.')

    def _conv(self, op: Op, value: tf.Tensor) -> tf.Tensor:
        dtype = self._dtype.as_numpy_dtype
        if op.groups > 1:
            weights = _dequantized_weights(op)
            multiplier = len(weights) // op.groups
            weights = weights.reshape(op.groups, multiplier, *op.kernel).transpose(2, 3, 0, 1)
            strides = [1, op.stride, op.stride, 1]
            value = tf.nn.depthwise_conv2d(value, weights.astype(dtype), strides, _padding(op))
        else:
            value = tf.nn.conv2d(value, self._conv_weights(op), op.stride, _padding(op))
        return tf.nn.bias_add(value, op.biases.astype(dtype))

    def _conv_weights(self, op: Op) -> tf.Tensor:
        """The filter of a convolution that is not depthwise."""
        return self._filter(op, self._dtype)

    def _filter(self, op: Op, dtype: tf.DType) -> tf.Tensor:
        """A variable for the filter of an op, which `initialize` assigns."""
        shape = [*op.kernel, *op.weights.shape[1::-1]]
        # Operations instead of tf.Variable, which takes several times as long to build.
        variable = tf.raw_ops.VariableV2(shape=shape, dtype=dtype)
        value = tf.placeholder(dtype, shape, f'{op.output}/value')
        self._assignments.append(tf.raw_ops.Assign(ref=variable, value=value).op)
        return variable

    def _add_node(self, node_type: str, inputs: list[tf.Tensor], shape: Any, *,
                  kernel: str = 'QuantizedMklOp', **attributes: Any) -> tf.Tensor:
        """Adds a node of a type that has no Python function; returns its first output.

        Args:
          node_type, inputs: of the node.
          shape: of the output.
          kernel: the label of oneDNN's kernel; none if empty.
          **attributes: of the node.
        """
        graph = tf.get_default_graph()
        node = tf.NodeDef(name=graph.unique_name(node_type.strip('_')), op=node_type)
        node.input.extend(tensor.name for tensor in inputs)
        for name, value in attributes.items():
            _set_attribute(node.attr[name], value)
        if kernel:
            node.attr['_kernel'].s = kernel.encode()
        output = tf.Operation.from_node_def(node, graph, inputs).outputs[0]
        output.set_shape(shape)
        return output


class _CastWeightsBuilder(_GraphBuilder):
    """Stores weights in another dtype than that of the multiplications; each run casts them."""

    def __init__(self, image_size: int, dtype: tf.DType, weights_dtype: tf.DType):
        super().__init__(image_size, dtype)
        self._weights_dtype = weights_dtype

    def _conv_weights(self, op: Op) -> tf.Tensor:
        return tf.cast(self._filter(op, self._weights_dtype), self._dtype)


class _FakeQuantBuilder(_GraphBuilder):
    """Builds float32 ops with fake-quantization nodes where values or weights may be quantized."""

    def add_all(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.kind == 'prewhiten':  # the caller does that
                self.values[op.output] = self.values[op.inputs[0]]
                continue
            value = self._float_op(op, [self.values[name] for name in op.inputs])
            if op.output in self._ranges and op.kind not in ('max_pool', 'concat', 'avg_pool'):
                value = tf.quantization.fake_quant_with_min_max_args(
                    value, 0, self._ranges[op.output])
            self.values[op.output] = value

    def _conv_weights(self, op: Op) -> np.ndarray | tf.Tensor:
        weights = np.ascontiguousarray(_dequantized_weights(op).transpose(2, 3, 1, 0))
        if op.scales is None:
            return weights
        limits = op.scales * 127
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            weights, -limits, limits, narrow_range=True)


def _dequantized_weights(op: Op) -> np.ndarray:
    return op.weights if op.scales is None else op.weights * op.scales.reshape(-1, 1, 1, 1)


def _set_attribute(attribute: Any, value: Any) -> None:
    """Sets an AttrValue: booleans, integers, bytes, dtypes, and lists of them."""
    items = value if isinstance(value, list) else [value]
    if isinstance(items[0], tf.DType):
        field, items = 'type', [item.as_datatype_enum for item in items]
    elif isinstance(items[0], bool):  # before int, of which it is a subclass
        field = 'b'
    elif isinstance(items[0], int):
        field = 'i'
    else:
        field = 's'
    if isinstance(value, list):
        getattr(attribute.list, field).extend(items)
    else:
        setattr(attribute, field, items[0])


def _pad(value: tf.Tensor, op: Op) -> tf.Tensor:
    top, left, bottom, right = op.padding
    return tf.pad(value, [[0, 0], [top, bottom], [left, right], [0, 0]])


def _padding(op: Op) -> str:
    """TensorFlow's name of the padding; the ops here have no other kinds."""
    return 'SAME' if any(op.padding) else 'VALID'
