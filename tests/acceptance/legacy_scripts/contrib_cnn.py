# -*- coding: utf-8 -*-
"""A small network of tf.contrib.layers, with tf.contrib's framework, training and metrics."""
from __future__ import absolute_import, division, print_function

import numpy as np
import tensorflow as tf
from tensorflow.contrib import framework as contrib_framework
from tensorflow.contrib import layers
from tensorflow.contrib.framework import arg_scope, add_arg_scope
from tensorflow.contrib.layers import batch_norm, xavier_initializer
from tensorflow.contrib.layers.python.layers import utils
from tensorflow.contrib.training import HParams

FLAGS = tf.flags.FLAGS
tf.flags.DEFINE_string('hparams', 'batch_size=8,learning_rate=0.01', 'Comma-separated.')

hparams = HParams(batch_size=4, learning_rate=0.1, momentum=0.9, layers=[8, 16], name='small')


@add_arg_scope
def conv_block(inputs, depth, rate=1, outputs_collections=None, scope=None):
  with tf.variable_scope(scope, 'block', [inputs]) as sc:
    net = layers.conv2d(inputs, depth, [3, 3], rate=rate, scope='conv')
    net = layers.conv2d(net, depth, [1, 1], activation_fn=None, scope='linear')
    shortcut = layers.conv2d(inputs, depth, 1, activation_fn=None, normalizer_fn=None,
                             scope='shortcut')
    return utils.collect_named_outputs(outputs_collections, sc.name,
                                       tf.nn.relu(net + shortcut))


def network(images, labels, params):
  with arg_scope([layers.conv2d, layers.conv2d_transpose, layers.fully_connected],
                 weights_initializer=xavier_initializer(uniform=False, seed=21),
                 weights_regularizer=layers.l2_regularizer(1e-3),
                 normalizer_fn=batch_norm,
                 normalizer_params={'is_training': True, 'decay': 0.9, 'scale': True,
                                    'updates_collections': None}):
    with arg_scope([conv_block], outputs_collections='blocks'):
      net = images
      for i, depth in enumerate(params.layers):
        net = conv_block(net, depth, rate=i + 1, scope='block%d' % i)
        net = layers.max_pool2d(net, 2)
      net = layers.avg_pool2d(net, 2, scope='pool')
      net = layers.conv2d_transpose(net, 8, 3, stride=2, normalizer_fn=None, scope='up')
      net = layers.dropout(net, keep_prob=0.9, is_training=False)
      net = layers.layer_norm(layers.flatten(net), scope='norm')
      logits = layers.linear(net, 3, scope='logits', normalizer_fn=None)
  tf.losses.add_loss(tf.contrib.losses.sparse_softmax_cross_entropy(logits, labels))
  return logits


def main(_):
  hparams.parse(FLAGS.hparams)
  for name, value in sorted(hparams.values().items()):
    print('%s: %s' % (name, value))
  rng = np.random.RandomState(6)
  np_images = rng.rand(hparams.batch_size, 24, 24, 3).astype(np.float32)
  np_labels = rng.randint(0, 3, hparams.batch_size)

  images = tf.placeholder(tf.float32, [None, 24, 24, 3])
  labels = tf.placeholder(tf.int32, [None])
  global_step = contrib_framework.get_or_create_global_step()
  logits = network(images, labels, hparams)
  blocks = utils.convert_collection_to_dict('blocks')
  for name, block in sorted(blocks.items()):
    print('%s %s' % (name, block.get_shape().as_list()))
  predictions = tf.argmax(logits, 1)
  accuracy, update_accuracy = tf.contrib.metrics.streaming_accuracy(predictions, labels)
  matrix = tf.contrib.metrics.confusion_matrix(labels, predictions, num_classes=3)
  loss = tf.add_n(tf.contrib.losses.get_losses()[:1]) + tf.losses.get_regularization_loss()
  train_op = layers.optimize_loss(
      loss, global_step, learning_rate=hparams.learning_rate,
      optimizer=lambda rate: tf.train.MomentumOptimizer(rate, hparams.momentum),
      clip_gradients=2.0, summaries=[])
  for variable in contrib_framework.get_variables_by_suffix('weights'):
    print(variable.op.name, variable.get_shape().as_list())
  print('%d model variables, %d with gamma, %d in block0' % (
      len(contrib_framework.get_model_variables()),
      len(contrib_framework.get_variables_by_name('gamma')),
      len(contrib_framework.get_variables('block0'))))

  saver = tf.train.Saver(max_to_keep=1)
  with tf.Session() as sess:
    sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    feed = {images: np_images, labels: np_labels}
    for i in range(4):
      np_loss, _ = sess.run([train_op, update_accuracy], feed)
      print('step %d: loss %.6f' % (i, np_loss))
    print('streaming accuracy %.4f' % sess.run(accuracy))
    print(sess.run(matrix, feed).tolist())
    saver.save(sess, 'contrib/model.ckpt' if tf.gfile.IsDirectory('contrib') else './model.ckpt',
               global_step=global_step)
    before = sess.run(logits, feed)

  checkpoint = tf.train.latest_checkpoint('.')
  assign_op, assign_feed = contrib_framework.assign_from_checkpoint(
      checkpoint, contrib_framework.get_variables_to_restore(exclude=['global_step']))
  with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    sess.run(assign_op, assign_feed)
    after = sess.run(logits, feed)
  print('restored: %.6f beside %.6f' % (np.abs(after).sum(), np.abs(before).sum()))
  contrib_framework.init_from_checkpoint(checkpoint, {'block0/': 'block0/'})
  with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    weights = sess.run(contrib_framework.get_unique_variable('block0/conv/weights'))
  print('%.6f' % np.abs(weights - contrib_framework.load_variable(
      checkpoint, 'block0/conv/weights')).sum())


if __name__ == '__main__':
  tf.app.run(main)
