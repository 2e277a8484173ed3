"""The memory of many images and of closed networks."""

import dataclasses
import os
import subprocess
import sys

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
    """Reading and the network are replaced by numbers; `largest` is the growth in MiB."""
    if not reset_peak_memory():
        pytest.skip('the system does not reset the peak')
    rng = np.random.RandomState(0)
    before = []

    def batches(*arguments, **options):
        for number in range(COUNT // BATCH):
            if number == 5:
                reset_peak_memory()
                before.append(resident_memory('VmRSS'))
            names = np.array([b'%09d.png' % (number * BATCH + i) for i in range(BATCH)], object)
            yield {'image': np.zeros((BATCH, 99, 99, 3), np.float32), 'name': names,
                   'label': rng.randint(5, size=BATCH)}

    monkeypatch.setattr(data, 'read_batches', batches)
    images = ImageSet(FOLDER, ImageSource(COUNT, batches))
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


@pytest.mark.slow
def test_closed_network_returns_its_memory(tmp_path):
    """In a process of its own, since TensorFlow reads the variable only once."""
    if not reset_peak_memory():
        pytest.skip('the system does not measure memory')
    script = tmp_path / 'closed_network.py'
    script.write_text("""
from helpers import resident_memory
from inception_slim.inference.cpu_features import use_system_allocator
use_system_allocator()
from inception_slim.inference.engines.session import SessionEngine
from inception_slim.inference.ir import Op
from inception_slim.inference.tf_graph_builder import float_graph
import numpy as np
import tensorflow.compat.v1 as tf

def load(channels):
    ops = [Op('conv', ['inputs'], 'first', np.ones((2048, 3, 1, 1), 'f'), np.ones(2048, 'f')),
           Op('conv', ['first'], 'second', np.ones((channels, 2048, 1, 1), 'f'),
              np.ones(channels, 'f')),
           Op('avg_pool', ['second'], 'pool', kernel=(8, 8)), Op('flatten', ['pool'], 'features')]
    engine = SessionEngine(float_graph(ops, 8, tf.float32), 1, None, 4)
    assert engine.features(np.ones((1, 8, 8, 3), 'f')).shape == (1, channels)
    return engine

load(16).close()  # what TensorFlow keeps of any network
before = resident_memory('VmRSS')
engine = load(8192)  # 64 MiB of weights
loaded = resident_memory('VmRSS')
engine.close()
print(loaded - before, resident_memory('VmRSS') - before)
""")
    printed = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, check=True, env={
        **os.environ, 'PYTHONPATH': os.path.dirname(GOLDEN), 'TF_CPP_MIN_LOG_LEVEL': '3'}).stdout
    loaded, closed = (int(number) / 2**20 for number in printed.split())
    print(f'{loaded:.0f} MiB, after closing {closed:.0f} MiB')
    assert loaded > 64 and closed < 32
