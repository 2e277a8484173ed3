"""ONNX Runtime's engine, built from a network's steps: `pip install 'inception_slim[onnxruntime]'`.

One image is shared by all threads; of a batch, each thread has pieces of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inception_slim.inference.steps import INPUTS, Step

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


def model_of(steps: Sequence[Step], side: int, *, output: str = 'features',
             channels_last: bool = True) -> bytes:
    """An ONNX model of float32 images to `[N, channels]`.

    Args:
      steps: those of the network.
      side: of the images.
      output: the name of the last step.
      channels_last: False takes images `[N, 3, side, side]`.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants = [], []

    def kept(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32, order='C'), name))
        return name

    names = {INPUTS: INPUTS}
    if channels_last:
        names[INPUTS] = 'channels_first'
        nodes.append(helper.make_node('Transpose', [INPUTS], ['channels_first'],
                                      perm=(0, 3, 1, 2)))
    for step in steps:
        name, inputs = step.output, [names[each] for each in step.inputs]
        window = {'kernel_shape': step.kernel, 'strides': (step.stride, step.stride),
                  'pads': step.padding}
        if step.kind in ('conv', 'dense'):
            inputs = [*inputs, kept(f'{name}:weights', step.weights),
                      kept(f'{name}:biases', step.biases)]
        elif step.kind == 'scale':
            inputs = [*inputs, kept(f'{name}:constant', step.factor)]
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            'conv': ('Conv', {**window, 'group': step.groups}), 'dense': ('Gemm', {}),
            'max_pool': ('MaxPool', window),
            'avg_pool': ('AveragePool', {**window, 'count_include_pad': int(step.counts_padding)}),
            'relu': ('Relu', {}), 'concat': ('Concat', {'axis': 1}), 'add': ('Add', {}),
            'scale': ('Mul', {}), 'flatten': ('Flatten', {}),
        }
        operation, attributes = kinds[step.kind]
        nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        names[name] = name
    shape = ('N', side, side, 3) if channels_last else ('N', 3, side, side)
    model = helper.make_model(
        helper.make_graph(
            nodes, 'inception',
            [helper.make_tensor_value_info(INPUTS, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ('N', None))], constants),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()
