"""Logits of the engines compared with TensorFlow 1.15.5, and the choice of an engine."""

import dataclasses
import os
import platform
import subprocess
import sys

from golden.weights import images
from helpers import GOLDEN, close_to, golden_arrays, write_golden_checkpoint
from inception_slim import checkpoint, cli, inference
from inception_slim.errors import InceptionSlimError
from inception_slim.inference import calibration, tf_graph_builder
from inception_slim.inference.engines import factory, selection
from inception_slim.inference.graph import graph_with_placeholders
from inception_slim.inference.ir import to_ops
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('with_bfloat16')
PATH = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
# Precision, engine, and the largest error of a logit relative to the largest logit. The golden
# weights are random and narrow, which shows rounding errors most.
CONFIGURATIONS = [('float32', 'session', 1e-4), ('float32', 'onnxruntime', 1e-4),
        ('bfloat16', 'session', 0.05), ('int8', 'session', 0.25), ('int8', 'tflite', 0.25)]


def load(precision, engine, path=PATH, **options):
    calibration = images(6) if precision == 'int8' else None
    return inference.load(path, precision=precision, engine=engine,
                          calibration_images=calibration, **options)


class TestOutputs:

    @pytest.mark.parametrize('precision, engine, tolerance', CONFIGURATIONS)
    def test_logits_of_tf_1_15(self, precision, engine, tolerance):
        expected = golden_arrays('checkpoints')['slim_v2']
        with load(precision, engine) as predictor:
            assert (predictor.precision, predictor.engine) == (precision, engine)
            np.testing.assert_allclose(predictor.logits(images(2)), expected,
                                       **close_to(expected, tolerance))
            # Micro-batches must come back in order.
            many = np.concatenate([images(2)] * 4 + [images(1)])
            np.testing.assert_allclose(predictor.features(many)[::2],
                                       np.repeat(predictor.features(images(1)), 5, axis=0),
                                       **close_to(predictor.features(images(1)), 1e-2))
            assert predictor.logits(images(2)[:0]).shape == (0, 11)

    @pytest.mark.parametrize('name', [
        'inception_v1', pytest.param('inception_v2', marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_other_networks(self, tmp_path, name):
        """Padded and depthwise first convolutions, and branches of a pool alone."""
        path = write_golden_checkpoint(name, tmp_path / 'model.ckpt')
        with inference.load(path, engine='session') as predictor:
            expected = predictor.features(images(3, 224))
        for precision, engine, tolerance in (CONFIGURATIONS[1], ('int8', 'session', 0.05)):
            with inference.load(path, precision=precision, engine=engine,
                                calibration_images=images(3, 224)) as predictor:
                np.testing.assert_allclose(predictor.features(images(3, 224)), expected,
                                           **close_to(expected, tolerance))

    @pytest.mark.parametrize('pooling', [
        '2015', pytest.param('padded', marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_pooling_variants(self, pooling):
        def ops(pool_first=False):
            info, weights = checkpoint.read(PATH)
            return to_ops(*graph_with_placeholders(
                dataclasses.replace(info, pooling=pooling), inference.fold_batch_norm(weights),
                pool_first=pool_first), 'features')

        features = {}
        for engine in ('session', 'onnxruntime'):
            built = factory.build_float_engine(engine, ops, 299, 'float32', 2, None)
            features[engine] = built.features(images(2))
            built.close()
        network = calibration.calibrate_network(lambda: ops(True), images(2), 2)
        for engine in ('session', 'tflite'):
            built = factory.build_int8_engine(engine, network, 2, None)
            features[f'{engine} int8'] = built.features(images(2))
            built.close()
        expected = features.pop('session')
        for engine, value in features.items():
            np.testing.assert_allclose(value, expected,
                                       **close_to(expected, 0.25 if 'int8' in engine else 1e-4))
        with inference.load(PATH) as other:
            assert abs(other.features(images(2)) - expected).max() > 0.01 * expected.max()

    @pytest.mark.slow
    def test_limited_onednn_instructions(self, tmp_path):
        """Instructions that ONEDNN_MAX_CPU_ISA forbids are not used: oneDNN would fail."""
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

    @pytest.mark.slow
    def test_without_onednn(self, tmp_path):
        """As with a TensorFlow that is built without oneDNN."""
        file = tmp_path / 'logits.npy'
        np.save(tmp_path / 'images.npy', images(2))
        code = f"""
import numpy as np
from inception_slim import inference
from inception_slim.inference import tf_graph_builder
assert not tf_graph_builder.has_onednn() and not tf_graph_builder.has_onednn_int8()
with inference.load({PATH!r}, engine='session') as predictor:
    np.save({str(file)!r}, predictor.logits(np.load({str(tmp_path / 'images.npy')!r})))
"""
        subprocess.run([sys.executable, '-c', code], check=True, env={
            **os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_ENABLE_ONEDNN_OPTS': '0'})
        expected = golden_arrays('checkpoints')['slim_v2']
        np.testing.assert_allclose(np.load(file), expected, **close_to(expected, 1e-4))


class TestSelection:

    @pytest.mark.parametrize('installed, avx512, precision, expected', [
        ({'openvino', 'onnxruntime'}, True, 'int8', 'openvino'),
        ({'openvino', 'onnxruntime'}, True, 'bfloat16', 'openvino'),
        ({'onnxruntime'}, True, 'int8', 'session'),
        ({'onnxruntime'}, True, 'bfloat16', 'session'),
        ({'onnxruntime'}, False, 'float32', 'onnxruntime'),
        ({'onnxruntime'}, False, 'int8', 'session'),
        (set(), True, 'float32', 'session'),
        (set(), False, 'float32', 'session'),
    ])
    def test_auto_selects_fastest_installed(self, monkeypatch, installed, avx512, precision,
                                            expected):
        monkeypatch.setattr(selection, 'is_installed', lambda engine: engine in installed | {
            'session', 'tflite'})
        monkeypatch.setattr(selection, 'has_avx512', lambda: avx512)
        monkeypatch.setattr(selection, 'has_onednn_int8', lambda: True)
        assert selection.select_engine('auto', precision) == expected

    @pytest.mark.parametrize('avx512, precision, images, expected', [
        (False, 'float32', 1, 'openvino'), (False, 'float32', 1000, 'onnxruntime'),
        (False, 'float32', None, 'onnxruntime'), (False, 'int8', 1, 'session'),
        (False, 'int8', 1000, 'openvino'), (False, 'int8', None, 'openvino'),
        (False, 'bfloat16', 1, 'openvino'), (False, 'bfloat16', None, 'openvino'),
        (True, 'float32', 1, 'openvino'), (True, 'float32', None, 'openvino'),
        (True, 'bfloat16', 1, 'openvino'), (True, 'bfloat16', None, 'openvino'),
        (True, 'int8', 1, 'openvino'), (True, 'int8', None, 'openvino')])
    def test_auto_counts_the_time_to_load(self, monkeypatch, precision, avx512, images, expected):
        """With AVX-512, OpenVINO is loaded as fast as a Session."""
        monkeypatch.setattr(selection, 'is_installed', lambda engine: True)
        monkeypatch.setattr(selection, 'has_avx512', lambda: avx512)
        monkeypatch.setattr(selection, 'has_onednn_int8', lambda: True)
        monkeypatch.setattr(selection, 'available_cores', lambda: 2)
        assert selection.select_engine('auto', precision, images) == expected

    @pytest.mark.parametrize('cached, expected', [(False, 1), (True, None)])
    def test_a_cache_makes_loading_cost_the_same(self, monkeypatch, tmp_path, cached, expected):
        asked = []

        def select(engine, precision, images):
            asked.append(images)
            return 'session'

        monkeypatch.setattr('inception_slim.inference.predictor.select_engine', select)
        with inference.load(PATH, cache=tmp_path if cached else None, expected_images=1):
            assert asked == [expected]

    @pytest.mark.skipif(platform.machine() not in ('x86_64', 'AMD64'),
                        reason='oneDNN\'s int8 kernels need an x86 processor')
    def test_onednn_kernels_do_not_depend_on_tensorflows_default(self, monkeypatch):
        """On processors with AVX2 alone TensorFlow uses oneDNN only if the variable is set."""
        monkeypatch.delenv('TF_ENABLE_ONEDNN_OPTS', raising=False)
        assert tf_graph_builder.has_onednn() and tf_graph_builder.has_onednn_int8()
        monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '')  # no value, for TensorFlow
        assert tf_graph_builder.has_onednn()
        monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '0')
        assert not tf_graph_builder.has_onednn() and not tf_graph_builder.has_onednn_int8()

    def test_int8_without_onednn(self, monkeypatch):
        monkeypatch.setattr(
            selection, 'is_installed', lambda engine: engine in ('session', 'tflite')
        )
        monkeypatch.setattr(selection, 'has_onednn_int8', lambda: False)
        assert selection.select_engine('auto', 'int8') == 'tflite'
        with pytest.raises(InceptionSlimError, match='without oneDNN; use tflite'):
            selection.select_engine('session', 'int8')

    def test_rejects_engine_that_is_not_installed(self, monkeypatch):
        monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
        for engine in ('openvino', 'onnxruntime'):
            with pytest.raises(
                    InceptionSlimError, match='not installed; install it with: pip install '
                    rf"'inception_slim\[{engine}\]'"):
                inference.load(PATH, engine=engine)

    @pytest.mark.parametrize('engine, precision, message', [
        ('tflite', 'float32',
         'tflite does not support float32, only int8; engines for float32: session, '),
        ('onnxruntime', 'int8',
         'onnxruntime does not support int8, only float32; engines for int8: session'),
        ('tensorrt', 'float32', "engine must be one of auto, session, .*, not 'tensorrt'"),
    ])
    def test_rejects_engine_or_precision(self, engine, precision, message):
        with pytest.raises(InceptionSlimError, match=message):
            load(precision, engine)

    def test_other_engines_are_not_imported(self, monkeypatch):
        def fail(*_, **__):
            raise AssertionError('onnxruntime was imported')

        monkeypatch.setattr(
            'inception_slim.inference.engines.onnxruntime_engine.build_model', fail
        )
        load('float32', 'session').close()


@pytest.mark.slow
def test_command_line_uses_engine_and_cache(tmp_path, capsys):
    from PIL import Image

    for number in range(2):
        pixels = (np.clip(images(2)[number], -1, 1) + 1) * 127.5
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f'{number}.png')
    command = ['classify', PATH, str(tmp_path), '--top', '1', '--precision', 'int8',
               '--engine', 'session', '--cache', str(tmp_path / 'cache')]
    assert not cli.main(command)
    first = capsys.readouterr().out
    assert [name for name in os.listdir(tmp_path / 'cache') if name.endswith('.int8')]
    assert not cli.main(command)
    assert capsys.readouterr().out == first
    assert cli.main([*command, '--engine', 'onnxruntime']) == 1
    assert 'onnxruntime does not support int8' in capsys.readouterr().err
