"""What blocks of several Inception networks have in common."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow.compat.v1 as tf
import tf_slim as slim


def thinning(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """From a layer's channels at full width to its channels: thinned, but not below `min_depth`."""
    return lambda channels: max(int(channels * depth_multiplier), min_depth)


@slim.add_arg_scope
def pooled_conv(net: tf.Tensor, channels: int, pool_first: bool = True,
                **convolution) -> tf.Tensor:
    """The pooled branch of a block: 3×3 average pooling, then a 1×1 convolution.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the convolution.
      pool_first: False swaps the two, which gives the same answer where batch norm does not look
        at the batch, since both are linear; the convolution has fewer channels to pool.
      **convolution: more arguments of the convolution, such as `weights_initializer`.
    """
    if pool_first:
        net = slim.avg_pool2d(net, [3, 3], scope='AvgPool_0a_3x3')
        return slim.conv2d(net, channels, [1, 1], scope='Conv2d_0b_1x1', **convolution)
    net = slim.conv2d(net, channels, [1, 1], activation_fn=None, scope='Conv2d_0b_1x1',
                      **convolution)
    return tf.nn.relu(slim.avg_pool2d(net, [3, 3], scope='AvgPool_0a_3x3'))
