"""Images from TFRecords of TF-Slim's tools, or from plain folders, as batches for a network.

A damaged image does not end a run: each is decoded so that a failure gives a mark in place of an
image, and those so marked are named and left out.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import tensorflow.compat.v1 as tf

from inception_slim import preprocessing

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.png', '.gif', '.bmp', '.webp')
LABELS = 'labels.txt'
_SPLITS = ('train', 'training', 'validation', 'valid', 'val', 'test', 'eval')
# flowers_train_00000-of-00005.tfrecord, mnist_train.tfrecord, and ImageNet's train-00000-of-01024.
_RECORD_FILE = re.compile(
    r'(?:.+_)?(?P<split>[A-Za-z][^_]*?)'
    r'(?:[_-](?P<shard>\d+)-of-(?P<shards>\d+)(?:\.tfrecords?)?|\.tfrecords?)')
_as_written = tf.autograph.experimental.do_not_convert  # there is nothing in them to convert
_SHUFFLED = 4096  # records among which a record of a file is shuffled
_GROUP = 8  # images that are tried together, since each attempt costs as much as an image
_OPEN_FILES = 8  # files of records that are read in turns while shuffling


class DatasetError(ValueError):
    """The data cannot be used as asked; one sentence says why, and what to do."""


@dataclass(frozen=True)
class Dataset:
    """What a folder of data holds.

    Attributes:
      path: the folder.
      kind: 'tfrecord' or 'folder'.
      files: the TFRecord files, or the images, in order.
      class_names: the names of the classes; a label is an index into them.
      num_examples: how many images there are, good and bad.
      labels: of a folder, the label of each file.
      counts: of TFRecords, the number of records of each file.
    """

    path: str
    kind: str
    files: list[str]
    class_names: list[str]
    num_examples: int
    labels: list[int] = field(default_factory=list, repr=False)
    counts: list[int] = field(default_factory=list, repr=False)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


# Opening --------------------------------------------------------------------------------------

def open_dataset(path: str | os.PathLike, split: str | None = None) -> Dataset:
    """Finds the images, labels and class names in a folder.

    Args:
      path: a folder of TFRecords as TF-Slim's tools wrote them (`flowers_train_00000-of-00005
        .tfrecord` and so on, with `labels.txt`), or a folder with one sub-folder a class, whose
        names in sorted order are the classes.
      split: which part to take, such as 'train' or 'validation'; of class folders, the sub-folder
        that holds them. Needed where there is more than one.

    Raises:
      DatasetError: the folder is missing, empty, incomplete, or has no such split.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        what = 'is a file' if os.path.exists(path) else 'does not exist'
        raise DatasetError(f'{path} {what}; give a folder of TFRecords, or one with a sub-folder '
                           'for each class.')
    names = _names(path)
    records = {name: match for name in names if (match := _RECORD_FILE.fullmatch(name))
               and os.path.isfile(os.path.join(path, name))}
    if records:
        return _open_records(path, records, split)
    return _open_folders(path, names, split)


def _names(path: str) -> list[str]:
    """The visible names in a folder, sorted."""
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith('.'))
    except OSError as error:
        raise DatasetError(f'{path} cannot be read: {error.strerror}.') from None


def _open_records(path: str, records: dict[str, re.Match], split: str | None) -> Dataset:
    splits = sorted({match['split'] for match in records.values()})
    split = _chosen(path, splits, split)
    chosen = {name: match for name, match in records.items() if match['split'] == split}
    sharded = [match for match in chosen.values() if match['shards']]
    if sharded:
        total = int(sharded[0]['shards'])
        missing = set(range(total)) - {int(match['shard']) for match in sharded}
        if missing:
            raise DatasetError(f'{path} holds {len(sharded)} of the {total} files of {split!r}: '
                               f'number {min(missing)} is missing; put it beside the others.')
    labels = os.path.join(path, LABELS)
    if not os.path.isfile(labels):
        raise DatasetError(f'{labels} is missing; write the name of each class into it, in lines '
                           'like 0:daisy.')
    files = [os.path.join(path, name) for name in sorted(chosen)]
    counts = [_count_records(file) for file in files]
    if not sum(counts):
        raise DatasetError(f'The TFRecords of {split!r} in {path} hold no records; write them '
                           'again.')
    return Dataset(path, 'tfrecord', files, read_labels(labels), sum(counts), counts=counts)


def _chosen(path: str, splits: Sequence[str], split: str | None) -> str:
    known = ', '.join(splits)
    if split is None and len(splits) > 1:
        raise DatasetError(f'{path} holds the splits {known}; choose one of them.')
    if split is not None and split not in splits:
        raise DatasetError(f'{path} has no split {split!r}; it has {known}.')
    return split or splits[0]


def _count_records(file: str) -> int:
    """How many records a file holds, by hopping over them."""
    count, position = 0, 0
    try:
        size = os.path.getsize(file)
        with open(file, 'rb') as opened:
            while position < size:
                opened.seek(position)
                head = opened.read(12)  # the length, and its checksum
                position += 16 + struct.unpack('<Q', head[:8].ljust(8, b'\xff'))[0]
                count += 1
    except OSError as error:
        raise DatasetError(f'{file} cannot be read: {error.strerror}.') from None
    if position != size:
        raise DatasetError(f'{file} is no TFRecord file, or one cut short after '
                           f'{max(0, count - 1)} records; copy it again.')
    return count


def read_labels(file: str | os.PathLike) -> list[str]:
    """The names of classes: lines like `0:daisy`, or one name a line.

    Raises:
      DatasetError: the file cannot be read, is empty, or numbers a class twice or none.
    """
    try:
        with open(file, encoding='utf-8') as opened:
            lines = [line.strip() for line in opened]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not text'
        raise DatasetError(f'{file} cannot be read: {reason}.') from None
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DatasetError(f'{file} is empty; write the name of each class into it, in lines like '
                           '0:daisy.')
    numbered = [re.fullmatch(r'(\d+):(.*)', line) for line in lines if line]
    if not all(numbered):
        return lines
    names = {int(match[1]): match[2].strip() for match in numbered}
    if len(names) != len(numbered) or sorted(names) != list(range(len(names))):
        missing = min(set(range(len(numbered))) - set(names))
        raise DatasetError(f'{file} must number its {len(numbered)} classes from 0 on, each once, '
                           f'but has no class {missing}; correct it.')
    return [names[number] for number in range(len(names))]


def labels_beside(checkpoint: str, count: int) -> list[str] | None:
    """The names in the `labels.txt` beside a checkpoint, if they are as many as its classes."""
    file = os.path.join(os.path.dirname(checkpoint), LABELS)
    if not os.path.isfile(file):
        return None
    names = read_labels(file)
    return names if len(names) == count else None


def _open_folders(path: str, names: list[str], split: str | None) -> Dataset:
    folders = [name for name in names if os.path.isdir(os.path.join(path, name))]
    root = path
    if split is not None:
        if split not in folders:
            known = f'it has {", ".join(folders[:5])}' if folders else 'it has no sub-folders'
            raise DatasetError(f'{path} has no split {split!r}; {known}.')
        root = os.path.join(path, split)
        # The classes of all splits, so that a class without images in one keeps its number.
        siblings = {split, *(name for name in folders if name in _SPLITS)}
        folders = sorted({name for sibling in siblings
                          for name in _names(os.path.join(path, sibling))
                          if os.path.isdir(os.path.join(path, sibling, name))})
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = _images_in(os.path.join(root, folder))
        files += found
        labels += [label] * len(found)
    if not files:
        inner = [name for name in folders if os.path.isdir(os.path.join(root, name)) and any(
            os.path.isdir(os.path.join(root, name, each))
            for each in _names(os.path.join(root, name)))]
        if inner and split is None:
            raise DatasetError(f'{path} holds the splits {", ".join(inner)}; choose one of them.')
        raise DatasetError(f'{root} holds no data: neither TFRecords (such as '
                           'flowers_train_00000-of-00005.tfrecord) nor images in a sub-folder for '
                           'each class; give a folder that does.')
    return Dataset(path, 'folder', files, folders, len(files), labels=labels)


def _images_in(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in _names(folder)
            if name.lower().endswith(SUFFIXES)]


def image_files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """The image files that paths mean: files as they are, folders with all that is under them.

    Raises:
      DatasetError: a path does not exist, or a folder holds no image.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    files = []
    for path in map(os.fspath, paths):
        if not os.path.isdir(path):
            if not os.path.exists(path):
                raise DatasetError(f'{path} does not exist; give an image, or a folder of images.')
            files.append(path)
            continue
        found = []
        for folder, folders, _ in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith('.'))
            found += _images_in(folder)
        if not found:
            raise DatasetError(f'{path} holds no images; give a folder with files that end in '
                               f'{", ".join(SUFFIXES)}.')
        files += found
    if not files:
        raise DatasetError('No images were given; give an image, or a folder of images.')
    return files


# Batches --------------------------------------------------------------------------------------

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
        bad: list[str] | None = None) -> tf.data.Dataset:
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

    Returns:
      Batches `{'image': float32 [B, image_size, image_size, 3] in [-1, 1], 'label': int64 [B],
      'name': string [B]}`. The name is the path of the file; of a record, `FILE#NUMBER`.

    Raises:
      ValueError: an argument is out of its range.
    """
    shuffle = {'seed': seed, 'reshuffle_each_iteration': True}
    if dataset.kind == 'folder':
        examples = tf.data.Dataset.from_tensor_slices(
            (_encoded(dataset.files), np.asarray(dataset.labels, np.int64)))
        if training:
            examples = examples.shuffle(dataset.num_examples, **shuffle)
        fetch = _fetch_file
    else:
        files = tf.data.Dataset.from_tensor_slices(
            (_encoded(dataset.files), np.asarray(dataset.counts, np.int64)))
        if training:
            examples = files.shuffle(len(dataset.files), **shuffle).interleave(
                _records, cycle_length=_OPEN_FILES)
            examples = examples.shuffle(min(_SHUFFLED, dataset.num_examples), **shuffle)
        else:
            examples = files.flat_map(_records)
        fetch = _fetch_record
    if repeat:
        examples = examples.repeat()
    return _batched(examples, fetch, batch_size, image_size, training and distort, seed, strict,
                    bad, dataset.num_examples, (dataset.num_classes, dataset.path))


def image_batches(
        files: Sequence[str],
        batch_size: int,
        *,
        image_size: int = 299,
        strict: bool = False,
        bad: list[str] | None = None) -> tf.data.Dataset:
    """Images of files in their order, without labels: `{'image': ..., 'name': ...}`; see `batches`.

    Args:
      files: from `image_files`.
    """
    examples = tf.data.Dataset.from_tensor_slices(
        (_encoded(files), np.zeros(len(files), np.int64)))
    batched = _batched(examples, _fetch_file, batch_size, image_size, False, None, strict, bad,
                       len(files), None)
    return batched.map(lambda batch: {key: batch[key] for key in ('image', 'name')})


def _encoded(files: Sequence[str]) -> np.ndarray:
    # As bytes: a file name need not be text.
    return np.asarray([os.fsencode(file) for file in files], object)


def _records(file: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """As many (record, name) as a file was found to hold; empty ones for what cannot be read."""
    records = tf.data.TFRecordDataset(file).ignore_errors()
    lost = tf.data.Dataset.from_tensors(tf.constant(b'')).repeat()
    records = records.concatenate(lost).take(count).enumerate()
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
             total: int, classes: tuple[int, str] | None) -> tf.data.Dataset:
    for what, value in (('batch_size', batch_size), ('image_size', image_size)):
        if value < 1:
            raise ValueError(f'{what} must be at least 1, but is {value}.')

    @_as_written
    def ready(number, first, second, seeds):
        encoded, label = fetch(first, second)
        image = decode(encoded)
        if distort:
            image = preprocessing.for_training(image, image_size, seeds)
        else:
            image = preprocessing.for_evaluation(image, image_size)
        return number, image, label

    @_as_written
    def none(_):
        return (tf.zeros([0], tf.int64), tf.zeros([0, image_size, image_size, 3]),
                tf.zeros([0], tf.int64))

    @_as_written
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

    @_as_written
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
def errors_named() -> Iterator[None]:
    """Inside, an error that TensorFlow passes on from `batches` is raised as the DatasetError."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r'DatasetError: (.*?)(?:\n|$)', error.message)
        if not found:
            raise
        raise DatasetError(found[1]) from None


def arrays(make: Callable[[], tf.data.Dataset]) -> Iterator[dict[str, np.ndarray]]:
    """Batches as arrays, read ahead while their user computes; in eager mode and out of it.

    Args:
      make: makes the batches, as in `lambda: batches(dataset, 32)`; called in a graph of its own.

    Raises:
      DatasetError: a label is out of range, or an image damaged where `strict` was asked for.
    """
    with tf.Graph().as_default() as graph:
        iterator = tf.data.make_initializable_iterator(make())
        following = iterator.get_next()
    with tf.Session(graph=graph) as session, errors_named():
        session.run(iterator.initializer)
        fetch = session.make_callable(following)
        while True:
            try:
                batch = fetch()
            except tf.errors.OutOfRangeError:
                return
            yield batch


# Writing --------------------------------------------------------------------------------------

def write_tfrecords(
        folder: str | os.PathLike,
        name: str,
        split: str,
        examples: Iterable[tuple[bytes, int]],
        class_names: Sequence[str],
        *,
        num_shards: int = 1) -> list[str]:
    """Writes images as TF-Slim's tools did; returns the files.

    Args:
      folder: where to; made if it is not there.
      name: of the dataset, as in `NAME_SPLIT_00000-of-00005.tfrecord`.
      split: such as 'train' or 'validation'.
      examples: the bytes of an encoded image, and its label.
      class_names: for `labels.txt`.
      num_shards: how many files.
    """
    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, f'{name}_{split}_{shard:05d}-of-{num_shards:05d}.tfrecord')
             for shard in range(num_shards)]
    writers = [tf.io.TFRecordWriter(file) for file in files]
    for number, (encoded, label) in enumerate(examples):
        values = {
            'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
            'image/format': tf.train.Feature(bytes_list=tf.train.BytesList(
                value=[_format(encoded)])),
            'image/class/label': tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
        example = tf.train.Example(features=tf.train.Features(feature=values))
        writers[number % num_shards].write(example.SerializeToString())
    for writer in writers:
        writer.close()
    with open(os.path.join(folder, LABELS), 'w', encoding='utf-8') as file:
        file.writelines(f'{number}:{each}\n' for number, each in enumerate(class_names))
    return files


def _format(encoded: bytes) -> bytes:
    for start, found in ((b'\xff\xd8', b'jpg'), (b'\x89PNG', b'png'), (b'GIF', b'gif'),
                         (b'BM', b'bmp'), (b'RIFF', b'webp')):
        if encoded.startswith(start):
            return found
    return b'raw'
