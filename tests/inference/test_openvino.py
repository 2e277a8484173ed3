"""The OpenVINO engine, if it is installed: `make test-engines`."""

import os
import subprocess
import sys

from golden.weights import images
from helpers import GOLDEN, close_to, golden_arrays, write_golden_checkpoint
from inception_slim import inference
from inception_slim.inference.engines import factory, openvino_engine, selection
from inception_slim.inference.ir import INPUTS, Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np
import pytest

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures('with_bfloat16')]
PATH = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


@pytest.mark.parametrize('precision, tolerance', [
    ('float32', 1e-4), ('bfloat16', 0.05), ('int8', 0.25)])
def test_logits_of_tf_1_15(precision, tolerance):
    expected = golden_arrays('checkpoints')['slim_v2']
    with inference.load(PATH, precision=precision, engine='openvino',
                        calibration_images=images(6)) as predictor:
        assert (predictor.precision, predictor.engine) == (precision, 'openvino')
        np.testing.assert_allclose(predictor.logits(images(2)), expected,
                                   **close_to(expected, tolerance))
        many = np.concatenate([images(2)] * 4 + [images(1)])
        one = predictor.features(images(1))
        np.testing.assert_allclose(predictor.features(many)[::2], np.repeat(one, 5, axis=0),
                                   **close_to(one, 2e-2))


def test_batches_have_one_copy_of_the_weights():
    many = np.concatenate([images(4)] * 3)
    with inference.load(PATH, engine='openvino') as predictor:
        expected = predictor.features(many)
    with inference.load(PATH, engine='openvino', expected_images=100) as predictor:
        for count in (12, 9, 4, 8):  # the end of a batch is padded
            np.testing.assert_allclose(predictor.features(many[:count]), expected[:count],
                                       **close_to(expected, 1e-4))
        engine = predictor._engine
        assert list(engine._single_threaded) == [4] and engine._multi_threaded is None
        for count in (1, 3):
            np.testing.assert_allclose(predictor.features(many[:count]), expected[:count],
                                       **close_to(expected, 1e-4))


def test_auto_selects_openvino():
    assert selection.select_engine('auto', 'int8') == 'openvino'
    with inference.load(PATH, precision='int8', calibration_images=images(3)) as predictor:
        assert predictor.engine == 'openvino'


@pytest.mark.parametrize('name', ['inception_v1', 'inception_v2', 'inception_v4',
                                  'inception_resnet_v2'])
def test_other_networks(tmp_path, name):
    side = 224 if name in ('inception_v1', 'inception_v2') else 299
    path = write_golden_checkpoint(name, tmp_path / 'model.ckpt')
    with inference.load(path, engine='session') as predictor:
        expected = predictor.features(images(3, side))
    for precision, tolerance in (('float32', 1e-4), ('int8', 0.05)):
        with inference.load(path, precision=precision, engine='openvino',
                            calibration_images=images(3, side)) as predictor:
            np.testing.assert_allclose(predictor.features(images(3, side)), expected,
                                       **close_to(expected, tolerance))


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid', 'linear'])
def test_head(activation):
    """Without activation the predictions are the logits."""
    rng = np.random.RandomState(0)
    layers = [(rng.randn(*shape).astype(np.float32), rng.randn(shape[1]).astype(np.float32))
              for shape in ((20, 7), (7, 5))]
    features = rng.randn(3, 20).astype(np.float32)
    results = []
    for engine in ('session', 'openvino'):
        head = factory.build_head(engine, layers, activation, 2, 'float32')
        results.append((head.logits(features), head.predictions(features)))
        head.close()
    for value, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    assert (results[1][0] == results[1][1]).all() == (activation == 'linear')


def test_int8_head_keeps_large_weights_in_8_bits():
    """Of a classifier like that of ImageNet, an error of a hundredth of the logits' spread."""
    rng = np.random.RandomState(0)
    layers = [(rng.randn(2048, 256).astype(np.float32), rng.randn(256).astype(np.float32)),
              (rng.randn(256, 5).astype(np.float32), rng.randn(5).astype(np.float32))]
    features = rng.uniform(0, 1, (9, 2048)).astype(np.float32)
    heads = [factory.build_head('openvino', layers, 'softmax', 2, precision)
             for precision in ('float32', 'int8')]
    expected, logits = (head.logits(features) for head in heads)
    assert 0 < (logits - expected).std() < 0.02 * expected.std()
    model = heads[1]._request.get_compiled_model().get_runtime_model()
    layers = [op.get_rt_info() for op in model.get_ordered_ops()]
    assert [layer['runtimePrecision'] for layer in layers
            if layer['layerType'] == 'FullyConnected'] == ['i8', 'f32']


def test_same_quantized_network_as_session(tmp_path):
    """The engines quantize alike: only the order of sums differs."""
    features = []
    for engine in ('session', 'openvino'):
        with inference.load(PATH, precision='int8', engine=engine, cache=tmp_path,
                            calibration_images=images(4)) as predictor:
            features.append(predictor.features(images(3)))
    np.testing.assert_allclose(*features, **close_to(features[0], 0.1))


@pytest.mark.parametrize('kernel, padding', [(3, (0, 0, 0, 0)), (7, (2, 2, 3, 3))])
def test_first_convolution_has_eleven_bits(kernel, padding):
    """Rounded to 8 bits, pixels would have an error of 1 / 127 / sqrt(12) each."""
    import openvino

    rng = np.random.RandomState(0)
    side = 33
    pixels = rng.uniform(-1, 1, (4, side, side, 3)).astype(np.float32)
    weights = rng.choice([-1, 1], (16, 3, kernel, kernel)).astype(np.float32)
    biases = rng.randn(16).astype(np.float32)
    network = QuantizedNetwork([Op('conv', [INPUTS], 'features', weights, biases,
                                   (kernel, kernel), 2, padding)], {}, side)

    def features(**options):
        model = openvino_engine.build_model(network, side, **options)
        return openvino.Core().compile_model(
            model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})(pixels)['features']

    expected = features()
    error = features(int8_images=True) - expected
    assert 0 < error.std() < 0.15 * np.sqrt(3 * kernel**2) / 127 / np.sqrt(12)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'int8'])
def test_models_are_compiled_once(tmp_path, monkeypatch, precision):
    """For each number of images and threads in a run, and again if a file is damaged."""
    built = []
    build_model = openvino_engine.build_model
    monkeypatch.setattr(openvino_engine, 'build_model',
                        lambda *arguments, **options: built.append(1) or build_model(
                            *arguments, **options))
    many = np.concatenate([images(4)] * 2)

    def features(path=PATH, **options):
        with inference.load(path, precision=precision, engine='openvino', cache=tmp_path,
                            calibration_images=images(4), num_threads=2, **options) as predictor:
            return predictor.features(images(1)), predictor.features(many)

    def check_equal(expected, count):
        for value, other in zip(features(), expected, strict=True):
            np.testing.assert_array_equal(value, other)
        assert len(built) == count

    def models():
        return sorted(tmp_path.glob('openvino-*.model'))

    expected = features()
    assert len(built) == 1 and len(models()) == 2
    check_equal(expected, 1)
    for number, file in enumerate(models()):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        check_equal(expected, 2 + number)
        assert file.read_bytes() != bytes(content)
    other = features(os.path.join(GOLDEN, 'checkpoints', 'gamma', 'model.ckpt-157585'))
    assert abs(other[0] - expected[0]).max() > 0.01 * expected[0].max() and len(models()) == 4
    # Models for other instructions are not used.
    monkeypatch.setattr(openvino_engine, 'cpu_flags', lambda: ['avx2'])
    check_equal(expected, len(built) + 1)
    assert len(models()) == 6


def test_rebuilds_a_compiled_model_from_a_damaged_network(tmp_path):
    """The ops are not read while the compiled models are enough."""
    def features(many):
        with inference.load(PATH, engine='openvino', cache=tmp_path) as predictor:
            one = predictor.features(images(1))
            return one, predictor.features(np.concatenate([images(4)] * 3)) if many else None

    expected = features(False)[0]
    [file] = tmp_path.glob('*.folded')
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    np.testing.assert_array_equal(features(False)[0], expected)
    assert file.read_bytes() == bytes(content)
    one, many = features(True)
    np.testing.assert_array_equal(one, expected)
    np.testing.assert_allclose(many[::4], np.repeat(one, 3, axis=0), **close_to(one, 1e-4))
    assert file.read_bytes() != bytes(content)


def test_compiled_model_from_the_cache_has_its_own_memory(tmp_path):
    """With MALLOC_PERTURB_ freed memory is overwritten, so its use would give other features."""
    with inference.load(PATH, engine='openvino', cache=tmp_path) as predictor:
        expected = predictor.features(images(2))
    code = f"""
import numpy as np
from inception_slim import inference
with inference.load({PATH!r}, engine='openvino', cache={str(tmp_path)!r}) as predictor:
    np.save({str(tmp_path / 'features.npy')!r},
            predictor.features(np.load({str(tmp_path / 'images.npy')!r})))
"""
    np.save(tmp_path / 'images.npy', images(2))
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={**os.environ, 'MALLOC_PERTURB_': '85'})
    np.testing.assert_array_equal(np.load(tmp_path / 'features.npy'), expected)
