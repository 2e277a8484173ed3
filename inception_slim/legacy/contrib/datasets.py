"""`tf.contrib.learn.datasets`, and `input_data` of the tutorials: MNIST and CSV files.

Files must be on the disk; nothing is downloaded.
"""

from __future__ import annotations

import collections
import csv
import gzip
import operator
import os
from typing import BinaryIO

from inception_slim.errors import DatasetError, UnsupportedAPIError
import numpy as np
import tensorflow.compat.v1 as tf

Dataset = collections.namedtuple('Dataset', 'data target')
Datasets = collections.namedtuple('Datasets', 'train validation test')


def find_file(folder: str, *names: str) -> str:
    """Return the first of some files or folders that is there."""
    for name in names:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    raise missing(folder, *names)


def missing(folder: str, *names: str) -> DatasetError:
    """Return the error for a file that is not there."""
    return DatasetError(f'{folder} has no {" or ".join(names)}; nothing is downloaded, so put it '
                        'there first.')


def load_csv_with_header(filename, target_dtype, features_dtype, target_column=-1) -> Dataset:
    """Read a CSV file whose first row starts with the number of examples and of features."""
    with tf.gfile.Open(filename) as file:
        rows = csv.reader(file)
        shape = [int(value) for value in next(rows)[:2]]
        data, target = np.zeros(shape, features_dtype), np.zeros(shape[0], target_dtype)
        for number, row in enumerate(rows):
            target[number] = row.pop(target_column)
            data[number] = row
    return Dataset(data, target)


def load_csv_without_header(filename, target_dtype, features_dtype, target_column=-1) -> Dataset:
    """Read a CSV file of examples."""
    with tf.gfile.Open(filename) as file:
        rows = list(csv.reader(file))
    target = np.array([row.pop(target_column) for row in rows]).astype(target_dtype)
    return Dataset(np.array(rows).astype(features_dtype), target)


def load_iris(data_path=None) -> Dataset:
    """Read the irises from a CSV file; TensorFlow 1 had one of its own."""
    if data_path is None:
        raise UnsupportedAPIError('load_iris of TensorFlow 1 is supported with data_path only; use '
                                  'sklearn.datasets.load_iris.')
    return load_csv_with_header(data_path, int, float)


class DataSet:
    """Images and labels in batches.

    Args:
      images: uint8, `[N, height, width, 1]`.
      labels: `[N]`, or `[N, classes]`.
      fake_data: not supported.
      one_hot: used with `fake_data` only.
      dtype: `tf.uint8`, or `tf.float32` for images in [0, 1].
      reshape: whether to flatten each image.
      seed: of the order.
    """

    def __init__(self, images, labels, fake_data=False, one_hot=False, dtype=tf.float32,
                 reshape=True, seed=None):
        if fake_data:
            raise UnsupportedAPIError('fake_data of input_data is not supported; use real images.')
        graph_seed, op_seed = tf.random.get_seed(seed)
        np.random.seed(graph_seed if seed is None else op_seed)
        if reshape:
            images = images.reshape(len(images), -1)
        if tf.as_dtype(dtype) == tf.float32:
            images = np.multiply(images.astype(np.float32), 1 / 255)
        self._images, self._labels = images, labels
        self._num_examples = len(images)
        self._epochs_completed = self._index_in_epoch = 0  # scripts reset them

    images = property(operator.attrgetter('_images'))
    labels = property(operator.attrgetter('_labels'))
    num_examples = property(operator.attrgetter('_num_examples'))
    epochs_completed = property(operator.attrgetter('_epochs_completed'))

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Return images and labels; a batch at the end of an epoch continues with the next."""
        start, end = self._index_in_epoch, self._index_in_epoch + batch_size
        if shuffle and not start and not self._epochs_completed:
            self._shuffle()
        if end <= self._num_examples:
            self._index_in_epoch = end
            return self._images[start:end], self._labels[start:end]
        rest = self._images[start:], self._labels[start:]
        self._epochs_completed += 1
        if shuffle:
            self._shuffle()
        self._index_in_epoch = end = end - self._num_examples
        return (np.concatenate([rest[0], self._images[:end]]),
                np.concatenate([rest[1], self._labels[:end]]))

    def _shuffle(self) -> None:
        order = np.arange(self._num_examples)
        np.random.shuffle(order)
        self._images, self._labels = self._images[order], self._labels[order]


def read_idx(file: str | BinaryIO, rank: int) -> np.ndarray:
    """Read a gzipped file of MNIST.

    Args:
      file: path, or an open file.
      rank: of the array: 3 for images, 1 for labels.

    Raises:
      DatasetError: it is another file.
    """
    with gzip.open(file) as stream:
        content = stream.read()
    start = 4 + 4 * rank
    if content[:4] != bytes([0, 0, 8, rank]) or len(content) < start:
        raise DatasetError(f'{getattr(file, "name", file)} is no file of MNIST with '
                           f'{"images" if rank == 3 else "labels"}; download it again.')
    shape = np.frombuffer(content, '>u4', rank, 4)
    return np.frombuffer(content, np.uint8, int(np.prod(shape)), start).reshape(shape)


def extract_images(f):
    """Read the images of MNIST from an open file: uint8, `[N, 28, 28, 1]`."""
    print('Extracting', f.name)
    return read_idx(f, 3)[..., np.newaxis]


def dense_to_one_hot(labels_dense, num_classes):
    """Return one-hot vectors."""
    return np.eye(num_classes)[labels_dense.ravel()]


def extract_labels(f, one_hot=False, num_classes=10):
    """Read the labels of MNIST from an open file."""
    print('Extracting', f.name)
    labels = read_idx(f, 1)
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def maybe_download(filename, work_directory, source_url):
    """Return the path of a file, which must be there."""
    return find_file(work_directory, filename)


def read_data_sets(train_dir, fake_data=False, one_hot=False, dtype=tf.float32, reshape=True,
                   validation_size=5000, seed=None, source_url='') -> Datasets:
    """Read the four gzipped files of MNIST from a folder."""
    arrays = []
    for name in ('train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'):
        with open(maybe_download(f'{name}-ubyte.gz', train_dir, source_url), 'rb') as file:
            arrays.append(extract_images(file) if 'images' in name else
                          extract_labels(file, one_hot))
    images, labels, test_images, test_labels = arrays
    if not 0 <= validation_size <= len(images):
        raise ValueError(f'validation_size must be 0 to {len(images)}, but is {validation_size}.')
    return Datasets(*(DataSet(*part, fake_data, one_hot, dtype, reshape, seed) for part in (
        (images[validation_size:], labels[validation_size:]),
        (images[:validation_size], labels[:validation_size]), (test_images, test_labels))))


def load_mnist(train_dir='MNIST-data') -> Datasets:
    """Read MNIST from a folder."""
    return read_data_sets(train_dir)


def load_dataset(name, size='small', test_with_fake_data=False):
    """Load a dataset by its name; of those of TensorFlow 1, MNIST only."""
    if name != 'mnist':
        raise UnsupportedAPIError(f'The dataset {name!r} of tf.contrib.learn is not supported; use '
                                  'sklearn.datasets or tensorflow-datasets.')
    return load_mnist()
