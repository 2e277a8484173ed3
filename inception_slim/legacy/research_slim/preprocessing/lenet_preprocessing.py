"""LeNet's preprocessing as the model library had it."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def preprocess_image(image, output_height, output_width, is_training=False, use_grayscale=False):
    """An image `[height, width, channels]` in [0, 255], cropped or padded; in [-1, 1)."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    image = tf.image.resize_image_with_crop_or_pad(image, output_width, output_height)
    return tf.div(tf.subtract(image, 128.0), 128.0)
