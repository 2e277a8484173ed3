from __future__ import absolute_import, division, print_function

import tensorflow as tf

from nets.tables import HALVED, arg_scope, block, branch, conv, heads

slim = tf.contrib.slim

BLOCK35 = ([('Conv2d_1x1', 32, 1)],
           [('Conv2d_0a_1x1', 32, 1), ('Conv2d_0b_3x3', 32, 3)],
           [('Conv2d_0a_1x1', 32, 1), ('Conv2d_0b_3x3', 48, 3), ('Conv2d_0c_3x3', 64, 3)])
BLOCK17 = ([('Conv2d_1x1', 192, 1)],
           [('Conv2d_0a_1x1', 128, 1), ('Conv2d_0b_1x7', 160, [1, 7]),
            ('Conv2d_0c_7x1', 192, [7, 1])])
BLOCK8 = ([('Conv2d_1x1', 192, 1)],
          [('Conv2d_0a_1x1', 192, 1), ('Conv2d_0b_1x3', 224, [1, 3]),
           ('Conv2d_0c_3x1', 256, [3, 1])])


def residual(net, scope, branches, scale, activation=tf.nn.relu):
    with tf.variable_scope(scope):
        found = []
        for i, steps in enumerate(branches):
            with tf.variable_scope('Branch_%d' % i):
                found.append(branch(net, steps))
        up = slim.conv2d(tf.concat(found, 3), net.shape.as_list()[3], 1, normalizer_fn=None,
                         activation_fn=None, scope='Conv2d_1x1')
        net += scale * up
        return activation(net) if activation else net


def repeat(net, times, outer, inner, branches, scale):
    with tf.variable_scope(outer):
        for i in range(times):
            net = residual(net, '%s_%d' % (inner, i + 1), branches, scale)
    return net


def body(net):
    net = conv(net, 'Conv2d_1a_3x3', 32, 3, *HALVED)
    net = conv(net, 'Conv2d_2a_3x3', 32, 3, 1, 'VALID')
    net = conv(net, 'Conv2d_2b_3x3', 64, 3)
    net = branch(net, ['halving', ('Conv2d_3b_1x1', 80, 1, 1, 'VALID'),
                       ('Conv2d_4a_3x3', 192, 3, 1, 'VALID'), 'halving'])
    net = block(net, 'Mixed_5b',
                [('Conv2d_1x1', 96, 1)],
                [('Conv2d_0a_1x1', 48, 1), ('Conv2d_0b_5x5', 64, 5)],
                [('Conv2d_0a_1x1', 64, 1), ('Conv2d_0b_3x3', 96, 3), ('Conv2d_0c_3x3', 96, 3)],
                ['average', ('Conv2d_0b_1x1', 64, 1)])
    net = repeat(net, 10, 'Repeat', 'block35', BLOCK35, 0.17)
    net = block(net, 'Mixed_6a',
                [('Conv2d_1a_3x3', 384, 3) + HALVED],
                [('Conv2d_0a_1x1', 256, 1), ('Conv2d_0b_3x3', 256, 3),
                 ('Conv2d_1a_3x3', 384, 3) + HALVED],
                ['halving'])
    net = aux = repeat(net, 20, 'Repeat_1', 'block17', BLOCK17, 0.10)
    net = block(net, 'Mixed_7a',
                [('Conv2d_0a_1x1', 256, 1), ('Conv2d_1a_3x3', 384, 3) + HALVED],
                [('Conv2d_0a_1x1', 256, 1), ('Conv2d_1a_3x3', 288, 3) + HALVED],
                [('Conv2d_0a_1x1', 256, 1), ('Conv2d_0b_3x3', 288, 3),
                 ('Conv2d_1a_3x3', 320, 3) + HALVED],
                ['halving'])
    net = repeat(net, 9, 'Repeat_2', 'block8', BLOCK8, 0.20)
    net = residual(net, 'Block8', BLOCK8, 1.0, activation=None)
    return conv(net, 'Conv2d_7b_1x1', 1536, 1), aux


def inception_resnet_v2(inputs, num_classes=1001, is_training=True, dropout_keep_prob=0.8,
                        reuse=None, scope='InceptionResnetV2'):
    with tf.variable_scope(scope, 'InceptionResnetV2', [inputs], reuse=reuse):
        with slim.arg_scope([slim.batch_norm], is_training=is_training):
            net, aux = body(inputs)
            return heads(net, aux, num_classes, dropout_keep_prob,
                         ('Conv2d_1b_1x1', 'Conv2d_2a_5x5', 'Logits'), is_training)


def inception_resnet_v2_arg_scope(weight_decay=0.00004):
    return arg_scope(weight_decay, biases_too=True)
