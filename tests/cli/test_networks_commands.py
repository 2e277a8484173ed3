"""Every command on every network but Inception V3, which has test modules of its own.

V1 and V2 have narrow checkpoints written by TensorFlow 1.15.5. V4 and Inception-ResNet V2 have no
argument for a depth multiplier: their checkpoints have full width, with reference logits from
1.15.5, and their tests are slow.
"""

import contextlib
import functools
import json
import os
from pathlib import Path

from golden.weights import images
from helpers import (
    GOLDEN,
    close_to,
    golden_arrays,
    golden_graphs,
    softmax,
    some_slow,
    thin,
    write_golden_checkpoint,
)
from inception_slim import checkpoint, cli, data, inference
from inception_slim.data import preprocessing
from inception_slim.data.labels import imagenet_classes
from inception_slim.nets import registry
import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

NARROW = ('inception_v1', 'inception_v2')
FULL_WIDTH = ('inception_v4', 'inception_resnet_v2')
FAMILY = some_slow([*NARROW, *FULL_WIDTH], 1)


real_load = inference.load


class Case:
    """A network, a checkpoint of it, and 1.15.5's logits for the golden images."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.network = registry.NETWORKS[name]
        self.side = self.network.image_size
        self.logits = (golden_arrays('checkpoints_family')[name] if name in NARROW
                       else golden_arrays(name)['logits'])
        self.classes = self.logits.shape[1]
        self.images = images(2, self.side)

    @functools.cached_property
    def predictor(self):
        return real_load(self.path)


@pytest.fixture(scope='module')
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp('checkpoints')
    cases = {}

    def case(name):
        if name not in cases:
            cases[name] = Case(name, os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
                              if name in NARROW else
                              write_golden_checkpoint(name, folder / name))
        return cases[name]

    return case


@pytest.fixture
def case(request, cases, monkeypatch):
    if request.param == 'inception_v1':
        thin(monkeypatch)  # as its golden checkpoint is
    return cases(request.param)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two classes, with two images in each."""
    path = tmp_path_factory.mktemp('folder')
    for number, image in enumerate(np.uint8(images(4, 120) * 127 + 128)):
        (path / 'ab'[number // 2]).mkdir(exist_ok=True)
        (path / 'ab'[number // 2] / f'{number}.png').write_bytes(
            tf2.io.encode_png(image // 64 * 50).numpy())
    return path


def prepared(folder, side):
    return np.stack([preprocessing.for_evaluation(data.decode(Path(name).read_bytes()), side)
                     for name in data.image_files(folder)])


def run(capsys, *arguments):
    """Runs a command in this process, in which the network is narrow; returns its output."""
    assert cli.main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize('case', FAMILY, indirect=True)
class TestCommands:

    @pytest.mark.slow
    def test_inspect_and_restore(self, case, capsys):
        """The code that `inspect` prints loads the checkpoint: its logits are 1.15.5's."""
        info = json.loads(run(capsys, 'inspect', case.path, '--json'))
        assert (info['network'], info['num_classes']) == (case.name, case.classes)
        page = run(capsys, 'inspect', case.path)
        assert f'  network            {case.network.title}\n' in page
        code = '\n'.join(line[4:] for line in page.split('To load it:\n')[1].splitlines())
        names = {'batch': case.images}
        exec(code + '\n    result = session.run(logits, {images: batch})', names)
        np.testing.assert_allclose(names['result'], case.logits, **close_to(case.logits))

    def test_convert(self, case, capsys, tmp_path):
        output = run(capsys, 'convert', case.path, tmp_path / 'new')
        before, after = map(tf.train.load_checkpoint, (case.path, str(tmp_path / 'new')))
        names = before.get_variable_to_shape_map()
        assert names == after.get_variable_to_shape_map()
        assert all(np.array_equal(before.get_tensor(name), after.get_tensor(name))
                   for name in names)
        parameters = sum(int(np.prod(shape)) for name, shape in names.items()
                         if name != 'global_step')
        assert output == f'Wrote {tmp_path}/new: {case.network.title}, {parameters:,} parameters\n'

    @pytest.mark.slow
    def test_classify_and_features(self, case, capsys, folder, tmp_path, monkeypatch):
        monkeypatch.setattr(inference, 'load', loading(case))
        batch = prepared(folder, case.side)
        probabilities = case.predictor.predict(batch)
        found = json.loads(run(capsys, 'classify', case.path, folder, '--top', 2, '--json'))
        for answer, row in zip(found['predictions'], probabilities, strict=True):
            np.testing.assert_allclose(answer['probabilities'], np.sort(row)[:-3:-1], atol=1e-5)
            # Class 0 of 1,001 is the background, and the others are ImageNet's.
            expected = (imagenet_classes()[row.argmax() - 1][1] if len(row) == 1001
                        else f'{row.argmax()}')
            assert expected in answer['labels'][0]

        output = run(capsys, 'features', case.path, folder, '--output', tmp_path / 'rows.npy')
        rows = np.load(tmp_path / 'rows.npy')
        width = tf.train.load_checkpoint(case.path).get_variable_to_shape_map()[
            f'{case.network.scope}/{case.network.classifier}/weights'][-2]
        assert rows.shape == (4, width) and f'features of 4 images, {width:,} each' in output
        expected = case.predictor.features(batch)
        np.testing.assert_allclose(rows, expected, **close_to(expected))

    def test_evaluate(self, case, capsys, tmp_path, monkeypatch):
        monkeypatch.setattr(inference, 'load', loading(case))
        rng = np.random.RandomState(3)
        pixels = np.uint8(rng.uniform(0, 255, (6, 90, 70, 3)))
        batch = np.stack([preprocessing.for_evaluation(image, case.side) for image in pixels])
        order = np.argsort(-case.predictor.logits(batch), axis=1)
        # Of six images: two top-1 correct, two top-5 correct, two wrong.
        labels = [*order[:2, 0], *order[2:4, 3], *order[4:, 7]]
        data.write_tfrecords(tmp_path, 'drawn', 'validation', [
            (tf2.io.encode_png(image).numpy(), int(label))
            for image, label in zip(pixels, labels)], list(map(str, range(case.classes))))
        found = json.loads(run(capsys, 'evaluate', case.path, tmp_path, '--json'))
        assert (found['num_examples'], found['top_1'], found['top_5']) == pytest.approx(
            (6, 2 / 6, 4 / 6))

    @pytest.mark.slow
    def test_export_frozen(self, case, capsys, tmp_path, monkeypatch):
        """The node of the predictions has the name that it has in 1.15.5."""
        monkeypatch.setattr(inference, 'load', loading(case))
        self.export(capsys, case, tmp_path / 'frozen.pb', 'frozen')
        definition = tf.GraphDef.FromString((tmp_path / 'frozen.pb').read_bytes())
        output = reference_end_points(case.name)['Predictions']
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(definition, name='')
            found = session.run(output, {'input:0': case.images})
        np.testing.assert_allclose(found, softmax(case.logits), atol=1e-4)

    @pytest.mark.slow
    def test_export_saved_model(self, case, capsys, tmp_path, monkeypatch):
        monkeypatch.setattr(inference, 'load', loading(case))
        self.export(capsys, case, tmp_path / 'saved', 'saved-model')
        serve = tf2.saved_model.load(str(tmp_path / 'saved')).signatures['serving_default']
        found = serve(images=tf2.constant(case.images))['logits']
        np.testing.assert_allclose(found, case.logits, **close_to(case.logits))

    @pytest.mark.slow
    @pytest.mark.filterwarnings('ignore')  # TensorFlow deprecates the interpreter
    @pytest.mark.parametrize('precision, close', [('float32', 1e-4), ('float16', 0.03),
                                                  ('int8', 0.2)])
    def test_export_tflite(self, case, capsys, tmp_path, folder, monkeypatch, precision, close):
        monkeypatch.setattr(inference, 'load', loading(case))
        file = tmp_path / 'model.tflite'
        # With random weights, rounding may change the likeliest class: the numbers are compared.
        accept = ['--accept-loss'] if precision == 'int8' else []
        self.export(capsys, case, file, 'tflite', '--precision', precision,
                    '--calibration-images', folder, *accept)
        batch, expected = case.images, softmax(case.logits)
        if precision == 'int8':  # whose ranges hold for the calibration images only
            batch = prepared(folder, case.side)
            expected = case.predictor.predict(batch)
        interpreter = tf.lite.Interpreter(model_path=str(file))
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.resize_tensor_input(source['index'], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source['index'], batch)
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(target['index']), expected, atol=close)

    def export(self, capsys, case, path, kind, *options):
        output = run(capsys, 'export', case.path, '--format', kind, '--output', path, *options)
        assert output.startswith(f'Wrote {path}: {kind}, ')


def loading(case):
    """Returns a replacement of `inference.load` that returns the case's predictor, loaded once."""
    def load(path, *, precision='float32', use_ema=False, checkpoint_scope=None, **further):
        assert (path, precision, use_ema, checkpoint_scope) == (case.path, 'float32', False, None)
        return contextlib.nullcontext(case.predictor)

    return load


def reference_end_points(name):
    end_points = golden_graphs(name)['inference']['end_points']
    if isinstance(end_points, dict):
        return {key: tensor for key, (tensor, _) in end_points.items()}
    return {key: tensor for key, tensor, _ in end_points}


@pytest.mark.slow
@pytest.mark.parametrize('name', registry.CLASSIFIERS)
def test_train(name, capsys, folder, tmp_path, monkeypatch):
    """The second step changes every weight, without weight decay: the loss reaches all of them."""
    network = registry.NETWORKS[name]
    narrow = ['--depth-multiplier', 0.05, '--min-depth', 4]
    if not network.channels:
        thin(monkeypatch)
        narrow = []
    output = run(capsys, 'train', folder, '--network', name, '--train-dir', tmp_path / 'new',
               '--image-size', 110, '--batch-size', 3, '--steps', 2, '--seed', 1,
               '--weight-decay', 0, '--save-minutes', 1e-9, *narrow)
    assert f'Wrote {tmp_path}/new/model.ckpt-2: step 2, loss ' in output
    info = checkpoint.inspect(tmp_path / 'new')
    assert (info.network, info.num_classes, info.global_step) == (name, 2, 2)
    assert (info.optimizer, info.has_moving_averages) == ('RMSProp', True)
    assert info.has_aux_logits == bool(network.aux_classifier)
    first, second = (tf.train.load_checkpoint(str(tmp_path / 'new' / f'model.ckpt-{step}'))
                     for step in (1, 2))
    scope = network.scope
    trained = {variable[0] for variable in golden_graphs(name)['training']['variables']
               if not variable[0].endswith(('moving_mean', 'moving_variance'))
               and variable[0].startswith(scope + '/')}
    names = {name for name in first.get_variable_to_shape_map() if name.startswith(scope + '/')
             and name.endswith(('weights', 'biases', 'beta'))}
    if name == 'inception_v3':  # the layer is named after its kernel, which small images reduce
        trained = {variable.replace('Conv2d_2a_5x5', 'Conv2d_2a_1x1') for variable in trained}
    assert names == trained
    unchanged = [name for name in names
                 if np.array_equal(first.get_tensor(name), second.get_tensor(name))]
    assert unchanged == []


class TestPrecisions:
    """With random weights, for which quantization errors are larger than for trained ones."""

    @pytest.mark.parametrize('case', FAMILY, indirect=True)
    @pytest.mark.usefixtures('with_bfloat16')
    def test_bfloat16(self, case):
        with inference.load(case.path, precision='bfloat16') as predictor:
            assert predictor.precision == 'bfloat16'
            np.testing.assert_allclose(predictor.logits(case.images), case.logits,
                                       **close_to(case.logits, 0.05))

    @pytest.mark.slow
    @pytest.mark.parametrize('case', FAMILY, indirect=True)
    def test_int8(self, case):
        calibration = images(6, case.side)
        with inference.load(case.path, precision='int8',
                            calibration_images=calibration) as predictor:
            assert predictor.precision == 'int8'
            logits = predictor.logits(case.images)
            np.testing.assert_allclose(logits, case.logits, **close_to(case.logits, 0.25))
            np.testing.assert_allclose(predictor.predict(case.images), softmax(logits),
                                       atol=1e-6)
            features = predictor.features(calibration[:3])
            assert features.shape[0] == 3
            np.testing.assert_allclose(predictor.features(calibration[:1]), features[:1],
                                       **close_to(features, 1e-5))
