"""The Inception preprocessing of the TF-Slim model library: from a decoded image to [-1, 1].

The steps and constants are those of `inception_preprocessing` in `research/slim/preprocessing`,
with TensorFlow 1's resize kernels. Randomness is stateless: it depends only on the seed.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

BRIGHTNESS = 32 / 255  # maximum change, added
SATURATION = (0.5, 1.5)  # factors
HUE = 0.2  # maximum rotation, as a fraction of the color circle
CONTRAST = (0.5, 1.5)  # factors
AREA = (0.05, 1.0)  # of a training crop, as a fraction of the image
ASPECT = (3 / 4, 4 / 3)  # width / height of a training crop

# The distortions do not commute: each order gives other colors.
_ORDERS = (('brightness', 'saturation', 'hue', 'contrast'),
           ('saturation', 'brightness', 'contrast', 'hue'),
           ('contrast', 'hue', 'brightness', 'saturation'),
           ('hue', 'saturation', 'contrast', 'brightness'))
_METHODS = (tf.image.ResizeMethod.BILINEAR, tf.image.ResizeMethod.NEAREST_NEIGHBOR,
            tf.image.ResizeMethod.BICUBIC, tf.image.ResizeMethod.AREA)


def for_evaluation(image: tf.Tensor, image_size: int = 299,
                   central_fraction: float | None = 0.875) -> tf.Tensor:
    """Crops the center of an image and resizes it, for evaluation.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.
      central_fraction: side of the crop as a fraction of the image's, in (0, 1]; None does not
        crop.

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
    image = _check_image(image, image_size)
    if central_fraction is not None:
        if not 0 < central_fraction <= 1:
            raise ValueError(f'central_fraction must be in (0, 1], but is {central_fraction}.')
        # Before the conversion, which takes four times the memory.
        image = tf.image.central_crop(image, central_fraction)
    # The op as TensorFlow 1 called it: pixels are points at their corners.
    return _resize_bilinear(image, lambda image: tf.raw_ops.ResizeBilinear(
        images=image[tf.newaxis], size=[image_size, image_size],
        align_corners=False, half_pixel_centers=False)[0])


def resize_tf1(image: tf.Tensor, image_size: int = 299) -> tf.Tensor:
    """Resizes an image without cropping, as the original code of FID; see `for_evaluation`.

    Source: https://arxiv.org/abs/1706.08500, with the network of December 2015.
    """
    return for_evaluation(image, image_size, central_fraction=None)


def resize_antialiased(image: tf.Tensor, image_size: int = 299) -> tf.Tensor:
    """Resizes an image without cropping, with an antialiased bicubic filter.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].

    Source: https://arxiv.org/abs/2104.11222.
    """
    image = _to_float(_check_image(image, image_size))
    image = tf.image.resize(image, [image_size, image_size], 'bicubic', antialias=True)
    return (tf.clip_by_value(image, 0.0, 1.0) - 0.5) * 2


def resize_half_pixel(image: tf.Tensor, image_size: int = 299) -> tf.Tensor:
    """Resizes an image without cropping, bilinearly between pixel centers, as pytorch-fid.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].
    """
    return _resize_bilinear(_check_image(image, image_size), lambda image: tf.image.resize(
        image, [image_size, image_size], 'bilinear'))


def prewhiten(images: tf.Tensor) -> tf.Tensor:
    """Subtracts the mean of each image and divides it by its standard deviation, as FaceNet does.

    Args:
      images: `[N, height, width, 3]` floating point in [-1, 1].

    Returns:
      Images of the same shape and dtype. The deviation, in [0, 255], is at least one over the
      square root of the number of values, so that an image of one color is not divided by 0.

    Source: the function of that name in FaceNet.
    """
    values = tf.cast(images, tf.float32)
    mean, variance = tf.nn.moments(values, [1, 2, 3], keepdims=True)
    lowest = min_deviation(images.shape[1:].num_elements())
    return tf.cast((values - mean) / tf.maximum(tf.sqrt(variance), lowest), images.dtype)


def min_deviation(size: int) -> float:
    """The smallest deviation by which `prewhiten` divides an image of `size` values in [-1, 1]."""
    return size ** -0.5 / 127.5


def for_training(image: tf.Tensor, image_size: int = 299,
                 seed: int | tf.Tensor | None = None) -> tf.Tensor:
    """Crops, resizes, flips and distorts an image at random, for training.

    The crop has 5 % to 100 % of the area and an aspect ratio of 3/4 to 4/3, and is resized by one
    of four methods and flipped at random; brightness, saturation, hue and contrast are changed in
    one of four orders.

    Args:
      image: `[height, width, 3]`, uint8 in [0, 255] or floating point in [0, 1].
      image_size: side of the result in pixels; at least 1.
      seed: an int, or a tensor `[2]` of ints; the same seed gives the same result. None gives
        another result each time.

    Returns:
      `[image_size, image_size, 3]` float32 in [-1, 1].

    Raises:
      ValueError: an argument is out of its range.
    """
    image = _check_image(image, image_size)
    crop, method, flip, order, colors = tf.unstack(
        tf.random.experimental.stateless_split(_seed_pair(seed), 5))
    # The bounding box is the whole image, of which the crop must cover a tenth.
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image), tf.constant([[[0, 0, 1, 1]]], tf.float32), crop, min_object_covered=0.1,
        aspect_ratio_range=ASPECT, area_range=AREA, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    image = _to_float(tf.slice(image, begin, size))
    resized = [lambda method=method: tf.compat.v1.image.resize_images(
        image, [image_size, image_size], method) for method in _METHODS]
    image = tf.switch_case(_random_index(method, len(_METHODS)), resized)
    image.set_shape([image_size, image_size, 3])
    image = tf.image.stateless_random_flip_left_right(image, flip)
    distorted = [lambda names=names: _distort_colors(image, names, colors) for names in _ORDERS]
    image = tf.switch_case(_random_index(order, len(_ORDERS)), distorted)
    return (tf.clip_by_value(image, 0.0, 1.0) - 0.5) * 2


def _distort_colors(image: tf.Tensor, names: tuple[str, ...], seed: tf.Tensor) -> tf.Tensor:
    """Changes the colors in the order of the names; the result may exceed [0, 1]."""
    distortions = {
        'brightness': lambda image, seed: tf.image.stateless_random_brightness(
            image, BRIGHTNESS, seed),
        'saturation': lambda image, seed: tf.image.stateless_random_saturation(
            image, *SATURATION, seed),
        'hue': lambda image, seed: tf.image.stateless_random_hue(image, HUE, seed),
        'contrast': lambda image, seed: tf.image.stateless_random_contrast(image, *CONTRAST, seed),
    }
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(names)))
    for name, distortion_seed in zip(names, seeds):
        image = distortions[name](image, distortion_seed)
    return image


def _check_image(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Checks the arguments; returns the image as a tensor."""
    if image_size < 1:
        raise ValueError(f'image_size must be at least 1, but is {image_size}.')
    image = tf.convert_to_tensor(image)
    if image.shape.rank is not None and (
            image.shape.rank != 3 or image.shape[-1] not in (None, 3)):
        raise ValueError(f'image must be [height, width, 3], but is {image.shape}; give one image, '
                         'with three channels.')
    return image


def _to_float(image: tf.Tensor) -> tf.Tensor:
    """Converts an image to float32 in [0, 1]."""
    return tf.image.convert_image_dtype(image, tf.float32)


def _resize_bilinear(image: tf.Tensor, resize: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Resizes an image bilinearly, to float32 in [-1, 1].

    The result is `(resize(_to_float(image)) - 0.5) * 2` to the last bit, since doubling is exact
    and may come first: integers are doubled by the multiplication that scales them.
    """
    if image.dtype.is_integer:
        return resize(tf.cast(image, tf.float32) * (2 / image.dtype.max)) - 1
    return (resize(_to_float(image)) - 0.5) * 2


def _seed_pair(seed: int | tf.Tensor | None) -> tf.Tensor:
    """Returns a seed as the two numbers that stateless ops take."""
    if seed is None:
        return tf.random.uniform([2], maxval=2**62, dtype=tf.int64)
    pair = tf.cast(tf.convert_to_tensor(seed), tf.int64)
    return tf.stack([pair, tf.zeros_like(pair)]) if pair.shape.rank == 0 else pair


def _random_index(seed: tf.Tensor, count: int) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed, maxval=count, dtype=tf.int32)
