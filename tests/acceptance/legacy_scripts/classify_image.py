"""Classifies the JPEG files of a folder with a fine-tuned Inception V3.

Usage:
  python classify_image.py --image_dir=data/images --checkpoint_path=data/inception_v3.ckpt
"""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.nets import inception

slim = tf.contrib.slim

tf.app.flags.DEFINE_string('checkpoint_path', 'data/inception_v3.ckpt',
                           'Path of the fine-tuned checkpoint.')
tf.app.flags.DEFINE_string('image_dir', 'data/images', 'Where the JPEG files are.')
tf.app.flags.DEFINE_string('labels_file', 'data/labels.txt', 'One "number:name" a line.')
tf.app.flags.DEFINE_integer('image_size', 149, 'Side of the images given to the network.')
tf.app.flags.DEFINE_float('depth_multiplier', 0.05, 'Of the network.')
tf.app.flags.DEFINE_boolean('probabilities', True, 'Whether to print them.')

FLAGS = tf.app.flags.FLAGS


def load_labels(path):
  labels = {}
  for line in tf.gfile.GFile(path).readlines():
    number, name = line.strip().split(':')
    labels[int(number)] = name
  return labels


def preprocess(image_data):
  image = tf.image.decode_jpeg(image_data, channels=3)
  image = tf.image.convert_image_dtype(image, dtype=tf.float32)
  image = tf.image.central_crop(image, central_fraction=0.875)
  image = tf.expand_dims(image, 0)
  image = tf.image.resize_bilinear(image, [FLAGS.image_size, FLAGS.image_size],
                                   align_corners=False)
  image = tf.subtract(image, 0.5)
  return tf.multiply(image, 2.0)


def main(unused_argv):
  tf.logging.set_verbosity(tf.logging.INFO)
  labels = load_labels(FLAGS.labels_file)
  print('arguments left: %s' % unused_argv[1:])
  with tf.Graph().as_default():
    image_data = tf.placeholder(tf.string)
    with slim.arg_scope(inception.inception_v3_arg_scope()):
      logits, end_points = inception.inception_v3(
          preprocess(image_data), num_classes=len(labels), is_training=False,
          depth_multiplier=FLAGS.depth_multiplier, min_depth=4)
    init_fn = slim.assign_from_checkpoint_fn(
        FLAGS.checkpoint_path, slim.get_model_variables('InceptionV3'))
    print('%d variables, %d of them trained' % (
        len(tf.global_variables()), len(tf.trainable_variables())))
    with tf.Session() as sess:
      init_fn(sess)
      for filename in sorted(tf.gfile.ListDirectory(FLAGS.image_dir)):
        data = tf.gfile.FastGFile(os.path.join(FLAGS.image_dir, filename), 'rb').read()
        probabilities, scores = sess.run([end_points['Predictions'], logits],
                                         feed_dict={image_data: data})
        probabilities = np.squeeze(probabilities)
        print('%s: logits sum to %.6f' % (filename, np.sum(np.abs(scores))))
        for i in probabilities.argsort()[::-1][:3]:
          if FLAGS.probabilities:
            print('  %-10s %.5f' % (labels[i], probabilities[i]))
  sys.exit(3)


if __name__ == '__main__':
  tf.app.run()
