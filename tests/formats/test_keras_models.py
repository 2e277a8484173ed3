"""`inception_slim.keras_model`: the outputs of TF-Slim's networks, and training with Keras."""

import os

from helpers import GOLDEN, thin, write_golden_checkpoint
import inception_slim
from inception_slim import inference
from inception_slim.checkpoint import CheckpointError
import numpy as np
import pytest
import tensorflow as tf2


def golden(name):
    return os.path.join(GOLDEN, 'checkpoints', name)


def images(count, size):
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize('name', [
    'inception_v1', *(pytest.param(name, marks=pytest.mark.slow)
                      for name in ('inception_v2', 'slim_v2', 'gamma'))])
def test_equals_tf_slim(name, monkeypatch):
    if name == 'inception_v1':
        thin(monkeypatch)  # as the checkpoint is
    model = inception_slim.keras_model(golden(name))
    with inference.load(golden(name)) as predictor:
        batch = images(2, predictor.info.image_size)
        np.testing.assert_allclose(model(batch, training=False), predictor.predict(batch),
                                   rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['inception_v4', 'inception_resnet_v2'])
def test_equals_tf_slim_at_full_width(name, tmp_path):
    path = write_golden_checkpoint(name, tmp_path / 'model.ckpt')
    model = inception_slim.keras_model(path)
    with inference.load(path) as predictor:
        batch = images(1, 299)
        np.testing.assert_allclose(model(batch, training=False), predictor.predict(batch),
                                   rtol=0, atol=1e-5)


@pytest.mark.slow
def test_fits():
    """Two classes that differ in brightness, with a new classifier and smaller images."""
    tf2.keras.utils.set_random_seed(1)
    model = inception_slim.keras_model(golden('inception_v1'), num_classes=2, image_size=64)
    labels = np.arange(16) % 2
    batch = images(16, 64) / 4 + labels[:, np.newaxis, np.newaxis, np.newaxis] * 0.7
    norm = next(layer for layer in model.layers if layer.name.endswith('_BatchNorm'))
    before = [np.array(value) for value in norm.get_weights()]
    model.compile(tf2.keras.optimizers.Adam(0.01), loss='sparse_categorical_crossentropy')
    losses = model.fit(batch, labels, batch_size=8, epochs=10, verbose=0).history['loss']
    assert losses[-1] < losses[0] / 2
    for old, new in zip(before, norm.get_weights()):
        assert (old != new).any()


def test_needs_a_classifier(tmp_path):
    with pytest.raises(CheckpointError, match='num_classes must be at least 1, but is 0'):
        inception_slim.keras_model(golden('inception_v1'), num_classes=0)
    with pytest.raises(CheckpointError, match='There is no checkpoint'):
        inception_slim.keras_model(tmp_path / 'model.ckpt')
