"""Writes the results of contrib_cases with TensorFlow 1.15.5's `tf.contrib` to contrib.npz.

    .venv-1.15/bin/python tests/golden/make_contrib.py
"""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

from contrib_cases import CASES
import numpy as np
import tensorflow as tf
import tensorflow.contrib.slim.nets  # noqa: F401  makes tf.contrib.slim.nets an attribute

tf.logging.set_verbosity(tf.logging.ERROR)
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    values = {}
    for case in CASES:
        with tf.Graph().as_default():
            for name, value in case(tf).items():
                values[case.__name__ + '/' + name] = np.asarray(value)
    np.savez_compressed(os.path.join(HERE, 'contrib.npz'), **values)


if __name__ == '__main__':
    main()
