"""What the tests of training share."""

from inception_slim.nets import inception_v2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim


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
def shallow_network(monkeypatch):
    """Two layers and the classifier of Inception V2; returns options to train it in two seconds.

    For what the training loop does around a step, which no network matters for.
    """
    def build(inputs, num_classes, is_training=True, dropout_keep_prob=0.8, min_depth=4,
              depth_multiplier=1.0, reuse=None, **_):
        with tf.variable_scope('InceptionV2', reuse=reuse), \
                slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net = slim.conv2d(inputs, 8, 3, stride=2, scope='Conv2d_2b_1x1')
            net = slim.conv2d(net, 8, 3, stride=2, scope='Mixed_5a/Branch_1/Conv2d_0b_3x3')
            net = slim.dropout(tf.reduce_mean(net, [1, 2], keepdims=True), dropout_keep_prob)
            logits = slim.conv2d(net, num_classes, 1, activation_fn=None, normalizer_fn=None,
                                 scope='Logits/Conv2d_1c_1x1')
        return tf.squeeze(logits, [1, 2]), {}

    build.default_image_size = 32
    monkeypatch.setattr(inception_v2, 'inception_v2', build)
    return {'network': 'inception_v2', 'batch_size': 4, 'seed': 1, 'summary_steps': 1}
