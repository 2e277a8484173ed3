"""A network in eight-bit integers: where they can be had, by which ranges, and at what rounding.

One quantization serves every engine. Weights are rounded in units of their output channel; values
after a ReLU are bytes from 0 to a range found on real images; the mean of what rounding the
weights adds to a channel is taken off its bias. Values that meet in a concatenation share a range,
so that concatenating copies bytes. What is not between ReLUs (a residual sum, a depthwise
convolution) stays in float32.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
import dataclasses

from inception_slim.inference.ir import INPUTS, Op
import numpy as np

# Of the largest values of the calibration images: those above are outliers, and are clipped.
PERCENTILE = 99
# Of that, what the range of a value of the stem may be.
_PARTS = np.arange(1, 0.475, -0.05)
SHIFTED = 'shifted_inputs'
_LARGEST_WEIGHT = 127
# Without VNNI a processor adds two products in sixteen bits: bytes of an image, which are large,
# times large weights would not fit.
_LARGEST_WEIGHT_OF_IMAGES = 63


@dataclasses.dataclass(frozen=True)
class CalibrationStats:
    """What calibration images do in a network.

    Attributes:
      largest: of each value after a ReLU, the largest in each image, `[N]`.
      means: of each value that a convolution takes, the mean of each channel, `[channels]`.
      samples: of each value of `stem`, some of its numbers in each image, `[N, numbers]`.
    """

    largest: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    samples: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class QuantizedNetwork:
    """A network whose convolutions multiply bytes by eight-bit weights, where that can be.

    Attributes:
      steps: those of the network; a convolution in eight bits has int8 `weights` and their `unit`.
      ranges: of each value that is bytes, what 255 stands for; 0 stands for 0.
      side: of the images.
    """

    steps: list[Op]
    ranges: dict[str, float]
    side: int


def shift_inputs(steps: Sequence[Op]) -> list[Op]:
    """The same network on images shifted to [0, 2], where that can be, so that they are bytes.

    The first convolution must not pad: its zeros would have to be shifted too.
    """
    first = next(step for step in steps if step.inputs[0] == INPUTS)
    users = [step for step in steps if INPUTS in step.inputs]
    if len(users) > 1 or first.kind != 'conv' or first.groups > 1 or any(first.padding):
        return list(steps)
    biases = first.biases - first.weights.sum((1, 2, 3), dtype=np.float64)
    moved = first._replace(inputs=[SHIFTED], biases=biases.astype(np.float32))
    return [Op('shift', [INPUTS], SHIFTED),
            *(moved if step is first else step for step in steps)]


def is_input_shifted(network: QuantizedNetwork) -> bool:
    """Whether its images are shifted to [0, 2]; the step that does so is the first."""
    return network.steps[0].output == SHIFTED


def relu_outputs(steps: Sequence[Op]) -> list[str]:
    """The values whose ranges must be found: what comes out of ReLUs."""
    return [step.output for step in steps if step.kind == 'relu']


def unbranched_relus(steps: Sequence[Op]) -> list[str]:
    """The values that come out of ReLUs before the network first branches."""
    users = collections.Counter(name for step in steps for name in step.inputs)
    found, value = [], steps[0].inputs[0]
    for step in steps:
        if step.inputs != [value] or users[value] > 1:
            break
        value = step.output
        found += [value] * (step.kind == 'relu')
    return found


def conv_inputs(steps: Sequence[Op]) -> list[str]:
    """The values that convolutions take, in whole bytes where they become bytes."""
    return list(dict.fromkeys(step.inputs[0] for step in steps
                              if step.kind == 'conv' and step.groups == 1))


def quantize(steps: Sequence[Op], statistics: CalibrationStats, side: int,
             every_product_fits: bool) -> QuantizedNetwork:
    """The network in eight bits, by what calibration images did in it.

    Args:
      steps: of `shifted`.
      statistics: of `ranged` and `multiplied` values of the same steps.
      side: of the images.
      every_product_fits: whether the processor adds products in 32 bits, as VNNI does.
    """
    ranges = _ranges(steps, statistics)
    done = []
    for step in steps:
        if step.kind == 'conv' and step.groups == 1 and step.inputs[0] in ranges:
            narrow = step.inputs[0] == SHIFTED and not every_product_fits
            step = _rounded(step, statistics.means[step.inputs[0]],
                            _LARGEST_WEIGHT_OF_IMAGES if narrow else _LARGEST_WEIGHT)
        done.append(step)
    return QuantizedNetwork(done, ranges, side)


def _least_error(largest: float, samples: np.ndarray) -> float:
    """The range that rounds samples best, `largest` or less.

    By the mean over the images of the squared error as a part of what is squared: pale and dark
    images, whose numbers are small in the stem, count as much as others.
    """
    powers = np.maximum((samples**2).sum(1, dtype=np.float64), np.finfo(np.float32).tiny)

    def error(part: float) -> float:
        unit = np.float32(largest * part / 255)
        wrong = np.minimum(np.rint(samples / unit), 255) * unit - samples
        return float(((wrong**2).sum(1, dtype=np.float64) / powers).mean())

    return largest * min(_PARTS, key=error) if largest else 0.0


def _ranges(steps: Sequence[Op], statistics: CalibrationStats) -> dict[str, float]:
    """Of each value that is bytes: the same for all that are pooled from or put beside another."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    found = {name: float(np.percentile(values, PERCENTILE))
             for name, values in statistics.largest.items()}
    for name, samples in statistics.samples.items():
        found[name] = _least_error(found[name], samples)
    found[SHIFTED] = 2.0
    for step in steps:
        if step.kind in ('relu', 'shift'):
            parent[step.output] = step.output
        elif step.kind in ('max_pool', 'avg_pool', 'concat') and all(
                each in parent for each in step.inputs):
            parent[step.output] = root(step.inputs[0])
            for each in step.inputs:
                parent[root(each)] = parent[step.output]
    together: dict[str, float] = {}
    for name in parent:
        together[root(name)] = max(together.get(root(name), 0.0), found.get(name, 0.0))
    # Where nothing but zeros was seen, any range will do.
    return {name: together[root(name)] or 1.0 for name in parent}


def _rounded(step: Op, means: np.ndarray, largest: int) -> Op:
    """A convolution with weights in eight bits, and biases without the mean error of that."""
    weights = step.weights
    unit = abs(weights).max((1, 2, 3)).astype(np.float32) / largest
    unit[unit == 0] = 1.0
    shape = (-1, 1, 1, 1)
    whole = np.clip(np.rint(weights / unit.reshape(shape)), -largest, largest)
    error = (weights - whole * unit.reshape(shape)).sum((2, 3), dtype=np.float64)
    return step._replace(weights=whole.astype(np.int8), unit=unit,
                         biases=(step.biases + error @ means).astype(np.float32))


def calibrate(steps: Sequence[Op], images: np.ndarray, every_product_fits: bool,
               measure: Callable[[Sequence[Op], np.ndarray], CalibrationStats]) -> QuantizedNetwork:
    """The network in eight bits, by ranges that `measure` finds on images."""
    steps = shift_inputs(steps)
    return quantize(steps, measure(steps, images), images.shape[1], every_product_fits)
