"""OpenVINO's engine, built from a network's steps: `pip install 'inception_slim[openvino]'`.

One image is shared by all threads. A batch is cut into pieces that run side by side, a thread
each: their activations fit into the caches, and no thread waits for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
import threading
from typing import Any

from inception_slim.inference.ir import INPUTS, Op, head_ops
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np

# Images in one run of a thread; what is left over goes one by one.
_PIECE = 4


class OpenVINOEngine:
    """The features of images, by OpenVINO on the processor.

    What is compiled is for so many images and no others: memory is then planned once, and branches
    are concatenated where they are.
    """

    def __init__(self, model: Any, precision: str, threads: int, batch_size: int | None):
        self._model, self._precision, self._threads = model, precision, threads
        # Of each there is a copy of the weights.
        self._sizes = sorted({batch_size or _PIECE, 1} - ({1} if threads == 1 else set()),
                             reverse=True)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._of_thread = threading.local()
        self._apart: dict[int, Any] = {}  # by images; when they come: many see one at a time alone
        self._together = self._for(1, streams=1).create_infer_request()

    def _for(self, images: int, streams: int) -> Any:
        self._model.reshape([images, *self._model.input(0).get_partial_shape()[1:]])
        return _compiled(self._model, self._precision, self._threads, streams)

    def features(self, images: np.ndarray) -> np.ndarray:
        found: list[np.ndarray] = []
        rest = np.ascontiguousarray(images)
        for size in self._sizes:
            count = len(rest) // (size * self._threads) * self._threads
            if count:
                with self._lock:
                    if size not in self._apart:
                        self._apart[size] = self._for(size, self._threads)
                pieces = np.split(rest[:count * size], count)
                found += self._workers.map(self._alone, pieces)
                rest = rest[count * size:]
        with self._lock:
            found += [_asked(self._together, image[np.newaxis])['features'] for image in rest]
        return np.concatenate(found)

    def _alone(self, images: np.ndarray) -> np.ndarray:
        requests = vars(self._of_thread).setdefault('requests', {})
        if len(images) not in requests:
            requests[len(images)] = self._apart[len(images)].create_infer_request()
        return _asked(requests[len(images)], images)['features']

    def close(self) -> None:
        self._workers.shutdown()
        self._together = self._model = None
        self._apart = {}
        self._of_thread = threading.local()


class OpenVINOClassifier:
    """What `Classifier` is, by the threads that found the features, which need not be woken."""

    def __init__(self, weights: np.ndarray, biases: np.ndarray, threads: int):
        import openvino
        from openvino import opset8 as ops

        self.channels = weights.shape[-2]
        features = ops.parameter([-1, self.channels], np.float32)
        values = {'features': features.output(0)}
        _build(head_ops(weights, biases), values, {})
        model = openvino.Model(_results(values, {each: each for each in (
            'logits', 'predictions')}), [features], 'classifier')
        self._lock = threading.Lock()
        self._request = _compiled(model, 'float32', threads, 1).create_infer_request()

    def logits(self, features: np.ndarray) -> np.ndarray:
        return self._answer(features)['logits']

    def predictions(self, features: np.ndarray) -> np.ndarray:
        return self._answer(features)['predictions']

    def _answer(self, features: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            return _asked(self._request, features)

    def close(self) -> None:
        self._request = None


def _compiled(model: Any, precision: str, threads: int, streams: int) -> Any:
    import openvino

    return openvino.Core().compile_model(model, 'CPU', {
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bfloat16' else 'f32',
        'INFERENCE_NUM_THREADS': threads, 'NUM_STREAMS': streams})


def _asked(request: Any, value: np.ndarray) -> dict[str, np.ndarray]:
    """The answers by name, copied: the request's own are overwritten by the next."""
    return {each.get_any_name(): answer.copy()
            for each, answer in request.infer(value, share_inputs=True).items()}


def build_model(network: Sequence[Op] | QuantizedNetwork, side: int, *, last: Sequence[Op] = (),
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

    inputs = ops.parameter([-1, side, side, 3], np.float32, name=input_name)
    inputs.output(0).set_names({input_name})
    values = {INPUTS: ops.transpose(inputs, np.array([0, 3, 1, 2]))}
    steps, ranges = (network.steps, network.ranges) if isinstance(network, QuantizedNetwork) else (
        network, {})
    _build([*steps, *last], values, ranges)
    return openvino.Model(_results(values, outputs or {'features': 'features'}), [inputs],
                          'inception')


def _results(values: Mapping[str, Any], outputs: Mapping[str, str]) -> list[Any]:
    from openvino import opset8 as ops

    results = []
    for name, output in outputs.items():
        result = ops.result(values[output], name=f'{name}/result')
        result.output(0).set_names({name})
        results.append(result)
    return results


def _build(steps: Sequence[Op], values: dict[str, Any], ranges: Mapping[str, float]) -> None:
    """Adds what each step gives to the values."""
    from openvino import opset8 as ops

    def rounded(value: Any, name: str) -> Any:
        low, high = (ops.constant(np.float32(end)) for end in (0, ranges[name]))
        return ops.fake_quantize(value, low, high, low, high, 256)

    for step in steps:
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


def _convolution(ops: Any, step: Op, value: Any) -> Any:
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
