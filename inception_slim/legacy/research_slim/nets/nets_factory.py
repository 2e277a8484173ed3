"""The networks of research/slim by name."""

from __future__ import annotations

from collections.abc import Callable
import functools

from inception_slim.legacy.research_slim.nets import (
    alexnet,
    cifarnet,
    inception,
    lenet,
    mobilenet_v1,
    overfeat,
    resnet_v1,
    resnet_v2,
    vgg,
)
import tf_slim as slim

_MOBILENETS = ('mobilenet_v1', 'mobilenet_v1_075', 'mobilenet_v1_050', 'mobilenet_v1_025')

networks_map: dict[str, Callable] = {
    'alexnet_v2': alexnet.alexnet_v2,
    'cifarnet': cifarnet.cifarnet,
    'overfeat': overfeat.overfeat,
    'vgg_a': vgg.vgg_a,
    'vgg_16': vgg.vgg_16,
    'vgg_19': vgg.vgg_19,
    'inception_v1': inception.inception_v1,
    'inception_v2': inception.inception_v2,
    'inception_v3': inception.inception_v3,
    'inception_v4': inception.inception_v4,
    'inception_resnet_v2': inception.inception_resnet_v2,
    'lenet': lenet.lenet,
    **{name: getattr(mobilenet_v1, name) for name in _MOBILENETS},
    **{f'resnet_v1_{depth}': getattr(resnet_v1, f'resnet_v1_{depth}')
       for depth in (50, 101, 152, 200)},
    **{f'resnet_v2_{depth}': getattr(resnet_v2, f'resnet_v2_{depth}')
       for depth in (50, 101, 152, 200)},
}

arg_scopes_map: dict[str, Callable] = {
    'alexnet_v2': alexnet.alexnet_v2_arg_scope,
    'cifarnet': cifarnet.cifarnet_arg_scope,
    'overfeat': overfeat.overfeat_arg_scope,
    **dict.fromkeys(('vgg_a', 'vgg_16', 'vgg_19'), vgg.vgg_arg_scope),
    'inception_v1': inception.inception_v1_arg_scope,
    'inception_v2': inception.inception_v2_arg_scope,
    'inception_v3': inception.inception_v3_arg_scope,
    'inception_v4': inception.inception_v4_arg_scope,
    'inception_resnet_v2': inception.inception_resnet_v2_arg_scope,
    'lenet': lenet.lenet_arg_scope,
    **dict.fromkeys(_MOBILENETS, mobilenet_v1.mobilenet_v1_arg_scope),
    **dict.fromkeys((name for name in networks_map if name.startswith('resnet_')),
                    resnet_v1.resnet_arg_scope),
}


def get_network_fn(name: str, num_classes: int | None, weight_decay: float = 0.0,
                   is_training: bool = False) -> Callable:
    """Return a function that builds a network on images, in its arg scope.

    Args:
      name: a key of `networks_map`.
      num_classes: number of classes; 0 or None returns the features.
      weight_decay: factor of the L2 regularization of the weights.
      is_training: whether dropout is active and batch norm uses batch statistics.

    Raises:
      ValueError: there is no network of that name.
    """
    if name not in networks_map:
        raise ValueError(f'Name of network unknown {name}; known networks: '
                         f'{", ".join(networks_map)}.')
    function = networks_map[name]

    @functools.wraps(function)
    def network_fn(images, **arguments):
        with slim.arg_scope(arg_scopes_map[name](weight_decay=weight_decay)):
            return function(images, num_classes=num_classes, is_training=is_training, **arguments)

    return network_fn
