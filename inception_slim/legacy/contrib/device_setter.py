"""`tf.contrib.training`: strategies that place variables on parameter servers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf


class RandomStrategy:
    """Chooses a task at random."""

    def __init__(self, num_ps: int, seed: int = 0):
        self._num_tasks = num_ps
        self._random = np.random.RandomState(seed)

    def __call__(self, op: tf.Operation) -> int:
        return self._random.choice(self._num_tasks)


class GreedyLoadBalancingStrategy:
    """Chooses the task with the smallest load so far."""

    def __init__(self, num_tasks: int, load_fn: Callable[[tf.Operation], float]):
        self._load_fn = load_fn
        self._loads = np.zeros(num_tasks)

    def __call__(self, op: tf.Operation) -> int:
        task = int(np.argmin(self._loads))
        self._loads[task] += self._load_fn(op)
        return task


def byte_size_load_fn(op: tf.Operation) -> int:
    """Return the load of an op: the size of its output in bytes.

    Raises:
      ValueError: the op has several outputs, or one of unknown shape.
    """
    if len(op.outputs) != 1:
        raise ValueError(f'Op {op} must have a single output')
    shape = op.outputs[0].shape
    if not shape.is_fully_defined():
        raise ValueError(f'Op {op} must have a known shape')
    return shape.num_elements() * op.outputs[0].dtype.size
