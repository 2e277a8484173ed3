"""MobileNet V1 of research/slim (Howard et al., 2017): depthwise and pointwise convolutions."""

from __future__ import annotations

from collections import namedtuple
import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

# A convolution, and a depthwise convolution followed by a pointwise one.
Conv = namedtuple('Conv', ['kernel', 'stride', 'depth'])
DepthSepConv = namedtuple('DepthSepConv', ['kernel', 'stride', 'depth'])

MOBILENETV1_CONV_DEFS = [
    Conv([3, 3], 2, 32),
    *(DepthSepConv([3, 3], stride, depth) for stride, depth in (
        (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024),
        (1, 1024))),
]


def _pad(inputs: tf.Tensor, kernel_size: list[int], rate: int) -> tf.Tensor:
    """Pad by half a kernel on each side, whatever the size of the image."""
    sizes = [(size - 1) * rate for size in kernel_size]
    return tf.pad(inputs, [[0, 0], *([size // 2, size - size // 2] for size in sizes), [0, 0]])


def mobilenet_v1_base(inputs, final_endpoint='Conv2d_13_pointwise', min_depth=8,
                      depth_multiplier=1.0, conv_defs=None, output_stride=None,
                      use_explicit_padding=False, scope=None):
    """Build the convolutions of MobileNet V1.

    Args:
      inputs: `[batch, height, width, channels]`.
      final_endpoint: the last layer to build.
      min_depth: least number of channels of a layer.
      depth_multiplier: factor of the number of channels.
      conv_defs: the layers; None for `MOBILENETV1_CONV_DEFS`.
      output_stride: 8, 16 or 32 for at most this stride, with dilation beyond; None for no limit.
      use_explicit_padding: pad with `tf.pad`, the same on both sides.
      scope: variable scope.

    Returns:
      The output of `final_endpoint`, and the end points.

    Raises:
      ValueError: there is no such end point, stride or factor.
    """
    if depth_multiplier <= 0:
        raise ValueError(f'depth_multiplier must be positive, but is {depth_multiplier}.')
    if output_stride not in (None, 8, 16, 32):
        raise ValueError(f'output_stride must be 8, 16, 32 or None, but is {output_stride}.')
    end_points = {}
    stride_so_far, rate = 1, 1
    with tf.variable_scope(scope, 'MobilenetV1', [inputs]), slim.arg_scope(
            [slim.conv2d, slim.separable_conv2d],
            padding='VALID' if use_explicit_padding else 'SAME'):
        net = inputs
        for number, layer in enumerate(conv_defs or MOBILENETV1_CONV_DEFS):
            depth = max(int(layer.depth * depth_multiplier), min_depth)
            stride, layer_rate = layer.stride, 1
            if output_stride is not None and stride_so_far == output_stride:
                stride, layer_rate = 1, rate
                rate *= layer.stride
            else:
                stride_so_far *= layer.stride
            name = f'Conv2d_{number}'
            if use_explicit_padding:
                net = _pad(net, layer.kernel, layer_rate)
            if isinstance(layer, DepthSepConv):
                net = end_points[f'{name}_depthwise'] = slim.separable_conv2d(
                    net, None, layer.kernel, depth_multiplier=1, stride=stride, rate=layer_rate,
                    scope=f'{name}_depthwise')
                if final_endpoint == f'{name}_depthwise':
                    return net, end_points
                name += '_pointwise'
                net = end_points[name] = slim.conv2d(net, depth, [1, 1], stride=1, scope=name)
            else:
                net = end_points[name] = slim.conv2d(net, depth, layer.kernel, stride=stride,
                                                     scope=name)
            if final_endpoint == name:
                return net, end_points
    raise ValueError(f'final_endpoint must be one of {", ".join(end_points)}, but is '
                     f'{final_endpoint!r}.')


def mobilenet_v1(inputs, num_classes=1000, dropout_keep_prob=0.999, is_training=True, min_depth=8,
                 depth_multiplier=1.0, conv_defs=None, prediction_fn=slim.softmax,
                 spatial_squeeze=True, reuse=None, scope='MobilenetV1', global_pool=False):
    """Build MobileNet V1.

    Args:
      inputs: `[batch, height, width, channels]`.
      num_classes: number of classes; 0 or None returns the features.
      dropout_keep_prob: fraction of activations that dropout keeps.
      is_training: whether dropout is active and batch norm uses batch statistics.
      min_depth: see `mobilenet_v1_base`.
      depth_multiplier: see `mobilenet_v1_base`.
      conv_defs: see `mobilenet_v1_base`.
      prediction_fn: computes predictions from logits; None for none.
      spatial_squeeze: drop the dimensions of size one of the logits.
      reuse: whether to reuse the variables.
      scope: variable scope.
      global_pool: average over any image size, instead of 7x7 windows.

    Returns:
      The logits `[batch, num_classes]` or the features `[batch, 1, 1, channels]`, and the end
      points.

    Raises:
      ValueError: `inputs` does not have four dimensions.
    """
    if len(inputs.shape) != 4:
        raise ValueError(f'inputs must have four dimensions, but has {inputs.shape}.')
    with tf.variable_scope(scope, 'MobilenetV1', [inputs], reuse=reuse) as scope, slim.arg_scope(
            [slim.batch_norm, slim.dropout], is_training=is_training):
        net, end_points = mobilenet_v1_base(inputs, scope=scope, min_depth=min_depth,
                                            depth_multiplier=depth_multiplier,
                                            conv_defs=conv_defs)
        with tf.variable_scope('Logits'):
            if global_pool:
                net = end_points['global_pool'] = tf.reduce_mean(
                    net, [1, 2], keepdims=True, name='global_pool')
            else:
                sizes = net.shape.as_list()[1:3]
                kernel = [7, 7] if None in sizes else [min(size, 7) for size in sizes]
                net = end_points['AvgPool_1a'] = slim.avg_pool2d(
                    net, kernel, padding='VALID', scope='AvgPool_1a')
            if not num_classes:
                return net, end_points
            net = slim.dropout(net, keep_prob=dropout_keep_prob, scope='Dropout_1b')
            logits = slim.conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None,
                                 scope='Conv2d_1c_1x1')
            if spatial_squeeze:
                logits = tf.squeeze(logits, [1, 2], name='SpatialSqueeze')
        end_points['Logits'] = logits
        if prediction_fn:
            end_points['Predictions'] = prediction_fn(logits, scope='Predictions')
    return logits, end_points


mobilenet_v1.default_image_size = 224  # type: ignore[attr-defined]


def _with_multiplier(depth_multiplier: float):
    network = functools.partial(mobilenet_v1, depth_multiplier=depth_multiplier)
    functools.update_wrapper(network, mobilenet_v1)
    return network


mobilenet_v1_075 = _with_multiplier(0.75)
mobilenet_v1_050 = _with_multiplier(0.50)
mobilenet_v1_025 = _with_multiplier(0.25)


def mobilenet_v1_arg_scope(
        is_training=True, weight_decay=0.00004, stddev=0.09, regularize_depthwise=False,
        batch_norm_decay=0.9997, batch_norm_epsilon=0.001,
        batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS, normalizer_fn=slim.batch_norm):
    """Return the arg scope of MobileNet V1.

    Args:
      is_training: whether batch norm uses batch statistics; None leaves it to the network.
      weight_decay: factor of the L2 regularization of the weights.
      stddev: standard deviation of the initial weights.
      regularize_depthwise: whether the depthwise weights are regularized.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      batch_norm_updates_collections: collection of the updates of the moving averages.
      normalizer_fn: normalizes each convolution.
    """
    batch_norm = {'center': True, 'scale': True, 'decay': batch_norm_decay,
                  'epsilon': batch_norm_epsilon,
                  'updates_collections': batch_norm_updates_collections}
    if is_training is not None:
        batch_norm['is_training'] = is_training
    regularizer = slim.l2_regularizer(weight_decay)
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        weights_initializer=tf.truncated_normal_initializer(stddev=stddev),
                        activation_fn=tf.nn.relu6, normalizer_fn=normalizer_fn), \
            slim.arg_scope([slim.batch_norm], **batch_norm), \
            slim.arg_scope([slim.conv2d], weights_regularizer=regularizer), \
            slim.arg_scope([slim.separable_conv2d],
                           weights_regularizer=regularizer if regularize_depthwise else None) \
            as scope:
        return scope
