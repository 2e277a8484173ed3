"""Images as batches for a network, decoded in parallel and ahead of their use.

A damaged image does not end a run: each is decoded so that a failure gives a mark in place of an
image, and those so marked are named and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import os
import re

from inception_slim.data import preprocessing
from inception_slim.data.dataset import Dataset
from inception_slim.data.labels import LABELS
from inception_slim.errors import DatasetError
import numpy as np
import tensorflow.compat.v1 as tf

# Of a decoded image and a size, `[size, size, 3]` float32 in [-1, 1].
Prepare = Callable[[tf.Tensor, int], tf.Tensor]
_no_autograph = tf.autograph.experimental.do_not_convert  # there is nothing in them to convert
_GROUP = 8  # images that are tried together, since each attempt costs as much as an image
_OPEN_FILES = 8  # files of records that are read in turns while shuffling


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
        bad: list[str] | None = None,
        prepare: Prepare = preprocessing.for_evaluation,
        shuffle_buffer: int = 4096,
        part: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
    """The images of a dataset in batches, decoded in parallel and ahead of their use.

    Works in eager mode, and in a graph with an iterator of `tf.compat.v1.data`.

    Args:
      dataset: from `open_dataset`.
      batch_size: images in a batch; the last one may be smaller.
      image_size: side of the images in pixels.
      training: shuffle, and distort by `preprocessing.for_training`; else the order of the files,
        and `preprocessing.for_evaluation`.
      distort: with False, training too sees what `preprocessing.for_evaluation` makes: for images
        whose left is not their right, or whose colour says it all.
      seed: the same seed gives the same batches; None others each time.
      repeat: begin again at the end, without end.
      strict: stop at a damaged image. TensorFlow raises that as an error of its own, which
        `errors_named` turns into the DatasetError.
      bad: a list to which the name of each damaged image is added, once, as it is met. Where a
        TFRecord file is damaged between its images, all from there to its end are.
      prepare: makes of a decoded image and the size what the network sees, where images are not
        distorted.
      shuffle_buffer: records of TFRecords among which each is shuffled; files of images are
        shuffled among all.
      part: `(index, count)`: of `count` equal parts of the images, this one. Of TFRecords no other
        is read.

    Returns:
      Batches `{'image': float32 [B, image_size, image_size, 3] in [-1, 1], 'label': int64 [B],
      'name': string [B]}`. The name is the path of the file; of a record, `FILE#NUMBER`.

    Raises:
      ValueError: an argument is out of its range.
      DatasetError: there are fewer images than parts.
    """
    index, count = part
    if dataset.num_examples < count:
        raise DatasetError(f'{dataset.path} holds {dataset.num_examples} images, too few for '
                           f'{count} workers; give one to each at least.')
    total = (dataset.num_examples * (index + 1) // count
             - dataset.num_examples * index // count)
    shuffle = {'seed': seed, 'reshuffle_each_iteration': True}
    if dataset.kind == 'folder':
        examples = tf.data.Dataset.from_tensor_slices(
            (_encoded(dataset.files[index::count]),
             np.asarray(dataset.labels[index::count], np.int64)))
        if training:
            examples = examples.shuffle(total, **shuffle)
        fetch = _fetch_file
    else:
        spans = _spans(dataset, index, count)
        files = tf.data.Dataset.from_tensor_slices((
            _encoded([file for file, _, _ in spans]),
            *np.asarray([span[1:] for span in spans], np.int64).T))
        if training:
            examples = files.shuffle(len(spans), **shuffle).interleave(
                _records, cycle_length=_OPEN_FILES)
            examples = examples.shuffle(min(shuffle_buffer, total), **shuffle)
        else:
            examples = files.flat_map(_records)
        fetch = _fetch_record
    if repeat:
        examples = examples.repeat()
    return _batched(examples, fetch, batch_size, image_size, training and distort, seed, strict,
                    bad, total, (dataset.num_classes, dataset.path), prepare)


def image_batches(
        files: Sequence[str],
        batch_size: int,
        *,
        image_size: int = 299,
        strict: bool = False,
        bad: list[str] | None = None,
        prepare: Prepare = preprocessing.for_evaluation) -> tf.data.Dataset:
    """Images of files in their order, without labels: `{'image': ..., 'name': ...}`; see `batches`.

    Args:
      files: from `image_files`.
    """
    examples = tf.data.Dataset.from_tensor_slices(
        (_encoded(files), np.zeros(len(files), np.int64)))
    batched = _batched(examples, _fetch_file, batch_size, image_size, False, None, strict, bad,
                       len(files), None, prepare)
    return batched.map(lambda batch: {key: batch[key] for key in ('image', 'name')})


def _encoded(files: Sequence[str]) -> np.ndarray:
    # As bytes: a file name need not be text.
    return np.asarray([os.fsencode(file) for file in files], object)


def _spans(dataset: Dataset, index: int, count: int) -> list[tuple[str, int, int]]:
    """One of `count` parts of TFRecords: files, each with its first record and how many.

    All parts have as many records, but for one; each but the first and last file of one is whole.
    """
    # Files whose classes are in order, if any are, go to all parts.
    order = [number for first in range(count) for number in range(first, len(dataset.files), count)]
    begin, end = (dataset.num_examples * each // count for each in (index, index + 1))
    spans, before = [], 0
    for number in order:
        holds = dataset.counts[number]
        first, last = max(begin - before, 0), min(end - before, holds)
        if first < last:
            spans.append((dataset.files[number], first, last - first))
        before += holds
    return spans


def _records(file: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """`count` (record, name) of a file from one on; empty ones for what cannot be read."""
    records = tf.data.TFRecordDataset(file).ignore_errors()
    lost = tf.data.Dataset.from_tensors(tf.constant(b'')).repeat()
    records = records.concatenate(lost).skip(first).take(count).enumerate(first)
    return records.map(lambda number, record: (
        record, tf.strings.join([file, '#', tf.strings.as_string(number)])))


def _fetch_file(file: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.io.read_file(file), label


def _fetch_record(record: tf.Tensor, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    parsed = tf.io.parse_single_example(record, {
        'image/encoded': tf.io.FixedLenFeature([], tf.string),
        'image/class/label': tf.io.FixedLenFeature([], tf.int64)})
    return parsed['image/encoded'], parsed['image/class/label']


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Encoded bytes to `[height, width, 3]` uint8: JPEG, PNG, BMP, a GIF's first frame.

    Also WebP, where this TensorFlow reads it. Grey becomes RGB, transparency is dropped, and an
    orientation in EXIF is left as it is stored.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


def _batched(examples: tf.data.Dataset, fetch: Callable, batch_size: int, image_size: int,
             distort: bool, seed: int | None, strict: bool, bad: list[str] | None,
             total: int, classes: tuple[int, str] | None, prepare: Prepare) -> tf.data.Dataset:
    for what, value in (('batch_size', batch_size), ('image_size', image_size)):
        if value < 1:
            raise ValueError(f'{what} must be at least 1, but is {value}.')

    @_no_autograph
    def ready(number, first, second, seeds):
        encoded, label = fetch(first, second)
        image = decode(encoded)
        if distort:
            image = preprocessing.for_training(image, image_size, seeds)
        else:
            image = prepare(image, image_size)
        return number, image, label

    @_no_autograph
    def none(_):
        return (tf.zeros([0], tf.int64), tf.zeros([0, image_size, image_size, 3]),
                tf.zeros([0], tf.int64))

    @_no_autograph
    def attempt(example, seeds):
        """A group without those that fail: try and except, as a graph has them."""
        names = example[0] if fetch is _fetch_file else example[1]
        numbers = tf.range(tf.size(names, out_type=tf.int64), dtype=tf.int64)
        good = tf.data.Dataset.from_tensor_slices((numbers, *example, seeds)).map(ready)
        good = good.ignore_errors().batch(_GROUP)
        if_empty = tf.data.Dataset.from_tensors(0).map(none)
        kept, image, label = good.concatenate(if_empty).take(1).get_single_element()
        image.set_shape((None, image_size, image_size, 3))
        return {'image': image, 'label': label, 'name': tf.gather(names, kept)}, (names, kept)

    damaged = set()

    def report(names, kept, labels):
        """Says in Python what the graph has found; called where not all is well, and only there."""
        names = [os.fsdecode(name) for name in names]
        for number, label in zip(kept, labels):
            if classes is not None and not 0 <= label < classes[0]:
                count, path = classes
                raise DatasetError(
                    f'{names[number]} has the label {label}, but {path} has {count} classes, 0 to '
                    f'{count - 1}; correct the record, or {LABELS}.')
        for name in [name for number, name in enumerate(names) if number not in set(kept)]:
            if strict:
                raise DatasetError(f'{name} is no image that can be read, or is damaged; replace '
                                   'it, or let damaged images be left out.')
            if name not in damaged:
                damaged.add(name)
                if bad is not None:
                    bad.append(name)
                if len(damaged) == total:  # or repeating would look for a good one for ever
                    raise DatasetError(f'None of the {total} images can be read, {name} the last; '
                                       'give JPEG, PNG, GIF, BMP or WebP files.')
        return True

    @_no_autograph
    def reported(group, found):
        names, kept = found
        label = group['label']
        fine = tf.equal(tf.size(names), tf.size(kept))
        if classes is not None:
            fine &= tf.reduce_all((label >= 0) & (label < classes[0]))
        return tf.cond(fine, lambda: tf.constant(True), lambda: tf.ensure_shape(
            tf.numpy_function(report, [names, kept, label], tf.bool), []))

    seeds = tf.data.Dataset.random(seed).batch(2)
    batched = (tf.data.Dataset.zip((examples, seeds))
               .batch(_GROUP)
               .map(attempt, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
               .filter(reported)  # one after another, so that they are named in order
               .map(lambda group, found: group)
               .unbatch()
               .batch(batch_size)
               .prefetch(2))
    options = tf.data.Options()
    # One image a thread: more threads for one image only get in each other's way.
    options.threading.max_intra_op_parallelism = 1
    return batched.with_options(options)


@contextmanager
def reraise_dataset_errors() -> Iterator[None]:
    """Inside, an error that TensorFlow passes on from `batches` is raised as the DatasetError."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r'DatasetError: (.*?)(?:\n|$)', error.message)
        if not found:
            raise
        raise DatasetError(found[1]) from None


def as_numpy_batches(make: Callable[[], tf.data.Dataset]) -> Iterator[dict[str, np.ndarray]]:
    """Batches as arrays, read ahead while their user computes; in eager mode and out of it.

    Args:
      make: makes the batches, as in `lambda: batches(dataset, 32)`; called in a graph of its own.

    Raises:
      DatasetError: a label is out of range, or an image damaged where `strict` was asked for.
    """
    with tf.Graph().as_default() as graph:
        iterator = tf.data.make_initializable_iterator(make())
        following = iterator.get_next()
    with tf.Session(graph=graph) as session, reraise_dataset_errors():
        session.run(iterator.initializer)
        fetch = session.make_callable(following)
        while True:
            try:
                batch = fetch()
            except tf.errors.OutOfRangeError:
                return
            yield batch
