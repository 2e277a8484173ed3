"""Inception-ResNet V2 as in TF-Slim: "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", https://arxiv.org/abs/1602.07261.

The base network is the paper's figure 15 with the stem of Inception V3: ten residual blocks on a
35×35 grid, twenty on 17×17 and ten on 8×8, with a reduction before the last two kinds. The blocks
and the stem that other networks have too are in `residual`, `mixed` and `layer_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope
from inception_slim.nets.heads import dense_aux_head, dense_logits, global_pool
from inception_slim.nets.layer_table import STEM, VALID_LAYERS, Layer, build_layers, stem
from inception_slim.nets.mixed import block_5x5, reduction_a
from inception_slim.nets.residual import block8, block17, block35, reduction_to_8x8, repeat
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base']

_END_POINTS = (*STEM, 'Mixed_5b', 'Mixed_6a', 'PreAuxLogits', 'Mixed_7a', 'Conv2d_7b_1x1')
# End points that are not named like the layer's scope; None: not an end point.
_END_POINT_NAMES = {'Repeat': None, 'Repeat_1': 'PreAuxLogits', 'Repeat_2': None, 'Block8': None}
_AUX = ('PreAuxLogits', 5)  # input of the auxiliary classifier and its pooling's kernel size


def inception_resnet_v2_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Conv2d_7b_1x1',
        output_stride: int = 16,
        align_feature_maps: bool = False,
        scope: str | tf.VariableScope | None = None,
        activation_fn: Callable | None = tf.nn.relu) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception-ResNet V2 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. Published weights expect 299×299×3 in [-1, 1].
      final_endpoint: name of the last layer to build, a key of `end_points`.
      output_stride: ratio of the image size to the grid of `PreAuxLogits`, 16 or 8. With 8 the grid
        stays at 35×35, the blocks on it are dilated, and `PreAuxLogits` is the last layer.
      align_feature_maps: whether to pad every layer, so that the grids of the layers are aligned.
      scope: variable scope or its name; 'InceptionResnetV2' by default.
      activation_fn: activation after every residual block; None for none.

    Returns:
      The output of `final_endpoint` (`Conv2d_7b_1x1` of a 299×299 image is `[batch, 8, 8, 1536]`),
      and `end_points`: the output of every layer and group of blocks by name, in order.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261, figures 15 to 19.
    """
    if output_stride not in (8, 16):
        raise ValueError('inception_resnet_v2_base: output_stride must be 8 or 16, but is '
                         f'{output_stride}.')
    if output_stride == 8 and final_endpoint in _END_POINTS[_END_POINTS.index('Mixed_7a'):]:
        raise ValueError('inception_resnet_v2_base: with output_stride=8 the last layer is '
                         f'PreAuxLogits, but final_endpoint is {final_endpoint!r}; use '
                         "final_endpoint='PreAuxLogits'.")
    valid_layers = [] if align_feature_maps else [
        (name, kernel, 1 if name == 'Mixed_6a' and output_stride == 8 else stride)
        for name, kernel, stride in VALID_LAYERS]
    validation.check_base(
        'inception_resnet_v2_base', inputs, final_endpoint, _END_POINTS, valid_layers)

    dilated = output_stride == 8
    padding = 'SAME' if align_feature_maps else 'VALID'

    def blocks_17x17(net, scope):
        with slim.arg_scope([slim.conv2d], rate=2 if dilated else 1):
            return repeat(net, block=partial(block17, channels=(192, (128, 160, 192)),
                                             activation_fn=activation_fn),
                          count=20, name='block17', scope=scope)

    # Scope and layer; the comments give the output's size for a 299×299 image.
    block_35x35 = partial(block35, channels=(32, (32, 32), (32, 48, 64)),
                          activation_fn=activation_fn)
    block_8x8 = partial(block8, channels=(192, (192, 224, 256)))
    layers: list[Layer] = [
        *stem(padding=padding),                                                       # 35×35×192
        ('Mixed_5b', partial(block_5x5, branch_0='Conv2d_1x1',                        # 35×35×320
                             channels=(96, (48, 64), (64, 96, 96), 64))),
        ('Repeat', partial(repeat, block=block_35x35, count=10, name='block35')),
        ('Mixed_6a', partial(reduction_a, channels=(384, (256, 256, 384)),            # 17×17×1088
                             stride=1 if dilated else 2, padding=padding)),
        ('Repeat_1', blocks_17x17),                                                   # 17×17×1088
        ('Mixed_7a', partial(reduction_to_8x8, padding=padding, channels=(            # 8×8×2080
            (256, 384), (256, 288), (256, 288, 320)))),
        ('Repeat_2', partial(repeat, block=partial(block_8x8, activation_fn=activation_fn),
                             count=9, name='block8')),
        ('Block8', partial(block_8x8, activation_fn=None, scale=1.0)),  # linear, not scaled
        ('Conv2d_7b_1x1', partial(slim.conv2d, num_outputs=1536, kernel_size=[1, 1])),  # 8×8×1536
    ]
    with tf.variable_scope(scope, 'InceptionResnetV2', [inputs]), \
            slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                           stride=1, padding='SAME'):
        return build_layers(layers, inputs, final_endpoint, _END_POINT_NAMES)


def inception_resnet_v2(
        inputs: tf.Tensor,
        num_classes: int | None = 1001,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionResnetV2',
        create_aux_logits: bool = True,
        activation_fn: Callable | None = tf.nn.relu) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception-ResNet V2 with its classifier and auxiliary classifier.

    Build it under its arg scope: `with slim.arg_scope(inception_resnet_v2_arg_scope()):`.

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
      activation_fn: activation after every residual block; None for none.

    Returns:
      Logits `[batch, num_classes]` (or the pooled features `[batch, 1, 1, 1536]`), and
      `end_points`: every layer and group of blocks of the base by name, `AuxLogits`,
      `PreLogitsFlatten` (the features), `Logits` and `Predictions`.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261.
    """
    validation.check_arguments('inception_resnet_v2', inputs, num_classes, dropout_keep_prob)
    create_aux_logits = bool(create_aux_logits and num_classes)
    validation.check_size_with_aux('inception_resnet_v2', inputs, VALID_LAYERS, _END_POINTS,
                                   _AUX if create_aux_logits else None, dense=True)
    with tf.variable_scope(scope, 'InceptionResnetV2', [inputs], reuse=reuse) as scope:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_resnet_v2_base(inputs, scope=scope,
                                                       activation_fn=activation_fn)
            if create_aux_logits and num_classes:
                end_points['AuxLogits'] = dense_aux_head(
                    end_points[_AUX[0]], num_classes,
                    ('Conv2d_1a_3x3', 'Conv2d_2a_5x5', 'Logits'))  # the first is 5×5 pooling
            with tf.variable_scope('Logits'):
                net = global_pool(net, 'AvgPool_1a_8x8')
                if not num_classes:
                    return net, end_points
                net = slim.dropout(slim.flatten(net), dropout_keep_prob, scope='Dropout')
                return dense_logits(net, end_points, num_classes)


inception_resnet_v2.default_image_size = 299  # type: ignore[attr-defined]


def inception_resnet_v2_arg_scope(
        weight_decay: float = 0.00004,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        activation_fn: Callable | None = tf.nn.relu,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        batch_norm_scale: bool = False,
        *,
        use_batch_norm: bool = True) -> dict:
    """The arg scope to build Inception-ResNet V2 under.

    Args:
      weight_decay: factor of the L2 loss of the weights and biases of convolutions and dense
        layers.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      activation_fn: activation of every convolution; None for none.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      batch_norm_scale: whether batch norm has a `gamma`, as in some later checkpoints.
      use_batch_norm: whether convolutions have batch norm instead of biases.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: https://arxiv.org/abs/1602.07261 and the defaults of research/slim.
    """
    return inception_arg_scope(**locals(), regularize_biases=True)
