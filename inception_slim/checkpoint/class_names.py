"""Match the classes of a checkpoint with labels and datasets, with or without a background."""

from __future__ import annotations

from collections.abc import Sequence
import os

from inception_slim import data
from inception_slim.checkpoint.naming import CheckpointInfo
from inception_slim.data.labels import CLASSES_OF_2015
from inception_slim.errors import CheckpointError, DatasetError

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


def label_offset(info: CheckpointInfo, dataset: data.Dataset) -> tuple[int, str | None]:
    """Returns what to add to a label of the dataset to get the class, and a warning if not 0.

    Raises:
      DatasetError: the numbers of classes differ, and not by a background class.
    """
    in_checkpoint, in_dataset = info.num_classes, dataset.num_classes
    check_has_classifier(info)
    assert in_checkpoint is not None
    if in_checkpoint == in_dataset:
        return 0, None
    counts = f'The checkpoint has {in_checkpoint:,} classes and the dataset {in_dataset:,}'
    if in_checkpoint == in_dataset + 1 and info.has_background_class:
        return 1, f'{counts}: class 0 of the checkpoint is taken for the background class.'
    if in_checkpoint == in_dataset - 1 and _is_background(dataset.class_names[0]):
        return -1, (f'{counts}: label 0 of the dataset, {dataset.class_names[0]!r}, is not a class '
                    'of the checkpoint.')
    raise DatasetError(f'{dataset.path} has {in_dataset:,} classes, but {info.path} has '
                       f'{in_checkpoint:,}; evaluate a checkpoint on the classes that it was '
                       'trained with.')
