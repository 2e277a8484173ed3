"""Match the classes of a checkpoint with labels and datasets, with or without a background."""

from __future__ import annotations

from collections.abc import Sequence
import os

from inception_slim import data
from inception_slim.checkpoint.naming import CheckpointInfo
from inception_slim.data.labels import CLASSES_OF_2015
from inception_slim.errors import CheckpointError, DatasetError
import numpy as np

BACKGROUND = 'background'


def check_has_classifier(info: CheckpointInfo) -> None:
    """Raises CheckpointError if a checkpoint has no classifier."""
    if info.num_classes is None:
        raise CheckpointError(' '.join([f'{info.path} has no classifier, so it cannot predict '
                                        'classes.', *info.notes]))


def resolve_class_names(info: CheckpointInfo,
                        labels: str | os.PathLike | Sequence[str] | None
                        ) -> tuple[list[str], str | None]:
    """Returns the name of each class of a checkpoint, and a warning about an assumption.

    Args:
      info: the checkpoint.
      labels: the names, or a label file; 'imagenet' for ImageNet's names; None for `labels.txt` in
        the folder of the checkpoint, else ImageNet's names if the number of classes fits.

    Raises:
      CheckpointError: the checkpoint has no classifier.
      DatasetError: the labels cannot be read, or do not fit the number of classes.
    """
    check_has_classifier(info)
    count = info.num_classes or 0
    if labels is None:
        labels = data.find_labels_file(info.path, count)
    imagenet = labels == data.IMAGENET and not os.path.exists(data.IMAGENET)
    if count == CLASSES_OF_2015 and (labels is None or imagenet):
        return data.inception_2015_labels(), None if imagenet else (
            'The checkpoint has 1,008 classes and no labels.txt: they are taken for those of the '
            "network of December 2015, ImageNet's in its own order.")
    if labels is None and count not in (1000, 1001):
        return [f'class {number}' for number in range(count)], None
    if labels is None:
        names = data.read_labels(data.IMAGENET)
        if count == 1000:
            return names, ('The checkpoint has 1,000 classes and no labels.txt: they are taken for '
                           "ImageNet's.")
        return [BACKGROUND, *names], (
            'The checkpoint has 1,001 classes and no labels.txt: class 0 is taken for the '
            "background class, and the others for ImageNet's.")
    if isinstance(labels, (str, bytes, os.PathLike)):
        source, names = os.fsdecode(labels), data.read_labels(labels)
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


def match_classes(info: CheckpointInfo, dataset: data.Dataset,
                  labels: str | os.PathLike | Sequence[str] | None = None
                  ) -> tuple[np.ndarray, str | None]:
    """Finds the class of the checkpoint for each label of a dataset.

    The classes of image folders and tables may be some of the checkpoint's, in any order: by their
    names, by WordNet ids of ImageNet, or by numbers. If they are as many as the checkpoint's and
    have other names, they are in its order, as TFRecords always are; either may have a background
    class.

    Args:
      info: the checkpoint.
      dataset: the dataset.
      labels: the names of the checkpoint's classes; see `resolve_class_names`.

    Returns:
      `[classes of the dataset]` integers, -1 for none; and a warning about an assumption.

    Raises:
      DatasetError: classes of the dataset are none of the checkpoint's.
    """
    in_checkpoint, in_dataset = info.num_classes, dataset.num_classes
    check_has_classifier(info)
    assert in_checkpoint is not None
    counts = f'The checkpoint has {in_checkpoint:,} classes and the dataset {in_dataset:,}'
    in_order: tuple[np.ndarray, str | None] | None = None
    if in_checkpoint == in_dataset:
        in_order = np.arange(in_dataset), None
    elif in_checkpoint == in_dataset + 1 and info.has_background_class:
        in_order = np.arange(in_dataset) + 1, (
            f'{counts}: class 0 of the checkpoint is taken for the background class.')
    elif in_checkpoint == in_dataset - 1 and _is_background(dataset.class_names[0]):
        in_order = np.arange(in_dataset) - 1, (
            f'{counts}: label 0 of the dataset, {dataset.class_names[0]!r}, is not a class of the '
            'checkpoint.')
    if in_order is not None and dataset.kind == 'tfrecord':
        return in_order
    names, _ = resolve_class_names(info, labels)
    keys = _class_keys(names)
    if in_order is None:  # else the checkpoint has the order of the folders, by name
        keys = {**{str(number): {number} for number in range(in_checkpoint)}, **keys}
    matches = [keys.get(_normalize(name), set()) for name in dataset.class_names]
    unknown = [name for name, classes in zip(dataset.class_names, matches) if len(classes) != 1]
    if unknown and in_order is not None:
        return in_order
    if unknown:
        raise DatasetError(
            f'{dataset.path} has {in_dataset:,} classes and {info.path} {in_checkpoint:,}, and '
            f'{unknown[0]!r} is not the name, WordNet id or number of one of these; evaluate a '
            'checkpoint on the classes that it was trained with, and give their names as labels.')
    classes = np.array([next(iter(numbers)) for numbers in matches])
    if len(set(classes.tolist())) < in_dataset:
        twice = names[np.bincount(classes).argmax()]
        raise DatasetError(f'{dataset.path} has the class {twice!r} twice, by different names; '
                           'put its images in one folder.')
    if in_order is not None and np.array_equal(classes, in_order[0]):
        return in_order
    if in_dataset == in_checkpoint:
        return classes, None
    return classes, f'{counts}, which are found by their names, WordNet ids or numbers.'


def _normalize(name: str) -> str:
    return name.replace('_', ' ').strip().casefold()


def _is_imagenet(names: Sequence[str]) -> bool:
    return {name for _, name in data.imagenet_classes()} <= set(names)


def _class_keys(names: Sequence[str]) -> dict[str, set[int]]:
    """The classes by their normalized names and, of one name, each of its synonyms.

    ImageNet's also by WordNet ids, and by numbers in the order of these.
    """
    keys: dict[str, set[int]] = {}
    synonyms: dict[str, set[int]] = {}
    for number, name in enumerate(names):
        keys.setdefault(_normalize(name), set()).add(number)
        for synonym in name.split(','):
            synonyms.setdefault(_normalize(synonym), set()).add(number)
    if _is_imagenet(names):
        # Both cranes have one name, and the order of their ids.
        classes = {name: sorted(keys[_normalize(name)]) for _, name in data.imagenet_classes()}
        for number, (synset, name) in enumerate(data.imagenet_classes()):
            keys[synset] = keys[str(number)] = {classes[name].pop(0)}
    return {**synonyms, **keys}
