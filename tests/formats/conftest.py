"""Fixtures of the tests of formats."""

import os

from helpers import GOLDEN
from inception_slim import checkpoint
from inception_slim.formats import keras_writer
import keras
import pytest


@pytest.fixture(scope='session')
def base():
    """A narrow Inception V3 up to its last grid, with trained layers' ranges of values."""
    model = keras_writer.keras_model(*checkpoint.read(
        os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')))
    return keras.Model(model.input, model.get_layer('PreLogits').input)
