"""Inception V3 as in TF-Slim: "Rethinking the Inception Architecture for Computer Vision",
https://arxiv.org/abs/1512.00567.

The base network is the paper's table 1: a stem of convolutions, three blocks on a 35×35 grid, five
on 17×17 and three on 8×8. The blocks and the stem that V4 or Inception-ResNet V2 have too are in
`mixed` and `layer_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope, trunc_normal
from inception_slim.nets.heads import convolutional_head, reduced_kernel_size
from inception_slim.nets.layer_table import STEM, VALID_LAYERS, Layer, build_layers, stem
from inception_slim.nets.mixed import (
    block_5x5,
    block_7x7,
    depth_fn,
    pooled_conv,
    reduction_a,
    reduction_b,
)
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_v3', 'inception_v3_arg_scope', 'inception_v3_base', 'trunc_normal']

_END_POINTS = (
    *STEM, 'Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_6a', 'Mixed_6b', 'Mixed_6c', 'Mixed_6d',
    'Mixed_6e', 'Mixed_7a', 'Mixed_7b', 'Mixed_7c')
_AUX_END_POINT = 'Mixed_6e'
_AUX_POOL = 5
_FINAL_POOL = 8
# The largest image of which the final pooling leaves one position: its grid is smaller than 9×9.
_MAX_IMAGE_SIZE = validation.min_image_size(
    VALID_LAYERS, _END_POINTS[-1], _END_POINTS, _FINAL_POOL + 1) - 1


def _block_8x8(net, depth, scope, branch_1_3x1='Conv2d_0c_3x1'):
    """8×8: a 1×1, a 1×3 beside a 3×1, another such pair after a 3×3, and a pooled branch."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, depth(320), [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, depth(384), [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = tf.concat([
                slim.conv2d(branch_1, depth(384), [1, 3], scope='Conv2d_0b_1x3'),
                slim.conv2d(branch_1, depth(384), [3, 1], scope=branch_1_3x1)], 3)
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, depth(448), [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, depth(384), [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = tf.concat([
                slim.conv2d(branch_2, depth(384), [1, 3], scope='Conv2d_0c_1x3'),
                slim.conv2d(branch_2, depth(384), [3, 1], scope='Conv2d_0d_3x1')], 3)
        with tf.variable_scope('Branch_3'):
            branch_3 = pooled_conv(net, depth(192))
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)


def inception_v3_base(
        inputs: tf.Tensor,
        scope: str | tf.VariableScope | None = None,
        *,
        final_endpoint: str = 'Mixed_7c',
        min_depth: int = 16,
        depth_multiplier: float = 1.0) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception V3 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Published weights expect 299×299×3 in [-1, 1].
      scope: variable scope or its name; 'InceptionV3' by default.
      final_endpoint: name of the last layer to build, a key of `end_points`.
      min_depth: minimum number of channels of a convolution when `depth_multiplier` < 1.
      depth_multiplier: factor for the number of channels of every convolution, greater than 0.

    Returns:
      The output of `final_endpoint` (`Mixed_7c` of a 299×299 image is `[batch, 8, 8, 2048]`), and
      `end_points`: the output of every layer and block by name, in order.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1512.00567, table 1.
    """
    validation.check_base('inception_v3_base', inputs, final_endpoint, _END_POINTS, VALID_LAYERS)
    validation.check_depth('inception_v3_base', depth_multiplier, min_depth)

    depth = depth_fn(depth_multiplier, min_depth)

    def block_35x35(pooled, **names):
        return partial(block_5x5, **names, channels=(
            depth(64), (depth(48), depth(64)), (depth(64), depth(96), depth(96)), depth(pooled)))

    def block_17x17(inner):
        out, inner = depth(192), depth(inner)
        return partial(block_7x7, channels=(
            out, (inner, inner, out), (inner, inner, inner, inner, out), out))

    # Scope and layer; the comments give the output's size for a 299×299 image.
    block_8x8 = partial(_block_8x8, depth=depth)
    layers: list[Layer] = [
        *stem(depth),                                                                 # 35×35×192
        ('Mixed_5b', block_35x35(32)),                                                # 35×35×256
        ('Mixed_5c', block_35x35(                                                     # 35×35×288
            # misnamed in 2015, as in checkpoints
            64, branch_1=('Conv2d_0b_1x1', 'Conv_1_0c_5x5'))),
        ('Mixed_5d', block_35x35(64)),                                                # 35×35×288
        ('Mixed_6a', partial(                                                         # 17×17×768
            reduction_a, conv='Conv2d_1a_1x1',  # a 3×3 despite its name
            channels=(depth(384), (depth(64), depth(96), depth(96))))),
        ('Mixed_6b', block_17x17(128)),                                               # 17×17×768
        ('Mixed_6c', block_17x17(160)),                                               # 17×17×768
        ('Mixed_6d', block_17x17(160)),                                               # 17×17×768
        ('Mixed_6e', block_17x17(192)),                                               # 17×17×768
        ('Mixed_7a', partial(reduction_b, channels=(                                  # 8×8×1280
            (depth(192), depth(320)), (depth(192),) * 4))),
        ('Mixed_7b', partial(block_8x8,                                               # 8×8×2048
                             branch_1_3x1='Conv2d_0b_3x1')),  # 0b twice, as in checkpoints
        ('Mixed_7c', block_8x8),                                                      # 8×8×2048
    ]
    with tf.variable_scope(scope, 'InceptionV3', [inputs]), \
            slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                           stride=1, padding='SAME'):
        return build_layers(layers, inputs, final_endpoint)


def _aux_head(net, num_classes, depth, spatial_squeeze, global_pool):
    """The auxiliary classifier on the 17×17 grid."""
    with slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                        stride=1, padding='SAME'), tf.variable_scope('AuxLogits'):
        net = slim.avg_pool2d(net, [_AUX_POOL, _AUX_POOL], stride=3, padding='VALID',
                              scope='AvgPool_1a_5x5')
        net = slim.conv2d(net, depth(128), [1, 1], scope='Conv2d_1b_1x1')
        kernel = reduced_kernel_size(net, 5)
        net = slim.conv2d(net, depth(768), kernel, padding='VALID',
                          weights_initializer=trunc_normal(0.01),
                          scope='Conv2d_2a_{}x{}'.format(*kernel))
        logits = slim.conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None,
                             weights_initializer=trunc_normal(0.001), scope='Conv2d_2b_1x1')
        if global_pool and logits.shape.as_list()[1:3] != [1, 1]:
            logits = tf.reduce_mean(logits, [1, 2], keepdims=True, name='GlobalPool')
        if spatial_squeeze:
            logits = tf.squeeze(logits, [1, 2], name='SpatialSqueeze')
        return logits


def inception_v3(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        prediction_fn: Callable = slim.softmax,
        spatial_squeeze: bool = True,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionV3',
        *,
        min_depth: int = 16,
        depth_multiplier: float = 1.0,
        create_aux_logits: bool = True,
        global_pool: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception V3 with its classifier and auxiliary classifier.

    Build it under its arg scope: `with slim.arg_scope(inception_v3_arg_scope()):`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Unknown sizes and those over 330 need `global_pool`. Published weights expect
        299×299×3 in [-1, 1].
      num_classes: number of classes; 0 or None returns the pooled features instead of logits.
      is_training: whether batch norm uses the statistics of the batch and dropout is active; a
        bool, or a scalar bool tensor to decide at each run.
      dropout_keep_prob: fraction of the pooled features that dropout keeps, in (0, 1].
      prediction_fn: converts logits to predictions; called with `scope='Predictions'`.
      spatial_squeeze: True gives logits `[batch, num_classes]`, False
        `[batch, 1, 1, num_classes]`.
      reuse: True uses the variables of an earlier call.
      scope: variable scope or its name.
      min_depth: minimum number of channels of a convolution when `depth_multiplier` < 1.
      depth_multiplier: factor for the number of channels of every convolution, greater than 0.
      create_aux_logits: whether to build the auxiliary classifier; ignored without `num_classes`.
      global_pool: whether to average over the whole grid instead of 8×8 positions.

    Returns:
      Logits `[batch, num_classes]` (or the pooled features `[batch, 1, 1, 2048]`), and
      `end_points`: every layer and block of the base by name, `AuxLogits`, `PreLogits` (the
      features), `Logits` and `Predictions`, and with `global_pool` also `global_pool`.

    Raises:
      ValueError: an argument is out of range, or the image is too small or too large.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1512.00567.

    Example:
      >>> import inception_slim
      >>> import tensorflow.compat.v1 as tf
      >>> import tf_slim as slim
      >>> with tf.Graph().as_default():
      ...     images = tf.placeholder(tf.float32, (8, 299, 299, 3))
      ...     with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
      ...         logits, end_points = inception_slim.inception_v3(images, is_training=False)
      >>> logits.shape.as_list(), end_points['Mixed_7c'].shape.as_list()
      ([8, 1000], [8, 8, 8, 2048])
    """
    validation.check_convolutional_network(
        'inception_v3', inputs, num_classes, dropout_keep_prob, spatial_squeeze, global_pool,
        _MAX_IMAGE_SIZE)
    validation.check_depth('inception_v3', depth_multiplier, min_depth)
    create_aux_logits = bool(create_aux_logits and num_classes)
    validation.check_size_with_aux(
        'inception_v3', inputs, VALID_LAYERS, _END_POINTS,
        (_AUX_END_POINT, _AUX_POOL) if create_aux_logits else None)
    depth = depth_fn(depth_multiplier, min_depth)
    with tf.variable_scope(scope, 'InceptionV3', [inputs, num_classes], reuse=reuse) as scope:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v3_base(
                inputs, scope=scope, min_depth=min_depth, depth_multiplier=depth_multiplier)
            if create_aux_logits:
                end_points['AuxLogits'] = _aux_head(
                    end_points[_AUX_END_POINT], num_classes, depth, spatial_squeeze, global_pool)
            return convolutional_head(
                net, end_points, num_classes, _FINAL_POOL,
                ('AvgPool_1a', 'Dropout_1b', 'Conv2d_1c_1x1'),
                dropout_keep_prob=dropout_keep_prob, prediction_fn=prediction_fn,
                spatial_squeeze=spatial_squeeze, global_pool=global_pool, pre_logits=True)


inception_v3.default_image_size = 299  # type: ignore[attr-defined]
inception_v3.max_image_size = _MAX_IMAGE_SIZE  # type: ignore[attr-defined]


def inception_v3_arg_scope(
        weight_decay: float = 0.00004,
        stddev: float = 0.1,
        batch_norm_var_collection: str = 'moving_vars',
        *,
        use_batch_norm: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        batch_norm_scale: bool = False,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        activation_fn: Callable | None = tf.nn.relu) -> dict:
    """The arg scope to build Inception V3 under.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers.
      stddev: standard deviation of the truncated normal initializer of the weights.
      batch_norm_var_collection: collection for the moving means and variances.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      batch_norm_scale: whether batch norm has a `gamma`, as in some later checkpoints.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      activation_fn: activation of every convolution; None for none.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: https://arxiv.org/abs/1512.00567 and TF-Slim's defaults.
    """
    arguments = locals()
    initializer = trunc_normal(arguments.pop('stddev'))
    return inception_arg_scope(**arguments, weights_initializer=initializer)
