"""Times checkpoint.restore compared with tf.train.Saver.restore, on a full-width checkpoint.

One interleaved run; prints the medians, their ratio, and the increase of memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

import inception_slim
from inception_slim import checkpoint
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tqdm import tqdm

from scripts.benchmarks._common import resident_memory


class Measurement:
    """A context that measures its duration and the increase of memory in it."""

    def __enter__(self):
        self.before = self.peak = resident_memory()
        self.running = True
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        self.start = time.perf_counter()
        return self

    def sample(self):
        while self.running:
            self.peak = max(self.peak, resident_memory())
            time.sleep(0.002)

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self.start
        self.running = False
        self.thread.join()
        self.increase = (self.peak - self.before) / 2**20


def build_network() -> tuple[tf.Session, tf.train.Saver]:
    graph = tf.Graph()
    with graph.as_default():
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), num_classes=1001,
                                        is_training=False)
        return tf.Session(), tf.train.Saver(slim.get_model_variables())


def create_and_restore(session, saver, path):
    with session.graph.as_default():
        tf.train.Saver(slim.get_model_variables()).restore(session, path)


METHODS = {
    'Saver().restore': create_and_restore,
    'checkpoint.restore': lambda session, saver, path: checkpoint.restore(session, path),
    'restore, existing Saver': lambda session, saver, path: saver.restore(session, path),
}


def measure_first(name: str, path: str) -> None:
    """Prints the duration and the memory of the first restore of this process."""
    session, saver = build_network()
    with Measurement() as measurement:
        METHODS[name](session, saver, path)
    print(measurement.seconds, measurement.increase)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=9, metavar='N')
    parser.add_argument('--first', nargs=2, metavar=('METHOD', 'PATH'), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error('--rounds must be at least 1')
    tf.disable_eager_execution()
    tf.get_logger().setLevel('ERROR')
    if arguments.first:
        measure_first(*arguments.first)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        session, saver = build_network()
        with session.graph.as_default():
            initialize = tf.global_variables_initializer()
        session.run(initialize)
        path = saver.save(session, os.path.join(folder, 'model.ckpt'), write_meta_graph=False)
        size = os.path.getsize(path + '.data-00000-of-00001') / 2**20
        print(f'A checkpoint of Inception V3 with 1,001 classes, {size:.0f} MiB', flush=True)
        first, again = {}, {name: [] for name in METHODS}
        for name in METHODS:
            process = subprocess.run([sys.executable, '-m', 'scripts.benchmarks.restore', '--first',
                                   name, path],
                                  capture_output=True, text=True, check=True)
            first[name] = [float(figure) for figure in process.stdout.split()]
        for _ in tqdm(range(arguments.rounds), unit='round', disable=None):
            for name, method in METHODS.items():
                start = time.perf_counter()
                method(session, saver, path)
                again[name].append(time.perf_counter() - start)
    reference = statistics.median(again['Saver().restore'])
    for name in METHODS:
        median = statistics.median(again[name])
        print(f'{name:24} first {first[name][0]:.3f} sec, memory +{first[name][1]:.0f} MiB; '
              f'then {median:.3f} sec, {median / reference:.2f} times Saver().restore')
    return 0


if __name__ == '__main__':
    sys.exit(main())
