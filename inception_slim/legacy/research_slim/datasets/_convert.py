"""Conversion of downloaded datasets to the TFRecords that research/slim's converters write.

The downloaded files must be in the folder of the dataset; they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import functools
import io
import math
import os
import pickle
import random
import re
import tarfile

from inception_slim._atomic_write import replace_together
from inception_slim._module_proxy import getters
from inception_slim.errors import DatasetError
from inception_slim.legacy.contrib.datasets import find_file, missing, read_idx
from inception_slim.legacy.research_slim.datasets import dataset_utils
import numpy as np
import tensorflow.compat.v1 as tf

_FLOWERS_VALIDATION = 350
_FLOWERS_SHARDS = 5
_DIGITS = 'zero one two three four five size seven eight nine'.split()  # as the converter has it
_CIFAR10 = 'airplane automobile bird cat deer dog frog horse ship truck'.split()


class _Images:
    """Encodes and decodes images in a session of its own."""

    def __init__(self):
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._pixels = tf.placeholder(tf.uint8, [None, None, None])
            self._png = tf.image.encode_png(self._pixels)
            self._encoded = tf.placeholder(tf.string, [])
            self._shape = tf.shape(tf.image.decode_jpeg(self._encoded, channels=3))
        self._session = tf.Session(graph=self._graph)

    def encode_png(self, pixels: np.ndarray) -> bytes:
        return self._session.run(self._png, {self._pixels: pixels})

    def jpeg_size(self, encoded: bytes) -> tuple[int, int]:
        height, width, _ = self._session.run(self._shape, {self._encoded: encoded})
        return int(height), int(width)


def _write(dataset_dir: str, splits: Mapping[str, Iterable[bytes]], names: Iterable[str]) -> None:
    """Writes the TFRecords of each file name, and the class names; all of them or none."""
    if all(os.path.exists(os.path.join(dataset_dir, name)) for name in splits):
        print('Dataset files already exist. Exiting without re-creating them.')
        return
    with replace_together(os.path.join(dataset_dir, next(iter(splits)))) as folder:
        for name, examples in splits.items():
            with tf.python_io.TFRecordWriter(os.path.join(folder, name)) as writer:
                for example in examples:
                    writer.write(example)
        dataset_utils.write_label_file(dict(enumerate(names)), folder)
    print('\nFinished converting the dataset!')


def _example(*arguments) -> bytes:
    return dataset_utils.image_to_tfexample(*arguments).SerializeToString()


def _files(source: str) -> dict[str, Callable[[], bytes]]:
    """The files of a folder or of an archive of it: names from the folder on, and their contents.

    An archive is read once, since a compressed one cannot be read in another order.
    """
    if os.path.isdir(source):
        parent = os.path.dirname(source)
        return {os.path.relpath(os.path.join(folder, name), parent): functools.partial(
            _read, os.path.join(folder, name))
            for folder, _, names in os.walk(source) for name in names}
    with tarfile.open(source) as archive:
        contents = {}
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:  # no folder
                contents[member.name] = file.read()
    return getters(contents)


def _read(path: str) -> bytes:
    with open(path, 'rb') as file:
        return file.read()


def convert_flowers(dataset_dir: str) -> None:
    """Convert `flower_photos.tgz`, or the folder in it, to five shards of each split.

    Args:
      dataset_dir: the folder with the downloaded file, and of the result.
    """
    files = _files(find_file(dataset_dir, 'flower_photos', 'flower_photos.tgz'))
    photos = {name: read for name, read in files.items() if name.count('/') == 2}
    classes = sorted({photo.split('/')[1] for photo in photos})
    order = sorted(photos)
    random.Random(0).shuffle(order)
    images = _Images()

    def examples(shard: list[str]) -> Iterator[bytes]:
        for photo in shard:
            data = photos[photo]()
            yield _example(data, b'jpg', *images.jpeg_size(data),
                           classes.index(photo.split('/')[1]))

    splits = {}
    for split, names in (('train', order[_FLOWERS_VALIDATION:]),
                         ('validation', order[:_FLOWERS_VALIDATION])):
        size = math.ceil(len(names) / _FLOWERS_SHARDS)
        for number in range(_FLOWERS_SHARDS):
            splits[f'flowers_{split}_{number:05d}-of-{_FLOWERS_SHARDS:05d}.tfrecord'] = (
                examples(names[number * size:(number + 1) * size]))
    _write(dataset_dir, splits, classes)


def convert_mnist(dataset_dir: str) -> None:
    """Convert the four gzipped files of MNIST.

    Args:
      dataset_dir: the folder with the downloaded files, and of the result.
    """
    images = _Images()

    def examples(prefix: str) -> Iterator[bytes]:
        pixels = read_idx(find_file(dataset_dir, f'{prefix}-images-idx3-ubyte.gz'), 3)
        labels = read_idx(find_file(dataset_dir, f'{prefix}-labels-idx1-ubyte.gz'), 1)
        for image, label in zip(pixels[..., np.newaxis], labels, strict=True):
            yield _example(images.encode_png(image), b'png', 28, 28, int(label))

    _write(dataset_dir, {'mnist_train.tfrecord': examples('train'),
                         'mnist_test.tfrecord': examples('t10k')}, _DIGITS)


def convert_cifar10(dataset_dir: str) -> None:
    """Convert `cifar-10-python.tar.gz`, or the folder in it.

    Args:
      dataset_dir: the folder with the downloaded file, and of the result.
    """
    source = find_file(dataset_dir, 'cifar-10-batches-py', 'cifar-10-python.tar.gz')
    files = _files(source)
    images = _Images()

    def examples(names: list[str]) -> Iterator[bytes]:
        for name in names:
            if f'cifar-10-batches-py/{name}' not in files:
                raise missing(source, name)
            content = io.BytesIO(files[f'cifar-10-batches-py/{name}']())
            batch = _ArraysOnly(content, encoding='bytes').load()
            for image, label in zip(batch[b'data'].reshape(-1, 3, 32, 32), batch[b'labels'],
                                    strict=True):
                yield _example(images.encode_png(image.transpose(1, 2, 0)), b'png', 32, 32, label)

    _write(dataset_dir, {
        'cifar10_train.tfrecord': examples([f'data_batch_{number}' for number in range(1, 6)]),
        'cifar10_test.tfrecord': examples(['test_batch'])}, _CIFAR10)


class _ArraysOnly(pickle.Unpickler):
    """Loads arrays and plain values only, so that a changed file cannot run code."""

    _ALLOWED = {('numpy', 'dtype'), ('numpy', 'ndarray'), ('_codecs', 'encode'),
                ('numpy.core.multiarray', '_reconstruct'),
                ('numpy._core.multiarray', '_reconstruct')}

    def find_class(self, module: str, name: str):
        if (module, name) not in self._ALLOWED:
            raise DatasetError(f'The batch holds {module}.{name}, which is no array; give the '
                               'file of CIFAR-10.')
        core = 'numpy._core' if hasattr(np, '_core') else 'numpy.core'  # NumPy 2, NumPy 1
        return super().find_class(re.sub(r'numpy\._?core', core, module), name)
