"""Writes full-width checkpoints and two images for the scripts that attack whole networks.

    v115/bin/python tests/acceptance/wide_weights.py FOLDER

Runs on Python 3.7 with TensorFlow 1.15.5. Names and shapes come from tests/golden; the values of
each variable are random, seeded by its name.
"""

import gzip
import json
import os
import sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'golden')
sys.path.append(GOLDEN)

import numpy as np
from PIL import Image
import tensorflow as tf
from weights import patchwork, weights_for

CLASSES = 1001


def write_checkpoint(name, folder):
    with gzip.open(os.path.join(GOLDEN, name + '.json.gz'), 'rt') as file:
        described = json.load(file)['inference']['variables']
    with tf.Graph().as_default(), tf.Session() as session:
        variables, values = [], {}
        for path, shape, *_ in described:
            # The golden Inception V3 has 1000 classes.
            shape = [CLASSES if side == 1000 else side for side in shape]
            variable = tf.Variable(tf.placeholder(tf.float32, shape), name=path)
            values[variable.initializer.inputs[1]] = weights_for(path, shape)
            variables.append(variable)
        session.run([variable.initializer for variable in variables], values)
        tf.train.Saver(variables).save(session, os.path.join(folder, name + '.ckpt'),
                                  write_meta_graph=False, write_state=False)


def main():
    folder = sys.argv[1]
    os.makedirs(os.path.join(folder, 'images'))
    for i, image in enumerate(patchwork(2, 299)):
        pixels = np.round((image + 1) * 127.5).astype(np.uint8)
        Image.fromarray(pixels).save(os.path.join(folder, 'images', '%d.png' % i))
    for name in ('inception_v3', 'inception_v4', 'inception_resnet_v2'):
        write_checkpoint(name, folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
