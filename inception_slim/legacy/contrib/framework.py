"""`tf.contrib.framework`: small functions that TensorFlow 2 does not have."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def assert_scalar_int(tensor: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Return the tensor; raise ValueError if it is not a scalar of an integer type."""
    with tf.name_scope(name, 'assert_scalar_int', [tensor]):
        tensor = tf.convert_to_tensor(tensor)
        if not tensor.dtype.base_dtype.is_integer:
            raise ValueError(f'Expected integer type for {tensor.name}, received type: '
                             f'{tensor.dtype}.')
        return tf.debugging.assert_scalar(tensor)


def get_placeholders(graph: tf.Graph) -> list[tf.Tensor]:
    """Return the placeholders of a graph."""
    return [op.outputs[0] for op in graph.get_operations() if op.type == 'Placeholder']


def reduce_sum_n(tensors: list[tf.Tensor], name: str | None = None) -> tf.Tensor:
    """Return the sum of all elements of all tensors."""
    if not tensors:
        raise ValueError('No tensors provided.')
    with tf.name_scope(name, 'reduce_sum_n', tensors) as scope:
        sums = [tf.reduce_sum(tensor) for tensor in tensors]
        return sums[0] if len(sums) == 1 else tf.add_n(sums, name=scope)
