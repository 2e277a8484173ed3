"""The blocks that several Inception networks have in common; they differ in the channels.

`channels` of a block are those of its branches, from left to right in the papers' figures. For a
branch with several convolutions they are those of each, starting at the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from inception_slim.nets import POOLINGS
import tensorflow.compat.v1 as tf
import tf_slim as slim


def depth_fn(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """Returns a function that maps a layer's channels at depth multiplier 1 to its channels."""
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
      pool_first: False swaps the two. Both are linear, so the output is the same in inference, and
        there are fewer channels to pool.
      pooling: one of `nets.POOLINGS`; all but 'average' pool first.
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


def block_5x5(net: tf.Tensor, channels: Sequence, scope: str, branch_0: str = 'Conv2d_0a_1x1',
              branch_1: Sequence[str] = ('Conv2d_0a_1x1', 'Conv2d_0b_5x5')) -> tf.Tensor:
    """A 1×1, a 5×5, two 3×3 in a row, and a pooled branch; the grid keeps its size.

    Figure 5 of 1512.00567, with a 5×5 instead of its single 3×3.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the branches: one, two, three, one.
      scope: of the block.
      branch_0: scope of the 1×1.
      branch_1: scopes of the two convolutions of the branch with the 5×5.
    """
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            net_0 = slim.conv2d(net, channels[0], [1, 1], scope=branch_0)
        with tf.variable_scope('Branch_1'):
            net_1 = slim.conv2d(net, channels[1][0], [1, 1], scope=branch_1[0])
            net_1 = slim.conv2d(net_1, channels[1][1], [5, 5], scope=branch_1[1])
        with tf.variable_scope('Branch_2'):
            net_2 = slim.conv2d(net, channels[2][0], [1, 1], scope='Conv2d_0a_1x1')
            net_2 = slim.conv2d(net_2, channels[2][1], [3, 3], scope='Conv2d_0b_3x3')
            net_2 = slim.conv2d(net_2, channels[2][2], [3, 3], scope='Conv2d_0c_3x3')
        with tf.variable_scope('Branch_3'):
            net_3 = pooled_conv(net, channels[3])
        return tf.concat([net_0, net_1, net_2, net_3], 3)


def reduction_a(net: tf.Tensor, channels: Sequence, scope: str, conv: str = 'Conv2d_1a_3x3',
                stride: int = 2, padding: str = 'VALID') -> tf.Tensor:
    """35×35 to 17×17: a strided 3×3, two 3×3 of which one is strided, and max pooling.

    Figure 7 of 1602.07261. Its table 1 has the channels: n for the first branch; k, l and m for the
    second.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the branches with convolutions: one, three.
      scope: of the block.
      conv: scope of the last convolution of both branches.
      stride: of the last layer of each branch.
      padding: of the last layer of each branch.
    """
    last = {'stride': stride, 'padding': padding}
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            net_0 = slim.conv2d(net, channels[0], [3, 3], scope=conv, **last)
        with tf.variable_scope('Branch_1'):
            net_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            net_1 = slim.conv2d(net_1, channels[1][1], [3, 3], scope='Conv2d_0b_3x3')
            net_1 = slim.conv2d(net_1, channels[1][2], [3, 3], scope=conv, **last)
        with tf.variable_scope('Branch_2'):
            net_2 = slim.max_pool2d(net, [3, 3], scope='MaxPool_1a_3x3', **last)
        return tf.concat([net_0, net_1, net_2], 3)


def block_7x7(net: tf.Tensor, channels: Sequence, scope: str) -> tf.Tensor:
    """A 1×1, a factorized 7×7, two factorized 7×7 in a row, and a pooled branch.

    Figure 6 of 1512.00567 with n = 7, and figure 5 of 1602.07261. The grid keeps its size.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the branches: one, three, five, one.
      scope: of the block.
    """
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            net_0 = slim.conv2d(net, channels[0], [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            net_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            net_1 = slim.conv2d(net_1, channels[1][1], [1, 7], scope='Conv2d_0b_1x7')
            net_1 = slim.conv2d(net_1, channels[1][2], [7, 1], scope='Conv2d_0c_7x1')
        with tf.variable_scope('Branch_2'):
            net_2 = slim.conv2d(net, channels[2][0], [1, 1], scope='Conv2d_0a_1x1')
            net_2 = slim.conv2d(net_2, channels[2][1], [7, 1], scope='Conv2d_0b_7x1')
            net_2 = slim.conv2d(net_2, channels[2][2], [1, 7], scope='Conv2d_0c_1x7')
            net_2 = slim.conv2d(net_2, channels[2][3], [7, 1], scope='Conv2d_0d_7x1')
            net_2 = slim.conv2d(net_2, channels[2][4], [1, 7], scope='Conv2d_0e_1x7')
        with tf.variable_scope('Branch_3'):
            net_3 = pooled_conv(net, channels[3])
        return tf.concat([net_0, net_1, net_2, net_3], 3)


def reduction_b(net: tf.Tensor, channels: Sequence, scope: str) -> tf.Tensor:
    """17×17 to 8×8: a strided 3×3, a factorized 7×7 with a strided 3×3, and max pooling.

    Figure 8 of 1602.07261, without padding.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the branches with convolutions: two, four.
      scope: of the block.
    """
    last = {'stride': 2, 'padding': 'VALID'}
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            net_0 = slim.conv2d(net, channels[0][0], [1, 1], scope='Conv2d_0a_1x1')
            net_0 = slim.conv2d(net_0, channels[0][1], [3, 3], scope='Conv2d_1a_3x3', **last)
        with tf.variable_scope('Branch_1'):
            net_1 = slim.conv2d(net, channels[1][0], [1, 1], scope='Conv2d_0a_1x1')
            net_1 = slim.conv2d(net_1, channels[1][1], [1, 7], scope='Conv2d_0b_1x7')
            net_1 = slim.conv2d(net_1, channels[1][2], [7, 1], scope='Conv2d_0c_7x1')
            net_1 = slim.conv2d(net_1, channels[1][3], [3, 3], scope='Conv2d_1a_3x3', **last)
        with tf.variable_scope('Branch_2'):
            net_2 = slim.max_pool2d(net, [3, 3], scope='MaxPool_1a_3x3', **last)
        return tf.concat([net_0, net_1, net_2], 3)
