"""What the model library does to an image before it is classified."""

from __future__ import absolute_import, division, print_function

import tensorflow as tf


def preprocess_for_eval(image, height, width, central_fraction=0.875, scope=None):
    with tf.name_scope(scope, 'eval_image', [image, height, width]):
        if image.dtype != tf.float32:
            image = tf.image.convert_image_dtype(image, dtype=tf.float32)
        if central_fraction:
            image = tf.image.central_crop(image, central_fraction=central_fraction)
        if height and width:
            image = tf.expand_dims(image, 0)
            image = tf.image.resize_bilinear(image, [height, width], align_corners=False)
            image = tf.squeeze(image, [0])
        return tf.multiply(tf.subtract(image, 0.5), 2.0)


def preprocess_image(image, height, width, is_training=False):
    if is_training:
        raise ValueError('No script trains on distorted images: their chances differ.')
    return preprocess_for_eval(image, height, width)
