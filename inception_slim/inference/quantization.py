"""Quantization of a network to int8: which ops, which ranges, and how weights are rounded.

One quantization serves every engine. Weights are symmetric with one scale per output channel.
Values after a ReLU are uint8 from 0 to a range found on real images; before that, the ranges of
their channels are brought closer together by scaling the weights. The mean error that rounding
the weights adds to a channel is subtracted from its bias. Values that meet in a concatenation
share a range, so that concatenating copies bytes. Values that no ReLU bounds (residual sums,
depthwise convolutions) stay in float32, and so does the first convolution: rounding the pixels
of prepared images to 256 levels would be the largest error of all. (With VNNI, the OpenVINO
engine computes it in 8 bits from 11 bits a pixel.)
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
import dataclasses

from inception_slim.inference.channel_scaling import channel_factors, scale_channels
from inception_slim.inference.ir import Op
import numpy as np

# Of the largest value in each calibration image; values above it are outliers, and are clipped.
PERCENTILE = 99
# A channel is divided by its range to this power. 1 would give all channels of a value the same
# range, but the weights that multiply them very different ones; the square root divides the
# rounding errors between both (Nagel et al., 2019, https://arxiv.org/abs/1906.04721, section 4.1).
_EQUALIZATION = 0.5
_SMALLEST_RANGE = 0.01  # of a channel, relative to that of its value: it may be wider later
# Candidate ranges of a value before the first branch, as fractions of that percentile.
_FRACTIONS = np.arange(1, 0.475, -0.05)
# After the first branch the rounding of values hardly matters, but other images than those of the
# calibration have larger ones, which would be clipped.
_MARGIN = 1.5
MAX_WEIGHT = 127


@dataclasses.dataclass(frozen=True)
class CalibrationStats:
    """Statistics of the values of a network on calibration images.

    Attributes:
      largest: of each value after a ReLU, the maximum of each channel in each image,
        `[N, channels]`.
      means: of each input of a convolution, the mean of each channel, `[channels]`.
      samples: of each value of `unbranched_relus`, some elements of each image, `[N, elements]`:
        one of each channel in turn.
    """

    largest: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    samples: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class QuantizedNetwork:
    """A network whose convolutions multiply uint8 values by int8 weights where possible.

    Attributes:
      ops: the ops of the network; an int8 convolution has int8 `weights` and their `scales`.
      ranges: of each uint8 value, what 255 represents; 0 represents 0.
      image_size: side of the images in pixels.
    """

    ops: list[Op]
    ranges: dict[str, float]
    image_size: int


def relu_outputs(ops: Sequence[Op]) -> list[str]:
    """The outputs of ReLUs: the values whose ranges are calibrated."""
    return [op.output for op in ops if op.kind == 'relu']


def unbranched_relus(ops: Sequence[Op]) -> list[str]:
    """The outputs of ReLUs before the network first branches."""
    users = collections.Counter(name for op in ops for name in op.inputs)
    names, value = [], ops[0].inputs[0]
    for op in ops:
        if op.inputs != [value] or users[value] > 1:
            break
        value = op.output
        if op.kind == 'relu':
            names.append(value)
    return names


def conv_inputs(ops: Sequence[Op]) -> list[str]:
    """The inputs of convolutions that are not depthwise, each once."""
    return list(dict.fromkeys(op.inputs[0] for op in ops if op.kind == 'conv' and op.groups == 1))


def quantize(ops: Sequence[Op], stats: CalibrationStats, image_size: int) -> QuantizedNetwork:
    """Quantizes a network by the statistics of calibration images.

    Args:
      ops: of the network.
      stats: of the same ops.
      image_size: side of the images in pixels.
    """
    ranges = _find_ranges(ops, stats)
    quantized = []
    for op in ops:
        if op.kind == 'conv' and op.groups == 1 and op.inputs[0] in ranges:
            op = _quantize_conv(op, stats.means[op.inputs[0]])
        quantized.append(op)
    return QuantizedNetwork(quantized, ranges, image_size)


def calibrate(ops: Sequence[Op], images: np.ndarray,
              measure: Callable[[Sequence[Op], np.ndarray], CalibrationStats]) -> QuantizedNetwork:
    """Quantizes a network by the statistics that `measure` computes on images."""
    ops, stats = equalize_channels(ops, measure(ops, images))
    return quantize(ops, stats, images.shape[1])


def equalize_channels(ops: Sequence[Op],
                      stats: CalibrationStats) -> tuple[list[Op], CalibrationStats]:
    """Scales weights so that the channels of a value after a ReLU have similar ranges.

    See `channel_scaling`; the network computes the same.

    Args:
      ops: of the network.
      stats: of the same ops.

    Returns:
      The ops, and the statistics of their values.
    """
    factors = channel_factors(ops, lambda _, relu: _channel_factors(stats.largest[relu]))
    return scale_channels(ops, factors), CalibrationStats(
        {name: value / factors.get(name, 1) for name, value in stats.largest.items()},
        {name: value / factors.get(name, 1) for name, value in stats.means.items()},
        {name: value / np.resize(factors.get(name, np.ones(1, np.float32)), value.shape[1])
         for name, value in stats.samples.items()})


def _channel_factors(largest: np.ndarray) -> np.ndarray:
    """The factors of the channels of a value, at most 1, from their maxima `[N, channels]`."""
    ranges = np.percentile(largest, PERCENTILE, axis=0)
    if not ranges.max() > 0:
        return np.ones(len(ranges), np.float32)
    relative = np.maximum(ranges / ranges.max(), _SMALLEST_RANGE)
    return (relative**_EQUALIZATION).astype(np.float32)


def _best_range(largest: float, samples: np.ndarray) -> float:
    """The range, at most `largest`, with the lowest quantization error on samples.

    The error is the squared error relative to the squared values, averaged over the images, so
    that low-contrast images, whose values are small, weigh as much as others.
    """
    powers = np.maximum((samples**2).sum(1, dtype=np.float64), np.finfo(np.float32).tiny)

    def relative_error(fraction: float) -> float:
        scale = np.float32(largest * fraction / 255)
        error = np.minimum(np.rint(samples / scale), 255) * scale - samples
        return float(((error**2).sum(1, dtype=np.float64) / powers).mean())

    return largest * min(_FRACTIONS, key=relative_error) if largest else 0.0


def _find_ranges(ops: Sequence[Op], stats: CalibrationStats) -> dict[str, float]:
    """The range of each uint8 value; pooled and concatenated values share that of their inputs."""
    parent: dict[str, str] = {}  # a forest of values with the same range

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    ranges = {}
    for name, values in stats.largest.items():
        largest = float(np.percentile(values.max(1), PERCENTILE))
        ranges[name] = (_best_range(largest, stats.samples[name]) if name in stats.samples
                        else largest * _MARGIN)
    for op in ops:
        if op.kind == 'relu':
            parent[op.output] = op.output
        elif op.kind in ('max_pool', 'avg_pool', 'concat') and all(
                name in parent for name in op.inputs):
            parent[op.output] = root(op.inputs[0])
            for name in op.inputs:
                parent[root(name)] = parent[op.output]
    shared: dict[str, float] = {}
    for name in parent:
        shared[root(name)] = max(shared.get(root(name), 0.0), ranges.get(name, 0.0))
    # If a value was always zero, any range is right.
    return {name: shared[root(name)] or 1.0 for name in parent}


def _quantize_conv(op: Op, means: np.ndarray) -> Op:
    """Rounds the weights to int8 and subtracts the mean error of that from the biases."""
    quantized, scales = round_weights(op.weights)
    error = (op.weights - quantized * scales.reshape(-1, 1, 1, 1)).sum((2, 3), dtype=np.float64)
    return op._replace(weights=quantized, scales=scales,
                       biases=(op.biases + error @ means).astype(np.float32))


def round_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds the weights of a layer, whose first axis is that of its outputs.

    Returns:
      int8 weights, and what 1 represents in those of each output, float32.
    """
    scales = abs(weights).reshape(len(weights), -1).max(1).astype(np.float32) / MAX_WEIGHT
    scales[scales == 0] = 1.0
    rounded = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1)))
    return np.clip(rounded, -MAX_WEIGHT, MAX_WEIGHT).astype(np.int8), scales
