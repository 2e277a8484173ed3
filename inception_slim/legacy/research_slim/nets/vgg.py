"""VGG A, 16 and 19 of research/slim, with fully connected layers as convolutions.

Source: https://arxiv.org/abs/1409.1556, table 1, columns A, D and E.
"""

from __future__ import annotations

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.layers import utils
from tf_slim.nets.vgg import vgg_arg_scope

__all__ = ['vgg_16', 'vgg_19', 'vgg_a', 'vgg_arg_scope']
_CHANNELS = (64, 128, 256, 512, 512)


def _vgg(name, repeats):
    """Return the network with the given number of convolutions in its five stages."""

    def vgg(inputs, num_classes=1000, is_training=True, dropout_keep_prob=0.5,
            spatial_squeeze=True, reuse=None, scope=name, fc_conv_padding='VALID',
            global_pool=False):
        with tf.variable_scope(scope, name, [inputs], reuse=reuse) as variable_scope:
            collection = variable_scope.original_name_scope + '_end_points'
            with slim.arg_scope([slim.conv2d, slim.fully_connected, slim.max_pool2d],
                                outputs_collections=collection):
                net = inputs
                for number, (count, channels) in enumerate(zip(repeats, _CHANNELS), 1):
                    net = slim.repeat(net, count, slim.conv2d, channels, [3, 3],
                                      scope=f'conv{number}')
                    net = slim.max_pool2d(net, [2, 2], scope=f'pool{number}')
                net = slim.conv2d(net, 4096, [7, 7], padding=fc_conv_padding, scope='fc6')
                net = slim.dropout(net, dropout_keep_prob, is_training=is_training,
                                   scope='dropout6')
                net = slim.conv2d(net, 4096, [1, 1], scope='fc7')
                end_points = utils.convert_collection_to_dict(collection)
                if global_pool:
                    net = tf.reduce_mean(net, [1, 2], keepdims=True, name='global_pool')
                    end_points['global_pool'] = net
                if num_classes:
                    net = slim.dropout(net, dropout_keep_prob, is_training=is_training,
                                       scope='dropout7')
                    net = slim.conv2d(net, num_classes, [1, 1], activation_fn=None,
                                      normalizer_fn=None, scope='fc8')
                    if spatial_squeeze:
                        net = tf.squeeze(net, [1, 2], name='fc8/squeezed')
                    end_points[variable_scope.name + '/fc8'] = net
                return net, end_points

    vgg.__name__ = vgg.__qualname__ = name
    vgg.__doc__ = f"""Build {name} on `[batch, height, width, 3]`; return logits and end points."""
    vgg.default_image_size = 224
    return vgg


vgg_a = _vgg('vgg_a', (1, 1, 2, 2, 2))
vgg_16 = _vgg('vgg_16', (2, 2, 3, 3, 3))
vgg_19 = _vgg('vgg_19', (2, 2, 4, 4, 4))
vgg_d, vgg_e = vgg_16, vgg_19
