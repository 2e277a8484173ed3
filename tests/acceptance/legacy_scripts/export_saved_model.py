"""Exports Inception V3 for TensorFlow Serving, and freezes it; asks both."""
from __future__ import print_function

import os
import shutil

import numpy as np
import tensorflow as tf
from tensorflow.contrib import slim
from tensorflow.contrib.slim.nets import inception
from tensorflow.python.framework import graph_util
from tensorflow.python.saved_model import signature_constants, tag_constants
from tensorflow.python.tools import freeze_graph

tf.app.flags.DEFINE_string('checkpoint', 'data/inception_v3.ckpt', 'Weights.')
tf.app.flags.DEFINE_string('output_dir', 'serving', 'Where to export the model.')
tf.app.flags.DEFINE_integer('model_version', 1, 'Version number of the model.')
FLAGS = tf.app.flags.FLAGS

NUM_CLASSES = 5
IMAGE_SIZE = 149


def preprocess_image(image_buffer):
  image = tf.image.decode_jpeg(image_buffer, channels=3)
  image = tf.image.convert_image_dtype(image, dtype=tf.float32)
  image = tf.image.central_crop(image, central_fraction=0.875)
  image = tf.expand_dims(image, 0)
  image = tf.image.resize_bilinear(image, [IMAGE_SIZE, IMAGE_SIZE], align_corners=False)
  image = tf.squeeze(image, [0])
  return tf.multiply(tf.subtract(image, 0.5), 2.0)


def export(export_path):
  with tf.Graph().as_default():
    serialized = tf.placeholder(tf.string, name='tf_example')
    features = tf.parse_example(serialized, {
        'image/encoded': tf.FixedLenFeature(shape=[], dtype=tf.string)})
    images = tf.map_fn(preprocess_image, features['image/encoded'], dtype=tf.float32)
    images = tf.reshape(images, [-1, IMAGE_SIZE, IMAGE_SIZE, 3], name='images')
    with slim.arg_scope(inception.inception_v3_arg_scope()):
      logits, end_points = inception.inception_v3(
          images, NUM_CLASSES, is_training=False, depth_multiplier=0.05, min_depth=4)
    values, indices = tf.nn.top_k(end_points['Predictions'], 3)
    table = tf.contrib.lookup.index_to_string_table_from_tensor(
        tf.constant(['rows', 'columns', 'diagonals', 'checks', 'rings']))
    classes = table.lookup(tf.to_int64(indices))
    with tf.Session() as sess:
      tf.train.Saver().restore(sess, FLAGS.checkpoint)
      builder = tf.saved_model.builder.SavedModelBuilder(export_path)
      inputs = tf.saved_model.utils.build_tensor_info(serialized)
      signature = tf.saved_model.signature_def_utils.build_signature_def(
          inputs={signature_constants.CLASSIFY_INPUTS: inputs},
          outputs={
              signature_constants.CLASSIFY_OUTPUT_CLASSES:
                  tf.saved_model.utils.build_tensor_info(classes),
              signature_constants.CLASSIFY_OUTPUT_SCORES:
                  tf.saved_model.utils.build_tensor_info(values),
          },
          method_name=signature_constants.CLASSIFY_METHOD_NAME)
      predict = tf.saved_model.signature_def_utils.predict_signature_def(
          {'images': images}, {'logits': logits})
      legacy_init_op = tf.group(tf.tables_initializer(), name='legacy_init_op')
      builder.add_meta_graph_and_variables(
          sess, [tag_constants.SERVING],
          signature_def_map={
              'predict_images': predict,
              signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature,
          },
          legacy_init_op=legacy_init_op)
      builder.save()

      # The same for a phone: variables as constants, ops that only training needs left out.
      constant = graph_util.convert_variables_to_constants(
          sess, sess.graph.as_graph_def(), ['InceptionV3/Predictions/Reshape_1'])
      constant = tf.graph_util.remove_training_nodes(constant)
      with tf.gfile.GFile('frozen.pb', 'wb') as f:
        f.write(constant.SerializeToString())
  print('Successfully exported model to %s' % export_path)


def ask_served(export_path, filename):
  example = tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(
          value=[tf.gfile.GFile(filename, 'rb').read()]))}))
  with tf.Session(graph=tf.Graph()) as sess:
    meta_graph = tf.saved_model.loader.load(sess, [tag_constants.SERVING], export_path)
    for name in sorted(meta_graph.signature_def):
      signature = meta_graph.signature_def[name]
      print(name, signature.method_name, sorted(signature.inputs), sorted(signature.outputs))
    signature = meta_graph.signature_def['serving_default']
    classes, scores = sess.run(
        [signature.outputs['classes'].name, signature.outputs['scores'].name],
        {signature.inputs['inputs'].name: [example.SerializeToString()]})
    for name, score in zip(classes[0], scores[0]):
      print('%s %.6f' % (name.decode('utf-8'), score))
    images = sess.run('images:0', {'tf_example:0': [example.SerializeToString()]})
    predict = meta_graph.signature_def['predict_images']
    print('logits', ' '.join('%.5f' % each for each in sess.run(
        predict.outputs['logits'].name, {predict.inputs['images'].name: images})[0]))
  return images


def ask_frozen(path, images):
  graph_def = tf.GraphDef()
  graph_def.ParseFromString(tf.gfile.GFile(path, 'rb').read())
  with tf.Graph().as_default():
    logits, predictions = tf.import_graph_def(
        graph_def, input_map={'images:0': tf.constant(images)}, name='',
        return_elements=['InceptionV3/Logits/SpatialSqueeze:0',
                         'InceptionV3/Predictions/Reshape_1:0'])
    with tf.Session() as sess:
      print('frozen', ' '.join('%.5f' % each for each in sess.run(logits)[0]),
            'best %.5f' % sess.run(predictions).max())


def main(_):
  if os.path.exists(FLAGS.output_dir):
    shutil.rmtree(FLAGS.output_dir)
  export_path = os.path.join(FLAGS.output_dir, str(FLAGS.model_version))
  export(export_path)
  images = ask_served(export_path, 'data/images/rings_02.jpg')
  ask_frozen('frozen.pb', images)
  freeze_graph.freeze_graph(
      None, None, True, None, 'InceptionV3/Predictions/Reshape_1', None, None, 'again.pb', True, '',
      input_saved_model_dir=export_path, saved_model_tags=tag_constants.SERVING)
  ask_frozen('again.pb', images)
  print(sorted(np.unique(images.shape)))


if __name__ == '__main__':
  tf.app.run()
