"""VGG's preprocessing as the model library had it, which is the ResNets' too."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

_MEANS = (123.68, 116.78, 103.94)  # of ImageNet's red, green and blue
_RESIZE_SIDE_MIN = 256
_RESIZE_SIDE_MAX = 512


def _resized(image, smallest_side):
    """An image whose shorter side is `smallest_side`."""
    height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(image)[:2]))
    scale = tf.cast(smallest_side, tf.float32) / tf.minimum(height, width)
    size = tf.cast(tf.rint(tf.stack([height * scale, width * scale])), tf.int32)
    resized = tf.image.resize_bilinear(tf.expand_dims(image, 0), size, align_corners=False)
    resized = tf.squeeze(resized, [0])
    resized.set_shape([None, None, 3])
    return resized


def _without_means(image, use_grayscale):
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    return image - tf.constant(_MEANS[:image.shape[-1]], tf.float32)


def preprocess_for_train(image, output_height, output_width, resize_side_min=_RESIZE_SIDE_MIN,
                         resize_side_max=_RESIZE_SIDE_MAX, use_grayscale=False):
    """A piece of an image resized by chance, by chance flipped, without ImageNet's mean.

    Args:
      image: `[height, width, 3]` in [0, 255].
      output_height: of the result.
      output_width: of the result.
      resize_side_min: the least length of the shorter side, before the crop.
      resize_side_max: the greatest.
      use_grayscale: makes the image grey, of one channel.
    """
    side = tf.random_uniform([], minval=resize_side_min, maxval=resize_side_max + 1,
                             dtype=tf.int32)
    image = tf.random_crop(_resized(image, side), [output_height, output_width, 3])
    image.set_shape([output_height, output_width, 3])
    return tf.image.random_flip_left_right(_without_means(image, use_grayscale))


def preprocess_for_eval(image, output_height, output_width, resize_side=_RESIZE_SIDE_MIN,
                        use_grayscale=False):
    """The middle of an image whose shorter side is `resize_side`, without ImageNet's mean."""
    image = _resized(image, resize_side)
    begin = (tf.shape(image)[:2] - [output_height, output_width]) // 2
    image = tf.slice(image, tf.concat([begin, [0]], 0), [output_height, output_width, 3])
    image.set_shape([output_height, output_width, 3])
    return _without_means(image, use_grayscale)


def preprocess_image(image, output_height, output_width, is_training=False,
                     resize_side_min=_RESIZE_SIDE_MIN, resize_side_max=_RESIZE_SIDE_MAX,
                     use_grayscale=False):
    """What `preprocess_for_train` or `preprocess_for_eval` makes of an image."""
    if is_training:
        return preprocess_for_train(image, output_height, output_width, resize_side_min,
                                    resize_side_max, use_grayscale)
    return preprocess_for_eval(image, output_height, output_width, resize_side_min, use_grayscale)
