"""Plain images: single files, folders of them, and folders with one sub-folder a class."""

from __future__ import annotations

import os
from collections.abc import Iterable

from inception_slim.data import paths
from inception_slim.data.dataset import Dataset, visible_names
from inception_slim.errors import DatasetError

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.png', '.gif', '.bmp', '.webp')
_SPLITS = ('train', 'training', 'validation', 'valid', 'val', 'test', 'eval')


def open_folders(path: str, names: list[str], split: str | None) -> Dataset:
    folders = [name for name in names if paths.is_folder(os.path.join(path, name))]
    root = path
    if split is not None:
        if split not in folders:
            known = f'it has {", ".join(folders[:5])}' if folders else 'it has no sub-folders'
            raise DatasetError(f'{path} has no split {split!r}; {known}.')
        root = os.path.join(path, split)
        # The classes of all splits, so that a class without images in one keeps its number.
        siblings = {split, *(name for name in folders if name in _SPLITS)}
        folders = sorted({name for sibling in siblings
                          for name in visible_names(os.path.join(path, sibling))
                          if paths.is_folder(os.path.join(path, sibling, name))})
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = images_in(os.path.join(root, folder))
        files += found
        labels += [label] * len(found)
    if not files:
        inner = [name for name in folders if os.path.isdir(os.path.join(root, name)) and any(
            paths.is_folder(os.path.join(root, name, each))
            for each in visible_names(os.path.join(root, name)))]
        if inner and split is None:
            raise DatasetError(f'{path} holds the splits {", ".join(inner)}; choose one of them.')
        raise DatasetError(f'{root} holds no data: neither TFRecords (such as '
                           'flowers_train_00000-of-00005.tfrecord) nor images in a sub-folder for '
                           'each class; give a folder that does.')
    return Dataset(path, 'folder', files, folders, len(files), labels=labels)


def images_in(folder: str) -> list[str]:
    if not paths.is_folder(folder):
        return []
    return [os.path.join(folder, name) for name in visible_names(folder)
            if name.lower().endswith(SUFFIXES)]


def image_files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """The image files that paths mean: files as they are, folders with all that is under them.

    Raises:
      DatasetError: a path does not exist, or a folder holds no image.

    Example:
      >>> from inception_slim import data
      >>> data.image_files('tests/golden/idioms/images')[0]
      'tests/golden/idioms/images/checks_01.jpg'
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    files = []
    for path in [os.fspath(each) for each in paths]:
        if not os.path.isdir(path):
            if not os.path.exists(path):
                raise DatasetError(f'{path} does not exist; give an image, or a folder of images.')
            files.append(path)
            continue
        found = []
        for folder, folders, _ in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith('.'))
            found += images_in(folder)
        if not found:
            raise DatasetError(f'{path} holds no images; give a folder with files that end in '
                               f'{", ".join(SUFFIXES)}.')
        files += found
    if not files:
        raise DatasetError('No images were given; give an image, or a folder of images.')
    return files
