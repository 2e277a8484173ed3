"""ONNX Runtime's engine, built from a network's steps: `pip install 'inception_slim[onnxruntime]'`.

One image is shared by all threads; of a batch, each thread has pieces of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
import threading
from typing import Any

from inception_slim.inference.ir import INPUTS, Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np

_LARGEST_PIECE = 4


class ONNXRuntimeEngine:
    """The features of images, by ONNX Runtime on the processor."""

    def __init__(self, model: bytes, threads: int, batch_size: int | None):
        self._model: bytes | None = model
        self._threads, self._size = threads, batch_size
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._apart: Any = None  # made when a batch comes: many see one image at a time alone
        self._together = self._session(threads)

    def _session(self, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Memory that it kept for the largest batch so far would never be given back.
        options.enable_cpu_mem_arena = False
        return onnxruntime.InferenceSession(self._model, options,
                                            providers=['CPUExecutionProvider'])

    def features(self, images: np.ndarray) -> np.ndarray:
        size = self._size or min(_LARGEST_PIECE, -(-len(images) // self._threads))
        if self._threads == 1 or len(images) < 2 * self._threads:
            return self._together.run(None, {INPUTS: images})[0]
        with self._lock:
            if self._apart is None:
                self._apart = self._session(1)
        pieces = [images[at:at + size] for at in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(
            lambda piece: self._apart.run(None, {INPUTS: piece})[0], pieces)))

    def close(self) -> None:
        self._workers.shutdown()
        self._together = self._apart = self._model = None


def build_model(network: Sequence[Op] | QuantizedNetwork, side: int, *, last: Sequence[Op] = (),
             input_name: str = INPUTS, output: str = 'features', output_name: str | None = None,
             channels_last: bool = True) -> bytes:
    """An ONNX model of float32 images to `[N, channels]`.

    Args:
      network: its steps, or the same in eight bits: each value that is bytes is then quantized and
        dequantized (QDQ), by which runtimes know what to multiply in bytes.
      side: of the images.
      last: more steps after these, in floats.
      input_name: what the images are called.
      output: the name of the step that is asked for.
      output_name: what that is called in the model, if otherwise.
      channels_last: False takes images `[N, 3, side, side]`.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    steps, ranges = (network.steps, network.ranges) if isinstance(network, QuantizedNetwork) else (
        network, {})
    nodes, constants = [], []

    def kept(name: str, value: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype, order='C'), name))
        return name

    def unrounded(name: str, value: np.ndarray, unit: np.ndarray) -> str:
        """Whole numbers of a kind, in units for each of their first dimension, as floats."""
        whole = [kept(f'{name}:whole', value, value.dtype), kept(f'{name}:unit', unit),
                 kept(f'{name}:zero', np.zeros(len(unit)), value.dtype)]
        nodes.append(helper.make_node('DequantizeLinear', whole, [name], axis=0))
        return name

    def rounded(name: str) -> str:
        """A value as what its nearest byte stands for."""
        scale = [kept(f'{name}:unit', ranges[name] / 255), kept(f'{name}:zero', 0, np.uint8)]
        for kind, source, target in (('QuantizeLinear', name, f'{name}:bytes'),
                                     ('DequantizeLinear', f'{name}:bytes', f'{name}:rounded')):
            nodes.append(helper.make_node(kind, [source, *scale], [target]))
        return f'{name}:rounded'

    names = {INPUTS: input_name}
    if channels_last:
        names[INPUTS] = 'channels_first'
        nodes.append(helper.make_node('Transpose', [input_name], ['channels_first'],
                                      perm=(0, 3, 1, 2)))
    for step in [*steps, *last]:
        name, inputs = step.output, [names[each] for each in step.inputs]
        window = {'kernel_shape': step.kernel, 'strides': (step.stride, step.stride),
                  'pads': step.padding}
        if step.unit is not None:
            unit = step.unit * np.float32(ranges[step.inputs[0]] / 255)
            biases = np.rint(step.biases / unit).astype(np.int32)
            inputs = [*inputs, unrounded(f'{name}:weights', step.weights, step.unit),
                      unrounded(f'{name}:biases', biases, unit)]
        elif step.kind in ('conv', 'dense'):
            inputs = [*inputs, kept(f'{name}:weights', step.weights),
                      kept(f'{name}:biases', step.biases)]
        elif step.kind == 'shift':
            inputs = [*inputs, kept(f'{name}:constant', 1)]
        elif step.kind == 'scale':
            inputs = [*inputs, kept(f'{name}:constant', step.factor)]
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            'conv': ('Conv', {**window, 'group': step.groups}), 'dense': ('Gemm', {}),
            'max_pool': ('MaxPool', window),
            'avg_pool': ('AveragePool', {**window, 'count_include_pad': int(step.counts_padding)}),
            'relu': ('Relu', {}), 'concat': ('Concat', {'axis': 1}), 'add': ('Add', {}),
            'scale': ('Mul', {}), 'shift': ('Add', {}), 'flatten': ('Flatten', {}),
            'softmax': ('Softmax', {'axis': 1}),
        }
        operation, attributes = kinds[step.kind]
        called = output_name if output_name and name == output else name
        nodes.append(helper.make_node(operation, inputs, [called], name, **attributes))
        # What is averaged over the whole grid is features, and stays in floats.
        names[name] = called if name not in ranges or (
            step.kind == 'avg_pool' and not any(step.padding)) else rounded(name)
    shape = ('N', side, side, 3) if channels_last else ('N', 3, side, side)
    model = helper.make_model(
        helper.make_graph(
            nodes, 'inception',
            [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output_name or output, TensorProto.FLOAT, ('N', None))],
            constants),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()
