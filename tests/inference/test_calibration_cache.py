"""The cache of calibrated networks: reused if it matches, replaced if it cannot be trusted."""

import contextlib
import os
import signal

from golden.weights import images
from helpers import GOLDEN
from inception_slim import inference
from inception_slim.errors import InceptionSlimError
from inception_slim.inference import calibration, calibration_cache
from inception_slim.inference.ir import Op
from inception_slim.inference.quantization import QuantizedNetwork
import numpy as np
import pytest

CHECKPOINTS = os.path.join(GOLDEN, 'checkpoints')
PATH = os.path.join(CHECKPOINTS, 'slim_v2', 'model.ckpt-157585')
OTHER = os.path.join(CHECKPOINTS, 'gamma', 'model.ckpt-157585')
NETWORK = QuantizedNetwork(
    [Op('conv', ['inputs'], 'conv', np.arange(-6, 6, dtype=np.int8).reshape(2, 6, 1, 1),
          np.array([0.5, -1], np.float32), (1, 1), 2, (0, 1, 0, 1), 1,
          scales=np.array([0.1, 0.2], np.float32)),
     Op('scale', ['conv'], 'half', factor=0.5), Op('relu', ['half'], 'features')],
    {'features': 1.5}, 299)


def int8_logits(**options):
    with inference.load(PATH, precision='int8', engine='session', **options) as predictor:
        return predictor.logits(images(2))


@pytest.fixture
def calibrations(monkeypatch):
    """A list with an item for each calibration."""
    calls = []
    measure = calibration._measure
    monkeypatch.setattr(calibration, '_measure',
                        lambda *arguments: calls.append(1) or measure(*arguments))
    return calls


class TestFile:

    def test_round_trip(self, tmp_path):
        path = str(tmp_path / 'new' / 'file')
        calibration_cache.save(path, 'key', 'images', NETWORK)
        found = calibration_cache.load(path, 'key', 'images')
        assert (found.ranges, found.image_size) == (NETWORK.ranges, NETWORK.image_size)
        for read, written in zip(found.ops, NETWORK.ops, strict=True):
            for field in Op._fields:
                expected = getattr(written, field)
                if isinstance(expected, np.ndarray):
                    assert getattr(read, field).dtype == expected.dtype
                    np.testing.assert_array_equal(getattr(read, field), expected)
                else:
                    assert getattr(read, field) == expected
        assert calibration_cache.load(path, 'key', None) is not None

    def test_ignores_other_key_images_or_path(self, tmp_path):
        path = str(tmp_path / 'file')
        calibration_cache.save(path, 'key', 'images', NETWORK)
        assert calibration_cache.load(path, 'another', 'images') is None
        assert calibration_cache.load(path, 'key', 'others') is None
        assert calibration_cache.load(str(tmp_path / 'none'), 'key', None) is None

    def test_ignores_damaged_file(self, tmp_path):
        path = tmp_path / 'file'
        calibration_cache.save(str(path), 'key', 'images', NETWORK)
        content = path.read_bytes()
        rng = np.random.RandomState(0)
        for at in [*range(0, 110, 7), *rng.randint(0, len(content), 40)]:
            damaged = bytearray(content)
            damaged[at] ^= 1 << rng.randint(8)
            path.write_bytes(damaged)
            assert calibration_cache.load(str(path), 'key', 'images') is None, at
        for length in (0, 10, 40, 100, len(content) - 1):
            path.write_bytes(content[:length])
            assert calibration_cache.load(str(path), 'key', 'images') is None, length

    def test_ignores_foreign_content_with_valid_checksum(self, tmp_path):
        import hashlib

        path = tmp_path / 'file'
        for content in (b'', b'nonsense', b'PK\x05\x06' + bytes(18)):
            path.write_bytes(
                calibration_cache._FIRST_LINE
                + hashlib.sha256(content).hexdigest().encode()
                + content
            )
            assert calibration_cache.load(str(path), 'key', None) is None

    def test_keeps_previous_file_if_killed_while_writing(self, tmp_path, monkeypatch):
        path = tmp_path / 'file'
        calibration_cache.save(str(path), 'key', 'images', NETWORK)
        content = path.read_bytes()
        child = os.fork()
        if not child:
            written = calibration_cache.atomic_write

            @contextlib.contextmanager
            def dying(path):
                with written(path) as file:
                    file.write(b'some')
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                    yield file

            calibration_cache.atomic_write = dying
            calibration_cache.save(str(path), 'key', 'images', NETWORK)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert path.read_bytes() == content
        assert calibration_cache.load(str(path), 'key', 'images') is not None

    def test_warns_if_folder_is_not_writable(self, tmp_path):
        (tmp_path / 'file').write_text('')
        with pytest.warns(UserWarning, match='is not cached in .*file'):
            calibration_cache.save(str(tmp_path / 'file' / 'below'), 'key', 'images', NETWORK)


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
        assert len(os.listdir(tmp_path)) == 1

    @pytest.mark.slow
    def test_calibrates_again_for_other_images_or_weights(self, tmp_path, calibrations):
        int8_logits(calibration_images=images(4), cache=tmp_path)
        int8_logits(calibration_images=images(3), cache=tmp_path)
        assert len(calibrations) == 2 and len(os.listdir(tmp_path)) == 1
        with inference.load(OTHER, precision='int8', cache=tmp_path,
                            calibration_images=images(3)):
            assert len(calibrations) == 3 and len(os.listdir(tmp_path)) == 2

    @pytest.mark.slow
    def test_replaces_damaged_file(self, tmp_path, calibrations):
        first = int8_logits(calibration_images=images(4), cache=tmp_path)
        file = tmp_path / os.listdir(tmp_path)[0]
        content = file.read_bytes()
        file.write_bytes(content[:len(content) // 2])
        again = int8_logits(calibration_images=images(4), cache=tmp_path)
        np.testing.assert_allclose(again, first, atol=1e-5)
        assert len(calibrations) == 2 and len(file.read_bytes()) == len(content)

    def test_rejects_empty_cache_without_images(self, tmp_path):
        with pytest.raises(InceptionSlimError, match='has no network calibrated for .*pass real'):
            int8_logits(cache=tmp_path)
