"""What batch norm adds to the variance: TF-Slim adds 0.001, and others may add something else."""

from __future__ import annotations

from inception_slim.checkpoint import LazyTensor
from inception_slim.inference import BATCH_NORM_EPSILON
import numpy as np


def shift_epsilon(variance: LazyTensor, epsilon: float) -> LazyTensor:
    """A variance that, with TF-Slim's epsilon added, is what it was with another."""
    return LazyTensor(variance.shape, variance.dtype, lambda: (
        variance.load().astype(np.float64) + (epsilon - BATCH_NORM_EPSILON)).astype(np.float32))


def epsilon_note(epsilon: float) -> str:
    return (f'Batch norm added {epsilon:g} to the variance: the difference is in moving_variance '
            f'now, so that {BATCH_NORM_EPSILON} is added.')
