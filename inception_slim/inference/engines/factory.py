"""Builds the engine of a name; what it needs is imported here, when it is wanted."""

from __future__ import annotations

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.classifier_head import Classifier
from inception_slim.inference.engines import ClassifierHead, Engine
from inception_slim.inference.engines.session import SessionEngine
from inception_slim.inference.graph import constant_graph, graph_with_placeholders
from inception_slim.inference.ir import to_ops
from inception_slim.inference.quantization import QuantizedNetwork
from inception_slim.inference.tf_graph_builder import quantized_graph
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf

# Images in one run of a Session: more are no faster, and need more memory.
_LARGEST_PIECE = {'float32': 4, 'bfloat16': 8, 'int8': 4}


def build_float_engine(name: str, info: CheckpointInfo, values: dict[str, np.ndarray],
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
    graph, weights = graph_with_placeholders(info, values)
    network = list(to_ops(graph, weights, 'features'))
    side = registry.NETWORKS[info.network].image_size
    if name == 'onnxruntime':
        from inception_slim.inference.engines import onnxruntime_engine

        return onnxruntime_engine.ONNXRuntimeEngine(
            onnxruntime_engine.build_model(network, side), threads, batch_size
        )
    from inception_slim.inference.engines import openvino_engine

    return openvino_engine.OpenVINOEngine(
        openvino_engine.build_model(network, side), precision, threads, batch_size
    )


def build_int8_engine(name: str, network: QuantizedNetwork, threads: int,
                    batch_size: int | None) -> Engine:
    """An engine that multiplies eight-bit integers; see `engine_in_floats`."""
    if name == 'session':
        return SessionEngine(quantized_graph(network), threads, batch_size, _LARGEST_PIECE['int8'])
    if name == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOEngine(
            openvino_engine.build_model(network, network.side), 'int8', threads, batch_size
        )
    from inception_slim.inference.engines import tflite

    return tflite.TFLiteEngine(network, threads)


def pools_first(engine: str) -> bool:
    """Whether the pooled branches of its eight bits average before the convolution, on bytes.

    OpenVINO gives floats where they are wanted, and averages the fewer that come after it.
    """
    return engine != 'openvino'


def build_head(
    engine: str, weights: np.ndarray, biases: np.ndarray, threads: int
) -> ClassifierHead:
    """The classifier, by the runtime of the engine where that is faster."""
    if engine == 'openvino':
        from inception_slim.inference.engines import openvino_engine

        return openvino_engine.OpenVINOClassifier(weights, biases, threads)
    return Classifier(weights, biases, threads)
