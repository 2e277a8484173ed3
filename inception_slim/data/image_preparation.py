"""Prepares images faster than TensorFlow does, with the same results to the last bit.

TensorFlow turns and converts all pixels of an image before it resizes it. Of a large one that takes
longer than to decode it, and only a few are those between which resizing interpolates.
"""

from __future__ import annotations

from collections.abc import Callable

from inception_slim.data import preprocessing
from inception_slim.data.exif import REVERSED, TRANSPOSED, apply_orientation
import numpy as np
import tensorflow as tf

# Above so many times the pixels of the result an image is large; measured.
_LARGE = 10
# The functions that resize bilinearly: the fraction that they crop, and whether pixels are points
# at their centers, or at their corners.
_BILINEAR = {preprocessing.for_evaluation: (0.875, False),
             preprocessing.resize_tf1: (1.0, False),
             preprocessing.resize_half_pixel: (1.0, True)}


def pixels_of_large(image_size: int) -> int:
    """An image with more pixels is large, for results of `image_size` pixels a side."""
    return _LARGE * image_size ** 2


def prepare_upright(prepare: Callable[[tf.Tensor, int], tf.Tensor], image: tf.Tensor,
                    image_size: int, orientation: int | tf.Tensor = 1) -> tf.Tensor:
    """Turns a decoded image upright and prepares it.

    The graph calls Python for large images, so it cannot be exported.

    Args:
      prepare: crops, resizes and scales an image.
      image: `[height, width, 3]` uint8.
      image_size: side of the result in pixels.
      orientation: from `read_orientation`, a scalar.

    Returns:
      What `prepare(apply_orientation(image, orientation), image_size)` returns.
    """
    prepared, offset = prepare_with_offset(prepare, image, image_size, orientation)
    return prepared - offset if offset else prepared


def prepare_with_offset(prepare: Callable[[tf.Tensor, int], tf.Tensor], image: tf.Tensor,
                        image_size: int, orientation: int | tf.Tensor = 1
                        ) -> tuple[tf.Tensor, int]:
    """As `prepare_upright`, but leaves a subtraction to the caller, if that is the last step.

    NumPy can do it while it copies the image to its place; TensorFlow would share it among threads,
    which takes longer if all cores are busy.

    Returns:
      The image, and what is to be subtracted from it.
    """
    if prepare not in _BILINEAR:
        return prepare(apply_orientation(image, orientation), image_size), 0
    fraction, half_pixel_centers = _BILINEAR[prepare]

    def from_all() -> tf.Tensor:
        upright = apply_orientation(image, orientation)
        if fraction < 1:
            upright = tf.image.central_crop(upright, fraction)
        # The pixels times 2 / 255, in this thread: conversion and multiplication would be shared
        # among threads too.
        doubled = tf.raw_ops.Dequantize(input=tf.bitcast(upright, tf.quint8), min_range=0.0,
                                        max_range=2.0, mode='MIN_COMBINED')
        return tf.raw_ops.ResizeBilinear(
            images=doubled[tf.newaxis], size=[image_size, image_size], align_corners=False,
            half_pixel_centers=half_pixel_centers)[0]

    def from_few() -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(
            lambda image, orientation: resize_bilinear(image, image_size, orientation, fraction,
                                                       half_pixel_centers),
            [image, orientation], tf.float32), [image_size, image_size, 3])

    is_large = tf.size(image, out_type=tf.int64) > 3 * pixels_of_large(image_size)
    return tf.cond(is_large, from_few, from_all), 1


def resize_bilinear(image: np.ndarray, image_size: int, orientation: int, central_fraction: float,
                    half_pixel_centers: bool) -> np.ndarray:
    """Turns an image upright, crops its center and resizes it as `tf.raw_ops.ResizeBilinear` does.

    Args:
      image: `[height, width, 3]` uint8.
      image_size: side of the result in pixels.
      orientation: 1 to 8, as in EXIF.
      central_fraction: side of the crop as a fraction of the image's, in (0, 1].
      half_pixel_centers: whether pixels are points at their centers, or at their corners.

    Returns:
      `[image_size, image_size, 3]` float32 in [0, 2].
    """
    transposed = TRANSPOSED[orientation]
    upright_size = image.shape[1::-1] if transposed else image.shape[:2]
    positions, weights = [], []
    for length, is_reversed in zip(upright_size, REVERSED[orientation]):
        both, weight = _neighbors(length, image_size, central_fraction, half_pixel_centers)
        positions.append(length - 1 - both if is_reversed else both)
        weights.append(weight)
    rows, columns = reversed(positions) if transposed else positions
    # Rows first: each is contiguous in memory.
    pixels = np.take(np.take(image, rows, axis=0), columns, axis=1)
    # As scaling integers to [0, 1], to the last bit, since doubling is exact.
    values = np.multiply(pixels.reshape(len(pixels), -1), np.float32(2 / 255), dtype=np.float32)
    # First between the pixels that are side by side in the upright image.
    for weight, along_rows in ((weights[1], not transposed), (weights[0], transposed)):
        if along_rows:
            first, second = np.split(values, 2, axis=1)
            weight = np.repeat(weight, 3)
        else:
            first, second = np.split(values, 2)
            weight = weight[:, np.newaxis]
        values = second - first
        values *= weight
        values += first
    result = values.reshape(image_size, image_size, 3)
    return np.ascontiguousarray(result.transpose(1, 0, 2)) if transposed else result


def _neighbors(length: int, image_size: int, central_fraction: float,
               half_pixel_centers: bool) -> tuple[np.ndarray, np.ndarray]:
    """The pixels between which a resizing interpolates, along one side of an image.

    Returns:
      `[2 * image_size]`, for each pixel of the result the first of two pixels of the image, then
      for each the second; and the weights of the second, `[image_size]` float32.
    """
    begin = int((length - length * central_fraction) / 2)  # as `tf.image.central_crop`
    length -= 2 * begin
    scale = np.float32(length) / np.float32(image_size)
    position = np.arange(image_size, dtype=np.float32)
    if half_pixel_centers:
        half = np.float32(0.5)
        position = (position + half) * scale - half
    else:
        position *= scale
    before = np.floor(position)
    both = np.concatenate([before, np.ceil(position)]).astype(np.intp)
    return begin + np.clip(both, 0, length - 1), position - before
