"""One predictor, called 2,000 times from eight threads with random batch sizes.

Every result must equal the single-threaded one, and memory must not grow.
"""

import os
import threading

import inception_slim
from inception_slim.inference import PRECISIONS, load
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from scripts.benchmarks._common import resident_memory

pytestmark = pytest.mark.acceptance
CALLS = 2000
THREADS = 8
LARGEST_BATCH = 4
MAX_GROWTH = 64  # MiB that the memory allocators may keep for eight threads


def narrow_checkpoint(folder) -> str:
    """A checkpoint of Inception V3 with depth multiplier 0.1, ten classes and random weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), 10, depth_multiplier=0.1,
                                        is_training=False)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(slim.get_model_variables()).save(
            session, os.path.join(folder, 'model'), write_meta_graph=False)


@pytest.mark.parametrize('precision', PRECISIONS)
def test_threads_agree_and_memory_is_flat(precision, tmp_path):
    images = np.random.RandomState(0).uniform(
        -1, 1, (LARGEST_BATCH, 299, 299, 3)).astype(np.float32)
    with load(narrow_checkpoint(tmp_path), precision=precision,
              calibration_images=images) as predictor:
        expected = {size: predictor.logits(images[:size]) for size in range(1, LARGEST_BATCH + 1)}
        # A different order of additions changes the last bits.
        tolerance = 1e-5 * max(np.abs(logits).max() for logits in expected.values())
        sizes = iter(np.random.RandomState(1).randint(1, LARGEST_BATCH + 1, CALLS).tolist())
        lock, wrong, memory = threading.Lock(), [], []

        def call_until_done():
            while True:
                with lock:
                    size = next(sizes, None)
                    if size is None:
                        return
                    memory.append(resident_memory() / 2**20)
                if np.abs(predictor.logits(images[:size]) - expected[size]).max() > tolerance:
                    wrong.append(size)

        threads = [threading.Thread(target=call_until_done) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    quarter = len(memory) // 4
    growth = np.median(memory[-quarter:]) - np.median(memory[quarter:2 * quarter])
    print(f'{precision}: {len(memory)} calls, {len(wrong)} wrong; memory {np.median(memory):.0f} '
          f'MiB, {growth:.0f} MiB more in the last quarter of the calls than in the second')
    assert len(memory) == CALLS
    assert not wrong
    assert growth <= MAX_GROWTH
