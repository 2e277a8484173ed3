"""Images are prepared with the result of TensorFlow bit for bit."""

import contextlib

from inception_slim.data import preprocessing
from inception_slim.data.exif import apply_orientation
from inception_slim.data.image_decoder import ImageDecoder
from inception_slim.data.image_formats import Decodable
from inception_slim.data.image_preparation import prepare_upright, resize_bilinear
import numpy as np
import pytest
import tensorflow as tf

PREPARE = (preprocessing.for_evaluation, preprocessing.resize_tf1, preprocessing.resize_half_pixel,
           preprocessing.resize_antialiased,
           lambda image, side: tf.image.resize(image, [side, side]))


def random_image(*size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('size', [(83, 131), (607, 803), (90, 2600)])
def test_equals_tensorflow(size, orientation):
    image, orientation = tf.constant(random_image(*size)), tf.constant(orientation)
    for prepare in PREPARE:
        np.testing.assert_array_equal(
            prepare_upright(prepare, image, 67, orientation),
            prepare(apply_orientation(image, orientation), 67))


def test_every_size_and_crop():
    """More rounding errors, and crops of one pixel less or more, would be seen."""
    random = np.random.default_rng(1)
    for _ in range(150):
        height, width = random.integers(2, 1200, 2)
        size, fraction = int(random.integers(1, 300)), random.choice([1.0, 0.875, 0.123])
        image = random_image(height, width)
        np.testing.assert_array_equal(
            resize_bilinear(image, size, 1, fraction, False) - 1,
            preprocessing.for_evaluation(tf.constant(image), size, fraction))


def test_large_images_are_resized_here(monkeypatch):
    image = tf.constant(random_image(200, 300))
    calls = []
    monkeypatch.setattr(
        'inception_slim.data.image_preparation.resize_bilinear',
        lambda *arguments: (calls.append(1), resize_bilinear(*arguments))[1])
    for size, count in ((90, 0), (70, 1)):
        prepare_upright(preprocessing.for_evaluation, image, size)
        assert len(calls) == count


@pytest.mark.parametrize('prepare', [preprocessing.for_evaluation,
                                     preprocessing.resize_antialiased])
def test_decodes_into_an_array(prepare):
    pixels = random_image(120, 90)
    image = Decodable(tf.io.encode_png(pixels).numpy(), 1, False, False)
    expected = prepare(tf.constant(pixels), 75)
    output = np.zeros((75, 75, 3), np.float32)
    with contextlib.closing(ImageDecoder(prepare, 75)) as decoder:
        assert decoder.decode(image, output) is output
        np.testing.assert_array_equal(output, expected)
        np.testing.assert_array_equal(decoder.decode(image), expected)
