"""Experiment and learn_runner of tf.contrib.learn, with HParams, and learn.Estimator of 2016."""

from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import numpy as np
import tensorflow as tf
from tensorflow.contrib.learn.python.learn import learn_runner
from tensorflow.contrib.learn.python.learn.estimators import model_fn as model_fn_lib
from tensorflow.contrib.learn.python.learn.utils import saved_model_export_utils

slim = tf.contrib.slim
learn = tf.contrib.learn
tf.logging.set_verbosity(tf.logging.ERROR)

FEATURES = np.random.RandomState(0).rand(40, 8).astype(np.float32)
LABELS = np.random.RandomState(1).randint(3, size=40)
WEIGHTS = np.linspace(-1, 1, 24).reshape(8, 3)


def input_fn():
  dataset = tf.data.Dataset.from_tensor_slices(({'x': FEATURES}, LABELS)).repeat().batch(10)
  return dataset.make_one_shot_iterator().get_next()


def network(x):
  return slim.fully_connected(x, 3, activation_fn=None,
                              weights_initializer=tf.constant_initializer(WEIGHTS))


def show(title, metrics):
  for name, value in sorted(metrics.items()):
    print(title, name, '%.5f' % value)


def model_fn(features, labels, mode, params):
  logits = network(features['x'])
  predictions = {'classes': tf.argmax(logits, 1)}
  if mode == learn.ModeKeys.INFER:
    outputs = {'serving_default': tf.estimator.export.PredictOutput(predictions)}
    return tf.estimator.EstimatorSpec(mode, predictions=predictions, export_outputs=outputs)
  loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
  train_op = tf.contrib.layers.optimize_loss(
      loss, tf.train.get_global_step(), params.learning_rate, params.optimizer)
  return tf.estimator.EstimatorSpec(
      mode, predictions, loss, train_op,
      {'accuracy': tf.metrics.accuracy(labels, predictions['classes'])})


def serving_input_fn():
  x = tf.placeholder(tf.float32, (None, 8))
  return tf.estimator.export.ServingInputReceiver({'x': x}, x)


def experiment_fn(run_config, hparams):
  estimator = tf.estimator.Estimator(model_fn=model_fn, params=hparams, config=run_config)
  return learn.Experiment(
      estimator, train_input_fn=input_fn, eval_input_fn=input_fn, train_steps=hparams.steps,
      eval_steps=4, min_eval_frequency=1,
      export_strategies=[saved_model_export_utils.make_export_strategy(serving_input_fn)])


def old_model_fn(features, labels, mode):
  logits = network(features)
  predictions = {'classes': tf.argmax(logits, 1), 'probabilities': tf.nn.softmax(logits)}
  loss = train_op = None
  if mode != learn.ModeKeys.INFER:
    loss = tf.losses.softmax_cross_entropy(tf.one_hot(labels, 3), logits)
  if mode == learn.ModeKeys.TRAIN:
    train_op = tf.contrib.layers.optimize_loss(
        loss=loss, global_step=tf.contrib.framework.get_global_step(), learning_rate=0.1,
        optimizer='SGD')
  return model_fn_lib.ModelFnOps(
      mode=mode, predictions=predictions, loss=loss, train_op=train_op)


def main(_):
  hparams = tf.contrib.training.HParams(learning_rate=0.5, optimizer='Adam', steps=5)
  hparams.parse('learning_rate=0.1,steps=6')
  config = learn.RunConfig(model_dir='model', tf_random_seed=1, save_checkpoints_steps=3)
  metrics, exports = learn_runner.run(
      experiment_fn=experiment_fn, run_config=config, schedule='train_and_evaluate',
      hparams=hparams)
  show('experiment', metrics)
  print([sorted(os.listdir(path)) for path in exports])

  classifier = learn.Estimator(model_fn=old_model_fn, model_dir='old_model')
  classifier.fit(x=FEATURES, y=LABELS, batch_size=16, steps=7)
  accuracy = learn.MetricSpec(metric_fn=tf.metrics.accuracy, prediction_key='classes')
  show('old', classifier.evaluate(x=FEATURES, y=LABELS, metrics={'accuracy': accuracy}))
  print([int(each['classes']) for each in classifier.predict(x=FEATURES)])
  weights = classifier.get_variable_value('fully_connected/weights')
  print(' '.join('%.5f' % each for each in weights.ravel()))


if __name__ == '__main__':
  tf.app.run()
