"""Kills training at random moments, fills its disk, and lets TensorFlow 1.15.5 read what is left.

An export's disk is filled too.

The narrow Inception V3 on drawn images, which saves as often as it can. Takes some minutes. The
last part needs TensorFlow 1.15.5, of which --python-1.15 names the interpreter; `make bench-1.15`
sets one up.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim
from inception_slim import checkpoint
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tqdm import tqdm

from scripts.tf1_env import OLD_PYTHON

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, '..', '..', 'tests', 'golden'))

from weights import images

NARROW = {'depth_multiplier': 0.05, 'min_depth': 4}
CLASSES = ('blue', 'green', 'red')


def make_dataset(folder: str) -> None:
    chance = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (32, 32, 3))
        encoded = tf.image.encode_png(pixels)
        for channel, name in ((2, 'blue'), (1, 'green'), (0, 'red')):
            os.makedirs(os.path.join(folder, name))
            for number in range(8):
                image = chance.randint(0, 90, (32, 32, 3))
                image[..., channel] += 150
                with open(os.path.join(folder, name, f'{number}.png'), 'wb') as file:
                    file.write(session.run(encoded, {pixels: image}))


def start(dataset: str, folder: str, steps: int, largest_file: int | None = None):
    """A training command; see `begin`."""
    return begin(['train', dataset, '--train-dir', folder, '--steps', str(steps), '--batch-size',
                  '4', '--depth-multiplier', '0.05', '--min-depth', '4', '--save-minutes', '0.001',
                  '--summary-steps', '1'], largest_file)


def begin(arguments: list[str], largest_file: int | None = None):
    """A command; `largest_file` in bytes stands for the room left on its disk."""
    def limit():
        if largest_file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.Popen([sys.executable, '-m', 'inception_slim', *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)


def kill_at_random(dataset: str, folder: str, times: int, chance: random.Random) -> None:
    step = 0
    for _ in tqdm(range(times), 'kill -9', disable=None):
        process = start(dataset, folder, 10**6)
        line = process.stdout.readline()
        if step:
            assert line.startswith('Going on from '), (line, process.stderr.read())
            went_on = int(line.rsplit('-', 1)[1])
            assert went_on >= step, f'went on from step {went_on}, though {step} was saved'
        # Some steps on, however slow they are, with a checkpoint after each; then at any moment.
        for _ in range(chance.randint(1, 5)):
            line = process.stdout.readline()
            while not line.startswith('step '):
                assert line, process.stderr.read()
                line = process.stdout.readline()
        time.sleep(chance.uniform(0, 4))
        process.kill()
        process.communicate()
        # What the `checkpoint` file names is whole.
        state = tf.train.get_checkpoint_state(folder)
        if state:
            info, _ = checkpoint.read(state.model_checkpoint_path)
            step = info.global_step
        print(f'  killed; step {step} can be read', flush=True)


def fill_the_disk(dataset: str, folder: str) -> None:
    before = checkpoint.inspect(folder)
    process = start(dataset, folder, 10**6, largest_file=300_000)
    _, errors = process.communicate()
    last = errors.strip().splitlines()[-1]
    assert 'File too large' in last
    assert process.returncode == 1 and 'Traceback' not in errors, errors
    assert checkpoint.read(before.path)[0] == before == checkpoint.inspect(folder)
    print(f'full disk: {last}')


def fill_the_disk_of_an_export(folder: str) -> None:
    """In each format: a sentence, and the file that was there before."""
    for format in ('saved-model', 'frozen', 'tflite', 'keras'):
        destination = os.path.join(folder, format)
        if format == 'saved-model':
            os.mkdir(destination)
            there = os.path.join(destination, 'saved_model.pb')
        else:
            there = destination
        with open(there, 'w') as file:
            file.write('the one before')
        before = sorted(os.listdir(folder))
        process = begin(['export', folder, '--format', format, '--output', destination,
                         '--overwrite'], largest_file=100_000)
        _, errors = process.communicate()
        last = errors.strip().splitlines()[-1]
        assert process.returncode == 1 and 'Traceback' not in errors, errors
        assert 'File too large' in last and 'nothing was left behind' in last, errors
        assert sorted(os.listdir(folder)) == before
        with open(there) as file:
            assert file.read() == 'the one before'
        print(f'full disk: {last}', flush=True)


def end_it(dataset: str, folder: str) -> None:
    process = start(dataset, folder, 10**6)
    while not process.stdout.readline().startswith('step '):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    print(f'SIGTERM: {output.splitlines()[-1]}')


def add_python_1_15(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--python-1.15', dest='python', default=OLD_PYTHON, metavar='PYTHON',
                        help='an interpreter with TensorFlow 1.15.5 (%(default)s)')


def compare_with_1_15(folder: str, python: str) -> None:
    """Has TensorFlow 1.15.5 read the last checkpoint; says so, where there is none."""
    if not os.path.exists(python):
        print(f'There is no {python}, so TensorFlow 1.15.5 is left out; '
              'make bench-1.15 sets one up.')
        return
    info = checkpoint.inspect(folder)
    out = os.path.join(folder, 'logits.npy')
    # TensorFlow 2 tells its children by this to behave as it does.
    environment = {key: value for key, value in os.environ.items() if key != 'TF2_BEHAVIOR'}
    done = subprocess.run(
        [python, os.path.join(HERE, 'read_with_1_15.py'), info.path, str(len(CLASSES)),
         str(NARROW['depth_multiplier']), str(NARROW['min_depth']), out],
        capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, (2, 299, 299, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            logits, _ = inception_slim.inception_v3(inputs, len(CLASSES), is_training=False,
                                                    **NARROW)
        checkpoint.restore(session, info.path)
        ours, theirs = session.run(logits, {inputs: images(2)}), np.load(out)
    difference = np.abs(ours - theirs).max()
    assert difference <= 1e-4 * max(1, np.abs(theirs).max()), difference
    print(f'{done.stdout.strip()}; its logits differ by at most {difference:.1g}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=5, metavar='N')
    parser.add_argument('--seed', type=int, default=0, metavar='N')
    add_python_1_15(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        dataset, folder = os.path.join(scratch, 'data'), os.path.join(scratch, 'train')
        make_dataset(dataset)
        kill_at_random(dataset, folder, arguments.kills, random.Random(arguments.seed))
        end_it(dataset, folder)
        fill_the_disk(dataset, folder)
        fill_the_disk_of_an_export(folder)
        compare_with_1_15(folder, arguments.python)


if __name__ == '__main__':
    main()
