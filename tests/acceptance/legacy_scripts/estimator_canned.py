"""Canned estimators over feature columns, as in the tutorials of tf.estimator."""

from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import numpy as np
import tensorflow as tf

tf.logging.set_verbosity(tf.logging.ERROR)

KINDS = ('round', 'flat', 'long')
RANDOM = np.random.RandomState(0)
SIZES = RANDOM.rand(60).astype(np.float32)
CHOSEN = RANDOM.choice(KINDS, 60)
LABELS = ((SIZES > 0.5) ^ (CHOSEN == 'flat')).astype(np.int64)

size = tf.feature_column.numeric_column('size')
kind = tf.feature_column.categorical_column_with_vocabulary_list('kind', KINDS)
buckets = tf.feature_column.bucketized_column(size, [0.25, 0.5, 0.75])
crossed = tf.feature_column.crossed_column([kind, buckets], 50)
dense = [size, tf.feature_column.indicator_column(kind)]


def train_input_fn():
  dataset = tf.data.Dataset.from_tensor_slices(({'size': SIZES, 'kind': CHOSEN}, LABELS))
  return dataset.repeat().batch(10)


eval_input_fn = tf.estimator.inputs.numpy_input_fn(
    {'size': SIZES, 'kind': CHOSEN}, LABELS, batch_size=20, num_epochs=1, shuffle=False)


def write_weights(shapes):
  """Writes a checkpoint to start from; random weights differ between versions."""
  with tf.Graph().as_default(), tf.Session() as session:
    for name, shape in shapes.items():
      values = np.linspace(-1, 1.3, np.prod(shape)).reshape(shape)
      tf.get_variable(name, initializer=tf.constant(values, tf.float32))
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(session, os.path.join('weights', 'first'))


def run(name, estimator):
  estimator.train(train_input_fn, max_steps=20)
  for metric, value in sorted(estimator.evaluate(eval_input_fn).items()):
    print(name, metric, '%.4f' % value)
  predictions = list(estimator.predict(eval_input_fn))
  print(name, len(predictions), sorted(predictions[0]))
  print(name, estimator.get_variable_names())
  spec = tf.feature_column.make_parse_example_spec([size, kind])
  path = estimator.export_savedmodel(
      name, tf.estimator.export.build_parsing_serving_input_receiver_fn(spec)).decode()
  with tf.Graph().as_default(), tf.Session() as session:
    signatures = tf.saved_model.loader.load(session, ['serve'], path).signature_def
    for key in sorted(signatures):
      print(name, key, signatures[key].method_name, sorted(signatures[key].outputs))


run('linear', tf.estimator.LinearClassifier(
    [size, kind, crossed], model_dir='linear_model', optimizer=tf.train.FtrlOptimizer(0.1)))
first = write_weights({
    'dnn/hiddenlayer_0/kernel': (4, 8), 'dnn/hiddenlayer_0/bias': (8,),
    'dnn/hiddenlayer_1/kernel': (8, 4), 'dnn/hiddenlayer_1/bias': (4,),
    'dnn/logits/kernel': (4, 1), 'dnn/logits/bias': (1,)})
run('dnn', tf.estimator.DNNClassifier(
    hidden_units=[8, 4], feature_columns=dense, model_dir='dnn_model', warm_start_from=first,
    config=tf.estimator.RunConfig(save_checkpoints_steps=10)))
run('regressor', tf.estimator.LinearRegressor(dense, 'regressor_model'))
