"""Builds base networks from tables of layers; the stem of V3 and Inception-ResNet V2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import tensorflow.compat.v1 as tf
import tf_slim as slim

# A layer: its scope, and a function of the previous layer's output that is called with `scope=`.
Layer = tuple[str, Callable[..., tf.Tensor]]

# The layers of V1 and V2 before the first block.
ROOT = ('Conv2d_1a_7x7', 'MaxPool_2a_3x3', 'Conv2d_2b_1x1', 'Conv2d_2c_3x3', 'MaxPool_3a_3x3')
# The layers of `stem`.
STEM = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'MaxPool_3a_3x3', 'Conv2d_3b_1x1',
        'Conv2d_4a_3x3', 'MaxPool_5a_3x3')
# The layers of V3 and Inception-ResNet V2 without padding: (end point, kernel size, stride).
VALID_LAYERS = (
    ('Conv2d_1a_3x3', 3, 2),
    ('Conv2d_2a_3x3', 3, 1),
    ('MaxPool_3a_3x3', 3, 2),
    ('Conv2d_4a_3x3', 3, 1),
    ('MaxPool_5a_3x3', 3, 2),
    ('Mixed_6a', 3, 2),
    ('Mixed_7a', 3, 2),
)


def build_layers(layers: Iterable[Layer], inputs: tf.Tensor, final_endpoint: str,
                 end_point_names: Mapping[str, str | None] | None = None,
                 ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers one after the other, up to and including `final_endpoint`.

    Args:
      layers: the layers in order.
      inputs: input of the first layer.
      final_endpoint: the end point to stop at.
      end_point_names: by scope, end points not named like the scope; None for no end point.

    Returns:
      The output of `final_endpoint` and the end points up to it.
    """
    names = end_point_names or {}
    net, end_points = inputs, {}
    for scope, layer in layers:
        net = layer(net, scope=scope)
        name = names.get(scope, scope)
        if name is not None:
            end_points[name] = net
        if name == final_endpoint:
            break
    return net, end_points


def stem(depth: Callable[[int], int] = int, padding: str = 'VALID') -> list[Layer]:
    """The first layers of V3 and Inception-ResNet V2, from 299×299 to 35×35.

    Args:
      depth: maps a layer's number of channels at depth multiplier 1 to its number of channels.
      padding: of all layers but `Conv2d_2b_3x3`, which is always padded.
    """
    conv3x3 = partial(slim.conv2d, kernel_size=[3, 3], padding=padding)
    conv1x1 = partial(slim.conv2d, kernel_size=[1, 1], padding=padding)
    max_pool = partial(slim.max_pool2d, kernel_size=[3, 3], stride=2, padding=padding)
    return [
        ('Conv2d_1a_3x3', partial(conv3x3, num_outputs=depth(32), stride=2)),         # 149×149×32
        ('Conv2d_2a_3x3', partial(conv3x3, num_outputs=depth(32))),                   # 147×147×32
        ('Conv2d_2b_3x3', partial(conv3x3, num_outputs=depth(64), padding='SAME')),   # 147×147×64
        ('MaxPool_3a_3x3', max_pool),                                                 # 73×73×64
        ('Conv2d_3b_1x1', partial(conv1x1, num_outputs=depth(80))),                   # 73×73×80
        ('Conv2d_4a_3x3', partial(conv3x3, num_outputs=depth(192))),                  # 71×71×192
        ('MaxPool_5a_3x3', max_pool),                                                 # 35×35×192
    ]
