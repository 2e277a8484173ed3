"""A TFLite file: what runs on a phone."""

from __future__ import annotations

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.formats.frozen_graph import folded_graph
from inception_slim.formats.writing import PredictFn
from inception_slim.inference.engines import warm_up
import numpy as np
import tensorflow.compat.v1 as tf


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str, quantize: str,
          images: np.ndarray) -> PredictFn:
    definition = folded_graph(info, weights, ['predictions'])
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(definition, name='')
        converter = tf.lite.TFLiteConverter.from_session(
            session, *([graph.get_tensor_by_name(name)] for name in ('inputs:0', 'predictions:0')))
        if quantize != 'float32':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == 'float16':
            converter.target_spec.supported_types = [tf.float16]
        if quantize == 'int8':
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        model = converter.convert()
    with open(path, 'wb') as file:
        file.write(model)
    interpreter = tf.lite.Interpreter(model_path=path)

    source = interpreter.get_input_details()[0]

    def predict(batch: np.ndarray) -> np.ndarray:
        index = source['index']
        interpreter.resize_tensor_input(index, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, batch)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])

    warm_up('tflite', lambda: predict(np.zeros((1, *source['shape'][1:]), np.float32)))
    return predict
