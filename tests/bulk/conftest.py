"""The fixtures of the tests of bulk, which use a narrow network and small images.

Ray and S3 are tested in tests/acceptance/test_bulk_faults.py.
"""

import functools

import bulk_images
from inception_slim import inference
import pytest


@functools.cache
def _load_once(checkpoint, **arguments):
    return bulk_images.load(checkpoint, **arguments)


class _SharedPredictor:
    """A predictor that stays open for other tests."""

    def __init__(self, predictor):
        self.features, self.predict = predictor.features, predictor.predict
        self.info, self.precision = predictor.info, predictor.precision
        self.weights_digest = predictor.weights_digest

    def close(self):
        pass


@pytest.fixture(scope='module', autouse=True)
def load_checkpoints_once():
    """Loads each checkpoint once for all tests, because loading takes most of their time."""
    def load(checkpoint, **arguments):
        if arguments.get('calibration_images') is not None:
            return bulk_images.load(checkpoint, **arguments)
        return _SharedPredictor(_load_once(checkpoint, **arguments))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, 'load', load)
        yield


@pytest.fixture(scope='session')
def image_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('images')
    for number, content in enumerate(bulk_images.encoded_images()):
        file = path / bulk_images.file_name(number)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    (path / 'labels.txt').write_text('ignored, because it is not given as a source itself\n')
    return path
