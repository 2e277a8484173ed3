"""`tf.contrib.image`: rotate, translate and warp images by projective transforms.

A transform is a vector of eight numbers: a0, a1, a2, b0, b1, b2, c0 and c1. It maps an output
point (x, y) to the input point ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with
k = c0 x + c1 y + 1.
"""

from __future__ import annotations

import tensorflow.compat.v1 as tf

__all__ = ['angles_to_projective_transforms', 'compose_transforms',
           'flat_transforms_to_matrices', 'matrices_to_flat_transforms', 'rotate', 'transform',
           'translate', 'translations_to_projective_transforms']
_DTYPES = (tf.uint8, tf.int32, tf.int64, tf.float16, tf.float32, tf.float64)


def rotate(images, angles, interpolation: str = 'NEAREST', name: str | None = None) -> tf.Tensor:
    """Rotate images counterclockwise about their center; points outside the input are 0.

    Args:
      images: `[batch, height, width, channels]`, `[height, width, channels]` or `[height, width]`.
      angles: in radians; a scalar, or `[batch]`.
      interpolation: 'NEAREST' or 'BILINEAR'.
      name: name scope.
    """
    with tf.name_scope(name, 'rotate'):
        images = tf.convert_to_tensor(images)
        shape = tf.shape(_to_batch(images))
        height, width = (tf.cast(shape[axis], tf.float32)[None] for axis in (1, 2))
        return transform(images, angles_to_projective_transforms(angles, height, width),
                         interpolation=interpolation)


def translate(images, translations, interpolation: str = 'NEAREST',
              name: str | None = None) -> tf.Tensor:
    """Translate images by [dx, dy]; points outside the input are 0.

    Args:
      images: as in `rotate`.
      translations: `[2]` or `[batch, 2]`, in pixels.
      interpolation: 'NEAREST' or 'BILINEAR'.
      name: name scope.
    """
    with tf.name_scope(name, 'translate'):
        return transform(images, translations_to_projective_transforms(translations),
                         interpolation=interpolation)


def angles_to_projective_transforms(angles, image_height, image_width,
                                    name: str | None = None) -> tf.Tensor:
    """Return the transforms `[batch, 8]` that rotate images about their center."""
    with tf.name_scope(name, 'angles_to_projective_transforms'):
        angles = tf.convert_to_tensor(angles, tf.float32)
        if angles.shape.rank not in (0, 1):
            raise TypeError('Angles should have rank 0 or 1.')
        angles = tf.reshape(angles, [-1])
        cos, sin = tf.cos(angles), tf.sin(angles)
        right, bottom = image_width - 1, image_height - 1
        x_offset = (right - (cos * right - sin * bottom)) / 2.0
        y_offset = (bottom - (sin * right + cos * bottom)) / 2.0
        zeros = tf.zeros_like(angles)
        return tf.stack([cos, -sin, x_offset, sin, cos, y_offset, zeros, zeros], axis=1)


def translations_to_projective_transforms(translations, name: str | None = None) -> tf.Tensor:
    """Return the transforms `[batch, 8]` that translate by [dx, dy]."""
    with tf.name_scope(name, 'translations_to_projective_transforms'):
        translations = tf.convert_to_tensor(translations, tf.float32)
        if translations.shape.rank not in (1, 2):
            raise TypeError('Translations should have rank 1 or 2.')
        dx, dy = tf.unstack(tf.reshape(translations, [-1, 2]), axis=1)
        ones, zeros = tf.ones_like(dx), tf.zeros_like(dx)
        return tf.stack([ones, zeros, -dx, zeros, ones, -dy, zeros, zeros], axis=1)


def transform(images, transforms, interpolation: str = 'NEAREST', output_shape=None,
              name: str | None = None) -> tf.Tensor:
    """Warp images by projective transforms.

    The gradient is defined for the images, not for the transforms.

    Args:
      images: as in `rotate`; uint8, int32, int64 or floating point.
      transforms: `[8]` or `[batch, 8]`.
      interpolation: 'NEAREST' or 'BILINEAR'.
      output_shape: `[height, width]` of the result; None for that of the images.
      name: name scope.
    """
    with tf.name_scope(name, 'transform'):
        images = tf.convert_to_tensor(images)
        if images.dtype.base_dtype not in _DTYPES:
            raise TypeError(f'Invalid dtype {images.dtype!r}.')
        transforms = tf.convert_to_tensor(transforms, tf.float32)
        if transforms.shape.rank not in (1, 2):
            raise TypeError('Transforms should have rank 1 or 2.')
        batch = _to_batch(images)
        if output_shape is None:
            output_shape = tf.shape(batch)[1:3]
        output_shape = tf.convert_to_tensor(output_shape, tf.int32)
        if not output_shape.shape.is_compatible_with([2]):
            raise ValueError('output_shape must be a 1-D Tensor of 2 elements: new_height, '
                             'new_width')
        output = tf.raw_ops.ImageProjectiveTransformV2(
            images=batch, transforms=tf.reshape(transforms, [-1, 8]), output_shape=output_shape,
            interpolation=interpolation.upper())
        if images.shape.rank == 2:
            return output[0, :, :, 0]
        return output[0] if images.shape.rank == 3 else output


def compose_transforms(*transforms) -> tf.Tensor:
    """Return the transform `[batch, 8]` equal to several transforms applied in this order."""
    if not transforms:
        raise AssertionError('transforms cannot be empty')
    with tf.name_scope('compose_transforms'):
        composed = flat_transforms_to_matrices(transforms[0])
        for other in transforms[1:]:
            composed = tf.matmul(composed, flat_transforms_to_matrices(other))
        return matrices_to_flat_transforms(composed)


def flat_transforms_to_matrices(transforms) -> tf.Tensor:
    """Convert transforms `[8]` or `[batch, 8]` to matrices `[batch, 3, 3]`."""
    with tf.name_scope('flat_transforms_to_matrices'):
        transforms = tf.convert_to_tensor(transforms)
        if transforms.shape.rank not in (1, 2):
            raise ValueError(f'Transforms should be 1D or 2D, got: {transforms}')
        transforms = tf.reshape(transforms, [-1, 8])
        ones = tf.ones([tf.shape(transforms)[0], 1])
        return tf.reshape(tf.concat([transforms, ones], axis=1), [-1, 3, 3])


def matrices_to_flat_transforms(transform_matrices) -> tf.Tensor:
    """Convert matrices `[3, 3]` or `[batch, 3, 3]` to transforms `[batch, 8]`."""
    with tf.name_scope('matrices_to_flat_transforms'):
        matrices = tf.convert_to_tensor(transform_matrices)
        if matrices.shape.rank not in (2, 3):
            raise ValueError(f'Matrices should be 2D or 3D, got: {matrices}')
        flat = tf.reshape(matrices, [-1, 9])
        return (flat / flat[:, 8:9])[:, :8]


def _to_batch(images: tf.Tensor) -> tf.Tensor:
    """Images of rank 2 to 4 as `[batch, height, width, channels]`."""
    if images.shape.rank is None:
        raise TypeError('image_or_images rank must be statically known')
    if images.shape.rank == 2:
        return images[None, :, :, None]
    if images.shape.rank == 3:
        return images[None]
    if images.shape.rank == 4:
        return images
    raise TypeError('Images should have rank between 2 and 4.')
