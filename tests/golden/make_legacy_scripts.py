"""Writes the data for tests/acceptance/legacy_scripts to legacy_scripts/ beside this file.

Run it like make_golden.py, with a Python 3.7 that has TensorFlow 1.15.5 (a minute):

    v115/bin/python tests/golden/make_legacy_scripts.py

Drawings of five patterns, as JPEG files and as TFRecords of the TF-Slim model library's format; a
narrow Inception V3 of `tf.contrib.slim` that 1.15.5 trained to tell them apart, as a checkpoint and
as a graph frozen by 1.15.5's own freeze_graph.
"""

import os
import shutil
import sys
import tempfile

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.python.slim.nets import inception_v3
from tensorflow.python.tools import freeze_graph

slim = tf.contrib.slim
tf.logging.set_verbosity(tf.logging.ERROR)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'legacy_scripts')
LABELS = ('rows', 'columns', 'diagonals', 'checks', 'rings')
NARROW = {'num_classes': len(LABELS), 'depth_multiplier': 0.05, 'min_depth': 4}
SIDE, STEPS, BATCH = 149, 300, 10
# (split, its shards, images in each)
SPLITS = (('train', 2, 20), ('validation', 1, 25))


def drawing(label, random):
    """One pattern in two colours, `[height, width, 3]` uint8, with a little noise."""
    height, width = random.randint(60, 90, 2)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    wave = 2 * np.pi / random.uniform(9, 16)
    phase = random.uniform(0, 2 * np.pi)
    radius = np.hypot(rows - height * random.uniform(0.3, 0.7),
                      columns - width * random.uniform(0.3, 0.7))
    value = {
        'rows': lambda: np.sin(rows * wave + phase),
        'columns': lambda: np.sin(columns * wave + phase),
        'diagonals': lambda: np.sin((rows + columns) * wave / np.sqrt(2) + phase),
        'checks': lambda: np.sin(rows * wave + phase) * np.sin(columns * wave + phase) * 1.5,
        'rings': lambda: np.sin(radius * wave + phase),
    }[label]()
    dark, light = random.uniform(0, 110, 3), random.uniform(145, 255, 3)
    picture = dark + (light - dark) * (0.5 + 0.5 * np.clip(value, -1, 1))[..., np.newaxis]
    return np.clip(picture + random.randn(height, width, 3) * 6, 0, 255).astype(np.uint8)


def example(encoded, image, label):
    def integers(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    return tf.train.Example(features=tf.train.Features(feature={
        'image/encoded': text(encoded), 'image/format': text(b'jpg'),
        'image/class/label': integers(label),
        'image/height': integers(image.shape[0]), 'image/width': integers(image.shape[1]),
    })).SerializeToString()


def make_images():
    """Writes the records of both splits, and the second as a folder; returns the first split."""
    random = np.random.RandomState(17)
    kept = []
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (None, None, 3))
        encode = tf.image.encode_jpeg(pixels, quality=85)
        os.makedirs(os.path.join(FOLDER, 'images'))
        for split, shards, size in SPLITS:
            for shard in range(shards):
                path = 'patterns_%s_%05d-of-%05d.tfrecord' % (split, shard, shards)
                with tf.python_io.TFRecordWriter(os.path.join(FOLDER, path)) as writer:
                    for i in range(size):
                        label = int(random.randint(len(LABELS)))
                        image = drawing(LABELS[label], random)
                        encoded = session.run(encode, {pixels: image})
                        writer.write(example(encoded, image, label))
                        if split == 'train':
                            kept.append((image, label))
                        elif i < 8:
                            name = '%s_%02d.jpg' % (LABELS[label], i)
                            with open(os.path.join(FOLDER, 'images', name), 'wb') as file:
                                file.write(encoded)
    with open(os.path.join(FOLDER, 'labels.txt'), 'w') as file:
        file.writelines('%d:%s\n' % each for each in enumerate(LABELS))
    return kept


def build(images, is_training):
    # A decay for averages that converge within the few steps of this training.
    with slim.arg_scope(inception_v3.inception_v3_arg_scope(batch_norm_decay=0.9)):
        return inception_v3.inception_v3(images, is_training=is_training, **NARROW)


def as_batch(pictures):
    """Images as input of the network, `[batch, SIDE, SIDE, 3]` float32 in [-1, 1]."""
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.float32, (None, None, 3))
        resized = tf.image.resize_images(pixels, (SIDE, SIDE))
        return np.stack([session.run(resized, {pixels: each}) for each in pictures]) / 127.5 - 1


def train(kept):
    images, labels = as_batch([image for image, _ in kept]), np.array([label for _, label in kept])
    chance = np.random.RandomState(19)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(23)
        inputs = tf.placeholder(tf.float32, (BATCH, SIDE, SIDE, 3))
        wanted = tf.placeholder(tf.int64, (BATCH,))
        logits, end_points = build(inputs, is_training=True)
        tf.losses.sparse_softmax_cross_entropy(wanted, logits)
        tf.losses.sparse_softmax_cross_entropy(wanted, end_points['AuxLogits'], weights=0.4)
        step = slim.learning.create_train_op(tf.losses.get_total_loss(),
                                             tf.train.AdamOptimizer(0.003))
        session.run(tf.global_variables_initializer())
        for i in range(STEPS):
            chosen = chance.permutation(len(images))[:BATCH]
            loss = session.run(step, {inputs: images[chosen], wanted: labels[chosen]})
            if not i % 50:
                print('step %d: loss %.3f' % (i, loss))
        saved = slim.get_model_variables() + [tf.train.get_global_step()]
        tf.train.Saver(saved).save(session, os.path.join(FOLDER, 'inception_v3.ckpt'),
                                   write_meta_graph=False)
    os.remove(os.path.join(FOLDER, 'checkpoint'))  # it contains paths of this machine


def freeze():
    scratch = tempfile.mkdtemp()
    with tf.Graph().as_default() as graph:
        build(tf.placeholder(tf.float32, (None, SIDE, SIDE, 3), 'input'), is_training=False)
        tf.train.write_graph(graph, scratch, 'graph.pbtxt')
    freeze_graph.freeze_graph(
        input_graph=os.path.join(scratch, 'graph.pbtxt'), input_saver='', input_binary=False,
        input_checkpoint=os.path.join(FOLDER, 'inception_v3.ckpt'),
        output_node_names='InceptionV3/Predictions/Reshape_1', restore_op_name='',
        filename_tensor_name='', output_graph=os.path.join(FOLDER, 'frozen_inception_v3.pb'),
        clear_devices=True, initializer_nodes='')
    shutil.rmtree(scratch)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    train(make_images())
    freeze()
    return 0


if __name__ == '__main__':
    sys.exit(main())
