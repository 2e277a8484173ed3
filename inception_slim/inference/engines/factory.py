"""Builds an engine by name. Optional runtimes are imported only when they are used."""

from __future__ import annotations

from collections.abc import Sequence

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.engines import ClassifierHead, Engine
from inception_slim.inference.engines.session import SessionClassifierHead, SessionEngine
from inception_slim.inference.graph import graph_with_placeholders
from inception_slim.inference.ir import Op, to_ops
from inception_slim.inference.quantization import QuantizedNetwork
from inception_slim.inference.tf_graph_builder import float_graph, quantized_graph
import numpy as np
import tensorflow.compat.v1 as tf

# Images in one run of a Session: more are no faster, and need more memory.
_MAX_MICRO_BATCH = {'float32': 4, 'bfloat16': 8, 'int8': 4}


def build_float_engine(name: str, info: CheckpointInfo, values: dict[str, np.ndarray],
                       precision: str, threads: int, batch_size: int | None,
                       spatial: bool = False) -> Engine:
    """Builds an engine that multiplies floating-point numbers.

    Args:
      name: of an engine that supports the precision.
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`, without the classifier's; consumed.
      precision: 'float32' or 'bfloat16'.
      threads: to run on.
      batch_size: maximum number of images in one run; None for the engine's default.
      spatial: append the spatial features to the features; in a Session only.
    """
    def ops() -> list[Op]:  # held by nobody else, so that their weights are freed early
        return to_ops(*graph_with_placeholders(info, values), 'features')

    image_size = info.image_size
    if name == 'session':
        return SessionEngine(
            float_graph(ops(), image_size, tf.as_dtype(precision), spatial), threads, batch_size,
            _MAX_MICRO_BATCH[precision])
    if name == 'onnxruntime':
        from inception_slim.inference.engines import onnxruntime_engine

        return onnxruntime_engine.ONNXRuntimeEngine(
            onnxruntime_engine.build_model(ops(), image_size), threads, batch_size)
    from inception_slim.inference.engines import openvino_engine

    return openvino_engine.OpenVINOEngine(
        openvino_engine.build_model(ops(), image_size), precision, threads, batch_size)


def build_int8_engine(name: str, network: QuantizedNetwork, threads: int,
                      batch_size: int | None) -> Engine:
    """Builds an engine that multiplies 8-bit integers; see `build_float_engine`."""
    if name == 'session':
        return SessionEngine(quantized_graph(network), threads, batch_size,
                             _MAX_MICRO_BATCH['int8'])
    if name == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOEngine(
            openvino_engine.build_model(network, network.image_size), 'int8', threads, batch_size)
    from inception_slim.inference.engines import tflite

    return tflite.TFLiteEngine(network, threads)


def build_head(engine: str, layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str,
               threads: int) -> ClassifierHead:
    """Builds the layers of a head, in OpenVINO for its engine and in TensorFlow for all others.

    Args:
      engine: the name of the engine that computes the features.
      layers: the weights and biases of the dense layers; the last is the classifier.
      activation: of the classifier, one of `OUTPUT_ACTIVATIONS`.
      threads: to run on.
    """
    if engine == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOClassifierHead(layers, activation, threads)
    return SessionClassifierHead(layers, activation, threads)
