"""Plain images: single files, folders of them, and folders with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Iterable
import os

from inception_slim.data import filesystem
from inception_slim.data.dataset import Dataset, list_visible
from inception_slim.errors import DatasetError

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.png', '.gif', '.bmp', '.webp')
_SPLITS = ('train', 'training', 'validation', 'valid', 'val', 'test', 'eval')


def open_image_folder(path: str, names: list[str], split: str | None) -> Dataset:
    folders = [name for name in names if filesystem.is_dir(os.path.join(path, name))]
    root = path
    if split is not None:
        if split not in folders:
            known = f'it has {", ".join(folders[:5])}' if folders else 'it has no sub-folders'
            raise DatasetError(f'{path} has no split {split!r}; {known}.')
        root = os.path.join(path, split)
        # The classes of all splits, so that a class without images in one keeps its number.
        siblings = {split, *(name for name in folders if name in _SPLITS)}
        folders = sorted({name for sibling in siblings
                          for name in list_visible(os.path.join(path, sibling))
                          if filesystem.is_dir(os.path.join(path, sibling, name))})
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = list_images(os.path.join(root, folder))
        files += found
        labels += [label] * len(found)
    if not files:
        inner = [name for name in folders if os.path.isdir(os.path.join(root, name)) and any(
            filesystem.is_dir(os.path.join(root, name, each))
            for each in list_visible(os.path.join(root, name)))]
        if inner and split is None:
            raise DatasetError(f'{path} holds the splits {", ".join(inner)}; choose one of them.')
        raise DatasetError(f'{root} holds no data: neither TFRecords (such as '
                           'flowers_train_00000-of-00005.tfrecord) nor images in a sub-folder for '
                           'each class; give a folder that does.')
    return Dataset(path, 'folder', files, folders, len(files), labels=labels)


def list_images(folder: str) -> list[str]:
    if not filesystem.is_dir(folder):
        return []
    return [os.path.join(folder, name) for name in list_visible(folder)
            if name.lower().endswith(SUFFIXES)]


def image_files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """The image files that paths mean: files as they are, folders with all that is under them.

    Raises:
      DatasetError: a path does not exist, or a folder holds no image.

    Example:
      >>> from inception_slim import data
      >>> data.image_files('tests/golden/legacy_scripts/images')[0]
      'tests/golden/legacy_scripts/images/checks_01.jpg'
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
            found += list_images(folder)
        if not found:
            raise DatasetError(f'{path} holds no images; give a folder with files that end in '
                               f'{", ".join(SUFFIXES)}.')
        files += found
    if not files:
        raise DatasetError('No images were given; give an image, or a folder of images.')
    return files
