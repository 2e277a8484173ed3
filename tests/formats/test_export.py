"""Predictions of every exported format, compared with TensorFlow 1.15.5; errors of `export`."""

import dataclasses
import json
import os
import sys

import fork_server
from golden.weights import images, patchwork
from helpers import GOLDEN, golden_arrays, softmax
from inception_slim import checkpoint, formats, inference
from inception_slim.errors import CheckpointError, DatasetError
from inception_slim.formats import ExportError, registry, tfjs
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf


def path_of(name):
    return os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')


def write_wide_classifier(path, stddev):
    """A checkpoint with 1,001 classes, whose weights have this standard deviation."""
    info, weights = checkpoint.read(path_of('slim_v2'))
    kernel = weights['Logits/Conv2d_1c_1x1/weights']
    weights['Logits/Conv2d_1c_1x1/weights'] = np.float32(
        stddev * np.random.RandomState(1).randn(*kernel.shape[:3], 1001))
    weights['Logits/Conv2d_1c_1x1/biases'] = np.zeros(1001, np.float32)
    checkpoint.write_network(info, weights, str(path))


@pytest.fixture(scope='module')
def golden():
    return {name: softmax(logits) for name, logits in golden_arrays('checkpoints').items()}


@pytest.fixture(scope='module')
def png_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number, image in enumerate(np.uint8(images(2) * 127 + 128)):
        (folder / f'{number}.png').write_bytes(tf2.io.encode_png(image).numpy())
    return folder


class TestFormats:

    def test_saved_model(self, tmp_path, golden, png_folder):
        (tmp_path / 'labels.txt').write_text(''.join(f'{i}:class {i}\n' for i in range(11)))
        result = formats.export(path_of('slim_v1'), tmp_path / 'saved', format='saved-model',
                             labels=tmp_path / 'labels.txt')
        assert result.generated and result.max_difference < 1e-5
        assert result.same_top1 == result.images
        loaded = tf2.saved_model.load(str(tmp_path / 'saved'))
        answers = loaded.signatures['serving_default'](images=tf2.constant(images(2)))
        np.testing.assert_allclose(answers['predictions'], golden['slim_v1'], atol=1e-5)
        np.testing.assert_allclose(answers['logits'], golden_arrays('checkpoints')['slim_v1'],
                                   atol=1e-4)
        encoded = [(png_folder / f'{i}.png').read_bytes() for i in range(2)]
        encoded.append(tf2.io.encode_jpeg(np.zeros((50, 80, 1), np.uint8)).numpy())
        answers = loaded.signatures['encoded'](encoded=tf2.constant(encoded))
        best = answers['predictions'].numpy().argmax(axis=1)
        assert answers['classes'].numpy().tolist() == [f'class {i}'.encode() for i in best]
        assert (tmp_path / 'saved' / 'assets' / 'labels.txt').read_text() == (
            tmp_path / 'labels.txt').read_text()
        # With the loader of TensorFlow 1.
        with tf.Graph().as_default(), tf.Session() as session:
            tf.saved_model.load(session, ['serve'], str(tmp_path / 'saved'))

    def test_frozen(self, tmp_path, golden):
        result = formats.export(path_of('renamed'), tmp_path / 'frozen.pb', format='frozen')
        assert result.size == (tmp_path / 'frozen.pb').stat().st_size
        definition = tf.GraphDef.FromString((tmp_path / 'frozen.pb').read_bytes())
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(definition, name='')
            actual = session.run('InceptionV3/Predictions/Reshape_1:0', {'input:0': images(2)})
        np.testing.assert_allclose(actual, golden['renamed'], atol=1e-5)

    # TensorFlow deprecates its own interpreter.
    @pytest.mark.filterwarnings(r'ignore:\s*Warning. tf.lite.Interpreter is deprecated')
    @pytest.mark.parametrize('precision, tolerance', [('float32', 1e-5), ('float16', 1e-2),
                                                 ('int8', 0.2)])
    def test_tflite(self, tmp_path, golden, png_folder, precision, tolerance):
        file = tmp_path / 'model.tflite'
        result = formats.export(path_of('slim_v2'), file, format='tflite', precision=precision,
                             calibration_images=png_folder)
        assert (result.images, result.generated, result.precision) == (2, False, precision)
        interpreter = tf.lite.Interpreter(model_path=str(file))
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        assert source['dtype'] == target['dtype'] == np.float32
        interpreter.resize_tensor_input(source['index'], (2, 299, 299, 3))
        interpreter.allocate_tensors()
        interpreter.set_tensor(source['index'], images(2))
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(target['index']), golden['slim_v2'],
                                   atol=tolerance)

    @pytest.mark.filterwarnings(r'ignore:\s*Warning. tf.lite.Interpreter is deprecated')
    @pytest.mark.slow
    def test_tflite_int8_with_a_thousand_similar_probabilities(self, tmp_path):
        """A probability of one in a thousand is less than the step of an int8 probability."""
        write_wide_classifier(tmp_path / 'model.ckpt', 0.05)
        result = formats.export(tmp_path / 'model.ckpt', tmp_path / 'model.tflite', format='tflite',
                                precision='int8', calibration_images=patchwork(16, 299))
        assert result.same_top1 >= 0.8 * result.images == 0.8 * 16

    @pytest.mark.filterwarnings(r'ignore:\s*Warning. tf.lite.Interpreter is deprecated')
    @pytest.mark.slow
    def test_int8_that_predicts_other_classes_is_written_only_if_accepted(self, tmp_path):
        write_wide_classifier(tmp_path / 'model.ckpt', 1e-7)  # as good as equal probabilities
        arguments = {'format': 'tflite', 'precision': 'int8',
                     'calibration_images': patchwork(8, 299)}
        with pytest.raises(ExportError, match='predicts another class than .* for . of 8 images'):
            formats.export(tmp_path / 'model.ckpt', tmp_path / 'model.tflite', **arguments)
        assert not (tmp_path / 'model.tflite').exists()
        result = formats.export(tmp_path / 'model.ckpt', tmp_path / 'model.tflite',
                                accept_loss=True, **arguments)
        assert result.same_top1 < 0.8 * 8 and (tmp_path / 'model.tflite').exists()

    @pytest.mark.slow
    @pytest.mark.parametrize('name', ['slim_v2', 'gamma'])
    def test_keras(self, tmp_path, golden, name):
        formats.export(path_of(name), tmp_path / 'model.keras', format='keras')
        model = tf2.keras.models.load_model(tmp_path / 'model.keras')
        np.testing.assert_allclose(model(images(2), training=False), golden[name], atol=1e-5)

    @pytest.mark.parametrize('precision, tolerance', [
        ('float32', 1e-5), pytest.param('float16', 1e-2, marks=pytest.mark.slow)])
    def test_onnx(self, tmp_path, golden, precision, tolerance):
        file = tmp_path / 'model.onnx'
        formats.export(path_of('slim_v2'), file, format='onnx', precision=precision)
        session = onnxruntime.InferenceSession(file)
        for count in (1, 2):
            actual = session.run(
                ['InceptionV3/Predictions/Reshape_1:0'], {'input:0': images(2)[:count]})[0]
            np.testing.assert_allclose(actual, golden['slim_v2'][:count], atol=tolerance)
        kinds = {item.data_type for item in onnx.load(file).graph.initializer
                 if len(item.dims) == 4}
        assert kinds == {onnx.TensorProto.FLOAT if precision == 'float32'
                         else onnx.TensorProto.FLOAT16}
        _, expected = checkpoint.read(path_of('slim_v2'))
        _, weights = checkpoint.read(file)
        np.testing.assert_allclose(weights['Logits/Conv2d_1c_1x1/weights'],
                                   expected['Logits/Conv2d_1c_1x1/weights'],
                                   rtol=0 if precision == 'float32' else 1e-3)

    @pytest.mark.slow
    def test_onnx_int8(self, tmp_path, golden, png_folder):
        """Every convolution is int8, in the file and in the graph that onnxruntime optimizes."""
        file = tmp_path / 'model.onnx'
        formats.export(path_of('slim_v2'), file, format='onnx', precision='int8',
                      calibration_images=png_folder)
        settings = onnxruntime.SessionOptions()
        settings.optimized_model_filepath = str(tmp_path / 'optimized.onnx')
        settings.log_severity_level = 3
        session = onnxruntime.InferenceSession(file, settings)
        actual = session.run(['InceptionV3/Predictions/Reshape_1:0'], {'input:0': images(2)})[0]
        np.testing.assert_allclose(actual, golden['slim_v2'], atol=0.2)
        kinds = [[node.op_type for node in onnx.load(model).graph.node]
                 for model in (file, tmp_path / 'optimized.onnx')]
        # All but the first convolution.
        assert kinds[0].count('Conv') == 94 and kinds[1].count('QLinearConv') == 93
        assert kinds[1].count('Conv') == 1
        weights = {item.name: item.data_type for item in onnx.load(file).graph.initializer
                   if item.name.endswith(':weights:quantized')}
        assert set(weights.values()) == {onnx.TensorProto.INT8} and len(weights) == 93
        with pytest.raises(CheckpointError, match='is quantized to int8, which cannot be'):
            checkpoint.read(file)

    @pytest.mark.parametrize('name', [
        'model.h5', pytest.param('model.weights.h5', marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_keras_hdf5(self, tmp_path, golden, name):
        result = formats.export(path_of('gamma'), tmp_path / name, format='keras')
        assert result.max_difference < 1e-6 and os.listdir(tmp_path) == [name]
        if name == 'model.h5':
            model = tf2.keras.models.load_model(tmp_path / name)
            np.testing.assert_allclose(model(images(2), training=False), golden['gamma'], atol=1e-5)
        # Exact: weights are only renamed.
        _, weights = checkpoint.read(path_of('gamma'))
        info, actual = checkpoint.read(tmp_path / name)
        assert info.format == 'Keras HDF5 file'
        assert set(actual) == {name for name in weights if not name.startswith('AuxLogits/')}
        for variable, value in actual.items():
            np.testing.assert_array_equal(value, weights[variable], err_msg=variable)

    @pytest.mark.slow
    @pytest.mark.parametrize('precision', ['float32', 'float16'])
    def test_tfjs(self, tmp_path, golden, monkeypatch, precision):
        """`make test-formats` loads such a folder with TensorFlow.js."""
        monkeypatch.setattr(tfjs, '_SHARD_BYTES', 100_000)
        formats.export(path_of('gamma'), tmp_path / 'model', format='tfjs', precision=precision)
        model = json.loads((tmp_path / 'model' / 'model.json').read_text())
        [group] = model['weightsManifest']
        files = [tmp_path / 'model' / name for name in group['paths']]
        assert len(files) > 1 and {file.stat().st_size for file in files[:-1]} == {100_000}
        _, layer, *_ = model['modelTopology']['model_config']['config']['layers']
        assert layer == {
            'class_name': 'Conv2D', 'name': 'Conv2d_1a_3x3',
            'inbound_nodes': [[['images', 0, 0, {}]]],
            'config': {**layer['config'], 'filters': 4, 'kernel_size': [3, 3], 'strides': [2, 2],
                       'padding': 'valid', 'use_bias': False, 'activation': 'linear'}}
        with inference.load(tmp_path / 'model') as predictor:
            assert predictor.info.format == 'TensorFlow.js layers model'
            assert predictor.info.has_structure
            np.testing.assert_allclose(predictor.predict(images(2)), golden['gamma'],
                                       atol=1e-5 if precision == 'float32' else 1e-2)
        formats.export(path_of('gamma'), tmp_path / 'model', format='tfjs', overwrite=True)

    def test_missing_package_error(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, 'onnx', None)
        with pytest.raises(ExportError, match=r"pip install 'inception_slim\[onnx\]'"):
            formats.export(path_of('slim_v2'), tmp_path / 'model.onnx', format='onnx')
        assert os.listdir(tmp_path) == []


def test_formats_are_those_of_the_table():
    assert set(formats.FORMATS) == set(registry.WRITABLE)


class TestErrors:

    @pytest.mark.parametrize('arguments, message', [
        ({'format': 'caffe'}, 'Unknown format .caffe.; choose one of saved-model'),
        ({'format': 'tflite', 'precision': 'int4'}, 'must be one of float32, float16, int8'),
        ({'format': 'frozen', 'precision': 'int8'},
         'cannot be written in int8; formats that can: onnx, openvino, tflite'),
        ({'format': 'frozen', 'precision': 'float16'},
         'formats that can: onnx, tfjs, openvino, tflite'),
        ({'format': 'tflite', 'precision': 'int8'}, 'int8 needs calibration images'),
        ({'format': 'keras', 'labels': ['a']}, 'keras cannot store labels'),
        ({'format': 'frozen', 'calibration_images': np.zeros((2, 5, 5, 3))},
         r'must have the shape \[N, 299')])
    def test_rejects_arguments(self, tmp_path, arguments, message):
        with pytest.raises(ExportError, match=message):
            formats.export(path_of('slim_v2'), tmp_path / 'new', **arguments)
        assert os.listdir(tmp_path) == []

    def test_rejects_wrong_number_of_labels(self, tmp_path):
        with pytest.raises(DatasetError, match='1 names, but the checkpoint has 11 classes'):
            formats.export(path_of('slim_v2'), tmp_path / 'new', format='saved-model', labels=['a'])
        assert os.listdir(tmp_path) == []

    def test_rejects_destinations(self, tmp_path):
        (tmp_path / 'there').write_text('mine')
        (tmp_path / 'folder').mkdir()
        (tmp_path / 'folder' / 'file').touch()
        for name, message, overwrite in (('there', 'exists; give another path or over', False),
                                      ('folder', 'with other content than an exported model', True),
                                      ('no/new', 'no folder .*make it first', False)):
            with pytest.raises(ExportError, match=message):
                formats.export(path_of('slim_v2'), tmp_path / name, format='frozen',
                              overwrite=overwrite)
        assert (tmp_path / 'there').read_text() == 'mine'

    def test_rejects_graph_mode(self, tmp_path, graph):
        with pytest.raises(ExportError, match='needs eager mode'):
            formats.export(path_of('slim_v2'), tmp_path / 'new', format='frozen')

    @pytest.mark.slow
    def test_removes_failed_exports(self, tmp_path, monkeypatch):
        (tmp_path / 'model.pb').write_text('the one before')

        def patch_writer(predict):
            def write(info, weights, path, settings):
                with open(path, 'w') as file:
                    file.write('half')
                return predict
            monkeypatch.setitem(registry.WRITABLE, 'frozen', dataclasses.replace(
                registry.WRITABLE['frozen'], write=write))

        def full(batch):
            raise OSError(28, 'No space left on device')

        for predict, message in ((lambda batch: np.full((len(batch), 11), 1.1), 'differs from the'),
                             (lambda batch: np.full((len(batch), 11), np.nan), 'or are not finite'),
                             (full, 'cannot be written: No space left on device')):
            patch_writer(predict)
            with pytest.raises(ExportError, match=message):
                formats.export(path_of('slim_v2'), tmp_path / 'model.pb', format='frozen',
                              overwrite=True)
            assert os.listdir(tmp_path) == ['model.pb']
            assert (tmp_path / 'model.pb').read_text() == 'the one before'


@pytest.mark.slow
def test_export_command(tmp_path):
    def run(*arguments):
        return fork_server.module('inception_slim', 'export', *arguments)

    file = str(tmp_path / 'frozen.pb')
    done = run(path_of('slim_v2'), '--format', 'frozen', '--output', file)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith(f'Wrote {file}: frozen, float32, 0.3 MB\nLargest difference')
    done = run(path_of('slim_v2'), '--format', 'frozen', '--output', file)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == (f'inception-slim: {file} exists; give another path or overwrite it.\n')
    assert run(path_of('slim_v2'), '--format', 'caffe', '--output', file).returncode == 2
