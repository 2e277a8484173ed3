"""The classifiers that several networks have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim


def reduced_kernel_size(net: tf.Tensor, kernel: int) -> list[int]:
    """The size of a square kernel, reduced to the grid if the grid is known and smaller."""
    return [kernel if side is None else min(side, kernel) for side in net.shape.as_list()[1:3]]


def convolutional_head(
        net: tf.Tensor,
        end_points: dict[str, tf.Tensor],
        num_classes: int | None,
        pool: int,
        names: Sequence[str],
        *,
        dropout_keep_prob: float | tf.Tensor,
        prediction_fn: Callable,
        spatial_squeeze: bool,
        global_pool: bool,
        pool_stride: int = 2,
        pre_logits: bool = False,
        predictions_in_logits: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The head of V1 to V3: average pooling, dropout and a 1×1 convolution, under `Logits`.

    Args:
      net: output of the base network, `[batch, height, width, channels]`.
      end_points: of the base network; the head adds its own.
      num_classes: number of classes; 0 or None returns the pooled features.
      pool: kernel size of the pooling, reduced to the grid.
      names: scopes of the pooling (the kernel size is appended), the dropout and the logits.
      dropout_keep_prob: fraction of the features that dropout keeps.
      prediction_fn: converts logits to predictions; called with `scope='Predictions'`.
      spatial_squeeze: whether the logits are `[batch, num_classes]`.
      global_pool: whether to average over the whole grid.
      pool_stride: stride of the pooling.
      pre_logits: whether the features are an end point, `PreLogits`.
      predictions_in_logits: whether the scope of the predictions is inside that of the logits.

    Returns:
      The logits (or the pooled features `[batch, 1, 1, channels]`) and `end_points`.
    """
    pool_scope, dropout_scope, logits_scope = names
    with tf.variable_scope('Logits'):
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name='GlobalPool')
            end_points['global_pool'] = net
        else:
            kernel = reduced_kernel_size(net, pool)
            net = slim.avg_pool2d(net, kernel, stride=pool_stride, padding='VALID',
                                  scope='{}_{}x{}'.format(pool_scope, *kernel))
        if not num_classes:
            return net, end_points
        net = slim.dropout(net, keep_prob=dropout_keep_prob, scope=dropout_scope)
        if pre_logits:
            end_points['PreLogits'] = net
        logits = slim.conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None,
                             scope=logits_scope)
        if spatial_squeeze:
            logits = tf.squeeze(logits, [1, 2], name='SpatialSqueeze')
        end_points['Logits'] = logits
        if predictions_in_logits:
            end_points['Predictions'] = prediction_fn(logits, scope='Predictions')
    if not predictions_in_logits:
        end_points['Predictions'] = prediction_fn(logits, scope='Predictions')
    return logits, end_points


def dense_aux_head(net: tf.Tensor, num_classes: int | None, names: Sequence[str]) -> tf.Tensor:
    """The auxiliary head of V4 and Inception-ResNet V2, under `AuxLogits`, with a dense layer.

    Args:
      net: the 17×17 grid, `[batch, height, width, channels]`; height and width must be known.
      num_classes: number of classes.
      names: scopes of the pooling, the convolution over the pooled grid, and the logits.

    Returns:
      Logits, `[batch, num_classes]`.
    """
    pool_scope, conv_scope, logits_scope = names
    with tf.variable_scope('AuxLogits'):
        net = slim.avg_pool2d(net, [5, 5], stride=3, padding='VALID', scope=pool_scope)
        net = slim.conv2d(net, 128, [1, 1], scope='Conv2d_1b_1x1')
        net = slim.conv2d(net, 768, net.shape.as_list()[1:3], padding='VALID', scope=conv_scope)
        return slim.fully_connected(slim.flatten(net), num_classes, activation_fn=None,
                                    scope=logits_scope)


def dense_logits(features: tf.Tensor, end_points: dict[str, tf.Tensor],
                 num_classes: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The classifier of V4 and Inception-ResNet V2: a dense layer and a softmax.

    Args:
      features: `[batch, channels]`, the end point `PreLogitsFlatten`.
      end_points: of the base network; the classifier adds its own.
      num_classes: number of classes.

    Returns:
      Logits, `[batch, num_classes]`, and `end_points`.
    """
    end_points['PreLogitsFlatten'] = features
    logits = slim.fully_connected(features, num_classes, activation_fn=None, scope='Logits')
    end_points['Logits'] = logits
    end_points['Predictions'] = tf.nn.softmax(logits, name='Predictions')
    return logits, end_points


def global_pool(net: tf.Tensor, scope: str) -> tf.Tensor:
    """The average over the grid, `[batch, 1, 1, channels]`; the grid may be unknown."""
    grid = net.shape.as_list()[1:3]
    if None in grid:
        return tf.reduce_mean(net, [1, 2], keepdims=True, name='global_pool')
    return slim.avg_pool2d(net, grid, padding='VALID', scope=scope)
