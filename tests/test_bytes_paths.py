"""The public functions take paths as bytes, as `os.listdir(b'...')` returns them."""

import os

from helpers import GOLDEN
from inception_slim import bulk, checkpoint, create_example, data, evaluation, formats, inference
import numpy as np
import pytest

FOLDER = os.path.join(GOLDEN, 'legacy_scripts')
IMAGES = os.path.join(FOLDER, 'images')
IMAGE = os.path.join(IMAGES, 'checks_01.jpg')
LABELS = os.path.join(FOLDER, 'labels.txt')


@pytest.fixture(scope='module')
def predictor():
    with inference.load(os.fsencode(FOLDER)) as loaded:
        yield loaded


@pytest.mark.parametrize('read, path', [
    (checkpoint.inspect, FOLDER), (checkpoint.find_prefix, FOLDER),
    (lambda path: checkpoint.read(path)[0], FOLDER), (data.image_files, IMAGES),
    (lambda path: data.image_files([path]), IMAGE), (data.read_labels, LABELS),
    (lambda path: data.open_dataset(path, 'train'), FOLDER)])
def test_read(read, path):
    assert read(os.fsencode(path)) == read(path)


def test_predictor(predictor):
    expected = predictor.predict(IMAGE)
    for images in (os.fsencode(IMAGE), [os.fsencode(IMAGE)]):
        np.testing.assert_array_equal(predictor.predict(images), expected)
    result = evaluation.classify(predictor, os.fsencode(IMAGE), labels=os.fsencode(LABELS))
    assert result.predictions[0].name == IMAGE
    assert evaluation.evaluate(predictor, os.fsencode(FOLDER),
                               split='validation').num_examples == 25


@pytest.mark.slow
def test_write(predictor, tmp_path):
    def path(name):
        return os.fsencode(tmp_path / name)

    checkpoint.convert(os.fsencode(FOLDER), path('model.ckpt'))
    formats.export(os.fsencode(FOLDER), path('frozen.pb'), format='frozen')
    evaluation.features(predictor, os.fsencode(IMAGES), path('features.npy'))
    names, _ = evaluation.read_features(path('features.npy'))
    assert names == data.read_names(path('features.jsonl'))
    evaluation.compute_statistics(predictor, os.fsencode(IMAGES), path('statistics.npz'))
    statistics = path('statistics.npz')
    assert evaluation.fid(predictor, statistics, os.fsencode(IMAGES)).fid < 1e-6
    bulk.run(os.fsencode(FOLDER), os.fsencode(IMAGES), path('bulk'))
    create_example(path('example'))
    assert {'model.ckpt.index', 'frozen.pb', 'features.npy', 'statistics.npz', 'bulk',
            'example'} <= set(os.listdir(tmp_path))
