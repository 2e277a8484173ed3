"""The forward benchmark that TensorFlow's early users timed their networks with."""

from __future__ import annotations

from datetime import datetime
import math
import time
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf


class Timing(NamedTuple):
    """What a benchmark measured, in seconds per batch."""

    mean: float
    standard_deviation: float
    durations: list[float]


def time_tensorflow_run(
        session: tf.Session,
        target: Any,
        info_string: str,
        num_batches: int = 100,
        num_steps_burn_in: int = 10) -> Timing:
    """Runs `target` again and again, and prints how long a run takes.

    Prints the duration of every tenth counted step, in seconds, and at the end their mean and
    standard deviation. Each line appears as it is measured, also into a pipe.

    Args:
      session: an initialized session.
      target: what to run: a tensor, an operation, or any structure of them.
      info_string: names the run in the closing line, such as 'Forward'.
      num_batches: steps to count, at least 1.
      num_steps_burn_in: steps to run before, uncounted, at least 0.

    Returns:
      The figures.

    Raises:
      ValueError: a number of steps is out of its range.
    """
    if num_batches < 1:
        raise ValueError(f'num_batches must be at least 1, but is {num_batches}.')
    if num_steps_burn_in < 0:
        raise ValueError(f'num_steps_burn_in must be at least 0, but is {num_steps_burn_in}.')
    durations = []
    for i in range(num_batches + num_steps_burn_in):
        start = time.perf_counter()
        session.run(target)
        duration = time.perf_counter() - start
        if i >= num_steps_burn_in:
            if not i % 10:
                print('%s: step %d, duration = %.3f' %
                      (datetime.now(), i - num_steps_burn_in, duration), flush=True)
            durations.append(duration)
    mean = math.fsum(durations) / num_batches
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in durations) / num_batches)
    print('%s: %s across %d steps, %.3f +/- %.3f sec / batch' %
          (datetime.now(), info_string, num_batches, mean, deviation), flush=True)
    return Timing(mean, deviation, durations)


def count_multiply_adds(target: tf.Tensor) -> int:
    """How many multiplications the convolutions and dense layers behind `target` do in one run.

    Twice as many floating-point operations. The shapes must be known, the batch size too.

    Raises:
      ValueError: the shape of a convolution's output is not wholly known.

    Example:
      >>> import tensorflow.compat.v1 as tf
      >>> from inception_slim import benchmark
      >>> from inception_slim.nets import registry
      >>> with tf.Graph().as_default():
      ...     images = tf.placeholder(tf.float32, (1, 224, 224, 3))
      ...     logits, end_points = registry.get_network_fn('inception_v1', num_classes=1000)(images)
      ...     print(f'{benchmark.multiply_adds(logits) / 1e9:.2f} G')
      1.50 G
    """
    total, seen, waiting = 0, set(), [target.op]
    while waiting:
        op = waiting.pop()
        if op in seen:
            continue
        seen.add(op)
        waiting.extend(each.op for each in op.inputs)
        if op.type not in ('Conv2D', 'DepthwiseConv2dNative', 'MatMul'):
            continue
        output, weights = op.outputs[0].shape, op.inputs[1].shape
        if not output.is_fully_defined():
            raise ValueError(f'multiply_adds needs known shapes, but {op.name} gives {output}; '
                             'build the network with a fixed batch size and image size.')
        if op.type == 'DepthwiseConv2dNative':
            each = weights[0] * weights[1]
        elif op.type == 'Conv2D':
            each = weights[0] * weights[1] * weights[2]
        else:
            each = weights[1 if op.get_attr('transpose_b') else 0]
        total += output.num_elements() * each
    return total
