"""`tf.contrib.data`: what `tf.data` has under other names today."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

Dataset = tf.data.Dataset
FixedLengthRecordDataset = tf.data.FixedLengthRecordDataset
Iterator = tf.data.Iterator
TFRecordDataset = tf.data.TFRecordDataset
TextLineDataset = tf.data.TextLineDataset


def batch_and_drop_remainder(batch_size):
    """For `Dataset.apply`: batches of that size alone."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)


def padded_batch_and_drop_remainder(batch_size, padded_shapes, padding_values=None):
    """For `Dataset.apply`: padded batches of that size alone."""
    return lambda dataset: dataset.padded_batch(batch_size, padded_shapes, padding_values,
                                                drop_remainder=True)


def sliding_window_batch(window_size, stride=None, window_shift=None, window_stride=1):
    """For `Dataset.apply`: batches of elements that lie side by side.

    Args:
      window_size: elements in a batch.
      stride: an older name of `window_shift`.
      window_shift: how far one batch begins after the other; 1 if not given.
      window_stride: how far one element of a batch is from the next.
    """
    if stride is not None and window_shift is not None:
        raise ValueError('Cannot specify both `stride` and `window_shift`')
    shift = next((each for each in (window_shift, stride) if each is not None), 1)

    def batched(*parts):
        parts = tf.nest.map_structure(
            lambda part: part.batch(window_size, drop_remainder=True),
            parts[0] if len(parts) == 1 else parts)
        return tf.data.Dataset.zip(parts)

    return lambda dataset: dataset.window(
        window_size, shift, window_stride, drop_remainder=True).flat_map(batched)


def sloppy_interleave(map_func, cycle_length, block_length=1):
    """For `Dataset.apply`: elements of several datasets in turns, the ready ones first."""
    return tf.data.experimental.parallel_interleave(map_func, cycle_length, block_length,
                                                    sloppy=True)


def assert_element_shape(expected_shapes):
    """For `Dataset.apply`: elements that are known to have those shapes, or an error."""

    def checked(*element):
        whole = element[0] if len(element) == 1 else element
        return tf.nest.map_structure(tf.ensure_shape, whole, expected_shapes)

    return lambda dataset: dataset.map(checked)
