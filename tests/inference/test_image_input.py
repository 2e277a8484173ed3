"""Predictors take images as files, PIL images and arrays, and prepare them as `classify` does."""

import os
from pathlib import Path
import subprocess
import sys

from golden.weights import images as golden_images
from helpers import GOLDEN
from inception_slim import evaluation, inference
from inception_slim.data.image_formats import to_rgb
from inception_slim.errors import DatasetError
from inception_slim.inference import image_input
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

CHECKPOINT = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
CLASSES = 11
SIZES = ((320, 240), (299, 299), (150, 200))  # larger, equal to the network's input, smaller


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT, engine='session') as loaded:
        yield loaded


@pytest.fixture(scope='module')
def arrays():
    rng = np.random.RandomState(0)
    coarse = [rng.randint(0, 256, (6, 5, 3), np.uint8) for _ in SIZES]
    return [np.asarray(Image.fromarray(image).resize(size)) for image, size in zip(coarse, SIZES)]


@pytest.fixture(scope='module')
def files(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for index, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f'{index}.png')
    return [str(folder / f'{index}.png') for index in range(len(arrays))]


@pytest.fixture(scope='module')
def classified(files):
    """The probabilities of `classify`, by class."""
    result = evaluation.classify(CHECKPOINT, files, top=CLASSES, engine='session')
    rows = np.zeros((len(files), CLASSES), np.float32)
    for row, item in zip(rows, getattr(result, 'predictions', None) or result.answers):
        row[item.classes] = item.probabilities
    return rows


def decoded(path):
    """The pixels that TensorFlow decodes."""
    from inception_slim import data

    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(data.decode(tf.io.read_file(path)))


class TestSameAsClassify:
    """Bit for bit, in any form."""

    @pytest.mark.parametrize('form', ['paths', 'path objects', 'PIL', 'uint8', 'mixed'])
    def test_list(self, predictor, files, arrays, classified, form):
        images = {'paths': files, 'path objects': tuple(map(Path, files)),
                  'PIL': [Image.open(path) for path in files], 'uint8': arrays,
                  'mixed': [files[0], Image.open(files[1]), arrays[2]]}[form]
        np.testing.assert_array_equal(predictor.predict(images), classified)

    def test_single_image(self, predictor, files, arrays):
        expected = predictor.predict([files[0]])
        assert expected.shape == (1, CLASSES)
        for image in (files[0], Image.open(files[0]), arrays[0]):
            np.testing.assert_array_equal(predictor.predict(image), expected)

    def test_uint8_batch(self, predictor, arrays):
        batch = np.stack([arrays[0], arrays[0][::-1]])
        np.testing.assert_array_equal(predictor.logits(batch), predictor.logits(list(batch)))

    def test_logits_and_features(self, predictor, files, arrays):
        np.testing.assert_array_equal(predictor.features(files), predictor.features(arrays))
        np.testing.assert_array_equal(predictor.logits(files), predictor.logits(arrays))
        assert predictor.features(files[0]).shape == (1, 101)

    def test_long_list(self, predictor, files, monkeypatch):
        monkeypatch.setattr(image_input, 'BATCH_SIZE', 2)
        many = files * 3
        np.testing.assert_allclose(predictor.logits(many),
                                   np.tile(predictor.logits(files), (3, 1)), atol=1e-5)

    @pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA', 'I;16', 'CMYK'])
    def test_modes_of_pil(self, predictor, arrays, mode, tmp_path):
        image = Image.fromarray(arrays[0])
        if mode == 'RGBA':
            image.putalpha(Image.fromarray(arrays[0][..., 1]))
        elif mode == 'I;16':
            image = Image.fromarray(arrays[0][..., 0].astype(np.uint16) * 251)
        elif mode == 'CMYK':  # one colour, for which all JPEG decoders agree
            image = Image.new(mode, (320, 240), (10, 200, 90, 77))
        else:
            image = image.convert(mode)
        assert image.mode == mode
        path = str(tmp_path / f'image.{"jpg" if mode == "CMYK" else "png"}')
        image.save(path)
        image = Image.open(path)
        np.testing.assert_array_equal(to_rgb(image), decoded(path))
        np.testing.assert_array_equal(predictor.logits(image), predictor.logits(path))

    def test_channels_of_arrays(self, predictor, arrays):
        gray = arrays[0][..., :1]
        expected = predictor.logits(np.repeat(gray, 3, axis=-1))
        for array in (gray, gray[..., 0]):
            np.testing.assert_array_equal(predictor.logits(array), expected)
        rgba = np.concatenate([arrays[0], gray], axis=-1)
        np.testing.assert_array_equal(predictor.logits(rgba), predictor.logits(arrays[0]))

    def test_float_in_0_1(self, predictor, arrays):
        for dtype in (np.float32, np.float64):
            found = predictor.logits(arrays[0].astype(dtype) / 255)
            np.testing.assert_allclose(found, predictor.logits(arrays[0]), atol=1e-5)


class TestPreparedArrays:
    """Floating-point arrays of the network's input size are not changed."""

    def test_batch_and_single_image(self, predictor, monkeypatch):
        batch = golden_images(2)
        expected = predictor.logits(batch)
        monkeypatch.setattr(image_input.ImagePreparer, 'batches', None)  # is not called
        np.testing.assert_array_equal(predictor.logits(batch), expected)
        np.testing.assert_array_equal(predictor.logits(batch[0]), predictor.logits(batch[:1]))

    def test_float32_is_not_copied(self):
        batch = golden_images(1)
        assert image_input.validate_images(batch, 299) is batch

    def test_in_list(self, predictor):
        batch = golden_images(2)
        np.testing.assert_array_equal(predictor.logits(list(batch)), predictor.logits(batch))

    def test_empty(self, predictor):
        assert predictor.predict([]).shape == (0, CLASSES)
        assert predictor.predict(np.zeros((0, 299, 299, 3), np.float32)).shape == (0, CLASSES)

    def test_warns_of_values_in_0_1(self, predictor, arrays):
        with pytest.warns(UserWarning, match=r'\[0, 1\], use images \* 2 - 1') as caught:
            predictor.logits(arrays[1].astype(np.float32) / 255)
        assert caught[0].filename == __file__


class TestRejected:

    @pytest.mark.parametrize('image, message', [
        (np.zeros((5, 5, 2), np.uint8), r'not empty, but is \[5, 5, 2\]'),
        (np.zeros((0, 5, 3), np.uint8), r'not empty, but is \[0, 5, 3\]'),
        (np.zeros((1, 1, 5, 5, 3), np.uint8), r'but is \[1, 1, 5, 5, 3\]'),
        (np.zeros((5, 5, 3), np.int64), 'a uint8 or floating-point array, but is int64'),
        (np.zeros((5, 5, 3), np.uint16), 'but is uint16'),
        (np.full((5, 6, 3), -1.0), r'input of the network \(299x299\) must be in \[0, 1\], but is '
                                   r'5x6 in \[-1, -1\]'),
        (np.full((1, 5, 6, 3), 255.0), r'must be in \[0, 1\], .* in \[255, 255\]'),
        (np.full((5, 6, 3), np.nan), r'must be in \[0, 1\], .* in \[nan, nan\]'),
        (Image.new('F', (5, 5)), "mode 'F' is not supported; convert it"),
        (None, 'but is NoneType'),
        ([None], 'but is NoneType'),
    ])
    def test_value(self, predictor, image, message):
        with pytest.raises(ValueError, match=message):
            predictor.predict(image)

    def test_file(self, predictor, tmp_path):
        (tmp_path / 'text.png').write_text('no image')
        for path, message in ((tmp_path / 'none.png', 'none.png does not exist'),
                              (tmp_path / 'text.png', 'text.png cannot be decoded'),
                              (tmp_path, 'is a folder; list its images')):
            with pytest.raises(DatasetError, match=message):
                predictor.predict(path)


@pytest.mark.slow
def test_works_without_pil(files):
    code = f'''
import sys
sys.modules['PIL'] = None
from inception_slim import inference
with inference.load({CHECKPOINT!r}, engine='session') as predictor:
    assert predictor.predict([{files[0]!r}]).shape == (1, {CLASSES})
'''
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
