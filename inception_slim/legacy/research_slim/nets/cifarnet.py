"""CifarNet of research/slim, a small network for CIFAR-10."""

from __future__ import annotations

from functools import partial

from inception_slim.nets.arg_scopes import trunc_normal
import tensorflow.compat.v1 as tf
import tf_slim as slim

_local_response_norm = partial(tf.nn.lrn, depth_radius=4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)


def cifarnet(images, num_classes=10, is_training=False, dropout_keep_prob=0.5,
             prediction_fn=slim.softmax, scope='CifarNet'):
    """Build CifarNet.

    Args:
      images: `[batch, 32, 32, 3]`.
      num_classes: number of classes; 0 or None returns the features.
      is_training: whether dropout is active.
      dropout_keep_prob: fraction of activations that dropout keeps.
      prediction_fn: computes predictions from logits.
      scope: variable scope.

    Returns:
      Logits `[batch, num_classes]` or features `[batch, 192]`, and the end points.
    """
    end_points = {}
    with tf.variable_scope(scope, 'CifarNet', [images]):
        net = end_points['conv1'] = slim.conv2d(images, 64, [5, 5], scope='conv1')
        net = end_points['pool1'] = slim.max_pool2d(net, [2, 2], 2, scope='pool1')
        net = _local_response_norm(net, name='norm1')
        net = end_points['conv2'] = slim.conv2d(net, 64, [5, 5], scope='conv2')
        net = _local_response_norm(net, name='norm2')
        net = end_points['pool2'] = slim.max_pool2d(net, [2, 2], 2, scope='pool2')
        net = end_points['Flatten'] = slim.flatten(net)
        net = end_points['fc3'] = slim.fully_connected(net, 384, scope='fc3')
        net = slim.dropout(net, dropout_keep_prob, is_training=is_training, scope='dropout3')
        net = end_points['fc4'] = slim.fully_connected(net, 192, scope='fc4')
        if not num_classes:
            return net, end_points
        logits = end_points['Logits'] = slim.fully_connected(
            net, num_classes, biases_initializer=tf.zeros_initializer(),
            weights_initializer=trunc_normal(1 / 192.0), weights_regularizer=None,
            activation_fn=None, scope='logits')
        end_points['Predictions'] = prediction_fn(logits, scope='Predictions')
    return logits, end_points


cifarnet.default_image_size = 32  # type: ignore[attr-defined]


def cifarnet_arg_scope(weight_decay=0.004):
    """Return the arg scope of CifarNet; `weight_decay` applies to the dense layers."""
    with slim.arg_scope([slim.conv2d], weights_initializer=trunc_normal(0.05),
                        activation_fn=tf.nn.relu):
        with slim.arg_scope([slim.fully_connected],
                            biases_initializer=tf.constant_initializer(0.1),
                            weights_initializer=trunc_normal(0.04),
                            weights_regularizer=slim.l2_regularizer(weight_decay),
                            activation_fn=tf.nn.relu) as scope:
            return scope
