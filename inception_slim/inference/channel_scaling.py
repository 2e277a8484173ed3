"""Scaling of the channels of a network's values, which changes how they are rounded.

ReLU, pools and concatenations pass a positive factor on. So a channel may be divided by a factor
in the convolution that computes it, and multiplied by it in those that use it: the network computes
the same (Nagel et al., 2019, https://arxiv.org/abs/1906.04721, section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
import functools

from inception_slim.inference.ir import INPUTS, Op, users_of
import numpy as np

_POOLS = ('max_pool', 'avg_pool')


def count_channels(ops: Sequence[Op]) -> dict[str, int]:
    """The channels of each value."""
    channels = {INPUTS: 3}
    for op in ops:
        channels[op.output] = (
            len(op.weights) if op.kind == 'conv' else
            sum(channels[name] for name in op.inputs) if op.kind == 'concat' else
            channels[op.inputs[0]])
    return channels


def channel_factors(ops: Sequence[Op], choose: Callable[[Op, str], np.ndarray],
                    unscaled: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Chooses the factors by which the channels of a network's values are divided.

    Only values after a ReLU are scaled that convolutions alone use, also through pools and
    concatenations. Others, such as features and residual sums, stay as they are.

    Args:
      ops: of the network.
      choose: returns the factors of a convolution, `[out]`, given its op and the name of the value
        after its ReLU.
      unscaled: names of values that must stay as they are.

    Returns:
      The factors `[channels]` of the values by name, where they are not 1: also of those between a
      convolution and its ReLU.
    """
    users = users_of(ops)

    @functools.cache
    def is_for_convs(name: str) -> bool:
        return name in users and name not in unscaled and all(
            op.kind == 'conv' and op.groups == 1
            or op.kind in (*_POOLS, 'concat') and is_for_convs(op.output)
            for op in users[name])

    channels = count_channels(ops)
    producers = {op.output: op for op in ops}
    factors: dict[str, np.ndarray] = {}
    for op in ops:
        if op.kind == 'relu' and is_for_convs(op.output):
            chain = [op.output, op.inputs[0]]  # back to the convolution
            while producers[chain[-1]].kind == 'avg_pool' and len(users[chain[-1]]) == 1:
                chain.append(producers[chain[-1]].inputs[0])
            conv = producers[chain[-1]]
            if conv.kind == 'conv' and len(users[conv.output]) == 1:
                factors.update(dict.fromkeys(chain, choose(conv, op.output)))
        elif op.kind in _POOLS and op.inputs[0] in factors:
            factors[op.output] = factors[op.inputs[0]]
        elif op.kind == 'concat' and any(name in factors for name in op.inputs):
            factors[op.output] = np.concatenate([
                factors.get(name, np.ones(channels[name], np.float32)) for name in op.inputs])
    return factors


def scale_channels(ops: Sequence[Op], factors: dict[str, np.ndarray]) -> list[Op]:
    """Scales weights and biases so that values are divided by `factors`.

    Args:
      ops: of the network.
      factors: from `channel_factors`.
    """
    return [scale_conv(op, factors) if op.kind == 'conv' else op for op in ops]


def scale_conv(op: Op, factors: dict[str, np.ndarray]) -> Op:
    """Scales the weights and biases of one convolution; see `scale_channels`."""
    before, after = factors.get(op.inputs[0]), factors.get(op.output)
    if before is not None and after is not None:
        scale = before / after[:, np.newaxis]
    elif before is not None:
        scale = before[np.newaxis]
    elif after is not None:
        scale = 1 / after[:, np.newaxis]
    else:
        return op
    op = op._replace(weights=op.weights * scale[..., np.newaxis, np.newaxis])
    if after is None:
        return op
    return op._replace(biases=op.biases / after,
                       means=None if op.means is None else op.means / after)
