"""`read_batches`, compared with the pipelines of tf.data."""

import dataclasses
import os
import threading
import warnings

import fsspec
from helpers import messages
from inception_slim import data
from inception_slim.data import DatasetError, image_reader
import numpy as np
from PIL import Image
import pytest

SIZE = 32


def drawing(number, height=40, width=50):
    return np.random.RandomState(number).randint(0, 255, (height, width, 3)).astype(np.uint8)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes of images of all kinds, some of which are unreadable."""
    frames = [Image.fromarray(drawing(number)) for number in range(2)]
    animated = {'save_all': True, 'append_images': frames[1:]}
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, (suffix, image, options) in enumerate([
            ('png', frames[0], {}), ('jpg', frames[1], {'exif': exif}), ('gif', frames[0], {}),
            ('png', frames[0].convert('LA'), {}), ('gif', frames[0], animated),
            ('png', frames[1], animated), ('tif', frames[0], {}), ('webp', frames[0], {}),
            ('jpg', Image.fromarray(drawing(2, 700, 600)), {'exif': exif}),
            ('jpg', frames[0].convert('CMYK'), {}), ('jpg', frames[1].resize((400, 300)), {})]):
        save(tmp_path / 'ab'[number % 2] / f'{number:02d}.{suffix}', image, **options)
    (tmp_path / 'a' / '20.png').write_bytes(b'')
    (tmp_path / 'b' / '21.jpg').write_bytes((tmp_path / 'b' / '01.jpg').read_bytes()[:400])
    (tmp_path / 'b' / '22.jpg').mkdir()
    os.mkfifo(tmp_path / 'b' / '23.jpg')
    (tmp_path / 'b' / '24.jpg').write_bytes(b'text')
    (tmp_path / 'b' / '25.png').write_bytes(
        b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\x86\xa0\0\1\x86\xa0')  # a header alone
    return tmp_path


def read_with(function, **options):
    """What a function yields and reports, with all warnings in order."""
    unreadable, rotated = [], set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        batches = list(function(image_size=SIZE, unreadable=unreadable, rotated=rotated, **options))
    return batches, unreadable, rotated, messages(caught)


def assert_equal(one, other):
    """Only the sizes of batches with unreadable images differ."""
    assert {key for batch in one[0] for key in batch} == set(other[0][0])
    for key in other[0][0]:
        values, expected = (np.concatenate([batch[key] for batch in batches])
                            for batches in (one[0], other[0]))
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)
    assert one[1:] == other[1:]


@pytest.mark.parametrize('options', [
    {}, {'exif': False}, {'background': 'white'}, {'max_pixels': 2500}, {'scaled_decoding': True},
    {'prepare': data.preprocessing.resize_antialiased}])
def test_equals_the_pipelines(folder, options):
    files = data.image_files(folder)
    # Gone since, and of kinds that are not listed in folders.
    files[3:3] = [str(folder / 'b' / f'{name}.jpg') for name in (22, 23, 40)]
    result = read_with(lambda **more: data.read_batches(files, 4, **options, **more))
    assert_equal(result, read_with(lambda **more: data.as_numpy_batches(
        lambda: data.image_batches(files, 4, **options, **more))))
    batches, unreadable, rotated, given = result
    assert len(unreadable) >= 7 and sum(len(batch['name']) for batch in batches) >= 4
    assert bool(rotated) == (options.get('exif', True)) and given

    labels = [number % 2 for number in range(len(files))]
    dataset = data.Dataset('set', 'folder', files, ['a', 'b'], len(files), labels)
    result = read_with(lambda **more: data.read_batches(dataset, 5, **options, **more))
    assert_equal(result, read_with(lambda **more: data.as_numpy_batches(
        lambda: data.batches(dataset, 5, **options, **more))))


def test_several_labels_and_records(folder, tmp_path_factory):
    files = data.image_files(folder)[:3]
    several = data.Dataset('set', 'folder', files, ['a', 'b'], 3, [(0,), (), (0, 1)],
                           multi_label=True)
    root = tmp_path_factory.mktemp('records')
    data.write_tfrecords(root, 'set', 'train', [
        ((folder / 'a' / '00.png').read_bytes(), number % 2) for number in range(5)], ['a', 'b'])
    for dataset in (several, data.open_dataset(root, 'train')):
        result = read_with(lambda dataset=dataset, **more: data.read_batches(dataset, 2, **more))
        assert_equal(result, read_with(lambda dataset=dataset, **more: data.as_numpy_batches(
            lambda: data.batches(dataset, 2, **more))))
        assert sum(len(batch['label']) for batch in result[0]) == dataset.num_examples


def test_rejects_what_the_pipelines_reject(folder):
    files = data.image_files(folder)
    dataset = data.Dataset('set', 'folder', files, ['a', 'b'], len(files),
                           [number % 3 for number in range(len(files))])
    for images, options, error, message in [
            (files, {'strict': True}, DatasetError, 'is unreadable: it is not an image, or is dam'),
            (dataset, {}, DatasetError, '.* has the label 2, but set has 2 classes, 0 to 1; corre'),
            (dataclasses.replace(dataset, class_names=['a', 'b', 'c']), {'max_pixels': 1},
             DatasetError, f'None of the {len(files)} images can be read, the last is'),
            (files, {'batch_size': 0}, ValueError, 'batch_size must be at least 1, but is 0'),
            (files, {'image_size': 0}, ValueError, 'image_size must be at least 1, but is 0'),
            (files, {'background': 'nocolor'}, ValueError, 'nocolor')]:
        options = {'batch_size': 2, 'image_size': SIZE, **options}
        pipeline = data.batches if isinstance(images, data.Dataset) else data.image_batches
        with pytest.raises(error, match=message) as expected, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            list(data.as_numpy_batches(
                lambda pipeline=pipeline, images=images, options=options: pipeline(
                    images, **options)))
        with pytest.raises(error, match=message) as raised, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            list(data.read_batches(images, **options))
        assert str(raised.value) == str(expected.value)


def test_remote_files(monkeypatch):
    memory = fsspec.filesystem('memory')
    for number in range(3):
        with memory.open(f'/set/{number}.png', 'wb') as file:
            Image.fromarray(drawing(number)).save(file, 'png')
    files = [f'memory://set/{number}.png' for number in (0, 1, 7, 2)]
    result = read_with(lambda **more: data.read_batches(files, 2, **more))
    assert_equal(result, read_with(lambda **more: data.as_numpy_batches(
        lambda: data.image_batches(files, 2, **more))))
    assert result[1] == files[2:3]

    def fail(path):
        raise DatasetError(f'{path} cannot be read: the connection was lost.')

    monkeypatch.setattr(image_reader, 'read_file', fail)
    with pytest.raises(DatasetError, match='0.png cannot be read: the connection was lost'):
        next(data.read_batches(files, 2, image_size=SIZE))
    memory.rm('/set', recursive=True)


def test_threads_end_with_the_iterator(folder):
    before = threading.active_count()
    batches = data.read_batches([str(folder / 'a' / '00.png')] * 500, 2, image_size=SIZE)
    assert len(next(batches)['image']) == 2
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_memory_is_used_again_once_it_is_dropped(folder):
    files = [str(folder / 'a' / '00.png'), str(folder / 'a' / '06.tif')] * 12
    expected = np.concatenate([batch['image'] for batch in data.as_numpy_batches(
        lambda: data.image_batches(files, 4, image_size=SIZE))])
    kept = [batch['image'] for batch in data.read_batches(files, 4, image_size=SIZE)]
    parts = [batch['image'][1:, 2:].swapaxes(1, 2) for batch in data.read_batches(
        files, 4, image_size=SIZE)]
    places = set()
    for number, batch in enumerate(data.read_batches(files, 4, image_size=SIZE)):
        images = expected[4 * number:4 * number + 4]
        np.testing.assert_array_equal(batch['image'], images)
        np.testing.assert_array_equal(kept[number], images)
        np.testing.assert_array_equal(parts[number], images[1:, 2:].swapaxes(1, 2))
        places.add(batch['image'].ctypes.data)
    assert len(places) <= 3 and len({array.ctypes.data for array in kept}) == 6
