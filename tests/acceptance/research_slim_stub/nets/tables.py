"""Networks as tables of convolutions: (scope, channels, kernel[, stride, padding])."""

from __future__ import absolute_import, division, print_function

import tensorflow as tf

slim = tf.contrib.slim
HALVED = (2, 'VALID')


def conv(net, scope, channels, kernel, stride=1, padding='SAME'):
    return slim.conv2d(net, channels, kernel, stride=stride, padding=padding, scope=scope)


def branch(net, steps):
    """Steps in a row: a row of the table, the name of a pool, or rows side by side in a list."""
    for step in steps:
        if step == 'average':
            net = slim.avg_pool2d(net, 3, stride=1, padding='SAME')
        elif step == 'halving':
            net = slim.max_pool2d(net, 3, stride=2, padding='VALID')
        elif isinstance(step, list):
            net = tf.concat([conv(net, *each) for each in step], 3)
        else:
            net = conv(net, *step)
    return net


def block(net, scope, *branches):
    with tf.variable_scope(scope):
        found = []
        for i, steps in enumerate(branches):
            with tf.variable_scope('Branch_%d' % i):
                found.append(branch(net, steps))
        return tf.concat(found, 3)


def arg_scope(weight_decay=0.00004, biases_too=False, **initializer):
    regularizer = slim.l2_regularizer(weight_decay)
    with slim.arg_scope([slim.conv2d, slim.fully_connected], weights_regularizer=regularizer,
                        biases_regularizer=regularizer if biases_too else None):
        with slim.arg_scope([slim.conv2d], activation_fn=tf.nn.relu,
                            normalizer_fn=slim.batch_norm,
                            normalizer_params={'decay': 0.9997, 'epsilon': 0.001},
                            **initializer) as scope:
            return scope


def heads(net, aux, num_classes, dropout_keep_prob, aux_scopes, is_training):
    """Both classifiers: `aux_scopes` are the 1x1, the dense convolution, and the aux logits."""
    end_points = {}
    with tf.variable_scope('AuxLogits'):
        aux = slim.avg_pool2d(aux, 5, stride=3, padding='VALID')
        aux = conv(aux, aux_scopes[0], 128, 1)
        aux = conv(aux, aux_scopes[1], 768, aux.shape.as_list()[1:3], 1, 'VALID')
        end_points['AuxLogits'] = slim.fully_connected(
            slim.flatten(aux), num_classes, activation_fn=None, scope=aux_scopes[2])
    with tf.variable_scope('Logits'):
        net = slim.avg_pool2d(net, net.shape.as_list()[1:3], padding='VALID')
        net = slim.dropout(slim.flatten(net), dropout_keep_prob, is_training=is_training)
        end_points['PreLogitsFlatten'] = net
        logits = slim.fully_connected(net, num_classes, activation_fn=None, scope='Logits')
    end_points['Logits'] = logits
    end_points['Predictions'] = tf.nn.softmax(logits, name='Predictions')
    return logits, end_points
