"""Goes on training an Inception V3 with slim.learning.train, from the weights of a checkpoint."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow.contrib.slim.python.slim.learning import train_step
from tensorflow.contrib.slim.python.slim.nets import inception_v3

import read_records

flags = tf.app.flags
flags.DEFINE_string('train_dir', 'train', 'Directory to write checkpoints and event files to.')
flags.DEFINE_string('dataset_dir', 'data', 'Directory of the TFRecords.')
flags.DEFINE_string('checkpoint_path', 'data/inception_v3.ckpt', 'The weights to begin with.')
flags.DEFINE_integer('max_number_of_steps', 4, 'How long to train.')
flags.DEFINE_integer('batch_size', 8, 'Images in a step.')
flags.DEFINE_float('learning_rate', 0.001, 'At the beginning.')
FLAGS = flags.FLAGS

IMAGE_SIZE = 149


def load_batch(dataset, batch_size):
  provider = slim.dataset_data_provider.DatasetDataProvider(
      dataset, shuffle=False, num_readers=1, common_queue_capacity=20, common_queue_min=8)
  image, label = provider.get(['image', 'label'])
  image = tf.image.convert_image_dtype(image, tf.float32)
  image = tf.image.resize_images(image, (IMAGE_SIZE, IMAGE_SIZE))
  image = (image - 0.5) * 2.0
  return tf.train.batch([image, label], batch_size=batch_size, num_threads=1, capacity=32)


def print_step(sess, train_op, global_step, train_step_kwargs):
  total_loss, should_stop = train_step(sess, train_op, global_step, train_step_kwargs)
  print('step %d: loss %.6f' % (sess.run(global_step), total_loss))
  return total_loss, should_stop


def main(_):
  tf.logging.set_verbosity(tf.logging.INFO)
  with tf.Graph().as_default():
    dataset = read_records.get_split('train', FLAGS.dataset_dir)
    images, labels = load_batch(dataset, FLAGS.batch_size)
    with slim.arg_scope(inception_v3.inception_v3_arg_scope(batch_norm_decay=0.9)):
      logits, end_points = inception_v3.inception_v3(
          images, num_classes=dataset.num_classes, is_training=True, dropout_keep_prob=1.0,
          depth_multiplier=0.05, min_depth=4)
    one_hot_labels = slim.one_hot_encoding(labels, dataset.num_classes)
    slim.losses.softmax_cross_entropy(logits, one_hot_labels, label_smoothing=0.1)
    slim.losses.softmax_cross_entropy(end_points['AuxLogits'], one_hot_labels, weights=0.4)
    total_loss = slim.losses.get_total_loss()

    global_step = slim.get_or_create_global_step()
    learning_rate = tf.train.exponential_decay(
        FLAGS.learning_rate, global_step, decay_steps=2, decay_rate=0.94, staircase=True)
    tf.summary.scalar('learning_rate', learning_rate)
    optimizer = tf.train.MomentumOptimizer(learning_rate, momentum=0.9)
    train_op = slim.learning.create_train_op(total_loss, optimizer, clip_gradient_norm=4.0)

    init_fn = slim.assign_from_checkpoint_fn(
        FLAGS.checkpoint_path, slim.get_variables_to_restore(include=['InceptionV3'],
                                                             exclude=['global_step']),
        ignore_missing_vars=True)
    final_loss = slim.learning.train(
        train_op, logdir=FLAGS.train_dir, train_step_fn=print_step, init_fn=init_fn,
        number_of_steps=FLAGS.max_number_of_steps, log_every_n_steps=2, save_summaries_secs=60,
        save_interval_secs=600)
    print('Finished training. Last loss %.6f' % final_loss)

  reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(FLAGS.train_dir))
  print('global_step %d' % reader.get_tensor('global_step'))
  for name in ['InceptionV3/Conv2d_1a_3x3/weights',
               'InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_mean',
               'InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/BatchNorm/beta',
               'InceptionV3/Logits/Conv2d_1c_1x1/weights',
               'InceptionV3/Logits/Conv2d_1c_1x1/biases/Momentum']:
    print('%s: %.6f' % (name, abs(reader.get_tensor(name)).sum()))


if __name__ == '__main__':
  tf.app.run()
