"""Imports TensorFlow quietly; a fixture with a fresh graph."""

import gc
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
if 'PYTEST_XDIST_WORKER' in os.environ:
    # Each worker process has one core: more threads would only wait for each other.
    os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
# A graph is many small objects, and little of it is garbage before its test ends.
gc.set_threshold(200_000, 20, 20)

from inception_slim import _tf_logging
import pytest


def pytest_configure(config):
    """Imports TensorFlow, but not in the process that only hands tests to its workers."""
    if 'PYTEST_XDIST_WORKER' in os.environ or not config.getoption('numprocesses', None):
        _tf_logging.import_tensorflow_quietly()
        import tensorflow
        tensorflow.get_logger().setLevel('ERROR')


@pytest.fixture
def graph():
    """A fresh default graph."""
    import tensorflow.compat.v1 as tf
    with tf.Graph().as_default() as fresh:
        yield fresh


@pytest.fixture
def with_bfloat16(monkeypatch):
    """Networks run in bfloat16, which all processors compute, though many slower than float32."""
    monkeypatch.setattr('inception_slim.inference.predictor.has_fast_bfloat16', lambda: True)
