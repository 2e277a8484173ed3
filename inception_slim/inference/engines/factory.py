"""Builds an engine by name. Optional runtimes are imported only when they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from inception_slim.inference.cpu_features import has_vnni
from inception_slim.inference.engines import ClassifierHead, Engine
from inception_slim.inference.engines.session import SessionClassifierHead, SessionEngine
from inception_slim.inference.ir import Op
from inception_slim.inference.network_cache import NO_MODEL_CACHE, ModelCache
from inception_slim.inference.quantization import QuantizedNetwork
from inception_slim.inference.tf_graph_builder import (
    SessionGraph,
    float_graph,
    has_onednn,
    import_graph,
    quantized_graph,
)
import numpy as np
import tensorflow.compat.v1 as tf

# Images in one run of a Session: more are no faster, and need more memory.
_MAX_MICRO_BATCH = {'float32': 4, 'bfloat16': 8, 'int8': 8}


def build_float_engine(name: str, ops: Callable[[], Sequence[Op]], image_size: int,
                       precision: str, threads: int, batch_size: int | None,
                       spatial: bool = False, models: ModelCache = NO_MODEL_CACHE,
                       for_batches: bool = False) -> Engine:
    """Builds an engine that multiplies floating-point numbers.

    Args:
      name: of an engine that supports the precision.
      ops: returns the ops of the network, rounded to the precision; to be called once, and not at
        all if a model is cached. Nobody else holds them, so that weights are freed early.
      image_size: side of the images in pixels.
      precision: 'float32' or 'bfloat16'.
      threads: to run on.
      batch_size: maximum number of images in one run; None for the engine's default.
      spatial: append the spatial features to the features; in a Session only.
      models: what the engines have built of the network before.
      for_batches: whether most calls are to have many images, if that is known.
    """
    if name == 'session':
        def build(ops: Sequence[Op]) -> SessionGraph:
            return float_graph(ops, image_size, tf.as_dtype(precision), spatial)

        graph = _cached_graph(models, ops(), build, precision=precision, spatial=spatial,
                              image_size=image_size)
        return SessionEngine(graph, threads, batch_size, _MAX_MICRO_BATCH[precision])
    if name == 'onnxruntime':
        from inception_slim.inference.engines import onnxruntime_engine

        model = models.load_or_build(
            'onnxruntime', lambda: onnxruntime_engine.build_model(ops(), image_size), bytes, bytes,
            image_size=image_size)
        return onnxruntime_engine.ONNXRuntimeEngine(model, threads, batch_size)
    from inception_slim.inference.engines import openvino_engine

    return openvino_engine.OpenVINOEngine(
        lambda: openvino_engine.build_model(ops(), image_size), image_size, precision, threads,
        batch_size, for_batches, models)


def build_int8_engine(name: str, network: QuantizedNetwork, threads: int, batch_size: int | None,
                      models: ModelCache = NO_MODEL_CACHE,
                      for_batches: bool = False) -> Engine:
    """Builds an engine that multiplies 8-bit integers; see `build_float_engine`."""
    if name == 'session':
        graph = _cached_graph(models, network.ops, lambda _: quantized_graph(network),
                              image_size=network.image_size)
        return SessionEngine(graph, threads, batch_size, _MAX_MICRO_BATCH['int8'])
    if name == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOEngine(
            lambda: openvino_engine.build_model(network, network.image_size,
                                                int8_images=has_vnni()),
            network.image_size, 'int8', threads, batch_size, for_batches, models)
    from inception_slim.inference.engines import tflite

    model = models.load_or_build(
        'tflite', lambda: tflite.build_model(network), bytes, bytes, tensorflow=tf.__version__,
        image_size=network.image_size)
    return tflite.TFLiteEngine(network, model, threads)


def _cached_graph(models: ModelCache, ops: Sequence[Op],
                  build: Callable[[Sequence[Op]], SessionGraph], **origin: Any) -> SessionGraph:
    """A TensorFlow graph from the cache, or a new one, which is cached."""
    return models.load_or_build(
        'session', lambda: build(ops),
        lambda built: built.graph.as_graph_def().SerializeToString(),
        lambda content: import_graph(tf.GraphDef.FromString(content.tobytes()), ops),
        tensorflow=tf.__version__, onednn=has_onednn(), **origin)


def build_head(engine: str, layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str,
               threads: int, precision: str) -> ClassifierHead:
    """Builds the layers of a head, in OpenVINO for its engine and in TensorFlow for all others.

    It multiplies float32 numbers, whatever the precision is.

    Args:
      engine: the name of the engine that computes the features.
      layers: the weights and biases of the dense layers; the last is the classifier.
      activation: of the classifier, one of `OUTPUT_ACTIVATIONS`.
      threads: to run on.
      precision: 'float32', 'bfloat16' or 'int8', for which OpenVINO keeps large weights in 8 bits.
    """
    if engine == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOClassifierHead(layers, activation, threads,
                                                      int8_weights=precision == 'int8')
    return SessionClassifierHead(layers, activation, threads)
