"""TFLite with XNNPACK, which multiplies eight-bit integers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import threading
import warnings

from inception_slim._tf_logging import suppress_stderr
from inception_slim.inference.graph import extract_subgraph
from inception_slim.inference.quantization import QuantizedNetwork, is_input_shifted
from inception_slim.inference.tf_graph_builder import fake_quant_graph
import numpy as np
import tensorflow.compat.v1 as tf


class TFLiteEngine:
    """The features of images, by TFLite with XNNPACK.

    One image is shared by all threads; of several, each thread has its own, which is faster.
    """

    def __init__(self, network: QuantizedNetwork, threads: int):
        self._model: bytes | None = build_model(network)
        self._added = np.float32(is_input_shifted(network))
        self._together = self._interpreter(threads)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        self._of_thread = threading.local()

    def _interpreter(self, threads: int) -> tf.lite.Interpreter:
        with warnings.catch_warnings(), suppress_stderr():
            warnings.simplefilter('ignore')  # it announces its move to another package
            interpreter = tf.lite.Interpreter(model_content=self._model, num_threads=threads)
            interpreter.allocate_tensors()
        return interpreter

    def features(self, images: np.ndarray) -> np.ndarray:
        images = images + self._added
        if len(images) == 1:
            with self._lock:
                return _invoke(self._together, images)
        pieces = [images[at:at + 1] for at in range(len(images))]
        return np.concatenate(list(self._workers.map(self._alone, pieces)))

    def _alone(self, image: np.ndarray) -> np.ndarray:
        if not hasattr(self._of_thread, 'interpreter'):
            with self._lock:  # what it holds back is the whole process's
                self._of_thread.interpreter = self._interpreter(1)
        return _invoke(self._of_thread.interpreter, image)

    def close(self) -> None:
        self._workers.shutdown()
        self._together = self._model = None


def _invoke(interpreter: tf.lite.Interpreter, image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]['index']).mean((1, 2))


def build_model(network: QuantizedNetwork) -> bytes:
    """A TFLite model whose convolutions multiply eight-bit integers, up to the last average.

    Its images are in [0, 2] where those of the network are shifted.
    """
    graph = fake_quant_graph(network)
    ends = [graph.get_tensor_by_name(name) for name in ('inputs:0', 'features:0')]
    with warnings.catch_warnings(), suppress_stderr():
        warnings.simplefilter('ignore')
        # Not `from_session`, which looks for variables to freeze, at the cost of seconds.
        converter = tf.lite.TFLiteConverter(extract_subgraph(graph.as_graph_def(), ['features']),
                                            ends[:1], ends[1:])
        # What to round, and by which ranges, is in the graph, but for the images' own: from a byte
        # to a number, as (byte - mean) / deviation.
        converter.inference_type = tf.int8
        converter.inference_input_type = converter.inference_output_type = tf.float32
        converter.quantized_input_stats = {
            'inputs': (-128.0, 127.5) if is_input_shifted(network) else (0.0, 127.0)}
        return converter.convert()
