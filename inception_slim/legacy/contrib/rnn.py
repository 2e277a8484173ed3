"""`tf.contrib.rnn`: functions that `tf.nn` does not have."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def transpose_batch_time(tensor: tf.Tensor) -> tf.Tensor:
    """Swap the first two axes, batch and time, of a tensor."""
    if tensor.shape.rank is not None and tensor.shape.rank < 2:
        raise ValueError(f'Expected input tensor {tensor} to have rank at least 2, but saw shape: '
                         f'{tensor.shape}')
    return tf.transpose(tensor, tf.concat([[1, 0], tf.range(2, tf.rank(tensor))], 0))
