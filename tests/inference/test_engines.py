"""Every engine that the tests' environment has gives TensorFlow 1.15.5's answers; one is chosen."""

import dataclasses
import os
import subprocess
import sys

from golden.weights import images
from helpers import GOLDEN, close_to, golden_arrays, write_golden_checkpoint
from inception_slim import checkpoint, cli, inference
from inception_slim.errors import InceptionSlimError
from inception_slim.inference import calibration
from inception_slim.inference.engines import factory, selection
import numpy as np
import pytest

PATH = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
# How far the logits may be from 1.15.5's, of the largest; the golden weights are random, and
# narrow, where rounding shows most.
WAYS = [('float32', 'session', 1e-4), ('float32', 'onnxruntime', 1e-4),
        ('bfloat16', 'session', 0.05), ('int8', 'session', 0.25), ('int8', 'tflite', 0.25)]


def loaded(precision, engine, path=PATH, **options):
    calibration = images(6) if precision == 'int8' else None
    return inference.load(path, precision=precision, engine=engine,
                          calibration_images=calibration, **options)


@pytest.fixture(autouse=True)
def with_bfloat16(monkeypatch):
    """TensorFlow multiplies bfloat16 anywhere; where there are no instructions, slowly."""
    monkeypatch.setattr('inception_slim.inference.predictor.has_bfloat16', lambda: True)


class TestAnswers:

    @pytest.mark.parametrize('precision, engine, tolerance', WAYS)
    def test_golden(self, precision, engine, tolerance):
        expected = golden_arrays('checkpoints')['slim_v2']
        with loaded(precision, engine) as predictor:
            assert (predictor.precision, predictor.engine) == (precision, engine)
            np.testing.assert_allclose(predictor.logits(images(2)), expected,
                                       **close_to(expected, tolerance))
            # Many are cut into pieces, which must come back in their order.
            many = np.concatenate([images(2)] * 4 + [images(1)])
            np.testing.assert_allclose(predictor.features(many)[::2],
                                       np.repeat(predictor.features(images(1)), 5, axis=0),
                                       **close_to(predictor.features(images(1)), 1e-2))
            assert predictor.logits(images(2)[:0]).shape == (0, 11)

    @pytest.mark.parametrize('name', ['inception_v1', 'inception_v2'])
    def test_the_rest_of_the_family(self, tmp_path, name):
        """Padded first convolutions, depthwise ones, and blocks that pool alone."""
        path = write_golden_checkpoint(name, tmp_path / 'model.ckpt')
        with inference.load(path, engine='session') as predictor:
            expected = predictor.features(images(3, 224))
        for precision, engine, tolerance in (WAYS[1], ('int8', 'session', 0.05)):
            with inference.load(path, precision=precision, engine=engine,
                                calibration_images=images(3, 224)) as predictor:
                np.testing.assert_allclose(predictor.features(images(3, 224)), expected,
                                           **close_to(expected, tolerance))

    @pytest.mark.parametrize('pooling', ['padded', '2015'])
    def test_other_poolings(self, pooling):
        def parts():
            info, weights = checkpoint.read(PATH)
            values = inference.fold_batch_norm(weights)
            values.pop('Logits/Conv2d_1c_1x1/weights')
            return dataclasses.replace(info, pooling=pooling), values

        answers = {}
        for engine in ('session', 'onnxruntime'):
            built = factory.build_float_engine(engine, *parts(), 'float32', 2, None)
            answers[engine] = built.features(images(2))
            built.close()
        network = calibration.load_or_calibrate(*parts(), lambda: images(2), True, None, 2,
                                                  pool_first=True)
        for engine in ('session', 'tflite'):
            built = factory.build_int8_engine(engine, network, 2, None)
            answers[f'{engine} int8'] = built.features(images(2))
            built.close()
        expected = answers.pop('session')
        for engine, answer in answers.items():
            np.testing.assert_allclose(answer, expected,
                                       **close_to(expected, 0.25 if 'int8' in engine else 1e-4))
        with inference.load(PATH) as other:
            assert abs(other.features(images(2)) - expected).max() > 0.01 * expected.max()

    def test_where_onednn_may_use_less(self, tmp_path):
        """Nothing is chosen that it was told to leave alone: it would end in an error."""
        file = tmp_path / 'logits.npy'
        np.save(tmp_path / 'images.npy', images(6))
        code = f"""
import numpy as np
from inception_slim import inference
from inception_slim.inference import cpu_features
images = np.load({str(tmp_path / 'images.npy')!r})
assert not cpu_features.has_bfloat16() and not cpu_features.has_vnni()
assert not cpu_features.has_avx512()
with inference.load({PATH!r}, precision='int8', calibration_images=images) as predictor:
    np.save({str(file)!r}, predictor.logits(images[:2]))
"""
        subprocess.run([sys.executable, '-c', code], check=True, env={
            **os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'ONEDNN_MAX_CPU_ISA': 'AVX2'})
        expected = golden_arrays('checkpoints')['slim_v2']
        np.testing.assert_allclose(np.load(file), expected, **close_to(expected, 0.25))


class TestChoice:

    @pytest.mark.parametrize('there, avx512, precision, chosen', [
        ({'openvino', 'onnxruntime'}, True, 'int8', 'openvino'),
        ({'openvino', 'onnxruntime'}, True, 'bfloat16', 'openvino'),
        ({'onnxruntime'}, True, 'int8', 'session'),
        ({'onnxruntime'}, True, 'bfloat16', 'session'),
        ({'onnxruntime'}, False, 'float32', 'onnxruntime'),
        (set(), True, 'float32', 'session'),
        (set(), False, 'float32', 'session'),
    ])
    def test_fastest_at_hand(self, monkeypatch, there, avx512, precision, chosen):
        monkeypatch.setattr(selection, 'is_installed', lambda engine: engine in there | {
            'session', 'tflite'})
        monkeypatch.setattr(selection, 'has_avx512', lambda: avx512)
        monkeypatch.setattr(selection, 'has_onednn_int8', lambda: True)
        assert selection.select_engine('auto', precision) == chosen

    def test_without_onednn(self, monkeypatch):
        monkeypatch.setattr(
            selection, 'is_installed', lambda engine: engine in ('session', 'tflite')
        )
        monkeypatch.setattr(selection, 'has_onednn_int8', lambda: False)
        assert selection.select_engine('auto', 'int8') == 'tflite'
        with pytest.raises(InceptionSlimError, match='without oneDNN; use tflite'):
            selection.select_engine('session', 'int8')

    def test_not_installed(self, monkeypatch):
        monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
        for engine in ('openvino', 'onnxruntime'):
            with pytest.raises(
                    InceptionSlimError, match='not installed; install it with: pip install '
                    rf"'inception_slim\[{engine}\]'"):
                inference.load(PATH, engine=engine)

    @pytest.mark.parametrize('engine, precision, says', [
        ('tflite', 'float32',
         'tflite does not support float32, only int8; engines for float32: session, '),
        ('onnxruntime', 'int8',
         'onnxruntime does not support int8, only float32; engines for int8: session'),
        ('tensorrt', 'float32', "engine must be one of auto, session, .*, not 'tensorrt'"),
    ])
    def test_refuses(self, engine, precision, says):
        with pytest.raises(InceptionSlimError, match=says):
            loaded(precision, engine)

    def test_what_is_not_chosen_is_not_imported(self, monkeypatch):
        def imported(*_, **__):
            raise AssertionError('onnxruntime was imported')

        monkeypatch.setattr(
            'inception_slim.inference.engines.onnxruntime_engine.build_model', imported
        )
        loaded('float32', 'session').close()


def test_from_the_command_line(tmp_path, capsys):
    from PIL import Image

    for number in range(2):
        pixels = (np.clip(images(2)[number], -1, 1) + 1) * 127.5
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f'{number}.png')
    command = ['classify', PATH, str(tmp_path), '--top', '1', '--precision', 'int8',
               '--engine', 'session', '--cache', str(tmp_path / 'kept')]
    assert not cli.main(command)
    first = capsys.readouterr().out
    assert [name for name in os.listdir(tmp_path / 'kept') if name.endswith('.int8')]
    assert not cli.main(command)
    assert capsys.readouterr().out == first
    assert cli.main([*command, '--engine', 'onnxruntime']) == 1
    assert 'onnxruntime does not support int8' in capsys.readouterr().err
