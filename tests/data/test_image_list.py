"""Images that are listed in text files and CSV tables."""

import functools
import os
from pathlib import Path
import re
import subprocess
import sys

from helpers import GOLDEN
from inception_slim import cli, data
from inception_slim.errors import DatasetError
import numpy as np
from PIL import Image
import pyarrow
import pyarrow.parquet
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


@pytest.mark.parametrize('text, names, labels', [
    ('path,labels\none.png,cat; ant\n"two, b.png",\nthree.png,bee|ant|ant\n',
     ['ant', 'bee', 'cat'], [(2, 0), (), (1, 0)]),
    ('file,Classes\none.png,2\n"two, b.png",\nthree.png,0;2\n',
     ['0', '1', '2'], [(2,), (), (0, 2)]),
    (',dog,image,cat\n0,1,one.png,0\n1,0,"two, b.png",0\n2,1,three.png,1\n', ['dog', 'cat'],
     [(0,), (), (0, 1)])])
def test_several_labels(folder, text, names, labels):
    dataset = data.open_dataset(write(folder / 'set.csv', text))
    assert (dataset.class_names, dataset.labels) == (names, labels) and dataset.multi_label
    expected = np.array([[number in label for number in range(len(names))] for label in labels])
    for training in (False, True):
        batch, = data.as_numpy_batches(functools.partial(
            data.batches, dataset, 3, image_size=20, training=training))
        order = [dataset.files.index(os.fsdecode(name)) for name in batch['name']]
        np.testing.assert_array_equal(batch['label'], expected[order])
        assert batch['label'].dtype == np.int64
    assert data.count_labels(dataset) == expected.sum(0).tolist()
    with pytest.raises(DatasetError, match='have several labels each; balanced sampling needs one'):
        data.batches(dataset, 3, training=True, balanced=True)
    parts = dataset.hold_out(0.5)
    assert sorted(parts[0].labels + parts[1].labels) == sorted(labels)


def test_several_labels_with_names(folder):
    """A table with a part of the classes, such as one of a split, has them in the same order."""
    data.write_labels(folder / 'labels.txt', ['cat', 'tree', 'dog'])
    table = folder / 'set.csv'
    for text in ('path,labels\none.png,dog;cat', 'path,dog,cat\none.png,1,1'):
        dataset = data.open_dataset(write(table, text))
        assert (dataset.class_names, dataset.labels) == (['cat', 'tree', 'dog'], [(2, 0)])
    with pytest.raises(DatasetError, match="the label 'bee', which is no class of .*labels.txt"):
        data.open_dataset(write(table, 'path,labels\none.png,dog;bee'))


@pytest.mark.parametrize('text, message', [
    ('path,label\none.png,a|b\nthree.png,a', "the label 'a|b'; name the column labels if images"),
    ('path,labels\none.png,\n', 'has images without labels only; write the class names to'),
    ('path,cat,dog\none.png,0,2\n', 'no column of labels; name it label, or labels if images'),
    ('path,cat,cat\none.png,0,1\n', 'no column of labels; name it label, or labels if images')])
def test_unclear_labels(folder, text, message):
    with pytest.raises(DatasetError, match=re.escape(message)):
        data.open_dataset(write(folder / 'set.csv', text))


def test_several_labels_in_records(folder):
    encoded = (folder / 'one.png').read_bytes()
    labels = [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    data.write_tfrecords(folder, 'x', 'train', [(encoded, label) for label in labels], 'abc')
    dataset = data.open_dataset(folder)
    assert dataset.multi_label and data.count_labels(dataset) == [1, 1, 1]
    batch, = data.as_numpy_batches(lambda: data.batches(dataset, 3, image_size=20))
    assert batch['label'].tolist() == labels
    data.write_tfrecords(folder, 'x', 'train', [(encoded, [0, 2, 1])], 'abc')
    with pytest.raises(DatasetError, match='#0 has a label that is neither 0 nor 1'):
        list(data.as_numpy_batches(lambda: data.batches(
            data.open_dataset(folder), 3, image_size=20)))
    data.write_labels(folder / 'labels.txt', 'abcd')
    with pytest.raises(DatasetError, match='have 3 values in image/class/label, but .* 4 classes'):
        data.open_dataset(folder)


def test_several_labels_in_parquet(folder):
    table = folder / 'set.parquet'
    for values, names, labels in (
            ({'labels': [['cat', 'ant'], []]}, ['ant', 'cat'], [(1, 0), ()]),
            ({'cat': [True, False], 'ant': [1, 0]}, ['cat', 'ant'], [(0, 1), ()])):
        pyarrow.parquet.write_table(
            pyarrow.table({'path': ['one.png', 'three.png'], **values}), table)
        dataset = data.open_dataset(table)
        assert (dataset.class_names, dataset.labels) == (names, labels) and dataset.multi_label


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
