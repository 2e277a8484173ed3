"""The convolutional bodies: how layers are put one on the other, and the stem of two networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import tensorflow.compat.v1 as tf
import tf_slim as slim

# A layer's scope, and what is built on the output of the layer above; called with `scope=`.
Layer = tuple[str, Callable[..., tf.Tensor]]

# The layers of V1 and V2 before their first block.
ROOT = ('Conv2d_1a_7x7', 'MaxPool_2a_3x3', 'Conv2d_2b_1x1', 'Conv2d_2c_3x3', 'MaxPool_3a_3x3')
# The layers of `stem`, and of V3 and Inception-ResNet V2 those that shrink the grid, as
# (end point, kernel, stride); Inception-ResNet V2 may have them padded.
STEM = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'MaxPool_3a_3x3', 'Conv2d_3b_1x1',
        'Conv2d_4a_3x3', 'MaxPool_5a_3x3')
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
          end_point_of: Mapping[str, str | None] | None = None,
          ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Each layer on the output of the one before, up to and with `final_endpoint`.

    Args:
      layers: in order.
      inputs: of the first.
      final_endpoint: the end point to stop at.
      end_point_of: by scope, the end points that are called otherwise; None for no end point.

    Returns:
      The output of `final_endpoint`, and the end points up to it.
    """
    named = end_point_of or {}
    net, end_points = inputs, {}
    for scope, layer in layers:
        net = layer(net, scope=scope)
        name = named.get(scope, scope)
        if name is not None:
            end_points[name] = net
        if name == final_endpoint:
            break
    return net, end_points


def stem(depth: Callable[[int], int] = int, padding: str = 'VALID') -> list[Layer]:
    """The layers of V3, and of Inception-ResNet V2, on a 299×299 image and down to 35×35.

    Args:
      depth: from a layer's channels at full width to its channels.
      padding: of all layers but `Conv2d_2b_3x3`, which is padded in any case.
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
