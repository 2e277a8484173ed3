"""Image files, and folders of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
import os
import warnings

from inception_slim.data import filesystem
from inception_slim.data.image_archive import is_archive, list_members, split_member
from inception_slim.data.image_list import is_image_list, read_image_list
from inception_slim.errors import DatasetError

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.apng', '.gif', '.bmp', '.dib', '.webp',
            '.tif', '.tiff', '.avif', '.heic', '.heif', '.jxl', '.jp2', '.j2k')
# Images in formats that are not read.
_OTHER_IMAGES = ('.svg', '.psd', '.tga', '.ico', '.ppm', '.pgm', '.pnm', '.exr', '.cr2', '.nef',
                 '.arw', '.dng')


def list_images(folder: str) -> list[str]:
    """Lists the paths of the image files in a folder, sorted; without its sub-folders."""
    if not filesystem.is_dir(folder):
        return []
    names = filesystem.list_visible(folder)
    _warn_of_other_images(folder, names)
    return [os.path.join(folder, name) for name in names if name.lower().endswith(SUFFIXES)]


def _warn_of_other_images(folder: str, names: Iterable[str]) -> None:
    """Warns of images whose format is not read, with their number by format."""
    counts = Counter(os.path.splitext(name.lower())[1] for name in names
                     if name.lower().endswith(_OTHER_IMAGES))
    if counts:
        formats = ', '.join(f'{count:,} {suffix}' for suffix, count in sorted(counts.items()))
        warnings.warn(f'{folder}: images in formats that are not read were left out: {formats}. '
                      'Convert them to JPEG or PNG.', stacklevel=3)


def image_files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """Lists image files: given files as they are, given folders with all their sub-folders.

    A file that ends in .txt, .lst, .list, .csv or .parquet is a list of them; see
    `read_image_list`. A .zip or .tar file is an archive of images, whose paths are
    `ARCHIVE/MEMBER`.

    Links to folders are followed, and each folder is searched once; see `filesystem.walk`.

    Args:
      paths: a file, an archive or a folder, local or a URL that fsspec opens; or several.

    Raises:
      DatasetError: a path does not exist, a folder holds no images, or a list cannot be read.

    Example:
      >>> from inception_slim import data
      >>> data.image_files('tests/golden/legacy_scripts/images')[0]
      'tests/golden/legacy_scripts/images/checks_01.jpg'
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        paths = [paths]
    files = []
    for path in [os.fsdecode(path) for path in paths]:
        if not filesystem.is_dir(path):
            if split_member(path) is None and not filesystem.exists(path):
                raise DatasetError(f'{path} does not exist; give an image, or a folder of images.')
            if is_image_list(path):
                files += read_image_list(path).paths
            elif is_archive(path):
                files += list_members(path, SUFFIXES)
            else:
                files.append(path)
            continue
        if filesystem.is_remote(path):
            in_remote = [file for file, _ in filesystem.walk_remote(path)
                         if file.lower().endswith(SUFFIXES)]
            if not in_remote:
                raise _no_images(path)
            files += in_remote
            continue
        in_folder: list[str] = []
        all_names: list[str] = []
        for folder, names in filesystem.walk(path):
            all_names += names
            for file in (os.path.join(folder, name) for name in names):
                if file.lower().endswith(SUFFIXES):
                    in_folder.append(file)
                else:
                    filesystem.warn_of_broken_link(file)
        _warn_of_other_images(path, all_names)
        if not in_folder:
            raise _no_images(path)
        files += in_folder
    if not files:
        raise DatasetError('No images were given; give an image, or a folder of images.')
    return files


def _no_images(path: str) -> DatasetError:
    return DatasetError(f'{path} holds no images; give a folder with files that end in '
                        f'{", ".join(SUFFIXES)}.')
