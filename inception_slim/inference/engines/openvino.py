"""OpenVINO's engine, built from a network's steps: `pip install 'inception_slim[openvino]'`.

One image is shared by all threads. A batch is cut into pieces that run side by side, a thread
each: their activations fit into the caches, and no thread waits for another.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inception_slim.inference.quantization import Quantized
from inception_slim.inference.steps import INPUTS, Step

_LARGEST_PIECE = 4


class OpenVINOEngine:
    """The features of images, by OpenVINO on the processor."""

    def __init__(self, model: Any, precision: str, threads: int, batch_size: int | None):
        self._model, self._threads, self._size = model, threads, batch_size
        self._settings = {
            'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bfloat16' else 'f32',
            'INFERENCE_NUM_THREADS': threads}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._of_thread = threading.local()
        self._apart: Any = None  # compiled when a batch comes: many see one image at a time alone
        self._together = self._compiled(1).create_infer_request()

    def _compiled(self, streams: int) -> Any:
        import openvino

        return openvino.Core().compile_model(
            self._model, 'CPU', {**self._settings, 'NUM_STREAMS': streams})

    def features(self, images: np.ndarray) -> np.ndarray:
        size = self._size or min(_LARGEST_PIECE, -(-len(images) // self._threads))
        if self._threads == 1 or len(images) < 2 * self._threads:
            with self._lock:
                return _asked(self._together, images)
        with self._lock:
            if self._apart is None:
                self._apart = self._compiled(self._threads)
        pieces = [images[at:at + size] for at in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(self._alone, pieces)))

    def _alone(self, images: np.ndarray) -> np.ndarray:
        if not hasattr(self._of_thread, 'request'):
            self._of_thread.request = self._apart.create_infer_request()
        return _asked(self._of_thread.request, images)

    def close(self) -> None:
        self._workers.shutdown()
        self._together = self._apart = self._model = None
        self._of_thread = threading.local()


def _asked(request: Any, images: np.ndarray) -> np.ndarray:
    """The answer, copied: the request's own is overwritten by the next."""
    return request.infer(np.ascontiguousarray(images), share_inputs=True)[0].copy()


def model_of(network: Sequence[Step] | Quantized, side: int, *, last: Sequence[Step] = (),
             input_name: str = INPUTS, outputs: Mapping[str, str] | None = None) -> Any:
    """An OpenVINO model, `[N, side, side, 3]` to `[N, channels]` of each output.

    Args:
      network: its steps, or the same in eight bits.
      side: of the images.
      last: more steps after these, in floats.
      input_name: what the images are called.
      outputs: what is asked for, by the name that it gets: the output of a step. None asks for
        the features alone.
    """
    import openvino
    from openvino import opset8 as ops

    if isinstance(network, Quantized):
        steps, ranges = network.steps, network.ranges
    else:
        steps, ranges = list(network), {}
    inputs = ops.parameter([-1, side, side, 3], np.float32, name=input_name)
    inputs.output(0).set_names({input_name})
    values = {INPUTS: ops.transpose(inputs, np.array([0, 3, 1, 2]))}

    def rounded(value: Any, name: str) -> Any:
        low, high = (ops.constant(np.float32(end)) for end in (0, ranges[name]))
        return ops.fake_quantize(value, low, high, low, high, 256)

    for step in [*steps, *last]:
        value = values[step.inputs[0]]
        begin, end = step.padding[:2], step.padding[2:]
        if step.kind == 'conv':
            value = _convolution(ops, step, value)
            value.friendly_name = step.output  # by which its weights are found again
            value = ops.add(value, ops.constant(step.biases.reshape(1, -1, 1, 1)))
        elif step.kind == 'dense':
            value = ops.matmul(value, ops.constant(step.weights), False, False)
            value.friendly_name = step.output
            value = ops.add(value, ops.constant(step.biases.reshape(1, -1)))
        elif step.kind == 'softmax':
            value = ops.softmax(value, 1)
        elif step.kind == 'max_pool':
            pool = ops.max_pool(value, [step.stride] * 2, [1, 1], begin, end, step.kernel)
            pool.friendly_name = step.output
            value = pool.output(0)
        elif step.kind == 'avg_pool':
            value = ops.avg_pool(value, [step.stride] * 2, begin, end, step.kernel,
                                 not step.counts_padding)
            value.friendly_name = step.output
        elif step.kind == 'concat':
            value = ops.concat([values[name] for name in step.inputs], 1)
        elif step.kind == 'flatten':
            value = ops.reshape(value, np.array([0, -1]), True)
        elif step.kind == 'relu':
            value = ops.relu(value)
        elif step.kind == 'add':
            value = ops.add(value, values[step.inputs[1]])
        elif step.kind == 'shift':
            value = ops.add(value, np.float32(1))
        elif step.kind == 'scale':
            value = ops.multiply(value, np.float32(step.factor))
        else:
            raise ValueError(f'{step.output} is a {step.kind}, which is not written here yet')
        if step.output in ranges and (step.kind in ('relu', 'shift') or (
                step.kind == 'avg_pool' and any(step.padding))):
            value = rounded(value, step.output)
        values[step.output] = value
    results = []
    for name, step_output in (outputs or {'features': 'features'}).items():
        result = ops.result(values[step_output], name=f'{name}/result')
        result.output(0).set_names({name})
        results.append(result)
    return openvino.Model(results, [inputs], 'inception')


def _convolution(ops: Any, step: Step, value: Any) -> Any:
    weights = np.ascontiguousarray(step.weights)
    if step.groups > 1:
        weights = weights.reshape(step.groups, -1, *weights.shape[1:])
    factor = ops.constant(weights)
    if step.unit is not None:
        factor = ops.multiply(ops.convert(factor, np.float32),
                              ops.constant(step.unit.reshape(-1, 1, 1, 1)))
    convolution = ops.convolution if step.groups == 1 else ops.group_convolution
    return convolution(value, factor, [step.stride] * 2, step.padding[:2], step.padding[2:],
                       [1, 1])
