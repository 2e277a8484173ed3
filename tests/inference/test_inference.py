"""Predictors compared with the unfolded graph and with TensorFlow 1.15.5."""

import os
import subprocess
import sys
import threading
import warnings

from golden.weights import images
from helpers import GOLDEN, NARROW, build, close_to, golden_arrays, some_slow
from inception_slim import checkpoint, inference
from inception_slim.checkpoint import CheckpointError
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

FILES = {'slim_v1': 157585, 'slim_v2': 157585, 'gamma': 157585, 'outer_scope': 157585,
         'renamed': 157585, 'trained': 3, 'first_release': 157585}


def path_of(name):
    return os.path.join(GOLDEN, 'checkpoints', name, f'model.ckpt-{FILES[name]}')


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('checkpoints')


@pytest.fixture(scope='module')
def predictor():
    with inference.load(path_of('slim_v2')) as loaded:
        yield loaded


class TestOutputs:

    @pytest.mark.parametrize('name', some_slow(FILES, 3))
    def test_logits_of_tf_1_15(self, golden, name):
        with inference.load(path_of(name)) as loaded:
            np.testing.assert_allclose(loaded.logits(images(2)), golden[name],
                                       **close_to(golden[name]))

    @pytest.mark.parametrize('name', ['trained', 'first_release'])
    def test_moving_averages(self, golden, name):
        with inference.load(path_of(name), use_ema=True) as loaded:
            expected = golden[name + '_averaged']
            np.testing.assert_allclose(loaded.logits(images(2)), expected, **close_to(expected))

    @pytest.mark.slow
    def test_all_outputs_of_the_unfolded_graph(self, predictor, graph):
        inputs, _, end_points = build((3, 299, 299, 3), is_training=False, **NARROW)
        with tf.Session() as session:
            checkpoint.restore(session, path_of('slim_v2'))
            logits, predictions, features = session.run(
                [end_points[name] for name in ('Logits', 'Predictions', 'PreLogits')],
                {inputs: images(3)})
        for method, expected in ((predictor.logits, logits),
                                (predictor.predict, predictions),
                                (predictor.features, features[:, 0, 0])):
            output = method(images(3))
            assert output.dtype == np.float32
            np.testing.assert_allclose(output, expected, **close_to(expected))

    def test_folding_removes_batch_norm(self, predictor):
        info, weights = checkpoint.read(path_of('gamma'))
        folded = inference.fold_batch_norm(weights)
        assert {name.rsplit('/', 1)[-1] for name in folded} == {'weights', 'biases'}
        assert len(folded) == 2 * 98

    def test_bfloat16(self, golden):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # on processors that are slower in it
            loaded = inference.load(path_of('slim_v2'), precision='bfloat16')
        with loaded:
            assert loaded.precision == ('bfloat16' if inference.has_fast_bfloat16() else 'float32')
            expected = golden['slim_v2']
            np.testing.assert_allclose(loaded.logits(images(2)), expected,
                                       **close_to(expected, 0.05))

    def test_slow_bfloat16(self, golden, monkeypatch):
        monkeypatch.setattr('inception_slim.inference.predictor.has_fast_bfloat16', lambda: False)
        with pytest.warns(UserWarning, match='slower in bfloat16 than in float32; using float32'):
            loaded = inference.load(path_of('slim_v2'), precision='bfloat16')
        assert loaded.precision == 'float32'
        np.testing.assert_allclose(loaded.logits(images(2)), golden['slim_v2'],
                                   **close_to(golden['slim_v2']))

    def test_int8(self, golden):
        with inference.load(path_of('slim_v2'), precision='int8',
                            calibration_images=images(6)) as loaded:
            expected = golden['slim_v2']
            np.testing.assert_allclose(loaded.logits(images(2)), expected,
                                       **close_to(expected, 0.25))
            three = loaded.predict(images(3))
            np.testing.assert_allclose(three.sum(axis=1), 1, rtol=1e-5)
            assert loaded.features(images(3)).shape == (3, 101)
            np.testing.assert_allclose(three[:1], loaded.predict(images(3)[:1]), atol=1e-6)


class TestBatchSizes:

    def test_batches_of_any_size(self, predictor):
        batch = images(5)
        expected = predictor.logits(batch)
        for count in (1, 2, 5):
            np.testing.assert_allclose(predictor.logits(batch[:count]), expected[:count],
                                       atol=1e-5)
        assert predictor.logits(batch[:0]).shape == (0, 11)
        assert predictor.features(batch[:0]).shape == (0, 101)

    def test_more_images_than_one_run(self, predictor):
        batch = np.repeat(images(5), 7, axis=0)
        np.testing.assert_allclose(predictor.logits(batch)[::7], predictor.logits(images(5)),
                                   atol=1e-5)

    def test_fixed_batch_size(self, predictor):
        with inference.load(path_of('slim_v2'), batch_size=3) as fixed:
            for count in (1, 3, 4):
                np.testing.assert_allclose(fixed.logits(images(4)[:count]),
                                           predictor.logits(images(4)[:count]), atol=1e-5)

    def test_calls_from_several_threads(self, predictor):
        batch = images(4)
        expected = [predictor.logits(batch[:count]) for count in range(1, 5)]
        wrong = []

        def call(seed):
            rng = np.random.RandomState(seed)
            for _ in range(8):
                count = rng.randint(1, 5)
                if not np.allclose(predictor.logits(batch[:count]), expected[count - 1],
                                   atol=1e-5):
                    wrong.append(count)

        threads = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestRejected:

    @pytest.mark.parametrize('bad, message', [
        (np.full((1, 299, 299, 3), np.nan, 'f'), 'NaN or infinite'),
        (np.full((1, 299, 299, 3), np.inf, 'f'), 'NaN or infinite'),
    ])
    def test_images(self, predictor, bad, message):
        with pytest.raises(ValueError, match=message):
            predictor.logits(bad)

    @pytest.mark.parametrize('bad, message', [
        (np.zeros((299, 299, 3), 'f'), r'\[N, 299, 299, 3\], but are \[299, 299, 3\].*image\[None'),
        (np.zeros((1, 224, 224, 3), 'f'), r'\[1, 224, 224, 3\]; resize'),
        (np.zeros((1, 299, 299, 3), np.uint8), r'but are uint8; use images / 127\.5 - 1'),
    ])
    def test_calibration_images(self, bad, message):
        with pytest.raises(ValueError, match=message):
            inference.load(path_of('slim_v2'), precision='int8', calibration_images=bad)

    def test_warns_of_values_in_0_255(self, predictor):
        with pytest.warns(UserWarning, match=r'\[0, 255\], use images / 127\.5 - 1') as caught:
            predictor.logits(np.linspace(0, 255, 299 * 299 * 3).reshape(1, 299, 299, 3))
        assert caught[0].filename == __file__

    def test_closed_predictor(self):
        loaded = inference.load(path_of('slim_v2'))
        loaded.close()
        loaded.close()
        with pytest.raises(RuntimeError, match='is closed'):
            loaded.logits(images(1))

    @pytest.mark.parametrize('arguments, message', [
        ({'precision': 'float16'}, "one of float32, bfloat16, int8, not 'float16'"),
        ({'precision': 'int8'}, 'int8 needs calibration_images'),
        ({'precision': 'int8', 'calibration_images': np.zeros((0, 299, 299, 3))}, 'int8 needs'),
        ({'batch_size': 0}, 'batch_size must be at least 1'),
        ({'num_threads': 0}, 'num_threads must be at least 1'),
    ])
    def test_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            inference.load(path_of('slim_v2'), **arguments)

    def test_checkpoint(self):
        with pytest.raises(CheckpointError, match='There is no checkpoint'):
            inference.load(path_of('slim_v2') + '9')
        with pytest.raises(CheckpointError, match='no moving averages'):
            inference.load(path_of('slim_v2'), use_ema=True)


@pytest.mark.slow
def test_prints_nothing_and_does_not_change_global_state_of_tensorflow():
    code = f'''
from inception_slim._tf_logging import suppress_stderr
with suppress_stderr():  # what TensorFlow itself prints
    import tensorflow as tf
from inception_slim import inference
import numpy as np
for arguments in ({{}}, {{'precision': 'int8',
                         'calibration_images': np.random.uniform(-1, 1, (2, 299, 299, 3))}}):
    with inference.load({path_of('slim_v2')!r}, **arguments) as predictor:
        predictor.logits(np.zeros((1, 299, 299, 3), 'f'))
assert tf.executing_eagerly() and tf.compat.v1.resource_variables_enabled()
'''
    done = subprocess.run([sys.executable, '-W', 'error::DeprecationWarning', '-c', code],
                          text=True, capture_output=True,
                          env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
