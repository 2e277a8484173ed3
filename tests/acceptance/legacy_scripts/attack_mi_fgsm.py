"""Momentum iterative attack on an ensemble of Inception V3, V4 and Inception-ResNet V2.

Beside it the fast gradient sign method, of one step.
"""

from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import numpy as np
from scipy.misc import imread
from scipy.misc import imsave

import tensorflow as tf
from nets import inception_v3, inception_v4, inception_resnet_v2

slim = tf.contrib.slim

tf.flags.DEFINE_string('checkpoint_path_inception_v3', 'models/inception_v3.ckpt', 'V3')
tf.flags.DEFINE_string('checkpoint_path_inception_v4', 'models/inception_v4.ckpt', 'V4')
tf.flags.DEFINE_string('checkpoint_path_inception_resnet_v2', 'models/inception_resnet_v2.ckpt',
                       'ResNet V2')
tf.flags.DEFINE_string('input_dir', 'models/images', 'Input directory with images.')
tf.flags.DEFINE_string('output_dir', 'adversarial', 'Output directory with images.')
tf.flags.DEFINE_float('max_epsilon', 16.0, 'Maximum size of the perturbation, of 255.')
tf.flags.DEFINE_integer('num_iter', 2, 'Number of iterations.')
tf.flags.DEFINE_string('norm', 'l2', 'Steps of this norm, l2 or linf.')
tf.flags.DEFINE_integer('image_width', 299, 'Width of each input image.')
tf.flags.DEFINE_integer('image_height', 299, 'Height of each input image.')
tf.flags.DEFINE_integer('batch_size', 2, 'How many images to process at one time.')
tf.flags.DEFINE_float('momentum', 1.0, 'Momentum.')

FLAGS = tf.flags.FLAGS
NUM_CLASSES = 1001


def load_images(input_dir, batch_shape):
  images = np.zeros(batch_shape)
  filenames = []
  for filepath in sorted(tf.gfile.Glob(os.path.join(input_dir, '*.png'))):
    with tf.gfile.Open(filepath, 'rb') as f:
      image = imread(f, mode='RGB').astype(np.float) / 255.0
    images[len(filenames), :, :, :] = image * 2.0 - 1.0
    filenames.append(os.path.basename(filepath))
    if len(filenames) == batch_shape[0]:
      yield filenames, images
      filenames = []
      images = np.zeros(batch_shape)
  if filenames:
    yield filenames, images


def save_images(images, filenames, output_dir):
  for i, filename in enumerate(filenames):
    with tf.gfile.Open(os.path.join(output_dir, filename), 'wb') as f:
      imsave(f, (images[i, :, :, :] + 1.0) * 0.5, format='png')


def networks(x):
  with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
    logits_v3, end_points_v3 = inception_v3.inception_v3(
        x, num_classes=NUM_CLASSES, is_training=False, reuse=tf.AUTO_REUSE)
  with slim.arg_scope(inception_v4.inception_v4_arg_scope()):
    logits_v4, end_points_v4 = inception_v4.inception_v4(
        x, num_classes=NUM_CLASSES, is_training=False, reuse=tf.AUTO_REUSE)
  with slim.arg_scope(inception_resnet_v2.inception_resnet_v2_arg_scope()):
    logits_res_v2, end_points_res_v2 = inception_resnet_v2.inception_resnet_v2(
        x, num_classes=NUM_CLASSES, is_training=False, reuse=tf.AUTO_REUSE)
  all_end_points = [end_points_v3, end_points_v4, end_points_res_v2]
  logits = (logits_v3 + logits_v4 + logits_res_v2) / 3
  auxlogits = sum([each['AuxLogits'] for each in all_end_points]) / 3
  return logits, auxlogits, sum([each['Predictions'] for each in all_end_points])


def losses(y, logits, auxlogits):
  one_hot = tf.one_hot(y, NUM_CLASSES)
  cross_entropy = tf.losses.softmax_cross_entropy(one_hot, logits, label_smoothing=0.0,
                                                  weights=1.0)
  cross_entropy += tf.losses.softmax_cross_entropy(one_hot, auxlogits, label_smoothing=0.0,
                                                   weights=0.4)
  return cross_entropy


def graph(x, y, i, x_max, x_min, grad):
  eps = 2.0 * FLAGS.max_epsilon / 255.0
  alpha = eps / FLAGS.num_iter
  logits, auxlogits, predictions = networks(x)
  first_round = tf.cast(tf.equal(i, 0), tf.int64)
  y = first_round * tf.argmax(predictions, 1) + (1 - first_round) * y
  noise = tf.gradients(losses(y, logits, auxlogits), x)[0]
  noise = noise / tf.reduce_mean(tf.abs(noise), [1, 2, 3], keep_dims=True)
  noise = FLAGS.momentum * grad + noise
  if FLAGS.norm == 'linf':
    x = x + alpha * tf.sign(noise)
  else:
    pixels = FLAGS.image_width * FLAGS.image_height * 3
    length = tf.sqrt(tf.reduce_sum(tf.square(noise), [1, 2, 3], keep_dims=True))
    x = x + alpha * np.sqrt(pixels) * noise / length
  x = tf.clip_by_value(x, x_min, x_max)
  i = tf.add(i, 1)
  return x, y, i, x_max, x_min, noise


def stop(x, y, i, x_max, x_min, grad):
  return tf.less(i, FLAGS.num_iter)


def main(_):
  # eps is a difference between pixels, so it should be in [0, 2].
  eps = 2.0 * FLAGS.max_epsilon / 255.0
  batch_shape = [FLAGS.batch_size, FLAGS.image_height, FLAGS.image_width, 3]
  tf.logging.set_verbosity(tf.logging.INFO)
  if not os.path.exists(FLAGS.output_dir):
    os.makedirs(FLAGS.output_dir)

  with tf.Graph().as_default():
    x_input = tf.placeholder(tf.float32, shape=batch_shape)
    x_max = tf.clip_by_value(x_input + eps, -1.0, 1.0)
    x_min = tf.clip_by_value(x_input - eps, -1.0, 1.0)
    y = tf.constant(np.zeros([FLAGS.batch_size]), tf.int64)
    i = tf.constant(0)
    grad = tf.zeros(shape=batch_shape)
    x_adv, y_adv, _, _, _, _ = tf.while_loop(stop, graph, [x_input, y, i, x_max, x_min, grad])

    labels = tf.placeholder(tf.int64, shape=[FLAGS.batch_size])
    logits, auxlogits, _ = networks(x_input)
    cross_entropy = losses(labels, logits, auxlogits)
    gradient = tf.gradients(cross_entropy, x_input)[0]

    s1 = tf.train.Saver(slim.get_model_variables(scope='InceptionV3'))
    s2 = tf.train.Saver(slim.get_model_variables(scope='InceptionV4'))
    s3 = tf.train.Saver(slim.get_model_variables(scope='InceptionResnetV2'))
    print('%d model variables' % len(slim.get_model_variables()))

    with tf.Session() as sess:
      s1.restore(sess, FLAGS.checkpoint_path_inception_v3)
      s2.restore(sess, FLAGS.checkpoint_path_inception_v4)
      s3.restore(sess, FLAGS.checkpoint_path_inception_resnet_v2)

      for filenames, images in load_images(FLAGS.input_dir, batch_shape):
        adv_images, found = sess.run([x_adv, y_adv], feed_dict={x_input: images})
        save_images(adv_images, filenames, FLAGS.output_dir)
        print('%s: classes %s' % (', '.join(filenames), found.tolist()))
        print('perturbation: mean %.6f, largest %.6f' % (
            np.mean(np.abs(adv_images - images)), np.max(np.abs(adv_images - images))))
        signs = np.sign(sess.run(gradient, feed_dict={x_input: images, labels: found}))
        fast_images = np.clip(images + eps * signs, -1.0, 1.0)
        for name, batch in [('clean', images), ('one step', fast_images),
                            ('adversarial', adv_images)]:
          loss, np_logits, np_gradient = sess.run(
              [cross_entropy, logits, gradient], feed_dict={x_input: batch, labels: found})
          print('%s: loss %.6f, largest logit %.5f, gradient %.6f' % (
              name, loss, np_logits.max(), np.linalg.norm(np_gradient)))
  for filename in sorted(os.listdir(FLAGS.output_dir)):
    print(filename, imread(os.path.join(FLAGS.output_dir, filename), mode='RGB').shape)


if __name__ == '__main__':
  tf.app.run()
