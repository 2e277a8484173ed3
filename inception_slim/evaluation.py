"""What a checkpoint says of images: classes, features, and how often it is right."""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from inception_slim import checkpoint as checkpoints
from inception_slim import data, inference
from inception_slim.data import DatasetError
from inception_slim.nets import factory

BACKGROUND = 'background'
_CALIBRATION = 100  # images by which the ranges of int8 are found
_Images = str | os.PathLike | Iterable[str | os.PathLike]


@dataclass(frozen=True)
class Answer:
    """What the network says of one image.

    Attributes:
      name: the file.
      classes: the most likely classes, the likeliest first.
      labels: their names.
      probabilities: theirs, in [0, 1].
    """

    name: str
    classes: list[int]
    labels: list[str]
    probabilities: list[float]


@dataclass(frozen=True)
class Classification:
    """The answers of `classify`, in the order of the files.

    Attributes:
      answers: one for each good image.
      bad: the images that could not be read.
      note: what was made of a background class; None if there was nothing to say.
    """

    answers: list[Answer]
    bad: list[str]
    note: str | None


@dataclass(frozen=True)
class Features:
    """What `features` wrote.

    Attributes:
      path: the .npy file, `[N, 2048]` float32 at full width.
      list_path: the text file beside it: the image of each row, one a line.
      shape: of the array.
      bad: the images that could not be read.
    """

    path: str
    list_path: str
    shape: tuple[int, int]
    bad: list[str]


@dataclass(frozen=True)
class Evaluation:
    """How often a checkpoint is right about a dataset.

    Attributes:
      class_names: the names of the classes, by the label of the dataset.
      num_examples: images that were judged.
      top_1: the share of them whose likeliest class is theirs.
      top_5: the share whose class is among the five likeliest; slim's Recall_5.
      confusion: `[classes, answers]` int64: images by their label and by what was answered. Where
        the checkpoint has a background class and the dataset none, that is one more column, the
        last.
      bad: the images that could not be read.
      note: what was made of a background class; None if there was nothing to say.
      images_per_second: from the first image to the last.
    """

    class_names: list[str]
    num_examples: int
    top_1: float
    top_5: float
    confusion: np.ndarray
    bad: list[str]
    note: str | None
    images_per_second: float

    @property
    def answer_names(self) -> list[str]:
        """The names of the columns of `confusion`."""
        return self.class_names + [BACKGROUND] * (
            self.confusion.shape[1] - self.confusion.shape[0])

    @property
    def per_class(self) -> list[dict]:
        """The accuracy of each class: label, name, images, correct, accuracy (None without any)."""
        rows = []
        for label, (name, row) in enumerate(zip(self.class_names, self.confusion.tolist())):
            images, correct = sum(row), row[label]
            rows.append({'label': label, 'name': name, 'images': images, 'correct': correct,
                         'accuracy': correct / images if images else None})
        return rows


# The three calls ------------------------------------------------------------------------------

def classify(
        checkpoint: str | os.PathLike,
        images: _Images,
        *,
        labels: str | os.PathLike | Sequence[str] | None = None,
        top: int = 5,
        precision: str = 'float32',
        batch_size: int = 32,
        strict: bool = False,
        use_ema: bool = False,
        checkpoint_scope: str | None = None) -> Classification:
    """Names what is in images.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      images: files, and folders with images anywhere under them.
      labels: the names of the classes, or a file of them: lines like `0:daisy`, or one name a
        line. One more or one less than the checkpoint has are taken to differ by a background
        class at 0. Without them, the names are those of a `labels.txt` beside the checkpoint,
        where `training.train` writes it, or numbers where there is none of as many classes.
      top: how many classes to name of each image; at least 1.
      precision, use_ema, checkpoint_scope: see `inference.load`; int8 is calibrated on a hundred
        of the images.
      batch_size: images in one run.
      strict: stop at a damaged image instead of leaving it out.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, or the labels do not fit the checkpoint.
      ValueError: an argument is out of its range.
    """
    if top < 1:
        raise ValueError(f'top must be at least 1, but is {top}.')
    files = data.image_files(images)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=checkpoint_scope)
    names, note = _names_of_classes(info, labels)
    answers, bad = [], []
    with _loaded(info, checkpoint, files, precision, use_ema, checkpoint_scope) as predictor:
        for batch in _progress(_of_files(info, files, batch_size, strict, bad), len(files), bad):
            probabilities = predictor.predictions(batch['image'])
            best = np.argsort(-probabilities, axis=1, kind='stable')[:, :top]
            for name, classes, row in zip(batch['name'], best.tolist(), probabilities):
                answers.append(Answer(os.fsdecode(name), classes, [names[each] for each in classes],
                                      row[classes].tolist()))
    return Classification(answers, bad, note)


def features(
        checkpoint: str | os.PathLike,
        images: _Images,
        destination: str | os.PathLike,
        *,
        precision: str = 'float32',
        batch_size: int = 32,
        strict: bool = False,
        use_ema: bool = False,
        checkpoint_scope: str | None = None) -> Features:
    """Writes what the classifier sees of images: vectors as .npy, and beside them their files.

    Args:
      destination: the .npy file to write; the list of the images gets its name with .txt.
      checkpoint, images, precision, batch_size, strict, use_ema, checkpoint_scope: see `classify`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, or the destination cannot be written.
    """
    destination = os.fspath(destination)
    if not destination.endswith('.npy'):
        raise DatasetError(f'{destination} must end in .npy, the format that is written.')
    _check_folder(destination)
    list_path = destination[:-len('.npy')] + '.txt'
    files = data.image_files(images)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=checkpoint_scope)
    vectors, names, bad = [], [], []
    with _loaded(info, checkpoint, files, precision, use_ema, checkpoint_scope) as predictor:
        for batch in _progress(_of_files(info, files, batch_size, strict, bad), len(files), bad):
            vectors.append(predictor.features(batch['image']))
            names += batch['name'].tolist()
    vectors = np.concatenate(vectors)
    with _written(destination) as file:
        np.save(file, vectors)
    with _written(list_path) as file:
        file.writelines(name + b'\n' for name in names)
    return Features(destination, list_path, vectors.shape, bad)


def evaluate(
        checkpoint: str | os.PathLike,
        dataset: str | os.PathLike | data.Dataset,
        *,
        split: str | None = None,
        precision: str = 'float32',
        batch_size: int = 32,
        strict: bool = False,
        confusion: str | os.PathLike | None = None,
        use_ema: bool = False,
        checkpoint_scope: str | None = None) -> Evaluation:
    """Compares a checkpoint's answers with the labels of a dataset.

    Args:
      dataset: a folder, see `data.open_dataset`, or what that returned. One class more or less
        than the checkpoint has is taken for a background class at 0.
      split: which part of the folder, such as 'validation'.
      confusion: where to write the confusion matrix: a .csv file, or a .png picture, which needs
        matplotlib (`pip install "inception_slim[plot]"`).
      checkpoint, precision, batch_size, strict, use_ema, checkpoint_scope: see `classify`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the dataset cannot be read, does not fit the checkpoint, or has no good image;
        or the confusion matrix cannot be written.
    """
    if confusion is not None:
        _check_confusion(os.fspath(confusion))
    if not isinstance(dataset, data.Dataset):
        dataset = data.open_dataset(dataset, split)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=checkpoint_scope)
    offset, note = _offset(info, dataset)
    classes = dataset.num_classes
    # Whatever is answered and is no class of the dataset goes into the column after the last.
    counts = np.zeros((classes, classes + 1), np.int64)
    right, bad, size = 0, [], factory.NETWORKS[info.network].image_size

    def batches(size_of_batch, bad):
        return data.arrays(lambda: data.batches(dataset, size_of_batch, image_size=size,
                                                strict=strict, bad=bad))

    def calibration():
        if dataset.kind == 'folder':  # whose first images are all of one class
            return _some(info, dataset.files)
        return next(batches(_CALIBRATION, None))['image']

    with inference.load(checkpoint, precision=precision, use_ema=use_ema,
                        checkpoint_scope=checkpoint_scope,
                        **_calibrated(precision, calibration)) as predictor:
        start = time.perf_counter()
        for batch in _progress(batches(batch_size, bad), dataset.num_examples, bad):
            logits = predictor.logits(batch['image'])
            answers = logits.argmax(axis=1) - offset
            answers[(answers < 0) | (answers >= classes)] = classes
            np.add.at(counts, (batch['label'], answers), 1)
            right += int(_in_top(logits, batch['label'] + offset, 5).sum())
        seconds = time.perf_counter() - start
    total = int(counts.sum())
    if offset <= 0:
        counts = counts[:, :classes]
    result = Evaluation(dataset.class_names, total, int(np.trace(counts)) / total, right / total,
                        counts, bad, note, total / seconds)
    if confusion is not None:
        write_confusion(result, confusion)
    return result


def _in_top(logits: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Whether fewer than `count` classes are likelier; a class that the network lacks never is."""
    known = (classes >= 0) & (classes < logits.shape[1])
    own = np.take_along_axis(logits, np.where(known, classes, 0)[:, np.newaxis], axis=1)
    return known & ((logits > own).sum(axis=1) < count)


# Classes and their names ----------------------------------------------------------------------

def _names_of_classes(info: checkpoints.CheckpointInfo,
                      labels: str | os.PathLike | Sequence[str] | None
                      ) -> tuple[list[str], str | None]:
    """The name of each class of a checkpoint, and what was made of a background class."""
    count = info.num_classes or 0
    if labels is None:
        labels = data.labels_beside(info.path, count)
    if labels is None:
        names = [f'class {number}' for number in range(count)]
        if not info.has_background_class:
            return names, None
        names[0] = BACKGROUND
        return names, (f'The checkpoint has {count:,} classes: class 0 is taken for the background '
                       'class, and class n for the n-th of ImageNet.')
    if isinstance(labels, (str, os.PathLike)):
        source, names = os.fspath(labels), data.read_labels(labels)
    else:
        source, names = 'labels', list(labels)
    if len(names) == count:
        return names, None
    if len(names) == count - 1 and info.has_background_class:
        return [BACKGROUND, *names], (
            f'The checkpoint has {count:,} classes and {source} {len(names):,} names: class 0 is '
            'taken for the background class.')
    if len(names) == count + 1 and _is_background(names[0]):
        return names[1:], (f'{source} has {len(names):,} names and the checkpoint {count:,} '
                           f'classes: {names[0]!r}, the first name, is left out.')
    raise DatasetError(f'{source} has {len(names):,} names, but the checkpoint has {count:,} '
                       'classes; give the labels that it was trained with.')


def _is_background(name: str) -> bool:
    return name.strip().lower() in (BACKGROUND, 'dummy')


def _offset(info: checkpoints.CheckpointInfo, dataset: data.Dataset) -> tuple[int, str | None]:
    """What to add to a label of the dataset to get the checkpoint's class, and why."""
    theirs, ours = info.num_classes, dataset.num_classes
    if theirs is None or theirs == ours:
        return 0, None
    if theirs == ours + 1 and info.has_background_class:
        return 1, (f'The checkpoint has {theirs:,} classes and the dataset {ours:,}: class 0 of '
                   'the checkpoint is taken for the background class.')
    if theirs == ours - 1 and _is_background(dataset.class_names[0]):
        return -1, (f'The checkpoint has {theirs:,} classes and the dataset {ours:,}: label 0 of '
                    f'the dataset, {dataset.class_names[0]!r}, is one that it cannot answer.')
    raise DatasetError(f'{dataset.path} has {ours:,} classes, but {info.path} has {theirs:,}; '
                       'evaluate a checkpoint on the classes that it was trained with.')


# Images ---------------------------------------------------------------------------------------

def _of_files(info: checkpoints.CheckpointInfo, files: list[str], batch_size: int, strict: bool,
              bad: list[str] | None) -> Iterator[dict[str, np.ndarray]]:
    size = factory.NETWORKS[info.network].image_size
    return data.arrays(lambda: data.image_batches(files, batch_size, image_size=size,
                                                  strict=strict, bad=bad))


def _loaded(info: checkpoints.CheckpointInfo, checkpoint: str | os.PathLike, files: list[str],
            precision: str, use_ema: bool, checkpoint_scope: str | None) -> inference.Predictor:
    return inference.load(checkpoint, precision=precision, use_ema=use_ema,
                          checkpoint_scope=checkpoint_scope,
                          **_calibrated(precision, lambda: _some(info, files)))


def _some(info: checkpoints.CheckpointInfo, files: list[str]) -> np.ndarray:
    """Images from all over the files, to calibrate on."""
    some = files[::max(1, len(files) // _CALIBRATION)][:_CALIBRATION]
    return next(_of_files(info, some, len(some), False, None))['image']


def _calibrated(precision: str, images: Callable[[], np.ndarray]) -> dict[str, np.ndarray]:
    return {'calibration_images': images()} if precision == 'int8' else {}


def _progress(batches: Iterator[dict[str, np.ndarray]], total: int,
              bad: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The batches, with a bar on standard error where that is a terminal."""
    with tqdm(total=total, unit='image', disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch['name']))
            if bad:
                bar.set_postfix(bad=len(bad), refresh=False)


# Files ----------------------------------------------------------------------------------------

def _check_folder(path: str) -> None:
    """Before hours of work, not after them."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise DatasetError(f'There is no folder {folder} to write to; make it first.')
    if os.path.isdir(path):
        raise DatasetError(f'{path} is a folder; give the name of a file to write.')


@contextmanager
def _written(path: str):
    """A binary file that takes its place, whole, when all has been written."""
    folder, name = os.path.split(os.path.abspath(path))
    scratch = None
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=f'.{name}.', dir=folder)
        with os.fdopen(descriptor, 'wb') as file:
            yield file
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except OSError as error:
        raise DatasetError(f'{path} cannot be written: {error.strerror or error}.') from None
    finally:
        if scratch and os.path.exists(scratch):
            os.remove(scratch)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_confusion(path: str) -> None:
    if not path.endswith(('.csv', '.png')):
        raise DatasetError(f'{path} must end in .csv, or in .png for a picture.')
    _check_folder(path)
    if path.endswith('.png'):
        _matplotlib()


def _matplotlib():
    try:
        from matplotlib import figure
    except ImportError:
        raise DatasetError('A picture needs matplotlib; pip install "inception_slim[plot]", or '
                           'write a .csv file.') from None
    return figure


def write_confusion(result: Evaluation, path: str | os.PathLike) -> None:
    """Writes a confusion matrix: a row for each class, a column for each answer.

    Args:
      result: from `evaluate`.
      path: a .csv file with the names of the classes, or a .png picture, which needs matplotlib.

    Raises:
      DatasetError: the file cannot be written.
    """
    path = os.fspath(path)
    _check_confusion(path)
    with _written(path) as file:
        if path.endswith('.csv'):
            lines = [['class', *result.answer_names],
                     *([name, *row] for name, row in zip(result.class_names,
                                                         result.confusion.tolist()))]
            text = _Lines()
            csv.writer(text, lineterminator='\n').writerows(lines)
            file.write(''.join(text).encode(errors='surrogateescape'))
        else:
            _draw(result, file)


class _Lines(list):
    """What csv can write to."""

    write = list.append


def _draw(result: Evaluation, file) -> None:
    rows, columns = result.confusion.shape
    figure = _matplotlib().Figure(figsize=(max(4, min(20, 0.4 * columns + 2)),
                                           max(3, min(20, 0.4 * rows + 1.5))),
                                  layout='constrained')
    axes = figure.subplots()
    shares = result.confusion / np.maximum(1, result.confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    figure.colorbar(image, label='share of the class')
    axes.set_xlabel('answer')
    axes.set_ylabel('class')
    if columns <= 50:
        axes.set_xticks(range(columns), result.answer_names, rotation=90)
        axes.set_yticks(range(rows), result.class_names)
    if columns <= 20:
        for row, counts in enumerate(result.confusion):
            for column, count in enumerate(counts):
                axes.text(column, row, str(count), ha='center', va='center', fontsize=8,
                          color='white' if shares[row, column] > 0.5 else 'black')
    figure.savefig(file, format='png', dpi=120)
