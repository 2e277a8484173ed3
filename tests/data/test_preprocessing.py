"""Preprocessing for evaluation matches TensorFlow 1.15.5; for training its documented bounds."""

from golden.weights import drawings
from helpers import golden_arrays
from inception_slim import data
from inception_slim.data import preprocessing
import numpy as np
import pytest
import tensorflow as tf

NAMES = tuple(drawings())
MIDDLE = tf.constant(drawings()['wide'])


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('preprocessing')


@pytest.mark.parametrize('name', NAMES)
class TestEvaluationGolden:

    @pytest.mark.parametrize('side', [299, 224])
    def test_known_size(self, golden, name, side):
        result = preprocessing.for_evaluation(drawings()[name], side).numpy()
        assert result.shape == (side, side, 3) and result.dtype == np.float32
        np.testing.assert_allclose(result[3::13, 3::13], golden[f'{name}_{side}_static'], atol=1e-6)

    @pytest.mark.parametrize('side', [299, 224])
    def test_unknown_size(self, golden, name, side):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            image = tf.compat.v1.placeholder(tf.uint8, (None, None, 3))
            result = preprocessing.for_evaluation(image, side)
            assert result.shape == (side, side, 3)
            result = session.run(result, {image: drawings()[name]})
        np.testing.assert_allclose(
            result[3::13, 3::13], golden[f'{name}_{side}_dynamic'], atol=1e-6)

    def test_jpeg(self, golden, name):
        decoded = data.decode(golden[f'{name}_jpeg'].tobytes())
        np.testing.assert_allclose(decoded.numpy().mean(axis=1), golden[f'{name}_decoded_mean'],
                                   atol=1e-9)
        result = preprocessing.for_evaluation(decoded).numpy()
        np.testing.assert_allclose(result[3::13, 3::13], golden[f'{name}_from_jpeg'], atol=1e-6)


def test_evaluation_of_float_images_and_without_crop():
    image = drawings()['odd']
    np.testing.assert_allclose(preprocessing.for_evaluation(image),
                               preprocessing.for_evaluation(image.astype(np.float32) / 255),
                               atol=1e-6)
    whole = preprocessing.for_evaluation(image, 61, None)
    np.testing.assert_allclose(whole[:, 0], image[:, 0] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_fewer_passes_change_no_bit(dtype):
    image = np.random.default_rng(0).integers(0, 256, (83, 131, 3))
    image = (image if dtype == np.uint8 else image / 255).astype(dtype)
    single = tf.image.convert_image_dtype(image, tf.float32)[tf.newaxis]
    for prepare, resized in (
            (preprocessing.resize_tf1, tf.raw_ops.ResizeBilinear(images=single, size=[299, 299])),
            (preprocessing.resize_half_pixel, tf.image.resize(single, [299, 299], 'bilinear'))):
        np.testing.assert_array_equal(prepare(tf.constant(image)), (resized[0] - 0.5) * 2)


def test_training_is_in_range_and_varies():
    result = np.stack([preprocessing.for_training(MIDDLE, 64, seed) for seed in range(40)])
    assert result.shape == (40, 64, 64, 3) and result.dtype == np.float32
    assert result.min() >= -1 and result.max() <= 1
    assert len({each.tobytes() for each in result}) == 40


def test_training_seed():
    first, again = (preprocessing.for_training(MIDDLE, 64, 3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    pair = preprocessing.for_training(MIDDLE, 64, tf.constant([3, 0], tf.int64))
    np.testing.assert_array_equal(first, pair)
    free, other = (preprocessing.for_training(MIDDLE, 64) for _ in range(2))
    assert not np.array_equal(free, other)


def test_training_uses_all_choices(monkeypatch):
    """Every resize method and every order of distortions occurs about equally often."""
    drawn = []
    switch = tf.switch_case
    monkeypatch.setattr(tf, 'switch_case',
                        lambda index, branches: drawn.append(int(index)) or switch(index, branches))
    for seed in range(200):
        preprocessing.for_training(MIDDLE, 8, seed)
    for choices in (drawn[::2], drawn[1::2]):
        assert np.bincount(choices, minlength=4).min() > 25


def test_training_crop_bounds(monkeypatch):
    """The area and aspect ratio of the crops."""
    cuts = []
    cut = tf.slice
    monkeypatch.setattr(
        tf, 'slice', lambda image, begin, size: cuts.append(np.asarray(size)) or cut(
            image, begin, size))
    for seed in range(200):
        preprocessing.for_training(MIDDLE, 8, seed)
    areas = np.array([size[0] * size[1] for size in cuts]) / (120 * 201)
    aspects = np.array([size[1] / size[0] for size in cuts])
    assert areas.min() > 0.04 and areas.max() <= 1 and np.ptp(areas) > 0.5
    # Rounded to whole pixels.
    assert aspects.min() > 0.72 and aspects.max() < 1.38 and np.ptp(aspects) > 0.4


def test_distortions_stay_in_their_ranges():
    grey = tf.fill((4, 4, 3), 0.5)
    for seed in range(20):
        moved = preprocessing._distort_colors(grey, ('brightness',), tf.constant([seed, 0]))
        assert abs(float(moved[0, 0, 0]) - 0.5) <= 32 / 255 + 1e-6
    halves = tf.concat([tf.zeros((2, 4, 3)), tf.ones((2, 4, 3))], 0)
    spreads = [np.ptp(preprocessing._distort_colors(halves, ('contrast',), tf.constant([seed, 0])))
               for seed in range(20)]
    assert 0.5 <= min(spreads) < 0.8 and 1.2 < max(spreads) <= 1.5 + 1e-6


@pytest.mark.parametrize('call, message', [
    (lambda: preprocessing.for_evaluation(MIDDLE, 0), 'image_size must be at least 1'),
    (lambda: preprocessing.for_training(MIDDLE, -1), 'image_size must be at least 1'),
    (lambda: preprocessing.for_evaluation(MIDDLE, central_fraction=0), r'in \(0, 1\], but is 0'),
    (lambda: preprocessing.for_evaluation(MIDDLE[..., :1]), r'must be \[height, width, 3\]'),
    (lambda: preprocessing.for_evaluation(MIDDLE[None]), 'give one image'),
])
def test_rejects_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
