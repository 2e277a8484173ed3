"""As much of the model library's factory as the scripts call."""

from __future__ import absolute_import, division, print_function

import functools

import tensorflow as tf

from nets import inception_v1, inception_v3

slim = tf.contrib.slim
NETWORKS = {
    'inception_v1': (inception_v1.inception_v1, inception_v1.inception_v1_arg_scope, 224),
    'inception_v3': (inception_v3.inception_v3, inception_v3.inception_v3_arg_scope, 299),
}


def get_network_fn(name, num_classes, weight_decay=0.0, is_training=False):
    network, arg_scope, image_size = NETWORKS[name]

    @functools.wraps(network)
    def network_fn(images, **kwargs):
        with slim.arg_scope(arg_scope(weight_decay=weight_decay)):
            return network(images, num_classes, is_training=is_training, **kwargs)

    network_fn.default_image_size = image_size
    return network_fn
