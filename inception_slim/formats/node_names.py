"""What a translation of a graph keeps of it: names of nodes, and weights with channels first."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
import re

from inception_slim.checkpoint import LazyTensor
from inception_slim.errors import CheckpointError
import numpy as np

# `InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D`: a scope, the scope of the variables, the layer.
_VARIABLE = re.compile(r'(?:.*/)?(Inception\w+)/(?:\1/)?(.+?)/'
                       r'(Conv2D|MatMul|separable_conv2d(?:/depthwise)?|BiasAdd)(?:__\d+)?')
_KINDS = {'separable_conv2d': 'pointwise_weights',
          'separable_conv2d/depthwise': 'depthwise_weights'}


def layer_and_kind(node: str) -> tuple[str, str] | None:
    """The layer of a node that multiplies, in the network's scope, and what its weights are called.

    >>> from inception_slim.formats.node_names import layer_and_kind
    >>> layer_and_kind('InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D')
    ('InceptionV3/Conv2d_1a_3x3', 'weights')
    """
    match = _VARIABLE.fullmatch(node)
    return match and (f'{match[1]}/{match[2]}', _KINDS.get(match[3], 'weights'))


def quantized_error(path: str) -> CheckpointError:
    """That a file has no weights of a network in it, but what is left of them."""
    return CheckpointError(f'{path} is in eight bits, from which there is no way back; give what '
                           'it was made of.')


def detect_pooling(nodes: Iterable[str]) -> str:
    """How a network of these nodes pools, one of `nets.POOLINGS`."""
    for name in nodes:
        if '/Branch_3/PaddedAvgPool_0a_3x3' in name:
            return 'padded'
        if '/Mixed_7c/Branch_3/MaxPool_0a_3x3' in name:
            return '2015'
    return 'average'


def to_hwio(kernel: LazyTensor, groups: int | None = None) -> LazyTensor:
    """Weights `[out, in, height, width]` as TensorFlow has them.

    Args:
      kernel: the weights.
      groups: of a depthwise convolution, how many input channels have outputs of their own.
    """
    out, into, height, width = kernel.shape
    shape = (height, width, into, out) if groups is None else (
        height, width, groups, out // groups)
    return LazyTensor(shape, kernel.dtype, partial(_moved, kernel, groups))


def _moved(kernel: LazyTensor, groups: int | None) -> np.ndarray:
    value = kernel.load()
    if groups is None:
        return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(
        value.reshape(groups, -1, *value.shape[2:]).transpose(2, 3, 0, 1))
