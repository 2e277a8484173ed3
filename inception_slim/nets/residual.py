"""The blocks of the two Inception-ResNets, https://arxiv.org/abs/1602.07261; the channels differ.

A residual block projects its branches to the depth of its input, scales them down and adds them to
it. `channels` of a block are those of its branches, as in `mixed`; blocks are named after the grid
that they have in V2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim


def _residual(net: tf.Tensor, branches: Sequence[tf.Tensor], scale: float,
              activation_fn: Callable | None) -> tf.Tensor:
    """Adds the concatenated branches to `net`, projected to its depth and scaled."""
    up = slim.conv2d(tf.concat(branches, 3), net.shape[3], [1, 1], normalizer_fn=None,
                     activation_fn=None, scope='Conv2d_1x1')
    up = scale * up
    if activation_fn == tf.nn.relu6:
        up = tf.clip_by_value(up, -6.0, 6.0)  # the range of ReLU6
    net = net + up
    return activation_fn(net) if activation_fn else net


def block35(net: tf.Tensor, channels: Sequence, activation_fn: Callable | None, scope: str,
            scale: float = 0.17) -> tf.Tensor:
    """35×35: a 1×1, a 3×3, and two 3×3 in a row."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, channels[0], [1, 1], scope='Conv2d_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, channels[1][1], [3, 3], scope='Conv2d_0b_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, channels[2][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, channels[2][1], [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, channels[2][2], [3, 3], scope='Conv2d_0c_3x3')
        return _residual(net, [branch_0, branch_1, branch_2], scale, activation_fn)


def _factorized_block(net: tf.Tensor, channels: Sequence, activation_fn: Callable | None,
                      scope: str, scale: float, width: int) -> tf.Tensor:
    """A 1×1, and a 1×`width` with a `width`×1."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, channels[0], [1, 1], scope='Conv2d_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, channels[1][1], [1, width],
                                   scope=f'Conv2d_0b_1x{width}')
            branch_1 = slim.conv2d(branch_1, channels[1][2], [width, 1],
                                   scope=f'Conv2d_0c_{width}x1')
        return _residual(net, [branch_0, branch_1], scale, activation_fn)


def block17(net: tf.Tensor, channels: Sequence, activation_fn: Callable | None, scope: str,
            scale: float = 0.10) -> tf.Tensor:
    """17×17: a 1×1, and a 1×7 with a 7×1."""
    return _factorized_block(net, channels, activation_fn, scope, scale, width=7)


def block8(net: tf.Tensor, channels: Sequence, activation_fn: Callable | None, scope: str,
           scale: float = 0.20) -> tf.Tensor:
    """8×8: a 1×1, and a 1×3 with a 3×1."""
    return _factorized_block(net, channels, activation_fn, scope, scale, width=3)


def repeat(net: tf.Tensor, block: Callable[..., tf.Tensor], count: int, name: str,
           scope: str) -> tf.Tensor:
    """Stacks `count` blocks, with the scopes `name`_1, `name`_2, …"""
    with tf.variable_scope(scope):
        for number in range(1, count + 1):
            net = block(net, scope=f'{name}_{number}')
    return net


def reduction_to_8x8(net: tf.Tensor, channels: Sequence, scope: str,
                     padding: str = 'VALID') -> tf.Tensor:
    """17×17 to 8×8: two strided 3×3, two 3×3 of which one is strided, and max pooling."""
    last = {'stride': 2, 'padding': padding}
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, channels[0][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_0 = slim.conv2d(branch_0, channels[0][1], [3, 3], scope='Conv2d_1a_3x3', **last)
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, channels[1][1], [3, 3], scope='Conv2d_1a_3x3', **last)
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, channels[2][0], [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, channels[2][1], [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, channels[2][2], [3, 3], scope='Conv2d_1a_3x3', **last)
        with tf.variable_scope('Branch_3'):
            branch_3 = slim.max_pool2d(net, [3, 3], scope='MaxPool_1a_3x3', **last)
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)
