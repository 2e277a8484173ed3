# Random affine augmentation of an image batch with tf.contrib.image, and its gradient
from __future__ import print_function

import math

import numpy as np
import tensorflow as tf
from tensorflow.contrib.image import rotate as tf_rotate

rng = np.random.RandomState(3)
batch = rng.rand(4, 40, 60, 3).astype(np.float32)

images = tf.placeholder(tf.float32, [None, 40, 60, 3])
angles = np.array([0.1, -0.5, math.pi / 2, 2.0], np.float32)
weights = tf.constant(np.linspace(-1, 1, 4 * 40 * 60 * 3).reshape(4, 40, 60, 3), tf.float32)


def matrix(a, b, c, d, e, f, g=0.0, h=0.0):
    return [a, b, c, d, e, f, g, h]


projective = tf.contrib.image.compose_transforms(
    tf.contrib.image.angles_to_projective_transforms(angles, 40, 60),
    tf.contrib.image.translations_to_projective_transforms([[3.5, -2.0]] * 4))
flat = tf.contrib.image.transform(
    images, matrix(1.1, 0.2, -3.0, -0.1, 0.9, 2.0, 0.001, 0.002), interpolation='BILINEAR')
warps = [
    ('rotate', tf.contrib.image.rotate(images, angles)),
    ('rotate bilinear', tf_rotate(images, angles, interpolation='BILINEAR')),
    ('rotate one angle', tf.contrib.image.rotate(images[0], math.radians(30), 'BILINEAR')),
    ('translate', tf.contrib.image.translate(images, [[5.0, -7.0]] * 4)),
    ('translate bilinear', tf.contrib.image.translate(
        images, [[0.5, 1.25], [-3.3, 2.0], [10.0, 10.0], [-0.1, 0.0]], interpolation='BILINEAR')),
    ('perspective', flat),
    ('composed', tf.contrib.image.transform(images, projective)),
    ('uint8', tf.contrib.image.rotate(tf.cast(images * 255, tf.uint8), angles)),
    ('matrices', tf.contrib.image.angles_to_projective_transforms(angles, 40.0, 60.0)),
    ('compose', projective),
]
# What defenses by transformation differentiate through.
for name, warped in list(warps):
    if warped.shape.ndims == 4 and warped.dtype == tf.float32:
        gradient = tf.gradients(tf.reduce_sum(warped * weights), images)[0]
        warps.append(('gradient of ' + name, gradient))

with tf.Session() as sess:
    for name, tensor in warps:
        value = sess.run(tensor, {images: batch}).astype(np.float64)
        print('%-28s %-16s sum %12.5f, weighted %12.5f, corner %.6f' % (
            name, value.shape, value.sum(),
            (value * np.cos(np.arange(value.size)).reshape(value.shape)).sum(), value.flat[0]))
