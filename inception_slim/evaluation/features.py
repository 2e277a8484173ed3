"""Feature extraction."""

from __future__ import annotations

import os

from inception_slim import data
from inception_slim._atomic_write import (
    check_replaceable,
    check_writable,
    recover,
    replace_together,
)
from inception_slim.data.filesystem import wrap_io_errors
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.name_list import write_names
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.loaders import (
    Checkpoint,
    Images,
    calibration_sample,
    inspect_checkpoint,
    load_images,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.evaluation.results import FeaturesResult
from inception_slim.inference.graph import EMBEDDING_EPSILON
from inception_slim.options import build_options
import numpy as np


def features(
    checkpoint: Checkpoint,
    images: Images,
    output: str | os.PathLike | None = None,
    *,
    normalize: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    exif: bool | None = None,
    background: str | None = None,
    scaled_decoding: bool = False,
    image_size: int | None = None,
) -> FeaturesResult:
    """Computes the pre-logits of images, and optionally writes them to a .npy file.

    Of Inception-ResNet V1 they are the embeddings, which FaceNet normalizes to the length 1.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      images: image files, and folders that are searched recursively.
      output: the .npy file to write; the image file of each row is written to the same name with
        .jsonl, see `read_features`. Without it, nothing is written.
      normalize: divide the features of each image by their length.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; False does not.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      scaled_decoding: decode large JPEG files at a fraction of their size; see
        `PredictionOptions`.
      image_size: height and width of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, or the output cannot be written.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.

    Example:
      >>> from inception_slim import evaluation
      >>> result = evaluation.features('tests/golden/legacy_scripts',
      ...                              'tests/golden/legacy_scripts/images')
      >>> result.features.shape
      (8, 101)
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    if output is not None:
        output = os.fsdecode(output)
        if not output.endswith('.npy'):
            raise DatasetError(f'{output} must end in .npy.')
        check_writable(output)
        list_path = _list_path(output)
        for path in (output, list_path):
            check_replaceable(path)
    files = data.image_files(images)
    info = inspect_checkpoint(checkpoint, options, options.image_size)
    vectors, names = [], []
    unreadable: list[str] = []
    rotated: set[str] = set()
    with open_predictor(checkpoint, options, lambda: calibration_sample(
            info, files, options), len(files), image_size=info.image_size) as predictor:
        for batch in progress(
                load_images(info, files, options, unreadable, rotated), len(files), unreadable):
            vectors.append(predictor.features(batch['image'], batch['name']))
            names += [os.fsdecode(name) for name in batch['name']]
    result = np.concatenate(vectors)
    if normalize:
        result = normalize_length(result)
    if output is None:
        return FeaturesResult(result, names, unreadable, rotated=len(rotated))
    with replace_together(output) as folder:
        np.save(os.path.join(folder, os.path.basename(output)), result)
        with open(os.path.join(folder, os.path.basename(list_path)), 'wb') as file:
            write_names(file, names)
    return FeaturesResult(result, names, unreadable, output, list_path, len(rotated))


def normalize_length(vectors: np.ndarray) -> np.ndarray:
    """Divides each row by its length, as the last operation of FaceNet's graphs does."""
    squares = np.sum(vectors ** 2, axis=1, keepdims=True)
    return vectors / np.sqrt(np.maximum(squares, EMBEDDING_EPSILON))


def read_features(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Reads the features that `features`, or `bulk` in the format 'npy', wrote.

    Args:
      path: the .npy file. The list of names is beside it: a .jsonl file, or a .txt file of an
        earlier version.

    Returns:
      The image file of each row, as `os.fsdecode` gives it, and the features.

    Raises:
      DatasetError: a file cannot be read, or the two do not have the same length.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import evaluation
      >>> images = 'tests/golden/legacy_scripts/images'
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     result = evaluation.features('tests/golden/legacy_scripts', images,
      ...                                  os.path.join(folder, 'features.npy'))
      ...     names, vectors = evaluation.read_features(result.path)
      >>> names == result.names, vectors.shape
      (True, (8, 101))
    """
    path = os.fsdecode(path)
    recover(path)
    list_path = _list_path(path)
    if not os.path.exists(list_path) and os.path.exists(_list_path(path, '.txt')):
        list_path = _list_path(path, '.txt')
    names = data.read_names(list_path)
    with wrap_io_errors(path):
        vectors = np.load(path, allow_pickle=False)
    if vectors.ndim < 1 or len(vectors) != len(names):
        raise DatasetError(f'{path} has the shape {list(vectors.shape)}, but {list_path} lists '
                           f'{len(names):,} names; write both again.')
    return names, vectors


def _list_path(path: str, suffix: str = '.jsonl') -> str:
    """The path of the list of names beside a .npy file."""
    return os.path.splitext(path)[0] + suffix
