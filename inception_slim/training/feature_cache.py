"""A directory of features of images, so that each image passes the network once."""

from __future__ import annotations

from collections.abc import Iterable
import glob
import os
import uuid
import zipfile

from inception_slim._atomic_write import atomic_write
from inception_slim.data.image_archive import split_member
from inception_slim.errors import TrainingError
import numpy as np

_PER_FILE = 512  # images; so many are lost at most if a run is killed


class FeatureCache:
    """The features of images, by path, size and time of modification.

    A file holds the features of some images for one network; files are only added.

    Args:
      folder: the directory; made if it does not exist.
      key: identifies the network, its weights and the preprocessing.
    """

    def __init__(self, folder: str, key: str):
        self._prefix = os.path.join(folder, f'features-{key[:16]}-')
        self._features: dict[str, np.ndarray] = {}
        self._new: list[str] = []
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise TrainingError(f'{folder} cannot be written: {error.strerror or error}; give '
                                'another folder for the features.') from None
        for path in glob.glob(f'{glob.escape(self._prefix)}*.npz'):
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    self._features.update(zip(arrays['images'].tolist(), arrays['features']))
            except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
                os.remove(path)  # its images pass the network again

    def get(self, path: str) -> np.ndarray | None:
        """The features of an image; None if they are not cached."""
        return self._features.get(_identity(path))

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of the images that are not cached."""
        return [path for path in paths if self.get(path) is None]

    def add(self, path: str, features: np.ndarray) -> None:
        """Adds the features of an image."""
        self._features[_identity(path)] = features
        self._new.append(_identity(path))
        if len(self._new) >= _PER_FILE:
            self.flush()

    def flush(self) -> None:
        """Writes what was added since the last time."""
        if self._new:
            with atomic_write(f'{self._prefix}{uuid.uuid4().hex}.npz', TrainingError) as file:
                np.savez(file, images=np.array(self._new),
                         features=np.stack([self._features[name] for name in self._new]))
            self._new = []


def _identity(path: str) -> str:
    member = split_member(path)
    status = os.stat(path if member is None else member[0])
    return f'{os.path.abspath(path)!a} {status.st_size} {status.st_mtime_ns}'
