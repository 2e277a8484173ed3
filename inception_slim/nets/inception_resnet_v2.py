"""Inception-ResNet V2, as TF-Slim built it: "Inception-v4, Inception-ResNet and the Impact of
Residual Connections on Learning", https://arxiv.org/abs/1602.07261.

The body is the paper's figure 15 with the stem of Inception V3: ten residual blocks on a 35×35
grid, twenty on 17×17, ten on 8×8, and a reduction before each of the last two kinds. A residual
block adds its branches, brought to the right depth and scaled down, to its own input. What V3 and
V4 have too is in `mixed` and `bodies`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inception_slim.nets import validation
from inception_slim.nets.arg_scopes import inception_arg_scope
from inception_slim.nets.heads import dense_aux_head, dense_logits, global_pool
from inception_slim.nets.layer_table import STEM, VALID_LAYERS, Layer, build_layers, stem
from inception_slim.nets.mixed import block_5x5, reduction_a
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base']

_END_POINTS = (*STEM, 'Mixed_5b', 'Mixed_6a', 'PreAuxLogits', 'Mixed_7a', 'Conv2d_7b_1x1')
# The end points that are not called as the layer's scope is.
_END_POINT_OF = {'Repeat': None, 'Repeat_1': 'PreAuxLogits', 'Repeat_2': None, 'Block8': None}
_AUX = ('PreAuxLogits', 5)  # the end point the auxiliary classifier is on, and its pool's side


def _residual(net, branches, scale, activation_fn):
    """The branches, joined, at the depth of `net` and scaled, added to it."""
    up = slim.conv2d(tf.concat(branches, 3), net.shape[3], [1, 1], normalizer_fn=None,
                     activation_fn=None, scope='Conv2d_1x1')
    up = scale * up
    if activation_fn == tf.nn.relu6:
        up = tf.clip_by_value(up, -6.0, 6.0)  # in the range of what follows
    net = net + up
    return activation_fn(net) if activation_fn else net


def _block35(net, activation_fn, scope, scale=0.17):
    """35×35: 1×1, a 3×3, and a pair of 3×3."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 32, [1, 1], scope='Conv2d_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 32, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 32, [3, 3], scope='Conv2d_0b_3x3')
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, 32, [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, 48, [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, 64, [3, 3], scope='Conv2d_0c_3x3')
        return _residual(net, [branch_0, branch_1, branch_2], scale, activation_fn)


def _block17(net, activation_fn, scope, scale=0.10):
    """17×17: 1×1, and a 7×7 in two factors."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 192, [1, 1], scope='Conv2d_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 128, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 160, [1, 7], scope='Conv2d_0b_1x7')
            branch_1 = slim.conv2d(branch_1, 192, [7, 1], scope='Conv2d_0c_7x1')
        return _residual(net, [branch_0, branch_1], scale, activation_fn)


def _block8(net, activation_fn, scope, scale=0.20):
    """8×8: 1×1, and a 3×3 in two factors."""
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 192, [1, 1], scope='Conv2d_1x1')
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 192, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 224, [1, 3], scope='Conv2d_0b_1x3')
            branch_1 = slim.conv2d(branch_1, 256, [3, 1], scope='Conv2d_0c_3x1')
        return _residual(net, [branch_0, branch_1], scale, activation_fn)


def _repeated(net, block, count, name, scope):
    """Blocks in a row, `name`_1 to `name`_`count`."""
    with tf.variable_scope(scope):
        for number in range(1, count + 1):
            net = block(net, scope=f'{name}_{number}')
    return net


def _reduction_to_8x8(net, padding, scope):
    """17×17 to 8×8: two strided 3×3, a pair of 3×3 of which one is strided, and max pooling."""
    shrinking = {'stride': 2, 'padding': padding}
    with tf.variable_scope(scope):
        with tf.variable_scope('Branch_0'):
            branch_0 = slim.conv2d(net, 256, [1, 1], scope='Conv2d_0a_1x1')
            branch_0 = slim.conv2d(branch_0, 384, [3, 3], scope='Conv2d_1a_3x3', **shrinking)
        with tf.variable_scope('Branch_1'):
            branch_1 = slim.conv2d(net, 256, [1, 1], scope='Conv2d_0a_1x1')
            branch_1 = slim.conv2d(branch_1, 288, [3, 3], scope='Conv2d_1a_3x3', **shrinking)
        with tf.variable_scope('Branch_2'):
            branch_2 = slim.conv2d(net, 256, [1, 1], scope='Conv2d_0a_1x1')
            branch_2 = slim.conv2d(branch_2, 288, [3, 3], scope='Conv2d_0b_3x3')
            branch_2 = slim.conv2d(branch_2, 320, [3, 3], scope='Conv2d_1a_3x3', **shrinking)
        with tf.variable_scope('Branch_3'):
            branch_3 = slim.max_pool2d(net, [3, 3], scope='MaxPool_1a_3x3', **shrinking)
        return tf.concat([branch_0, branch_1, branch_2, branch_3], 3)


def inception_resnet_v2_base(
        inputs: tf.Tensor,
        final_endpoint: str = 'Conv2d_7b_1x1',
        output_stride: int = 16,
        align_feature_maps: bool = False,
        scope: str | tf.VariableScope | None = None,
        activation_fn: Callable | None = tf.nn.relu) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The convolutional body of Inception-ResNet V2, up to and with `final_endpoint`.

    Args:
      inputs: images, `[batch, height, width, channels]`, floating point; of these only `channels`
        must be known. The published weights want 299×299×3 in [-1, 1].
      final_endpoint: the last layer to build, by its name in `end_points`.
      output_stride: pixels of the image to one of `PreAuxLogits`, 16 or 8; 8 leaves the grid as
        large as 35×35, dilates the blocks on it instead, and goes no further than `PreAuxLogits`.
      align_feature_maps: True pads every layer, so that the grids of different layers lie exactly
        over each other.
      scope: variable scope, or its name; 'InceptionResnetV2' by default.
      activation_fn: follows every residual block; None leaves them linear.

    Returns:
      The output of `final_endpoint` (`Conv2d_7b_1x1` of a 299×299 image is `[batch, 8, 8, 1536]`),
      and `end_points`: the layers and kinds of block built, by name, in order.

    Raises:
      ValueError: an argument is out of its range, or the image is too small.
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
    shrinking = [] if align_feature_maps else [
        (name, kernel, 1 if name == 'Mixed_6a' and output_stride == 8 else stride)
        for name, kernel, stride in VALID_LAYERS]
    validation.check_body(
        'inception_resnet_v2_base', inputs, final_endpoint, _END_POINTS, shrinking
    )

    dilated = output_stride == 8
    padding = 'SAME' if align_feature_maps else 'VALID'

    def blocks_17x17(net, scope):
        with slim.arg_scope([slim.conv2d], rate=2 if dilated else 1):
            return _repeated(net, block=partial(_block17, activation_fn=activation_fn), count=20,
                             name='block17', scope=scope)

    # Scope, and what is built on the output above it; sizes are those of a 299×299 image.
    block35 = partial(_block35, activation_fn=activation_fn)
    block8 = partial(_block8, activation_fn=activation_fn)
    layers: list[Layer] = [
        *stem(padding=padding),                                                       # 35×35×192
        ('Mixed_5b', partial(block_5x5, branch_0='Conv2d_1x1',                        # 35×35×320
                             channels=(96, (48, 64), (64, 96, 96), 64))),
        ('Repeat', partial(_repeated, block=block35, count=10, name='block35')),
        ('Mixed_6a', partial(reduction_a, channels=(384, (256, 256, 384)),            # 17×17×1088
                             stride=1 if dilated else 2, padding=padding)),
        ('Repeat_1', blocks_17x17),                                                   # 17×17×1088
        ('Mixed_7a', partial(_reduction_to_8x8, padding=padding)),                    # 8×8×2080
        ('Repeat_2', partial(_repeated, block=block8, count=9, name='block8')),
        ('Block8', partial(_block8, activation_fn=None, scale=1.0)),  # linear and not scaled
        ('Conv2d_7b_1x1', partial(slim.conv2d, num_outputs=1536, kernel_size=[1, 1])),  # 8×8×1536
    ]
    with tf.variable_scope(scope, 'InceptionResnetV2', [inputs]), \
            slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.avg_pool2d],
                           stride=1, padding='SAME'):
        return build_layers(layers, inputs, final_endpoint, _END_POINT_OF)


def inception_resnet_v2(
        inputs: tf.Tensor,
        num_classes: int | None = 1001,
        is_training: bool | tf.Tensor = True,
        dropout_keep_prob: float = 0.8,
        reuse: bool | None = None,
        scope: str | tf.VariableScope | None = 'InceptionResnetV2',
        create_aux_logits: bool = True,
        activation_fn: Callable | None = tf.nn.relu) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Inception-ResNet V2 with its classifier and its auxiliary classifier.

    Build it under its defaults: `with slim.arg_scope(inception_resnet_v2_arg_scope()):`.

    Args:
      inputs: images, `[batch, height, width, channels]`, floating point; `channels` must be known,
        and with `create_aux_logits` the size. The published weights want 299×299×3 in [-1, 1].
      num_classes: width of the classifiers; 0 or None returns the pooled features instead.
      is_training: whether batch norm uses the batch's own statistics and dropout drops; a bool, or
        a scalar bool tensor to decide at each run.
      dropout_keep_prob: the part of the pooled features that dropout keeps, in (0, 1].
      reuse: True takes the variables that an earlier call made.
      scope: variable scope, or its name.
      create_aux_logits: whether to build the auxiliary classifier; needs `num_classes`.
      activation_fn: follows every residual block; None leaves them linear.

    Returns:
      Logits, `[batch, num_classes]` (or the pooled features, `[batch, 1, 1, 1536]`), and
      `end_points`: the layers and kinds of block of the base by name, `AuxLogits`,
      `PreLogitsFlatten` (what the classifier sees), `Logits` and `Predictions`.

    Raises:
      ValueError: an argument is out of its range, or the image is too small.
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
                    ('Conv2d_1a_3x3', 'Conv2d_2a_5x5', 'Logits'))  # the first pools 5×5
            with tf.variable_scope('Logits'):
                net = global_pool(net, 'AvgPool_1a_8x8')
                if not num_classes:
                    return net, end_points
                net = slim.dropout(slim.flatten(net), dropout_keep_prob, scope='Dropout')
                return dense_logits(net, end_points, num_classes)  # of 1536


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
    """The defaults under which Inception-ResNet V2 is built: `with slim.arg_scope(...):`.

    Args:
      weight_decay: factor of the L2 loss of the weights and the biases of every convolution and
        dense layer.
      batch_norm_decay: what a moving average keeps of itself at each step, in [0, 1).
      batch_norm_epsilon: added to the variance before its root is taken.
      activation_fn: follows every convolution; None leaves it linear.
      batch_norm_updates_collections: where the moving averages' updates are put; None runs them
        with the layer itself.
      batch_norm_scale: True gives batch norm a `gamma`, as some later checkpoints have.
      use_batch_norm: False gives convolutions biases in the place of batch norm.

    Returns:
      An arg scope, for `slim.arg_scope` to enter.

    Source: https://arxiv.org/abs/1602.07261, and the TF-Slim model library's defaults for it.
    """
    return inception_arg_scope(
        weight_decay=weight_decay, use_batch_norm=use_batch_norm,
        batch_norm_decay=batch_norm_decay, batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_scale=batch_norm_scale,
        batch_norm_updates_collections=batch_norm_updates_collections,
        activation_fn=activation_fn, regularize_biases=True)
