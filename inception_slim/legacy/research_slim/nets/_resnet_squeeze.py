"""The ResNets of tf-slim with what the model library added: logits without the two empty axes."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow.compat.v1 as tf


def with_spatial_squeeze(function: Callable) -> Callable:
    """A ResNet of tf-slim in the model library's order of arguments."""
    name = function.__name__

    def network(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
                spatial_squeeze=True, reuse=None, scope=name):
        net, end_points = function(
            inputs, num_classes, is_training=is_training, global_pool=global_pool,
            output_stride=output_stride, reuse=reuse, scope=scope)
        return squeezed(net, end_points, scope) if num_classes and spatial_squeeze else (
            net, end_points)

    network.__name__ = network.__qualname__ = name
    network.__doc__ = (f'{name} on images `[batch, height, width, channels]`: logits, or the '
                       'pooled features where `num_classes` is None, and end points.')
    network.default_image_size = 224  # type: ignore[attr-defined]
    return network


def squeezed(net: tf.Tensor, end_points: dict, scope: str) -> tuple[tf.Tensor, dict]:
    """Logits and predictions `[batch, classes]`, of what were `[batch, 1, 1, classes]`."""
    net = tf.squeeze(net, [1, 2], name=f'{scope}/SpatialSqueeze')
    end_points[f'{scope}/spatial_squeeze'] = net
    end_points['predictions'] = tf.squeeze(end_points['predictions'], [1, 2])
    return net, end_points
