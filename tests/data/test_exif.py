"""Images are rotated and flipped as their EXIF orientation says, and counted."""

import dataclasses
import io
import os
import struct

from helpers import GOLDEN
from inception_slim import bulk, cli, data, evaluation, inference, training
from inception_slim.data.exif import apply_orientation, read_orientation
import numpy as np
from PIL import Image, ImageOps
import pytest
import tensorflow.compat.v1 as tf

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts', 'inception_v3.ckpt')
KINDS = [('JPEG', {}), ('PNG', {}), ('WEBP', {'lossless': True})]


def pixels(width=60, height=40):
    noise = np.random.RandomState(0).randint(0, 255, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height)))


def encode(orientation, kind='PNG', **options):
    exif = Image.Exif()
    exif[0x010f] = 'maker'
    if orientation is not None:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels()).save(file, kind, exif=exif, **options)
    return file.getvalue()


def block(order='<', tag=0x0112, kind=3, value=6, count=1):
    """EXIF with one entry."""
    return (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(
        f'{order}IHHHI' + {1: 'B3x', 2: 'B3x', 3: 'H2x', 4: 'I'}[kind] + 'I', 8, 1, tag, kind,
        count, value, 0)


def with_block(exif):
    file = io.BytesIO()
    Image.fromarray(pixels()).save(file, 'JPEG', exif=b'Exif\0\0' + exif)
    return file.getvalue()


@pytest.mark.parametrize('kind, options', KINDS)
@pytest.mark.parametrize('orientation', range(1, 9))
def test_all_orientations(kind, options, orientation):
    encoded = encode(orientation, kind, **options)
    assert read_orientation(encoded) == orientation
    stored = data.decode(encode(None, kind, **options)) if kind != 'WEBP' else tf.constant(pixels())
    expected = Image.fromarray(stored.numpy())
    expected.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(apply_orientation(stored, tf.constant(orientation)),
                                  np.asarray(ImageOps.exif_transpose(expected)))


@pytest.mark.parametrize('kind, options', KINDS)
def test_without_and_cut_short(kind, options):
    assert read_orientation(encode(None, kind, **options)) == 1
    encoded = encode(6, kind, **options)
    assert {read_orientation(encoded[:end]) for end in range(len(encoded))} <= {1, 6}


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('kind', [1, 3, 4])
def test_byte_orders_and_types(order, kind):
    assert read_orientation(with_block(block(order, kind=kind))) == 6


@pytest.mark.parametrize('exif', [
    b'', b'II*\0', b'text' * 9, block()[:-9], block(value=0), block(value=9), block(count=2),
    block(kind=2), block(tag=0x0113), b'II*\0' + b'\xff' * 30, b'MM*\0' + block('>')[4:]])
def test_damaged_block_is_no_rotation(exif):
    encoded = with_block(exif)
    assert read_orientation(encoded) == 1
    assert data.decode(encoded).shape == (40, 60, 3)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Of two classes: an image in orientation 6, the same upright, and a damaged one in 6."""
    path = tmp_path_factory.mktemp('exif') / 'set'
    for name, content in (('a/turned.png', encode(6)), ('b/damaged.png', encode(6)[:-60]),
                          ('b/stored.png', encode(None))):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    Image.fromarray(np.rot90(pixels(), -1)).save(path / 'a' / 'upright.png')
    return path


@pytest.mark.parametrize('arguments', [
    {'image_size': 40}, {'image_size': 9},
    {'image_size': 40, 'prepare': lambda image, size: tf.image.resize_images(image, [size, size])}],
    ids=['small', 'large', 'prepare'])
def test_pipeline(folder, arguments):
    dataset = data.open_dataset(folder)

    def read(**options):
        rotated = set()
        batch, = data.as_numpy_batches(lambda: data.batches(
            dataset, 9, unreadable=[], rotated=rotated, **arguments, **options))
        return dict(zip((os.path.basename(os.fsdecode(name)) for name in batch['name']),
                        batch['image'])), rotated

    images, rotated = read()
    np.testing.assert_array_equal(images['turned.png'], images['upright.png'])
    assert rotated == {str(folder / 'a' / 'turned.png')}
    images, rotated = read(exif=False)
    np.testing.assert_array_equal(images['turned.png'], images['stored.png'])
    assert not rotated


def test_tfrecords_are_not_rotated_by_default(folder, tmp_path):
    records = [((folder / 'a' / name).read_bytes(), 0) for name in ('turned.png', 'upright.png')]
    data.write_tfrecords(tmp_path, 'one', 'train', records, ['a'])
    for exif in (None, True):
        rotated = set()
        batch, = data.as_numpy_batches(lambda exif=exif, rotated=rotated: data.batches(
            data.open_dataset(tmp_path), 2, image_size=40, exif=exif, rotated=rotated))
        assert np.array_equal(*batch['image']) == bool(exif)
        assert len(rotated) == bool(exif)


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT) as loaded:
        yield loaded


@pytest.mark.slow
def test_functions_and_report(predictor, folder, tmp_path):
    turned, upright = (str(folder / 'a' / name) for name in ('turned.png', 'upright.png'))
    result = evaluation.features(predictor, [turned, upright])
    np.testing.assert_array_equal(*result.features)
    assert result.rotated == 1
    result = evaluation.features(predictor, [turned, str(folder / 'b' / 'stored.png')], exif=False)
    np.testing.assert_array_equal(*result.features)
    assert result.rotated == 0
    report = tmp_path / 'report.html'
    dataset = dataclasses.replace(data.open_dataset(folder), class_names=list('abcde'))
    assert evaluation.evaluate(predictor, dataset, report=report).rotated == 1
    assert '1 image was rotated or flipped as EXIF says' in report.read_text()
    assert evaluation.classify(predictor, folder).rotated == 1
    assert evaluation.inception_score(predictor, folder, splits=1).rotated == 1


def test_predictor_rotates_files_and_pil_images(predictor, folder):
    turned, upright = folder / 'a' / 'turned.png', folder / 'a' / 'upright.png'
    expected = predictor.predict(upright)
    np.testing.assert_array_equal(predictor.predict(turned), expected)
    np.testing.assert_array_equal(predictor.predict(Image.open(turned)), expected)
    with inference.load(CHECKPOINT, exif=False) as stored:
        expected = stored.predict(folder / 'b' / 'stored.png')
        np.testing.assert_array_equal(stored.predict(turned), expected)
        np.testing.assert_array_equal(stored.predict(Image.open(turned)), expected)


@pytest.mark.slow
def test_command_line(folder, capsys):
    arguments = ['classify', CHECKPOINT, str(folder / 'a'), '--csv', '-']
    assert cli.main(arguments) == 0
    rotated, message = capsys.readouterr()
    assert 'Rotated or flipped as EXIF says: 1 image; --no-exif leaves them as stored' in message
    assert cli.main([*arguments, '--no-exif']) == 0
    stored, message = capsys.readouterr()
    assert 'EXIF' not in message and stored != rotated


@pytest.mark.slow
def test_bulk(folder, tmp_path):
    records = tmp_path / 'records'
    data.write_tfrecords(records, 'one', 'train', [
        ((folder / 'a' / 'turned.png').read_bytes(), 0)], ['a'])
    for exif, rotated in ((None, 1), (True, 2), (False, 0)):
        output = tmp_path / str(exif)
        result = bulk.run(CHECKPOINT, [folder / 'a', records], output, format='npy', exif=exif,
                          output_type='features')
        assert (result.images, result.rotated) == (3, rotated)
        names, features = [], []
        for file in sorted(output.glob('*.npy')):
            values = evaluation.read_features(file)
            names += [os.path.basename(name) for name in values[0]]
            features += list(values[1])
        rows = dict(zip(names, features))
        record = next(name for name in names if '#' in name)
        assert np.array_equal(rows['turned.png'], rows['upright.png']) == (exif is not False)
        assert np.array_equal(rows[record], rows['upright.png']) == (exif is True)


@pytest.mark.slow
def test_training(folder, tmp_path):
    options = {'steps': 2, 'batch_size': 2, 'depth_multiplier': 0.05, 'image_size': 107}
    assert training.train(folder, tmp_path / 'one', **options).rotated == 1
    assert training.train(folder, tmp_path / 'two', exif=False, **options).rotated == 0
    result = training.retrain(folder, CHECKPOINT, tmp_path / 'new', steps=2, test_fraction=0,
                              validation_fraction=0)
    assert result.rotated == 1
