"""Images that are listed in text files and CSV tables."""

import os
from pathlib import Path
import subprocess
import sys

from helpers import GOLDEN
from inception_slim import cli, data
from inception_slim.errors import DatasetError
from PIL import Image
import pytest

CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts', 'inception_v3.ckpt')


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(('one.png', 'two, b.png', 'three.png')):
        Image.new('RGB', (20, 20), (80 * number, 0, 0)).save(tmp_path / name)
    return tmp_path


def write(path, text, encoding='utf-8'):
    path.write_text(text, encoding)
    return path


@pytest.mark.parametrize('name, text', [
    ('list.txt', 'two, b.png\r\n\n{folder}/one.png\n'), ('list.LST', 'two, b.png\none.png'),
    ('list.csv', 'label,Path\na,"two, b.png"\n\nb,one.png\n')])
def test_list_of_images(folder, name, text):
    list_file = write(folder / name, text.replace('{folder}', str(folder)))
    assert [os.path.basename(file) for file in data.image_files([list_file, folder / 'three.png'])
            ] == ['two, b.png', 'one.png', 'three.png']


@pytest.mark.parametrize('name, text, message', [
    ('a.txt', '\n', 'a.txt lists no images'), ('a.csv', '', 'name that of the paths one of path'),
    ('a.csv', 'name,label\nb,c', 'has the columns name, label; name that of the paths'),
    ('a.csv', 'path,label\nb', 'row 2, has 1 columns, but the first has 2'),
    ('a.csv', 'path,label\n"b', 'cannot be read as CSV')])
def test_damaged_lists(folder, name, text, message):
    with pytest.raises(DatasetError, match=message):
        data.image_files(write(folder / name, text))


def test_dataset(folder):
    table = write(folder / 'set.csv', 'file,class\none.png,cat\n"two, b.png",ant\n', 'utf-8-sig')
    dataset = data.open_dataset(table)
    assert (dataset.class_names, dataset.labels) == (['ant', 'cat'], [1, 0])
    dataset = data.open_dataset(write(table, 'file,class\none.png,10\n"two, b.png",2\n'))
    assert (dataset.num_classes, dataset.labels) == (11, [10, 2])
    with pytest.raises(DatasetError, match='has the label 999,999; a label is a number below'):
        data.open_dataset(write(table, 'file,class\none.png,999999\n'))
    data.write_labels(folder / 'labels.txt', ['ant', 'bee', 'cat'])
    dataset = data.open_dataset(write(table, 'file,class\none.png,cat\n"two, b.png",1\n'))
    assert (dataset.class_names, dataset.labels) == (['ant', 'bee', 'cat'], [2, 1])
    batch, = data.as_numpy_batches(lambda: data.batches(dataset, 2, image_size=20))
    assert batch['label'].tolist() == [2, 1]
    with pytest.raises(DatasetError, match="the label 'dog', which is no class of .*labels.txt"):
        data.open_dataset(write(table, 'file,class\none.png,dog\n'))
    with pytest.raises(DatasetError, match='has no column of labels'):
        data.open_dataset(write(table, 'file\none.png\n'))
    with pytest.raises(DatasetError, match='without splits'):
        data.open_dataset(write(table, 'file,label\none.png,ant\n'), 'train')


def test_table_on_a_descriptor(folder, monkeypatch):
    """As a shell passes `<(command)`; paths are relative to the working directory."""
    monkeypatch.chdir(folder)
    readable, writable = os.pipe()
    os.write(writable, b'path,label\none.png,cat\nthree.png,ant\n')
    os.close(writable)
    dataset = data.open_dataset(f'/dev/fd/{readable}')
    os.close(readable)
    assert (dataset.files, dataset.labels) == (['one.png', 'three.png'], [1, 0])


@pytest.mark.slow
def test_standard_input(folder):
    table = 'path,label\n' + ''.join(f'one.png,{name}\n' for name in 'abcde')
    ended = subprocess.run([sys.executable, '-m', 'inception_slim', 'evaluate', CHECKPOINT, '-'],
                           input=table.encode(), cwd=folder, capture_output=True, check=True,
                           env={**os.environ, 'PYTHONPATH': str(Path(data.__file__).parents[2])})
    assert b'images             5 of 5 classes; 0 unreadable' in ended.stdout


@pytest.mark.slow
def test_commands(folder, capsys):
    table = write(folder / 'set.csv', 'path,label\n' + ''.join(
        f'one.png,{name}\n' for name in 'abcde'))
    assert cli.main(['evaluate', CHECKPOINT, str(table)]) == 0
    assert 'images             5 of 5 classes; 0 unreadable' in capsys.readouterr().out
    assert cli.main(['classify', CHECKPOINT, str(table), '--csv', '-', '--top', '1']) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
