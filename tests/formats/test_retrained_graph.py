"""Graphs of `retrain.py`: a new classifier after the pooled features, all frozen in one file.

The classifiers have the names that the versions of the script gave to them. TensorFlow itself runs
each file for the expected probabilities.
"""

import os

from golden import graph_of_2015
from golden.weights import images, weights_for
from helpers import GOLDEN, close_to
import inception_slim
from inception_slim import checkpoint, evaluation, formats, inference
from inception_slim.checkpoint import CheckpointError
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tools import optimize_for_inference_lib
import tf_slim as slim

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
CLASSES = ('daisy', 'roses', 'tulips')
# The scopes of the weights, the biases and the sum in the versions of the script.
HEADS = {
    '2016-02': ('', '', ''),
    '2016-2018': ('final_training_ops/weights/', 'final_training_ops/biases/',
                  'final_training_ops/Wx_plus_b/'),
    'hub': ('final_retrain_ops/weights/', 'final_retrain_ops/biases/',
            'final_retrain_ops/Wx_plus_b/')}


def add_head(features, version, activation=tf.nn.softmax):
    """Adds the classifier of a version of the script."""
    weights_scope, biases_scope, sum_scope = HEADS[version]
    width = features.shape.as_list()[-1]
    features = tf.placeholder_with_default(features, (None, width),
                                           'input/BottleneckInputPlaceholder')
    weights = tf.Variable(weights_for('head/weights', (width, len(CLASSES))),
                          name=f'{weights_scope}final_weights')
    biases = tf.Variable(weights_for('head/biases', (len(CLASSES),)),
                         name=f'{biases_scope}final_biases')
    product = tf.matmul(features, weights, name=f'{sum_scope}MatMul' if sum_scope
                        else 'final_matmul')
    logits = tf.add(product, biases, name=f'{sum_scope}add' if sum_scope else 'add')
    activation(logits, name='final_result')


def freeze(path, session):
    frozen = tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), ['final_result'])
    path.write_bytes(frozen.SerializeToString())


def write_over_2015(path, version, **options):
    """Over the graph of December 2015, which takes images in [0, 255]."""
    with tf.Graph().as_default(), tf.Session() as session:
        features, = tf.import_graph_def(graph_of_2015.draw(), name='',
                                        return_elements=['pool_3/_reshape:0'])
        features.set_shape((None, features.op.inputs[0].shape[-1]))
        add_head(features, version, **options)
        session.run(tf.global_variables_initializer())
        freeze(path, session)
    return 'ResizeBilinear:0', lambda batch: (batch + 1) * 127.5


def write_over_slim(path, version):
    """Over TF-Slim's network: `inception_v3_2016_08_28_frozen.pb` takes images in [-1, 1]."""
    with tf.Graph().as_default(), tf.Session() as session, slim.arg_scope(
            inception_slim.inception_v3_arg_scope()):
        inception_slim.inception_v3(
            tf.placeholder(tf.float32, (None, 299, 299, 3), 'input'), num_classes=11,
            is_training=False, depth_multiplier=0.05, min_depth=4)
        checkpoint.restore(session, SLIM_V2)
        features = session.graph.get_tensor_by_name('InceptionV3/Logits/AvgPool_1a_8x8/AvgPool:0')
        add_head(tf.squeeze(features, [1, 2]), version)
        session.run([variable.initializer for variable in tf.global_variables()[-2:]])
        freeze(path, session)
    return 'input:0', lambda batch: batch


def write_over_hub(path, version):
    """Over a module of TF-Hub, which takes images in [0, 1]."""
    with tf.Graph().as_default(), tf.Session() as session, slim.arg_scope(
            inception_slim.inception_v3_arg_scope()):
        inputs = tf.placeholder(tf.float32, (None, 299, 299, 3))
        with tf.variable_scope('module', auxiliary_name_scope=False), \
                tf.name_scope('module_apply_default/'):
            _, end_points = inception_slim.inception_v3(
                tf.subtract(tf.multiply(inputs, 2.0, name='hub_input/Mul'), 1.0,
                            name='hub_input/Sub'),
                num_classes=11, is_training=False, depth_multiplier=0.05, min_depth=4)
        tf.train.Saver({variable.op.name.removeprefix('module/'): variable
                        for variable in tf.global_variables()}).restore(session, SLIM_V2)
        add_head(tf.reduce_mean(end_points['Mixed_7c'], [1, 2]), version)
        session.run([variable.initializer for variable in tf.global_variables()[-2:]])
        freeze(path, session)
    return 'Placeholder:0', lambda batch: (batch + 1) / 2


def run(path, tensor, batch):
    """The probabilities that TensorFlow computes with a file."""
    definition = tf.GraphDef()
    definition.ParseFromString(path.read_bytes())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(definition, name='')
        return session.run('final_result:0', {tensor: batch})


@pytest.mark.parametrize('write, version', [
    (write_over_2015, '2016-02'),
    pytest.param(write_over_hub, 'hub', marks=pytest.mark.slow),
    (write_over_slim, '2016-2018')])
def test_predicts_as_tensorflow(write, version, tmp_path):
    path = tmp_path / 'retrained_graph.pb'
    tensor, scale = write(path, version)
    (tmp_path / 'retrained_labels.txt').write_text('\n'.join(CLASSES))
    expected = run(path, tensor, scale(images(2)))
    assert checkpoint.inspect(path).num_classes == len(CLASSES)
    checkpoint.convert(path, tmp_path / 'slim')
    for source in (path, tmp_path / 'slim'):
        with inference.load(source) as predictor:
            np.testing.assert_allclose(predictor.predict(images(2)), expected, **close_to(expected))
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / 'image.png')
    result = evaluation.classify(path, [tmp_path / 'image.png'])
    assert set(result.predictions[0].labels) == set(CLASSES)


@pytest.mark.parametrize('write', [
    write_over_2015, pytest.param(write_over_slim, marks=pytest.mark.slow)])
def test_reads_graphs_optimized_for_inference(write, tmp_path):
    """TensorFlow for Poets folds batch norm into the convolutions."""
    path = tmp_path / 'retrained_graph.pb'
    tensor, scale = write(path, '2016-2018')
    definition = tf.GraphDef()
    definition.ParseFromString(path.read_bytes())
    (tmp_path / 'optimized.pb').write_bytes(optimize_for_inference_lib.optimize_for_inference(
        definition, [tensor.split(':')[0]], ['final_result'],
        tf.float32.as_datatype_enum).SerializeToString())
    expected = run(path, tensor, scale(images(2)))
    with inference.load(tmp_path / 'optimized.pb') as predictor:
        np.testing.assert_allclose(predictor.predict(images(2)), expected, **close_to(expected))


@pytest.mark.slow
def test_exports_with_its_labels(tmp_path):
    path = tmp_path / 'output_graph.pb'
    tensor, scale = write_over_2015(path, '2016-2018')
    (tmp_path / 'output_labels.txt').write_text('\n'.join(CLASSES))
    formats.export(path, tmp_path / 'served', format='saved-model')
    served = tf.saved_model.load_v2(str(tmp_path / 'served'))
    predictions = served.signatures['serving_default'](tf.constant(images(2)))
    expected = run(path, tensor, scale(images(2)))
    np.testing.assert_allclose(predictions['predictions'].numpy(), expected, **close_to(expected))
    encoded = tf.io.encode_jpeg(np.zeros((40, 50, 3), np.uint8))
    classes = served.signatures['encoded'](tf.stack([encoded, encoded]))['classes'].numpy()
    assert len(classes) == 2 and classes[0].decode() in CLASSES


def test_names_a_classifier_that_cannot_be_read(tmp_path):
    write_over_2015(tmp_path / 'sigmoid.pb', '2016-2018', activation=tf.nn.sigmoid)
    with pytest.raises(CheckpointError, match='applies Sigmoid to its dense layer, final_training'):
        checkpoint.inspect(tmp_path / 'sigmoid.pb')
