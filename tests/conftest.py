"""Quiet TensorFlow, and a fresh graph for each test that wants one."""

import gc
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
if 'PYTEST_XDIST_WORKER' in os.environ:
    # The cores are the workers': threads of one would wait in the way of the others.
    os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
# Graphs are many small objects, among which little is garbage before a test ends.
gc.set_threshold(200_000, 20, 20)

import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
import pytest
import tensorflow.compat.v1 as tf

tf.get_logger().setLevel('ERROR')


@pytest.fixture
def graph():
    """A fresh default graph."""
    with tf.Graph().as_default() as fresh:
        yield fresh
