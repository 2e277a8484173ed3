"""`tf.contrib.data`: dataset transformations that `tf.data` has under other names."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

Dataset = tf.data.Dataset
FixedLengthRecordDataset = tf.data.FixedLengthRecordDataset
Iterator = tf.data.Iterator
TFRecordDataset = tf.data.TFRecordDataset
TextLineDataset = tf.data.TextLineDataset


def batch_and_drop_remainder(batch_size):
    """Return a transformation for `Dataset.apply`: batches without a smaller last one."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)


def padded_batch_and_drop_remainder(batch_size, padded_shapes, padding_values=None):
    """Return a transformation for `Dataset.apply`: padded batches without a smaller last one."""
    return lambda dataset: dataset.padded_batch(batch_size, padded_shapes, padding_values,
                                                drop_remainder=True)


def sliding_window_batch(window_size, stride=None, window_shift=None, window_stride=1):
    """Return a transformation for `Dataset.apply`: overlapping batches of adjacent elements.

    Args:
      window_size: elements per batch.
      stride: deprecated name of `window_shift`.
      window_shift: elements between the starts of two batches; 1 by default.
      window_stride: elements between two elements of a batch.
    """
    if stride is not None and window_shift is not None:
        raise ValueError('Cannot specify both `stride` and `window_shift`')
    shift = next((value for value in (window_shift, stride) if value is not None), 1)

    def batch_window(*components):
        components = tf.nest.map_structure(
            lambda component: component.batch(window_size, drop_remainder=True),
            components[0] if len(components) == 1 else components)
        return tf.data.Dataset.zip(components)

    return lambda dataset: dataset.window(
        window_size, shift, window_stride, drop_remainder=True).flat_map(batch_window)


def sloppy_interleave(map_func, cycle_length, block_length=1):
    """Return a transformation for `Dataset.apply`: interleave datasets in any order."""
    return tf.data.experimental.parallel_interleave(map_func, cycle_length, block_length,
                                                    sloppy=True)


def assert_element_shape(expected_shapes):
    """Return a transformation for `Dataset.apply`: check and set the shapes of elements."""

    def check(*components):
        element = components[0] if len(components) == 1 else components
        return tf.nest.map_structure(tf.ensure_shape, element, expected_shapes)

    return lambda dataset: dataset.map(check)
