"""Quiet TensorFlow, and a fresh graph for each test that wants one."""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import pytest

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
import tensorflow.compat.v1 as tf

tf.get_logger().setLevel('ERROR')


@pytest.fixture
def graph():
    """A fresh default graph."""
    with tf.Graph().as_default() as fresh:
        yield fresh
