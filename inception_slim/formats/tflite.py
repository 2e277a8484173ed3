"""TFLite files, for phones; written only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.formats.frozen_graph import folded_graph
from inception_slim.inference.engines import warm_up
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a TFLite file; see `registry.Writer`."""
    definition = folded_graph(info, weights, ['predictions'])
    images = settings.calibration_images
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(definition, name='')
        converter = tf.lite.TFLiteConverter.from_session(
            session, *([graph.get_tensor_by_name(name)] for name in ('inputs:0', 'predictions:0')))
        if settings.precision != 'float32':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if settings.precision == 'float16':
            converter.target_spec.supported_types = [tf.float16]
        if settings.precision == 'int8':
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        model = converter.convert()
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
