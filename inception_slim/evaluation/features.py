"""What the classifier sees of images, as vectors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from inception_slim import checkpoint as checkpoints
from inception_slim import data
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.images import Images, loaded, of_files, progress, some_of
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.files import check_file, written
from inception_slim.options import made, taking


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


@taking(EvaluationOptions)
def features(
        checkpoint: str | os.PathLike,
        images: Images,
        destination: str | os.PathLike,
        **options: Any) -> Features:
    """Writes what the classifier sees of images: vectors as .npy, and beside them their files.

    Args:
      destination: the .npy file to write; the list of the images gets its name with .txt.
      checkpoint, images, **options: see `classify`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, or the destination cannot be written.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import evaluation
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     written = evaluation.features('tests/golden/idioms', 'tests/golden/idioms/images',
      ...                                   os.path.join(folder, 'features.npy'))
      >>> written.shape
      (8, 101)
    """
    chosen = made(EvaluationOptions, options, InceptionSlimError)
    destination = os.fspath(destination)
    if not destination.endswith('.npy'):
        raise DatasetError(f'{destination} must end in .npy, the format that is written.')
    check_file(destination)
    list_path = destination[:-len('.npy')] + '.txt'
    files = data.image_files(images)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=chosen.checkpoint_scope)
    vectors, names = [], []
    bad: list[str] = []
    with loaded(checkpoint, chosen, lambda: some_of(info, files)) as predictor:
        for batch in progress(of_files(info, files, chosen.batch_size, chosen.strict, bad),
                              len(files), bad):
            vectors.append(predictor.features(batch['image']))
            names += batch['name'].tolist()
    vectors = np.concatenate(vectors)
    with written(destination) as file:
        np.save(file, vectors)
    with written(list_path) as file:
        file.writelines(name + b'\n' for name in names)
    return Features(destination, list_path, vectors.shape, bad)
