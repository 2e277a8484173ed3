"""TFLite files, for phones; written only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference.engines import warm_up
from inception_slim.inference.graph import (
    EMBEDDING_EPSILON,
    add_head,
    constant_graph,
    extract_subgraph,
    fold_batch_norm,
    has_last_layer,
    pop_head,
)
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

# Operations of the last layer, of the length of an embedding and of prewhitening.
_FLOAT_OPS = ['FULLY_CONNECTED', 'SOFTMAX', 'LOGISTIC', 'L2_NORMALIZATION', 'MEAN',
              'SQUARED_DIFFERENCE', 'SUB', 'SQRT', 'MAXIMUM', 'DIV']


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a TFLite file; see `registry.Writer`."""
    values = fold_batch_norm(weights)
    layers = pop_head(info, values) if has_last_layer(info) else []
    definition = extract_subgraph(
        constant_graph(info, values, classify=False).as_graph_def(), ['features'])
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(definition, name='')
        inputs, features = (graph.get_tensor_by_name(name) for name in ('inputs:0', 'features:0'))
        converter = tf.lite.TFLiteConverter.from_session(
            session, [inputs], [_result(info, features, layers)])
        if settings.precision != 'float32':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if settings.precision == 'float16':
            converter.target_spec.supported_types = [tf.float16]
        model = (_convert_to_int8(converter, settings.calibration_images)
                 if settings.precision == 'int8' else converter.convert())
    with open(path, 'wb') as file:
        file.write(model)
    interpreter = tf.lite.Interpreter(model_path=path)
    inputs = interpreter.get_input_details()[0]

    def predict(batch: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(inputs['index'], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(inputs['index'], batch)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])

    warm_up('tflite', lambda: predict(np.zeros((1, *inputs['shape'][1:]), np.float32)))
    return predict


def _result(info: CheckpointInfo, features: tf.Tensor,
            layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> tf.Tensor:
    """The predictions, the embeddings at length 1, or without a last layer the features."""
    if not layers:
        return features
    # Dense layers, also where TF-Slim has a 1×1 convolution: see `_convert_to_int8`.
    logits, predictions = add_head(features, [
        (tf.constant(weights.reshape(weights.shape[-2:])), tf.constant(biases))
        for weights, biases in layers], info.head.activation, [None] * len(layers), 'predictions')
    if info.embedding_size is not None:
        return tf.nn.l2_normalize(logits, 1, EMBEDDING_EPSILON, name='embeddings')
    return predictions


def _convert_to_int8(converter: tf.lite.TFLiteConverter, images: np.ndarray) -> bytes:
    """Quantizes the network to int8; the last layer and the probabilities stay in float32.

    A probability in int8 is a multiple of 1 / 256: a thousand similar ones would all be the same.
    """
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                                           tf.lite.OpsSet.TFLITE_BUILTINS]
    return tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=_FLOAT_OPS)).get_nondebug_quantized_model()
