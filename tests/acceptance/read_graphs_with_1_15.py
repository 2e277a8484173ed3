"""Prints what TensorFlow 1.15.5 computes from the files of legacy_scripts/write_graphs.py.

    v115/bin/python tests/acceptance/read_graphs_with_1_15.py FOLDER [FILE ...]

Runs on Python 3.7. A FILE is `NAME:INPUT:OUTPUT`, a frozen graph or a SavedModel beside the others.
"""

import os
import sys

from google.protobuf import text_format
import numpy as np
import tensorflow as tf

FILES = ['%s:images:probabilities' % name for name in (
    'graph.pbtxt', 'graph.pb', 'constant.pb', 'frozen.pb', 'saved_model', 'model.ckpt.meta')]


def load(path, session):
    if path.endswith('.meta'):
        tf.train.import_meta_graph(path).restore(session, path[:-len('.meta')])
    elif os.path.isdir(path):
        tf.saved_model.loader.load(session, ['serve'], path)
    else:
        graph = tf.GraphDef()
        with open(path, 'rb') as file:
            content = file.read()
        if path.endswith('.pbtxt'):
            text_format.Merge(content, graph)
        else:
            graph.ParseFromString(content)
        tf.import_graph_def(graph, name='')
        if os.path.basename(path).startswith('graph.'):
            tf.train.Saver(var_list={
                node.name: session.graph.get_tensor_by_name(node.name + ':0')
                for node in graph.node if node.op == 'VariableV2'}).restore(
                    session, os.path.join(os.path.dirname(path), 'model.ckpt'))


def main():
    folder = sys.argv[1]
    for file in FILES + sys.argv[2:]:
        name, input_name, output_name = file.split(':')
        with tf.Graph().as_default(), tf.Session() as session:
            load(os.path.join(folder, name), session)
            side = session.graph.get_tensor_by_name(input_name + ':0').shape[1].value
            images = np.linspace(-1, 1, side * side * 3).reshape(1, side, side, 3)
            outputs = session.run(output_name + ':0', {input_name + ':0': images})[0]
            print(name, ' '.join('%.5f' % each for each in outputs))


if __name__ == '__main__':
    main()
