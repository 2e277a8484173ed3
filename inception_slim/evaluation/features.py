"""What the classifier sees of images, as vectors."""

from __future__ import annotations

from dataclasses import dataclass
import os

from inception_slim import checkpoint as checkpoints, data
from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.loaders import (
    Images,
    calibration_sample,
    load_images,
    load_predictor,
    progress,
)
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.options import build_options
import numpy as np


@dataclass(frozen=True)
class FeaturesResult:
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


def features(
    checkpoint: str | os.PathLike,
    images: Images,
    destination: str | os.PathLike,
    *,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
) -> FeaturesResult:
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
      ...     written = evaluation.features('tests/golden/legacy_scripts', 'tests/golden/legacy_scripts/images',
      ...                                   os.path.join(folder, 'features.npy'))
      >>> written.shape
      (8, 101)
    """
    chosen = build_options(EvaluationOptions, locals(), InceptionSlimError)
    destination = os.fspath(destination)
    if not destination.endswith('.npy'):
        raise DatasetError(f'{destination} must end in .npy, the format that is written.')
    check_writable(destination)
    list_path = destination[:-len('.npy')] + '.txt'
    files = data.image_files(images)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=chosen.checkpoint_scope)
    vectors, names = [], []
    bad: list[str] = []
    with load_predictor(checkpoint, chosen, lambda: calibration_sample(info, files)) as predictor:
        for batch in progress(load_images(info, files, chosen.batch_size, chosen.strict, bad),
                              len(files), bad):
            vectors.append(predictor.features(batch['image']))
            names += batch['name'].tolist()
    vectors = np.concatenate(vectors)
    with atomic_write(destination) as file:
        np.save(file, vectors)
    with atomic_write(list_path) as file:
        file.writelines(name + b'\n' for name in names)
    return FeaturesResult(destination, list_path, vectors.shape, bad)
