"""Trains with two clones on the CPU, with the model library's model_deploy."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import tensorflow as tf

from deployment import model_deploy
from nets import inception_v3
from read_records import get_split

slim = tf.contrib.slim

flags = tf.app.flags
flags.DEFINE_integer('num_clones', 2, 'Number of model clones to deploy.')
flags.DEFINE_boolean('clone_on_cpu', True, 'Use CPUs to deploy clones.')
flags.DEFINE_integer('batch_size', 6, 'The number of samples in each clone\'s batch.')
flags.DEFINE_string('train_dir', 'clones', 'Where checkpoints and logs are written.')
FLAGS = flags.FLAGS


def main(_):
  tf.logging.set_verbosity(tf.logging.INFO)
  with tf.Graph().as_default():
    deploy_config = model_deploy.DeploymentConfig(
        num_clones=FLAGS.num_clones, clone_on_cpu=FLAGS.clone_on_cpu)
    with tf.device(deploy_config.variables_device()):
      global_step = slim.create_global_step()

    dataset = get_split('train', 'data')
    with tf.device(deploy_config.inputs_device()):
      provider = slim.dataset_data_provider.DatasetDataProvider(
          dataset, shuffle=False, num_readers=1, common_queue_capacity=24, common_queue_min=12)
      image, label = provider.get(['image', 'label'])
      image = tf.image.resize_images(image, [149, 149]) / 127.5 - 1.0
      images, labels = tf.train.batch(
          [image, label], batch_size=FLAGS.batch_size * FLAGS.num_clones, num_threads=1,
          capacity=30)
      labels = slim.one_hot_encoding(labels, dataset.num_classes)
      # Each clone takes its own half, so that it does not matter which comes first.
      shards = iter(zip(tf.split(images, FLAGS.num_clones), tf.split(labels, FLAGS.num_clones)))

    def clone_fn(shards):
      images, labels = next(shards)
      with slim.arg_scope(inception_v3.inception_v3_arg_scope(batch_norm_decay=0.95)):
        logits, end_points = inception_v3.inception_v3(
            images, num_classes=dataset.num_classes, dropout_keep_prob=1.0,
            depth_multiplier=0.05, min_depth=4)
      tf.losses.softmax_cross_entropy(labels, end_points['AuxLogits'], weights=0.4,
                                      scope='aux_loss')
      tf.losses.softmax_cross_entropy(labels, logits)
      return end_points

    clones = model_deploy.create_clones(deploy_config, clone_fn, [shards])
    for clone in clones:
      print('%s on %s: %d losses, %d updates, logits %s' % (
          clone.scope, clone.device,
          len(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)),
          len(tf.get_collection(tf.GraphKeys.UPDATE_OPS, clone.scope)),
          clone.outputs['Logits'].op.name))
    print('%d model variables, %d regularization losses' % (
        len(slim.get_model_variables()),
        len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))))
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)

    with tf.device(deploy_config.optimizer_device()):
      optimizer = tf.train.GradientDescentOptimizer(0.002)
    total_loss, clones_gradients = model_deploy.optimize_clones(
        clones, optimizer, var_list=tf.trainable_variables())
    print('%d gradients' % len(clones_gradients))
    clones_gradients = slim.learning.clip_gradient_norms(clones_gradients, 0.1)
    update_ops.append(optimizer.apply_gradients(clones_gradients, global_step=global_step))
    with tf.control_dependencies([tf.group(*update_ops)]):
      train_tensor = tf.identity(total_loss, name='train_op')

    losses = []

    def train_step_fn(sess, train_op, global_step, kwargs):
      loss, should_stop = slim.learning.train_step(sess, train_op, global_step, kwargs)
      losses.append(loss)
      return loss, should_stop

    slim.learning.train(
        train_tensor, logdir=FLAGS.train_dir, train_step_fn=train_step_fn,
        init_fn=slim.assign_from_checkpoint_fn('data/inception_v3.ckpt',
                                               slim.get_model_variables()),
        number_of_steps=3, global_step=global_step, summary_op=None)
    for i, loss in enumerate(losses):
      print('step %d: total loss %.6f' % (i + 1, loss))

  reader = tf.train.load_checkpoint(FLAGS.train_dir)
  for name in ['InceptionV3/Conv2d_2b_3x3/weights', 'InceptionV3/Logits/Conv2d_1c_1x1/weights',
               'InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_variance', 'global_step']:
    print('%s: %.6f' % (name, abs(reader.get_tensor(name)).sum()))


if __name__ == '__main__':
  tf.app.run()
