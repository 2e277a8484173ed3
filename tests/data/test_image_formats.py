"""Images in every format that Pillow writes, compared with Pillow's pixels or TensorFlow's."""

import contextlib
import io
import os
import sys
import time

from helpers import GOLDEN, messages
from inception_slim import cli, data, evaluation, inference
from inception_slim.bulk import worker
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.readers import Columns, Example
from inception_slim.bulk.sources import work_units
from inception_slim.bulk.worker import Decoder
from inception_slim.data import input_pipeline
from inception_slim.data.exif import apply_orientation
from inception_slim.data.image_formats import (
    UnreadableImage,
    image_format,
    to_decodable,
    to_rgb,
)
from inception_slim.data.image_header import MAX_PIXELS, count_frames, image_size
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.inference import image_input
from inception_slim.inference.image_input import ImagePreparer
from inception_slim.nets import registry
import numpy as np
from PIL import Image, ImageColor
import pytest
import tensorflow as tf

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts', 'inception_v3.ckpt')
# The first bytes of files of 60x40 pixels that libjxl and libheif wrote.
JXL = bytes.fromhex('ff0a094124080001').ljust(60, b'\0')
HEIC = b'\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf'.ljust(60, b'\0')


def picture(width=60, height=40, seed=0):
    noise = np.random.RandomState(seed).randint(0, 255, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


def transparent():
    image = picture()
    image.putalpha(picture(seed=1).getchannel(0))
    return image


def deep():
    return Image.fromarray(np.random.RandomState(2).randint(0, 2 ** 16, (40, 60), dtype=np.uint16))


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(encoded, exif=True, background=None):
    converted = to_decodable(encoded, max_pixels=MAX_PIXELS, exif=exif, background=background)
    return data.decode(converted.encoded).numpy().astype(int)


# Those that Pillow and TensorFlow decode alike, or only Pillow does.
@pytest.mark.parametrize('kind, image, options', [
    ('TIFF', picture(), {}), ('TIFF', picture(), {'compression': 'tiff_lzw'}),
    ('TIFF', picture(), {'compression': 'jpeg', 'quality': 95}),
    ('TIFF', picture().convert('L'), {}), ('TIFF', picture().convert('1'), {}),
    ('TIFF', picture().quantize(9), {}), ('TIFF', transparent(), {}),
    ('TIFF', picture().convert('YCbCr'), {}), ('TIFF', picture().convert('CMYK'), {}),
    ('TIFF', picture(), {'big_tiff': True}),
    ('AVIF', picture(), {}), ('AVIF', transparent(), {}), ('JPEG2000', picture(), {}),
    ('WEBP', transparent(), {'lossless': True}), ('WEBP', transparent(), {}),
    ('WEBP', picture(), {'lossless': True}), ('WEBP', picture(), {}),
    ('BMP', picture(), {}), ('BMP', picture().convert('L'), {}), ('BMP', transparent(), {}),
    ('BMP', picture().quantize(200), {}), ('BMP', picture().convert('1'), {}),
    ('PNG', picture().quantize(200), {}), ('PNG', picture().quantize(4), {'bits': 2}),
    ('PNG', picture().quantize(9), {'transparency': 3}), ('PNG', transparent(), {}),
    ('PNG', transparent().convert('LA'), {}), ('PNG', picture().convert('1'), {}),
    ('GIF', picture(), {})])
def test_as_pillow(kind, image, options):
    encoded = encode(image, kind, **options)
    assert image_format(encoded[:64]) == kind
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB')).astype(int)
    assert abs(decoded(encoded) - expected).max() <= 1


def test_sixteen_bits_keep_the_high_byte():
    pixels = np.asarray(deep())
    for kind in ('PNG', 'TIFF'):
        np.testing.assert_array_equal(decoded(encode(deep(), kind))[..., 0], pixels >> 8)


@pytest.mark.parametrize('transform', [0, 2])  # of Adobe's marker: CMYK, YCCK
def test_cmyk_and_ycck_jpeg(transform):
    """TensorFlow's values, which are Pillow's with the accurate inverse cosine transform."""
    encoded = bytearray(encode(picture().convert('CMYK'), 'JPEG', quality=95))
    encoded[encoded.index(b'Adobe') + 11] = transform
    encoded = bytes(encoded)
    image = Image.open(io.BytesIO(encoded))
    assert image.mode == 'CMYK'
    np.testing.assert_array_equal(decoded(encoded), tf.io.decode_jpeg(encoded, channels=3))
    accurate = tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE')
    np.testing.assert_array_equal(to_rgb(image), accurate)
    assert abs(accurate.numpy().astype(int) - np.asarray(image.convert('RGB'))).max() <= 1


ANIMATED = [('GIF', {}), ('WEBP', {'lossless': True}), ('PNG', {}), ('TIFF', {}), ('AVIF', {}),
            ('PNG', {'default_image': True})]


@pytest.mark.parametrize('kind, options', ANIMATED)
def test_first_frame(kind, options):
    encoded = encode(picture(), kind, save_all=True,
                     append_images=[picture(seed=3), picture(seed=4)], **options)
    assert to_decodable(encoded, max_pixels=MAX_PIXELS, exif=True, background=None).has_frames
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB')).astype(int)
    assert abs(decoded(encoded) - expected).max() <= 1
    assert not to_decodable(encode(picture(), kind), max_pixels=MAX_PIXELS, exif=True,
                            background=None).has_frames


@pytest.mark.parametrize('kind', ['GIF', 'PNG'])
def test_frames_of_a_file_cut_short(kind):
    encoded = encode(picture(), kind, save_all=True, append_images=[picture(seed=3)])
    assert {count_frames(encoded[:end]) for end in range(len(encoded))} <= {0, 1, 2}


@pytest.mark.parametrize('kind, image', [
    ('PNG', transparent()), ('PNG', transparent().convert('LA')), ('TIFF', transparent()),
    ('WEBP', transparent()), ('AVIF', transparent()), ('PNG', picture()), ('JPEG', picture())])
@pytest.mark.parametrize('color', ['white', '#102030'])
def test_background(kind, image, color):
    encoded = encode(image, kind, **({'lossless': True} if kind == 'WEBP' else {}))
    stored = Image.open(io.BytesIO(encoded)).convert('RGBA')
    expected = Image.alpha_composite(Image.new('RGBA', stored.size, color), stored).convert('RGB')
    difference = abs(decoded(encoded, background=ImageColor.getrgb(color))
                     - np.asarray(expected).astype(int)).max()
    assert difference <= (3 if kind == 'JPEG' else 1)


@pytest.mark.parametrize('kind, options', [
    ('TIFF', {}), ('TIFF', {'compression': 'tiff_lzw'}),
    ('WEBP', {'lossless': True, 'exact': True}), ('AVIF', {'quality': 100})])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_applied_once(kind, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(transparent(), kind, exif=exif, **options)
    stored = tf.constant(np.asarray(transparent().convert('RGB')).astype(int))
    upright = apply_orientation(stored, tf.constant(orientation))
    for applied, expected in ((True, upright), (False, stored)):
        converted = to_decodable(encoded, max_pixels=MAX_PIXELS, exif=applied, background=None)
        assert converted.is_rotated == (applied and orientation > 1)
        found = apply_orientation(data.decode(converted.encoded),
                                  tf.constant(converted.orientation))
        assert found.shape == expected.shape
        difference = abs(found.numpy().astype(int) - expected.numpy()).max()
        assert difference <= (25 if kind == 'AVIF' else 0)


def test_size_of_jpeg_xl():
    container = b'\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl '
    for start in (b'', container + b'\0\0\0\0jxlc', container + b'\0\0\0\x48jxlp\0\0\0\0'):
        assert image_size(start + JXL) == (60, 40)
        assert {image_size((start + JXL)[:end]) for end in range(len(start) + 10)} == {None}
    assert image_size(container + b'\0\0\0\0free' + JXL) is None
    with pytest.raises(UnreadableImage, match='not an image'):
        decoded(container + JXL)  # whose size is unknown


def test_missing_plugins(tmp_path, monkeypatch):
    for package in ('pillow_heif', 'pillow_jxl'):
        monkeypatch.setitem(sys.modules, package, None)
    files = [str(tmp_path / name) for name in ('1.heic', '2.heic', '3.jxl', '4.jxl', '5.png')]
    for file, content in zip(files, (HEIC, HEIC, JXL, JXL, encode(picture(), 'PNG'))):
        with open(file, 'wb') as opened:
            opened.write(content)
    unreadable = []
    with pytest.warns(UserWarning) as warned:
        list(data.as_numpy_batches(
            lambda: data.image_batches(files, 5, image_size=20, unreadable=unreadable)))
    assert unreadable == files[:4]
    assert messages(warned) == [
        f'{file} is skipped: Reading {title} needs the package {package}, which cannot be '
        "imported; install it with: pip install 'inception_slim[images]'."
        for file, title, package in ((files[0], 'HEIC', 'pillow_heif'),
                                     (files[2], 'JPEG XL', 'pillow_jxl'))]


def test_missing_pillow(monkeypatch):
    png = encode(picture(), 'PNG')
    monkeypatch.setitem(sys.modules, 'PIL.Image', None)
    with pytest.raises(UnreadableImage, match='Reading TIFF needs the package PIL'):
        decoded(b'II*\0')
    assert decoded(png).shape == (40, 60, 3)


@pytest.mark.parametrize('kind', ['TIFF', 'AVIF', 'JPEG2000', 'WEBP'])
def test_damaged_and_too_large(kind):
    encoded = encode(transparent(), kind)
    with pytest.raises(UnreadableImage, match='2,400 pixels, more than max_pixels, 2,399'):
        to_decodable(encoded, max_pixels=2399, exif=True, background=None)
    for end in (4, 13, 40, len(encoded) // 2):
        with pytest.raises((UnreadableImage, tf.errors.InvalidArgumentError)):
            decoded(encoded[:end])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The same pixels as PNG, as TIFF of two pages, and as BMP whose name ends in .jpg."""
    path = tmp_path_factory.mktemp('formats') / 'a'
    path.mkdir()
    picture().save(path / '1.png')
    picture().save(path / '2.tif', save_all=True, append_images=[picture(seed=3)])
    picture().save(path / '3.jpg', 'BMP')
    picture().save(path / '4.gif', save_all=True, append_images=[picture(seed=3)])
    return path


def later_first(monkeypatch, module):
    """Converts an animated GIF at once and a TIFF late, as another thread may."""
    convert = module.to_decodable

    def convert_later(encoded, **options):
        if encoded[:2] in (b'II', b'MM'):
            time.sleep(0.3)
        return convert(encoded, **options)

    monkeypatch.setattr(module, 'to_decodable', convert_later)


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT) as loaded:
        yield loaded


def test_functions(predictor, folder, monkeypatch):
    # The first image in order is named, whichever was decoded first.
    later_first(monkeypatch, input_pipeline)
    later_first(monkeypatch, image_input)
    with pytest.warns(UserWarning, match='2.tif has several frames or pages; the first') as warned:
        result = evaluation.features(predictor, folder)
    assert len(messages(warned)) == 1
    for row in result.features[1:3]:
        np.testing.assert_array_equal(row, result.features[0])
    with pytest.warns(UserWarning, match='several frames') as warned:
        expected = predictor.predict(folder / '1.png')
        for name in ('2.tif', '3.jpg'):
            np.testing.assert_array_equal(predictor.predict(folder / name), expected)
    assert len(messages(warned)) == 1
    with (contextlib.closing(ImagePreparer(40, 2)) as preparer,
          pytest.warns(UserWarning, match='2.tif has several') as warned):
        list(preparer.batches([str(folder / name) for name in ('2.tif', '4.gif')]))
    assert len(messages(warned)) == 1


def test_bulk(folder, monkeypatch):
    later_first(monkeypatch, worker)
    files = sorted(os.listdir(folder))
    network = registry.NETWORKS['inception_v3']
    decoder = Decoder(network, 2, str(folder), BulkOptions(background='white'))
    with contextlib.closing(decoder), pytest.warns(UserWarning, match='2.tif has .*') as warned:
        images = [image.pixels for _, image in decoder.decode_all(map(Example, files), 2)]
    assert len(messages(warned)) == 1
    for image in images[1:3]:
        np.testing.assert_array_equal(image, images[0])
    assert [unit['files'][0][0] for unit in work_units([str(folder)], 1, Columns())] == [
        str(folder / file) for file in files]


def test_background_in_functions(predictor, tmp_path, capfd):
    transparent().save(tmp_path / '1.png')
    white = Image.alpha_composite(Image.new('RGBA', (60, 40), 'white'), transparent())
    white.convert('RGB').save(tmp_path / '2.png')
    result = evaluation.features(predictor, tmp_path, background='white')
    np.testing.assert_array_equal(*result.features)
    assert not np.array_equal(*evaluation.features(predictor, tmp_path).features)
    preparer = ImagePreparer(40, 1, background='white')
    with contextlib.closing(preparer):
        for batch in preparer.batches([str(tmp_path / '2.png'), str(tmp_path / '1.png'),
                                       Image.open(tmp_path / '1.png')]):
            np.testing.assert_array_equal(batch[1:], batch[[0, 0]])
    with pytest.raises(InceptionSlimError, match="background is 'wite', which is no color"):
        evaluation.classify(CHECKPOINT, tmp_path, background='wite')
    assert cli.main(['classify', CHECKPOINT, str(tmp_path), '--background', 'wite']) == 1
    assert 'no color' in capfd.readouterr().err


def test_all_damaged(tmp_path):
    (tmp_path / '1.tif').write_bytes(b'II*\0' + bytes(9))
    with pytest.raises(DatasetError, match='None of the 1 images can be read'):
        list(data.as_numpy_batches(lambda: data.image_batches([str(tmp_path / '1.tif')], 1)))
