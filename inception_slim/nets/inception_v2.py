"""Inception V2 as in TF-Slim: "Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift", https://arxiv.org/abs/1502.03167.

The base network is the paper's figure 5 with a separable first convolution. Its ten blocks have two
3×3 convolutions instead of Inception V1's 5×5. Eight blocks keep the grid (`_block`); two have no
1×1 branch and halve it (`_reduction`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope, trunc_normal
from inception_slim.nets.heads import convolutional_head
from inception_slim.nets.layer_table import ROOT, Layer, build_layers
from inception_slim.nets.mixed import depth_fn, pooled_conv
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_v2', 'inception_v2_arg_scope', 'inception_v2_base', 'trunc_normal']

_BLOCKS = ('Mixed_3b', 'Mixed_3c', 'Mixed_4a', 'Mixed_4b', 'Mixed_4c', 'Mixed_4d', 'Mixed_4e',
           'Mixed_5a', 'Mixed_5b', 'Mixed_5c')
_FINAL_POOL = 7
# All layers are padded: the grid is image size / 32, rounded up. With its stride of 2 the final
# pooling leaves one position of an 8×8 grid too.
_MAX_IMAGE_SIZE = 32 * (_FINAL_POOL + 1)
_CHANNEL_AXIS = {'NHWC': 3, 'NCHW': 1}


def _first_conv(net, depth, separable, scope):
    """The first 7×7 convolution; if separable, up to eight 7×7 per input channel, then a 1×1."""
    if not separable:
        return slim.conv2d(net, depth(64), [7, 7], stride=2, weights_initializer=trunc_normal(1.0),
                           scope=scope)
    return slim.separable_conv2d(net, depth(64), [7, 7], stride=2,
                                 depth_multiplier=min(depth(64) // 3, 8),  # per RGB channel
                                 weights_initializer=trunc_normal(1.0), scope=scope)


def _reduce_channels(net, channels):
    return slim.conv2d(net, channels, [1, 1], weights_initializer=trunc_normal(0.09),
                       scope='Conv2d_0a_1x1')


def _block(net, depth, channels, axis, scope, max_pool=False):
    """A 1×1, a 3×3, two 3×3 in a row, and a pooled branch.

    `channels`: of the 1×1; the 3×3's reduction and the 3×3; likewise the two 3×3; the pooled.
    """
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, depth(channels[0]), [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = _reduce_channels(net, depth(channels[1]))
            branch_1 = slim.conv2d(branch_1, depth(channels[2]), [3, 3], scope='Conv2d_0b_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = _reduce_channels(net, depth(channels[3]))
            branch_2 = slim.conv2d(branch_2, depth(channels[4]), [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, depth(channels[4]), [3, 3], scope='Conv2d_0c_3x3')
        with tf.variable_scope('Branch_3'):
            pooled = {'channels': depth(channels[5]), 'weights_initializer': trunc_normal(0.1)}
            if max_pool:
                branch_3 = slim.max_pool2d(net, [3, 3], scope='MaxPool_0a_3x3')
                branch_3 = slim.conv2d(branch_3, pooled.pop('channels'), [1, 1],
                                       scope='Conv2d_0b_1x1', **pooled)
            else:
                branch_3 = pooled_conv(net, **pooled)
        return tf.concat([branch_0, branch_1, branch_2, branch_3], axis)


def _reduction(net, depth, channels, axis, scope):
    """Halves the grid: a strided 3×3, two 3×3 of which one is strided, and max pooling.

    `channels`: of the 3×3's reduction and the 3×3; likewise the two 3×3.
    """
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = _reduce_channels(net, depth(channels[0]))
            branch_0 = slim.conv2d(branch_0, depth(channels[1]), [3, 3], stride=2,
                                   scope='Conv2d_1a_3x3')
        with tf.variable_scope('Branch_1'):
            branch_1 = _reduce_channels(net, depth(channels[2]))
            branch_1 = slim.conv2d(branch_1, depth(channels[3]), [3, 3], scope='Conv2d_0b_3x3')
            branch_1 = slim.conv2d(branch_1, depth(channels[3]), [3, 3], stride=2,
                                   scope='Conv2d_1a_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.max_pool2d(net, [3, 3], stride=2, scope='MaxPool_1a_3x3')
        return tf.concat([branch_0, branch_1, branch_2], axis)


def inception_v2_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Mixed_5c',
        min_depth: int = 16,
        depth_multiplier: float = 1.0,
        scope: str | tf.VariableScope | None = None,
        *,
        use_separable_conv: bool = True,
        data_format: str = 'NHWC',
        include_root_block: bool = True) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception V2 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Published weights expect 224×224×3 in [-1, 1].
      final_endpoint: name of the last layer to build, a key of `end_points`.
      min_depth: minimum number of channels of a convolution when `depth_multiplier` < 1.
      depth_multiplier: factor for the number of channels of every convolution, greater than 0.
      scope: variable scope or its name; 'InceptionV2' by default.
      use_separable_conv: whether the first convolution is separable.
      data_format: 'NHWC', or 'NCHW' for inputs and outputs `[batch, channels, height, width]`;
        'NCHW' needs `use_separable_conv=False` and, in most builds of TensorFlow, a GPU.
      include_root_block: whether to build the layers before `Mixed_3b`; if False, `inputs` are the
        input of `Mixed_3b`.

    Returns:
      The output of `final_endpoint` (`Mixed_5c` of a 224×224 image is `[batch, 7, 7, 1024]`), and
      `end_points`: the output of every layer and block by name, in order.

    Raises:
      ValueError: an argument is out of range.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1502.03167, figure 5.
    """
    if data_format not in _CHANNEL_AXIS:
        raise ValueError("inception_v2_base: data_format must be 'NHWC' or 'NCHW', "
                         f'but is {data_format!r}.')
    if data_format == 'NCHW' and use_separable_conv and include_root_block:
        raise ValueError("inception_v2_base: the separable convolution supports only 'NHWC'; with "
                         "data_format='NCHW' use use_separable_conv=False.")
    end_point_names = (ROOT if include_root_block else ()) + _BLOCKS
    validation.check_base(
        'inception_v2_base', inputs, final_endpoint, end_point_names, data_format=data_format)
    validation.check_depth('inception_v2_base', depth_multiplier, min_depth)

    depth = depth_fn(depth_multiplier, min_depth)
    # Scope and layer; the comments give the output's size for a 224×224 image.
    max_pool = partial(slim.max_pool2d, kernel_size=[3, 3], stride=2)
    root: list[Layer] = [
        ('Conv2d_1a_7x7', partial(_first_conv, depth=depth,                           # 112×112×64
                                  separable=use_separable_conv)),
        ('MaxPool_2a_3x3', max_pool),                                                 # 56×56×64
        ('Conv2d_2b_1x1', partial(slim.conv2d, num_outputs=depth(64),                 # 56×56×64
                                  kernel_size=[1, 1], weights_initializer=trunc_normal(0.1))),
        ('Conv2d_2c_3x3', partial(slim.conv2d, num_outputs=depth(192),                # 56×56×192
                                  kernel_size=[3, 3])),
        ('MaxPool_3a_3x3', max_pool),                                                 # 28×28×192
    ]
    axis = _CHANNEL_AXIS[data_format]
    block = partial(_block, depth=depth, axis=axis)
    reduction = partial(_reduction, depth=depth, axis=axis)
    blocks: list[Layer] = [
        ('Mixed_3b', partial(block, channels=(64, 64, 64, 64, 96, 32))),              # 28×28×256
        ('Mixed_3c', partial(block, channels=(64, 64, 96, 64, 96, 64))),              # 28×28×320
        ('Mixed_4a', partial(reduction, channels=(128, 160, 64, 96))),                # 14×14×576
        ('Mixed_4b', partial(block, channels=(224, 64, 96, 96, 128, 128))),           # 14×14×576
        ('Mixed_4c', partial(block, channels=(192, 96, 128, 96, 128, 128))),          # 14×14×576
        ('Mixed_4d', partial(block, channels=(160, 128, 160, 128, 160, 96))),         # 14×14×576
        ('Mixed_4e', partial(block, channels=(96, 128, 192, 160, 192, 96))),          # 14×14×576
        ('Mixed_5a', partial(reduction, channels=(128, 192, 192, 256))),              # 7×7×1024
        ('Mixed_5b', partial(block, channels=(352, 192, 320, 160, 224, 128))),        # 7×7×1024
        ('Mixed_5c', partial(block, channels=(352, 192, 320, 192, 224, 128),          # 7×7×1024
                             max_pool=True)),
    ]
    layers_with_format = [slim.conv2d, slim.max_pool2d, slim.avg_pool2d, slim.separable_conv2d]
    with tf.variable_scope(scope, 'InceptionV2', [inputs]), \
            slim.arg_scope(layers_with_format, stride=1, padding='SAME', data_format=data_format), \
            slim.arg_scope([slim.batch_norm], data_format=data_format):
        return build_layers((root if include_root_block else []) + blocks, inputs, final_endpoint)


def inception_v2(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        min_depth: int = 16,
        depth_multiplier: float = 1.0,
        prediction_fn: Callable = slim.softmax,
        spatial_squeeze: bool = True,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionV2',
        *,
        global_pool: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception V2 with its classifier.

    Build it under its arg scope: `with slim.arg_scope(inception_v2_arg_scope()):`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Sizes over 256 need `global_pool`. Published weights expect 224×224×3 in [-1, 1].
      num_classes: number of classes; 0 or None returns the pooled features instead of logits.
      is_training: whether batch norm uses the statistics of the batch and dropout is active; a
        bool, or a scalar bool tensor to decide at each run.
      dropout_keep_prob: fraction of the pooled features that dropout keeps, in (0, 1].
      min_depth: minimum number of channels of a convolution when `depth_multiplier` < 1.
      depth_multiplier: factor for the number of channels of every convolution, greater than 0.
      prediction_fn: converts logits to predictions; called with `scope='Predictions'`.
      spatial_squeeze: True gives logits `[batch, num_classes]`, False
        `[batch, 1, 1, num_classes]`.
      reuse: True uses the variables of an earlier call.
      scope: variable scope or its name.
      global_pool: whether to average over the whole grid instead of 7×7 positions.

    Returns:
      Logits `[batch, num_classes]` (or the pooled features `[batch, 1, 1, 1024]`), and
      `end_points`: every layer and block of the base by name, `Logits` and `Predictions`, and with
      `global_pool` also `global_pool`.

    Raises:
      ValueError: an argument is out of range, or the image is too large.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1502.03167.
    """
    validation.check_convolutional_network(
        'inception_v2', inputs, num_classes, dropout_keep_prob, spatial_squeeze, global_pool,
        _MAX_IMAGE_SIZE)
    validation.check_depth('inception_v2', depth_multiplier, min_depth)
    with tf.variable_scope(scope, 'InceptionV2', [inputs, num_classes], reuse=reuse) as scope:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v2_base(
                inputs, scope=scope, min_depth=min_depth, depth_multiplier=depth_multiplier)
            return convolutional_head(
                net, end_points, num_classes, _FINAL_POOL,
                ('AvgPool_1a', 'Dropout_1b', 'Conv2d_1c_1x1'),
                dropout_keep_prob=dropout_keep_prob, prediction_fn=prediction_fn,
                spatial_squeeze=spatial_squeeze, global_pool=global_pool)


inception_v2.default_image_size = 224  # type: ignore[attr-defined]
inception_v2.max_image_size = _MAX_IMAGE_SIZE  # type: ignore[attr-defined]


def inception_v2_arg_scope(
        weight_decay: float = 0.00004,
        batch_norm_var_collection: str = 'moving_vars',
        *,
        use_batch_norm: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        batch_norm_scale: bool = False,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        activation_fn: Callable | None = tf.nn.relu) -> dict:
    """The arg scope to build Inception V2 under.

    It applies to `slim.conv2d`: as in 2016, the separable first convolution has a bias instead of
    batch norm, and no weight decay.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers.
      batch_norm_var_collection: collection for the moving means and variances.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      batch_norm_scale: whether batch norm has a `gamma`, as in some later checkpoints.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      activation_fn: activation of every convolution, also the separable one; None for none.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: https://arxiv.org/abs/1502.03167 and TF-Slim's defaults.
    """
    scope = inception_arg_scope(
        **locals(), weights_initializer=slim.variance_scaling_initializer())
    with slim.arg_scope(scope), slim.arg_scope([slim.separable_conv2d],
                                               activation_fn=activation_fn) as scope:
        return scope
