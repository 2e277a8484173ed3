"""TFRecords with wrong checksums, types, labels and sizes: skipped and named, or one error."""

import contextlib
import os
import struct
import zlib

from helpers import GOLDEN
from inception_slim import evaluation, inference
from inception_slim.errors import DatasetError
import pytest
import tensorflow.compat.v1 as tf

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts')


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT, engine='session') as loaded:
        yield loaded


def jpeg():
    with open(os.path.join(CHECKPOINT, 'images', 'rows_03.jpg'), 'rb') as file:
        return file.read()


def huge_png():
    """The header of an image of 3.6 billion pixels."""
    chunk = b'IHDR' + struct.pack('>IIBBBBB', 60_000, 60_000, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + chunk
            + struct.pack('>I', zlib.crc32(chunk)))


def record(encoded, label):
    kinds = {bytes: ('bytes_list', tf.train.BytesList), int: ('int64_list', tf.train.Int64List),
             float: ('float_list', tf.train.FloatList)}
    features = {}
    for name, value in (('image/encoded', encoded), ('image/class/label', label)):
        if value is not None:
            field, kind = kinds[type(value)]
            features[name] = tf.train.Feature(**{field: kind(value=[value])})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(folder, second, flipped=None):
    """Two records, of which the second one, or a byte of the file, is wrong."""
    (folder / 'labels.txt').write_text('\n'.join('abcde'))
    path = folder / 'x_validation_00000-of-00001.tfrecord'
    with tf.python_io.TFRecordWriter(str(path)) as writer:
        writer.write(record(jpeg(), 0))
        writer.write(second)
    if flipped is not None:
        content = bytearray(path.read_bytes())
        content[flipped] ^= 1
        path.write_bytes(content)
    return path


@pytest.mark.parametrize('encoded, label, flipped', [
    (jpeg(), 1.0, None), (jpeg(), None, None), (3, 1, None), (None, 1, None), (b'', 1, None),
    (huge_png(), 1, None), (jpeg(), 0, -100)],
    ids=['float label', 'no label', 'int image', 'no image', 'empty', 'huge', 'checksum'])
def test_unreadable_record_is_skipped_and_named(predictor, tmp_path, encoded, label, flipped):
    path = write(tmp_path, record(encoded, label), flipped)
    with pytest.warns() if encoded == huge_png() else contextlib.nullcontext():
        result = evaluation.evaluate(predictor, tmp_path)
    assert result.num_examples == 1 and result.unreadable == [f'{path}#1']



@pytest.mark.parametrize('second, flipped, message', [
    (record(jpeg(), -1), None, 'has the label -1, but'),
    (record(jpeg(), 5), None, 'has the label 5, but'),
    (record(jpeg(), 2**62), None, 'has the label 4611686018427387904, but'),
    (record(jpeg(), 0), 2, 'is cut short after 0 records'),
    (record(jpeg(), 0), 9, 'None of the 2 images can be read')],
    ids=['negative', 'too large', 'huge', 'length', 'checksum of the length'])
def test_wrong_record_is_one_error(predictor, tmp_path, second, flipped, message):
    write(tmp_path, second, flipped)
    with pytest.raises(DatasetError, match=message) as caught:
        evaluation.evaluate(predictor, tmp_path)
    assert '\n' not in str(caught.value)
