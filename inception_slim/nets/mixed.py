"""The blocks that Inception V3, V4 and Inception-ResNet V2 build alike, but for their channels.

`channels` of a block are those of its branches, from left to right in the papers' figures; of a
branch with several convolutions those of each, from the block's input on.
"""

from __future__ import annotations

from collections.abc import Sequence

from inception_slim.nets.blocks import pooled_conv
import tensorflow.compat.v1 as tf
import tf_slim as slim


def block_5x5(net: tf.Tensor, channels: Sequence, scope: str, branch_0: str = 'Conv2d_0a_1x1',
              branch_1: Sequence[str] = ('Conv2d_0a_1x1', 'Conv2d_0b_5x5')) -> tf.Tensor:
    """1×1, a 5×5, two 3×3 for another 5×5, and a pooled branch.

    Figure 5 of 1512.00567, with a 5×5 for its lone 3×3.

    Args:
      net: `[batch, height, width, channels]`; the grid stays as it is.
      channels: of the branches: one, two, three, one.
      scope: of the block.
      branch_0: the scope of the 1×1.
      branch_1: those of the two convolutions of the 5×5's branch.
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
    """35×35 to 17×17: a strided 3×3, a pair of 3×3 of which one is strided, and max pooling.

    Figure 7 of 1602.07261; its table 1 has the channels: of the first branch n, of the second
    k, l, m.

    Args:
      net: `[batch, height, width, channels]`.
      channels: of the branches with convolutions: one, three.
      scope: of the block.
      conv: the scope of the last convolution of either branch.
      stride: of the last layer of each branch.
      padding: likewise.
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
    """1×1, a 7×7 in two factors, a pair of them in four, and a pooled branch.

    Figure 6 of 1512.00567 with n = 7, and figure 5 of 1602.07261.

    Args:
      net: `[batch, height, width, channels]`; the grid stays as it is.
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
    """17×17 to 8×8: a strided 3×3, a factored 7×7 and a strided 3×3, and max pooling.

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
