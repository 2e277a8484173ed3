"""Training that is killed at random moments, ended, or runs out of disk space; exports too.

A narrow Inception V3 on generated images saves as often as it can. TensorFlow 1.15.5 reads the last
checkpoint, where `make bench-1.15` has set one up.
"""

import dataclasses
import os
import random
import resource
import signal
import subprocess
import sys
import time

from golden.weights import images
import inception_slim
from inception_slim import checkpoint
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from scripts.tf1_env import OLD_PYTHON, environment

pytestmark = pytest.mark.acceptance
HERE = os.path.dirname(os.path.abspath(__file__))
NARROW = {'depth_multiplier': 0.05, 'min_depth': 4}
CLASSES = ('blue', 'green', 'red')
KILLS = 5
FOREVER = 10**6  # steps


def write_dataset(folder: str) -> None:
    """A folder of eight PNG files for each class."""
    rng = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (32, 32, 3))
        encoded = tf.image.encode_png(pixels)
        for channel, name in ((2, 'blue'), (1, 'green'), (0, 'red')):
            os.makedirs(os.path.join(folder, name))
            for number in range(8):
                image = rng.randint(0, 90, (32, 32, 3))
                image[..., channel] += 150
                with open(os.path.join(folder, name, f'{number}.png'), 'wb') as file:
                    file.write(session.run(encoded, {pixels: image}))


def start(arguments: list[str], max_file_size: int | None = None) -> subprocess.Popen:
    """Starts a command; `max_file_size` in bytes stands for the space left on its disk."""
    def limit():
        if max_file_size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_size, max_file_size))

    return subprocess.Popen([sys.executable, '-m', 'inception_slim', *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)


def start_training(dataset: str, folder: str, max_file_size: int | None = None):
    return start(['train', dataset, '--train-dir', folder, '--steps', str(FOREVER),
                  '--batch-size', '4', '--depth-multiplier', '0.05', '--min-depth', '4',
                  '--save-minutes', '0.001', '--summary-steps', '1'], max_file_size)


def read_until_step(process: subprocess.Popen) -> str:
    """Reads standard output up to the next line of a step."""
    for line in process.stdout:
        if line.startswith('step '):
            return line
    raise AssertionError(process.stderr.read())


def compare_with_tensorflow_1(folder: str) -> None:
    """Has TensorFlow 1.15.5 compute logits from the last checkpoint and compares them."""
    info = checkpoint.inspect(folder)
    output = os.path.join(folder, 'logits.npy')
    process = subprocess.run(
        [OLD_PYTHON, os.path.join(HERE, 'read_with_1_15.py'), info.path, str(len(CLASSES)),
         str(NARROW['depth_multiplier']), str(NARROW['min_depth']), output],
        capture_output=True, text=True, env=environment())
    assert process.returncode == 0, process.stderr
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, (2, 299, 299, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            logits, _ = inception_slim.inception_v3(inputs, len(CLASSES), is_training=False,
                                                    **NARROW)
        checkpoint.restore(session, info.path)
        result, expected = session.run(logits, {inputs: images(2)}), np.load(output)
    difference = np.abs(result - expected).max()
    print(f'{process.stdout.strip()}; logits differ by at most {difference:.1g}')
    assert difference <= 1e-4 * max(1, np.abs(expected).max())


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('dataset') / 'images')
    write_dataset(folder)
    return folder


@pytest.fixture(scope='module')
def train_dir(tmp_path_factory):
    """The tests of this module train on in the same folder, in order."""
    return str(tmp_path_factory.mktemp('train') / 'model')


def test_resumes_after_kills(dataset, train_dir):
    rng, step = random.Random(0), 0
    for _ in range(KILLS):
        process = start_training(dataset, train_dir)
        if step:
            line = process.stdout.readline()
            assert int(line.rsplit('-', 1)[1]) >= step, (line, process.stderr.read())
        # After some steps, each of which saves a checkpoint, kill at any moment.
        for _ in range(rng.randint(1, 5)):
            read_until_step(process)
        time.sleep(rng.uniform(0, 4))
        process.kill()
        process.communicate()
        state = tf.train.get_checkpoint_state(train_dir)
        if state:  # the checkpoint that it names can be read completely
            info, _ = checkpoint.read(state.model_checkpoint_path)
            step = info.global_step
        print(f'killed; step {step} can be read', flush=True)
    assert step


def test_saves_on_sigterm(dataset, train_dir):
    process = start_training(dataset, train_dir)
    read_until_step(process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert checkpoint.inspect(train_dir).global_step > 0
    print(output.splitlines()[-1])


def test_full_disk_keeps_the_last_checkpoint(dataset, train_dir):
    before = checkpoint.inspect(train_dir)
    process = start_training(dataset, train_dir, max_file_size=300_000)
    _, errors = process.communicate()
    assert process.returncode == 1 and 'Traceback' not in errors, errors
    assert 'File too large' in errors.strip().splitlines()[-1]
    assert checkpoint.inspect(train_dir) == before
    # Only `inspect` notes how far the moving averages are.
    assert checkpoint.read(before.path)[0] == dataclasses.replace(before, notes=())


@pytest.mark.parametrize('format', ['saved-model', 'frozen', 'tflite', 'keras'])
def test_full_disk_keeps_the_old_export(format, train_dir, tmp_path):
    destination = tmp_path / 'export'
    old = destination
    if format == 'saved-model':
        destination.mkdir()
        old = destination / 'saved_model.pb'
    old.write_text('the old file')
    process = start(['export', train_dir, '--format', format, '--output', str(destination),
                     '--overwrite'], max_file_size=100_000)
    _, errors = process.communicate()
    assert process.returncode == 1 and 'Traceback' not in errors, errors
    assert 'File too large' in errors.strip().splitlines()[-1], errors
    assert os.listdir(tmp_path) == ['export']
    assert old.read_text() == 'the old file'


@pytest.mark.skipif(not os.path.exists(OLD_PYTHON),
                    reason='needs TensorFlow 1.15.5: make bench-1.15 sets it up')
def test_tensorflow_1_reads_the_last_checkpoint(dataset, train_dir):
    compare_with_tensorflow_1(train_dir)
