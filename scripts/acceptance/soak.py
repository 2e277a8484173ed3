"""Calls one predictor from eight threads, 2,000 times, with random numbers of images.

Every answer must be the single-threaded one's, and memory must not grow.
"""

import argparse
import os
import sys
import tempfile
import threading

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim
from inception_slim.inference import PRECISIONS, load
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tqdm import tqdm

from scripts.benchmarks.restore import resident

LARGEST = 4
GROWTH = 64  # MiB that allocators may keep of eight threads' work


def narrow_checkpoint(folder: str) -> str:
    with tf.Graph().as_default(), tf.Session() as session:
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), 10, depth_multiplier=0.1,
                                        is_training=False)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(slim.get_model_variables()).save(
            session, os.path.join(folder, 'model'), write_meta_graph=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--calls', type=int, default=2000, metavar='N')
    parser.add_argument('--threads', type=int, default=8, metavar='N')
    parser.add_argument('--precision', choices=PRECISIONS, default='float32')
    arguments = parser.parse_args()
    if arguments.calls < 2 or arguments.threads < 1:
        parser.error('--calls must be at least 2 and --threads at least 1')
    tf.get_logger().setLevel('ERROR')
    images = np.random.RandomState(0).uniform(-1, 1, (LARGEST, 299, 299, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        predictor = load(narrow_checkpoint(folder), precision=arguments.precision,
                         calibration_images=images)
    expected = {count: predictor.logits(images[:count]) for count in range(1, LARGEST + 1)}
    # Sums of another order of additions differ in the last bits.
    tolerance = 1e-5 * max(np.abs(each).max() for each in expected.values())
    numbers = iter(np.random.RandomState(1).randint(1, LARGEST + 1, arguments.calls).tolist())
    lock, wrong, memory = threading.Lock(), [], []
    progress = tqdm(total=arguments.calls, unit='call', disable=None)

    def work():
        while True:
            with lock:
                count = next(numbers, None)
                if count is None:
                    return
                progress.update()
                memory.append(resident() / 2**20)
            if np.abs(predictor.logits(images[:count]) - expected[count]).max() > tolerance:
                wrong.append(count)

    threads = [threading.Thread(target=work) for _ in range(arguments.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.close()
    quarter = len(memory) // 4
    growth = np.median(memory[-quarter:]) - np.median(memory[quarter:2 * quarter])
    print(f'{arguments.calls} calls from {arguments.threads} threads in {predictor.precision}: '
          f'{len(wrong)} wrong answers; memory {np.median(memory):.0f} MiB, grown by '
          f'{growth:.0f} MiB between the second quarter of them and the last')
    return 1 if wrong or growth > GROWTH else 0


if __name__ == '__main__':
    sys.exit(main())
