"""Fine-tunes a new head, the way train_image_classifier.py of the model library does.

  python finetune.py --checkpoint_path=data/inception_v3.ckpt \
      --checkpoint_exclude_scopes=InceptionV3/Logits,InceptionV3/AuxLogits \
      --trainable_scopes=InceptionV3/Logits,InceptionV3/AuxLogits
"""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import tensorflow as tf

from nets import nets_factory
from preprocessing import preprocessing_factory
from read_records import get_split

slim = tf.contrib.slim

tf.app.flags.DEFINE_string('train_dir', 'finetuned', 'Where checkpoints are written.')
tf.app.flags.DEFINE_string('dataset_dir', 'data', 'Where the TFRecords are.')
tf.app.flags.DEFINE_string('model_name', 'inception_v3', 'The architecture to train.')
tf.app.flags.DEFINE_float('weight_decay', 0.00004, 'The weight decay on the model weights.')
tf.app.flags.DEFINE_float('rmsprop_decay', 0.9, 'Decay term for RMSProp.')
tf.app.flags.DEFINE_float('opt_epsilon', 1.0, 'Epsilon term for the optimizer.')
tf.app.flags.DEFINE_float('learning_rate', 0.01, 'Initial learning rate.')
tf.app.flags.DEFINE_float('moving_average_decay', 0.99, 'Of the variables.')
tf.app.flags.DEFINE_integer('batch_size', 10, 'The number of samples in each batch.')
tf.app.flags.DEFINE_integer('max_number_of_steps', 3, 'The number of training steps.')
tf.app.flags.DEFINE_string('checkpoint_path', None, 'The checkpoint to fine-tune.')
tf.app.flags.DEFINE_string(
    'checkpoint_exclude_scopes', None,
    'Comma-separated list of scopes of variables to exclude when restoring.')
tf.app.flags.DEFINE_string(
    'trainable_scopes', None, 'Comma-separated list of scopes to train; all by default.')
FLAGS = tf.app.flags.FLAGS


def _get_init_fn():
  exclusions = []
  if FLAGS.checkpoint_exclude_scopes:
    exclusions = [scope.strip() for scope in FLAGS.checkpoint_exclude_scopes.split(',')]
  variables_to_restore = []
  for var in slim.get_model_variables():
    for exclusion in exclusions:
      if var.op.name.startswith(exclusion):
        break
    else:
      variables_to_restore.append(var)
  print('restoring %d of %d' % (len(variables_to_restore), len(slim.get_model_variables())))
  return slim.assign_from_checkpoint_fn(FLAGS.checkpoint_path, variables_to_restore)


def _get_variables_to_train():
  if FLAGS.trainable_scopes is None:
    return tf.trainable_variables()
  variables_to_train = []
  for scope in FLAGS.trainable_scopes.split(','):
    variables_to_train.extend(tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope.strip()))
  return variables_to_train


def main(_):
  if not FLAGS.checkpoint_path:
    raise ValueError('You must supply the checkpoint with --checkpoint_path')
  tf.logging.set_verbosity(tf.logging.INFO)
  with tf.Graph().as_default():
    global_step = slim.create_global_step()
    dataset = get_split('train', FLAGS.dataset_dir)
    network_fn = nets_factory.get_network_fn(
        FLAGS.model_name, num_classes=3, weight_decay=FLAGS.weight_decay, is_training=True)
    image_preprocessing_fn = preprocessing_factory.get_preprocessing(
        FLAGS.model_name, is_training=False)
    print('default size %d' % network_fn.default_image_size)

    provider = slim.dataset_data_provider.DatasetDataProvider(
        dataset, num_readers=1, shuffle=False, common_queue_capacity=20, common_queue_min=10)
    [image, label] = provider.get(['image', 'label'])
    image = image_preprocessing_fn(image, 149, 149)
    images, labels = tf.train.batch([image, label % 3], batch_size=FLAGS.batch_size,
                                    num_threads=1, capacity=5 * FLAGS.batch_size)
    labels = slim.one_hot_encoding(labels, 3)
    batch_queue = slim.prefetch_queue.prefetch_queue([images, labels], capacity=2)
    images, labels = batch_queue.dequeue()

    with slim.arg_scope([slim.dropout], seed=5):
      logits, end_points = network_fn(images, depth_multiplier=0.05, min_depth=4,
                                      dropout_keep_prob=0.8)
    if 'AuxLogits' in end_points:
      tf.losses.softmax_cross_entropy(logits=end_points['AuxLogits'], onehot_labels=labels,
                                      label_smoothing=0.1, weights=0.4, scope='aux_loss')
    tf.losses.softmax_cross_entropy(logits=logits, onehot_labels=labels,
                                    label_smoothing=0.1, weights=1.0)

    variable_averages = tf.train.ExponentialMovingAverage(
        FLAGS.moving_average_decay, global_step)
    moving_average_variables = slim.get_model_variables()
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    print('%d updates of averages' % len(update_ops))

    learning_rate = tf.train.polynomial_decay(
        FLAGS.learning_rate, global_step, 10, 0.0001, power=1.0, cycle=False)
    optimizer = tf.train.RMSPropOptimizer(
        learning_rate, decay=FLAGS.rmsprop_decay, momentum=0.9, epsilon=FLAGS.opt_epsilon)
    update_ops.append(variable_averages.apply(moving_average_variables))

    variables_to_train = _get_variables_to_train()
    total_loss = tf.losses.get_total_loss()
    gradients = optimizer.compute_gradients(total_loss, var_list=variables_to_train)
    grad_updates = optimizer.apply_gradients(gradients, global_step=global_step)
    update_ops.append(grad_updates)
    update_op = tf.group(*update_ops)
    with tf.control_dependencies([update_op]):
      train_tensor = tf.identity(total_loss, name='train_op')
    print('training %s' % ', '.join(v.op.name for v in variables_to_train))

    # The new head begins with small numbers that are the same in every run.
    head = [v for v in slim.get_model_variables() if v.op.name.endswith('weights')
            and (v.op.name.startswith('InceptionV3/Logits')
                 or v.op.name.startswith('InceptionV3/AuxLogits'))]
    begin = tf.group(*[v.assign(tf.truncated_normal(v.shape, stddev=0.05, seed=i))
                       for i, v in enumerate(head)])
    init_fn = _get_init_fn()

    def init(sess):
      init_fn(sess)
      sess.run(begin)

    loss = slim.learning.train(
        train_tensor, logdir=FLAGS.train_dir, is_chief=True, init_fn=init, global_step=global_step,
        number_of_steps=FLAGS.max_number_of_steps, log_every_n_steps=1, save_summaries_secs=600)
    print('loss %.6f' % loss)

  checkpoint = tf.train.latest_checkpoint(FLAGS.train_dir)
  print(checkpoint)
  for name, shape in sorted(tf.contrib.framework.list_variables(checkpoint)):
    if 'InceptionV3/Logits' in name and not name.endswith('ExponentialMovingAverage'):
      value = tf.contrib.framework.load_variable(checkpoint, name)
      print('%s %s %.6f' % (name, shape, abs(value).mean()))


if __name__ == '__main__':
  tf.app.run()
