"""What blocks of several Inception networks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inception_slim.nets import POOLINGS
import tensorflow.compat.v1 as tf
import tf_slim as slim


def depth_fn(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """From a layer's channels at full width to its channels: thinned, but not below `min_depth`."""
    return lambda channels: max(int(channels * depth_multiplier), min_depth)


_LAST_BLOCK = '/Mixed_7c/'


def _pooled(net: tf.Tensor, pooling: str) -> tf.Tensor:
    if pooling == 'padded':
        net = tf.pad(net, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return slim.avg_pool2d(net, [3, 3], padding='VALID', scope='PaddedAvgPool_0a_3x3')
    if pooling == '2015' and _LAST_BLOCK in f'/{tf.get_variable_scope().name}/':
        return slim.max_pool2d(net, [3, 3], scope='MaxPool_0a_3x3')
    return slim.avg_pool2d(net, [3, 3], scope='AvgPool_0a_3x3')


@slim.add_arg_scope
def pooled_conv(net: tf.Tensor, channels: int, pool_first: bool = True, *,
                pooling: str = 'average', **convolution: Any) -> tf.Tensor:
    """The pooled branch of a block: 3×3 average pooling, then a 1×1 convolution.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the convolution.
      pool_first: False swaps the two, which gives the same answer where batch norm does not look
        at the batch, since both are linear; the convolution has fewer channels to pool.
      pooling: one of `POOLINGS`; all but 'average' pool first.
      **convolution: more arguments of the convolution, such as `weights_initializer`.
    """
    if pooling not in POOLINGS:
        raise ValueError(f'pooling must be one of {", ".join(POOLINGS)}, not {pooling!r}.')
    if pool_first or pooling != 'average':
        net = _pooled(net, pooling)
        return slim.conv2d(net, channels, [1, 1], scope='Conv2d_0b_1x1', **convolution)
    net = slim.conv2d(net, channels, [1, 1], activation_fn=None, scope='Conv2d_0b_1x1',
                      **convolution)
    return tf.nn.relu(slim.avg_pool2d(net, [3, 3], scope='AvgPool_0a_3x3'))
