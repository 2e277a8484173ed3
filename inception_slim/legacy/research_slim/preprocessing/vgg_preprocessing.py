"""VGG and ResNet preprocessing of research/slim."""

from __future__ import annotations

import tensorflow.compat.v1 as tf

_MEANS = (123.68, 116.78, 103.94)  # of red, green and blue in ImageNet
_RESIZE_SIDE_MIN = 256
_RESIZE_SIDE_MAX = 512


def _resize_shorter_side(image, length):
    """Resize an image so that its shorter side has the given length."""
    height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(image)[:2]))
    scale = tf.cast(length, tf.float32) / tf.minimum(height, width)
    size = tf.cast(tf.rint(tf.stack([height * scale, width * scale])), tf.int32)
    resized = tf.image.resize_bilinear(tf.expand_dims(image, 0), size, align_corners=False)
    resized = tf.squeeze(resized, [0])
    resized.set_shape([None, None, 3])
    return resized


def _subtract_means(image, use_grayscale):
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    return image - tf.constant(_MEANS[:image.shape[-1]], tf.float32)


def preprocess_for_train(image, output_height, output_width, resize_side_min=_RESIZE_SIDE_MIN,
                         resize_side_max=_RESIZE_SIDE_MAX, use_grayscale=False):
    """Resize, crop and flip an image at random, and subtract the channel means.

    Args:
      image: `[height, width, 3]` in [0, 255].
      output_height: height of the result.
      output_width: width of the result.
      resize_side_min: minimum length of the shorter side before the crop.
      resize_side_max: maximum length of the shorter side before the crop.
      use_grayscale: whether to convert to one gray channel.
    """
    side = tf.random_uniform([], minval=resize_side_min, maxval=resize_side_max + 1,
                             dtype=tf.int32)
    image = tf.random_crop(_resize_shorter_side(image, side), [output_height, output_width, 3])
    image.set_shape([output_height, output_width, 3])
    return tf.image.random_flip_left_right(_subtract_means(image, use_grayscale))


def preprocess_for_eval(image, output_height, output_width, resize_side=_RESIZE_SIDE_MIN,
                        use_grayscale=False):
    """Resize the shorter side to `resize_side`, crop centrally and subtract the channel means."""
    image = _resize_shorter_side(image, resize_side)
    begin = (tf.shape(image)[:2] - [output_height, output_width]) // 2
    image = tf.slice(image, tf.concat([begin, [0]], 0), [output_height, output_width, 3])
    image.set_shape([output_height, output_width, 3])
    return _subtract_means(image, use_grayscale)


def preprocess_image(image, output_height, output_width, is_training=False,
                     resize_side_min=_RESIZE_SIDE_MIN, resize_side_max=_RESIZE_SIDE_MAX,
                     use_grayscale=False):
    """Call `preprocess_for_train` or `preprocess_for_eval`."""
    if is_training:
        return preprocess_for_train(image, output_height, output_width, resize_side_min,
                                    resize_side_max, use_grayscale)
    return preprocess_for_eval(image, output_height, output_width, resize_side_min, use_grayscale)
