"""The last layer of a network, apart from the rest."""

from __future__ import annotations

from inception_slim.inference.engines.session import single_thread_config
import numpy as np
import tensorflow.compat.v1 as tf


class Classifier:
    """The last layer, in float32 whatever comes before it: it is small, and decides.

    By TensorFlow, as the rest: NumPy's threads would wait for more work in the others' way.
    """

    def __init__(self, weights: np.ndarray, biases: np.ndarray, threads: int):
        weights = weights.reshape(weights.shape[-2:])  # of a 1×1 convolution, or of a dense layer
        self.channels = len(weights)
        with tf.Graph().as_default() as graph:
            features = tf.placeholder(tf.float32, (None, self.channels))
            variables = [tf.Variable(tf.placeholder(tf.float32, each.shape), use_resource=False)
                         for each in (weights, biases)]
            logits = tf.nn.bias_add(tf.matmul(features, variables[0]), variables[1])
            predictions = tf.nn.softmax(logits)
        self._session = tf.Session(graph=graph, config=single_thread_config(threads))
        self._session.run([each.initializer for each in variables], {
            each.initializer.inputs[1]: value for each, value in zip(variables, (weights, biases))})
        self.logits, self.predictions = (
            self._session.make_callable(each, [features]) for each in (logits, predictions))

    def close(self) -> None:
        self._session.close()
