"""Datasets: a folder of TFRecords, or a folder with a sub-folder of images for each class."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass, field
import hashlib
import os
import re
from typing import Any

from inception_slim.data import filesystem
from inception_slim.data.filesystem import list_visible
from inception_slim.data.image_archive import (
    ARCHIVE_SUFFIXES,
    is_archive,
    list_members,
    read_labels_of,
)
from inception_slim.data.image_folder import SUFFIXES, list_images
from inception_slim.data.image_list import LabelSet, folder_of, is_table, read_image_list
from inception_slim.data.labels import LABELS, read_labels
from inception_slim.data.tfrecord import RECORD_FILE, count_labels_of_record, count_records
from inception_slim.errors import DatasetError
import numpy as np

_MAX_CLASSES = 100_000  # of numbers in a table
_SPLITS = ('train', 'training', 'validation', 'valid', 'val', 'test', 'eval')


@dataclass(frozen=True)
class Dataset:
    """The files, labels and class names of a dataset.

    Attributes:
      path: the folder.
      kind: 'tfrecord' or 'folder'.
      files: the TFRecord files, or the images, in order.
      class_names: the class names; a label is an index into them.
      num_examples: the number of images, including unreadable ones.
      labels: the label of each file, or the tuple of its labels if `multi_label`; only of kind
        'folder'.
      counts: the number of records in each file; only of kind 'tfrecord'.
      multi_label: whether an image may have several labels, or none.
    """

    path: str
    kind: str
    files: list[str]
    class_names: list[str]
    num_examples: int
    labels: list[Any] = field(default_factory=list, repr=False)
    counts: list[int] = field(default_factory=list, repr=False)
    multi_label: bool = False

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def hold_out(self, fraction: float) -> tuple[Dataset, Dataset]:
        """Divides the images by the hash of their paths; see `hash_position`.

        Args:
          fraction: of the images to hold out, in (0, 1).

        Returns:
          The other images, and those that are held out.

        Raises:
          DatasetError: the dataset is of TFRecords, or one of the two has no images.
        """
        if self.kind != 'folder':
            raise DatasetError(f'{self.path} holds TFRecords, of which no part can be held out; '
                               'give a split.')
        held_out = [hash_position(os.path.relpath(file, self.path)) < fraction
                    for file in self.files]
        parts = []
        for choice in (False, True):
            indices = [index for index, value in enumerate(held_out) if value is choice]
            if not indices:
                raise DatasetError(f'A fraction of {fraction:g} of the {len(self.files):,} images '
                                   f'of {self.path} leaves a part without images; give another '
                                   'fraction, or a split.')
            parts.append(dataclasses.replace(
                self, files=[self.files[index] for index in indices],
                labels=[self.labels[index] for index in indices], num_examples=len(indices)))
        return parts[0], parts[1]

    def check_single_label(self, purpose: str) -> None:
        """Raises a DatasetError that names the purpose if the dataset is multi-label."""
        if self.multi_label:
            raise DatasetError(f'The images of {self.path} have several labels each; {purpose} '
                               'needs one label per image.')

    def label_array(self, part: tuple[int, int] = (0, 1)) -> np.ndarray:
        """The labels, `[N]` int64; of a multi-label dataset, `[N, classes]` uint8, each 0 or 1.

        Args:
          part: `(index, count)`, every `count`th label from `index` on.
        """
        labels = self.labels[part[0]::part[1]]
        if not self.multi_label:
            return np.asarray(labels, np.int64)
        result = np.zeros((len(labels), self.num_classes), np.uint8)  # small, as part of the graph
        for row, numbers in zip(result, labels):
            row[list(numbers)] = 1
        return result

    def with_counts(self, counts: list[int]) -> Dataset:
        """Returns a copy with these numbers of records."""
        return dataclasses.replace(self, counts=counts, num_examples=sum(counts))


def hash_position(path: str) -> float:
    """A number in [0, 1) from the hash of an image's path in its dataset.

    By it, an image stays in its part when others are added. Files that differ only after `_nohash_`
    have the same number, as in TensorFlow's `retrain.py`: for example crops of one photograph.
    """
    group = path.replace(os.sep, '/').split('_nohash_')[0]
    return int(hashlib.sha1(os.fsencode(group)).hexdigest(), 16) / 2**160


def open_dataset(path: str | os.PathLike, split: str | None = None, *,
                 part: tuple[int, int] = (0, 1)) -> Dataset:
    """Finds the images, labels and class names in a folder.

    Args:
      path: a folder of TFRecords in the format of TF-Slim's tools
        (`flowers_train_00000-of-00005.tfrecord` and so on, with `labels.txt`), or a folder with a
        sub-folder for each class, whose sorted names are the classes. Local, or a URL such as
        `gs://bucket/folder`: TensorFlow reads TFRecords, and fsspec images. Or a .zip or .tar file
        with a folder for each class or WebDataset's .cls files, or a folder of such files; or a
        .csv or .parquet file of paths and labels, see `read_image_list`. A label in a table or a
        .cls file is a class in the `labels.txt` beside it, by name or number; without one, numbers
        are the classes from 0 on, and of names, the sorted ones are.
        The dataset is multi-label if a table has several labels per image, or if the feature
        `image/class/label` of the TFRecords is a 0 or 1 for each class.
      split: the split, such as 'train' or 'validation': part of the TFRecords' names, or a
        sub-folder with class folders. Required if there are several.
      part: `(index, count)` counts only the records of this part of the files; the counts of the
        other files are 0.

    Raises:
      DatasetError: the folder is missing, empty or incomplete, or has no such split.

    Example:
      >>> from inception_slim import data
      >>> dataset = data.open_dataset('tests/golden/legacy_scripts', split='validation')
      >>> dataset.kind, dataset.num_classes, dataset.num_examples
      ('tfrecord', 5, 25)
    """
    path = os.fsdecode(path)
    if not filesystem.is_dir(path):
        is_file = filesystem.exists(path)
        if is_file and is_table(path):
            return _open_table(path, split)
        if is_file and is_archive(path):
            return _open_archives(path, [path], split)
        raise DatasetError(f'{path} {"is a file" if is_file else "does not exist"}; give a folder '
                           'of TFRecords, a folder or an archive with a sub-folder for each class, '
                           'or a .csv file of paths and labels.')
    records = _record_files(path)
    if records:
        filesystem.check_tensorflow_reads(path)
        return _open_tfrecords(path, records, split, part)
    archives = [os.path.join(path, name) for name in list_visible(path)
                if name.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives and not _subfolders(path):
        return _open_archives(path, archives, split)
    return _open_image_folder(path, split)


def has_tfrecords(path: str | os.PathLike) -> bool:
    """Whether a folder holds TFRecords with the file names of TF-Slim's tools."""
    return bool(_record_files(os.fsdecode(path)))


def _record_files(folder: str) -> dict[str, re.Match]:
    return {name: match for name in list_visible(folder)
            if (match := RECORD_FILE.fullmatch(name))
            and filesystem.is_file(os.path.join(folder, name))}


def _open_tfrecords(path: str, records: dict[str, re.Match], split: str | None,
                    part: tuple[int, int]) -> Dataset:
    splits = sorted({match['split'] for match in records.values()})
    split = _resolve_split(path, splits, split)
    names = sorted(name for name, match in records.items() if match['split'] == split)
    shards = [records[name] for name in names if records[name]['shards']]
    if shards:
        total = int(shards[0]['shards'])
        missing = set(range(total)) - {int(match['shard']) for match in shards}
        if missing:
            raise DatasetError(f'{path} holds {len(shards)} of the {total} files of {split!r}: '
                               f'number {min(missing)} is missing; put it in the same folder.')
    labels = os.path.join(path, LABELS)
    if not filesystem.is_file(labels):
        raise DatasetError(f'{labels} is missing; write the class names to it, in lines such as '
                           '0:daisy.')
    files = [os.path.join(path, name) for name in names]
    index, count = part
    counts = [count_records(file) if number % count == index else 0
              for number, file in enumerate(files)]
    if count == 1 and not sum(counts):
        raise DatasetError(f'The TFRecords of {split!r} in {path} hold no records; write them '
                           'again.')
    class_names = read_labels(labels)
    labels_per_record = count_labels_of_record(files)
    if labels_per_record not in (1, len(class_names)):
        raise DatasetError(f'The records of {split!r} in {path} have {labels_per_record} values in '
                           f'image/class/label, but {labels} has {len(class_names)} classes; write '
                           'the number of one class, or a 0 or 1 for each.')
    return Dataset(path, 'tfrecord', files, class_names, sum(counts), counts=counts,
                   multi_label=labels_per_record > 1)


def _resolve_split(path: str, splits: Sequence[str], split: str | None) -> str:
    names = ', '.join(splits)
    if split is None and len(splits) > 1:
        raise DatasetError(f'{path} holds the splits {names}; choose one of them.')
    if split is not None and split not in splits:
        raise DatasetError(f'{path} has no split {split!r}; it has {names}.')
    return split or splits[0]


def _open_image_folder(path: str, split: str | None) -> Dataset:
    folders = _subfolders(path)
    root = path
    if split is not None:
        if split not in folders:
            present = f'it has {", ".join(folders[:5])}' if folders else 'it has no sub-folders'
            raise DatasetError(f'{path} has no split {split!r}; {present}.')
        root = os.path.join(path, split)
        # The classes of all splits, so that a class without images in one split keeps its number.
        splits = {split, *(name for name in folders if name in _SPLITS)}
        folders = sorted({name for name_of_split in splits
                          for name in _subfolders(os.path.join(path, name_of_split))})
    files, labels = [], []
    for label, folder in enumerate(folders):
        images = list_images(os.path.join(root, folder))
        files += images
        labels += [label] * len(images)
    if not files:
        splits_here = [name for name in folders if _subfolders(os.path.join(root, name))]
        if splits_here and split is None:
            raise DatasetError(f'{path} holds the splits {", ".join(splits_here)}; choose one of '
                               'them.')
        raise DatasetError(f'{root} holds no data: neither TFRecords (such as '
                           'flowers_train_00000-of-00005.tfrecord) nor images in a sub-folder for '
                           'each class; give a folder with one of them.')
    return Dataset(path, 'folder', files, folders, len(files), labels=labels)


def _open_table(path: str, split: str | None) -> Dataset:
    images = read_image_list(path)
    if split is not None:
        raise DatasetError(f'{path} is a list of images without splits; leave out split.')
    if images.label_sets is not None:
        return _with_labels(path, images.paths, images.label_sets, images.class_names)
    if images.labels is None:
        raise DatasetError(f'{path} has no column of labels; name it label, or labels if images '
                           'have several, separated by ; or |. Or write a column of 0 and 1 for '
                           'each class, and no others.')
    return _with_labels(path, images.paths, [(label,) for label in images.labels], multi=False)


def _open_archives(path: str, archives: list[str], split: str | None) -> Dataset:
    files: list[str] = []
    labels: list[str] = []
    members: list[list[str]] = []
    for archive in archives:
        images = list_members(archive, SUFFIXES)
        files += images
        labels += read_labels_of(archive, images) or []
        members += [file[len(archive) + 1:].split('/') for file in images]
    if labels:
        if split is not None:
            raise DatasetError(f'{path} has labels in .cls files, and no splits; leave out split.')
        if len(labels) < len(files):
            raise DatasetError(f'{path} has {len(files):,} images, and {len(labels):,} labels in '
                               '.cls files; give each archive some.')
        return _with_labels(path, files, [(label,) for label in labels], multi=False)
    outside = next((file for file, parts in zip(files, members) if len(parts) < 2), None)
    if outside is not None:
        raise DatasetError(f'{outside} is in no folder of a class, and has no label in a .cls '
                           'file; put the images of each class in a folder.')
    splits = sorted({parts[-3] for parts in members if len(parts) > 2})
    names = sorted({parts[-2] for parts in members})
    numbers = {name: number for number, name in enumerate(names)}
    if split is not None or len(splits) > 1:
        split = _resolve_split(path, splits, split)
        chosen = [index for index, parts in enumerate(members) if parts[-3:-2] == [split]]
        files, members = [files[index] for index in chosen], [members[index] for index in chosen]
    return Dataset(path, 'folder', files, names, len(files),
                   labels=[numbers[parts[-2]] for parts in members])


def _with_labels(path: str, files: list[str], labels: list[LabelSet],
                 class_names: list[str] | None = None, *, multi: bool = True) -> Dataset:
    """A dataset with the labels of a table or of archives.

    Args:
      path: of the dataset.
      files: its images.
      labels: of each image; a single one unless `multi`.
      class_names: all labels, if the table has a list of them.
      multi: whether the dataset is multi-label.
    """
    names_file = os.path.join(folder_of(path), LABELS)
    present = dict.fromkeys(label for labels_of_image in labels for label in labels_of_image)
    if filesystem.is_file(names_file):
        class_names = read_labels(names_file)
    elif class_names is None and not present:
        raise DatasetError(f'{path} has images without labels only; write the class names to '
                           f'{names_file}.')
    elif class_names is None and all(label.isdecimal() for label in present):
        count = 1 + max(map(int, present))
        if count > _MAX_CLASSES:
            raise DatasetError(f'{path} has the label {count - 1:,}; a label is a number below '
                               f'{_MAX_CLASSES:,}, or the name of a class.')
        class_names = [str(number) for number in range(count)]
    elif class_names is None:
        several = next((label for label in present if not multi and re.search('[;|]', label)), None)
        if several is not None:
            raise DatasetError(f'{path} has the label {several!r}; name the column labels if '
                               f'images have several, or list the classes in {names_file}.')
        class_names = sorted(present)
    numbers = {str(number): number for number in range(len(class_names))}
    numbers.update((name, number) for number, name in enumerate(class_names))
    for label in present:
        if label not in numbers:
            raise DatasetError(f'{path} has the label {label!r}, which is no class of '
                               f'{names_file}; add it there, or correct the label.')
    sets = [tuple(numbers[label] for label in labels_of_image) for labels_of_image in labels]
    return Dataset(path, 'folder', files, class_names, len(files),
                   labels=sets if multi else [number for number, in sets], multi_label=multi)


def _subfolders(path: str) -> list[str]:
    if not filesystem.is_dir(path):
        return []
    names = []
    for name in list_visible(path):
        folder = os.path.join(path, name)
        if filesystem.is_dir(folder):
            names.append(name)
        else:
            filesystem.warn_of_broken_link(folder)
    return names
