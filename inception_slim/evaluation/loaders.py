"""Predictors and batches of images for the functions of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import os
from typing import TypeAlias

from inception_slim import checkpoint as checkpoints, data, inference
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.options import EvaluationOptions, PredictionOptions
from inception_slim.inference.options import InferenceOptions
from inception_slim.inference.predictor import Predictor
from inception_slim.nets import registry
from inception_slim.options import as_dict, option_names
import numpy as np
from tqdm import tqdm

CALIBRATION_IMAGES = 100  # for int8
Images: TypeAlias = str | os.PathLike | Iterable[str | os.PathLike]
Checkpoint: TypeAlias = str | os.PathLike | Predictor


def load_images(info: CheckpointInfo, files: list[str], options: EvaluationOptions,
                unreadable: list[str] | None = None, rotated: set[str] | None = None
                ) -> Iterator[dict[str, np.ndarray]]:
    """Batches of preprocessed images of the size of `info`; see `data.read_batches`."""
    network = registry.NETWORKS[info.network]
    return data.read_batches(
        files, options.batch_size, image_size=info.image_size, strict=options.strict,
        unreadable=unreadable, max_pixels=options.max_pixels, exif=options.exif,
        background=options.background, rotated=rotated, prepare=network.prepare,
        scaled_decoding=_scaled_decoding(options))


def inspect_checkpoint(checkpoint: Checkpoint, options: EvaluationOptions,
                       image_size: int | None = None) -> CheckpointInfo:
    """The description of a checkpoint, or of the one that a predictor has loaded.

    Args:
      checkpoint: a path, or a predictor.
      options: for loading.
      image_size: of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read, or takes images of another size.
      InceptionSlimError: a predictor was given with options that only apply to loading.
    """
    if not isinstance(checkpoint, Predictor):
        return with_image_size(
            checkpoints.inspect(checkpoint, checkpoint_scope=options.checkpoint_scope), image_size)
    changed = [field.name for field in dataclasses.fields(InferenceOptions)
               if getattr(options, field.name) != field.default]
    if image_size not in (None, checkpoint.info.image_size):
        changed.append('image_size')
    if changed:
        raise InceptionSlimError(
            f'{changed[0]} has no effect on a predictor that is already loaded; give '
            f'{changed[0]} to inference.load, or give the path of the checkpoint.')
    return checkpoint.info


@contextlib.contextmanager
def open_predictor(checkpoint: Checkpoint, options: EvaluationOptions,
                   calibration_images: Callable[[], np.ndarray], images: int | None,
                   spatial: bool = False,
                   image_size: int | None = None) -> Iterator[Predictor]:
    """A context with a predictor: loads a checkpoint and closes it; a given predictor stays open.

    Args:
      checkpoint: a path, or a predictor.
      options: for loading.
      calibration_images: returns images for int8; called only if it has to be calibrated.
      images: how many images there are; None if that is not known.
      spatial: whether it computes spatial features, see `inference.load`.
      image_size: of the images, see `inference.load`.
    """
    if isinstance(checkpoint, Predictor):
        yield checkpoint
        return
    with inference.load(checkpoint, calibration_images=calibration_images, expected_images=images,
                        spatial=spatial, image_size=image_size,
                        **as_dict(options, option_names(InferenceOptions))) as predictor:
        yield predictor


def calibration_sample(info: CheckpointInfo, files: list[str],
                       options: EvaluationOptions) -> np.ndarray:
    """Images for calibration, evenly spaced in a list of files."""
    sample = files[::max(1, len(files) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    options = dataclasses.replace(options, batch_size=len(sample), strict=False)
    return next(load_images(info, sample, options))['image']


def dataset_batches(info: CheckpointInfo, dataset: data.Dataset, options: EvaluationOptions,
                    batch_size: int, unreadable: list[str] | None = None,
                    rotated: set[str] | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Batches of a dataset's images of the size of `info`, with labels; see `data.read_batches`."""
    return data.read_batches(
        dataset, batch_size, image_size=info.image_size, strict=options.strict,
        unreadable=unreadable, max_pixels=options.max_pixels, exif=options.exif,
        background=options.background, rotated=rotated,
        scaled_decoding=_scaled_decoding(options))


def _scaled_decoding(options: EvaluationOptions) -> bool:
    return isinstance(options, PredictionOptions) and options.scaled_decoding


def dataset_sample(info: CheckpointInfo, dataset: data.Dataset,
                   options: EvaluationOptions) -> np.ndarray:
    """Images of a dataset for calibration."""
    if dataset.kind == 'folder':  # its first images are all of one class
        return calibration_sample(info, dataset.files, options)
    return next(dataset_batches(info, dataset, options, CALIBRATION_IMAGES))['image']


def progress(batches: Iterator[dict[str, np.ndarray]], total: int,
             unreadable: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The batches, with a progress bar if standard error is a terminal."""
    with tqdm(total=total, unit='image', disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch['name']))
            if unreadable:
                bar.set_postfix(unreadable=len(unreadable), refresh=False)
