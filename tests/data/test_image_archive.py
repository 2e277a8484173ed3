"""Images in archives, in Parquet tables and behind URLs give the same batches as files."""

import io
import os
import shutil
import tarfile
import zipfile

import fsspec
from helpers import GOLDEN
from inception_slim import cli, data, inference
from inception_slim.data import image_archive
from inception_slim.errors import DatasetError
from inception_slim.training.retrain import retrain
import numpy as np
from PIL import Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts')
NAMES = ['cat/1.png', 'cat/2.PNG', 'dog/1.png', 'dog/ü\udcff.png']


def png(number):
    file = io.BytesIO()
    Image.new('RGB', (20, 30), (60 * number, 0, 255 - 60 * number)).save(file, 'png')
    return file.getvalue()


def write_archive(path, contents):
    if path.suffix == '.zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path
    mode = 'w:gz' if path.suffix == '.gz' else 'w'
    with tarfile.open(path, mode, errors='surrogateescape') as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def batches(files, **options):
    return list(data.as_numpy_batches(lambda: data.image_batches(files, 8, image_size=20,
                                                                 **options)))


@pytest.fixture
def contents():
    return {'cat/notes.txt': b'no image', '__MACOSX/cat/._1.png': b'', 'cat/.hidden.png': b'',
            **{name: png(number) for number, name in enumerate(NAMES)}}


@pytest.fixture
def memory():
    """A folder in fsspec's file system in memory."""
    storage = fsspec.filesystem('memory')
    yield storage
    storage.rm('/', recursive=True)
    storage.pseudo_dirs[:] = ['']


class TestArchives:

    @pytest.mark.parametrize('suffix', ['zip', 'tar'])
    def test_images(self, contents, tmp_path, suffix):
        if suffix == 'zip':  # whose names are text
            contents['dog/ü.png'] = contents.pop(NAMES[3])
        path = write_archive(tmp_path / f'images.{suffix}', contents)
        files = data.image_files(path)
        members = [name for name in contents if name in (*NAMES, 'dog/ü.png')]
        assert files == [f'{path}/{name}' for name in members]
        batch, = batches(files)
        assert [os.fsdecode(name) for name in batch['name']] == files
        (tmp_path / 'folder').mkdir()
        for number in range(4):
            (tmp_path / 'folder' / f'{number}.png').write_bytes(png(number))
        expected, = batches(data.image_files(tmp_path / 'folder'))
        np.testing.assert_array_equal(batch['image'], expected['image'])
        assert data.image_files(files[2]) == files[2:3]
        (tmp_path / 'a.tar.png').write_bytes(png(0))
        assert data.image_files(tmp_path / 'a.tar.png') == [str(tmp_path / 'a.tar.png')]

    @pytest.mark.parametrize('prefix', ['', './', 'outer/'])
    def test_classes_by_folder(self, contents, tmp_path, prefix):
        path = write_archive(tmp_path / 'set.tar', {
            prefix + name: content for name, content in contents.items()})
        dataset = data.open_dataset(path)
        assert (dataset.class_names, dataset.labels) == (['cat', 'dog'], [0, 0, 1, 1])

    def test_splits(self, tmp_path):
        path = write_archive(tmp_path / 'set.zip', {
            f'set/{name}.png': png(0) for name in ('train/a/1', 'train/b/2', 'val/b/3')})
        dataset = data.open_dataset(path, 'val')
        assert (dataset.class_names, dataset.labels) == (['a', 'b'], [1])
        assert data.open_dataset(path, 'train').labels == [0, 1]
        with pytest.raises(DatasetError, match='holds the splits train, val; choose one'):
            data.open_dataset(path)
        with pytest.raises(DatasetError, match="has no split 'test'"):
            data.open_dataset(path, 'test')

    def test_web_dataset(self, tmp_path):
        """Two shards, whose keys end at the first dot; the names of the classes are beside them."""
        for shard, labels in enumerate(('21', '02')):
            write_archive(tmp_path / f'shard-{shard}.tar', {
                f'part/{number}.{suffix}': content for number, label in enumerate(labels)
                for suffix, content in (('cls', label.encode()), ('seg.png', png(number)))})
        dataset = data.open_dataset(tmp_path)
        assert (dataset.class_names, dataset.labels) == (['0', '1', '2'], [2, 1, 0, 2])
        data.write_labels(tmp_path / 'labels.txt', ['ant', 'bee', 'cat', 'dog'])
        dataset = data.open_dataset(tmp_path / 'shard-0.tar')
        assert (dataset.class_names, dataset.labels) == (['ant', 'bee', 'cat', 'dog'], [2, 1])
        batch, = data.as_numpy_batches(lambda: data.batches(dataset, 8, image_size=20))
        assert batch['label'].tolist() == [2, 1]

    @pytest.mark.parametrize('name, contents, message', [
        ('a.zip', {'1.png': png(0)}, '1.png is in no folder of a class, and has no label'),
        ('a.tar', {'x/1.png': png(0), 'x/2.png': png(1), 'x/1.cls': b'0'}, 'no label in x/2.cls'),
        ('a.tar', {'x/1.png': png(0), 'x/1.cls': b'\xff'}, 'no label in x/1.cls'),
        ('a.tar', {'x/1.txt': b''}, 'holds no images'), ('a.zip', {}, 'holds no images'),
        ('a.tar.gz', {'x/1.png': png(0)}, 'is compressed as a whole.* decompress it to a .tar')])
    def test_archives_that_are_no_datasets(self, tmp_path, name, contents, message):
        path = write_archive(tmp_path / name, contents)
        with pytest.raises(DatasetError, match=message):
            data.open_dataset(path)

    @pytest.mark.parametrize('name', ['a.zip', 'a.tar'])
    def test_damaged(self, contents, tmp_path, name):
        for content in (b'', b'no archive' * 100):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DatasetError, match=f'{name} (is damaged|holds no images)'):
                data.image_files(tmp_path / name)
        del contents[NAMES[3]]
        path = write_archive(tmp_path / name, contents)
        content = bytearray(path.read_bytes())
        at = content.index(b'IDAT') if name == 'a.tar' else content.index(b'cat/1.png') + 20
        content[at:at + 20] = bytes(20)
        path.write_bytes(content)
        unreadable = []
        batch, = batches(data.image_files(path), unreadable=unreadable)
        assert unreadable == [f'{path}/cat/1.png'] and len(batch['image']) == 2

    def test_changed_archive_is_opened_again(self, contents, tmp_path):
        path = write_archive(tmp_path / 'a.tar', contents)
        assert len(data.image_files(path)) == 4
        write_archive(path, {'new.png': png(0)})
        assert data.image_files(path) == [f'{path}/new.png']

    def test_huge_members_are_not_read(self, contents, tmp_path, monkeypatch):
        monkeypatch.setattr(image_archive, '_LARGEST_MEMBER', 50)
        path = write_archive(tmp_path / 'a.zip', {'large.png': png(0), 'small.png': b'x'})
        with pytest.raises(OSError, match='it has [0-9]+ bytes'):
            image_archive.read_file(f'{path}/large.png')
        assert image_archive.read_file(f'{path}/small.png') == b'x'
        with pytest.raises(FileNotFoundError):
            image_archive.read_file(f'{path}/none.png')

    def test_folders_with_the_name_of_an_archive(self, tmp_path):
        (tmp_path / 'set.zip').mkdir()
        (tmp_path / 'set.zip' / '1.png').write_bytes(png(1))
        assert data.image_files(tmp_path / 'set.zip') == [str(tmp_path / 'set.zip' / '1.png')]
        inner = write_archive(tmp_path / 'set.zip' / 'a.tar', {'2.png': png(2)})
        assert image_archive.split_member(f'{inner}/2.png') == (str(inner), '2.png')
        assert image_archive.split_member(str(tmp_path / 'set.zip' / '1.png')) is None


class TestParquet:

    def test_table(self, tmp_path):
        for number in range(2):
            (tmp_path / f'{number}.png').write_bytes(png(number))
        table = {'label': ['dog', 'cat'], 'Path': ['1.png', '0.png'], 'size': [1, 2]}
        pq.write_table(pa.table(table), tmp_path / 'set.parquet')
        dataset = data.open_dataset(tmp_path / 'set.parquet')
        assert (dataset.class_names, dataset.labels) == (['cat', 'dog'], [1, 0])
        assert data.image_files(tmp_path / 'set.parquet') == [
            str(tmp_path / '1.png'), str(tmp_path / '0.png')]
        pq.write_table(pa.table({**table, 'label': [4, 0]}), tmp_path / 'set.parquet')
        assert data.open_dataset(tmp_path / 'set.parquet').labels == [4, 0]

    @pytest.mark.parametrize('columns, message', [
        ({'image': [b'\x89PNG']}, 'no paths; bulk reads images that are in a Parquet file'),
        ({'path': ['1.png', None]}, 'values in the column path that are no paths'),
        ({'path': ['1.png'], 'label': [0.5]}, 'values in the column label that are no labels'),
        ({'name': ['1.png']}, 'has the columns name; name that of the paths')])
    def test_other_columns(self, tmp_path, columns, message):
        pq.write_table(pa.table(columns), tmp_path / 'set.parquet')
        with pytest.raises(DatasetError, match=message):
            data.image_files(tmp_path / 'set.parquet')

    def test_damaged(self, tmp_path):
        (tmp_path / 'set.parquet').write_bytes(b'PAR1 no table')
        with pytest.raises(DatasetError, match='set.parquet cannot be read'):
            data.open_dataset(tmp_path / 'set.parquet')


class TestURLs:

    def test_folder_list_and_archive(self, contents, memory, tmp_path):
        for number in range(3):
            memory.pipe(f'/set/{"ab"[number % 2]}/{number}.png', png(number))
        memory.pipe('/set/list.txt', b'a/0.png\nmemory://set/b/1.png\n')
        files = data.image_files('memory://set')
        assert files == [f'memory:///set/{name}.png' for name in ('a/0', 'a/2', 'b/1')]
        dataset = data.open_dataset('memory://set')
        assert (dataset.class_names, dataset.labels) == (['a', 'b'], [0, 0, 1])
        listed = data.image_files('memory://set/list.txt')
        assert listed == ['memory://set/a/0.png', 'memory://set/b/1.png']
        memory.pipe('/all.tar', write_archive(tmp_path / 'a.tar', contents).read_bytes())
        archived = data.image_files('memory://all.tar')
        assert archived == [f'memory://all.tar/{name}' for name in NAMES]
        batch, = batches([*files, *listed, archived[1]])
        reds = batch['image'][:, 10, 10, 0]
        np.testing.assert_allclose((reds + 1) * 127.5, 60 * np.array([0, 2, 1, 0, 1, 1]), atol=1e-3)
        assert data.open_dataset('memory://all.tar').labels == [0, 0, 1, 1]

    def test_missing(self, memory):
        memory.pipe('/set/a.png', png(0))
        with pytest.raises(DatasetError, match='memory://set/b.png does not exist'):
            data.image_files('memory://set/b.png')
        unreadable = []
        batch, = batches(['memory://set/b.png', 'memory://set/a.png'], unreadable=unreadable)
        assert unreadable == ['memory://set/b.png'] and len(batch['image']) == 1

    def test_failure_of_the_storage(self, memory, monkeypatch):
        """An image that may be readable is not left out."""
        memory.pipe('/a.png', png(0))
        memory.pipe('/b.png', png(1))
        read = fsspec.filesystem('memory').open

        def fail(path, *arguments, **options):
            if path.endswith('a.png'):
                raise OSError('the connection was lost')
            return read(path, *arguments, **options)

        monkeypatch.setattr(type(memory), 'open', lambda self, *arguments, **options: fail(
            *arguments, **options))
        with pytest.raises(DatasetError, match='memory://a.png cannot be read: the connection'):
            batches(['memory://a.png', 'memory://b.png'])


@pytest.mark.slow
def test_commands(contents, memory, tmp_path, capsys):
    """As with files; an archive without a `labels.txt` has its names in common with the network."""
    classes = data.read_labels(os.path.join(CHECKPOINT, 'labels.txt'))
    images = data.image_files(os.path.join(CHECKPOINT, 'images'))
    for number, name in enumerate(images):
        path = tmp_path / 'folder' / classes[number % len(classes)] / os.path.basename(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, path)
    files = {str(path.relative_to(tmp_path / 'folder')): path.read_bytes()
             for path in sorted((tmp_path / 'folder').rglob('*.jpg'))}
    for suffix in ('zip', 'tar'):
        write_archive(tmp_path / f'set.{suffix}', files)
    memory.pipe('/set.zip', (tmp_path / 'set.zip').read_bytes())
    outputs = {}
    for source in ('folder', 'set.zip', 'set.tar', 'memory://set.zip'):
        path = source if '://' in source else str(tmp_path / source)
        for command in (['classify', CHECKPOINT, path, '--csv', '-'],
                        ['evaluate', CHECKPOINT, path, '--csv', '-']):
            assert cli.main(command) == 0
            outputs.setdefault(command[0], []).append(
                capsys.readouterr().out.replace(path + '/', ''))
    assert all(len(set(texts)) == 1 for texts in outputs.values())
    first = sorted(files)[0]
    with inference.load(CHECKPOINT) as predictor:
        np.testing.assert_allclose(predictor.predict(f'{tmp_path}/set.zip/{first}'),
                                   predictor.predict(tmp_path / 'folder' / first), atol=1e-6)
    result = retrain(tmp_path / 'set.zip', CHECKPOINT, tmp_path / 'new', steps=2,
                     validation_fraction=0, test_fraction=0)
    assert result.class_names == sorted(classes)
