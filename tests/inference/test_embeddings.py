"""Inception-ResNet V1 of FaceNet in engines, commands and exports.

The embeddings of TensorFlow 1.15.5 are in tests/golden. Tests of another input range compare with
those of the same weights for images that the test scales, as FaceNet's scripts do.
"""

import contextlib
import json
import shutil

from golden.weights import images, weights_for
from helpers import (
    close_to,
    golden_arrays,
    load_golden_weights,
    quick_session,
    thin,
    write_golden_checkpoint,
)
from inception_slim import checkpoint, cli, evaluation, formats, inference
from inception_slim.checkpoint import CheckpointError, _convert
from inception_slim.errors import TrainingError
from inception_slim.nets import inception_resnet_v1 as network
from inception_slim.training.retrain import retrain
import numpy as np
from PIL import Image
import pytest
import tensorflow
import tensorflow.compat.v1 as tf

NAME = 'inception_resnet_v1'


def write_thin(prefix, size=512, extra=()):
    """Writes a checkpoint of a network with a sixteenth of the channels, as FaceNet saves it."""
    with tf.Graph().as_default(), quick_session() as session:
        network.inference(tf.placeholder(tf.float32, (1, 160, 160, 3)), 1.0, False, size)
        for name, shape in extra:
            tf.Variable(weights_for(name, shape), name=name)
        session.run(tf.global_variables_initializer())
        load_golden_weights(session)
        tf.train.Saver(tf.trainable_variables()).save(session, str(prefix), 275)
    return f'{prefix}-275'


def scaled(batch, input_range):
    """Images in [-1, 1] as FaceNet's scripts prepare them, by their bytes."""
    if input_range == 'facenet':
        return (batch * 127.5 / 128).astype(np.float32)
    values = (batch.astype(np.float64) + 1) * 127.5
    prepared = [(image - image.mean()) / max(image.std(), 1 / np.sqrt(image.size))
                for image in values]
    return np.array(prepared, np.float32)


def embed(path, batch, **options):
    with inference.load(path, **options) as predictor:
        return predictor.features(batch)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.slow
def test_checkpoint_at_full_width(tmp_path):
    """A checkpoint is described, converted unchanged, and gives the embeddings of 1.15.5."""
    path = write_golden_checkpoint(NAME, tmp_path / 'model')
    info = checkpoint.inspect(path)
    assert (info.network, info.embedding_size, info.num_classes) == (NAME, 512, None)
    assert (info.input_range, info.notes) == ('facenet', ())
    converted = checkpoint.convert(path, tmp_path / 'raw', input_range='inception')
    assert converted.input_range == 'inception'
    batch, expected = images(2, 160), golden_arrays(NAME)['prelogits_512']
    with inference.load(tmp_path / 'raw') as predictor:
        np.testing.assert_allclose(predictor.features(batch), expected, **close_to(expected))
        assert predictor.features(batch[:0]).shape == (0, 512)
        with pytest.raises(CheckpointError, match='no classifier, so it cannot predict classes'):
            predictor.logits(batch)
    _, weights = checkpoint.read(path)
    for name, value in checkpoint.read(tmp_path / 'raw')[1].items():
        np.testing.assert_array_equal(value, weights[name])


class TestCommands:

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / 'faces').mkdir()
        for number, batch in enumerate(images(2, 160)):
            Image.fromarray(np.uint8(np.round((batch + 1) * 127.5))).save(
                tmp_path / 'faces' / f'{number}.png')
        Image.new('RGB', (160, 160), (40, 90, 200)).save(tmp_path / 'faces' / '2.png')
        return tmp_path

    @pytest.mark.slow
    def test_features(self, folder, monkeypatch, capsys):
        """Whole images, prewhitened because the embedding has 128 numbers; at length 1."""
        thin(monkeypatch)
        path = write_thin(folder / 'model.ckpt', 128, [('Logits/weights', (128, 9))])
        assert cli.main(['inspect', path, '--json']) == 0
        described = json.loads(capsys.readouterr().out)
        assert described['embedding_size'] == 128
        assert described['input_range'] == 'prewhiten'
        assert 'Logits, the classifier' in described['notes'][0]
        assert '9 classes' in described['notes'][0]
        assert cli.main(['inspect', path]) == 0
        output = capsys.readouterr().out
        assert 'no classifier, but an embedding of 128 numbers' in output
        assert 'prewhitened' in output and 'bottleneck_layer_size=128' in output
        output = str(folder / 'embeddings.npy')
        assert cli.main(['features', path, str(folder / 'faces'), '--output', output,
                         '--normalize']) == 0
        names, vectors = evaluation.read_features(output)
        assert [name[-5:] for name in names] == ['0.png', '1.png', '2.png']
        pixels = np.stack([np.asarray(Image.open(name), np.float32) for name in names])
        checkpoint.convert(path, folder / 'raw', input_range='inception')
        expected = embed(folder / 'raw', scaled(pixels / 127.5 - 1, 'prewhiten'))
        np.testing.assert_allclose(vectors, unit(expected), atol=1e-5)

    @pytest.mark.slow
    def test_bulk_and_commands_that_need_a_classifier(self, folder, monkeypatch, capsys):
        thin(monkeypatch)
        path, faces = write_thin(folder / 'model.ckpt'), str(folder / 'faces')
        assert cli.main(['bulk', path, faces, '--output', str(folder / 'bulk'), '--format', 'npy',
                         '--output-type', 'features']) == 0
        expected = evaluation.features(path, faces).features
        stored = np.load(next((folder / 'bulk').glob('*.npy')))
        np.testing.assert_allclose(stored, expected, **close_to(expected, 1e-5))
        for name in 'ab':
            shutil.copytree(faces, folder / 'classes' / name)
        capsys.readouterr()
        for command in (['classify', path, faces],
                        ['evaluate', path, str(folder / 'classes')],
                        ['bulk', path, faces, '--output', str(folder / 'other')]):
            assert cli.main(command) == 1
            assert 'no classifier' in capsys.readouterr().err
        with pytest.raises(TrainingError, match='has an embedding and no classifier'):
            retrain(folder / 'classes', path, folder / 'new')


@pytest.mark.slow
@pytest.mark.usefixtures('with_bfloat16')
class TestEngines:

    @pytest.fixture(scope='class')
    def calibration(self):
        rng = np.random.RandomState(3)
        return np.mean([
            rng.uniform(-1, 1, (24, side, side, 3)).repeat(160 // side, 1).repeat(160 // side, 2)
            for side in (2, 5, 20, 160)], axis=0).astype(np.float32)

    @pytest.fixture(scope='class', params=['facenet', 'prewhiten'])
    def case(self, request, tmp_path_factory, calibration):
        """(checkpoint, images, the embeddings of their scaled values)."""
        tmp_path = tmp_path_factory.mktemp('facenet')
        path = write_golden_checkpoint(NAME, tmp_path / 'model')
        checkpoint.convert(path, tmp_path / request.param, input_range=request.param)
        checkpoint.convert(path, tmp_path / 'raw', input_range='inception')
        # Prewhitened images exceed [-1, 1].
        warned = (pytest.warns(UserWarning) if request.param == 'prewhiten'
                  else contextlib.nullcontext())
        with warned:
            expected = embed(tmp_path / 'raw', scaled(calibration, request.param),
                             engine='session')
        return tmp_path / request.param, calibration, expected

    @pytest.mark.parametrize('engine, precision, tolerance', [
        ('session', 'float32', 1e-5), ('onnxruntime', 'float32', 1e-5),
        ('session', 'bfloat16', 0.02), ('session', 'int8', 0.03), ('tflite', 'int8', 0.03)])
    def test_embeddings(self, case, engine, precision, tolerance):
        path, batch, expected = case
        found = embed(path, batch, engine=engine, precision=precision, calibration_images=batch)
        distances = np.linalg.norm(unit(found) - unit(expected), axis=1)
        assert distances.max() < tolerance

    @pytest.mark.engines
    @pytest.mark.parametrize('precision, tolerance', [
        ('float32', 1e-5), ('bfloat16', 0.02), ('int8', 0.03)])
    def test_openvino(self, case, precision, tolerance):
        self.test_embeddings(case, 'openvino', precision, tolerance)

    @pytest.mark.parametrize('format, precision, tolerance', [
        ('saved-model', 'float32', 1e-5), ('frozen', 'float32', 1e-5), ('onnx', 'float32', 1e-5),
        ('onnx', 'int8', 0.03), ('tflite', 'float32', 1e-5), ('tflite', 'float16', 0.01),
        ('tflite', 'int8', 0.1)])
    def test_exports(self, case, tmp_path, format, precision, tolerance):
        path, batch, expected = case
        result = formats.export(path, tmp_path / f'out.{format}', format=format,
                                precision=precision, calibration_images=batch)
        assert result.max_difference < tolerance and result.same_top1 is None
        if format == 'saved-model':
            serve = tensorflow.saved_model.load(result.path).signatures['serving_default']
            outputs = serve(images=tensorflow.constant(batch))
            np.testing.assert_allclose(outputs['prelogits'], expected, **close_to(expected))
            np.testing.assert_allclose(outputs['embeddings'], unit(expected), atol=1e-5)
        if precision == 'float32' and format != 'tflite':
            np.testing.assert_allclose(embed(result.path, batch), expected, **close_to(expected))


def test_input_range_is_checked(tmp_path):
    other = 'tests/golden/checkpoints/slim_v2'
    with pytest.raises(CheckpointError, match='does not prewhiten images'):
        checkpoint.convert(other, tmp_path / 'new', input_range='prewhiten')
    assert not list(tmp_path.iterdir())
    values = {'InceptionResnetV1/Conv2d_4b_3x3/weights': np.zeros((3, 3, 1, 1), np.float32),
              'inception_slim/input_range': np.array('sepia', object)}
    _convert.write_checkpoint(values, str(tmp_path / 'unknown'))
    with pytest.raises(CheckpointError, match="unknown input range 'sepia'; supported: .*facenet"):
        checkpoint.inspect(tmp_path / 'unknown')
