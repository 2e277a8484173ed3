"""The TFLite engine: int8 with XNNPACK."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import threading
import warnings

from inception_slim._tf_logging import suppress_stderr
from inception_slim.checkpoint.options import PREWHITEN
from inception_slim.inference.engines import warm_up
from inception_slim.inference.graph import extract_subgraph
from inception_slim.inference.ir import pooled_grid
from inception_slim.inference.quantization import QuantizedNetwork
from inception_slim.inference.tf_graph_builder import fake_quant_graph
import numpy as np
import tensorflow.compat.v1 as tf

# How the last grid becomes features, by the kind of its op.
_POOLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'avg_pool': lambda window: window.mean((1, 2)), 'max_pool': lambda window: window.max((1, 2)),
    'flatten': lambda grid: grid.transpose(0, 3, 1, 2).reshape(len(grid), -1)}
_LARGEST_PREWHITENED = 4  # deviations from the mean of an image; larger values are clipped


class TFLiteEngine:
    """Computes features of images in TFLite with XNNPACK.

    A single image uses all threads; of several images, each thread runs its own, which is faster.

    Args:
      network: the network.
      model: of it, from `build_model`.
      threads: to run on.
    """

    def __init__(self, network: QuantizedNetwork, model: bytes, threads: int):
        self._model: bytes | None = model
        self._network = network
        self._last_op = pooled_grid(network.ops)[1]
        self._multi_threaded = self._interpreter(threads)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._per_thread = threading.local()
        shape = (1, network.image_size, network.image_size, 3)
        warm_up('tflite', lambda: self.features(np.zeros(shape, np.float32)))

    def _interpreter(self, threads: int) -> tf.lite.Interpreter:
        with warnings.catch_warnings(), suppress_stderr():
            warnings.simplefilter('ignore')  # a deprecation notice about another package
            interpreter = tf.lite.Interpreter(model_content=self._model, num_threads=threads)
            interpreter.allocate_tensors()
        return interpreter

    def _pool(self, grid: np.ndarray) -> np.ndarray:
        op = self._last_op
        if op.kind == 'avg_pool':  # V2's window is smaller than the grid of images of 256x256
            grid = grid[:, :op.kernel[0], :op.kernel[1]]
        return _POOLS[op.kind](grid)

    def features(self, images: np.ndarray) -> np.ndarray:
        images = prepare_images(self._network, images)
        if len(images) == 1:
            with self._lock:
                return self._pool(_invoke(self._multi_threaded, images))
        single = [images[start:start + 1] for start in range(len(images))]
        return np.concatenate(list(self._workers.map(self._run_in_worker, single)))

    def _run_in_worker(self, image: np.ndarray) -> np.ndarray:
        if not hasattr(self._per_thread, 'interpreter'):
            with self._lock:  # stderr is suppressed for the whole process
                self._per_thread.interpreter = self._interpreter(1)
        return self._pool(_invoke(self._per_thread.interpreter, image))

    def close(self) -> None:
        self._workers.shutdown()
        self._multi_threaded = self._model = None


def _invoke(interpreter: tf.lite.Interpreter, image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])


def prepare_images(network: QuantizedNetwork, images: np.ndarray) -> np.ndarray:
    """Prewhitens images in [-1, 1] if the network does; the model of `build_model` does not."""
    if network.ops[0].kind == PREWHITEN:
        centered = images - images.mean((1, 2, 3), keepdims=True)
        deviations = np.sqrt((centered ** 2).mean((1, 2, 3), keepdims=True))
        return centered / np.maximum(deviations, np.float32(network.ops[0].factor))
    return images


def build_model(network: QuantizedNetwork) -> bytes:
    """A TFLite model with int8 convolutions, up to the last grid.

    Its images are those of `prepare_images`.
    """
    graph = fake_quant_graph(network)
    inputs, features = (graph.get_tensor_by_name(name) for name in ('inputs:0', 'features:0'))
    with warnings.catch_warnings(), suppress_stderr():
        warnings.simplefilter('ignore')
        # Not `from_session`, which looks for variables to freeze and takes seconds.
        converter = tf.lite.TFLiteConverter(
            extract_subgraph(graph.as_graph_def(), ['features']), [inputs], [features])
        # The graph has the ranges of everything but the images; theirs are given here as
        # (mean, deviation): the value of a byte is (byte - mean) / deviation.
        converter.inference_type = tf.int8
        converter.inference_input_type = converter.inference_output_type = tf.float32
        largest = _LARGEST_PREWHITENED if network.ops[0].kind == PREWHITEN else 1
        converter.quantized_input_stats = {'inputs': (0.0, 127 / largest)}
        return converter.convert()
