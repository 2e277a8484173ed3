"""TPUEstimator of official models, on a CPU (use_tpu=False)."""

from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import numpy as np
import tensorflow as tf
from tensorflow.contrib.tpu.python.tpu import tpu_config
from tensorflow.contrib.tpu.python.tpu import tpu_estimator

slim = tf.contrib.slim

tf.flags.DEFINE_bool('use_tpu', False, 'Use TPUs rather than CPUs.')
tf.flags.DEFINE_string('model_dir', 'model', 'Where to save the model.')
tf.flags.DEFINE_integer('train_steps', 6, 'Number of steps.')
tf.flags.DEFINE_integer('iterations_per_loop', 3, 'Number of iterations per TPU training loop.')
FLAGS = tf.flags.FLAGS

FEATURES = np.random.RandomState(0).rand(32, 8).astype(np.float32)
LABELS = np.random.RandomState(1).randint(3, size=32).astype(np.int32)


def metric_fn(labels, logits):
  in_top_2 = tf.to_float(tf.nn.in_top_k(logits, labels, 2))
  return {'accuracy': tf.metrics.accuracy(labels, tf.argmax(logits, 1)),
          'top_2': tf.metrics.mean(in_top_2)}


def model_fn(features, labels, mode, params):
  weights = np.linspace(-1, 1, 24).reshape(8, 3)
  logits = slim.fully_connected(features, 3, activation_fn=None,
                                weights_initializer=tf.constant_initializer(weights))
  if mode == tf.estimator.ModeKeys.PREDICT:
    predictions = {'classes': tf.argmax(logits, 1), 'probabilities': tf.nn.softmax(logits)}
    return tpu_estimator.TPUEstimatorSpec(
        mode, predictions=predictions,
        export_outputs={'classify': tf.estimator.export.PredictOutput(predictions)})
  loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
  train_op = None
  if mode == tf.estimator.ModeKeys.TRAIN:
    optimizer = tf.train.MomentumOptimizer(0.1, 0.9)
    if params['use_tpu']:
      optimizer = tf.contrib.tpu.CrossShardOptimizer(optimizer)
    train_op = optimizer.minimize(loss, tf.train.get_global_step())
  return tpu_estimator.TPUEstimatorSpec(
      mode=mode, loss=loss, train_op=train_op, eval_metrics=(metric_fn, [labels, logits]))


def input_fn(params):
  dataset = tf.data.Dataset.from_tensor_slices((FEATURES, LABELS)).repeat()
  return dataset.apply(tf.contrib.data.batch_and_drop_remainder(params['batch_size']))


def predict_input_fn(params):
  return tf.data.Dataset.from_tensor_slices(FEATURES).batch(params['batch_size'])


def serving_input_fn():
  images = tf.placeholder(tf.float32, [None, 8], name='images')
  return tf.estimator.export.TensorServingInputReceiver(images, images)


def main(_):
  config = tpu_config.RunConfig(
      model_dir=FLAGS.model_dir, tf_random_seed=1,
      save_checkpoints_steps=max(3, FLAGS.iterations_per_loop),
      tpu_config=tpu_config.TPUConfig(
          iterations_per_loop=FLAGS.iterations_per_loop, num_shards=8,
          per_host_input_for_training=tpu_config.InputPipelineConfig.PER_HOST_V2))
  estimator = tf.contrib.tpu.TPUEstimator(
      model_fn, use_tpu=FLAGS.use_tpu, config=config, train_batch_size=8, eval_batch_size=16,
      predict_batch_size=4)
  estimator.train(input_fn=input_fn, max_steps=FLAGS.train_steps)
  for name, value in sorted(estimator.evaluate(input_fn, steps=2).items()):
    print(name, '%.5f' % value)
  print([int(each['classes']) for each in estimator.predict(predict_input_fn)])
  path = estimator.export_savedmodel('exported', serving_input_fn).decode()
  predict = tf.contrib.predictor.from_saved_model(path, signature_def_key='classify')
  print(' '.join('%.5f' % each for each in predict({'input': FEATURES[:1]})['probabilities'][0]))
  print(sorted(name for name in os.listdir(FLAGS.model_dir) if name.endswith('.index')))


if __name__ == '__main__':
  tf.app.run()
