"""Datasets, input pipelines, label files and file systems."""

import dataclasses
import io
import os
from pathlib import Path
import sys
import warnings

import fsspec
from helpers import messages, some_slow
from inception_slim import data
from inception_slim.data import DatasetError, filesystem, input_pipeline, preprocessing
from inception_slim.errors import CheckpointError
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

SIZE = 32
NAMES = ('daisy', 'rosé', 'tulip')


def drawing(number, height=40, width=50):
    return np.random.RandomState(number).randint(0, 255, (height, width, 3)).astype(np.uint8)


def encoded(number, **size):
    return tf.io.encode_png(drawing(number, **size)).numpy()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Three classes of five images; the second image is damaged."""
    for number in range(15):
        content = encoded(number)
        write(tmp_path / NAMES[number // 5] / f'{number:02d}.png',
              content[:len(content) // 2] if number == 1 else content)
    return tmp_path


@pytest.fixture
def records(tmp_path):
    examples = [(encoded(number), number % 3) for number in range(20)]
    data.write_tfrecords(tmp_path, 'flowers', 'train', examples, NAMES, num_shards=3)
    data.write_tfrecords(tmp_path, 'flowers', 'validation', examples[:6], NAMES)
    return tmp_path


def read(dataset, size=4, **arguments):
    return list(
        data.as_numpy_batches(lambda: data.batches(dataset, size, image_size=SIZE, **arguments))
    )


def names(result):
    return [os.fsdecode(name) for batch in result for name in batch['name']]


def labels(result):
    return [label for batch in result for label in batch['label'].tolist()]


class TestOpenDataset:

    def test_folder(self, folder):
        write(folder / '.hidden' / 'a.png', b'')
        write(folder / 'daisy' / 'notes.txt', b'')
        write(folder / 'readme.txt', b'')
        dataset = data.open_dataset(folder)
        assert (dataset.kind, dataset.num_examples, dataset.num_classes) == ('folder', 15, 3)
        assert dataset.class_names == list(NAMES) and dataset.labels == [0] * 5 + [1] * 5 + [2] * 5
        assert dataset.files[0] == str(folder / 'daisy' / '00.png')

    def test_splits_share_their_classes(self, tmp_path):
        for each in ('train/a', 'train/b', 'train/c', 'validation/a', 'validation/c'):
            write(tmp_path / each / '1.png', encoded(1))
        validation = data.open_dataset(tmp_path, 'validation')
        assert validation.class_names == ['a', 'b', 'c'] and validation.labels == [0, 2]
        assert data.open_dataset(tmp_path / 'train').labels == [0, 1, 2]
        with pytest.raises(DatasetError, match='holds the splits train, validation; choose one'):
            data.open_dataset(tmp_path)
        with pytest.raises(DatasetError, match="no split 'test'; it has train, validation"):
            data.open_dataset(tmp_path, 'test')

    def test_records(self, records):
        dataset = data.open_dataset(records, 'train')
        assert (dataset.kind, dataset.num_examples) == ('tfrecord', 20)
        assert dataset.class_names == list(NAMES) and dataset.counts == [7, 7, 6]
        assert [os.path.basename(file) for file in dataset.files] == [
            f'flowers_train_{shard:05d}-of-00003.tfrecord' for shard in range(3)]
        with pytest.raises(DatasetError, match='holds the splits train, validation; choose one'):
            data.open_dataset(records)
        with pytest.raises(DatasetError, match="no split 'eval'; it has train, validation"):
            data.open_dataset(records, 'eval')

    @pytest.mark.parametrize('name', ['mnist_train.tfrecord', 'train-00000-of-00001',
                                      'my_own_train_00000-of-00001.tfrecord'])
    def test_names_of_record_files(self, records, tmp_path_factory, name):
        other = tmp_path_factory.mktemp('other')
        write(other / name, (records / 'flowers_validation_00000-of-00001.tfrecord').read_bytes())
        write(other / 'labels.txt', b'0:a\n1:b\n2:c\n')
        dataset = data.open_dataset(other)
        assert dataset.num_examples == 6 and len(names(read(dataset))) == 6
        assert data.open_dataset(other, 'train') == dataset

    def test_rejects_missing_and_damaged_data(self, tmp_path, records):
        def refused(path, message, split=None):
            with pytest.raises(DatasetError, match=message) as caught:
                data.open_dataset(path, split)
            assert len(str(caught.value).splitlines()) == 1

        refused(tmp_path / 'none', 'does not exist; give a folder')
        refused(write(tmp_path / 'file' / 'a.png', b''), 'is a file; give a folder')
        (tmp_path / 'empty').mkdir()
        refused(tmp_path / 'empty', 'holds no data: neither TFRecords .* nor images')
        refused(tmp_path / 'file', 'holds no data')
        (records / 'labels.txt').rename(records / 'kept')
        refused(records, 'labels.txt is missing; write the class names', 'train')
        (records / 'kept').rename(records / 'labels.txt')
        shard = records / 'flowers_train_00001-of-00003.tfrecord'
        whole = shard.read_bytes()
        shard.write_bytes(whole[:-20])
        refused(records, '00001-of-00003.tfrecord is not a TFRecord file, or is cut short after 6',
                'train')
        shard.write_bytes(b'something else entirely')
        refused(records, 'not a TFRecord file', 'train')
        shard.unlink()
        refused(records, "2 of the 3 files of 'train': number 1 is missing", 'train')
        write(records / 'flowers_test_00000-of-00001.tfrecord', b'')
        refused(records, "'test' in .* hold no records", 'test')


@pytest.mark.parametrize('text, names', [
    ('0:daisy\n1:rose\n', ['daisy', 'rose']), ('1:rose\n0:daisy', ['daisy', 'rose']),
    ('0:a: b\n', ['a: b']), ('daisy\nrose\n\n', ['daisy', 'rose'])])
def test_labels(tmp_path, text, names):
    assert data.read_labels(write(tmp_path / 'labels.txt', text.encode())) == names


@pytest.mark.parametrize('content, message', [
    (b'', 'is empty'), (b'\n\n', 'is empty'), (b'\xef\xbb\xbf', 'is empty'),
    (b'\xff\xd8\xff\xe0\x00\x10JFIF', 'is not a text file'),
    (b'0:a\n2:b\n', '2 classes, but no class 1; number them from 0 on'),
    (b'1:a\n2:b\n', 'no class 0'), (b'1 a\n2 b\n', 'no class 0'),
    (b'0:a\n0:b\n', 'a number occurs twice'),
    (b'0:a\nb\n', "'0:a' has a number and 'b' has none"),
    (b'a\n\nb\n', 'line 2 is empty'), (b'\na\nb\n', 'line 1 is empty')])
def test_rejects_unclear_labels(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message) as caught:
        data.read_labels(write(tmp_path / 'labels.txt', content))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('content, names', [
    ('\ufeff0:daisy\n1:rose\n'.encode(), ['daisy', 'rose']),
    ('\ufeffdaisy\nrose\n'.encode(), ['daisy', 'rose']),
    ('0:daisy\r\n1:ros\u00e9\r\n'.encode('utf-16'), ['daisy', 'ros\u00e9']),
    (b'0:daisy\r\n1:rose\r\n', ['daisy', 'rose']), (b'daisy\rrose\r', ['daisy', 'rose']),
    (b'1 : rose\n0 : daisy\n', ['daisy', 'rose']), (b'0\tdaisy\n1\trose\n', ['daisy', 'rose']),
    (b'0 daisy\n1 red rose\n', ['daisy', 'red rose']), (b'0,daisy\n1,rose\n', ['daisy', 'rose']),
    (b'3 point shot\nfree throw\n', ['3 point shot', 'free throw']),
    (b'["daisy", "rose"]', ['daisy', 'rose']), (b'{"1": "rose", "0": "daisy"}', ['daisy', 'rose']),
    (b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}', ['tench', 'goldfish']),
    (b'{"rose": 1, "daisy": 0}', ['daisy', 'rose']),
    (b"item {\n  id: 2\n  name: 'rose'\n}\nitem { name: \"daisy\" id: 1 }\n",
     ['background', 'daisy', 'rose']),
    (b"# classes\nitem { id: 0, name: 'it\\'s', display_name: 'a {b}' }".replace(b'{b}', b'b'),
     ['a b'])])
def test_reads_label_formats(tmp_path, content, names):
    assert data.read_labels(write(tmp_path / 'labels.txt', content)) == names


@pytest.mark.parametrize('content, message', [
    (b'{"0": "a"', 'is not valid JSON'), (b'{"0": "a", "0": "b"}', 'the number 0 occurs twice'),
    (b'{"0": "a", "2": "b"}', 'no class 1'), (b'{"0": {"name": "a"}}', 'is not a class name'),
    (b'{"id2label": {"0": "a"}}', "'id2label' is not a class number"),
    (b'["a", 1]', '1 is not a class name'), (b'[]', 'is empty'), (b'{}', 'is empty'),
    (b"item { name: 'a' }", 'has no id or no name'), (b'item { id: 1 }', 'has no id or no name'),
    (b"item { id: 1 name: 'a' } item { id: 1 name: 'b' }", 'the id 1 occurs twice'),
    (b"item { id: 1 name: 'a' } item { id: 3 name: 'b' }", 'no class 2'),
    (b'entry {\n  target_class: 1\n}', "not 'entry {'")])
def test_rejects_unclear_label_maps(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message) as caught:
        data.read_labels(write(tmp_path / 'labels.txt', content))
    assert len(str(caught.value).splitlines()) == 1


def test_latin_1_labels_give_a_warning(tmp_path):
    path = write(tmp_path / 'labels.txt', '0:ros\u00e9\n'.encode('latin-1'))
    with pytest.warns(UserWarning, match='labels.txt is not UTF-8; it is read as Latin-1'):
        assert data.read_labels(path) == ['ros\u00e9']


def test_written_labels_are_read_again(tmp_path):
    data.write_labels(tmp_path / 'labels.txt', ['daisy', 'ros\u00e9', 'a: b'])
    assert (tmp_path / 'labels.txt').read_bytes() == '0:daisy\n1:ros\u00e9\n2:a: b\n'.encode()
    for name in ('a: b', 'two\nlines', 'end\r', ' space', '\x1b[31m', '\udcff', '"', '-'):
        data.write_labels(tmp_path / 'labels.txt', ['daisy', name])
        assert data.read_labels(tmp_path / 'labels.txt') == ['daisy', name]
    with pytest.raises(CheckpointError, match='There is no folder .*none to write to'):
        data.write_labels(tmp_path / 'none' / 'labels.txt', ['a'], CheckpointError)
    assert os.listdir(tmp_path) == ['labels.txt']


class TestFilesystem:

    @pytest.fixture(params=['local', 'fsspec', 'gfile'])
    def root(self, request, tmp_path, monkeypatch):
        """A folder with a file `a.txt` of three bytes, and a folder `sub` with a hidden file."""
        write(tmp_path / 'a.txt', b'abc')
        write(tmp_path / 'sub' / '.hidden', b'')
        if request.param == 'gfile':
            monkeypatch.setitem(sys.modules, 'fsspec', None)
        return str(tmp_path) if request.param == 'local' else f'file://{tmp_path}'

    def test_files_and_folders(self, root):
        file, sub, none = f'{root}/a.txt', f'{root}/sub', f'{root}/none'
        assert [filesystem.exists(path) for path in (root, file, none)] == [True, True, False]
        assert [filesystem.is_dir(path) for path in (root, file, none)] == [True, False, False]
        assert [filesystem.is_file(path) for path in (root, file, none)] == [False, True, False]
        assert filesystem.size(file) == 3 and sorted(filesystem.listdir(root)) == ['a.txt', 'sub']
        assert filesystem.listdir(sub) == ['.hidden'] and filesystem.list_visible(sub) == []
        with filesystem.open_binary(file) as opened:
            opened.seek(1)
            assert opened.read() == b'bc'
        for call in (filesystem.size, filesystem.listdir, filesystem.open_binary):
            with pytest.raises(DatasetError, match='none (does not exist|cannot be read)'):
                call(none)

    def test_dataset(self, root, records):
        url = root.rpartition('/')[0] + '/' + records.name
        dataset = data.open_dataset(url, 'train')
        assert dataset.counts == [7, 7, 6] and dataset.files[0].startswith(url)
        assert len(names(read(dataset))) == 20

    def test_rejects_records_that_tensorflow_does_not_read(self, records):
        storage = fsspec.filesystem('memory')
        for path in records.iterdir():
            storage.pipe(f'/dataset/{path.name}', path.read_bytes())
        with pytest.raises(DatasetError, match='TensorFlow does not support memory://; copy'):
            data.open_dataset('memory://dataset', 'train')
        storage.rm('/dataset', recursive=True)


class TestBatches:

    def test_folder(self, folder):
        unreadable, dataset = [], data.open_dataset(folder)
        result = read(dataset, unreadable=unreadable)
        good = dataset.files[:1] + dataset.files[2:]
        assert unreadable == dataset.files[1:2] and names(result) == good
        assert labels(result) == dataset.labels[1:]
        assert [len(batch['image']) for batch in result] == [4, 4, 4, 2]
        images = np.concatenate([batch['image'] for batch in result])
        for number, image in zip([0, *range(2, 15)], images):
            np.testing.assert_array_equal(
                image, preprocessing.for_evaluation(drawing(number), SIZE))

    def test_records(self, records):
        dataset = data.open_dataset(records, 'train')
        result = read(dataset)
        assert names(result) == [f'{file}#{number}' for file, count in
                                zip(dataset.files, dataset.counts) for number in range(count)]
        assert labels(result) == [number % 3 for shard in range(3)
                                 for number in range(shard, 20, 3)]
        np.testing.assert_array_equal(result[0]['image'][1],
                                      preprocessing.for_evaluation(drawing(3), SIZE))

    @pytest.mark.parametrize('kind', some_slow(['folder', 'records'], 1))
    def test_training(self, request, kind):
        path, unreadable = request.getfixturevalue(kind), []
        dataset = data.open_dataset(path, 'train' if kind == 'records' else None)
        result = read(dataset, training=True, seed=4, unreadable=unreadable)
        plain = read(dataset)
        assert sorted(names(result)) == sorted(names(plain)) != names(result)
        assert dict(zip(names(result), labels(result))) == dict(zip(names(plain), labels(plain)))
        again = read(dataset, training=True, seed=4)
        assert names(again) == names(result)
        for one, other in zip(result, again):
            np.testing.assert_array_equal(one['image'], other['image'])
        assert names(read(dataset, training=True, seed=5)) != names(result)
        assert len(unreadable) == (kind == 'folder')

    @pytest.mark.parametrize('kind', ['folder', 'records'])
    @pytest.mark.parametrize('maker', some_slow(['initializable', 'one_shot'], 1))
    def test_in_a_graph(self, request, kind, maker):
        unreadable, dataset = [], data.open_dataset(request.getfixturevalue(kind),
                                             'train' if kind == 'records' else None)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            batches = data.batches(dataset, 8, image_size=SIZE, training=True, repeat=True,
                                   seed=1, unreadable=unreadable)
            iterator = getattr(tf.compat.v1.data, f'make_{maker}_iterator')(batches)
            if maker == 'initializable':
                session.run(iterator.initializer)
            following = iterator.get_next()
            assert following['image'].shape.as_list() == [None, SIZE, SIZE, 3]
            result = [session.run(following) for _ in range(12)]
        assert {len(batch['image']) for batch in result} == {8}  # epochs run into each other
        assert len(set(names(result))) == dataset.num_examples - len(unreadable)
        assert unreadable == ([dataset.files[1]] if kind == 'folder' else [])  # once
        assert all(batch['image'].min() >= -1 and batch['image'].max() <= 1 for batch in result)
        epochs = [batch['image'].tobytes() for batch in result]
        assert len(set(epochs)) == 12

    def test_in_eager_mode(self, folder):
        unreadable = []
        for batch in data.batches(data.open_dataset(folder), 8, image_size=SIZE,
                                  unreadable=unreadable):
            assert batch['image'].dtype == tf.float32 and batch['label'].dtype == tf.int64
            assert batch['name'].dtype == tf.string
        assert len(unreadable) == 1

    def test_strict(self, folder):
        dataset = data.open_dataset(folder)
        message = r'01.png is unreadable: it is not an image, or is damaged. Replace it'
        with pytest.raises(DatasetError, match=message):
            read(dataset, strict=True)
        with pytest.raises(DatasetError, match=message), data.reraise_dataset_errors():
            list(data.batches(dataset, 4, strict=True))

    def test_unreadable_images(self, tmp_path):
        """Empty, no image, a folder in place of a file, gone since, and whole groups of them."""
        for number in range(30):
            write(tmp_path / 'a' / f'{number:02d}.png', encoded(number))
        dataset = data.open_dataset(tmp_path)
        for number in range(8, 19):
            (tmp_path / 'a' / f'{number:02d}.png').write_bytes(b'' if number % 2 else b'text')
        (tmp_path / 'a' / '02.png').unlink()
        (tmp_path / 'a' / '29.png').unlink()
        (tmp_path / 'a' / '29.png').mkdir()
        unreadable = []
        assert names(read(dataset, unreadable=unreadable)) == [
            dataset.files[number] for number in (0, 1, *range(3, 8), *range(19, 29))]
        assert unreadable == [dataset.files[number] for number in (2, *range(8, 19), 29)]

    @pytest.mark.parametrize('options', [
        {}, {'exif': False}, {'background': 'white'}, {'max_pixels': 2500},
        {'scaled_decoding': True}, {'training': True, 'seed': 3}])
    def test_files_read_together_equal_those_read_alone(self, tmp_path, monkeypatch, options):
        """Ordinary images, and rotated, transparent, animated, large and unreadable ones."""
        random = np.random.default_rng(0)
        frames = [Image.fromarray(drawing(number)) for number in range(2)]
        exif = Image.Exif()
        exif[0x0112] = 6
        for number, (suffix, image, arguments) in enumerate([
                ('png', frames[0], {}), ('jpg', frames[1], {}), ('jpg', frames[0], {'exif': exif}),
                ('png', frames[1].convert('L'), {}), ('gif', frames[0], {}), ('bmp', frames[0], {}),
                ('png', frames[0].convert('LA'), {}), ('jpg', frames[0].convert('CMYK'), {}),
                ('gif', frames[0], {'save_all': True, 'append_images': frames[1:]}),
                ('png', frames[0], {'save_all': True, 'append_images': frames[1:]}),
                ('png', Image.fromarray(random.integers(0, 256, (700, 600, 3), np.uint8)), {}),
                ('png', Image.fromarray(random.integers(0, 256, (60, 50, 4), np.uint8)), {}),
                ('jpg', frames[0].resize((400, 300)), {}), ('tif', frames[0], {})]):
            for copy in range(2):
                path = tmp_path / 'a' / f'{number:02d}_{copy}.{suffix}'
                path.parent.mkdir(exist_ok=True)
                image.save(path, **arguments)
        (tmp_path / 'a' / '00_1.png').write_bytes(b'')
        (tmp_path / 'a' / '01_1.jpg').write_bytes(b'text')
        content = (tmp_path / 'a' / '02_1.jpg').read_bytes()
        (tmp_path / 'a' / '02_1.jpg').write_bytes(content[:len(content) // 3])
        dataset = data.open_dataset(tmp_path)
        assert any(os.path.getsize(file) > input_pipeline._SMALL_FILE for file in dataset.files)
        (tmp_path / 'a' / '03_1.png').unlink()

        def read_all():
            unreadable, rotated = [], set()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter('always')
                batches = read(dataset, unreadable=unreadable, rotated=rotated, **options)
            return (np.concatenate([batch['image'] for batch in batches]), names(batches),
                    labels(batches), unreadable, rotated,
                    # Without the name: which of two images comes first is not certain.
                    {message.split(' ', 1)[1] for message in messages(caught)})

        together = read_all()
        monkeypatch.setattr(input_pipeline._Report, '_ordinary_bytes', lambda *_: b'')
        alone = read_all()
        np.testing.assert_array_equal(together[0], alone[0])
        assert together[1:] == alone[1:]
        assert len(together[1]) > 10 and len(together[3]) >= 4

    @pytest.mark.parametrize('repeat', [False, True])
    def test_none_can_be_read(self, tmp_path, repeat):
        write(tmp_path / 'a' / '1.png', b'text')
        with pytest.raises(DatasetError, match='None of the 1 images can be read, .*1.png'):
            read(data.open_dataset(tmp_path), repeat=repeat)

    def test_rejects_label_out_of_range(self, records):
        dataset = data.open_dataset(records, 'train')
        with pytest.raises(DatasetError, match=r'00002-of-00003.tfrecord#0 has the label 2, but '
                                               r'.* has 2 classes, 0 to 1; correct'):
            read(dataclasses.replace(dataset, class_names=['a', 'b'], files=dataset.files[2:],
                                     counts=dataset.counts[2:]))

    def test_damaged_records(self, records):
        """A record that is none, one with a damaged image, and a file that is lost from there."""
        dataset = data.open_dataset(records, 'train')
        file = dataset.files[1]
        with tf.io.TFRecordWriter(dataset.files[0]) as writer:
            for _ in range(dataset.counts[0]):
                writer.write(b'no example')
        content = bytearray(Path(file).read_bytes())
        content[-50] ^= 1
        Path(file).write_bytes(content)
        unreadable = []
        assert names(read(dataset, unreadable=unreadable)) == [
            *(f'{file}#{number}' for number in range(6)),
            *(f'{dataset.files[2]}#{number}' for number in range(6))]
        assert unreadable == [*(f'{dataset.files[0]}#{number}' for number in range(7)), f'{file}#6']

    def test_rejects_bad_sizes(self, folder):
        dataset = data.open_dataset(folder)
        with pytest.raises(ValueError, match='batch_size must be at least 1, but is 0'):
            data.batches(dataset, 0)
        with pytest.raises(ValueError, match='image_size must be at least 1, but is -1'):
            data.batches(dataset, 1, image_size=-1)


def pillow(kind, mode='RGB', **arguments):
    file = io.BytesIO()
    Image.fromarray(drawing(1)).convert(mode).save(file, kind, **arguments)
    return file.getvalue()


FORMATS = {
    'jpeg': lambda: pillow('JPEG', quality=98, subsampling=0),
    'progressive.jpg': lambda: pillow('JPEG', quality=98, subsampling=0, progressive=True),
    'cmyk.jpg': lambda: pillow('JPEG', 'CMYK', quality=98),
    'grey.jpg': lambda: pillow('JPEG', 'L', quality=98),
    'turned.jpg': lambda: pillow('JPEG', quality=98, subsampling=0, exif=turned()),
    'plain.png': lambda: pillow('PNG'),
    'clear.png': lambda: pillow('PNG', 'RGBA'),
    'grey.png': lambda: pillow('PNG', 'L'),
    'palette.png': lambda: pillow('PNG', 'P'),
    'deep.png': lambda: tf.io.encode_png(drawing(1).astype(np.uint16) * 257).numpy(),
    'still.gif': lambda: pillow('GIF', 'P'),
    'moving.gif': lambda: pillow('GIF', 'P', save_all=True, append_images=[
        Image.fromarray(255 - drawing(1)).convert('P')]),
    'plain.bmp': lambda: pillow('BMP'),
    'wrongly_named.jpg': lambda: pillow('PNG'),
}


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize('name', FORMATS)
def test_formats(name):
    content = FORMATS[name]()
    result = data.decode(content).numpy().astype(int)
    # As it is stored: nothing turns it.
    expected = np.asarray(Image.open(io.BytesIO(content)).convert('RGB')).astype(int)
    assert result.shape == (40, 50, 3)
    # Noise, in which the fast decoding of JPEG shows; another image would be 85 away.
    assert np.abs(result - expected).mean() < 8


def test_webp(tmp_path):
    """By TensorFlow if it can, else by Pillow."""
    files = [write(tmp_path / 'a.png', encoded(1)),
             write(tmp_path / 'b.webp', pillow('WEBP', lossless=True))]
    [batch] = data.as_numpy_batches(lambda: data.image_batches(files, 2, image_size=SIZE))
    np.testing.assert_allclose(*batch['image'], atol=1e-6)


class TestImageFiles:

    def test_files_and_folders(self, folder, tmp_path_factory):
        other = write(tmp_path_factory.mktemp('other') / 'without_ending', encoded(1))
        write(folder / 'daisy' / 'deep' / 'UPPER.JPG', encoded(1))
        result = data.image_files([other, folder / 'daisy'])
        assert [os.path.basename(file) for file in result] == [
            'without_ending', *(f'{number:02d}.png' for number in range(5)), 'UPPER.JPG']
        unreadable = []
        batches = data.image_batches(result, 4, image_size=SIZE, unreadable=unreadable)
        assert [sorted(batch) for batch in batches] == [['image', 'name']] * 2
        assert unreadable == [str(folder / 'daisy' / '01.png')]

    def test_rejects_missing_images(self, tmp_path):
        with pytest.raises(DatasetError, match='no does not exist; give an image, or a folder'):
            data.image_files(tmp_path / 'no')
        with pytest.raises(DatasetError, match='holds no images; give a folder with files that'):
            data.image_files([tmp_path])
        with pytest.raises(DatasetError, match='No images were given'):
            data.image_files([])


def test_names_of_imagenet(tmp_path, monkeypatch):
    """The thousand, in the order that Keras, torchvision and TF-Slim's checkpoints have."""
    synsets, names = zip(*data.imagenet_classes())
    assert len(synsets) == 1000 and list(synsets) == sorted(set(synsets))
    # From torchvision's table of categories, and the synsets of ILSVRC 2012.
    for number, synset, name in ((0, 'n01440764', 'tench'), (207, 'n02099601', 'golden retriever'),
                                 (281, 'n02123045', 'tabby'), (999, 'n15075141', 'toilet tissue')):
        assert synsets[number] == synset and names[number].split(', ')[0] == name
    assert data.read_labels('imagenet') == list(names)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'imagenet', b'a\nb')  # a file of that name is what is meant
    assert data.read_labels('imagenet') == ['a', 'b']


class TestLinks:
    """Symbolic links in folders of images."""

    @pytest.fixture
    def links(self, tmp_path):
        for name in ('images/b/1.png', 'images/2.png', 'elsewhere/deep/3.png'):
            write(tmp_path / name, encoded(1))
        images = tmp_path / 'images'
        for link, target in (('a', 'b'), ('c', tmp_path / 'elsewhere'), ('b/up', '..'),
                             ('d', tmp_path / 'elsewhere'), ('self', 'self'), ('e', 'nothing'),
                             ('4.png', tmp_path / 'nothing.png')):
            (images / link).symlink_to(target)
        (tmp_path / 'elsewhere' / 'back').symlink_to(images)
        return images

    def test_folders_are_followed_once(self, links):
        with pytest.warns(UserWarning) as warned:
            files = data.image_files(links)
        # The broken link that looks like an image is reported with the unreadable images.
        assert files == [str(links / name) for name in (
            '2.png', '4.png', 'b/1.png', 'c/deep/3.png')]
        assert sorted(messages(warned)) == [
            f'{links}/e is left out: it is a link to nothing, which does not exist.',
            f'{links}/self is left out: it is a link to self, which does not exist.']

    def test_a_class_that_is_a_broken_link_is_named(self, links):
        (links / 'self').unlink()
        (links / '4.png').unlink()
        with pytest.warns(UserWarning, match='/e is left out: it is a link to nothing'):
            assert data.open_dataset(links).class_names == ['a', 'b', 'c', 'd']
