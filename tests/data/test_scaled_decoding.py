"""Large JPEG files are decoded at a fraction of their size where that is asked for."""

import io
import os

from inception_slim import bulk, cli, data, evaluation, inference
from inception_slim.data import preprocessing
from inception_slim.data.image_header import count_halvings
from inception_slim.errors import InceptionSlimError
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

CHECKPOINT = 'tests/golden/checkpoints/slim_v2'


def picture(width, height):
    """Smooth colors."""
    rows, columns = np.mgrid[:height, :width] / (height, width)[0]
    waves = [np.sin(5 * rows + 3 * columns), np.cos(7 * columns - rows), np.sin(9 * rows * columns)]
    return np.round(127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8)


def encode(width, height, kind='JPEG', orientation=1):
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(picture(width, height)).save(content, kind, exif=exif)
    return content.getvalue()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('photos')
    for name, content in (('large.jpg', encode(1500, 1400)), ('png.png', encode(1500, 1400, 'PNG')),
                          ('rotated.jpg', encode(760, 700, orientation=6)),
                          ('small.jpg', encode(900, 680))):
        (path / name).write_bytes(content)
    return path


def encode_black(width, height, kind='JPEG'):
    content = io.BytesIO()
    Image.new('L', (width, height)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize('size, side, count', [
    ((684, 5000), 299, 1), ((683, 5000), 299, 0), ((1367, 1367), 299, 2), ((4000, 3000), 299, 3),
    ((10_000, 9_000), 299, 3), ((4000, 3000), 150, 3), ((4000, 3000), 400, 2)])
def test_central_crop_is_large_enough(size, side, count):
    assert count_halvings(encode_black(*size), side) == count
    assert round(min(size) * 0.875) >> count >= side or not count


def test_other_formats_and_damage():
    assert count_halvings(encode_black(3000, 3000, 'PNG'), 299) == 0
    assert count_halvings(encode_black(3000, 3000)[:50], 299) == 0


def read(folder, **options):
    batch, = data.as_numpy_batches(
        lambda: data.image_batches(data.image_files(folder), 9, **options))
    return dict(zip((name.rpartition(b'/')[2].decode() for name in batch['name']), batch['image']))


def test_pipeline(folder):
    scaled, whole = read(folder, scaled_decoding=True), read(folder)
    for name in ('png.png', 'small.jpg'):
        np.testing.assert_array_equal(scaled[name], whole[name])
    for name, halvings in (('large.jpg', 2), ('rotated.jpg', 1)):
        with Image.open(folder / name) as image:  # which has a libjpeg of its own
            image.draft('RGB', (image.width >> halvings, image.height >> halvings))
            assert image.width < 400
            pixels = np.asarray(image)
        pixels = np.rot90(pixels, -1) if name == 'rotated.jpg' else pixels
        expected = preprocessing.for_evaluation(tf.constant(pixels.copy()))
        np.testing.assert_allclose(scaled[name], expected, atol=3 / 127.5)
        assert not np.array_equal(scaled[name], whole[name])
        np.testing.assert_allclose(scaled[name], whole[name], atol=0.1)


def test_truncated_file_is_unreadable(folder, tmp_path):
    (tmp_path / 'a.jpg').write_bytes((folder / 'large.jpg').read_bytes()[:-5000])
    (tmp_path / 'b.jpg').write_bytes((folder / 'large.jpg').read_bytes())
    unreadable = []
    assert list(read(tmp_path, scaled_decoding=True, unreadable=unreadable)) == ['b.jpg']
    assert unreadable == [str(tmp_path / 'a.jpg')]


def test_all_ways_agree(folder, tmp_path):
    files = data.image_files(folder)
    expected = evaluation.features(CHECKPOINT, files, scaled_decoding=True).features
    assert not np.allclose(expected, evaluation.features(CHECKPOINT, files).features, atol=1e-5)
    with inference.load(CHECKPOINT, scaled_decoding=True) as predictor:
        np.testing.assert_allclose(predictor.features(files), expected, atol=1e-5)
    bulk.run(CHECKPOINT, str(folder), tmp_path / 'output', output_type='features', format='npy',
             scaled_decoding=True)
    shard, = (tmp_path / 'output').glob('part-*.npy')
    names, features = evaluation.read_features(shard)
    assert [os.path.basename(name) for name in names] == [os.path.basename(name) for name in files]
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_statistics_are_of_all_pixels(folder, tmp_path):
    with pytest.raises(InceptionSlimError, match='would change the statistics'):
        bulk.run(CHECKPOINT, str(folder), tmp_path / 'output', output_type='statistics',
                 scaled_decoding=True)


def test_command(folder, capsys):
    results = []
    for options in ([], ['--scaled-decoding']):
        assert cli.main(['classify', CHECKPOINT, str(folder), *options]) == 0
        results.append(capsys.readouterr().out)
    assert results[0] != results[1]
