"""Transformations of tensors that are read on demand, shared by the readers."""

from __future__ import annotations

from collections.abc import Callable
import math

from inception_slim.checkpoint import LazyTensor
from inception_slim.inference import BATCH_NORM_EPSILON
import numpy as np


def transform(tensor: LazyTensor, shape: tuple[int, ...],
              function: Callable[[np.ndarray], np.ndarray]) -> LazyTensor:
    """A float32 tensor that is computed when it is loaded.

    Args:
      tensor: the source.
      shape: of the result.
      function: computes the result, in any float dtype and any shape of the right size.
    """
    return LazyTensor(shape, np.dtype(np.float32), lambda: np.ascontiguousarray(
        function(tensor.load()), np.float32).reshape(shape))


def to_hwio(kernel: LazyTensor, groups: int | None = None) -> LazyTensor:
    """A kernel `[out, in, height, width]` in TensorFlow's order, `[height, width, in, out]`.

    Args:
      kernel: the kernel.
      groups: for a depthwise convolution, its number of input channels.
    """
    out, channels, height, width = kernel.shape
    if groups is None:
        return transform(kernel, (height, width, channels, out),
                         lambda value: value.transpose(2, 3, 1, 0))
    return transform(kernel, (height, width, groups, out // groups), lambda value: (
        value.reshape(groups, -1, height, width).transpose(2, 3, 0, 1)))


def as_convolution(kernel: LazyTensor) -> LazyTensor:
    """The kernel `[in, out]` of a dense layer as that of a 1×1 convolution."""
    return LazyTensor((1, 1, *kernel.shape), kernel.dtype, kernel.load)


def flatten(tensor: LazyTensor) -> LazyTensor:
    """A tensor with one dimension."""
    return LazyTensor((math.prod(tensor.shape),), tensor.dtype, tensor.load)


def shift_epsilon(variance: LazyTensor, epsilon: float) -> LazyTensor:
    """A variance for TF-Slim's epsilon of batch norm that equals one for another epsilon."""
    return transform(variance, variance.shape, lambda value: (
        value.astype(np.float64) + (epsilon - BATCH_NORM_EPSILON)))


def epsilon_note(epsilon: float) -> str:
    return (f'Batch norm used epsilon {epsilon:g}. The difference from {BATCH_NORM_EPSILON} was '
            'added to moving_variance.')
