"""The accuracy of bfloat16 and int8 on trained networks, with every installed engine.

A narrow Inception V3 is trained on scikit-learn's digits (1,797 real images that need no download)
and evaluated on held-out ones. With the environment variables ACCURACY_CHECKPOINT and
ACCURACY_IMAGES, the predictions of that checkpoint on a folder of images are compared too: every
third image calibrates int8, the others are predicted.
"""

import os

import inception_slim
from inception_slim import checkpoint, data
from inception_slim.inference import PRECISIONS, has_fast_bfloat16, load
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
from inception_slim.nets import registry
import numpy as np
import pytest
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf
import tf_slim as slim

pytestmark = pytest.mark.acceptance
SIDE = 299
HELD_OUT = 500
STEPS = 250
BATCH_SIZE = 16
# The accuracy that may be lost, in percentage points, and the lowest agreement with float32, in
# percent.
DIGIT_LIMITS = {'float32': (0, 100), 'bfloat16': (0.5, 99.0), 'int8': (0.3, 99.0)}
# The lowest median and the lowest single cosine similarity to float32's features, and the largest
# difference of a probability.
FEATURE_LIMITS = {'float32': (0.9999, 0.9999, 1e-3), 'bfloat16': (0.9995, 0.99, 0.1),
                  'int8': (0.9995, 0.99, 0.1)}


def split_digits():
    """Images `[N, 8, 8]` of 0 to 16 and labels of the digits, in a fixed random order."""
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    return digits.reshape(-1, 8, 8)[order].astype(np.float32), labels[order]


def enlarge(digits: np.ndarray) -> np.ndarray:
    """Digits `[N, 8, 8]` of 0 to 16 as `[N, 299, 299, 3]` in [-1, 1]."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.image.resize_bilinear(digits[..., np.newaxis] / 8.0 - 1.0, (SIDE, SIDE))
        return np.repeat(session.run(tf.cast(images, tf.float32)), 3, axis=3)


def train(digits: np.ndarray, labels: np.ndarray, folder: str) -> str:
    """Trains with `slim.learning.train` and returns the checkpoint."""
    with tf.Graph().as_default():
        dataset = tf.data.Dataset.from_tensor_slices((digits[..., np.newaxis], labels))
        dataset = dataset.shuffle(len(digits), seed=1).repeat().batch(BATCH_SIZE).prefetch(2)
        small, truth = tf.data.make_one_shot_iterator(dataset).get_next()
        images = tf.image.resize_bilinear(small / 8.0 - 1.0, (SIDE, SIDE))
        images = tf.tile(tf.cast(images, tf.float32), (1, 1, 1, 3))
        with slim.arg_scope(inception_slim.inception_v3_arg_scope(batch_norm_decay=0.95)):
            logits, _ = inception_slim.inception_v3(
                images, 10, depth_multiplier=0.1, min_depth=8, create_aux_logits=False)
        tf.losses.sparse_softmax_cross_entropy(truth, logits)
        rate = tf.train.cosine_decay(0.003, tf.train.get_or_create_global_step(), STEPS)
        train_op = slim.learning.create_train_op(tf.losses.get_total_loss(),
                                                 tf.train.AdamOptimizer(rate))
        slim.learning.train(train_op, folder, number_of_steps=STEPS, log_every_n_steps=STEPS + 1,
                            summary_writer=None)
    return tf.train.latest_checkpoint(folder)


def available_configurations() -> list[tuple[str, str]]:
    """Each precision that this processor has with each installed engine that supports it."""
    return [(precision, engine) for precision in PRECISIONS
            for engine, supported in PRECISIONS_OF.items()
            if precision in supported and is_installed(engine)
            and (precision != 'bfloat16' or has_fast_bfloat16())]


@pytest.fixture
def graph_mode():
    """slim.learning.train starts threads of its own, which need graph mode."""
    tf.disable_eager_execution()
    yield
    tf.enable_eager_execution()


def test_accuracy_on_digits(tmp_path, graph_mode):
    digits, labels = split_digits()
    path = train(digits[HELD_OUT:], labels[HELD_OUT:], str(tmp_path))
    images, truth = enlarge(digits[:HELD_OUT]), labels[:HELD_OUT]
    calibration = enlarge(digits[HELD_OUT:HELD_OUT + 100])
    predictions = {}
    for precision, engine in available_configurations():
        with load(path, precision=precision, engine=engine,
                  calibration_images=calibration) as predictor:
            predictions[precision, engine] = predictor.logits(images).argmax(axis=1)
    float32 = predictions['float32', 'session']
    reference = 100 * np.mean(float32 == truth)
    failures = []
    for (precision, engine), classes in predictions.items():
        accuracy, agreement = (100 * np.mean(classes == other) for other in (truth, float32))
        print(f'{precision:9} {engine:12} top-1 {accuracy:.1f} %, agreement with float32 '
              f'{agreement:.1f} %')
        max_loss, min_agreement = DIGIT_LIMITS[precision]
        if reference - accuracy > max_loss or agreement < min_agreement:
            failures.append((precision, engine, accuracy, agreement))
    assert reference > 90
    assert not failures


@pytest.mark.skipif('ACCURACY_CHECKPOINT' not in os.environ,
                    reason='needs a trained checkpoint: set ACCURACY_CHECKPOINT, ACCURACY_IMAGES')
def test_features_of_a_trained_checkpoint():
    path, folder = os.environ['ACCURACY_CHECKPOINT'], os.environ['ACCURACY_IMAGES']
    side = registry.NETWORKS[checkpoint.inspect(path).network].image_size
    files = data.image_files(folder)
    images = np.concatenate([batch['image'] for batch in data.as_numpy_batches(
        lambda: data.image_batches(files, 32, image_size=side, strict=True, unreadable=None))])
    calibration, images = images[::3], np.delete(images, np.s_[::3], axis=0)
    reference, failures = None, []
    for precision, engine in available_configurations():
        with load(path, precision=precision, engine=engine,
                  calibration_images=calibration) as predictor:
            features, probabilities = predictor.features(images), predictor.predict(images)
        reference = reference or (features, probabilities)
        cosines = (features * reference[0]).sum(1) / (
            np.linalg.norm(features, axis=1) * np.linalg.norm(reference[0], axis=1))
        difference = abs(probabilities - reference[1]).max()
        print(f'{precision:9} {engine:12} cosine similarity of features: median '
              f'{np.median(cosines):.5f}, minimum {cosines.min():.5f}; probabilities within '
              f'{difference:.4f}')
        median, minimum, largest = FEATURE_LIMITS[precision]
        if np.median(cosines) < median or cosines.min() < minimum or difference > largest:
            failures.append((precision, engine))
    assert not failures
