"""The first layers of Inception V3 as the model function of an Estimator: train, evaluate, predict, export."""

from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.nets import inception

slim = tf.contrib.slim

tf.app.flags.DEFINE_string('data_dir', 'data', 'Folder of the TFRecords and the checkpoint.')
tf.app.flags.DEFINE_string('model_dir', 'model', 'Where to save the model.')
tf.app.flags.DEFINE_integer('image_size', 149, 'Side of the images.')

FLAGS = tf.app.flags.FLAGS
NUM_CLASSES = 5


def parse(record):
  features = tf.parse_single_example(record, {
      'image/encoded': tf.FixedLenFeature((), tf.string),
      'image/class/label': tf.FixedLenFeature((), tf.int64)})
  image = tf.image.decode_jpeg(features['image/encoded'], channels=3)
  image = tf.image.resize_images(image, (FLAGS.image_size, FLAGS.image_size)) / 127.5 - 1
  return {'image': image}, features['image/class/label']


def make_input_fn(split, repeat):
  def input_fn():
    files = sorted(tf.gfile.Glob(os.path.join(FLAGS.data_dir, 'patterns_%s_*' % split)))
    dataset = tf.data.TFRecordDataset(files).map(parse)
    if repeat:
      dataset = dataset.repeat()
    iterator = dataset.batch(5).make_one_shot_iterator()
    return iterator.get_next()
  return input_fn


def model_fn(features, labels, mode, params):
  training = mode == tf.estimator.ModeKeys.TRAIN
  with slim.arg_scope(inception.inception_v3_arg_scope(batch_norm_decay=0.9)):
    with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=training):
      net, _ = inception.inception_v3_base(
          features['image'], 'Mixed_5c', min_depth=4, depth_multiplier=0.05)
    logits = slim.fully_connected(
        tf.reduce_mean(net, [1, 2]), NUM_CLASSES, activation_fn=None,
        weights_initializer=tf.constant_initializer(np.linspace(-1, 1, 13 * NUM_CLASSES)))
  predictions = {'classes': tf.argmax(logits, 1), 'probabilities': tf.nn.softmax(logits)}
  if mode == tf.estimator.ModeKeys.PREDICT:
    outputs = {'serving_default': tf.estimator.export.PredictOutput(predictions)}
    return tf.estimator.EstimatorSpec(mode, predictions=predictions, export_outputs=outputs)
  tf.losses.sparse_softmax_cross_entropy(labels, logits)
  loss = tf.losses.get_total_loss()
  if training:
    tf.train.init_from_checkpoint(
        os.path.join(FLAGS.data_dir, 'inception_v3.ckpt'), {'InceptionV3/': 'InceptionV3/'})
    optimizer = tf.train.GradientDescentOptimizer(params.learning_rate)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
      train_op = optimizer.minimize(loss, tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)
  metrics = {'accuracy': tf.metrics.accuracy(labels, predictions['classes']),
             'largest': tf.metrics.mean(tf.reduce_max(predictions['probabilities'], 1))}
  return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)


def serving_input_fn():
  images = tf.placeholder(tf.float32, (None, FLAGS.image_size, FLAGS.image_size, 3), 'images')
  return tf.estimator.export.ServingInputReceiver({'image': images}, {'inputs': images})


class Counter(tf.train.SessionRunHook):
  steps = 0

  def after_run(self, run_context, run_values):
    self.steps += 1


def show(title, metrics):
  print('%s: %s' % (title, ', '.join(
      '%s %s' % (name, '%d' % value if name == 'global_step' else '%.5f' % value)
      for name, value in sorted(metrics.items()))))


def main(_):
  tf.logging.set_verbosity(tf.logging.INFO)
  config = tf.estimator.RunConfig(
      model_dir=FLAGS.model_dir, tf_random_seed=1, save_checkpoints_steps=2, save_summary_steps=1)
  params = tf.contrib.training.HParams(learning_rate=0.1).parse('learning_rate=0.001')
  estimator = tf.estimator.Estimator(model_fn, config=config, params=params)
  counter = Counter()
  estimator.train(make_input_fn('train', True), steps=3, hooks=[counter])
  print('%d steps, %s' % (counter.steps, os.path.basename(estimator.latest_checkpoint())))
  eval_input_fn = make_input_fn('validation', False)
  show('evaluated', estimator.evaluate(eval_input_fn, name='first'))
  classes = [int(each['classes']) for each in estimator.predict(eval_input_fn)]
  print('%d predictions: %s' % (len(classes), classes))
  exporter = tf.estimator.BestExporter(
      serving_input_receiver_fn=serving_input_fn,
      compare_fn=lambda best_eval_result, current_eval_result: True)
  metrics, exports = tf.estimator.train_and_evaluate(
      estimator,
      tf.estimator.TrainSpec(make_input_fn('train', True), max_steps=5),
      tf.estimator.EvalSpec(eval_input_fn, steps=None, exporters=exporter))
  show('trained and evaluated', metrics)
  print([path.decode().split('/')[:3] for path in exports])
  path = estimator.export_savedmodel('exported', serving_input_fn)
  print(sorted(os.listdir(path.decode())))
  image = np.linspace(-1, 1, FLAGS.image_size ** 2 * 3).reshape((1, FLAGS.image_size, -1, 3))
  for predict in (tf.contrib.predictor.from_saved_model(path.decode()),
                  tf.contrib.predictor.from_estimator(estimator, serving_input_fn)):
    print('probabilities', ' '.join('%.5f' % each for each in predict(
        {'inputs': image})['probabilities'][0]))
  print('%d variables, sum of weights %.4f' % (
      len(estimator.get_variable_names()),
      np.abs(estimator.get_variable_value('InceptionV3/Conv2d_1a_3x3/weights')).sum()))
  print(sorted(name for name in os.listdir(FLAGS.model_dir) if name.endswith('.index')),
        sorted(name for name in os.listdir(FLAGS.model_dir) if name.startswith('eval')))


if __name__ == '__main__':
  tf.app.run()
