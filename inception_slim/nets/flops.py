"""Counts the multiply-adds of a network."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def count_multiply_adds(target: tf.Tensor) -> int:
    """Counts the multiply-adds of the convolutions and dense layers that `target` depends on.

    The number of floating-point operations is twice as large.

    Args:
      target: an output of a graph whose shapes are known, including the batch size.

    Returns:
      The multiply-adds of one run.

    Raises:
      ValueError: the shape of a convolution's output is not fully known.

    Example:
      >>> import tensorflow.compat.v1 as tf
      >>> from inception_slim.nets import flops, registry
      >>> with tf.Graph().as_default():
      ...     images = tf.placeholder(tf.float32, (1, 224, 224, 3))
      ...     logits, end_points = registry.get_network_fn('inception_v1', num_classes=1000)(images)
      ...     print(f'{flops.count_multiply_adds(logits) / 1e9:.2f} G')
      1.50 G
    """
    total, visited, pending = 0, set(), [target.op]
    while pending:
        op = pending.pop()
        if op in visited:
            continue
        visited.add(op)
        pending.extend(tensor.op for tensor in op.inputs)
        if op.type not in ('Conv2D', 'DepthwiseConv2dNative', 'MatMul'):
            continue
        output, weights = op.outputs[0].shape, op.inputs[1].shape
        if not output.is_fully_defined():
            raise ValueError(f'count_multiply_adds needs known shapes, but the output of {op.name} '
                             f'is {output}; build the network with a fixed batch and image size.')
        if op.type == 'DepthwiseConv2dNative':
            per_value = weights[0] * weights[1]
        elif op.type == 'Conv2D':
            per_value = weights[0] * weights[1] * weights[2]
        else:
            per_value = weights[1 if op.get_attr('transpose_b') else 0]
        total += output.num_elements() * per_value
    return total
