"""tf.data input pipelines: decode images in parallel, ahead of their use, in batches.

An unreadable image does not end a run: it is left out of the batches and reported by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import functools
import os
import re
import stat
from typing import Any

from inception_slim._special_files import special_kind
from inception_slim.data import preprocessing
from inception_slim.data.dataset import Dataset
from inception_slim.data.exif import apply_orientation
from inception_slim.data.filesystem import is_remote
from inception_slim.data.image_archive import read_file, split_member
from inception_slim.data.image_formats import (
    DAMAGED,
    UnreadableImage,
    image_format,
    to_decodable,
)
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.image_preparation import pixels_of_large, prepare_upright
from inception_slim.data.image_report import ImageReport
from inception_slim.data.tfrecord import LABEL_FEATURE
from inception_slim.errors import DatasetError
from inception_slim.options import parse_color
import numpy as np
import tensorflow.compat.v1 as tf

# From a decoded image and a size to `[size, size, 3]` float32 in [-1, 1].
Prepare = Callable[[tf.Tensor, int], tf.Tensor]
# From the two tensors of an example, of which the first is its name or holds its path, to its
# encoded image and its label.
_Fetch = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
_no_autograph = tf.autograph.experimental.do_not_convert  # the functions need no conversion
_KEPT_NAMES = 1024  # of images that were decoded, until their names are forgotten
_OPEN_FILES = 8  # TFRecord files that are read alternately while shuffling
# Each call of Python takes as long as a tenth of decoding an image, so small files share one.
_READ_TOGETHER = 8
_SMALL_FILE = 2 ** 20  # bytes


def batches(
        dataset: Dataset,
        batch_size: int,
        *,
        image_size: int = 299,
        training: bool = False,
        distort: bool = True,
        seed: int | None = None,
        repeat: bool = False,
        strict: bool = False,
        unreadable: list[str] | None = None,
        prepare: Prepare = preprocessing.for_evaluation,
        shuffle_buffer: int = 4096,
        balanced: bool = False,
        part: tuple[int, int] = (0, 1),
        max_pixels: int = MAX_PIXELS,
        exif: bool | None = None,
        background: str | None = None,
        rotated: set[str] | None = None,
        scaled_decoding: bool = False) -> tf.data.Dataset:
    """Returns the images of a dataset in batches, decoded in parallel and ahead of their use.

    Works in eager mode, and in a graph with an iterator of `tf.compat.v1.data`.

    Args:
      dataset: from `open_dataset`.
      batch_size: images in a batch; the last batch may be smaller.
      image_size: side of the images in pixels.
      training: shuffle, and distort with `preprocessing.for_training`. Otherwise the images come in
        the order of the files and are prepared with `prepare`.
      distort: with False, `prepare` is used in training too: for images whose orientation or color
        matters for the class.
      seed: the same seed gives the same batches; None gives other batches each time.
      repeat: repeat the images without end.
      strict: raise an error for an unreadable image. TensorFlow passes it on as an error of its
        own, which `reraise_dataset_errors` converts to the DatasetError.
      unreadable: a list to which the name of each unreadable image is added once. If a TFRecord
        file is damaged between its images, all images from there to its end are unreadable.
      prepare: crops, resizes and scales a decoded image if it is not distorted.
      shuffle_buffer: the number of records in the shuffle buffer; image files are shuffled
        completely.
      balanced: draw each image of a random class, with replacement, in training.
      part: `(index, count)` returns only this one of `count` equal parts of the images. Only the
        TFRecords of this part are read. Each part distorts its images by random numbers of its own.
      max_pixels: an image with more pixels, all frames of a GIF together, is not decoded: it is
        unreadable.
      exif: rotate and flip images as their EXIF orientation says. None does so for image files and
        not for TFRecords, whose images slim wrote and read as they are stored.
      background: the color behind transparent pixels, such as 'white' or '#808080'. None drops the
        transparency, as TensorFlow does.
      rotated: a set to which the name of each image is added that was rotated or flipped.
      scaled_decoding: decode large JPEG files at 1/2, 1/4 or 1/8 of their size, as long as their
        central crop still has `image_size` pixels a side: faster, with other pixels than
        TensorFlow 1.15.5.

    Returns:
      Batches `{'image': float32 [B, image_size, image_size, 3] in [-1, 1], 'label': int64 [B],
      'name': string [B]}`. The name is the path of the file; of a record, `FILE#NUMBER`. The label
      of a multi-label dataset is `[B, num_classes]`, a 0 or 1 for each class.

    Raises:
      ValueError: an argument is out of its range.
      DatasetError: there are fewer images than parts, or TFRecords or images with several labels
        are to be balanced.
    """
    index, count = part
    if balanced:
        dataset.check_single_label('balanced sampling')
    if balanced and dataset.kind != 'folder':
        raise DatasetError(f'{dataset.path} holds TFRecords, which cannot be drawn by class; use '
                           'class weights, or a folder of images.')
    if dataset.num_examples < count:
        raise DatasetError(f'{dataset.path} holds {dataset.num_examples} images, too few for '
                           f'{count} workers; use fewer workers.')
    total = (dataset.num_examples * (index + 1) // count
             - dataset.num_examples * index // count)
    if seed is not None:
        seed += index << 32  # more than the steps by which seeds of resumed runs differ
    shuffle = {'seed': seed, 'reshuffle_each_iteration': True}
    if dataset.kind == 'folder':
        paths, labels = _encode_paths(dataset.files[index::count]), dataset.label_array(part)
        examples = tf.data.Dataset.from_tensor_slices((paths, labels))
        if training and balanced:
            examples = _draw_by_class(paths, labels, seed)
        elif training:
            examples = examples.shuffle(total, **shuffle)
        reader = _Reader(dataset.files)
        fetch: _Fetch = reader.fetch
    else:
        spans = _record_spans(dataset, index, count)
        files = tf.data.Dataset.from_tensor_slices((
            _encode_paths([file for file, _, _ in spans]),
            *np.asarray([span[1:] for span in spans], np.int64).T))
        if training:
            examples = files.shuffle(len(spans), **shuffle).interleave(
                _read_records, cycle_length=_OPEN_FILES)
            examples = examples.shuffle(min(shuffle_buffer, total), **shuffle)
        else:
            examples = files.flat_map(_read_records)
        reader, fetch = None, functools.partial(_fetch_record, shape=_label_shape(dataset))
    pipeline = _Pipeline(fetch, image_size, None if training and distort else prepare,
                         _Report(total, strict, unreadable, max_pixels,
                                 dataset.kind == 'folder' if exif is None else exif, background,
                                 rotated, image_size, scaled_decoding,
                                 dataset.num_classes, dataset.path, dataset.multi_label),
                         _label_shape(dataset),
                         are_local_files=reader is not None and reader.is_local)
    result = pipeline.batches(examples, batch_size, seed, repeat)
    return result if reader is None else reader.check(result)


def image_batches(
        files: Sequence[str],
        batch_size: int,
        *,
        image_size: int = 299,
        strict: bool = False,
        unreadable: list[str] | None = None,
        prepare: Prepare = preprocessing.for_evaluation,
        max_pixels: int = MAX_PIXELS,
        exif: bool | None = None,
        background: str | None = None,
        rotated: set[str] | None = None,
        scaled_decoding: bool = False) -> tf.data.Dataset:
    """Returns the images of files in batches without labels, `{'image': ..., 'name': ...}`.

    Args:
      files: from `image_files`.
      batch_size: images in a batch; the last batch may be smaller.
      image_size: side of the images in pixels.
      strict: see `batches`.
      unreadable: see `batches`.
      prepare: see `batches`.
      max_pixels: see `batches`.
      exif: see `batches`; None is True.
      background: see `batches`.
      rotated: see `batches`.
      scaled_decoding: see `batches`.

    Raises:
      ValueError: an argument is out of its range.
    """
    examples = tf.data.Dataset.from_tensor_slices(
        (_encode_paths(files), np.zeros(len(files), np.int64)))
    reader = _Reader(files)
    pipeline = _Pipeline(reader.fetch, image_size, prepare,
                         _Report(len(files), strict, unreadable, max_pixels,
                                 exif is not False, background, rotated, image_size,
                                 scaled_decoding),
                         are_local_files=reader.is_local)
    return reader.check(pipeline.batches(examples, batch_size, seed=None)).map(
        _no_autograph(lambda batch: {key: batch[key] for key in ('image', 'name')}))


def count_labels(dataset: Dataset, part: tuple[int, int] = (0, 1)) -> list[int]:
    """The number of images of each class.

    Args:
      dataset: from `open_dataset`. TFRecords are read, but their images are not decoded.
      part: `(index, count)` counts only the files of this one of `count` parts.

    Raises:
      DatasetError: a record cannot be read.
    """
    index, count = part
    if dataset.kind == 'folder':
        labels = dataset.label_array(part)
    else:
        files = dataset.files[index::count]

        def read() -> tf.data.Dataset:
            fetch_label = _no_autograph(lambda record: _fetch_record(record, record, shape)[1])
            return tf.data.TFRecordDataset(files).ignore_errors().map(
                fetch_label).ignore_errors().batch(1024)

        shape = _label_shape(dataset)
        labels = np.concatenate([np.zeros([0, *shape], np.intp),
                                 *(iterate(read) if files else ())])
    if dataset.multi_label:
        return (labels == 1).sum(axis=0).tolist()
    valid = labels[(labels >= 0) & (labels < dataset.num_classes)]  # others are reported later
    return np.bincount(valid.astype(np.intp), minlength=dataset.num_classes).tolist()


def _label_shape(dataset: Dataset) -> list[int]:
    return [dataset.num_classes] if dataset.multi_label else []


def _draw_by_class(paths: np.ndarray, labels: np.ndarray, seed: int | None) -> tf.data.Dataset:
    """Draws as many images as there are: first a class that has images, then one of them."""
    order = np.argsort(labels, kind='stable')
    present, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    paths, labels = paths[order], labels[order]

    @_no_autograph
    def choose(draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = draw[0] % len(present)
        chosen = tf.gather(starts, number) + draw[1] % tf.gather(counts, number)
        return tf.gather(paths, chosen), tf.gather(labels, chosen)

    # Other numbers than those by which the images are distorted.
    draws = tf.data.Dataset.random(None if seed is None else seed + 1,
                                   rerandomize_each_iteration=True)
    return draws.batch(2, drop_remainder=True).map(choose).take(len(labels))


def _encode_paths(paths: Sequence[str]) -> np.ndarray:
    # As bytes, because a file name may not be valid text.
    return np.asarray([os.fsencode(path) for path in paths], object)


def _record_spans(dataset: Dataset, index: int, count: int) -> list[tuple[str, int, int]]:
    """Returns `(file, first record, number of records)` of one of `count` parts of TFRecords.

    The parts differ by at most one record. Only the first and last file of a part may be shared
    with another part.
    """
    # Every part gets files from everywhere, since the classes of the files may be sorted.
    order = [number for first in range(count) for number in range(first, len(dataset.files), count)]
    begin = dataset.num_examples * index // count
    end = dataset.num_examples * (index + 1) // count
    spans, before = [], 0
    for number in order:
        first, last = max(begin - before, 0), min(end - before, dataset.counts[number])
        if first < last:
            spans.append((dataset.files[number], first, last - first))
        before += dataset.counts[number]
    return spans


@_no_autograph
def _read_records(file: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """Reads `count` pairs (name, record) of a file; the record is empty if it cannot be read."""
    records = tf.data.TFRecordDataset(file).ignore_errors()
    unreadable = tf.data.Dataset.from_tensors(tf.constant(b'')).repeat()
    records = records.concatenate(unreadable).skip(first).take(count).enumerate(first)
    return records.map(lambda number, record: (
        tf.strings.join([file, '#', tf.strings.as_string(number)]), record))


class _Reader:
    """Reads image files: TensorFlow the local ones, Python URLs and members of archives.

    Args:
      files: their paths.
    """

    def __init__(self, files: Sequence[str]):
        self.is_local = not any(is_remote(path) or split_member(path) for path in files)
        self._failure: DatasetError | None = None

    @_no_autograph
    def fetch(self, path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The bytes of a file, and the label; an error of TensorFlow if it cannot be read."""
        label = tf.cast(label, tf.int64)
        if self.is_local:
            return tf.io.read_file(path), label
        return tf.ensure_shape(tf.numpy_function(self._read, [path], tf.string), []), label

    def _read(self, path: bytes) -> bytes:
        try:
            return read_file(os.fsdecode(path))
        except DatasetError as error:
            self._failure = error
            raise

    def check(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Raises an error if the storage failed: these images are not unreadable."""
        if self.is_local:
            return batches
        return batches.map(self._check)

    @_no_autograph
    def _check(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.numpy_function(self._raise_failure, [], [])]):
            return tf.nest.map_structure(tf.identity, batch)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


@_no_autograph
def _fetch_record(name: tf.Tensor, record: tf.Tensor,
                  shape: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
    parsed = tf.io.parse_single_example(record, {
        'image/encoded': tf.io.FixedLenFeature([], tf.string),
        LABEL_FEATURE: tf.io.FixedLenFeature(shape, tf.int64)})
    return parsed['image/encoded'], parsed[LABEL_FEATURE]


def decode(encoded: tf.Tensor, halvings: tf.Tensor | None = None) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP image, or the first frame of a GIF.

    WebP too, if this TensorFlow decodes it; `batches` reads more formats. Grey images become RGB,
    transparency is dropped, and an orientation in EXIF is not applied.

    Args:
      encoded: the bytes of the file, a scalar string.
      halvings: how many times to halve the size of the image, 0 to 3, while libjpeg decodes it, a
        scalar int32; other formats than JPEG need 0.

    Returns:
      `[height, width, 3]` uint8.
    """
    def decode_all() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    if halvings is None:
        image = decode_all()
    else:
        image = tf.switch_case(halvings, [decode_all, *(
            functools.partial(tf.io.decode_jpeg, encoded, channels=3, ratio=ratio)
            for ratio in (2, 4, 8))])
    image.set_shape([None, None, 3])
    return image


class _Report:
    """Reports unreadable images and wrong labels of a pipeline.

    Args:
      total: the number of images; an error is raised once all are unreadable.
      strict: raise an error for an unreadable image.
      unreadable: a list to which the name of each unreadable image is added once.
      max_pixels: see `batches`.
      exif: whether to apply the EXIF orientation.
      background: see `batches`.
      rotated: a set to which the name of each rotated image is added.
      image_size: side of the images in pixels.
      scaled_decoding: see `batches`.
      num_classes: the number of classes; None if there are no labels.
      path: the dataset, for the error message.
      multi_label: whether a label is a 0 or 1 for each class.
    """

    def __init__(self, total: int, strict: bool, unreadable: list[str] | None, max_pixels: int,
                 exif: bool, background: str | None, rotated: set[str] | None,
                 image_size: int, scaled_decoding: bool, num_classes: int | None = None,
                 path: str = '', multi_label: bool = False):
        self._image_report = ImageReport(total, strict, unreadable, num_classes, path, multi_label)
        self._max_pixels = max_pixels
        color = parse_color(background)
        self._rotated = set() if rotated is None else rotated
        self._scaled_to = image_size if scaled_decoding else None
        self._to_decodable = functools.partial(
            to_decodable, exif=exif, background=color, scaled_to=self._scaled_to)
        # Other formats may have to be converted.
        self._ordinary_formats = ('JPEG', 'PNG') if color is None else ('JPEG',)
        self._ordinary_pixels = min(max_pixels, pixels_of_large(image_size))
        self._num_classes = num_classes
        self._multi_label = multi_label
        self._names: dict[int, bytes] = {}  # of images that are being decoded, by index
        self._problems: dict[bytes, str] = {}  # the names of images -> why they are not decoded

    @_no_autograph
    def decode(self, name: tf.Tensor, encoded: tf.Tensor
               ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns a decoded image, its orientation, and whether frames or pages follow it.

        An error of TensorFlow if it cannot be decoded.
        """
        replaced, replacement, orientation, halvings, has_frames = tf.numpy_function(
            self._convert, [name, encoded], [tf.bool, tf.string, tf.int32, tf.int32, tf.bool])
        image = decode(tf.where(replaced, replacement, encoded),
                       None if self._scaled_to is None else halvings)
        return image, orientation, tf.ensure_shape(has_frames, [])

    def _convert(self, name: bytes, encoded: bytes
                 ) -> tuple[np.bool_, bytes, np.int32, np.int32, np.bool_]:
        """Returns whether to replace the image, with what (b'' is no image), and how to decode it.

        That is its orientation, and how many times to halve it; then whether frames or pages
        follow it. An image is not returned as it is, since that would copy it.
        """
        try:
            image = self._to_decodable(encoded, max_pixels=self._max_pixels)
        except UnreadableImage as error:
            self._problems[name] = str(error)
            return np.bool_(True), b'', np.int32(1), np.int32(0), np.bool_(False)
        if image.is_rotated:
            self._rotated.add(os.fsdecode(name))
        replaced = image.encoded is not encoded
        return (np.bool_(replaced), image.encoded if replaced else b'',
                np.int32(image.orientation), np.int32(image.halvings), np.bool_(image.has_frames))

    def read_ordinary(self, indices: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Reads small JPEG and PNG files that are decoded as they are, and notes their names.

        Returns:
          The bytes of each; b'' for other images, missing files and what is no image.
        """
        encoded = []
        for index, name in zip(indices.tolist(), names.tolist()):
            encoded.append(self._ordinary_bytes(name))
            if encoded[-1]:
                self._names[index] = name
        return np.array(encoded, object)

    def _ordinary_bytes(self, path: bytes) -> bytes:
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _SMALL_FILE:
                return b''
            with open(path, 'rb') as file:
                encoded = file.read()
        except (OSError, ValueError):
            return b''
        if image_format(encoded) not in self._ordinary_formats:
            return b''
        try:
            image = self._to_decodable(encoded, max_pixels=self._ordinary_pixels)
        except UnreadableImage:
            return b''
        is_ordinary = image.orientation == 1 and not image.halvings and not image.has_frames
        return encoded if is_ordinary else b''

    def begin(self, index: int, name: bytes) -> np.bool_:
        """Notes the name of an image to decode; returns whether it may be opened."""
        self._names[index] = name
        return np.bool_(special_kind(os.fsdecode(name)) is None)

    @_no_autograph
    def check(self, expected: tf.Tensor,
              example: tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]):
        """Calls `_report` if images before one are missing, its label is wrong, or it has frames.

        Images come here in their order, so the same ones give the same warnings.

        Args:
          expected: the index after that of the image before, as which the missing ones count.
          example: the index of a decoded image, the image, and whether frames or pages follow it.
            The end of the dataset has no name.

        Returns:
          The index that is expected next, and the image.
        """
        index, image, has_frames = example
        label, name = image['label'], image['name']
        correct = (tf.equal(index, expected) & tf.not_equal(name, '')
                   & tf.not_equal(index % _KEPT_NAMES, 0) & ~has_frames)
        if self._multi_label:
            correct &= tf.reduce_all((label >= 0) & (label <= 1))
        elif self._num_classes is not None:
            correct &= (label >= 0) & (label < self._num_classes)
        checked = tf.cond(correct, lambda: name, lambda: tf.ensure_shape(
            tf.numpy_function(self._report, [expected, index, name, label, has_frames], tf.string),
            []))
        return index + 1, {**image, 'name': checked}

    def _report(self, expected: np.int64, index: np.int64, decoded: bytes,
                label: np.int64 | np.ndarray, has_frames: np.bool_) -> bytes:
        missing = [os.fsdecode(self._names[number]) for number in range(expected, index)]
        for number in [number for number in list(self._names) if number <= index]:
            del self._names[number]
        for name in missing:
            self._rotated.discard(name)
            self._image_report.add_unreadable(name, self._problem(name))
        if has_frames:
            self._image_report.add_frames(os.fsdecode(decoded))
        if decoded:
            self._image_report.check_label(os.fsdecode(decoded), label)
        return decoded

    def _problem(self, name: str) -> str:
        kind = special_kind(name)
        return self._problems.get(os.fsencode(name)) or (f'it is {kind}' if kind else DAMAGED)


class _Pipeline:
    """Decodes examples, leaves out unreadable ones, and batches the others.

    Args:
      fetch: returns the encoded image and the label of an example.
      image_size: side of the images in pixels.
      prepare: crops, resizes and scales a decoded image; None distorts it for training.
      report: is given the names of the unreadable images.
      label_shape: of the label of an image.
      are_local_files: whether the examples are paths of local files and labels.
    """

    def __init__(self, fetch: _Fetch, image_size: int, prepare: Prepare | None, report: _Report,
                 label_shape: Sequence[int] = (), *, are_local_files: bool = False):
        if image_size < 1:
            raise ValueError(f'image_size must be at least 1, but is {image_size}.')
        self._fetch = fetch
        self._image_size = image_size
        self._prepare = prepare
        self._report = report
        self._label_shape = label_shape
        self._are_local_files = are_local_files

    def batches(self, examples: tf.data.Dataset, batch_size: int, seed: int | None,
                repeat: bool = False) -> tf.data.Dataset:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, but is {batch_size}.')
        # An example without a name marks the end, before which images may be missing too.
        end = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype),
                                    examples.element_spec)
        examples = examples.concatenate(tf.data.Dataset.from_tensors(end))
        if repeat:
            examples = examples.repeat()
        numbered = examples.enumerate()
        if self._are_local_files:
            numbered = (numbered.batch(_READ_TOGETHER)
                        .map(self._read_ordinary, num_parallel_calls=tf.data.AUTOTUNE,
                             deterministic=True)
                        .unbatch())
        decode = self._decode_example
        if self._prepare is None:
            numbered = tf.data.Dataset.zip((numbered, tf.data.Dataset.random(seed).batch(2)))
            decode = _no_autograph(
                lambda example, seed: self._decode_example(*example, seed=seed))
        # An image that cannot be decoded is missing in the stream, since a graph has no try and
        # except. (An inner dataset for each, to skip it there, costs more than decoding.)
        batched = (numbered
                   .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
                   .ignore_errors()
                   .scan(np.int64(0), self._report.check)
                   .filter(_no_autograph(lambda image: tf.not_equal(image['name'], '')))
                   .batch(batch_size)
                   .prefetch(2))
        options = tf.data.Options()
        # Images are decoded in parallel; several threads for one image would compete with that.
        options.threading.max_intra_op_parallelism = 1
        return batched.with_options(options)

    @_no_autograph
    def _read_ordinary(self, index: tf.Tensor, example: tuple[tf.Tensor, tf.Tensor]):
        """Several examples, and the bytes of the files that are ordinary images, else nothing."""
        encoded = tf.numpy_function(self._report.read_ordinary, [index, example[0]], tf.string)
        return index, example, tf.ensure_shape(encoded, [None])

    @_no_autograph
    def _decode_example(self, index: tf.Tensor, example: tuple[tf.Tensor, tf.Tensor],
                        ordinary: tf.Tensor | None = None, seed: tf.Tensor | None = None):
        """Decodes an example; an error of TensorFlow if that fails.

        Args:
          index: the number of the image.
          example: its name, and what `fetch` needs besides.
          ordinary: the bytes from `_read_ordinary`.
          seed: for the distortion.

        Returns:
          The index, the image with its label and name, and whether frames or pages follow it.
        """
        name, content = example
        shape = [self._image_size, self._image_size, 3]

        def distort(image: tf.Tensor) -> tf.Tensor:
            return preprocessing.for_training(image, self._image_size, seed)

        def decode_ordinary() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            image, label = decode(ordinary), tf.cast(content, tf.int64)
            if self._prepare is None:
                return distort(image), label, tf.constant(False)
            return self._prepare(image, self._image_size), label, tf.constant(False)

        def decode_any() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            opens = tf.numpy_function(self._report.begin, [index, name], tf.bool)
            with tf.control_dependencies([opens]):
                # An empty path cannot be read.
                encoded, label = self._fetch(tf.where(opens, name, ''), content)
            image, orientation, has_frames = self._report.decode(name, encoded)
            if self._prepare is None:
                image = distort(apply_orientation(image, orientation))
            else:
                image = prepare_upright(self._prepare, image, self._image_size, orientation)
            return image, label, has_frames

        def decode_other() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return tf.cond(tf.equal(name, ''), lambda: (
                tf.zeros(shape), np.full(self._label_shape, -1, np.int64), tf.constant(False)),
                decode_any)

        if ordinary is None:
            image, label, has_frames = decode_other()
        else:
            image, label, has_frames = tf.cond(tf.equal(ordinary, ''), decode_other,
                                               decode_ordinary)
        image = tf.ensure_shape(image, shape)
        return index, {'image': image, 'label': label, 'name': name}, has_frames


@contextmanager
def reraise_dataset_errors() -> Iterator[None]:
    """Reraises a DatasetError that TensorFlow passes on from `batches` as an error of its own."""
    try:
        yield
    except tf.errors.OpError as error:
        match = re.search(r'DatasetError: (.*?)(?:\n|$)', error.message)
        if not match:
            raise
        raise DatasetError(match[1]) from None


def as_numpy_batches(make: Callable[[], tf.data.Dataset]) -> Iterator[dict[str, np.ndarray]]:
    """Returns batches as arrays; the next ones are read while the caller computes.

    Works in eager mode and inside of a graph.

    Args:
      make: returns the dataset, as in `lambda: batches(dataset, 32)`; called in a new graph.

    Raises:
      DatasetError: a label is out of range, or an image is unreadable and the dataset is strict.
    """
    with reraise_dataset_errors():
        yield from iterate(make)


def iterate(make: Callable[[], tf.data.Dataset]) -> Iterator[Any]:
    """Yields the elements of a dataset as NumPy values, from a graph and session of its own.

    Args:
      make: returns the dataset; called in the new graph.
    """
    with tf.Graph().as_default() as graph:
        iterator = tf.data.make_initializable_iterator(make())
        next_element = iterator.get_next()
    config = tf.ConfigProto()
    # It takes longer than it saves.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Session(graph=graph, config=config) as session:
        session.run(iterator.initializer)
        fetch = session.make_callable(next_element)
        while True:
            try:
                element = fetch()
            except tf.errors.OutOfRangeError:
                return
            yield element
