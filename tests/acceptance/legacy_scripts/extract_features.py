"""Writes the activations of some layers of Inception V3 for a folder of images, as .npy files.

  python extract_features.py --layers=Mixed_5d,Mixed_6e,PreLogits,Logits --out=features
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import time

import numpy as np
import tensorflow as tf
from tensorflow.contrib.framework.python.framework import checkpoint_utils
from tensorflow.python.platform import gfile

from nets import nets_factory
from preprocessing import preprocessing_factory

slim = tf.contrib.slim


class FeatureExtractor(object):

  def __init__(self, network_name, checkpoint_path, batch_size, num_classes, image_size,
               preproc_threads=1):
    self._batch_size, self._image_size = batch_size, image_size
    self._global_step = tf.train.get_or_create_global_step()
    network_fn = nets_factory.get_network_fn(network_name, num_classes=num_classes,
                                             is_training=False)
    self._preprocess = preprocessing_factory.get_preprocessing(network_name, is_training=False)
    self._image_file = tf.placeholder(tf.string, name='filename')
    image = tf.image.decode_image(tf.read_file(self._image_file), channels=3)
    image.set_shape([None, None, 3])
    self._image = self._preprocess(image, image_size, image_size)
    self._batch = tf.placeholder(tf.float32, [None, image_size, image_size, 3])
    _, self.endpoints = network_fn(self._batch, depth_multiplier=0.05, min_depth=4)
    self._sess = tf.Session()
    self._sess.run(tf.global_variables_initializer())
    saver = tf.train.Saver(slim.get_model_variables())
    saver.restore(self._sess, checkpoint_path)

  def layer_names(self):
    return self.endpoints.keys()

  def feed(self, files, layer_names):
    outputs = dict((name, []) for name in layer_names)
    for start in range(0, len(files), self._batch_size):
      batch = [self._sess.run(self._image, {self._image_file: each})
               for each in files[start:start + self._batch_size]]
      found = self._sess.run([self.endpoints[name] for name in layer_names],
                             {self._batch: np.stack(batch)})
      for name, value in zip(layer_names, found):
        outputs[name].append(value)
    return dict((name, np.concatenate(parts)) for name, parts in outputs.items())


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description='TensorFlow feature extraction')
  parser.add_argument('--checkpoint', default='data/inception_v3.ckpt')
  parser.add_argument('--image_path', default='data/images')
  parser.add_argument('--layers', default='Conv2d_1a_3x3,Mixed_5d,Mixed_6e,PreLogits,Logits')
  parser.add_argument('--out', default='features')
  parser.add_argument('--batch_size', type=int, default=3)
  args = parser.parse_args()

  weights = checkpoint_utils.load_variable(args.checkpoint,
                                           'InceptionV3/Logits/Conv2d_1c_1x1/weights')
  print('%d variables in the checkpoint' % len(checkpoint_utils.list_variables(args.checkpoint)))
  extractor = FeatureExtractor('inception_v3', args.checkpoint, args.batch_size,
                               weights.shape[-1], 149)
  print(' '.join(sorted(extractor.layer_names())))
  if not gfile.Exists(args.out):
    gfile.MakeDirs(args.out)
  files = sorted(gfile.Glob(os.path.join(args.image_path, '*.jpg')))
  began = time.time()
  features = extractor.feed(files, args.layers.split(','))
  for name, value in sorted(features.items()):
    np.save(os.path.join(args.out, name + '.npy'), value)
  assert time.time() - began < 600
  for name in sorted(os.listdir(args.out)):
    value = np.load(os.path.join(args.out, name))
    print('%-20s %-18s %s mean %.6f, deviation %.6f, of the last %.6f' % (
        name, value.shape, value.dtype, value.mean(), value.std(), value[-1].mean()))
