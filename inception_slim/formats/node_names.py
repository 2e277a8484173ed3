"""Names of graph nodes that survive a conversion, and what they say about the network."""

from __future__ import annotations

from collections.abc import Iterable
import re

from inception_slim.checkpoint.options import PREWHITEN
from inception_slim.errors import CheckpointError

# `InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D`: a name scope, the variable scope, the layer.
_LAYER_NODE = re.compile(r'(?:.*/)?(Inception\w+)/(?:\1/)?(.+?)/'
                         r'(Conv2D|MatMul|separable_conv2d(?:/depthwise)?|BiasAdd)(?:__\d+)?')
_PARAMETERS = {'separable_conv2d': 'pointwise_weights',
               'separable_conv2d/depthwise': 'depthwise_weights'}


def parse_layer(node: str) -> tuple[str, str] | None:
    """The layer of a convolution's node in the network's scope, and the name of its weights.

    Example:
      >>> from inception_slim.formats.node_names import parse_layer
      >>> parse_layer('InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D')
      ('InceptionV3/Conv2d_1a_3x3', 'weights')
    """
    match = _LAYER_NODE.fullmatch(node)
    return match and (f'{match[1]}/{match[2]}', _PARAMETERS.get(match[3], 'weights'))


def slim_layers(nodes: Iterable[str]) -> dict[str, str]:
    """The nodes of convolutions by their layers in the network's scope, for `check_structure`.

    Example:
      >>> from inception_slim.formats.node_names import slim_layers
      >>> slim_layers(['InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D'])
      {'Conv2d_1a_3x3': 'InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D'}
    """
    layers = {}
    for node in nodes:
        parsed = parse_layer(node)
        if parsed:
            layer = parsed[0].split('/', 1)[1]
            layers[f'{layer}/depthwise' if parsed[1] == 'depthwise_weights' else layer] = node
    return layers


def detect_input_range(names: Iterable[str]) -> str:
    """Returns the input range of a network that this package exported, by the names of nodes."""
    return PREWHITEN if any(name.split('/')[0] == PREWHITEN for name in names) else 'inception'


def detect_pooling(nodes: Iterable[str]) -> str:
    """How a network with these nodes pools, one of `nets.POOLINGS`."""
    for name in nodes:
        if '/Branch_3/PaddedAvgPool_0a_3x3' in name:
            return 'padded'
        if '/Mixed_7c/Branch_3/MaxPool_0a_3x3' in name:
            return '2015'
    return 'average'


def quantized_error(path: str) -> CheckpointError:
    """The error for a quantized file, which has lost its float weights."""
    return CheckpointError(f'{path} is quantized to int8, which cannot be converted back; give '
                           'the file that it was exported from.')


def foreign_names_error(path: str, kind: str) -> CheckpointError:
    """The error for a file of another program, whose nodes cannot be mapped to layers."""
    return CheckpointError(f'{path} is an {kind} whose nodes do not have the names of TF-Slim\'s '
                           'layers; only those exported by this package can be read. Give the '
                           'file that it was made from.')
