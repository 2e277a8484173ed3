"""Evaluates a checkpoint with slim.evaluation and streaming metrics."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import math

import tensorflow as tf

from nets import inception_v3
from preprocessing import inception_preprocessing
from read_records import get_split

slim = tf.contrib.slim

FLAGS = tf.app.flags.FLAGS
tf.app.flags.DEFINE_integer('batch_size', 10, 'The number of samples in each batch.')
tf.app.flags.DEFINE_integer('max_num_batches', None, 'Max number of batches; all by default.')
tf.app.flags.DEFINE_string('master', '', 'The address of the TensorFlow master to use.')
tf.app.flags.DEFINE_string('checkpoint_path', 'data/inception_v3.ckpt', 'What to evaluate.')
tf.app.flags.DEFINE_string('eval_dir', 'eval', 'Directory where the results are saved to.')


def main(_):
  tf.logging.set_verbosity(tf.logging.INFO)
  with tf.Graph().as_default():
    tf_global_step = slim.get_or_create_global_step()
    dataset = get_split('validation', 'data')
    provider = slim.dataset_data_provider.DatasetDataProvider(
        dataset, shuffle=False, num_epochs=1, num_readers=1,
        common_queue_capacity=2 * FLAGS.batch_size, common_queue_min=FLAGS.batch_size)
    [image, label] = provider.get(['image', 'label'])
    image = inception_preprocessing.preprocess_image(image, 149, 149, is_training=False)
    images, labels = tf.train.batch([image, label], batch_size=FLAGS.batch_size, num_threads=1,
                                    capacity=5 * FLAGS.batch_size, allow_smaller_final_batch=True)
    with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
      logits, _ = inception_v3.inception_v3(
          images, dataset.num_classes, is_training=False,
          depth_multiplier=0.05, min_depth=4)
    variables_to_restore = slim.get_variables_to_restore()
    predictions = tf.argmax(logits, 1)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)

    names_to_values, names_to_updates = slim.metrics.aggregate_metric_map({
        'Accuracy': slim.metrics.streaming_accuracy(predictions, labels),
        'Recall_2': slim.metrics.streaming_sparse_recall_at_k(logits, labels, 2),
        'Loss': slim.metrics.streaming_mean(loss),
        'Precision_rings': slim.metrics.streaming_precision(
            tf.equal(predictions, 4), tf.equal(labels, 4)),
    })
    for name in sorted(names_to_values):
      op = tf.summary.scalar('eval/%s' % name, names_to_values[name], collections=[])
      tf.add_to_collection(tf.GraphKeys.SUMMARIES, op)

    if FLAGS.max_num_batches:
      num_batches = FLAGS.max_num_batches
    else:
      num_batches = int(math.ceil(dataset.num_samples / float(FLAGS.batch_size)))
    print('%d batches at step %s' % (num_batches, tf_global_step.op.name))
    names = sorted(names_to_values)
    values = slim.evaluation.evaluate_once(
        master=FLAGS.master,
        checkpoint_path=FLAGS.checkpoint_path,
        logdir=FLAGS.eval_dir,
        num_evals=num_batches,
        eval_op=list(names_to_updates.values()),
        final_op=[names_to_values[name] for name in names],
        variables_to_restore=variables_to_restore)
    for name, value in zip(names, values):
      print('eval/%s[%.6f]' % (name, value))
  for event_file in tf.gfile.Glob(FLAGS.eval_dir + '/events*'):
    for event in tf.train.summary_iterator(event_file):
      for value in sorted(event.summary.value, key=lambda each: each.tag):
        if value.tag.startswith('eval/'):
          print('summary %s %.6f' % (value.tag, value.simple_value))


if __name__ == '__main__':
  tf.app.run()
