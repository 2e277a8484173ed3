"""The memory of 100,000 images: their reading and the network are replaced by numbers."""

import dataclasses
import os

from helpers import GOLDEN, reset_peak_memory, resident_memory
from inception_slim import data, evaluation, inference
from inception_slim.evaluation import generative
from inception_slim.evaluation.image_sets import ImageSet, ImageSource
from inception_slim.inference.predictor import Predictor
import numpy as np
import pytest

FOLDER = os.path.join(GOLDEN, 'legacy_scripts')
COUNT, BATCH = 100_000, 500


@pytest.mark.slow
@pytest.mark.parametrize('name, largest', [
    ('evaluate', 50), ('fid', 50),
    ('inception_score', COUNT * 5 * 4 / 2**20 + 100)])  # 5 logits for each image
def test_many_images(name, largest, monkeypatch):
    """`largest` is the growth in MiB after the first images."""
    if not reset_peak_memory():
        pytest.skip('the system does not reset the peak')
    rng = np.random.RandomState(0)
    before = []

    def batches(make):
        for number in range(COUNT // BATCH):
            if number == 5:
                reset_peak_memory()
                before.append(resident_memory('VmRSS'))
            names = np.array([b'%09d.png' % (number * BATCH + i) for i in range(BATCH)], object)
            yield {'image': np.zeros((BATCH, 99, 99, 3), np.float32), 'name': names,
                   'label': rng.randint(5, size=BATCH)}

    monkeypatch.setattr(data, 'as_numpy_batches', batches)
    images = ImageSet(FOLDER, ImageSource(
        COUNT, lambda batch_size, **options: data.as_numpy_batches(None)))
    monkeypatch.setattr(generative, 'open_image_set', lambda *arguments: images)
    for output, channels in (('logits', 5), ('features', 101)):
        monkeypatch.setattr(Predictor, output, lambda self, images, names, channels=channels:
                            rng.rand(len(images), channels).astype(np.float32))
    dataset = dataclasses.replace(data.open_dataset(FOLDER, 'validation'), num_examples=COUNT)
    with inference.load(FOLDER) as predictor:
        if name == 'evaluate':
            assert evaluation.evaluate(predictor, dataset).num_examples == COUNT
        elif name == 'fid':
            assert evaluation.fid(predictor, FOLDER, FOLDER).counts == (COUNT, COUNT)
        else:
            assert evaluation.inception_score(predictor, FOLDER).count == COUNT
    growth = (resident_memory('VmHWM') - before[0]) / 2**20
    print(f'{name}: {growth:.0f} MiB')
    assert growth < largest
