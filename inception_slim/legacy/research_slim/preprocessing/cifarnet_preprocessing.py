"""CIFAR-10 preprocessing of research/slim."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

_PADDING = 4


def preprocess_for_train(image, output_height, output_width, padding=_PADDING,
                         add_image_summaries=True, use_grayscale=False):
    """Pad, crop, flip and distort an image at random, then standardize it.

    Args:
      image: `[height, width, 3]` in [0, 255].
      output_height: height of the result.
      output_width: width of the result.
      padding: pixels added to each side.
      add_image_summaries: whether to add image summaries.
      use_grayscale: whether to convert to one gray channel.
    """
    if add_image_summaries:
        tf.summary.image('image', tf.expand_dims(image, 0))
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    if padding > 0:
        image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    image = tf.random_crop(image, [output_height, output_width, 1 if use_grayscale else 3])
    image = tf.image.random_flip_left_right(image)
    if add_image_summaries:
        tf.summary.image('distorted_image', tf.expand_dims(image, 0))
    image = tf.image.random_brightness(image, max_delta=63)
    image = tf.image.random_contrast(image, lower=0.2, upper=1.8)
    return tf.image.per_image_standardization(image)


def preprocess_for_eval(image, output_height, output_width, add_image_summaries=True,
                        use_grayscale=False):
    """Crop or pad an image centrally, then standardize it."""
    if add_image_summaries:
        tf.summary.image('image', tf.expand_dims(image, 0))
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    image = tf.image.resize_image_with_crop_or_pad(image, output_width, output_height)
    if add_image_summaries:
        tf.summary.image('resized_image', tf.expand_dims(image, 0))
    return tf.image.per_image_standardization(image)


def preprocess_image(image, output_height, output_width, is_training=False,
                     add_image_summaries=True, use_grayscale=False):
    """Call `preprocess_for_train` or `preprocess_for_eval`."""
    if is_training:
        return preprocess_for_train(image, output_height, output_width,
                                    add_image_summaries=add_image_summaries,
                                    use_grayscale=use_grayscale)
    return preprocess_for_eval(image, output_height, output_width, add_image_summaries,
                               use_grayscale)
