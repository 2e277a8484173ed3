"""The OpenVINO engine: `pip install 'inception_slim[openvino]'`.

A single image uses all threads. A batch is split into micro-batches that run side by side, one
per thread: their activations fit into the caches, and no thread waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
import io
import threading
from typing import Any

from inception_slim.inference.cpu_features import cpu_flags
from inception_slim.inference.engines import warm_up
from inception_slim.inference.ir import INPUTS, Op, head_ops
from inception_slim.inference.network_cache import NO_MODEL_CACHE, ModelCache
from inception_slim.inference.quantization import MAX_WEIGHT, QuantizedNetwork, round_weights
import numpy as np

# Images in one run of a thread; the remaining ones run one by one.
_MICRO_BATCH = 4
# What rounding an image to 8 bits takes away is multiplied by this before it is rounded: three more
# bits. Its weights are divided by it, and would have too few levels with a larger number.
_ENLARGED = 8
# Of a head: a layer of fewer weights takes no time (1 MiB in float32).
_MANY_WEIGHTS = 2**18
_TO_CHANNELS_FIRST = np.array([0, 3, 1, 2])


class OpenVINOEngine:
    """Computes features of images in OpenVINO on the CPU.

    Models are compiled for fixed batch sizes: memory is then planned once, and branches write
    directly into the concatenated value.

    Args:
      model: returns the model, from `build_model`; to be called once, and not at all if everything
        that is needed has been compiled before.
      image_size: side of the images in pixels.
      precision: 'float32', 'bfloat16' or 'int8'.
      threads: to run on.
      batch_size: images in a micro-batch; None takes a few.
      for_batches: most calls are to have many images. Nothing is compiled for smaller calls before
        there is one, and the end of a batch is padded: every compiled size has a copy of the
        weights.
      models: what has been compiled before.
    """

    def __init__(self, model: Callable[[], Any], image_size: int, precision: str, threads: int,
                 batch_size: int | None, for_batches: bool = False,
                 models: ModelCache = NO_MODEL_CACHE):
        self._build_model: Callable[[], Any] | None = model
        self._image_size, self._models = image_size, models
        self._precision, self._threads = precision, threads
        self._model: Any = None
        self._for_batches = for_batches
        self._sizes = sorted({batch_size or _MICRO_BATCH, 1} - ({1} if threads == 1 else set()),
                             reverse=True)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._per_thread = threading.local()
        # Compiled models for one thread per request, by batch size; compiled for the first batch
        # that needs them, because many callers only ever pass single images.
        self._single_threaded: dict[int, Any] = {}
        self._multi_threaded: Any = None
        warm_up('openvino', _infer_nothing)
        if not for_batches:
            self._compile_multi_threaded()

    def _compile(self, batch_size: int, streams: int) -> Any:
        import openvino

        settings = _settings(self._precision, self._threads, streams)

        def build() -> Any:
            if self._build_model is not None:
                # What it holds is freed with it.
                self._model, self._build_model = self._build_model(), None
            self._model.reshape([batch_size, self._image_size, self._image_size, 3])
            return openvino.Core().compile_model(self._model, 'CPU', settings)

        return self._models.load_or_build(
            'openvino', build, _export, lambda content: _import(content, settings),
            openvino=openvino.__version__, processor=cpu_flags(), batch_size=batch_size,
            image_size=self._image_size, settings=settings)

    def _compile_multi_threaded(self) -> None:
        self._multi_threaded = self._compile(1, streams=1).create_infer_request()

    def features(self, images: np.ndarray) -> np.ndarray:
        results: list[np.ndarray] = []
        rest = np.ascontiguousarray(images)
        if self._for_batches and len(rest) >= self._sizes[0]:
            padding = np.zeros((-len(rest) % self._sizes[0], *rest.shape[1:]), np.float32)
            rest = np.concatenate([rest, padding]) if len(padding) else rest
            return np.concatenate(self._run(rest, self._sizes[0]))[:len(images)]
        for size in self._sizes:
            count = len(rest) // (size * self._threads) * self._threads * size
            if count:
                results += self._run(rest[:count], size)
                rest = rest[count:]
        with self._lock:
            if len(rest) and self._multi_threaded is None:
                self._compile_multi_threaded()
            results += [_infer(self._multi_threaded, image[np.newaxis])['features']
                        for image in rest]
        return np.concatenate(results)

    def _run(self, images: np.ndarray, size: int) -> list[np.ndarray]:
        """Runs micro-batches of one size side by side."""
        with self._lock:
            if size not in self._single_threaded:
                self._single_threaded[size] = self._compile(size, self._threads)
        return list(self._workers.map(self._run_in_worker,
                                      np.split(images, len(images) // size)))

    def _run_in_worker(self, images: np.ndarray) -> np.ndarray:
        requests = vars(self._per_thread).setdefault('requests', {})
        if len(images) not in requests:
            requests[len(images)] = self._single_threaded[len(images)].create_infer_request()
        return _infer(requests[len(images)], images)['features']

    def close(self) -> None:
        self._workers.shutdown()
        self._multi_threaded = self._model = self._build_model = None
        self._single_threaded = {}
        self._per_thread = threading.local()


class OpenVINOClassifierHead:
    """The layers of a head in float32, on OpenVINO's threads, which are awake already.

    Args:
      layers, activation, threads: see `factory.build_head`.
      int8_weights: keep the weights of large layers in 8 bits, with one scale per output. They are
        multiplied in float32; for a single image, reading them is most of the time of a head.
    """

    def __init__(self, layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str,
                 threads: int, int8_weights: bool = False):
        import openvino
        from openvino import opset8

        warm_up('openvino', _infer_nothing)
        self.channels = layers[0][0].shape[-2]
        features = opset8.parameter([-1, self.channels], np.float32)
        values = {'features': features.output(0)}
        ops = head_ops(layers, activation)
        if int8_weights:
            ops = [_with_int8_weights(op) if np.size(op.weights) >= _MANY_WEIGHTS else op
                   for op in ops]
        _add_ops(ops, values, {})
        outputs = {name: name for name in ('logits', 'predictions')}
        model = openvino.Model(_results(values, outputs), [features], 'classifier')
        self._lock = threading.Lock()
        self._request = openvino.Core().compile_model(
            model, 'CPU', {**_settings('float32', threads, 1),
                           # The inputs of layers with int8 weights stay in float32.
                           'DYNAMIC_QUANTIZATION_GROUP_SIZE': 0}).create_infer_request()

    def logits(self, features: np.ndarray) -> np.ndarray:
        return self._infer(features)['logits']

    def predictions(self, features: np.ndarray) -> np.ndarray:
        return self._infer(features)['predictions']

    def _infer(self, features: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            return _infer(self._request, features)

    def close(self) -> None:
        self._request = None


def _settings(precision: str, threads: int, streams: int) -> dict[str, Any]:
    return {'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bfloat16' else 'f32',
            'INFERENCE_NUM_THREADS': threads, 'NUM_STREAMS': streams}


def _export(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()


def _import(content: np.ndarray, settings: Mapping[str, Any]) -> Any:
    import openvino

    # The compiled model uses the weights where they are, so the memory has to be OpenVINO's own.
    tensor = openvino.Tensor(openvino.Type.u8, openvino.Shape(content.shape))
    tensor.data[:] = content
    return openvino.Core().import_model(tensor, 'CPU', settings)


def _infer_nothing() -> None:
    """An inference of a model that returns its input."""
    import openvino
    from openvino import opset8

    value = opset8.parameter([1], np.float32)
    results = _results({'value': value.output(0)}, {'value': 'value'})
    model = openvino.Model(results, [value], 'identity')
    compiled = openvino.Core().compile_model(model, 'CPU', _settings('float32', 1, 1))
    _infer(compiled.create_infer_request(), np.zeros(1, np.float32))


def _infer(request: Any, value: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs by name, copied: the next inference overwrites those of the request."""
    return {tensor.get_any_name(): output.copy()
            for tensor, output in request.infer(value, share_inputs=True).items()}


def build_model(network: Sequence[Op] | QuantizedNetwork, image_size: int, *,
                int8_images: bool = False, head: Sequence[Op] = (), input_name: str = INPUTS,
                outputs: Mapping[str, str] | None = None) -> Any:
    """Builds an OpenVINO model from float32 images to `[N, channels]`.

    Args:
      network: its ops, or the quantized network.
      image_size: side of the images in pixels.
      int8_images: of a quantized network, compute the convolution of the images in int8 too, for
        processors with VNNI.
      head: float32 ops that follow the network, from `head_ops`.
      input_name: name of the images in the model.
      outputs: names of the model's outputs, and the values that they return; by default the
        features only.
    """
    import openvino
    from openvino import opset8

    inputs = opset8.parameter([-1, image_size, image_size, 3], np.float32, name=input_name)
    inputs.output(0).set_names({input_name})
    values = {INPUTS: opset8.transpose(inputs, _TO_CHANNELS_FIRST)}
    ops, ranges = ((network.ops, network.ranges) if isinstance(network, QuantizedNetwork)
                   else (network, {}))
    first = ops[0]
    if int8_images and first.kind == 'conv' and first.groups == 1:
        values[first.output] = _convolution_of_images(first, inputs, image_size)
        ops = ops[1:]
    _add_ops([*ops, *head], values, ranges)
    return openvino.Model(_results(values, outputs or {'features': 'features'}), [inputs],
                          'inception')


def _results(values: Mapping[str, Any], outputs: Mapping[str, str]) -> list[Any]:
    from openvino import opset8

    results = []
    for name, output in outputs.items():
        result = opset8.result(values[output], name=f'{name}/result')
        result.output(0).set_names({name})
        results.append(result)
    return results


def _add_ops(ops: Sequence[Op], values: dict[str, Any], ranges: Mapping[str, float]) -> None:
    """Adds the value of each op to `values`."""
    for op in ops:
        value = _translate(op, [values[name] for name in op.inputs])
        # An average without padding covers the whole grid: features stay floating point.
        if op.output in ranges and (op.kind == 'relu'
                                    or op.kind == 'avg_pool' and any(op.padding)):
            value = _fake_quantize(value, ranges[op.output])
        values[op.output] = value


def _translate(op: Op, inputs: list[Any]) -> Any:
    from openvino import opset8

    value = inputs[0]
    begin, end = op.padding[:2], op.padding[2:]
    if op.kind == 'conv':
        value = _convolution(op, value)
        value.friendly_name = op.output  # readers of the file find the weights by this name
        return opset8.add(value, _constant(op.biases.reshape(1, -1, 1, 1)))
    if op.kind == 'dense':
        if op.scales is None:
            value = opset8.matmul(value, _constant(op.weights), False, False)
        else:  # OpenVINO keeps such weights in 8 bits only if the outputs are first
            value = opset8.matmul(value, _scaled(op.weights.T, op.scales), False, True)
        value.friendly_name = op.output
        return opset8.add(value, _constant(op.biases.reshape(1, -1)))
    if op.kind == 'max_pool':
        pool = opset8.max_pool(value, [op.stride] * 2, [1, 1], begin, end, op.kernel)
        pool.friendly_name = op.output
        return pool.output(0)
    if op.kind == 'avg_pool':
        value = opset8.avg_pool(value, [op.stride] * 2, begin, end, op.kernel,
                                not op.count_include_pad)
        value.friendly_name = op.output
        return value
    if op.kind == 'relu':
        return opset8.relu(value)
    if op.kind == 'concat':
        return opset8.concat(inputs, 1)
    if op.kind == 'add':
        return opset8.add(value, inputs[1])
    if op.kind == 'prewhiten':
        axes = np.array([1, 2, 3])
        value = opset8.subtract(value, opset8.reduce_mean(value, axes, True))
        variance = opset8.reduce_mean(opset8.multiply(value, value), axes, True)
        value = opset8.divide(value, opset8.maximum(opset8.sqrt(variance), np.float32(op.factor)))
        value.friendly_name = op.output
        return value
    if op.kind == 'normalize':
        return opset8.normalize_l2(value, np.array([1]), op.factor, 'max')
    if op.kind == 'scale':
        return opset8.multiply(value, np.float32(op.factor))
    if op.kind == 'flatten':
        return opset8.reshape(value, np.array([0, -1]), True)
    if op.kind == 'softmax':
        return opset8.softmax(value, 1)
    if op.kind == 'sigmoid':
        return opset8.sigmoid(value)
    if op.kind == 'linear':
        # A value of its own: compiled, two outputs of one value would have the same name.
        return opset8.convert(value, np.float32)
    raise ValueError(f'{op.output} has the kind {op.kind}, which is not supported here.')


def _fake_quantize(value: Any, largest: float, smallest: float = 0) -> Any:
    from openvino import opset8

    low, high = (opset8.constant(np.float32(limit)) for limit in (smallest, largest))
    return opset8.fake_quantize(value, low, high, low, high, 256)


def _constant(value: np.ndarray) -> Any:
    """A constant of the memory of an array; `opset8.constant` makes a list of Python numbers."""
    from openvino.op import Constant

    return Constant(np.ascontiguousarray(value), True)  # shared memory


def _convolution_of_images(op: Op, images: Any, side: int) -> Any:
    """A convolution of `[N, side, side, 3]` in [-1, 1] that multiplies 8-bit integers.

    Pixels rounded to 8 bits would lose too much. Each row of an image becomes two: the rounded
    pixels, and below them what rounding has taken away, enlarged; their weights are reduced as
    much. In float32 the convolution takes longer, mostly to write its result to memory.
    """
    from openvino import opset8

    rows = opset8.reshape(images, np.array([0, side, 1, side * 3]), True)
    rounded = opset8.multiply(opset8.round(opset8.multiply(rows, np.float32(MAX_WEIGHT)),
                                           'half_to_even'), np.float32(1 / MAX_WEIGHT))
    first, second = (np.array(factors, np.float32).reshape(1, 1, 2, 1)
                     for factors in ([1, 0], [0, _ENLARGED]))
    # Not by a concatenation, which would be an operation of its own.
    rows = opset8.add(opset8.multiply(rows, opset8.constant(first)),
                      opset8.multiply(opset8.subtract(rows, rounded), opset8.constant(second)))
    # Zero, with which images are padded, is one of these levels.
    rows = _fake_quantize(rows, 1, -(MAX_WEIGHT + 1) / MAX_WEIGHT)
    value = opset8.transpose(opset8.reshape(rows, np.array([0, side * 2, side, 3]), True),
                             _TO_CHANNELS_FIRST)
    weights = np.repeat(op.weights, 2, axis=2)
    weights[:, :, 1::2] /= _ENLARGED
    weights, scales = round_weights(weights)
    top, left, bottom, right = op.padding
    value = opset8.convolution(value, _scaled(weights, scales), [2 * op.stride, op.stride],
                               [2 * top, left], [2 * bottom, right], [1, 1])
    return opset8.add(value, _constant(op.biases.reshape(1, -1, 1, 1)))


def _convolution(op: Op, value: Any) -> Any:
    from openvino import opset8

    # OpenVINO brings weights that are bfloat16 numbers into bfloat16 itself.
    weights = op.weights if op.scales is not None else op.weights.astype(np.float32, copy=False)
    if op.groups > 1:
        weights = weights.reshape(op.groups, -1, *weights.shape[1:])
    kernel = _constant(weights) if op.scales is None else _scaled(weights, op.scales)
    convolution = opset8.convolution if op.groups == 1 else opset8.group_convolution
    return convolution(value, kernel, [op.stride] * 2, op.padding[:2], op.padding[2:], [1, 1])


def _with_int8_weights(op: Op) -> Op:
    weights, scales = round_weights(op.weights.T)
    return op._replace(weights=weights.T, scales=scales)


def _scaled(weights: np.ndarray, scales: np.ndarray) -> Any:
    """int8 weights times the scales of their outputs, which come first."""
    from openvino import opset8

    return opset8.multiply(opset8.convert(_constant(weights), np.float32),
                           _constant(scales.reshape(-1, *[1] * (weights.ndim - 1))))
