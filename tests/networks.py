"""Builds networks as the tests need them: under their arg scope, with the golden weights."""

import contextlib
import gzip
import json
import os

import inception_slim
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from golden.weights import weights_for

GOLDEN = os.path.join(os.path.dirname(__file__), 'golden')
NARROW = {'num_classes': 11, 'depth_multiplier': 0.05, 'min_depth': 4}  # as in make_golden.py


def golden_arrays(name):
    with np.load(os.path.join(GOLDEN, name + '.npz')) as arrays:
        return dict(arrays)


def golden_graphs(name):
    with gzip.open(os.path.join(GOLDEN, name + '.json.gz'), 'rt') as file:
        return json.load(file)


def build(inputs=(2, 299, 299, 3), scale=False, **arguments):
    """The network on a placeholder of that shape; `(inputs, logits, end_points)`."""
    if isinstance(inputs, tuple):
        inputs = tf.placeholder(tf.float32, inputs, name='inputs')
    with slim.arg_scope(inception_slim.inception_v3_arg_scope(batch_norm_scale=scale)):
        logits, end_points = inception_slim.inception_v3(inputs, **arguments)
    return inputs, logits, end_points


def quick_session():
    """Runs the graph as it is: to optimize it takes longer than to run it a few times."""
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.Session(config=config)


def load_golden_weights(session):
    """All at once: a run for each variable would take a minute."""
    variables = slim.get_model_variables()
    session.run([variable.initializer for variable in variables], {
        variable.initializer.inputs[1]: weights_for(variable.op.name, variable.shape.as_list())
        for variable in variables})


@contextlib.contextmanager
def reference_variables():
    """TensorFlow 1's own variables, as in the graphs of 1.15.5."""
    tf.disable_resource_variables()
    try:
        yield
    finally:
        tf.enable_resource_variables()
