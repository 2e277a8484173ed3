"""Inception V4 as in TF-Slim: "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", https://arxiv.org/abs/1602.07261.

The base network is the paper's figure 9: a stem whose last three layers have branches, four blocks
on a 35×35 grid, seven on 17×17 and three on 8×8, with a reduction before the last two kinds. The
blocks that V3 or Inception-ResNet V2 have too are in `mixed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope
from inception_slim.nets.heads import dense_aux_head, dense_logits, global_pool
from inception_slim.nets.layer_table import Layer, build_layers
from inception_slim.nets.mixed import block_7x7, pooled_conv, reduction_a, reduction_b
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_v4', 'inception_v4_arg_scope', 'inception_v4_base']

# The layers without padding: (end point, kernel size, stride).
_VALID_LAYERS = (
    ('Conv2d_1a_3x3', 3, 2),
    ('Conv2d_2a_3x3', 3, 1),
    ('Mixed_3a', 3, 2),
    ('Mixed_4a', 3, 1),
    ('Mixed_5a', 3, 2),
    ('Mixed_6a', 3, 2),
    ('Mixed_7a', 3, 2),
)
_END_POINTS = (
    'Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Mixed_3a', 'Mixed_4a', 'Mixed_5a',
    'Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_5e', 'Mixed_6a', 'Mixed_6b', 'Mixed_6c', 'Mixed_6d',
    'Mixed_6e', 'Mixed_6f', 'Mixed_6g', 'Mixed_6h', 'Mixed_7a', 'Mixed_7b', 'Mixed_7c', 'Mixed_7d')
_AUX = ('Mixed_6h', 5)  # input of the auxiliary classifier and its pooling's kernel size


def _stem_pool_and_conv(net, scope):
    """147×147 to 73×73: max pooling, and a strided 3×3."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.max_pool2d(net, [3, 3], stride=2, padding='VALID',
                                       scope='MaxPool_0a_3x3')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 96, [3, 3], stride=2, padding='VALID',
                                   scope='Conv2d_0a_3x3')
        return tf.concat([branch_0, branch_1], 3)


def _stem_convs(net, scope):
    """73×73 to 71×71: a 3×3, and another after a 1×7 and a 7×1."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 64, [1, 1], scope='Conv2d_0a_1x1')
            branch_0 = slim.conv2d(branch_0, 96, [3, 3], padding='VALID', scope='Conv2d_1a_3x3')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 64, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 64, [1, 7], scope='Conv2d_0b_1x7')
            branch_1 = slim.conv2d(branch_1, 64, [7, 1], scope='Conv2d_0c_7x1')
            branch_1 = slim.conv2d(branch_1, 96, [3, 3], padding='VALID', scope='Conv2d_1a_3x3')
        return tf.concat([branch_0, branch_1], 3)


def _stem_conv_and_pool(net, scope):
    """71×71 to 35×35: a strided 3×3, and max pooling."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 192, [3, 3], stride=2, padding='VALID',
                                   scope='Conv2d_1a_3x3')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.max_pool2d(net, [3, 3], stride=2, padding='VALID',
                                       scope='MaxPool_1a_3x3')
        return tf.concat([branch_0, branch_1], 3)


def _inception_a(net, scope):
    """35×35: a 1×1, a 3×3, two 3×3 in a row, and a pooled branch."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 96, [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 64, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 96, [3, 3], scope='Conv2d_0b_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, 64, [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, 96, [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, 96, [3, 3], scope='Conv2d_0c_3x3')
        with tf.variable_scope('Branch_3'):
            branch_3 = pooled_conv(net, 96)
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)


def _inception_c(net, scope):
    """8×8: a 1×1, a 1×3 beside a 3×1, another such pair after 3×1 and 1×3, and a pooled branch."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 256, [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 384, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = tf.concat([
                slim.conv2d(branch_1, 256, [1, 3], scope='Conv2d_0b_1x3'),
                slim.conv2d(branch_1, 256, [3, 1], scope='Conv2d_0c_3x1')], 3)
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, 384, [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, 448, [3, 1], scope='Conv2d_0b_3x1')
            branch_2 = slim.conv2d(branch_2, 512, [1, 3], scope='Conv2d_0c_1x3')
            branch_2 = tf.concat([
                slim.conv2d(branch_2, 256, [1, 3], scope='Conv2d_0d_1x3'),
                slim.conv2d(branch_2, 256, [3, 1], scope='Conv2d_0e_3x1')], 3)
        with tf.variable_scope('Branch_3'):
            branch_3 = pooled_conv(net, 256)
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)


def inception_v4_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Mixed_7d',
        scope: str | tf.VariableScope | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception V4 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Published weights expect 299×299×3 in [-1, 1].
      final_endpoint: name of the last layer to build, a key of `end_points`.
      scope: variable scope or its name; 'InceptionV4' by default.

    Returns:
      The output of `final_endpoint` (`Mixed_7d` of a 299×299 image is `[batch, 8, 8, 1536]`), and
      `end_points`: the output of every layer and block by name, in order.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261, figures 3 to 9.
    """
    validation.check_base('inception_v4_base', inputs, final_endpoint, _END_POINTS, _VALID_LAYERS)

    # Scope and layer; the comments give the output's size for a 299×299 image.
    conv3x3 = partial(slim.conv2d, kernel_size=[3, 3])
    inception_b = partial(block_7x7, channels=(
        384, (192, 224, 256), (192, 192, 224, 224, 256), 128))
    layers: list[Layer] = [
        ('Conv2d_1a_3x3', partial(conv3x3, num_outputs=32, stride=2,                  # 149×149×32
                                  padding='VALID')),
        ('Conv2d_2a_3x3', partial(conv3x3, num_outputs=32, padding='VALID')),         # 147×147×32
        ('Conv2d_2b_3x3', partial(conv3x3, num_outputs=64)),                          # 147×147×64
        ('Mixed_3a', _stem_pool_and_conv),                                            # 73×73×160
        ('Mixed_4a', _stem_convs),                                                    # 71×71×192
        ('Mixed_5a', _stem_conv_and_pool),                                            # 35×35×384
        *((f'Mixed_5{letter}', _inception_a) for letter in 'bcde'),                   # 35×35×384
        ('Mixed_6a', partial(reduction_a, channels=(384, (192, 224, 256)))),           # 17×17×1024
        *((f'Mixed_6{letter}', inception_b) for letter in 'bcdefgh'),                # 17×17×1024
        ('Mixed_7a', partial(reduction_b, channels=(                                  # 8×8×1536
            (192, 192), (256, 256, 320, 320)))),
        *((f'Mixed_7{letter}', _inception_c) for letter in 'bcd'),                    # 8×8×1536
    ]
    with tf.variable_scope(scope, 'InceptionV4', [inputs]), \
            slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                           stride=1, padding='SAME'):
        return build_layers(layers, inputs, final_endpoint)


def inception_v4(
        inputs: tf.Tensor,
        num_classes: int | None = 1001,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionV4',
        create_aux_logits: bool = True) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception V4 with its classifier and auxiliary classifier.

    Build it under its arg scope: `with slim.arg_scope(inception_v4_arg_scope()):`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; `channels` must be known,
        and with `create_aux_logits` the size. Published weights expect 299×299×3 in [-1, 1].
      num_classes: number of classes; 0 or None returns the pooled features instead of logits.
      is_training: whether batch norm uses the statistics of the batch and dropout is active; a
        bool, or a scalar bool tensor to decide at each run.
      dropout_keep_prob: fraction of the pooled features that dropout keeps, in (0, 1].
      reuse: True uses the variables of an earlier call.
      scope: variable scope or its name.
      create_aux_logits: whether to build the auxiliary classifier; ignored without `num_classes`.

    Returns:
      Logits `[batch, num_classes]` (or the pooled features `[batch, 1, 1, 1536]`), and
      `end_points`: every layer and block of the base by name, `AuxLogits`, `global_pool`,
      `PreLogitsFlatten` (the features), `Logits` and `Predictions`.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261.
    """
    validation.check_arguments('inception_v4', inputs, num_classes, dropout_keep_prob)
    create_aux_logits = bool(create_aux_logits and num_classes)
    validation.check_size_with_aux('inception_v4', inputs, _VALID_LAYERS, _END_POINTS,
                                   _AUX if create_aux_logits else None, dense=True)
    with tf.variable_scope(scope, 'InceptionV4', [inputs], reuse=reuse) as scope:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v4_base(inputs, scope=scope)
            with slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                                stride=1, padding='SAME'):
                if create_aux_logits and num_classes:
                    end_points['AuxLogits'] = dense_aux_head(
                        end_points[_AUX[0]], num_classes,
                        ('AvgPool_1a_5x5', 'Conv2d_2a', 'Aux_logits'))
                with tf.variable_scope('Logits'):
                    net = end_points['global_pool'] = global_pool(net, 'AvgPool_1a')
                    if not num_classes:
                        return net, end_points
                    net = slim.dropout(net, dropout_keep_prob, scope='Dropout_1b')
                    net = slim.flatten(net, scope='PreLogitsFlatten')
                    return dense_logits(net, end_points, num_classes)


inception_v4.default_image_size = 299  # type: ignore[attr-defined]


def inception_v4_arg_scope(
        weight_decay: float = 0.00004,
        use_batch_norm: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        activation_fn: Callable | None = tf.nn.relu,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        batch_norm_scale: bool = False) -> dict:
    """The arg scope to build Inception V4 under.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      activation_fn: activation of every convolution; None for none.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      batch_norm_scale: whether batch norm has a `gamma`, as in some later checkpoints.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: https://arxiv.org/abs/1602.07261 and the defaults of research/slim.
    """
    return inception_arg_scope(**locals(), weights_initializer=slim.variance_scaling_initializer())
