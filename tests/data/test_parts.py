"""Parts of a dataset for several workers, and datasets on TensorFlow's file systems."""

import os

from golden.weights import drawings
from helpers import some_slow
from hypothesis import given, settings, strategies as st
from inception_slim import data
from inception_slim.data.dataset import Dataset
from inception_slim.data.input_pipeline import _record_spans
from inception_slim.errors import DatasetError
import numpy as np
import pytest
import tensorflow.compat.v1 as tf


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """A folder of seventeen images in five TFRecord files."""
    folder = tmp_path_factory.mktemp('records')
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8)
        encode = tf.image.encode_png(pixels)
        encoded = session.run(encode, {pixels: drawings()['tiny']})
    data.write_tfrecords(folder, 'few', 'train', [(encoded, number % 3) for number in range(17)],
                         ['a', 'b', 'c'], num_shards=5)
    return str(folder)


def names_of(dataset, **options):
    return [os.path.basename(name.decode()) for batch in data.as_numpy_batches(
        lambda: data.batches(dataset, 4, image_size=8, **options)) for name in batch['name']]


class TestParts:

    @given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 9))
    @settings(max_examples=200, deadline=None)
    def test_each_record_is_in_one_part(self, counts, parts):
        files = [f'f{number}' for number in range(len(counts))]
        dataset = Dataset('d', 'tfrecord', files, ['a'], sum(counts), counts=counts)
        records = [[(file, record) for file, first, count in _record_spans(dataset, index, parts)
                    for record in range(first, first + count)] for index in range(parts)]
        assert sorted(sum(records, [])) == [
            (file, record) for file, count in sorted(zip(files, counts))
            for record in range(count)]
        sizes = [len(part) for part in records]
        assert max(sizes) - min(sizes) <= 1

    @pytest.mark.parametrize('training', some_slow([True, False], 1))
    def test_parts_of_tfrecords_are_disjoint_and_complete(self, records, training):
        dataset = data.open_dataset(records)
        names = [names_of(dataset, part=(index, 3), training=training, distort=False)
                 for index in range(3)]
        assert sorted(sum(names, [])) == sorted(names_of(dataset))
        assert [len(part) for part in names] == [5, 6, 6]

    def test_parts_distort_an_image_differently(self, records):
        """All images are the same; the same seed gives a part the same images again."""
        dataset = data.open_dataset(records)

        def images(index):
            return next(data.as_numpy_batches(lambda: data.batches(
                dataset, 4, image_size=8, training=True, seed=1, part=(index, 3))))['image']

        first = images(0)
        np.testing.assert_array_equal(images(0), first)
        for image in images(1):
            assert np.abs(first - image).max(axis=(1, 2, 3)).min() > 0.01

    def test_reads_only_the_files_of_its_part(self, records, tmp_path):
        """The files of other parts need not exist."""
        dataset = data.open_dataset(records)
        own = {file for file, _, _ in _record_spans(dataset, 1, 3)}
        assert len(own) < 5
        copies = [os.path.join(tmp_path, os.path.basename(file)) for file in dataset.files]
        for file, copy in zip(dataset.files, copies):
            if file in own:
                with open(file, 'rb') as source, open(copy, 'wb') as target:
                    target.write(source.read())
        copy = Dataset(str(tmp_path), 'tfrecord', copies, dataset.class_names, 17,
                       counts=dataset.counts)
        unreadable = []
        assert len(names_of(copy, part=(1, 3), unreadable=unreadable)) == 6 and not unreadable

    def test_counts_only_the_files_of_its_part(self, records):
        counts = data.open_dataset(records).counts
        parts = [data.open_dataset(records, part=(index, 2)).counts for index in range(2)]
        assert [sum(pair) for pair in zip(*parts)] == counts
        assert all(0 in pair for pair in zip(*parts))

    def test_rejects_more_parts_than_images(self):
        files = [f'{number}.png' for number in range(7)]
        dataset = Dataset('d', 'folder', files, ['a'], 2, labels=[0] * 7)
        with pytest.raises(DatasetError, match='holds 2 images, too few for 3 workers'):
            data.batches(dataset, 1, part=(0, 3))

    def test_shuffle_buffer_of_one_keeps_the_order(self, records, tmp_path):
        with open(os.path.join(records, 'few_train_00000-of-00005.tfrecord'), 'rb') as source:
            (tmp_path / 'few_train_00000-of-00001.tfrecord').write_bytes(source.read())
        (tmp_path / 'labels.txt').write_text('0:a\n1:b\n2:c\n')
        dataset = data.open_dataset(tmp_path)
        ordered = names_of(dataset)
        options = {'training': True, 'distort': False, 'seed': 1}
        assert names_of(dataset, shuffle_buffer=1, **options) == ordered
        assert names_of(dataset, shuffle_buffer=4, **options) != ordered


class TestTensorFlowFileSystems:
    """`ram://` is a file system of TensorFlow itself; others are called in the same way."""

    def test_tfrecords(self, records, tmp_path):
        local = data.open_dataset(records)
        for name in os.listdir(records):
            tf.io.gfile.copy(os.path.join(records, name), f'ram://few/{name}', overwrite=True)
        remote = data.open_dataset('ram://few')
        assert remote.counts == local.counts and remote.class_names == local.class_names
        assert names_of(remote) == names_of(local)

    def test_image_folder(self):
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = session.run(tf.image.encode_png(drawings()['tiny']))
        for name in ('b/2.png', 'b/1.png', 'a/3.png'):
            tf.io.gfile.makedirs('ram://images/' + name[0])
            with tf.io.gfile.GFile('ram://images/' + name, 'wb') as file:
                file.write(encoded)
        dataset = data.open_dataset('ram://images')
        assert dataset.class_names == ['a', 'b'] and dataset.labels == [0, 1, 1]
        assert names_of(dataset) == ['3.png', '1.png', '2.png']

    @pytest.mark.parametrize('path, message', [
        ('nowhere://bucket/data', 'nowhere'), ('ram://not-there', 'does not exist')])
    def test_rejects_missing_datasets(self, path, message):
        with pytest.raises(DatasetError, match=message):
            data.open_dataset(path)
