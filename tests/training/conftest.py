"""What the tests of training share."""

from helpers import replaced_by_a_shallow_network
import numpy as np
import pytest
import tensorflow.compat.v1 as tf


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """Three colours, four images of each."""
    folder = tmp_path_factory.mktemp('colours')
    chance = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (32, 32, 3))
        encoded = tf.image.encode_png(pixels)
        for channel, name in enumerate(('red', 'green', 'blue')):
            (folder / name).mkdir()
            for number in range(4):
                image = chance.randint(0, 90, (32, 32, 3))
                image[..., channel] += 150
                (folder / name / f'{number}.png').write_bytes(
                    session.run(encoded, {pixels: image}))
    return folder


@pytest.fixture
def shallow_network():
    with replaced_by_a_shallow_network() as options:
        yield options
