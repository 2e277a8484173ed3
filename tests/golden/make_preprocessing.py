"""Writes the images that TensorFlow 1.15.5 preprocesses for evaluation to preprocessing.npz.

Run it like make_golden.py. The steps are those that research/slim documents for evaluation, here
made of 1.15.5's ops.
"""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
from weights import drawings

tf.logging.set_verbosity(tf.logging.ERROR)
HERE = os.path.dirname(os.path.abspath(__file__))


def evaluation(image, side, fraction):
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.image.central_crop(image, fraction)
    image = tf.image.resize_bilinear(tf.expand_dims(image, 0), [side, side], align_corners=False)
    return (tf.squeeze(image, [0]) - 0.5) * 2.0


def thumbnail(values):
    """Every thirteenth pixel, to keep the file small."""
    return values[3::13, 3::13]


def main():
    values = {}
    with tf.Graph().as_default(), tf.Session() as session:
        for name, drawing in drawings().items():
            jpeg = session.run(tf.image.encode_jpeg(drawing, quality=90))
            decoded = session.run(tf.image.decode_image(jpeg, channels=3))
            values[name + '_jpeg'] = np.frombuffer(jpeg, np.uint8)
            values[name + '_decoded_mean'] = decoded.mean(axis=1)
            for side in (299, 224):
                for known in (True, False):
                    image = tf.constant(drawing) if known else tf.placeholder(
                        tf.uint8, (None, None, 3))
                    result = session.run(evaluation(image, side, 0.875),
                                         {} if known else {image: drawing})
                    key = '{}_{}_{}'.format(name, side, 'static' if known else 'dynamic')
                    values[key] = thumbnail(result)
            result = session.run(evaluation(tf.constant(decoded), 299, 0.875))
            values[name + '_from_jpeg'] = thumbnail(result)
    np.savez_compressed(os.path.join(HERE, 'preprocessing.npz'), **values)


if __name__ == '__main__':
    main()
