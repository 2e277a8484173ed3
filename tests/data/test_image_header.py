"""Images of too many pixels are recognized by their headers and count as unreadable."""

import io
import os
import struct
import zlib

from helpers import GOLDEN
from inception_slim import bulk, data, evaluation, inference
from inception_slim.data.image_header import count_pixels
from inception_slim.errors import DatasetError
import numpy as np
from PIL import Image
import pytest

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts', 'inception_v3.ckpt')


def encode(kind, width=30, height=20, mode='RGB', **options):
    pixels = np.random.RandomState(0).randint(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize('kind, options', [
    ('JPEG', {}), ('JPEG', {'progressive': True}), ('JPEG', {'mode': 'CMYK'}),
    # Bytes that look like a start of frame inside of other segments.
    ('JPEG', {'comment': b'\xff\xc0' * 20, 'exif': b'Exif\0\0' + b'\xff\xc0' * 20}),
    ('PNG', {}), ('PNG', {'mode': '1'}), ('GIF', {}), ('BMP', {}),
    ('WEBP', {}), ('WEBP', {'lossless': True}), ('WEBP', {'mode': 'RGBA'})])
def test_counts_pixels(kind, options):
    encoded = encode(kind, **options)
    assert count_pixels(encoded) == 600
    for end in range(0, len(encoded), 7):
        assert count_pixels(encoded[:end]) <= 600


def test_counts_all_frames_of_a_gif():
    frames = [Image.fromarray(np.full((20, 30, 3), value, np.uint8)) for value in (0, 99, 200)]
    file = io.BytesIO()
    frames[0].save(file, 'GIF', save_all=True, append_images=frames[1:])
    assert count_pixels(file.getvalue()) == 1800


@pytest.mark.parametrize('encoded', [b'', b'\xff\xd8\xff', b'GIF89a', b'BM', b'RIFF', b'text',
                                     b'\x89PNG\r\n\x1a\n', b'\xff\xd8' + b'\xff' * 9])
def test_unknown_and_damaged(encoded):
    assert count_pixels(encoded) == 0


def huge_png(side):
    """A black PNG, compressed to some kilobytes."""
    def chunk(kind, content):
        return (struct.pack('>I', len(content)) + kind + content
                + struct.pack('>I', zlib.crc32(kind + content)))

    rows = zlib.compress(bytes(side // 8 + 2) * side)
    return b''.join([b'\x89PNG\r\n\x1a\n',
                     chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)),
                     chunk(b'IDAT', rows), chunk(b'IEND', b'')])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('images')
    (path / 'good.png').write_bytes(encode('PNG'))
    (path / 'huge.png').write_bytes(huge_png(20_000))
    return path


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT) as loaded:
        yield loaded


def test_large_images_are_skipped_and_named(predictor, folder):
    with pytest.warns(UserWarning, match='huge.png is skipped: it has 400,000,000 pixels, more '
                                         'than max_pixels, 178,956,970'):
        result = evaluation.classify(predictor, folder)
    assert [os.path.basename(name) for name in result.unreadable] == ['huge.png']
    with pytest.raises(DatasetError, match='huge.png is unreadable: it has 400,000,000 pixels'):
        evaluation.classify(predictor, folder, strict=True)
    with pytest.raises(DatasetError, match='400,000,000'):
        predictor.predict(folder / 'huge.png')


@pytest.mark.slow
def test_large_images_are_named_by_bulk(folder, tmp_path):
    bulk.run(CHECKPOINT, folder, tmp_path / 'out', format='npy')
    assert 'it has 400,000,000 pixels' in (tmp_path / 'out' / '_unreadable.csv').read_text()


@pytest.mark.slow
def test_limit_is_an_option(predictor, folder, tmp_path):
    good = folder / 'good.png'
    assert not evaluation.classify(predictor, good, max_pixels=600).unreadable
    for source in (good, [good]):
        with pytest.raises(DatasetError, match='it has 600 pixels, more than max_pixels, 599'):
            evaluation.inception_score(predictor, source, splits=1, max_pixels=599)
    data.write_tfrecords(tmp_path, 'one', 'train', [(good.read_bytes(), 0)], ['a', 'b'])
    batches = data.as_numpy_batches(lambda: data.batches(
        data.open_dataset(tmp_path), 1, training=True, max_pixels=599))
    with pytest.raises(DatasetError, match='it has 600 pixels'):
        next(batches)
