"""Trains a narrow Inception V3 on scikit-learn's digits, and compares each precision's answers.

1,797 real images of ten classes, no download; a few minutes on two cores. Prints top-1 accuracy on
images that were held out, and how often each precision's answer is float32's.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from sklearn.datasets import load_digits
from tqdm import tqdm

from inception_slim.inference import load

SIDE = 299
HELD_OUT = 500
LIMITS = {'bfloat16': (0.5, 99.0), 'int8': (0.5, 98.0)}  # points of accuracy, percent agreement


def enlarged(digits: np.ndarray) -> np.ndarray:
    """8×8 digits of 0 to 16 as `[N, 299, 299, 3]` in [-1, 1]."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.image.resize_bilinear(digits[..., np.newaxis] / 8.0 - 1.0, (SIDE, SIDE))
        return np.repeat(session.run(tf.cast(images, tf.float32)), 3, axis=3)


def train(digits: np.ndarray, labels: np.ndarray, folder: str, steps: int, batch: int) -> str:
    """A checkpoint after that many steps of `slim.learning.train`."""
    with tf.Graph().as_default():
        data = tf.data.Dataset.from_tensor_slices((digits[..., np.newaxis], labels))
        data = data.shuffle(len(digits), seed=1).repeat().batch(batch).prefetch(2)
        small, truth = tf.data.make_one_shot_iterator(data).get_next()
        images = tf.image.resize_bilinear(small / 8.0 - 1.0, (SIDE, SIDE))
        images = tf.tile(tf.cast(images, tf.float32), (1, 1, 1, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope(batch_norm_decay=0.95)):
            logits, _ = inception_slim.inception_v3(
                images, 10, depth_multiplier=0.1, min_depth=8, create_aux_logits=False)
        tf.losses.sparse_softmax_cross_entropy(truth, logits)
        step = tf.train.get_or_create_global_step()
        rate = tf.train.cosine_decay(0.003, step, steps)
        operation = slim.learning.create_train_op(tf.losses.get_total_loss(),
                                                  tf.train.AdamOptimizer(rate))
        progress = tqdm(total=steps, unit='step', disable=None)

        def one_step(session, *arguments):
            progress.update()
            return slim.learning.train_step(session, *arguments)

        slim.learning.train(operation, folder, train_step_fn=one_step, number_of_steps=steps,
                            log_every_n_steps=steps + 1, save_summaries_secs=None)
        progress.close()
    return tf.train.latest_checkpoint(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=250, metavar='N')
    parser.add_argument('--batch-size', type=int, default=16, metavar='N')
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.batch_size < 1:
        parser.error('--steps and --batch-size must be at least 1')
    tf.disable_eager_execution()  # slim.learning.train has threads of its own
    tf.get_logger().setLevel('ERROR')
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    digits, labels = digits.reshape(-1, 8, 8)[order].astype(np.float32), labels[order]
    with tempfile.TemporaryDirectory() as folder:
        path = train(digits[HELD_OUT:], labels[HELD_OUT:], folder, arguments.steps,
                     arguments.batch_size)
        images, truth = enlarged(digits[:HELD_OUT]), labels[:HELD_OUT]
        calibration = enlarged(digits[HELD_OUT:HELD_OUT + 100])
        answers, failed = {}, False
        for precision in ('float32', 'bfloat16', 'int8'):
            with load(path, precision=precision, calibration_images=calibration) as predictor:
                answers[predictor.precision] = predictor.logits(images).argmax(axis=1)
    print(f'{HELD_OUT} held-out digits, after {arguments.steps} steps of training')
    reference = 100 * np.mean(answers['float32'] == truth)
    for precision, answer in answers.items():
        accuracy, agreement = (100 * np.mean(answer == each)
                               for each in (truth, answers['float32']))
        lost, least = LIMITS.get(precision, (0, 100))
        missed = reference - accuracy > lost or agreement < least
        failed |= missed
        print(f'{precision:9} top-1 {accuracy:.1f} %, the answer of float32 {agreement:.1f} %'
              + (f'; should be within {lost} points and {least} %' if missed else ''))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
