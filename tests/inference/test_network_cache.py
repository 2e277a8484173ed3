"""The cache of prepared networks: reused if it matches, replaced if it cannot be trusted."""

import contextlib
import dataclasses
import os
import shutil
import signal

from golden.weights import images
from helpers import GOLDEN
from inception_slim import inference
from inception_slim.checkpoint.keras_model import FOLDER_PREFIX
from inception_slim.errors import InceptionSlimError
from inception_slim.inference import calibration, network_cache, predictor
from inception_slim.inference.engines import onnxruntime_engine, tflite
from inception_slim.inference.ir import Op
from inception_slim.inference.options import InferenceOptions
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np
import pytest
import safetensors.numpy

CHECKPOINTS = os.path.join(GOLDEN, 'checkpoints')
PATH = os.path.join(CHECKPOINTS, 'slim_v2', 'model.ckpt-157585')
OTHER = os.path.join(CHECKPOINTS, 'gamma', 'model.ckpt-157585')
NETWORK = QuantizedNetwork(
    [Op('conv', ['inputs'], 'conv', np.arange(-6, 6, dtype=np.int8).reshape(2, 6, 1, 1),
          np.array([0.5, -1], np.float32), (1, 1), 2, (0, 1, 0, 1), 1,
          scales=np.array([0.1, 0.2], np.float32)),
     Op('scale', ['conv'], 'half', factor=0.5), Op('relu', ['half'], 'features')],
    {'features': 1.5}, 299)


def int8_logits(engine='session', **options):
    with inference.load(PATH, precision='int8', engine=engine, **options) as predictor:
        return predictor.logits(images(2))


@pytest.fixture
def calibrations(monkeypatch):
    """A list with an item for each calibration."""
    calls = []
    measure = calibration._measure
    monkeypatch.setattr(calibration, '_measure',
                        lambda *arguments: calls.append(1) or measure(*arguments))
    return calls


def count(folder, ending):
    return len(list(folder.glob(f'*{ending}')))


class TestFile:

    def test_round_trip(self, tmp_path):
        path = str(tmp_path / 'new' / 'file')
        digest = network_cache.save(path, 'key', 'images', NETWORK)
        loaded, loaded_digest = network_cache.load(path, 'key', 'images')
        assert loaded_digest == digest
        assert (loaded.ranges, loaded.image_size) == (NETWORK.ranges, NETWORK.image_size)
        for read, written in zip(loaded.ops, NETWORK.ops, strict=True):
            for field in Op._fields:
                expected = getattr(written, field)
                if isinstance(expected, np.ndarray):
                    assert getattr(read, field).dtype == expected.dtype
                    np.testing.assert_array_equal(getattr(read, field), expected)
                else:
                    assert getattr(read, field) == expected
        assert network_cache.load(path, 'key', None) is not None

    def test_is_an_aligned_safetensors_file(self, tmp_path):
        path = tmp_path / 'file'
        for name in ('a', 'name', 'another name'):
            network_cache.save(str(path), name, 'images', NETWORK)
            content = path.read_bytes()
            assert (8 + int.from_bytes(content[:8], 'little')) % 64 == 0
            arrays = safetensors.numpy.load(content)
            np.testing.assert_array_equal(arrays['0/scales'], NETWORK.ops[0].scales)

    def test_digest_is_of_the_ops_and_ranges(self, tmp_path):
        def digest(network=NETWORK, key='key'):
            return network_cache.save(str(tmp_path / 'file'), key, 'images', network)

        assert digest(key='another') == digest()
        other = [NETWORK.ops[0]._replace(scales=np.float32([0.1, 0.3])), *NETWORK.ops[1:]]
        renamed = [*NETWORK.ops[:-1], NETWORK.ops[-1]._replace(kind='softmax')]
        assert len({digest(), digest(dataclasses.replace(NETWORK, ops=other)),
                    digest(dataclasses.replace(NETWORK, ops=renamed)),
                    digest(dataclasses.replace(NETWORK, ranges={'features': 2.0}))}) == 4

    def test_ignores_other_key_images_or_path(self, tmp_path):
        path = str(tmp_path / 'file')
        network_cache.save(path, 'key', 'images', NETWORK)
        assert network_cache.load(path, 'another', 'images') is None
        assert network_cache.load(path, 'key', 'others') is None
        assert network_cache.load(str(tmp_path / 'none'), 'key', None) is None

    def test_ignores_damaged_file(self, tmp_path):
        path = tmp_path / 'file'
        network_cache.save(str(path), 'key', 'images', NETWORK)
        content = path.read_bytes()
        rng = np.random.RandomState(0)
        for at in [*range(0, 110, 7), *rng.randint(0, len(content), 40)]:
            damaged = bytearray(content)
            damaged[at] ^= 1 << rng.randint(8)
            path.write_bytes(damaged)
            assert network_cache.load(str(path), 'key', 'images') is None, at
        for length in (0, 10, 40, 100, len(content) - 1):
            path.write_bytes(content[:length])
            assert network_cache.load(str(path), 'key', 'images') is None, length

    def test_ignores_other_files(self, tmp_path):
        path = tmp_path / 'file'
        for content in (b'', b'nonsense', b'PK\x05\x06' + bytes(18), b'\2' + bytes(7) + b'{}'):
            path.write_bytes(content)
            assert network_cache.load(str(path), 'key', None) is None
        safetensors.numpy.save_file({'a': np.zeros(2)}, path, {'plan': '{}', 'checksum': '0'})
        assert network_cache.load(str(path), 'key', None) is None

    def test_keeps_previous_file_if_killed_while_writing(self, tmp_path, monkeypatch):
        path = tmp_path / 'file'
        network_cache.save(str(path), 'key', 'images', NETWORK)
        content = path.read_bytes()
        child = os.fork()
        if not child:
            written = network_cache.atomic_write

            @contextlib.contextmanager
            def dying(path):
                with written(path) as file:
                    file.write(b'some')
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                    yield file

            network_cache.atomic_write = dying
            network_cache.save(str(path), 'key', 'images', NETWORK)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert path.read_bytes() == content
        assert network_cache.load(str(path), 'key', 'images') is not None

    def test_warns_if_folder_is_not_writable(self, tmp_path):
        (tmp_path / 'file').write_text('')
        with pytest.warns(UserWarning, match='is not cached in .*file'):
            network_cache.save(str(tmp_path / 'file' / 'below'), 'key', 'images', NETWORK)


class TestPredictors:

    @pytest.mark.slow
    def test_second_load_does_not_calibrate(self, tmp_path, calibrations):
        first = int8_logits(calibration_images=images(4), cache=tmp_path)
        again = int8_logits(calibration_images=images(4), cache=tmp_path)
        np.testing.assert_allclose(again, first, atol=1e-5)
        # Also without images; a function is not called.
        int8_logits(cache=str(tmp_path))
        int8_logits(calibration_images=lambda: pytest.fail('called'), cache=tmp_path)
        assert len(calibrations) == 1
        assert count(tmp_path, '.int8') == 1

    @pytest.mark.slow
    def test_calibrates_again_for_other_images_or_weights(self, tmp_path, calibrations):
        int8_logits(calibration_images=images(4), cache=tmp_path)
        int8_logits(calibration_images=images(3), cache=tmp_path)
        assert len(calibrations) == 2 and count(tmp_path, '.int8') == 1
        with inference.load(OTHER, precision='int8', cache=tmp_path,
                            calibration_images=images(3)):
            assert len(calibrations) == 3 and count(tmp_path, '.int8') == 2

    def test_onnx_model_is_built_once(self, tmp_path, monkeypatch):
        built = []
        build_model = onnxruntime_engine.build_model
        monkeypatch.setattr(onnxruntime_engine, 'build_model',
                            lambda *arguments: built.append(1) or build_model(*arguments))

        def logits(path=PATH):
            with inference.load(path, engine='onnxruntime', cache=tmp_path) as loaded:
                return loaded.logits(images(2))

        expected = logits()
        np.testing.assert_array_equal(logits(), expected)
        assert len(built) == 1
        assert abs(logits(OTHER) - expected).max() > 0.01 and len(built) == 2

    @pytest.mark.slow
    def test_tflite_model_is_converted_once(self, tmp_path, monkeypatch):
        conversions = []
        build_model = tflite.build_model
        monkeypatch.setattr(tflite, 'build_model',
                            lambda network: conversions.append(1) or build_model(network))
        logits = [int8_logits(engine='tflite', calibration_images=images(4), cache=tmp_path)
                  for _ in range(2)]
        np.testing.assert_array_equal(*logits)
        assert len(conversions) == 1 and count(tmp_path, '.model') == 1
        # The model contains the filters, so it is another one for another checkpoint.
        with inference.load(OTHER, precision='int8', engine='tflite', cache=tmp_path,
                            calibration_images=images(4)) as other:
            assert abs(other.logits(images(2)) - logits[0]).max() > 0.01
        assert len(conversions) == 2 and count(tmp_path, '.model') == 2

    @pytest.mark.slow
    def test_weights_without_a_folded_file_are_told_apart(self, tmp_path, calibrations):
        """Such as those of models of Keras in memory, whose files are temporary."""
        logits = []
        for source in (PATH, OTHER):
            folder = tmp_path / (FOLDER_PREFIX + os.path.basename(os.path.dirname(source)))
            shutil.copytree(os.path.dirname(source), folder)
            with inference.load(folder / os.path.basename(source), precision='int8',
                                engine='session', cache=tmp_path / 'cache',
                                calibration_images=images(4)) as loaded:
                logits.append(loaded.logits(images(2)))
        assert len(calibrations) == 2 and count(tmp_path / 'cache', '.int8') == 2
        assert count(tmp_path / 'cache', '.folded') == 0
        assert abs(logits[0] - logits[1]).max() > 0.01

    @pytest.mark.slow
    def test_replaces_damaged_file(self, tmp_path, calibrations):
        first = int8_logits(calibration_images=images(4), cache=tmp_path)
        [file] = tmp_path.glob('*.int8')
        content = file.read_bytes()
        file.write_bytes(content[:len(content) // 2])
        again = int8_logits(calibration_images=images(4), cache=tmp_path)
        np.testing.assert_allclose(again, first, atol=1e-5)
        assert len(calibrations) == 2 and len(file.read_bytes()) == len(content)

    def test_rejects_empty_cache_without_images(self, tmp_path):
        with pytest.raises(InceptionSlimError, match='has no network calibrated for .*pass real'):
            int8_logits(cache=tmp_path)


class TestFolded:

    @pytest.fixture
    def reads(self, monkeypatch):
        """A list with an item for each checkpoint that is read."""
        calls = []
        read = predictor.checkpoints.read
        monkeypatch.setattr(predictor.checkpoints, 'read',
                            lambda *args, **options: calls.append(1) or read(*args, **options))
        return calls

    @pytest.fixture
    def path(self, tmp_path):
        """A copy of a checkpoint; its prefix."""
        folder = tmp_path / 'checkpoint'
        shutil.copytree(os.path.dirname(PATH), folder)
        return str(folder / os.path.basename(PATH))

    @staticmethod
    def logits(path, cache, **options):
        with inference.load(path, engine='session', cache=cache, **options) as loaded:
            return loaded.info, loaded.weights_digest, loaded.logits(images(1))

    def test_second_load_does_not_read_the_checkpoint(self, path, tmp_path, reads):
        expected = self.logits(path, None)
        for _ in range(2):
            info, digest, logits = self.logits(path, tmp_path / 'cache')
            assert (info, digest) == expected[:2]
            np.testing.assert_array_equal(logits, expected[2])
        assert len(reads) == 2
        assert (count(tmp_path / 'cache', '.folded'), count(tmp_path / 'cache', '.model')) == (1, 1)

    def test_is_read_again_when_a_file_changes(self, path, tmp_path, reads):
        self.logits(path, tmp_path / 'cache')
        for file in sorted(os.listdir(os.path.dirname(path))):
            if file.startswith(os.path.basename(path)):
                before = len(reads)
                os.utime(os.path.join(os.path.dirname(path), file))
                self.logits(path, tmp_path / 'cache')
                assert len(reads) == before + 1, file
        # Other weights under the same name, of equal size and times.
        times = os.stat(path + '.index').st_mtime_ns
        for file in os.listdir(os.path.dirname(OTHER)):
            if file.startswith(os.path.basename(OTHER)):
                shutil.copy(os.path.join(os.path.dirname(OTHER), file), os.path.dirname(path))
        os.utime(path + '.index', ns=(times, times))
        _, _, logits = self.logits(path, tmp_path / 'cache')
        np.testing.assert_array_equal(logits, self.logits(OTHER, None)[2])
        assert count(tmp_path / 'cache', '.folded') == 1

    def test_damaged_file_is_replaced(self, path, tmp_path, reads):
        expected = self.logits(path, tmp_path / 'cache')[2]
        for ending in ('.folded', '.model'):
            [file] = (tmp_path / 'cache').glob('*' + ending)
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
            np.testing.assert_array_equal(self.logits(path, tmp_path / 'cache')[2], expected)
            assert bytes(content) != file.read_bytes()
        assert len(reads) == 2

    def test_bfloat16_is_rounded_once(self, path, tmp_path, monkeypatch):
        calls = []
        round_network = predictor.round_network
        monkeypatch.setattr(predictor, 'round_network',
                            lambda *arguments: calls.append(1) or round_network(*arguments))

        def ops(cache, precision='bfloat16', spatial=False):
            options = InferenceOptions(cache=cache)
            return predictor._Network(path, options, None, precision, spatial).ops()

        expected = ops(None)
        cache = tmp_path / 'cache'
        for _ in range(3):
            for read, rounded in zip(ops(cache), expected, strict=True):
                assert read._replace(weights=None, biases=None, means=None) == rounded._replace(
                    weights=None, biases=None, means=None)
                for name in ('weights', 'biases', 'means'):
                    value = getattr(rounded, name)
                    np.testing.assert_array_equal(getattr(read, name), value)
                    assert value is None or getattr(read, name).dtype == value.dtype
        assert len(calls) == 2  # without a cache, and to fill it
        [file] = cache.iterdir()
        unrounded = ops(cache, 'float32')
        assert any((op.weights != other.weights).any()
                   for op, other in zip(unrounded, expected) if op.kind == 'conv')
        [other] = [other for other in cache.iterdir() if other != file]
        assert file.stat().st_size < 0.7 * other.stat().st_size  # weights have half the size
        # Spatial features are not scaled.
        ops(cache, spatial=True)
        assert len(calls) == 3 and count(cache, '.folded') == 3

    def test_options_are_part_of_the_key(self, path, tmp_path, reads):
        self.logits(path, tmp_path / 'cache')
        with inference.load(path, cache=tmp_path / 'cache', image_size=139) as loaded:
            assert loaded.info.image_size == 139
        assert len(reads) == 2 and count(tmp_path / 'cache', '.folded') == 2

    def test_keras_model_is_not_cached(self, tmp_path):
        """Its file is temporary: each load would leave another cached file."""
        path = tmp_path / (FOLDER_PREFIX + 'x') / 'model.keras'
        path.parent.mkdir()
        path.write_bytes(b'')
        assert not network_cache.FoldedCache(tmp_path, path).is_enabled

    @pytest.mark.parametrize('path', ['gs://bucket/model.ckpt', 'https://host/model.h5', 'none/x'])
    def test_files_elsewhere_are_not_cached(self, tmp_path, path):
        assert not network_cache.FoldedCache(tmp_path, path).is_enabled
