"""Quiet TensorFlow, and the two kinds of variables that users' graphs are built with."""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import pytest

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
import tensorflow.compat.v1 as tf

tf.get_logger().setLevel('ERROR')


@pytest.fixture
def reference_variables():
    """TensorFlow 1's own variables, as in the graphs of 1.15.5."""
    before = tf.resource_variables_enabled()
    tf.disable_resource_variables()
    yield
    if before:
        tf.enable_resource_variables()


@pytest.fixture
def graph():
    """A fresh default graph."""
    with tf.Graph().as_default() as fresh:
        yield fresh
