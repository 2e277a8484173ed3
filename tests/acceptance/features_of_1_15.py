"""Computes features with TensorFlow 1.15.5, as the evaluator of ADM takes them from a graph.

    v115/bin/python tests/acceptance/features_of_1_15.py GRAPH.pb IMAGES.npz FEATURES.npz

Runs on Python 3.7. The images are `arr_0`, uint8; the features of the pooling layer are written as
`features`, the spatial ones as `spatial`, and the weights of the classifier as `weights`.
"""

import sys

import numpy as np
import tensorflow as tf

BATCH, CHANNELS = 64, 7  # images in a run; channels of the spatial features


def main():
    graph_path, images_path, output = sys.argv[1:]
    definition = tf.GraphDef()
    with open(graph_path, 'rb') as file:
        definition.ParseFromString(file.read())
    images = np.load(images_path)['arr_0']
    inputs = tf.placeholder(tf.float32, (None, None, None, 3))
    tensors = tf.import_graph_def(
        definition, {'ResizeBilinear:0': tf.image.resize_bilinear(inputs, (299, 299))},
        ['pool_3:0', 'mixed_6/conv:0', 'softmax/weights:0'], name='')
    features, spatial = [], []
    with tf.Session() as session:
        for start in range(0, len(images), BATCH):
            pooled, grid = session.run(tensors[:2], {inputs: images[start:start + BATCH]})
            features.append(pooled.reshape(len(pooled), -1))
            spatial.append(grid[..., :CHANNELS].reshape(len(grid), -1))
        weights = session.run(tensors[2])
    np.savez(output, features=np.concatenate(features), spatial=np.concatenate(spatial),
             weights=weights)


if __name__ == '__main__':
    main()
