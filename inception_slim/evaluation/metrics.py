"""FID, KID and the Inception Score of images, with any checkpoint."""

from __future__ import annotations

import os

from inception_slim._atomic_write import check_writable
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.generative import compute_metrics, write_statistics
from inception_slim.evaluation.generative_metrics import Statistics
from inception_slim.evaluation.loaders import Checkpoint, Images
from inception_slim.evaluation.options import MetricOptions
from inception_slim.evaluation.results import FIDResult, InceptionScore
from inception_slim.options import as_dict, build_options


def fid(
    checkpoint: Checkpoint,
    first: Images,
    second: Images,
    *,
    kid: bool = False,
    kid_subsets: int = 100,
    kid_subset_size: int = 1000,
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
    resize: str = 'original',
    split: str | None = None,
    force: bool = False,
) -> FIDResult:
    """Computes the Fréchet Inception Distance, and optionally KID, of two sets of images.

    Papers use the network of December 2015 and `resize='original'`. Values of another checkpoint
    can only be compared with each other.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      first, second: image files and folders, a folder of TFRecords, or an .npz file of statistics
        from `compute_statistics` or another program.
      kid: also compute the Kernel Inception Distance, which keeps all features in memory.
      kid_subsets: the number of subsets, at least 1.
      kid_subset_size: images per subset, at least 2.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; None does so for image files and
        not for TFRecords.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      resize: 'original', or 'clean' for anti-aliasing.
      split: the split of a folder of TFRecords.
      force: compare statistics of different networks, weights or resizing.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images or statistics cannot be read or compared, or there are too few.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    result = compute_metrics(
        checkpoint, first, second, metrics=('fid', 'kid') if kid else ('fid',),
        kid_subsets=kid_subsets, kid_subset_size=kid_subset_size, force=force,
        **as_dict(options))
    assert result.fid is not None  # it was asked for
    return FIDResult(result.fid, result.kid, result.kid_deviation,
                     (result.sample_count, result.reference_count), result.unreadable,
                     result.rotated, result.notes)


def inception_score(
    checkpoint: Checkpoint,
    images: Images,
    *,
    splits: int = 10,
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
    resize: str = 'original',
    split: str | None = None,
) -> InceptionScore:
    """Computes the Inception Score of images.

    High if each image is classified with confidence, and the images are of many classes. As in
    the original code, the biases of the classifier are not used.

    Args:
      checkpoint: see `fid`.
      images: image files and folders, or a folder of TFRecords.
      splits: the number of parts that are scored separately, at least 1.
      use_ema, checkpoint_scope, precision, engine, cache: see `fid`.
      batch_size, strict, max_pixels, exif, background, resize, split: see `fid`.

    Raises:
      CheckpointError: the checkpoint cannot be read, or has no classifier.
      DatasetError: the images cannot be read, or there are too few.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    result = compute_metrics(checkpoint, images, metrics=('isc',), splits=splits,
                             **as_dict(options))
    assert result.inception_score is not None  # it was asked for
    assert result.inception_score_deviation is not None and result.sample_count is not None
    return InceptionScore(result.inception_score, result.inception_score_deviation,
                          result.sample_count, result.unreadable, result.rotated)


def compute_statistics(
    checkpoint: Checkpoint,
    images: Images,
    output: str | os.PathLike,
    *,
    spatial: bool = False,
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
    resize: str = 'original',
    split: str | None = None,
) -> Statistics:
    """Computes the mean and covariance of the features of images, and writes them for `fid`.

    Args:
      checkpoint: see `fid`.
      images: image files and folders, or a folder of TFRecords.
      output: the .npz file to write, with `mu` and `sigma`, and `origin`, what they are of.
      spatial: also write `mu_s` and `sigma_s`, the statistics of the spatial features, for sFID.
      use_ema, checkpoint_scope, precision, engine, cache: see `fid`.
      batch_size, strict, max_pixels, exif, background, resize, split: see `fid`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images cannot be read, there are too few, or the file cannot be written.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    output = os.fsdecode(output)
    if not output.endswith('.npz'):
        raise DatasetError(f'{output} must end in .npz.')
    check_writable(output)
    return write_statistics(checkpoint, images, output, options, spatial)
