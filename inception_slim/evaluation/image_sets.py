"""Sets of images for generative metrics: files, arrays, statistics and stored features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
from dataclasses import dataclass
import functools
import os
from typing import IO, Any
import zipfile

from inception_slim import data
from inception_slim._npy_header import read_header
from inception_slim._optional import require
from inception_slim._special_files import check_regular
from inception_slim.data.filesystem import wrap_io_errors
from inception_slim.data.image_header import image_size
from inception_slim.errors import DatasetError
from inception_slim.evaluation.features import read_features
from inception_slim.evaluation.generative_metrics import Statistics, load_statistics
from inception_slim.evaluation.loaders import Images
from inception_slim.evaluation.options import MetricOptions
import numpy as np
import tensorflow.compat.v1 as tf

_IMAGES = 'arr_0'  # in an .npz file
_SIZED_FILES, _HEADER_BYTES = 100, 2**16
Read = Callable[..., Iterator[dict[str, np.ndarray]]]


@dataclass(frozen=True)
class ImageSource:
    """Images to compute features of.

    Attributes:
      count: how many there are at most.
      read: reads them in batches with the keys 'image' and 'name'. Its arguments are batch_size,
        image_size, strict, unreadable, max_pixels, exif, background,
        rotated and prepare, as of `data.read_batches`.
    """

    count: int
    read: Read


@dataclass(frozen=True)
class ImageSet:
    """A set of images, or what was computed of it.

    Attributes:
      path: where it is, for messages.
      images: the images; None if there are none.
      statistics: of the features, if they are stored.
      spatial: statistics of the spatial features, if they are stored.
      features: `[N, channels]`, if they are stored.
      suffixes: the suffixes of the image files.
      sizes: width and height of the images; of files, those of a hundred of them.
    """

    path: str
    images: ImageSource | None = None
    statistics: Statistics | None = None
    spatial: Statistics | None = None
    features: np.ndarray | None = None
    suffixes: frozenset[str] = frozenset()
    sizes: frozenset[tuple[int, int]] = frozenset()


def open_image_set(images: Images, options: MetricOptions) -> ImageSet:
    """Opens a set of images.

    Args:
      images: image files and folders, a folder of TFRecords, an .npz file of statistics or images
        (or both, as those of ADM), a .npy file of features or images, or a Parquet file of
        features or a folder of such files.
      options: for the split of TFRecords.

    Raises:
      DatasetError: there are none, or a file cannot be read.
    """
    if isinstance(images, (str, bytes, os.PathLike)):
        path = os.fsdecode(images)
        if path.endswith('.npz'):
            return _open_npz(path)
        if path.endswith('.npy'):
            return _open_npy(path)
        if path.endswith('.parquet') or os.path.isdir(path) and any(
                name.endswith('.parquet') for name in os.listdir(path)):
            return ImageSet(path, features=_read_parquet(path))
        if os.path.isdir(path) and data.has_tfrecords(path):
            dataset = data.open_dataset(path, options.split)
            return ImageSet(path, ImageSource(
                dataset.num_examples, functools.partial(data.read_batches, dataset)))
    else:
        path = 'the images'
    files = data.image_files(images)
    return ImageSet(
        path, ImageSource(len(files), functools.partial(data.read_batches, files)),
        suffixes=frozenset(os.path.splitext(file)[1].lower() for file in files),
        sizes=_read_sizes(files[::-(-len(files) // _SIZED_FILES)]))


def _read_sizes(files: list[str]) -> frozenset[tuple[int, int]]:
    sizes = set()
    for path in files:
        with contextlib.suppress(OSError), open(path, 'rb') as file:  # it counts as unreadable
            sizes.add(image_size(file.read(_HEADER_BYTES)))
    return frozenset(size for size in sizes if size is not None)


def _open_npz(path: str) -> ImageSet:
    check_regular(path, DatasetError)
    names = set()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix('.npy') for name in archive.namelist()}
    images = ImageSet(path)
    if _IMAGES in names:
        images = _open_array(path, lambda: _open_member(path))
        if not {'mu', 'sigma'} <= names:
            return images
    return dataclasses.replace(
        images, statistics=load_statistics(path),
        spatial=load_statistics(path, spatial=True) if 'mu_s' in names else None)


def _open_npy(path: str) -> ImageSet:
    check_regular(path, DatasetError)
    with wrap_io_errors(path), open(path, 'rb') as file:
        shape = read_header(file)[0]
    if len(shape) == 4:
        return _open_array(path, lambda: open(path, 'rb'))
    return ImageSet(path, features=_check_features(path, read_features(path)[1]))


def _read_parquet(path: str) -> np.ndarray:
    pyarrow = require('pyarrow', f'Reading {path}', DatasetError, extra='bulk')
    from pyarrow import parquet

    files = [path] if os.path.isfile(path) else sorted(
        os.path.join(path, name) for name in os.listdir(path) if name.endswith('.parquet'))
    parts = []
    for file in files:
        try:
            table = parquet.read_table(file, columns=['features'])
            column = table.column('features').combine_chunks()
            parts.append(column.flatten().to_numpy().reshape(len(column), -1))
        except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
            raise DatasetError(f'{file} has no column of features ({error}); write it with bulk '
                               '--output-type features.') from None
    return _check_features(path, np.concatenate(parts))


def _check_features(path: str, features: np.ndarray) -> np.ndarray:
    if features.ndim != 2 or not np.isfinite(features).all():
        raise DatasetError(f'{path} has the shape {list(features.shape)} or values that are not '
                           'finite, but features are [images, channels]; write it again.')
    return features


def _open_member(path: str) -> IO[bytes]:
    return zipfile.ZipFile(path).open(f'{_IMAGES}.npy')


def _open_array(path: str, open_array: Callable[[], IO[bytes]]) -> ImageSet:
    """Images in an array, which is read as a stream."""
    with wrap_io_errors(path), open_array() as file:
        shape, is_fortran, dtype = read_header(file)
    if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8 or is_fortran or not shape[0]:
        raise DatasetError(f'{path} has {dtype} of the shape {list(shape)}, but images are uint8 '
                           '[images, height, width, 3].')

    def read(batch_size: int, *, image_size: int, prepare: Callable[..., tf.Tensor],
             **_: Any) -> Iterator[dict[str, np.ndarray]]:
        size = int(np.prod(shape[1:]))
        with array_preparer(shape[1:3], image_size, prepare) as run, open_array() as file:
            read_header(file)
            for start in range(0, shape[0], batch_size):
                count = min(batch_size, shape[0] - start)
                with wrap_io_errors(path):
                    content = file.read(count * size)
                if len(content) != count * size:
                    raise DatasetError(f'{path} ends after {start:,} of {shape[0]:,} images; copy '
                                       'it again.')
                yield {
                    'image': run(np.frombuffer(content, np.uint8).reshape(count, *shape[1:])),
                    'name': np.array([os.fsencode(f'{path}[{number}]')
                                      for number in range(start, start + count)])}

    return ImageSet(path, ImageSource(shape[0], read), sizes=frozenset({(shape[2], shape[1])}))


@contextlib.contextmanager
def array_preparer(size: tuple[int, ...], image_size: int, prepare: Callable[..., tf.Tensor]
                   ) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """A context with a function that resizes images in arrays for the network.

    Args:
      size: height and width of the images, `[N, height, width, 3]` uint8.
      image_size: side of the result in pixels.
      prepare: resizes one image.
    """
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.uint8, (None, *size, 3))
        result = tf.map_fn(lambda image: prepare(image, image_size), images, tf.float32,
                           parallel_iterations=16)
    with contextlib.closing(tf.Session(graph=graph)) as session:
        yield session.make_callable(result, [images])
