"""Inception V1 (GoogLeNet) as in TF-Slim: "Going Deeper with Convolutions",
https://arxiv.org/abs/1409.4842.

The base network is the paper's table 1 with batch norm, 3×3 convolutions instead of 5×5, no local
response normalization and no auxiliary classifiers. One function builds all nine blocks, from the
six numbers of channels in a row of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope, trunc_normal
from inception_slim.nets.heads import convolutional_head
from inception_slim.nets.layer_table import ROOT, Layer, build_layers
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_v1', 'inception_v1_arg_scope', 'inception_v1_base', 'trunc_normal']

_BLOCKS = ('Mixed_3b', 'Mixed_3c', 'MaxPool_4a_3x3', 'Mixed_4b', 'Mixed_4c', 'Mixed_4d',
           'Mixed_4e', 'Mixed_4f', 'MaxPool_5a_2x2', 'Mixed_5b', 'Mixed_5c')
_FINAL_POOL = 7
_MAX_IMAGE_SIZE = 32 * _FINAL_POOL  # all layers are padded: the grid is image size / 32, rounded up


def _block(net, channels, scope, conv_branch_2='Conv2d_0b_3x3'):
    """A 1×1, a 3×3, another 3×3 instead of the paper's 5×5, and a max-pooled branch.

    `channels`: of the 1×1; the first 3×3's reduction and the 3×3; likewise the second; the pooled.
    """
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, channels[0], [1, 1], scope='Conv2d_0a_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, channels[1], [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, channels[2], [3, 3], scope='Conv2d_0b_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, channels[3], [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, channels[4], [3, 3], scope=conv_branch_2)
        with tf.variable_scope('Branch_3'):
            branch_3 = slim.max_pool2d(net, [3, 3], scope='MaxPool_0a_3x3')
            branch_3 = slim.conv2d(branch_3, channels[5], [1, 1], scope='Conv2d_0b_1x1')
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)


def inception_v1_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Mixed_5c',
        scope: str | tf.VariableScope | None = 'InceptionV1',
        *,
        include_root_block: bool = True) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception V1 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Published weights expect 224×224×3 in [-1, 1].
      final_endpoint: name of the last layer to build, a key of `end_points`.
      scope: variable scope or its name.
      include_root_block: whether to build the layers before `Mixed_3b`; if False, `inputs` are the
        input of `Mixed_3b`.

    Returns:
      The output of `final_endpoint` (`Mixed_5c` of a 224×224 image is `[batch, 7, 7, 1024]`), and
      `end_points`: the output of every layer and block by name, in order.

    Raises:
      ValueError: an argument is out of range.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1409.4842, table 1.
    """
    end_point_names = (ROOT if include_root_block else ()) + _BLOCKS
    validation.check_base('inception_v1_base', inputs, final_endpoint, end_point_names)

    # Scope and layer; the comments give the output's size for a 224×224 image.
    max_pool = partial(slim.max_pool2d, stride=2)
    root: list[Layer] = [
        ('Conv2d_1a_7x7', partial(slim.conv2d, num_outputs=64, kernel_size=[7, 7],    # 112×112×64
                                  stride=2)),
        ('MaxPool_2a_3x3', partial(max_pool, kernel_size=[3, 3])),                    # 56×56×64
        ('Conv2d_2b_1x1', partial(slim.conv2d, num_outputs=64, kernel_size=[1, 1])),  # 56×56×64
        ('Conv2d_2c_3x3', partial(slim.conv2d, num_outputs=192, kernel_size=[3, 3])),  # 56×56×192
        ('MaxPool_3a_3x3', partial(max_pool, kernel_size=[3, 3])),                    # 28×28×192
    ]
    blocks: list[Layer] = [
        ('Mixed_3b', partial(_block, channels=(64, 96, 128, 16, 32, 32))),            # 28×28×256
        ('Mixed_3c', partial(_block, channels=(128, 128, 192, 32, 96, 64))),          # 28×28×480
        ('MaxPool_4a_3x3', partial(max_pool, kernel_size=[3, 3])),                    # 14×14×480
        ('Mixed_4b', partial(_block, channels=(192, 96, 208, 16, 48, 64))),           # 14×14×512
        ('Mixed_4c', partial(_block, channels=(160, 112, 224, 24, 64, 64))),          # 14×14×512
        ('Mixed_4d', partial(_block, channels=(128, 128, 256, 24, 64, 64))),          # 14×14×512
        ('Mixed_4e', partial(_block, channels=(112, 144, 288, 32, 64, 64))),          # 14×14×528
        ('Mixed_4f', partial(_block, channels=(256, 160, 320, 32, 128, 128))),        # 14×14×832
        ('MaxPool_5a_2x2', partial(max_pool, kernel_size=[2, 2])),                    # 7×7×832
        ('Mixed_5b', partial(_block, channels=(256, 160, 320, 32, 128, 128),          # 7×7×832
                             conv_branch_2='Conv2d_0a_3x3')),  # 0a twice, as in checkpoints
        ('Mixed_5c', partial(_block, channels=(384, 192, 384, 48, 128, 128))),        # 7×7×1024
    ]
    with tf.variable_scope(scope, 'InceptionV1', [inputs]), \
            slim.arg_scope([slim.conv2d, slim.fully_connected],
                           weights_initializer=trunc_normal(0.01)), \
            slim.arg_scope([slim.conv2d, slim.max_pool2d], stride=1, padding='SAME'):
        return build_layers((root if include_root_block else []) + blocks, inputs, final_endpoint)


def inception_v1(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        prediction_fn: Callable = slim.softmax,
        spatial_squeeze: bool = True,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionV1',
        *,
        global_pool: bool = False) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception V1 with its classifier.

    Build it under its arg scope: `with slim.arg_scope(inception_v1_arg_scope()):`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Sizes over 224 need `global_pool`. Published weights expect 224×224×3 in [-1, 1].
      num_classes: number of classes; 0 or None returns the pooled features instead of logits.
      is_training: whether batch norm uses the statistics of the batch and dropout is active; a
        bool, or a scalar bool tensor to decide at each run.
      dropout_keep_prob: fraction of the pooled features that dropout keeps, in (0, 1].
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

    Source: https://arxiv.org/abs/1409.4842.
    """
    validation.check_convolutional_network(
        'inception_v1', inputs, num_classes, dropout_keep_prob, spatial_squeeze, global_pool,
        _MAX_IMAGE_SIZE)
    with tf.variable_scope(scope, 'InceptionV1', [inputs, num_classes], reuse=reuse) as scope:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v1_base(inputs, scope=scope)
            return convolutional_head(
                net, end_points, num_classes, _FINAL_POOL,
                ('MaxPool_0a', 'Dropout_0b', 'Conv2d_0c_1x1'),  # average pooling despite the name
                dropout_keep_prob=dropout_keep_prob, prediction_fn=prediction_fn,
                spatial_squeeze=spatial_squeeze, global_pool=global_pool, pool_stride=1,
                predictions_in_logits=True)


inception_v1.default_image_size = 224  # type: ignore[attr-defined]
inception_v1.max_image_size = _MAX_IMAGE_SIZE  # type: ignore[attr-defined]


def inception_v1_arg_scope(
        weight_decay: float = 0.00004,
        use_batch_norm: bool = True,
        batch_norm_var_collection: str = 'moving_vars',
        *,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        batch_norm_scale: bool = False,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        activation_fn: Callable | None = tf.nn.relu) -> dict:
    """The arg scope to build Inception V1 under.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_var_collection: collection for the moving means and variances.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      batch_norm_scale: whether batch norm has a `gamma`, as in some later checkpoints.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      activation_fn: activation of every convolution; None for none.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: TF-Slim's defaults; the paper has no batch norm.
    """
    return inception_arg_scope(**locals(), weights_initializer=slim.variance_scaling_initializer())
