"""MonitoredTrainingSession with hooks, over a queue of files."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import numpy as np
import tensorflow as tf

import read_records

slim = tf.contrib.slim
FLAGS = tf.app.flags.FLAGS
tf.app.flags.DEFINE_string('train_dir', 'monitored', 'Directory of checkpoints and events.')
tf.app.flags.DEFINE_integer('max_steps', 4, 'Number of batches to run.')


class _LoggerHook(tf.train.SessionRunHook):
  """Prints the loss of every step."""

  def __init__(self, loss):
    self._loss = loss

  def begin(self):
    self._step = 0

  def before_run(self, run_context):
    self._step += 1
    return tf.train.SessionRunArgs(self._loss)

  def after_run(self, run_context, run_values):
    print('step %d, loss = %.6f' % (self._step, run_values.results))

  def end(self, session):
    print('the end, after %d steps' % self._step)


def inputs():
  filenames = sorted(tf.gfile.Glob('data/patterns_train_*.tfrecord'))
  filename_queue = tf.train.string_input_producer(filenames, shuffle=False)
  reader = tf.TFRecordReader()
  _, serialized = reader.read(filename_queue)
  features = tf.parse_single_example(serialized, features={
      'image/encoded': tf.FixedLenFeature([], tf.string),
      'image/class/label': tf.FixedLenFeature([], tf.int64),
  })
  image = tf.image.decode_jpeg(features['image/encoded'], channels=3)
  image = tf.cast(image, tf.float32)
  image = tf.image.resize_image_with_crop_or_pad(image, 64, 64)
  image = tf.image.per_image_standardization(image)
  image.set_shape([64, 64, 3])
  return tf.train.batch([image, features['image/class/label']], batch_size=8, num_threads=1,
                        capacity=24)


def inference(images):
  with slim.arg_scope([slim.conv2d, slim.separable_conv2d, slim.fully_connected],
                      weights_initializer=slim.xavier_initializer(seed=11),
                      weights_regularizer=slim.l2_regularizer(0.0005)):
    net = slim.conv2d(images, 8, [5, 5], scope='conv1')
    net = slim.max_pool2d(net, [3, 3], stride=2, scope='pool1')
    net = tf.nn.lrn(net, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75, name='norm1')
    net = slim.separable_conv2d(net, 16, [3, 3], depth_multiplier=1, scope='conv2')
    net = slim.repeat(net, 2, slim.conv2d, 16, [3, 3], scope='conv3')
    net = slim.stack(slim.flatten(net), slim.fully_connected, [24, 12], scope='fc')
    return slim.fully_connected(net, 5, activation_fn=None, scope='logits')


def train():
  with tf.Graph().as_default():
    global_step = tf.train.get_or_create_global_step()
    with tf.device('/cpu:0'):
      images, labels = inputs()
    logits = inference(images)
    cross_entropy = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    total_loss = tf.losses.get_total_loss()
    lr = tf.train.piecewise_constant(global_step, [2], [0.05, 0.01])
    opt = tf.train.AdagradOptimizer(lr)
    grads = opt.compute_gradients(total_loss)
    apply_gradient_op = opt.apply_gradients(grads, global_step=global_step)
    ema = tf.train.ExponentialMovingAverage(0.9, global_step)
    with tf.control_dependencies([apply_gradient_op]):
      train_op = ema.apply(tf.trainable_variables())

    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=FLAGS.train_dir,
        hooks=[tf.train.StopAtStepHook(last_step=FLAGS.max_steps),
               tf.train.NanTensorHook(total_loss),
               _LoggerHook(cross_entropy)],
        save_summaries_steps=None, save_summaries_secs=None,
        config=tf.ConfigProto(log_device_placement=False)) as mon_sess:
      while not mon_sess.should_stop():
        mon_sess.run([train_op, cross_entropy])

  checkpoint = tf.train.latest_checkpoint(FLAGS.train_dir)
  for name, shape in tf.train.list_variables(checkpoint):
    value = tf.train.load_variable(checkpoint, name)
    print('%-55s %-16s %.5f' % (name, shape, np.abs(value).sum()))


def main(argv=None):
  if tf.gfile.Exists(FLAGS.train_dir):
    tf.gfile.DeleteRecursively(FLAGS.train_dir)
  tf.gfile.MakeDirs(FLAGS.train_dir)
  train()


if __name__ == '__main__':
  tf.app.run()
