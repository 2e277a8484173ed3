from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import argparse
import glob
import sys

import numpy as np
import tensorflow as tf


def load_graph(model_file):
  graph = tf.Graph()
  graph_def = tf.GraphDef()

  with open(model_file, "rb") as f:
    graph_def.ParseFromString(f.read())
  with graph.as_default():
    tf.import_graph_def(graph_def)

  print("%d nodes, producer %d" % (len(graph_def.node), graph_def.versions.producer))
  return graph


def read_tensor_from_image_file(file_name,
                                input_height=149,
                                input_width=149,
                                input_mean=127.5,
                                input_std=127.5):
  with tf.Graph().as_default():
    file_reader = tf.read_file(file_name, "file_reader")
    if file_name.endswith(".png"):
      image_reader = tf.image.decode_png(file_reader, channels=3, name="png_reader")
    else:
      image_reader = tf.image.decode_jpeg(file_reader, channels=3, name="jpeg_reader")
    float_caster = tf.cast(image_reader, tf.float32)
    dims_expander = tf.expand_dims(float_caster, 0)
    resized = tf.image.resize_bilinear(dims_expander, [input_height, input_width])
    normalized = tf.divide(tf.subtract(resized, [input_mean]), [input_std])
    with tf.Session() as sess:
      return sess.run(normalized)


def load_labels(label_file):
  label = []
  proto_as_ascii_lines = tf.gfile.GFile(label_file).readlines()
  for l in proto_as_ascii_lines:
    label.append(l.rstrip())
  return label


if __name__ == "__main__":
  parser = argparse.ArgumentParser()
  parser.add_argument("--images", default="data/images/*.jpg", help="images to be processed")
  parser.add_argument("--graph", default="data/frozen_inception_v3.pb", help="graph/model")
  parser.add_argument("--labels", default="data/labels.txt", help="name of file with labels")
  parser.add_argument("--input_layer", default="input", help="name of input layer")
  parser.add_argument("--output_layer", default="InceptionV3/Predictions/Reshape_1",
                      help="name of output layer")
  args = parser.parse_args()
  files = sorted(glob.glob(args.images))
  if not files:
    sys.exit("no images")

  graph = load_graph(args.graph)
  input_operation = graph.get_operation_by_name("import/" + args.input_layer)
  output_operation = graph.get_operation_by_name("import/" + args.output_layer)
  labels = load_labels(args.labels)

  with tf.Session(graph=graph) as sess:
    for image in files:
      t = read_tensor_from_image_file(image)
      results = sess.run(output_operation.outputs[0], {input_operation.outputs[0]: t})
      results = np.squeeze(results)
      top_k = results.argsort()[-5:][::-1]
      print(image)
      for i in top_k:
        print(labels[i], results[i])
    # The pooled features, for a classifier of one's own.
    pool = graph.get_tensor_by_name("import/InceptionV3/Logits/AvgPool_1a_3x3/AvgPool:0")
    features = sess.run(pool, {"import/input:0": t})
    print(features.shape, np.abs(features).sum())
