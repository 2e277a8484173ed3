"""Rounding of a network's weights and biases to bfloat16, which have eight significant bits.

Rounding each to the nearest number would add most of the error of bfloat16, more than rounding the
values between the layers. Three things keep it small, and cost nothing at inference:

- Channels are scaled, by less than 0.4 %, so that their biases are bfloat16 numbers.
- Neighbouring pixels are alike, so the sum of the rounding errors over a filter's window counts
  most: a few weights are rounded the other way, so that it is close to zero.
- So does, in a 1×1 convolution, the sum over its inputs, weighted by their means: values after a
  ReLU are never negative. The parameters of batch norm say what these means were in training.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inception_slim.inference.channel_scaling import channel_factors, scale_conv
from inception_slim.inference.ir import Op
import numpy as np
import tensorflow.compat.v1 as tf

_BFLOAT16 = tf.bfloat16.as_numpy_dtype
# The upper half of a float32 number is a bfloat16 number; the next one is farther from zero.
_UPPER_HALF = np.uint32(0xFFFF0000)
_STEP = np.uint32(0x10000)
# At most one weight of a sum is rounded the other way in each pass.
_PASSES_OF_WINDOWS, _PASSES_OF_INPUTS = 2, 8
# Errors of the first layers grow most on their way, and these layers have few weights: to round
# all weights with regard to their sums takes ten times as long, and gains a tenth.
_CAREFULLY_ROUNDED = 2**21  # weights
_BLOCK = 2**16  # weights at once, so that they stay in the processor's caches


def round_network(ops: Sequence[Op], unscaled: Collection[str] = ()) -> list[Op]:
    """Rounds a network to bfloat16.

    Args:
      ops: in float32; each is let go once it is rounded.
      unscaled: names of values that must stay as they are.

    Returns:
      Ops with bfloat16 weights. Their biases are float32, and bfloat16 numbers but for those before
      values that must stay as they are. They have no means, which have served their purpose.
    """
    ops = list(ops)
    factors = channel_factors(ops, lambda conv, _: _exact_bias_factors(conv.biases), unscaled)
    means: dict[str, np.ndarray] = {}  # of the channels of a value, where they are known
    budget = _CAREFULLY_ROUNDED
    for index, op in enumerate(ops):
        if op.kind == 'conv':
            op = scale_conv(op, factors)
            if op.means is not None:
                means[op.output] = op.means
            weights = op.weights  # the cast rounds to the nearest
            if budget > 0:
                budget -= weights.size
                weights = _round_carefully(weights, means.get(op.inputs[0]))
            ops[index] = op._replace(weights=weights.astype(_BFLOAT16), means=None)
        elif op.kind in ('relu', 'max_pool', 'avg_pool', 'concat') and all(
                name in means for name in op.inputs):
            means[op.output] = np.concatenate([means[name] for name in op.inputs])
    return ops


def round_nearest(values: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 numbers, as float32; of two, the one with an even last bit."""
    return values.astype(_BFLOAT16).astype(np.float32)


def round_sums(values: np.ndarray, factors: np.ndarray, passes: int) -> np.ndarray:
    """Rounds each number up or down, so that the weighted error of each column is close to zero.

    The squared errors count too, so that numbers half-way between two are preferred.

    Args:
      values: `[rows, columns]` float32.
      factors: `[rows]`, by which the errors are multiplied in the sum; about 1.
      passes: in each, at most one number of a column is rounded the other way than to the nearest.

    Returns:
      bfloat16 numbers as float32.
    """
    rounded = np.empty_like(values)
    columns = max(_BLOCK // len(values), 1)
    for start in range(0, values.shape[1], columns):
        block = np.ascontiguousarray(values[:, start:start + columns])
        rounded[:, start:start + columns] = block + _errors(block, factors[:, np.newaxis], passes)
    return rounded


def _errors(values: np.ndarray, factors: np.ndarray, passes: int) -> np.ndarray:
    toward_zero = values.view(np.uint32) & _UPPER_HALF
    lower = toward_zero.view(np.float32) - values
    upper = (toward_zero + _STEP).view(np.float32) - values
    is_lower = abs(lower) <= abs(upper)
    errors = np.where(is_lower, lower, upper)
    change = np.where(is_lower, upper, lower) - errors  # if a number is rounded the other way
    change[lower == 0] = 0  # a bfloat16 number stays one
    change_of_square = change * (2 * errors + change)
    change_of_sum = change * factors
    sums, numbers = (errors * factors).sum(0), np.arange(values.shape[1])
    for _ in range(passes):
        cost = change_of_square + change_of_sum * (2 * sums + change_of_sum)
        best = cost.argmin(0)
        better = np.flatnonzero(cost[best, numbers] < 0)
        if not len(better):
            break
        position = best[better], better
        sums[better] += change_of_sum[position]
        errors[position] += change[position]
        for changed in (change, change_of_square, change_of_sum):
            changed[position] *= -1
    return errors


def _round_carefully(weights: np.ndarray, means: np.ndarray | None) -> np.ndarray:
    """Rounds filters `[out, in, height, width]`, in TensorFlow's order in memory."""
    channels, depth, height, width = weights.shape
    filters = weights.transpose(2, 3, 1, 0)
    if height * width > 1:
        rows = filters.reshape(height * width, depth * channels)
        rounded = round_sums(rows, np.ones(len(rows), np.float32), _PASSES_OF_WINDOWS)
    elif means is not None and means.any():
        rows = filters.reshape(depth, channels)
        factors = means / np.sqrt(np.square(means).mean())
        rounded = round_sums(rows, factors, _PASSES_OF_INPUTS)
    else:
        return round_nearest(weights)
    return rounded.reshape(filters.shape).transpose(3, 2, 0, 1)


def _exact_bias_factors(biases: np.ndarray) -> np.ndarray:
    """Factors near 1 that make the biases bfloat16 numbers when they are divided by them."""
    rounded = round_nearest(biases)
    return np.divide(biases, rounded, out=np.ones_like(biases), where=rounded != 0)
