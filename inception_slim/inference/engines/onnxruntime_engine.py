"""The ONNX Runtime engine: `pip install 'inception_slim[onnxruntime]'`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
import threading
from typing import Any

from inception_slim.inference.engines import warm_up
from inception_slim.inference.ir import INPUTS, Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np

_MAX_MICRO_BATCH = 2
# Kind of an op -> operator of ONNX.
_OPERATORS = {
    'conv': 'Conv', 'dense': 'Gemm', 'max_pool': 'MaxPool', 'avg_pool': 'AveragePool',
    'relu': 'Relu', 'concat': 'Concat', 'add': 'Add', 'scale': 'Mul',
    'flatten': 'Flatten', 'softmax': 'Softmax', 'sigmoid': 'Sigmoid', 'linear': 'Identity',
}


class ONNXRuntimeEngine:
    """Computes features of images in ONNX Runtime on the CPU.

    A few images use all threads together; a batch is split into micro-batches, one per thread.

    Args:
      model: from `build_model`.
      threads: to run on.
      batch_size: images in a micro-batch; None takes a few.
    """

    def __init__(self, model: bytes, threads: int, batch_size: int | None):
        self._model: bytes | None = model
        self._threads, self._batch_size = threads, batch_size
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._multi_threaded = self._session(threads)
        # Built for the first batch, because it has a copy of the weights.
        self._single_threaded: Any = self._multi_threaded if threads == 1 else None
        shape = self._multi_threaded.get_inputs()[0].shape[1:]
        warm_up('onnxruntime', lambda: self.features(np.zeros((1, *shape), np.float32)))

    def _session(self, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self._model, options,
                                            providers=['CPUExecutionProvider'])

    def features(self, images: np.ndarray) -> np.ndarray:
        # ONNX Runtime keeps the memory of the largest run, so none takes a whole batch.
        size = self._batch_size or min(_MAX_MICRO_BATCH, -(-len(images) // self._threads))
        if len(images) < 2 * self._threads:
            return self._multi_threaded.run(None, {INPUTS: images})[0]
        with self._lock:
            if self._single_threaded is None:
                self._single_threaded = self._session(1)
        micro_batches = [images[start:start + size] for start in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(
            lambda batch: self._single_threaded.run(None, {INPUTS: batch})[0], micro_batches)))

    def close(self) -> None:
        self._workers.shutdown()
        self._multi_threaded = self._single_threaded = self._model = None


def build_model(network: Sequence[Op] | QuantizedNetwork, image_size: int, *,
                head: Sequence[Op] = (), input_name: str = INPUTS, output: str = 'features',
                output_name: str | None = None, channels_last: bool = True,
                weights_dtype: type[np.floating] = np.float32) -> bytes:
    """Builds an ONNX model from float32 images to `[N, channels]`.

    Args:
      network: its ops, or the quantized network: each uint8 value then has a pair of
        QuantizeLinear and DequantizeLinear (QDQ) nodes, by which runtimes know what to run in int8.
      image_size: side of the images in pixels.
      head: float32 ops that follow the network, from `head_ops`.
      input_name: name of the images in the model.
      output: name of the value to return.
      output_name: its name in the model, if different.
      channels_last: False takes images `[N, 3, image_size, image_size]`.
      weights_dtype: float16 halves the file; all is computed in float32.

    Returns:
      The serialized model.
    """
    from onnx import TensorProto, checker, helper

    ops, ranges = ((network.ops, network.ranges) if isinstance(network, QuantizedNetwork)
                   else (network, {}))
    builder = _ModelBuilder(ranges, weights_dtype)
    builder.names[INPUTS] = input_name
    if channels_last:
        builder.add('Transpose', [input_name], 'channels_first', perm=(0, 3, 1, 2))
        builder.names[INPUTS] = 'channels_first'
    for op in [*ops, *head]:
        builder.add_op(op, output_name if output_name and op.output == output else op.output)
    shape = (('N', image_size, image_size, 3) if channels_last
             else ('N', 3, image_size, image_size))
    model = helper.make_model(
        helper.make_graph(
            builder.nodes, 'inception',
            [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output_name or output, TensorProto.FLOAT, ('N', None))],
            builder.constants),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8,
        producer_name='inception_slim')
    content = model.SerializeToString()
    checker.check_model(content)
    return content


class _ModelBuilder:
    """Nodes and constants of an ONNX graph.

    Attributes:
      names: of each value of the ops, its name in the graph.
    """

    def __init__(self, ranges: dict[str, float], weights_dtype: type[np.floating]):
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.names: dict[str, str] = {}
        self._ranges = ranges
        self._weights_dtype = weights_dtype

    def add(self, operator: str, inputs: list[str], output: str, name: str | None = None,
            **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name, **attributes))

    def add_op(self, op: Op, output: str) -> None:
        """Adds an op whose value has the name `output` in the graph."""
        if op.kind == 'prewhiten':
            self._add_prewhitening(op, output)
            return
        if op.kind == 'normalize':
            self._add_normalization(op, output)
            return
        inputs = [self.names[name] for name in op.inputs] + self._constant_inputs(op)
        self.add(_OPERATORS[op.kind], inputs, output, op.output, **_attributes(op))
        # An average without padding covers the whole grid: features stay floating point.
        is_features = op.kind == 'avg_pool' and not any(op.padding)
        if op.output in self._ranges and not is_features:
            output = self._quantize_dequantize(op.output)
        self.names[op.output] = output

    def _add_prewhitening(self, op: Op, output: str) -> None:
        name, images = op.output, self.names[op.inputs[0]]
        axes = (1, 2, 3)
        self.add('ReduceMean', [images], f'{name}/mean', axes=axes, keepdims=1)
        self.add('Sub', [images, f'{name}/mean'], f'{name}/centered')
        self.add('Mul', [f'{name}/centered'] * 2, f'{name}/squares')
        self.add('ReduceMean', [f'{name}/squares'], f'{name}/variance', axes=axes, keepdims=1)
        self.add('Sqrt', [f'{name}/variance'], f'{name}/deviation')
        self.add('Max', [f'{name}/deviation', self._constant(f'{name}/lowest', op.factor)],
                 f'{name}/divisor')
        self.add('Div', [f'{name}/centered', f'{name}/divisor'], output, name)
        self.names[name] = output

    def _add_normalization(self, op: Op, output: str) -> None:
        name, value = op.output, self.names[op.inputs[0]]
        self.add('Mul', [value, value], f'{name}/squares')
        self.add('ReduceSum', [f'{name}/squares', self._constant(f'{name}/axes', [1], np.int64)],
                 f'{name}/sum', keepdims=1)
        self.add('Max', [f'{name}/sum', self._constant(f'{name}/lowest', op.factor)],
                 f'{name}/squared_length')
        self.add('Sqrt', [f'{name}/squared_length'], f'{name}/length')
        self.add('Div', [value, f'{name}/length'], output, name)
        self.names[name] = output

    def _constant_inputs(self, op: Op) -> list[str]:
        weights, biases = f'{op.output}:weights', f'{op.output}:biases'
        if op.scales is not None:
            scales = op.scales * np.float32(self._ranges[op.inputs[0]] / 255)
            quantized_biases = np.rint(op.biases / scales).astype(np.int32)
            return [self._dequantize(weights, op.weights, op.scales),
                    self._dequantize(biases, quantized_biases, scales)]
        if op.kind in ('conv', 'dense'):
            return [self._weights(weights, op.weights), self._constant(biases, op.biases)]
        if op.kind == 'scale':
            return [self._constant(f'{op.output}:constant', op.factor)]
        return []

    def _weights(self, name: str, value: np.ndarray) -> str:
        if self._weights_dtype == np.float32:
            return self._constant(name, value)
        from onnx import TensorProto

        self.add('Cast', [self._constant(f'{name}:stored', value, self._weights_dtype)], name,
                 to=TensorProto.FLOAT)
        return name

    def _constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype, order='C'), name))
        return name

    def _dequantize(self, name: str, value: np.ndarray, scales: np.ndarray) -> str:
        """A quantized constant with a scale for each index of its first dimension."""
        inputs = [self._constant(f'{name}:quantized', value, value.dtype),
                  self._constant(f'{name}:scale', scales),
                  self._constant(f'{name}:zero', np.zeros(len(scales)), value.dtype)]
        self.add('DequantizeLinear', inputs, name, axis=0)
        return name

    def _quantize_dequantize(self, name: str) -> str:
        """The value rounded to the uint8 values of its range."""
        scale = [self._constant(f'{name}:scale', self._ranges[name] / 255),
                 self._constant(f'{name}:zero', 0, np.uint8)]
        self.add('QuantizeLinear', [name, *scale], f'{name}:quantized')
        self.add('DequantizeLinear', [f'{name}:quantized', *scale], f'{name}:dequantized')
        return f'{name}:dequantized'


def _attributes(op: Op) -> dict[str, Any]:
    window = {'kernel_shape': op.kernel, 'strides': (op.stride, op.stride), 'pads': op.padding}
    if op.kind == 'conv':
        return {**window, 'group': op.groups}
    if op.kind == 'max_pool':
        return window
    if op.kind == 'avg_pool':
        return {**window, 'count_include_pad': int(op.count_include_pad)}
    return {'axis': 1} if op.kind in ('concat', 'softmax') else {}
