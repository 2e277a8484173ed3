"""Networks on images of other sizes, compared with graphs that are built at those sizes."""

import dataclasses
import functools
import json
import os
import warnings

from golden.weights import images
from helpers import GOLDEN, close_to, quick_session, thin, write_golden_checkpoint
from inception_slim import checkpoint, cli, evaluation, formats, inference, training
from inception_slim.checkpoint import CheckpointError
from inception_slim.checkpoint.head import Head
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.grad_cam import Heatmaps
from inception_slim.inference import calibration
from inception_slim.nets import registry
import numpy as np
import onnx
from PIL import Image
import pytest
import tensorflow
import tensorflow.compat.v1 as tf
import tf_slim as slim

V3 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
V2 = os.path.join(GOLDEN, 'checkpoints', 'inception_v2', 'model.ckpt-157585')
SCRIPTS = os.path.join(GOLDEN, 'legacy_scripts')
WIDTHS = {'inception_v2': {'depth_multiplier': 0.05, 'min_depth': 4},
          'inception_v3': {'depth_multiplier': 0.05, 'min_depth': 4}}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@functools.cache
def outputs_of_graph(path, side, **arguments):
    """Logits, or the embedding, and features of two images in the network with batch norm."""
    info = checkpoint.inspect(path)
    network = registry.NETWORKS[info.network]
    arguments.update(WIDTHS.get(info.network, {}))
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    with tf.Graph().as_default(), quick_session() as session:
        inputs = tf.placeholder(tf.float32, (2, side, side, 3))
        with slim.arg_scope(network.arg_scope()):
            logits, end_points = network.build(
                inputs, info.embedding_size or info.num_classes, is_training=False, **arguments)
        checkpoint.restore(session, path, scope=network.scope)
        return [value.reshape(2, -1) for value in session.run(
            [logits, network.features(end_points)], {inputs: images(2, side)})]


@pytest.fixture
def write_thin(monkeypatch, tmp_path):
    """Writes a checkpoint of a network with a sixteenth of the channels."""
    thin(monkeypatch)

    def write(name):
        network = registry.NETWORKS[name]
        with tf.Graph().as_default(), quick_session() as session:
            inputs = tf.placeholder(tf.float32, (1, network.image_size, network.image_size, 3))
            with slim.arg_scope(network.arg_scope()):
                network.build(inputs, 11, is_training=False)
            tf.set_random_seed(1)
            session.run(tf.global_variables_initializer())
            return tf.train.Saver(tf.model_variables()).save(session, str(tmp_path / name), 1)

    return write


class TestOutputs:

    @pytest.mark.parametrize('path, side, arguments', [
        slow(V3, 75, {}), (V3, 150, {}), slow(V3, 330, {}),
        slow(V3, 331, {'global_pool': True}), slow(V3, 400, {'global_pool': True}),
        slow(V2, 160, {}), slow(V2, 256, {}), slow(V2, 257, {'global_pool': True})])
    def test_graph_of_that_size(self, path, side, arguments):
        """V2 averages 7×7 positions of 8×8 at 256, as its graph does."""
        logits, features = outputs_of_graph(path, side, **arguments)
        with inference.load(path, image_size=side) as predictor:
            assert predictor.info.image_size == side
            batch = images(2, side)
            np.testing.assert_allclose(predictor.logits(batch), logits, **close_to(logits))
            np.testing.assert_allclose(predictor.features(batch), features, **close_to(features))

    @pytest.mark.parametrize('name, side, arguments', [
        slow('inception_v1', 128, {}), slow('inception_v1', 288, {'global_pool': True}),
        slow('inception_v4', 150, {}), slow('inception_resnet_v2', 363, {})])
    def test_other_networks(self, write_thin, name, side, arguments):
        path = write_thin(name)
        logits, features = outputs_of_graph(path, side, **arguments)
        with inference.load(path, image_size=side) as predictor:
            batch = images(2, side)
            np.testing.assert_allclose(predictor.logits(batch), logits, **close_to(logits))
            np.testing.assert_allclose(predictor.features(batch), features, **close_to(features))

    @pytest.mark.parametrize('side', [slow(112), slow(224)])
    def test_facenet(self, write_thin, tmp_path, side):
        path = write_thin('inception_resnet_v1')
        embeddings = outputs_of_graph(path, side)[0]
        checkpoint.convert(path, tmp_path / 'raw', input_range='inception')
        with inference.load(tmp_path / 'raw', image_size=side) as predictor:
            np.testing.assert_allclose(predictor.features(images(2, side)), embeddings,
                                       **close_to(embeddings))

    @pytest.mark.parametrize('precision, engine, path, side, arguments', [
        slow('float32', 'onnxruntime', V3, 400, {'global_pool': True}),
        slow('float32', 'openvino', V3, 400, {'global_pool': True}),
        slow('float32', 'onnxruntime', V2, 256, {}),
        slow('int8', 'session', V3, 400, {'global_pool': True}),
        slow('int8', 'session', V2, 256, {}),
        slow('int8', 'tflite', V3, 400, {'global_pool': True}),
        slow('int8', 'tflite', V2, 256, {}),
        slow('int8', 'openvino', V2, 256, {})])
    def test_engines(self, precision, engine, path, side, arguments):
        pytest.importorskip(engine if engine == 'openvino' else 'tensorflow')
        batch = images(2, side)
        expected = outputs_of_graph(path, side, **arguments)[1]
        with inference.load(path, image_size=side, precision=precision, engine=engine,
                            calibration_images=batch) as predictor:
            np.testing.assert_allclose(
                predictor.features(batch), expected,
                **close_to(expected, 1e-4 if precision == 'float32' else 0.25))


class TestCalibration:

    @pytest.mark.slow
    def test_cache_holds_a_network_for_each_size(self, tmp_path, monkeypatch):
        sizes = []
        measure = calibration._measure
        monkeypatch.setattr(calibration, '_measure', lambda ops, images, *others: sizes.append(
            images.shape[1]) or measure(ops, images, *others))
        for side in (299, 150, 150, 299, 200):
            with inference.load(V3, precision='int8', engine='session', cache=tmp_path,
                                image_size=side, calibration_images=images(2, side)) as predictor:
                assert predictor.features(images(1, side)).shape == (1, 101)
        assert sizes == [299, 150, 200]
        with inference.load(V3, precision='int8', engine='session', cache=tmp_path,
                            image_size=150) as predictor:
            assert predictor.info.image_size == 150

    def test_other_size_of_images(self):
        with pytest.raises(ValueError, match=r'must be \[N, 150, 150, 3\], but are \[2, 299'):
            inference.load(V3, precision='int8', image_size=150, calibration_images=images(2, 299))


class TestErrors:

    @pytest.mark.parametrize('side, message', [
        (60, 'images of 60x60 are too small; the smallest supported size is 75x75'),
        (0, 'image_size must be at least 1, but is 0')])
    def test_size_out_of_range(self, side, message):
        with pytest.raises(InceptionSlimError, match=message):
            inference.load(V3, image_size=side)

    def test_flattened_grid(self):
        info = dataclasses.replace(checkpoint.inspect(V3), head=Head('flatten', 1))
        with pytest.raises(CheckpointError, match='only takes images of 299x299, not 400x400'):
            with_image_size(info, 400)

    @pytest.mark.slow
    def test_loaded_predictor(self, pictures):
        with inference.load(V3, image_size=150) as predictor:
            expected = evaluation.features(V3, pictures, image_size=150).features
            for options in ({}, {'image_size': 150}):
                np.testing.assert_allclose(
                    evaluation.features(predictor, pictures, **options).features, expected,
                    atol=1e-6)
            with pytest.raises(InceptionSlimError, match='image_size has no effect on a predictor'):
                evaluation.features(predictor, pictures, image_size=299)
            with pytest.raises(InceptionSlimError, match='images of 150x150, but metrics'):
                evaluation.compute_statistics(predictor, pictures, pictures / 'new.npz')


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'images'
    for number, pixels in enumerate(images(2, 220)):
        (folder / 'ab'[number]).mkdir(parents=True)
        Image.fromarray(np.uint8((pixels + 1) * 127.5)).save(folder / 'ab'[number] / 'image.png')
    return folder


class TestCommands:

    def test_features(self, pictures, tmp_path, capsys):
        files = [str(pictures / name / 'image.png') for name in 'ab']
        assert cli.main(['features', V3, *files, '--image-size', '160',
                         '--output', str(tmp_path / 'features.npy')]) == 0
        with inference.load(V3, image_size=160, expected_images=2) as predictor:
            expected = predictor.features(files)
        np.testing.assert_allclose(np.load(tmp_path / 'features.npy'), expected, atol=1e-6)

    @pytest.mark.parametrize('command', [
        ['classify', SCRIPTS, os.path.join(SCRIPTS, 'images')],
        slow(['evaluate', SCRIPTS, SCRIPTS, '--split', 'validation'])])
    @pytest.mark.slow
    def test_report_with_heatmaps(self, tmp_path, command, capsys):
        report = tmp_path / 'report.html'
        assert cli.main([*command, '--image-size', '160', '--json',
                         '--report', str(report), '--heatmap']) == 0
        assert '160×160' in report.read_text()
        with Heatmaps(V3, image_size=160) as heatmaps:
            heatmap, = heatmaps.compute(images(1, 160), np.zeros(1, int))
        assert heatmap.shape == (3, 3)

    def test_too_small(self, pictures, capsys):
        assert cli.main(['classify', V3, str(pictures), '--image-size', '60']) == 1
        assert 'the smallest supported size is 75x75' in capsys.readouterr().err
        with pytest.raises(SystemExit) as exit_info:
            cli.main(['classify', V3, str(pictures), '--image-size', '0'])
        assert exit_info.value.code == 2

    def test_checkpoint_has_no_size(self, tmp_path, capsys):
        assert cli.main(['convert', V3, str(tmp_path / 'new'), '--image-size', '160']) == 1
        assert 'no image size' in capsys.readouterr().err


class TestExport:

    @pytest.mark.parametrize('side', [150, 400])
    @pytest.mark.parametrize('format, precision', [
        slow('onnx', 'float32'), *(slow(format, 'float32') for format in (
            'saved-model', 'frozen', 'tflite', 'keras', 'tfjs')),
        slow('onnx', 'int8'), slow('tflite', 'int8')])
    def test_size_of_the_file(self, tmp_path, format, precision, side):
        path = tmp_path / ('model.keras' if format == 'keras' else 'model')
        result = formats.export(V3, path, format=format, precision=precision, image_size=side,
                                calibration_images=images(2, side))
        assert result.images == 2
        assert self.declared_side(path, format) in (side, None)
        if format == 'tflite' or precision == 'int8':
            return  # not read
        batch = images(2, side)
        expected = outputs_of_graph(V3, side, **{'global_pool': True} if side > 330 else {})[1]
        with inference.load(path, image_size=side) as predictor:
            np.testing.assert_allclose(predictor.features(batch), expected, **close_to(expected))

    def declared_side(self, path, format):
        """The side of the images that a file declares, as its own library reads it."""
        if format == 'onnx':
            return onnx.load(path).graph.input[0].type.tensor_type.shape.dim[1].dim_value
        if format == 'saved-model':
            signature = tensorflow.saved_model.load(str(path)).signatures['serving_default']
            return signature.structured_input_signature[1]['images'].shape[1]
        if format == 'tflite':
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # a deprecation notice about another package
                return tf.lite.Interpreter(str(path)).get_input_details()[0]['shape'][1]
        if format == 'keras':
            return tensorflow.keras.models.load_model(path).input_shape[1]
        return None

    @pytest.mark.slow
    def test_timm(self, tmp_path):
        path = write_golden_checkpoint('inception_v3', tmp_path / 'model.ckpt')
        formats.export(path, tmp_path / 'timm', format='timm', image_size=150,
                       pooling='padded')
        config = json.loads((tmp_path / 'timm' / 'config.json').read_text())
        assert config['pretrained_cfg']['input_size'] == [3, 150, 150]

    @pytest.mark.slow
    @pytest.mark.parametrize('format', ['saved-model', 'onnx', 'tflite'])
    def test_window_of_v2(self, tmp_path, format):
        formats.export(V2, tmp_path / 'model', format=format, image_size=256,
                       calibration_images=images(2, 256))

    def test_other_size_of_images(self, tmp_path):
        with pytest.raises(formats.ExportError, match=r'shape \[N, 150, 150, 3\], not \[2, 299'):
            formats.export(V3, tmp_path / 'model', format='onnx', image_size=150,
                           calibration_images=images(2, 299))
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_training_averages_the_whole_grid():
    """As in the network with `global_pool`, which TF-Slim needs for such images."""
    with tf.Graph().as_default() as graph:
        training.build_step(tf.zeros((2, 400, 400, 3)), tf.zeros(2, tf.int64), 3,
                            **WIDTHS['inception_v3'])
        assert any(op.name.endswith('/Logits/GlobalPool') for op in graph.get_operations())
