"""A small checkpoint with labels and images, to try the package with."""

from __future__ import annotations

from importlib import resources
import os
from typing import TYPE_CHECKING

from inception_slim._atomic_write import replace_together
from inception_slim.errors import DatasetError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def create_example(folder: str | os.PathLike) -> str:
    """Writes a small example: a checkpoint, the names of its classes and six images.

    The checkpoint is a narrow Inception V3 (`depth_multiplier=0.05`), trained on drawn patterns of
    five classes.

    Args:
      folder: the folder to write to, made if it does not exist. It is a checkpoint folder then:
        `inception_v3.ckpt`, `labels.txt` and `images/`. Files of these names are replaced.

    Returns:
      The folder as a string.

    Raises:
      DatasetError: the folder cannot be written.

    Example:
      >>> import inception_slim, os, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     sorted(os.listdir(inception_slim.create_example(folder)))[-2:]
      ['inception_v3.ckpt.index', 'labels.txt']
    """
    folder = os.fsdecode(folder)
    try:
        _copy(resources.files(__package__), folder)
    except OSError as error:
        raise DatasetError(f'{error.filename or folder} cannot be written: '
                           f'{error.strerror or error}.') from None
    return folder


def _copy(source: Traversable, folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    with replace_together(os.path.join(folder, 'inception_v3.ckpt')) as new:
        for entry in source.iterdir():
            if entry.is_dir() and entry.name == 'images':
                _copy(entry, os.path.join(folder, entry.name))
            elif entry.name.endswith(('.jpg', '.txt', '.index')) or '.data-' in entry.name:
                with open(os.path.join(new, entry.name), 'wb') as file:
                    file.write(entry.read_bytes())
