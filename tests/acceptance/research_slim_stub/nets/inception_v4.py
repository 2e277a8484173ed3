from __future__ import absolute_import, division, print_function

import tensorflow as tf

from nets.tables import HALVED, arg_scope, block, conv, heads

slim = tf.contrib.slim


def body(net):
    net = conv(net, 'Conv2d_1a_3x3', 32, 3, *HALVED)
    net = conv(net, 'Conv2d_2a_3x3', 32, 3, 1, 'VALID')
    net = conv(net, 'Conv2d_2b_3x3', 64, 3)
    net = block(net, 'Mixed_3a', ['halving'], [('Conv2d_0a_3x3', 96, 3) + HALVED])
    net = block(net, 'Mixed_4a',
                [('Conv2d_0a_1x1', 64, 1), ('Conv2d_1a_3x3', 96, 3, 1, 'VALID')],
                [('Conv2d_0a_1x1', 64, 1), ('Conv2d_0b_1x7', 64, [1, 7]),
                 ('Conv2d_0c_7x1', 64, [7, 1]), ('Conv2d_1a_3x3', 96, 3, 1, 'VALID')])
    net = block(net, 'Mixed_5a', [('Conv2d_1a_3x3', 192, 3) + HALVED], ['halving'])
    for letter in 'bcde':
        net = block(net, 'Mixed_5' + letter,
                    [('Conv2d_0a_1x1', 96, 1)],
                    [('Conv2d_0a_1x1', 64, 1), ('Conv2d_0b_3x3', 96, 3)],
                    [('Conv2d_0a_1x1', 64, 1), ('Conv2d_0b_3x3', 96, 3),
                     ('Conv2d_0c_3x3', 96, 3)],
                    ['average', ('Conv2d_0b_1x1', 96, 1)])
    net = block(net, 'Mixed_6a',
                [('Conv2d_1a_3x3', 384, 3) + HALVED],
                [('Conv2d_0a_1x1', 192, 1), ('Conv2d_0b_3x3', 224, 3),
                 ('Conv2d_1a_3x3', 256, 3) + HALVED],
                ['halving'])
    for letter in 'bcdefgh':
        net = block(net, 'Mixed_6' + letter,
                    [('Conv2d_0a_1x1', 384, 1)],
                    [('Conv2d_0a_1x1', 192, 1), ('Conv2d_0b_1x7', 224, [1, 7]),
                     ('Conv2d_0c_7x1', 256, [7, 1])],
                    [('Conv2d_0a_1x1', 192, 1), ('Conv2d_0b_7x1', 192, [7, 1]),
                     ('Conv2d_0c_1x7', 224, [1, 7]), ('Conv2d_0d_7x1', 224, [7, 1]),
                     ('Conv2d_0e_1x7', 256, [1, 7])],
                    ['average', ('Conv2d_0b_1x1', 128, 1)])
    aux = net
    net = block(net, 'Mixed_7a',
                [('Conv2d_0a_1x1', 192, 1), ('Conv2d_1a_3x3', 192, 3) + HALVED],
                [('Conv2d_0a_1x1', 256, 1), ('Conv2d_0b_1x7', 256, [1, 7]),
                 ('Conv2d_0c_7x1', 320, [7, 1]), ('Conv2d_1a_3x3', 320, 3) + HALVED],
                ['halving'])
    for letter in 'bcd':
        net = block(net, 'Mixed_7' + letter,
                    [('Conv2d_0a_1x1', 256, 1)],
                    [('Conv2d_0a_1x1', 384, 1),
                     [('Conv2d_0b_1x3', 256, [1, 3]), ('Conv2d_0c_3x1', 256, [3, 1])]],
                    [('Conv2d_0a_1x1', 384, 1), ('Conv2d_0b_3x1', 448, [3, 1]),
                     ('Conv2d_0c_1x3', 512, [1, 3]),
                     [('Conv2d_0d_1x3', 256, [1, 3]), ('Conv2d_0e_3x1', 256, [3, 1])]],
                    ['average', ('Conv2d_0b_1x1', 256, 1)])
    return net, aux


def inception_v4(inputs, num_classes=1001, is_training=True, dropout_keep_prob=0.8, reuse=None,
                 scope='InceptionV4'):
    with tf.variable_scope(scope, 'InceptionV4', [inputs], reuse=reuse):
        with slim.arg_scope([slim.batch_norm], is_training=is_training):
            net, aux = body(inputs)
            return heads(net, aux, num_classes, dropout_keep_prob,
                         ('Conv2d_1b_1x1', 'Conv2d_2a', 'Aux_logits'), is_training)


def inception_v4_arg_scope(weight_decay=0.00004):
    return arg_scope(weight_decay, weights_initializer=slim.variance_scaling_initializer())
