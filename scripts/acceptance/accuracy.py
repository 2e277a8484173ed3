"""What cheaper numbers cost a network that was trained on real images.

By default trains a narrow Inception V3 on scikit-learn's digits, 1,797 real images of ten classes
that need no download (a few minutes on two cores), and compares top-1 accuracy on held-out ones.
With --checkpoint and --images, compares the answers of that checkpoint on a folder of images
instead: every third calibrates int8, the others are answered. Every engine that is installed has
its turn; where a limit is missed, the status is 1.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import inception_slim
from inception_slim import checkpoint, data
from inception_slim.inference import PRECISIONS, has_bfloat16, load
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
from inception_slim.nets import registry
import numpy as np
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tqdm import tqdm

SIDE = 299
HELD_OUT = 500
LIMITS = {'bfloat16': (0.5, 99.0), 'int8': (0.3, 99.0)}  # points of accuracy, percent agreement
# Of the cosines between its features and float32's: median and least; and of probabilities.
LIMITS_OF_FEATURES = {'bfloat16': (0.9995, 0.99, 0.1), 'int8': (0.9995, 0.99, 0.1)}


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


def ways() -> list[tuple[str, str]]:
    """Each precision that this processor has, by each engine that does it; float32 first."""
    return [(precision, engine) for precision in PRECISIONS
            for engine, able in PRECISIONS_OF.items() if precision in able and is_installed(engine)
            and (precision != 'bfloat16' or has_bfloat16())]


def of_digits(steps: int, batch: int) -> bool:
    """Whether all is within its limits, on digits."""
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    digits, labels = digits.reshape(-1, 8, 8)[order].astype(np.float32), labels[order]
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        path = train(digits[HELD_OUT:], labels[HELD_OUT:], folder, steps, batch)
        images, truth = enlarged(digits[:HELD_OUT]), labels[:HELD_OUT]
        calibration = enlarged(digits[HELD_OUT:HELD_OUT + 100])
        for precision, engine in ways():
            with load(path, precision=precision, engine=engine,
                      calibration_images=calibration) as predictor:
                answers[precision, engine] = predictor.logits(images).argmax(axis=1)
    print(f'{HELD_OUT} held-out digits, after {steps} steps of training')
    float32 = answers['float32', 'session']
    reference, good = 100 * np.mean(float32 == truth), True
    for (precision, engine), answer in answers.items():
        accuracy, agreement = (100 * np.mean(answer == each) for each in (truth, float32))
        lost, least = LIMITS.get(precision, (0, 100))
        missed = reference - accuracy > lost or agreement < least
        good &= not missed
        print(f'{precision:9} {engine:12} top-1 {accuracy:.1f} %, the answer of float32 '
              f'{agreement:.1f} %'
              + (f'; should be within {lost} points and {least} %' if missed else ''))
    return good


def of_images(path: str, folder: str) -> bool:
    """Whether all is within its limits, on a folder of images."""
    info = checkpoint.inspect(path)
    files = data.image_files(folder)
    side = registry.NETWORKS[info.network].image_size
    images = np.concatenate([batch['image'] for batch in data.as_numpy_batches(
        lambda: data.image_batches(files, 32, image_size=side, strict=True, bad=None))])
    calibration = images[::3]
    images = np.delete(images, np.s_[::3], axis=0)
    print(f'{len(images)} images, after calibration on {len(calibration)} others')
    reference, good = None, True
    for precision, engine in ways():
        with load(path, precision=precision, engine=engine,
                  calibration_images=calibration) as predictor:
            answers = predictor.features(images), predictor.predictions(images)
        reference = answers if reference is None else reference
        lengths = [np.linalg.norm(each[0], axis=1) for each in (answers, reference)]
        cosines = (answers[0] * reference[0]).sum(1) / np.prod(lengths, axis=0)
        moved = abs(answers[1] - reference[1]).max()
        middle, least, most = LIMITS_OF_FEATURES.get(precision, (0.9999, 0.9999, 1e-3))
        missed = np.median(cosines) < middle or cosines.min() < least or moved > most
        good &= not missed
        print(f'{precision:9} {engine:12} features: cosine {np.median(cosines):.5f} in the '
              f'median, at least {cosines.min():.5f}; probabilities within {moved:.4f}'
              + (f'; should be {middle}, {least}, {most}' if missed else ''), flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=250, metavar='N')
    parser.add_argument('--batch-size', type=int, default=16, metavar='N')
    parser.add_argument('--checkpoint', metavar='CKPT', help='answer by this instead of training')
    parser.add_argument('--images', metavar='FOLDER', help='images to answer, with --checkpoint')
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.batch_size < 1:
        parser.error('--steps and --batch-size must be at least 1')
    if (arguments.checkpoint is None) != (arguments.images is None):
        parser.error('--checkpoint and --images go together')
    tf.disable_eager_execution()  # slim.learning.train has threads of its own
    tf.get_logger().setLevel('ERROR')
    good = (of_digits(arguments.steps, arguments.batch_size) if arguments.checkpoint is None
            else of_images(arguments.checkpoint, arguments.images))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
