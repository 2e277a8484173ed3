"""What FaceNet's own program makes of drawn weights and embeddings, on TensorFlow 1.15.5.

Writes facenet_graph.pb.gz and facenet_pairs.npz beside this file:

    python3.7 -m venv v115
    v115/bin/pip install "tensorflow==1.15.5" "protobuf<3.21" "numpy<1.19" scipy scikit-learn
    v115/bin/pip install --no-deps facenet==1.0.5
    v115/bin/python tests/golden/make_facenet.py

facenet_graph.pb.gz   the frozen graph of Inception-ResNet V1 with `input`, `phase_train` and
                      `embeddings`, 512 numbers, as FaceNet freezes it. The weights are left out:
                      tests fill in `weights_for(name, shape)`, for which
                      inception_resnet_v1.npz has the embeddings.
facenet_pairs.npz     the figures of FaceNet's validation for the embeddings of `pairs()`.
"""

import gzip
import importlib.util
import os
import sys

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
# The modules of the package import each other as scripts in one folder do.
sys.path.insert(0, os.path.join(os.path.dirname(
    importlib.util.find_spec('facenet').origin), 'src'))
import lfw
from models import inception_resnet_v1
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics
from weights import pairs


def make_graph():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        inputs = tf.placeholder(tf.float32, (None, 160, 160, 3), name='input')
        phase_train = tf.placeholder(tf.bool, name='phase_train')
        prelogits, _ = inception_resnet_v1.inference(
            inputs, 0.8, phase_train=phase_train, bottleneck_layer_size=512, weight_decay=5e-4)
        tf.nn.l2_normalize(prelogits, 1, 1e-10, name='embeddings')
        session.run(tf.global_variables_initializer())
        definition = graph.as_graph_def()
        for node in definition.node:  # as FaceNet's freeze_graph.py
            if node.op == 'RefSwitch':
                node.op = 'Switch'
                for index, name in enumerate(node.input):
                    if 'moving_' in name:
                        node.input[index] = name + '/read'
            elif node.op in ('AssignSub', 'AssignAdd'):
                node.op = node.op.replace('Assign', '')
                if 'use_locking' in node.attr:
                    del node.attr['use_locking']
        frozen = tf.graph_util.convert_variables_to_constants(
            session, definition, ['embeddings', 'phase_train'])
    for node in frozen.node:
        if node.op == 'Const' and node.attr['value'].tensor.ByteSize() > 1000:
            node.attr['value'].tensor.ClearField('tensor_content')
    with open(os.path.join(HERE, 'facenet_graph.pb.gz'), 'wb') as file:
        with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
            packed.write(frozen.SerializeToString())


def make_pairs():
    embeddings, same = pairs()
    tpr, fpr, accuracy, val, val_std, far = lfw.evaluate(embeddings, same)
    np.savez_compressed(
        os.path.join(HERE, 'facenet_pairs.npz'), accuracy=accuracy, tpr=tpr, fpr=fpr,
        val=[val, val_std, far], auc=metrics.auc(fpr, tpr),
        eer=brentq(lambda x: 1. - x - interp1d(fpr, tpr)(x), 0., 1.))


make_graph()
make_pairs()
