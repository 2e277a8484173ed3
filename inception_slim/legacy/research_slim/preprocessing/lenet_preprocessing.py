"""LeNet preprocessing of research/slim."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def preprocess_image(image, output_height, output_width, is_training=False, use_grayscale=False):
    """Crop or pad an image `[height, width, channels]` in [0, 255], and scale it to [-1, 1)."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    image = tf.image.resize_image_with_crop_or_pad(image, output_width, output_height)
    return tf.div(tf.subtract(image, 128.0), 128.0)
