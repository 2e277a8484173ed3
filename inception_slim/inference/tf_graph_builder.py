"""A network's steps as a TensorFlow graph, in floating point or in bytes.

In bytes it is made of oneDNN's own operations, which TensorFlow has for graphs that were quantized
elsewhere: they are named here, for want of a function for each.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

from inception_slim.inference.ir import INPUTS, Op
from inception_slim.inference.quantization import (
    CalibrationStats,
    QuantizedNetwork,
    conv_inputs,
    relu_outputs,
    unbranched_relus,
)
import numpy as np
import tensorflow.compat.v1 as tf

_CONV, _MAX_POOL = '_FusedQuantizedConv2D', '_MklQuantizedMaxPool'
_AVG_POOL, _QUANTIZE = '_MklQuantizedAvgPool', '_MklQuantizeV2'
_SAMPLE = 16384  # numbers of a value that are looked at one by one, in each image


def has_onednn_int8() -> bool:
    """Whether this TensorFlow has oneDNN's operations on bytes, and uses oneDNN."""
    from tensorflow.python.framework import kernels
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled()) and all(
        kernels.get_registered_kernels_for_op(each).kernel
        for each in (_CONV, _MAX_POOL, _AVG_POOL, _QUANTIZE))


def calibration_graph(steps: Sequence[Op], side: int, dtype: tf.DType, *,
                   kept_in: tf.DType | None = None) -> tf.Graph:
    """From `inputs` to `features`, which are here `statistics_of`'s rows: what each image does.

    Args:
      steps: of the network.
      side: of the images.
      dtype: to multiply in.
      kept_in: of the weights as constants, of which a session has several copies; `dtype` if None.
    """
    with tf.Graph().as_default() as graph:
        built = _Narrow(side, dtype, kept_in or dtype)
        built.add_all(steps)
        rows = [tf.reduce_max(tf.cast(built.values[name], tf.float32), (1, 2, 3))[:, tf.newaxis]
                for name in relu_outputs(steps)]
        rows += [tf.reduce_mean(tf.cast(built.values[name], tf.float32), (1, 2))
                 for name in conv_inputs(steps)]
        rows += [_sample(built.values[name]) for name in unbranched_relus(steps)]
        tf.concat(rows, 1, name='features')
    return graph


def _sample(value: tf.Tensor) -> tf.Tensor:
    """Numbers of each image from all over it and all channels, `[N, _SAMPLE]`."""
    size = math.prod(value.shape[1:])
    step = round(0.618 * size)  # far apart; and without a common factor none comes twice
    while math.gcd(step, size) > 1:
        step += 1
    at = np.arange(_SAMPLE, dtype=np.int64) * step % size
    return tf.cast(tf.gather(tf.reshape(value, (-1, size)), at, axis=1), tf.float32)


def parse_calibration_output(steps: Sequence[Op], rows: np.ndarray) -> CalibrationStats:
    """From the rows that `measured_graph` gave, one an image."""
    names = relu_outputs(steps)
    largest = {name: rows[:, at] for at, name in enumerate(names)}
    means, at = {}, len(names)
    widths = {step.inputs[0]: step.weights.shape[1] for step in steps
              if step.kind == 'conv' and step.groups == 1}
    for name in conv_inputs(steps):
        means[name] = rows[:, at:at + widths[name]].mean(0, dtype=np.float64)
        at += widths[name]
    samples = {}
    for name in unbranched_relus(steps):
        samples[name] = rows[:, at:at + _SAMPLE]
        at += _SAMPLE
    return CalibrationStats(largest, means, samples)


def float_graph(steps: Sequence[Op], side: int, dtype: tf.DType) -> tf.Graph:
    """From `inputs` to `features`, both float32, multiplying in `dtype` between them."""
    with tf.Graph().as_default() as graph:
        built = _Building(side, dtype)
        built.add_all(steps)
        tf.identity(tf.cast(built.values['features'], tf.float32), 'features')
    return graph


def quantized_graph(network: QuantizedNetwork) -> tf.Graph:
    """From `inputs` to `features`, its convolutions in bytes."""
    with tf.Graph().as_default() as graph:
        built = _Building(network.side, tf.float32, network.ranges)
        built.add_all(network.steps)
        tf.identity(built.floating('features'), 'features')
    return graph


def fake_quant_graph(network: QuantizedNetwork) -> tf.Graph:
    """In float32, with what rounds to bytes in it: for a converter.

    From `inputs`, shifted already where the network shifts them, to `features`, which are not
    averaged yet, `[N, height, width, channels]`: the average would be rounded too.
    """
    last = max(at for at, step in enumerate(network.steps) if step.kind == 'avg_pool')
    with tf.Graph().as_default() as graph:
        built = _Rounding(network.side, tf.float32, network.ranges)
        built.add_all(network.steps[:last])
        tf.identity(built.values[network.steps[last].inputs[0]], 'features')
    return graph


class _Building:
    """A graph that grows by steps; channels are last in it.

    Attributes:
      values: what is there, by name: float32, or bytes where it has a range.
    """

    def __init__(self, side: int, dtype: tf.DType, ranges: dict[str, float] | None = None):
        inputs = tf.placeholder(tf.float32, (None, side, side, 3), name=INPUTS)
        self.values = {INPUTS: tf.cast(inputs, dtype)}
        self._dtype = dtype
        self._ranges = ranges or {}
        self._bytes: dict[str, tf.Tensor] = {}
        self._numbers: dict[float, tf.Tensor] = {}

    def add_all(self, steps: Sequence[Op]) -> None:
        users: dict[str, list[Op]] = {}
        for step in steps:
            for name in step.inputs:
                users.setdefault(name, []).append(step)
        done = set()
        for step in steps:
            if step.output in done:
                continue
            then = users.get(step.output, [])
            if step.unit is not None and [each.kind for each in then] == ['relu']:
                self._bytes[then[0].output] = self._conv_in_bytes(step, then[0].output)
                done.add(then[0].output)
            elif step.kind in ('max_pool', 'concat') and all(
                    name in self._bytes for name in step.inputs):
                self._bytes[step.output] = self._moved(step)
            elif step.kind == 'avg_pool' and step.padding != (0, 0, 0, 0) and (
                    step.inputs[0] in self._bytes):
                self._bytes[step.output] = self._averaged(step)
            else:
                inputs = [self.floating(name) for name in step.inputs]
                self.values[step.output] = self._in_floats(step, inputs)

    def floating(self, name: str) -> tf.Tensor:
        if name not in self.values:
            value = tf.cast(tf.bitcast(self._bytes[name], tf.uint8), tf.float32)
            self.values[name] = value * np.float32(self._ranges[name] / 255)
        return self.values[name]

    def _in_bytes(self, name: str) -> tf.Tensor:
        if name not in self._bytes:
            value = self.values[name]
            self._bytes[name] = self._operation(
                _QUANTIZE, [value, self._number(0), self._number(self._ranges[name])],
                value.shape, T=tf.quint8, mode=b'SCALED', round_mode=b'HALF_TO_EVEN',
                narrow_range=False, axis=-1)
        return self._bytes[name]

    def _number(self, value: float) -> tf.Tensor:
        if value not in self._numbers:
            self._numbers[value] = tf.constant(value, tf.float32)
        return self._numbers[value]

    def _conv_in_bytes(self, step: Op, output: str) -> tf.Tensor:
        """Convolution, bias and ReLU at once, from bytes to bytes."""
        source = self._in_bytes(step.inputs[0])
        ends = step.unit * 127  # the operation takes 127 for the end of the weights' range
        weights = tf.bitcast(tf.constant(
            np.ascontiguousarray(step.weights.transpose(2, 3, 1, 0))), tf.qint8)
        host = [self._number(0), self._number(self._ranges[step.inputs[0]]),
                tf.constant(-ends), tf.constant(ends),
                self._number(0), self._number(self._ranges[output])]
        return self._operation(
            _CONV, [source, weights, tf.constant(step.biases), *host],
            self._shape(step, source, len(step.weights)), own_kernel=False,
            Tinput=tf.quint8, Tfilter=tf.qint8, Tbias=tf.float32, Tsummand=tf.quint8,
            out_type=tf.quint8, Tdevice_inputs=[tf.quint8, tf.qint8, tf.float32],
            Thost_inputs=[tf.float32] * 6, Tdevice_outputs=[tf.quint8],
            Thost_outputs=[tf.float32] * 2, strides=[1, step.stride, step.stride, 1],
            padding=_padding(step).encode(), data_format=b'NHWC', is_filter_const=True,
            is_bias_const=True, dilations=[1] * 4,
            fused_ops=[b'BiasAdd', b'Relu', b'Requantize'])

    def _moved(self, step: Op) -> tf.Tensor:
        """Bytes put beside each other, or the largest of them."""
        inputs = [self._bytes[name] for name in step.inputs]
        if step.kind == 'concat':
            return tf.concat(inputs, 3)
        return self._pooled(_MAX_POOL, step, inputs[0], _padding(step))

    def _averaged(self, step: Op) -> tf.Tensor:
        source = self._bytes[step.inputs[0]]
        if not step.counts_padding:
            return self._pooled(_AVG_POOL, step, source, _padding(step))
        top, left, bottom, right = step.padding
        source = tf.bitcast(tf.pad(tf.bitcast(source, tf.uint8), [
            [0, 0], [top, bottom], [left, right], [0, 0]]), tf.quint8)
        return self._pooled(_AVG_POOL, step, source, 'VALID')

    def _pooled(self, kind: str, step: Op, source: tf.Tensor, padding: str) -> tf.Tensor:
        high = self._number(self._ranges[step.inputs[0]])
        return self._operation(
            kind, [source, self._number(0), high],
            self._shape(step, source, source.shape[3], padding), T=tf.quint8,
            ksize=[1, *step.kernel, 1], strides=[1, step.stride, step.stride, 1],
            padding=padding.encode())

    def _shape(self, step: Op, source: tf.Tensor, channels: int,
               padding: str | None = None) -> tuple:
        """Which these operations do not say themselves."""
        if (padding or _padding(step)) == 'SAME':
            sides = [-(-side // step.stride) for side in source.shape[1:3]]
        else:
            sides = [(side - wide) // step.stride + 1
                     for side, wide in zip(source.shape[1:3], step.kernel)]
        return None, *sides, channels

    def _in_floats(self, step: Op, inputs: list[tf.Tensor]) -> tf.Tensor:
        value = inputs[0]
        if step.kind == 'conv':
            return self._conv(step, value)
        if step.kind == 'max_pool':
            return tf.nn.max_pool(value, step.kernel, step.stride, _padding(step))
        if step.kind == 'avg_pool':
            if step.counts_padding:
                top, left, bottom, right = step.padding
                value = tf.pad(value, [[0, 0], [top, bottom], [left, right], [0, 0]])
                return tf.nn.avg_pool(value, step.kernel, step.stride, 'VALID')
            return tf.nn.avg_pool(value, step.kernel, step.stride, _padding(step))
        return {'relu': lambda: tf.nn.relu(value), 'concat': lambda: tf.concat(inputs, 3),
                'add': lambda: value + inputs[1], 'shift': lambda: value + 1,
                'scale': lambda: value * np.asarray(step.factor, self._dtype.as_numpy_dtype),
                'flatten': lambda: tf.reshape(value, (-1, value.shape[-1]))}[step.kind]()

    def _conv(self, step: Op, value: tf.Tensor) -> tf.Tensor:
        kind = self._dtype.as_numpy_dtype
        weights = _weights_of(step)
        if step.groups > 1:
            each = len(weights) // step.groups
            weights = weights.reshape(step.groups, each, *step.kernel).transpose(2, 3, 0, 1)
            strides = [1, step.stride, step.stride, 1]
            value = tf.nn.depthwise_conv2d(value, weights.astype(kind), strides, _padding(step))
        else:
            weights = np.ascontiguousarray(weights.transpose(2, 3, 1, 0), kind)
            value = tf.nn.conv2d(value, self._rounded(step, weights), step.stride, _padding(step))
        return tf.nn.bias_add(value, step.biases.astype(kind))

    def _rounded(self, step: Op, weights: np.ndarray) -> np.ndarray | tf.Tensor:
        return weights

    def _operation(self, kind: str, inputs: list[tf.Tensor], shape: Any, *,
                   own_kernel: bool = True, **attributes: Any) -> tf.Tensor:
        """An operation that has no function in Python; its first output."""
        graph = tf.get_default_graph()
        node = tf.NodeDef(name=graph.unique_name(kind.strip('_')), op=kind)
        node.input.extend(each.name for each in inputs)
        for name, value in attributes.items():
            _set(node.attr[name], value)
        if own_kernel:
            node.attr['_kernel'].s = b'QuantizedMklOp'
        output = tf.Operation.from_node_def(node, graph, inputs).outputs[0]
        output.set_shape(shape)
        return output


class _Narrow(_Building):
    """Its weights are kept in another type than they are multiplied in, and cast for each run."""

    def __init__(self, side: int, dtype: tf.DType, kept_in: tf.DType):
        super().__init__(side, dtype)
        self._kept_in = kept_in.as_numpy_dtype

    def _rounded(self, step: Op, weights: np.ndarray) -> np.ndarray | tf.Tensor:
        return tf.cast(weights.astype(self._kept_in), self._dtype)


class _Rounding(_Building):
    """All in float32, but told what may be bytes."""

    def add_all(self, steps: Sequence[Op]) -> None:
        for step in steps:
            if step.kind == 'shift':
                self.values[step.output] = self.values[step.inputs[0]]
                continue
            value = self._in_floats(step, [self.values[name] for name in step.inputs])
            if step.output in self._ranges and step.kind not in ('max_pool', 'concat', 'avg_pool'):
                value = tf.quantization.fake_quant_with_min_max_args(
                    value, 0, self._ranges[step.output])
            self.values[step.output] = value

    def _rounded(self, step: Op, weights: np.ndarray) -> np.ndarray | tf.Tensor:
        if step.unit is None:
            return weights
        ends = step.unit * 127
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            weights, -ends, ends, narrow_range=True)


def _weights_of(step: Op) -> np.ndarray:
    """In float32, whether they are kept in eight bits or not."""
    return step.weights if step.unit is None else step.weights * step.unit.reshape(-1, 1, 1, 1)


def _set(attribute: Any, value: Any) -> None:
    """An attribute of a node, of the type of its value."""
    several = isinstance(value, list)
    first = value[0] if several else value
    place = attribute.list if several else attribute
    kind, values = next((kind, [convert(each) for each in (value if several else [value])])
                        for types, kind, convert in (
        (bool, 'b', bool), (int, 'i', int), (bytes, 's', bytes),
        (tf.DType, 'type', lambda each: each.as_datatype_enum)) if isinstance(first, types))
    if several:
        getattr(place, kind).extend(values)
    else:
        setattr(place, kind, values[0])


def _padding(step: Op) -> str:
    """TensorFlow's name for it; all that is padded here is padded so."""
    return 'SAME' if any(step.padding) else 'VALID'
