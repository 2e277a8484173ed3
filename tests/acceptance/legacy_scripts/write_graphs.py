"""Writes a network in every way that TensorFlow 1 had: graphs, frozen graphs, SavedModels, .meta."""
from __future__ import print_function

import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.nets import inception
from tensorflow.python.framework import graph_util
from tensorflow.python.tools import freeze_graph

slim = tf.contrib.slim

images = tf.placeholder(tf.float32, (None, 80, 80, 3), 'images')
labels = tf.placeholder(tf.int64, (None,), 'labels')
with slim.arg_scope(inception.inception_v3_arg_scope()):
  with slim.arg_scope([slim.batch_norm], is_training=False):
    net, _ = inception.inception_v3_base(
        images, 'Mixed_5b', min_depth=4, depth_multiplier=0.05)
weights = tf.constant_initializer(np.linspace(-1, 1, 36))
logits = slim.fully_connected(
    tf.reduce_mean(net, [1, 2]), 3, activation_fn=None, weights_initializer=weights)
probabilities = tf.nn.softmax(logits, name='probabilities')
loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
train_op = slim.learning.create_train_op(loss, tf.train.AdamOptimizer(1e-3))
saver = tf.train.Saver(slim.get_model_variables('InceptionV3'))
with tf.Session() as sess:
  sess.run(tf.global_variables_initializer())
  saver.restore(sess, 'data/inception_v3.ckpt')
  tf.train.Saver().save(sess, './model.ckpt')
  feed = {images: np.linspace(-1, 1, 80 * 80 * 3).reshape(1, 80, 80, 3)}
  print(' '.join('%.5f' % each for each in sess.run(probabilities, feed)[0]))
  tf.train.write_graph(sess.graph, '.', 'graph.pbtxt')
  tf.train.write_graph(sess.graph_def, '.', 'graph.pb', as_text=False)
  constant = graph_util.convert_variables_to_constants(
      sess, sess.graph.as_graph_def(), ['probabilities'])
  with tf.gfile.GFile('constant.pb', 'wb') as f:
    f.write(constant.SerializeToString())
  builder = tf.saved_model.builder.SavedModelBuilder('saved_model')
  signature = tf.saved_model.signature_def_utils.predict_signature_def(
      {'images': images}, {'probabilities': probabilities})
  builder.add_meta_graph_and_variables(
      sess, [tf.saved_model.tag_constants.SERVING], {'serving_default': signature})
  builder.save()
freeze_graph.freeze_graph(
    'graph.pbtxt', '', False, './model.ckpt', 'probabilities', '', '', 'frozen.pb', True, '')
print('%d nodes in the frozen graph' % len(constant.node))
