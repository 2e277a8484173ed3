"""Writes the logits of a checkpoint, computed by tf.contrib.slim of TensorFlow 1.15.5.

    v115/bin/python tests/acceptance/read_with_1_15.py \\
        CHECKPOINT CLASSES DEPTH_MULTIPLIER MIN_DEPTH OUT.npy

Runs on Python 3.7, on two of the golden images.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, '..', 'golden'))

from make_golden import build
import numpy as np
import tensorflow as tf
from weights import images

if __name__ == '__main__':
    path, classes, multiplier, min_depth, out = sys.argv[1:]
    inputs, logits, _ = build(is_training=False, num_classes=int(classes),
                              depth_multiplier=float(multiplier), min_depth=int(min_depth))
    with tf.Session() as session:
        # Every variable of the network and the global step, by name; any missing is an error.
        step = tf.train.get_or_create_global_step()
        tf.train.Saver(tf.model_variables() + [step]).restore(session, path)
        np.save(out, session.run(logits, {inputs: images(2)}))
        print('TensorFlow %s read step %d' % (tf.__version__, session.run(step)))
