"""Keras models whose heads are not TF-Slim's, compared with the predictions of Keras."""

import os
import warnings

from golden.weights import images
import helpers
from helpers import GOLDEN, some_slow
from inception_slim import checkpoint, cli, formats, inference
from inception_slim.errors import CheckpointError
import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


def average():
    return layers.GlobalAveragePooling2D()


# The text of each head, and its layers.
HEADS = {
    'average-relu-sigmoid': lambda: [
        layers.BatchNormalization(), average(), layers.BatchNormalization(epsilon=0.01),
        layers.Dense(12, use_bias=False), layers.BatchNormalization(scale=False),
        layers.Activation('relu'), layers.Dropout(0.5), layers.BatchNormalization(),
        layers.Dense(9), layers.Dense(5), layers.BatchNormalization(),
        layers.Activation('sigmoid')],
    'average-sigmoid': lambda: [average(), layers.Dense(5, 'sigmoid')],
    'average-linear': lambda: [average(), layers.Dropout(0.5), layers.Dense(5)],
    'average-relu-relu-softmax': lambda: [  # as in nsfwjs
        layers.AveragePooling2D(8), layers.Flatten(), layers.Dense(12, 'relu'), layers.Dropout(0.5),
        layers.Dense(9, 'relu'), layers.Dropout(0.25), layers.Dense(5, 'softmax')],
    'max-relu-softmax': lambda: [
        layers.GlobalMaxPooling2D(), layers.Dense(12), layers.ReLU(),
        layers.Dense(1, 'sigmoid')],
    'flatten-relu-softmax': lambda: [
        layers.BatchNormalization(), layers.Flatten(), layers.BatchNormalization(),
        layers.Dense(12, 'relu'), layers.Dense(5), layers.Softmax()],
}


def build(base, head):
    """A Keras model with random weights in its head."""
    net = base.output
    rng = np.random.RandomState(0)
    for layer in head:
        net = layer(net)
        layer.set_weights([rng.uniform(0.5, 1.5, value.shape) if 'variance' in weight.name
                           or weight.name == 'gamma' else rng.normal(size=value.shape) / np.sqrt(
                               value.shape[0] if value.ndim == 2 else 100)
                           for weight, value in zip(layer.weights, layer.get_weights())])
    return keras.Model(base.input, net)


def answers(model):
    """What Keras predicts; two classes for one output."""
    expected = model.predict(images(3), verbose=0)
    return np.concatenate([1 - expected, expected], 1) if expected.shape[1] == 1 else expected


def assert_predicts(path, expected, **options):
    with inference.load(path, **options) as predictor:
        np.testing.assert_allclose(predictor.predict(images(3)), expected, atol=1e-5)


@pytest.mark.parametrize('head', some_slow(HEADS, 1))
def test_predicts_as_keras(base, head, tmp_path):
    model = build(base, HEADS[head]())
    expected = answers(model)
    assert np.ptp(expected, 0).max() > 1e-3  # images differ
    model.save(tmp_path / 'model.keras')
    assert checkpoint.convert(tmp_path / 'model.keras', tmp_path / 'slim').head == (
        checkpoint.inspect(tmp_path / 'model.keras').head)
    assert str(checkpoint.inspect(tmp_path / 'slim').head) == head
    assert_predicts(tmp_path / 'slim', expected)


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino', 'session'])
@pytest.mark.parametrize('head', HEADS)
def test_engines(base, head, engine, tmp_path):
    if engine != 'session':
        pytest.importorskip(engine)
    model = build(base, HEADS[head]())
    model.save(tmp_path / 'model.keras')
    assert_predicts(tmp_path / 'model.keras', answers(model), engine=engine)


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['session', 'tflite', 'openvino'])
@pytest.mark.parametrize('head', ['max-relu-softmax', 'flatten-relu-softmax'])
def test_int8(base, head, engine, tmp_path):
    """In int8 the last grid is pooled as in float32, and the head stays in float32."""
    if engine == 'openvino':
        pytest.importorskip(engine)
    model = build(base, HEADS[head]())
    model.save(tmp_path / 'model.keras')
    with inference.load(tmp_path / 'model.keras') as predictor:
        features = predictor.features(images(3))
    with inference.load(tmp_path / 'model.keras', engine=engine, precision='int8',
                        calibration_images=images(8)) as predictor:
        quantized = predictor.features(images(3))
        np.testing.assert_allclose(predictor.predict(images(3)), answers(model), atol=0.05)
    assert np.abs(quantized - features).max() < 0.1 * features.max()


@pytest.mark.slow
@pytest.mark.parametrize('head', ['average-linear', 'average-sigmoid'])
def test_classify_uses_the_activation(base, head, tmp_path, capsys):
    """A head without activation is printed as it is, not in percent."""
    build(base, HEADS[head]()).save(tmp_path / 'model.keras')
    file = os.path.join(GOLDEN, 'legacy_scripts', 'images', 'checks_01.jpg')
    report = tmp_path / 'report.html'
    assert cli.main(['classify', str(tmp_path / 'model.keras'), file, '--report', str(report)]) == 0
    with inference.load(tmp_path / 'model.keras') as predictor:
        values = np.sort(predictor.predict(file)[0])[::-1]
        logits = np.sort(predictor.logits(file)[0])[::-1]
    expected = logits if head == 'average-linear' else 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    text = f'{values[0]:.4g}' if head == 'average-linear' else f'{values[0]:.2%}'
    assert text in capsys.readouterr().out and text in report.read_text()


@pytest.mark.slow
def test_restore_names_the_head(base, tmp_path):
    """TF-Slim's graph has no hidden layers; without `Logits` the base network is restored."""
    build(base, HEADS['max-relu-softmax']()).save(tmp_path / 'model.keras')
    with tf.Graph().as_default(), tf.Session() as session:
        helpers.build(num_classes=2, is_training=False, create_aux_logits=False,
                      depth_multiplier=0.05, min_depth=4)
        with pytest.raises(CheckpointError, match=r"has the head max-relu-softmax.*\['Logits'\]"):
            checkpoint.restore(session, tmp_path / 'model.keras')
        result = checkpoint.restore(session, tmp_path / 'model.keras', exclude=['Logits'])
    assert all('/Logits/' in name for name in result.excluded)


def run_saved_model(path, batch):
    serve = tf2.saved_model.load(path).signatures['serving_default']
    return serve(images=tf2.constant(batch))['predictions'].numpy()


def run_frozen(path, batch):
    with tf.Graph().as_default(), tf.Session() as session:
        with open(path, 'rb') as file:
            tf.import_graph_def(tf.GraphDef.FromString(file.read()), name='')
        return session.run('InceptionV3/Predictions/Reshape_1:0', {'input:0': batch})


def run_tflite(path, batch):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of its removal
        interpreter = tf.lite.Interpreter(path)
    interpreter.resize_tensor_input(0, batch.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, batch)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]['index'])


def run_onnx(path, batch):
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def run_openvino(path, batch):
    openvino = pytest.importorskip('openvino')
    model = openvino.Core().compile_model(os.path.join(path, 'openvino_model.xml'), 'CPU',
                                          {'INFERENCE_PRECISION_HINT': 'f32'})
    assert [output.get_any_name() for output in model.outputs] == ['logits', 'predictions']
    return model(batch)['predictions']


def run_keras(path, batch):
    return keras.models.load_model(path).predict(batch, verbose=0)


RUNS = {'frozen': run_frozen, 'onnx': run_onnx, 'openvino': run_openvino, 'keras': run_keras,
        'saved-model': run_saved_model, 'tflite': run_tflite}


@pytest.mark.parametrize('head', some_slow(['max-relu-sigmoid', *HEADS], 1))
@pytest.mark.parametrize('format', some_slow(RUNS, 2))
@pytest.mark.slow
def test_exports(base, head, format, tmp_path):
    """Each export, run by its own library, predicts as Keras, and is read again with its head."""
    if format in ('onnx', 'openvino'):
        pytest.importorskip(format)
    layers = HEADS[head]() if head in HEADS else [
        keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(12, 'relu'),
        keras.layers.Dense(5, 'sigmoid')]
    model = build(base, layers)
    model.save(tmp_path / 'model.keras')
    path = str(tmp_path / ('out.keras' if format == 'keras' else 'out'))
    formats.export(tmp_path / 'model.keras', path, format=format)
    np.testing.assert_allclose(RUNS[format](path, images(3)), answers(model), atol=1e-5)
    if format != 'tflite':
        info, weights = checkpoint.read(path)
        assert str(info.head) == head
        _, expected = checkpoint.read(tmp_path / 'model.keras')
        for name in weights:
            if name.startswith('Logits/'):
                np.testing.assert_allclose(weights[name], expected[name], rtol=1e-6)


@pytest.mark.slow
def test_models_in_memory(base, tmp_path):
    model = build(base, HEADS['average-relu-sigmoid']())
    expected = answers(model)
    with inference.load(model) as predictor:
        np.testing.assert_allclose(predictor.predict(images(3)), expected, atol=1e-5)
        assert predictor.info.path == f'the Keras model {model.name}'
    checkpoint.convert(model, tmp_path / 'model.ckpt')
    with inference.load(tmp_path / 'model.ckpt') as predictor:
        np.testing.assert_allclose(predictor.predict(images(3)), expected, atol=1e-5)
    with pytest.raises(TypeError):
        inference.load(keras.Layer())
