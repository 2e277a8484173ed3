"""Inception-ResNet V1 as in FaceNet: "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", https://arxiv.org/abs/1602.07261. It has an embedding, not a classifier.

The base network is the paper's figure 15 with the blocks of figures 10 to 14: five residual blocks
on a 17×17 grid (35×35 in the paper, whose images are larger), ten on 8×8 and six on 3×3. The last
layer, `Bottleneck`, is a dense layer with batch norm and without activation: its output is the
embedding before its length is normalized to 1. The program that trained it is FaceNet,
"FaceNet: A Unified Embedding for Face Recognition and Clustering", https://arxiv.org/abs/1503.03832.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope
from inception_slim.nets.heads import global_pool
from inception_slim.nets.layer_table import STEM, VALID_LAYERS, Layer, build_layers, stem
from inception_slim.nets.mixed import reduction_a
from inception_slim.nets.residual import block8, block17, block35, reduction_to_8x8, repeat
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_resnet_v1', 'inception_resnet_v1_arg_scope', 'inception_resnet_v1_base']

# The stem of V2, whose last pooling is a strided convolution here.
_LAST_OF_STEM = 'Conv2d_4b_3x3'
_VALID_LAYERS = tuple((_LAST_OF_STEM if name == STEM[-1] else name, kernel, stride)
                      for name, kernel, stride in VALID_LAYERS)
_END_POINTS = (*STEM[:-1], _LAST_OF_STEM, 'Mixed_5a', 'Mixed_6a', 'Mixed_6b', 'Mixed_7a',
               'Mixed_8a', 'Mixed_8b')
# End points that are not named like the layer's scope.
_END_POINT_NAMES = {
    'Repeat': 'Mixed_5a', 'Repeat_1': 'Mixed_6b', 'Repeat_2': 'Mixed_8a', 'Block8': 'Mixed_8b'}


def inception_resnet_v1_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Mixed_8b',
        scope: str | tf.VariableScope | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The base network of Inception-ResNet V1 up to and including `final_endpoint`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. FaceNet's weights expect 160×160×3.
      final_endpoint: name of the last layer to build, a key of `end_points`.
      scope: variable scope or its name; 'InceptionResnetV1' by default.

    Returns:
      The output of `final_endpoint` (`Mixed_8b` of a 160×160 image is `[batch, 3, 3, 1792]`), and
      `end_points`: the output of every layer and group of blocks by name, in order.

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261, figures 10 to 15, with the channels of FaceNet.
    """
    validation.check_base(
        'inception_resnet_v1_base', inputs, final_endpoint, _END_POINTS, _VALID_LAYERS)
    with tf.variable_scope(scope, 'InceptionResnetV1', [inputs]):
        return _build_base(inputs, final_endpoint)


def _build_base(inputs: tf.Tensor, final_endpoint: str) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the base in the current scope, as FaceNet does, whose names have the scope once."""
    relu = {'activation_fn': tf.nn.relu}
    block_8x8 = partial(block8, channels=(192, (192, 192, 192)))
    # Scope and layer; the comments give the output's size for a 160×160 image.
    layers: list[Layer] = [
        *stem()[:-1],                                                                 # 36×36×192
        (_LAST_OF_STEM, partial(slim.conv2d, num_outputs=256, kernel_size=[3, 3], stride=2,
                                padding='VALID')),                                    # 17×17×256
        ('Repeat', partial(repeat, count=5, name='block35', block=partial(
            block35, channels=(32, (32, 32), (32, 32, 32)), **relu))),
        ('Mixed_6a', partial(reduction_a, channels=(384, (192, 192, 256)))),          # 8×8×896
        ('Repeat_1', partial(repeat, count=10, name='block17', block=partial(
            block17, channels=(128, (128, 128, 128)), **relu))),
        ('Mixed_7a', partial(reduction_to_8x8, channels=(                             # 3×3×1792
            (256, 384), (256, 256), (256, 256, 256)))),
        ('Repeat_2', partial(repeat, count=5, name='block8', block=partial(block_8x8, **relu))),
        ('Block8', partial(block_8x8, activation_fn=None, scale=1.0)),  # linear, not scaled
    ]
    with slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                        stride=1, padding='SAME'):
        return build_layers(layers, inputs, final_endpoint, _END_POINT_NAMES)


def inception_resnet_v1(
        inputs: tf.Tensor,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float | tf.Tensor = 0.8,
        bottleneck_layer_size: int | None = 128,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionResnetV1',
        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception-ResNet V1 with its bottleneck layer.

    Build it under its arg scope: `with slim.arg_scope(inception_resnet_v1_arg_scope()):`.
    FaceNet's embedding of a face is the output at length 1: `tf.nn.l2_normalize(net, 1, 1e-10)`.

    Args:
      inputs: images `[batch, height, width, channels]`, floating point; only `channels` must be
        known. FaceNet's weights expect 160×160×3, standardized as in their training: bytes minus
        127.5, divided by 128, or each image by its own mean and deviation.
      is_training: whether batch norm uses the statistics of the batch and dropout is active; a
        bool, or a scalar bool tensor to decide at each run.
      dropout_keep_prob: fraction of the pooled features that dropout keeps, in (0, 1].
      bottleneck_layer_size: size of the embedding; 0 or None returns the pooled features.
      reuse: True uses the variables of an earlier call.
      scope: variable scope or its name.

    Returns:
      The embedding before normalization, `[batch, bottleneck_layer_size]` (or the pooled features,
      `[batch, 1792]`), and `end_points`: every layer and group of blocks of the base by name,
      `PrePool` (the last of them) and `PreLogitsFlatten` (the pooled features).

    Raises:
      ValueError: an argument is out of range, or the image is too small.
      RuntimeError: eager execution is on.

    Source: https://arxiv.org/abs/1602.07261 and https://arxiv.org/abs/1503.03832.
    """
    name = 'inception_resnet_v1'
    validation.check_arguments(name, inputs, None, dropout_keep_prob)
    if bottleneck_layer_size is not None and bottleneck_layer_size < 0:
        raise ValueError(f'{name}: bottleneck_layer_size must be positive (or 0 or None for the '
                         f'pooled features), but is {bottleneck_layer_size}.')
    validation.check_size(name, inputs, validation.min_image_size(
        _VALID_LAYERS, _END_POINTS[-1], _END_POINTS))
    with tf.variable_scope(scope, 'InceptionResnetV1', [inputs], reuse=reuse):
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = _build_base(inputs, _END_POINTS[-1])
            end_points['PrePool'] = net
            with tf.variable_scope('Logits'):
                net = slim.flatten(global_pool(net, 'AvgPool_1a_8x8'))
                net = slim.dropout(net, dropout_keep_prob, scope='Dropout')
                end_points['PreLogitsFlatten'] = net
            if not bottleneck_layer_size:
                return net, end_points
            net = slim.fully_connected(net, bottleneck_layer_size, activation_fn=None,
                                       scope='Bottleneck')
            return net, end_points


inception_resnet_v1.default_image_size = 160  # type: ignore[attr-defined]


def inception_resnet_v1_arg_scope(
        weight_decay: float = 0.0,
        batch_norm_decay: float = 0.995,
        batch_norm_epsilon: float = 0.001,
        activation_fn: Callable | None = tf.nn.relu,
        batch_norm_updates_collections: str | None = None,
        batch_norm_scale: bool = False,
        *,
        use_batch_norm: bool = True,
        batch_norm_var_collection: str | None = tf.GraphKeys.TRAINABLE_VARIABLES) -> dict:
    """The arg scope to build Inception-ResNet V1 under.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers; FaceNet
        trained with 0.0005.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      activation_fn: activation of every convolution; None for none.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      batch_norm_scale: whether batch norm has a `gamma`.
      use_batch_norm: whether layers have batch norm instead of biases.
      batch_norm_var_collection: collection for the moving means and variances; None for none.
        FaceNet has them among the trainable variables, and so saves their moving averages.

    Returns:
      An arg scope for `slim.arg_scope`.

    Source: the defaults of FaceNet.
    """
    return inception_arg_scope(**locals(), normalize_dense=True)


def inference(
        images: tf.Tensor,
        keep_probability: float | tf.Tensor,
        phase_train: bool | tf.Tensor = True,
        bottleneck_layer_size: int = 128,
        weight_decay: float = 0.0,
        reuse: bool | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the network under its arg scope, with the arguments of FaceNet's own module.

    Args:
      images: see `inception_resnet_v1`.
      keep_probability: its `dropout_keep_prob`.
      phase_train: its `is_training`.
      bottleneck_layer_size: size of the embedding.
      weight_decay: factor of the L2 loss of the weights.
      reuse: True uses the variables of an earlier call.

    Returns:
      The embedding before normalization, and `end_points`.
    """
    with slim.arg_scope(inception_resnet_v1_arg_scope(weight_decay)):
        return inception_resnet_v1(images, phase_train, keep_probability, bottleneck_layer_size,
                                   reuse)
