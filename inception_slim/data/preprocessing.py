"""The Inception preprocessing of the TF-Slim model library: from a decoded image to [-1, 1].

Its steps and constants are those of `inception_preprocessing` in `research/slim/preprocessing`, on
TensorFlow 1's resize kernels. Randomness is stateless: a seed says all that is drawn.
"""

from __future__ import annotations

import tensorflow as tf

BRIGHTNESS = 32 / 255  # added, at most
SATURATION = (0.5, 1.5)  # factors
HUE = 0.2  # turned by, at most, of a full circle
CONTRAST = (0.5, 1.5)  # factors
AREA = (0.05, 1.0)  # of the image that a training crop covers
ASPECT = (3 / 4, 4 / 3)  # width by height of a training crop

# The distortions do not commute, so that each order gives other colours.
_ORDERS = (('brightness', 'saturation', 'hue', 'contrast'),
           ('saturation', 'brightness', 'contrast', 'hue'),
           ('contrast', 'hue', 'brightness', 'saturation'),
           ('hue', 'saturation', 'contrast', 'brightness'))
_METHODS = (tf.image.ResizeMethod.BILINEAR, tf.image.ResizeMethod.NEAREST_NEIGHBOR,
            tf.image.ResizeMethod.BICUBIC, tf.image.ResizeMethod.AREA)


def for_evaluation(image: tf.Tensor, image_size: int = 299,
                   central_fraction: float | None = 0.875) -> tf.Tensor:
    """What evaluation shows the network: the middle of an image, resized.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.
      central_fraction: side of the crop, of that of the image, in (0, 1]; None crops nothing.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].

    Raises:
      ValueError: an argument is out of its range.

    Example:
      >>> import tensorflow.compat.v1 as tf
      >>> from inception_slim.data import preprocessing
      >>> with tf.Graph().as_default():
      ...     image = tf.placeholder(tf.uint8, (None, None, 3))
      ...     print(preprocessing.for_evaluation(image, 299).shape)
      (299, 299, 3)
    """
    image = _checked(image, image_size)
    if central_fraction is not None:
        if not 0 < central_fraction <= 1:
            raise ValueError(f'central_fraction must be in (0, 1], but is {central_fraction}.')
        image = tf.image.central_crop(image, central_fraction)
    # The op itself, as TensorFlow 1 called it; pixels are points at their corners.
    image = tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=[image_size, image_size],
                                      align_corners=False, half_pixel_centers=False)[0]
    return (image - 0.5) * 2


def resize_tf1(image: tf.Tensor, image_size: int = 299) -> tf.Tensor:
    """The whole image, resized as FID's first code did; see `for_evaluation`.

    Source: https://arxiv.org/abs/1706.08500, with the graph of December 2015.
    """
    return for_evaluation(image, image_size, central_fraction=None)


def resize_antialiased(image: tf.Tensor, image_size: int = 299) -> tf.Tensor:
    """The whole image, resized without aliasing, by a cubic filter as wide as what it shrinks.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].

    Source: https://arxiv.org/abs/2104.11222.
    """
    image = _checked(image, image_size)
    image = tf.image.resize(image, [image_size, image_size], 'bicubic', antialias=True)
    return (tf.clip_by_value(image, 0.0, 1.0) - 0.5) * 2


def for_training(image: tf.Tensor, image_size: int = 299,
                 seed: int | tf.Tensor | None = None) -> tf.Tensor:
    """What training shows the network: a distorted piece of an image, by chance flipped.

    A crop of 5 % to 100 % of the area and an aspect of 3/4 to 4/3, resized by one of four methods;
    a flip; brightness, saturation, hue and contrast changed in one of four orders.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.
      seed: the same seed distorts the same way: an int, or two of them as a tensor `[2]`. None
        distorts differently each time.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].

    Raises:
      ValueError: an argument is out of its range.
    """
    image = _checked(image, image_size)
    crop, method, flip, order, colours = tf.unstack(
        tf.random.experimental.stateless_split(_pair(seed), 5))
    # The whole image is the object, of which the crop must cover a tenth.
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image), tf.constant([[[0, 0, 1, 1]]], tf.float32), crop, min_object_covered=0.1,
        aspect_ratio_range=ASPECT, area_range=AREA, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    image = tf.slice(image, begin, size)
    resized = [lambda method=method: tf.compat.v1.image.resize_images(
        image, [image_size, image_size], method) for method in _METHODS]
    image = tf.switch_case(_choice(method, len(_METHODS)), resized)
    image.set_shape([image_size, image_size, 3])
    image = tf.image.stateless_random_flip_left_right(image, flip)
    distorted = [lambda names=names: _distorted(image, names, colours) for names in _ORDERS]
    image = tf.switch_case(_choice(order, len(_ORDERS)), distorted)
    return (tf.clip_by_value(image, 0.0, 1.0) - 0.5) * 2


def _distorted(image: tf.Tensor, names: tuple[str, ...], seed: tf.Tensor) -> tf.Tensor:
    """Colours changed in the order of the names; may leave [0, 1]."""
    distortions = {
        'brightness': lambda image, seed: tf.image.stateless_random_brightness(
            image, BRIGHTNESS, seed),
        'saturation': lambda image, seed: tf.image.stateless_random_saturation(
            image, *SATURATION, seed),
        'hue': lambda image, seed: tf.image.stateless_random_hue(image, HUE, seed),
        'contrast': lambda image, seed: tf.image.stateless_random_contrast(image, *CONTRAST, seed),
    }
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(names)))
    for name, each in zip(names, seeds):
        image = distortions[name](image, each)
    return image


def _checked(image: tf.Tensor, image_size: int) -> tf.Tensor:
    if image_size < 1:
        raise ValueError(f'image_size must be at least 1, but is {image_size}.')
    image = tf.convert_to_tensor(image)
    if image.shape.rank is not None and (
            image.shape.rank != 3 or image.shape[-1] not in (None, 3)):
        raise ValueError(f'image must be [height, width, 3], but is {image.shape}; give one image, '
                         'in colour.')
    return tf.image.convert_image_dtype(image, tf.float32)


def _pair(seed: int | tf.Tensor | None) -> tf.Tensor:
    """A seed as the two numbers that stateless ops want."""
    if seed is None:
        return tf.random.uniform([2], maxval=2**62, dtype=tf.int64)
    given = tf.cast(tf.convert_to_tensor(seed), tf.int64)
    return tf.stack([given, tf.zeros_like(given)]) if given.shape.rank == 0 else given


def _choice(seed: tf.Tensor, count: int) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed, maxval=count, dtype=tf.int32)
