"""Keras models in SavedModels and checkpoints of TensorFlow 2, compared with Keras."""

import os
import re

from golden.weights import images
from helpers import GOLDEN, some_slow
from inception_slim import checkpoint, inference
from inception_slim.errors import CheckpointError
import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.protobuf import saved_model_pb2

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
SAVERS = {
    'export': lambda model, path: model.export(path, verbose=False),
    'saved_model': tf.saved_model.save,
    'checkpoint': lambda model, path: tf.train.Checkpoint(model=model).save(f'{path}/model'),
}
EXACT = {'export': 'SavedModel of Keras', 'saved_model': 'SavedModel of Keras'}


def build(base, head, prepare=lambda net: net):
    """A Keras model with layers before and after the base network; weights are random."""
    net = inputs = keras.Input(base.input_shape[1:])
    net = base(prepare(net), training=False)
    rng = np.random.RandomState(0)
    for layer in head:
        net = layer(net)
        layer.set_weights([rng.uniform(0.5, 1.5, value.shape) if 'variance' in weight.name
                           else rng.normal(size=value.shape) / np.sqrt(value.shape[0])
                           for weight, value in zip(layer.weights, layer.get_weights())])
    return keras.Model(inputs, net)


def head(activation='softmax'):
    return [layers.GlobalAveragePooling2D(), layers.Dense(12, 'relu'), layers.BatchNormalization(),
            layers.Dropout(0.5), layers.Dense(5, activation)]


def assert_predicts(path, model, scale=lambda batch: batch):
    """Compares the predictions of a file for images in [-1, 1] with those of Keras."""
    expected = np.asarray(model(scale(images(3)), training=False))
    assert np.ptp(expected, 0).max() > 1e-3  # images differ
    with inference.load(path) as predictor:
        np.testing.assert_allclose(predictor.predict(images(3)), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('saver', EXACT)
def test_saved_models_predict_as_keras(base, saver, tmp_path):
    model = build(base, head('sigmoid'))
    SAVERS[saver](model, str(tmp_path / 'model'))
    info = checkpoint.inspect(tmp_path / 'model')
    assert (info.format, str(info.head), info.has_structure) == (
        EXACT[saver], 'average-relu-sigmoid', True)
    assert_predicts(tmp_path / 'model', model)


# What comes before the network, and how Keras takes images in [-1, 1] then.
SCALINGS = {
    'preprocess_input': (keras.applications.inception_v3.preprocess_input,
                         lambda batch: (batch + 1) * 127.5),
    'channels': (lambda net: (0.5 - net / np.float32([300, 255, 400])) * 2 + 1,
                 lambda batch: (batch + 1) * 127.5),
    'from_0_to_1': (layers.Rescaling(2.0, -1.0), lambda batch: (batch + 1) / 2),
    'normalization': (layers.Normalization(mean=[90, 100, 110], variance=[900, 2500, 1600]),
                      lambda batch: (batch + 1) * 127.5),
}


@pytest.mark.parametrize('kind', some_slow(['.keras', 'export'], 1))
@pytest.mark.parametrize('scaling', some_slow(SCALINGS, 2))
@pytest.mark.slow
def test_reads_the_scaling_of_images(base, scaling, kind, tmp_path):
    prepare, scale = SCALINGS[scaling]
    model = build(base, head(), prepare)
    path = str(tmp_path / 'model') + kind.replace('export', '')
    (SAVERS['export'] if kind == 'export' else type(model).save)(model, path)
    assert_predicts(path, model, scale)


@pytest.mark.slow
def test_reads_a_lambda_layer_from_the_graph(base, tmp_path):
    """A .keras file has the code of the layer, which is not run."""
    model = build(base, head(), layers.Lambda(lambda net: net / 255 - 0.5))
    model.save(tmp_path / 'model.keras')
    with pytest.raises(CheckpointError, match=r'lambda\w* \(Lambda\) before the network.*export'):
        checkpoint.inspect(tmp_path / 'model.keras')
    SAVERS['export'](model, str(tmp_path / 'model'))
    assert_predicts(tmp_path / 'model', model, lambda batch: (batch + 1) * 127.5)


@pytest.mark.slow
@pytest.mark.parametrize('change, message', [
    (lambda base: layers.Conv2D(3, 3, name='other'), 'other'),
    (lambda base: layers.Activation('tanh'), 'tanh'),
    (lambda base: layers.GlobalAveragePooling2D(keepdims=True),
     r'\(GlobalAveragePooling2D\) (does not pool|is not supported here)'),  # by Keras' version
])
def test_refuses_other_structures(base, change, message, tmp_path):
    """What stands between the base network and its head is examined as in a .keras file."""
    model = build(base, [change(base), *head()])
    SAVERS['export'](model, str(tmp_path / 'model'))
    info = checkpoint.inspect(tmp_path / 'model')
    assert info.num_classes is None and re.search(message, ' '.join(info.notes))


def keras_checkpoint(base, folder, activation='softmax'):
    """A checkpoint of a model with one dense layer, after a step of training."""
    model = build(base, [layers.GlobalAveragePooling2D(), layers.Dense(5, activation)])
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(os.path.join(folder, 'model'))
    return model


@pytest.mark.slow
def test_checkpoints_predict_as_keras(base, tmp_path):
    model = keras_checkpoint(base, tmp_path / 'run')
    for path in ('run', 'run/model-1', 'run/model-1.index'):
        info = checkpoint.inspect(tmp_path / path)
        assert (info.format, info.num_classes, info.has_structure) == (
            'TensorFlow 2 checkpoint of Keras', 5, False)
    assert 'average pooling and a softmax are assumed' in ' '.join(info.notes)
    assert_predicts(tmp_path / 'run', model)
    checkpoint.convert(tmp_path / 'run', tmp_path / 'slim.ckpt')
    assert_predicts(tmp_path / 'slim.ckpt', model)


@pytest.mark.slow
def test_refuses_two_layers_of_one_name(base, tmp_path):
    """Which of them belongs to the network is not known."""
    name = next(layer.name for layer in base.layers if 'BatchNorm' in layer.name)
    model = build(base, [layers.GlobalAveragePooling2D(), layers.BatchNormalization(name=name),
                         layers.Dense(5)])
    model.save(tmp_path / 'model.keras')
    tf.train.Checkpoint(model).write(str(tmp_path / 'model'))
    with pytest.raises(CheckpointError, match=f'2 layers with the name {name}'):
        checkpoint.inspect(tmp_path / 'model.keras')
    with pytest.raises(CheckpointError, match=f'several variables with the name {name}'):
        checkpoint.inspect(tmp_path / 'model')
    twins = [base, keras.models.clone_model(base)]
    tf.train.Checkpoint(first=twins[0], second=twins[1]).write(str(tmp_path / 'twins'))
    with pytest.raises(CheckpointError, match='several variables with the name'):
        checkpoint.read(tmp_path / 'twins')


def test_reads_variables_with_names_of_tf_slim(tmp_path):
    """`tf.train.Checkpoint` of variables that a converted script created."""
    expected = checkpoint.read(ELEVEN)[1]
    variables = {name: tf.Variable(value, name=f'InceptionV3/{name}')
                 for name, value in expected.items()}
    tf.train.Checkpoint(**{name.replace('/', '-'): value for name, value in variables.items()}
                        ).write(str(tmp_path / 'model'))
    info, weights = checkpoint.read(tmp_path / 'model')
    assert info.format == 'TensorFlow 2 checkpoint' and set(weights) == set(expected)
    for name, value in weights.items():
        np.testing.assert_array_equal(value, expected[name])


def write_graph(folder, definition):
    """A SavedModel of a Keras convolution with any graph."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.get_variable('conv2d/kernel', (3, 3, 3, 2))
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(folder / 'variables' / 'variables'))
    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    graph.graph_def.CopyFrom(definition)
    graph.signature_def['serving_default'].outputs['output'].name = 'call:0'
    (folder / 'saved_model.pb').write_bytes(model.SerializeToString())


def calling_graph(name, callees):
    """A graph that calls the function `name`; `callees` are those that each function calls."""
    definition = tf1.GraphDef()
    definition.node.add(name='call', op='PartitionedCall').attr['f'].func.name = name
    for caller, names in callees.items():
        function = definition.library.function.add()
        function.signature.name = caller
        function.signature.output_arg.add(name='result')
        function.ret['result'] = 'call_0:output:0'
        for number, callee in enumerate(names):
            function.node_def.add(
                name=f'call_{number}', op='PartitionedCall').attr['f'].func.name = callee
    return definition


@pytest.mark.parametrize('definition, message', [
    (calling_graph('self', {'self': ['self']}), 'call each other without end'),
    (calling_graph('f0', {f'f{number}': [f'f{number + 1}'] * 20 for number in range(15)}),
     'more than 200,000 nodes'),
    (calling_graph('f0', {'f0': []}), 'refers to the node'),
    (tf1.GraphDef(node=[{'name': 'call', 'op': 'Identity', 'input': ['other']},
                        {'name': 'other', 'op': 'Identity', 'input': ['call']}]),
     'is not an Inception'),
    (tf1.GraphDef(node=[
        {'name': 'call', 'op': 'Conv2D', 'input': ['images', 'copy']},
        {'name': 'images', 'op': 'Placeholder'},
        {'name': 'copy', 'op': 'Identity', 'input': ['again']},
        {'name': 'again', 'op': 'Identity', 'input': ['copy']}]), 'is not an Inception'),
], ids=['recursion', 'bomb', 'missing node', 'cycle', 'cycle of a kernel'])
def test_refuses_graphs_that_do_not_end(definition, message, tmp_path):
    write_graph(tmp_path, definition)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.inspect(tmp_path)
