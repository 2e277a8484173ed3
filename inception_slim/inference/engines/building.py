"""Builds the engine of a name; what it needs is imported here, when it is wanted."""

from __future__ import annotations

import numpy as np
import tensorflow.compat.v1 as tf

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.classifier import Classifier
from inception_slim.inference.engines import Engine, LastLayer
from inception_slim.inference.engines.session import SessionEngine
from inception_slim.inference.graph import constant_graph, outline
from inception_slim.inference.quantization import Quantized
from inception_slim.inference.stepping import byte_graph
from inception_slim.inference.steps import steps
from inception_slim.nets import factory

# Images in one run of a Session: more are no faster, and need more memory.
_LARGEST_PIECE = {'float32': 4, 'bfloat16': 8, 'int8': 4}


def engine_in_floats(name: str, info: CheckpointInfo, values: dict[str, np.ndarray],
                     precision: str, threads: int, batch_size: int | None) -> Engine:
    """An engine that multiplies floating-point numbers.

    Args:
      name: of an engine that does that precision.
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`, without the classifier's; used up.
      precision: 'float32' or 'bfloat16'.
      threads: to run on.
      batch_size: images in one run at most; None for what suits.
    """
    if name == 'session':
        graph = constant_graph(info, values, tf.as_dtype(precision), classify=False)
        return SessionEngine(graph, threads, batch_size, _LARGEST_PIECE[precision])
    graph, weights = outline(info, values)
    network = list(steps(graph, weights, 'features'))
    side = factory.NETWORKS[info.network].image_size
    if name == 'onnxruntime':
        from inception_slim.inference.engines import onnxruntime

        return onnxruntime.ONNXRuntimeEngine(onnxruntime.model_of(network, side), threads,
                                             batch_size)
    from inception_slim.inference.engines import openvino

    return openvino.OpenVINOEngine(openvino.model_of(network, side), precision, threads,
                                   batch_size)


def engine_in_bytes(name: str, network: Quantized, threads: int,
                    batch_size: int | None) -> Engine:
    """An engine that multiplies eight-bit integers; see `engine_in_floats`."""
    if name == 'session':
        return SessionEngine(byte_graph(network), threads, batch_size, _LARGEST_PIECE['int8'])
    if name == 'openvino':
        from inception_slim.inference.engines import openvino

        return openvino.OpenVINOEngine(openvino.model_of(network, network.side), 'int8', threads,
                                       batch_size)
    from inception_slim.inference.engines import tflite

    return tflite.TFLiteEngine(network, threads)


def pools_first(engine: str) -> bool:
    """Whether the pooled branches of its eight bits average before the convolution, on bytes.

    OpenVINO gives floats where they are wanted, and averages the fewer that come after it.
    """
    return engine != 'openvino'


def last_layer(engine: str, weights: np.ndarray, biases: np.ndarray, threads: int) -> LastLayer:
    """The classifier, by the runtime of the engine where that is faster."""
    if engine == 'openvino':
        from inception_slim.inference.engines import openvino

        return openvino.OpenVINOClassifier(weights, biases, threads)
    return Classifier(weights, biases, threads)
