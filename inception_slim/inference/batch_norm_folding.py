"""Batch norm folded into the convolutions, at the level of the variables."""

from __future__ import annotations

import numpy as np

BATCH_NORM_EPSILON = 0.001


def fold_batch_norm(weights: dict[str, np.ndarray],
                    epsilon: float = BATCH_NORM_EPSILON) -> dict[str, np.ndarray]:
    """Weights and biases of convolutions that do what convolution and batch norm did.

    Args:
      weights: variables of a network by their names in its scope, as `checkpoint.read` gives; the
        arrays are used up, so that no weight is in memory twice.
      epsilon: what batch norm adds to the variance.

    Returns:
      The same with `weights` and `biases` alone; float32.
    """
    folded = {}
    for name in [each for each in weights if each.endswith(('weights', '/biases'))]:
        value = folded[name] = weights.pop(name)
        layer, _, parameter = name.rpartition('/')
        variance = weights.get(f'{layer}/BatchNorm/moving_variance')
        if variance is None or parameter in ('biases', 'depthwise_weights'):
            continue
        # In float64, so that folding itself adds no rounding.
        scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale *= weights.get(f'{layer}/BatchNorm/gamma', 1.0)
        mean = weights[f'{layer}/BatchNorm/moving_mean']
        np.multiply(value, scale, out=value, casting='same_kind')
        folded[f'{layer}/biases'] = (
            weights[f'{layer}/BatchNorm/beta'] - mean * scale).astype(np.float32)
    return folded
