"""tf-slim's ResNets with the `spatial_squeeze` argument of research/slim."""

from __future__ import annotations

from collections.abc import Callable
import functools
import inspect

import tensorflow.compat.v1 as tf

_SPATIAL_SQUEEZE = inspect.Parameter(
    'spatial_squeeze', inspect.Parameter.POSITIONAL_OR_KEYWORD, default=True)


def with_spatial_squeeze(function: Callable) -> Callable:
    """Return a ResNet of tf-slim whose logits have the shape `[batch, classes]`.

    Args:
      function: a network; its last arguments are `reuse` and `scope`.

    Returns:
      The network with one more argument, `spatial_squeeze`, before `reuse`: False keeps the shape
      `[batch, 1, 1, classes]`. Without `num_classes` the features are not squeezed.
    """
    parameters = list(inspect.signature(function).parameters.values())
    signature = inspect.Signature([*parameters[:-2], _SPATIAL_SQUEEZE, *parameters[-2:]])

    @functools.wraps(function)
    def network(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        squeeze = arguments.pop('spatial_squeeze')
        net, end_points = function(**arguments)
        if squeeze and arguments['num_classes']:
            scope = arguments['scope'] or function.__name__
            net = tf.squeeze(net, [1, 2], name=f'{scope}/SpatialSqueeze')
            end_points[f'{scope}/spatial_squeeze'] = net
            end_points['predictions'] = tf.squeeze(end_points['predictions'], [1, 2])
        return net, end_points

    network.__signature__ = signature  # type: ignore[attr-defined]
    network.default_image_size = 224  # type: ignore[attr-defined]
    return network
