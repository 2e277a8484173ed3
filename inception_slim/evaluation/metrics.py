"""FID, KID and the Inception Score of images, with any checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import os
from typing import Any

from inception_slim import data
from inception_slim._atomic_write import check_writable
from inception_slim.data import preprocessing
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import CheckpointError, DatasetError, InceptionSlimError
from inception_slim.evaluation.generative_metrics import (
    RunningMoments,
    Statistics,
    frechet_distance,
    inception_score_of_logits,
    kernel_inception_distance,
    load_statistics,
    save_statistics,
)
from inception_slim.evaluation.loaders import (
    CALIBRATION_IMAGES,
    Checkpoint,
    Images,
    inspect_checkpoint,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import MetricOptions
from inception_slim.evaluation.results import FIDResult, InceptionScore
from inception_slim.inference.predictor import Predictor
from inception_slim.nets import registry
from inception_slim.options import build_options, check
import numpy as np

_RESIZE_FUNCTIONS = {'original': preprocessing.resize_tf1,
                     'clean': preprocessing.resize_antialiased}


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
    resize: str = 'original',
    split: str | None = None,
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
      cache: a folder for calibrated int8 networks.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      resize: 'original', or 'clean' for anti-aliasing.
      split: the split of a folder of TFRecords.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images or statistics cannot be read, or there are too few.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    check('kid_subsets', kid_subsets, {'at_least': 1}, InceptionSlimError)
    check('kid_subset_size', kid_subset_size, {'at_least': 2}, InceptionSlimError)
    sources = [_open_source(images, options) for images in (first, second)]
    if kid and any(isinstance(source, Statistics) for source in sources):
        raise DatasetError('KID needs the images, because statistics do not contain the features; '
                           'give folders of images.')
    if kid and (fewest := min(source.count or 0 for source in sources)) < kid_subset_size:
        raise DatasetError(f'One of the sets has only {fewest:,} images, but a KID subset has '
                           f'{kid_subset_size:,}; reduce kid_subset_size.')
    unreadable: list[str] = []
    statistics: list[Statistics] = []
    vectors: list[np.ndarray] = []
    with _FeatureExtractor(checkpoint, options, sources) as extractor:
        for source in sources:
            if isinstance(source, Statistics):
                statistics.append(source)
                continue
            moments, batches = RunningMoments(), []
            for _, batch in extractor.features(source, unreadable):
                moments.add(batch)
                if kid:
                    batches.append(batch)
            statistics.append(moments.statistics())
            if kid:
                vectors.append(np.concatenate(batches))
    mean, deviation = (
        kernel_inception_distance(vectors[0], vectors[1], kid_subsets, kid_subset_size)
        if kid
        else (None, None)
    )
    return FIDResult(frechet_distance(*statistics), mean, deviation,
                     (statistics[0].count, statistics[1].count), unreadable)


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
      batch_size, strict, max_pixels, resize, split: see `fid`.

    Raises:
      CheckpointError: the checkpoint cannot be read, or has no classifier.
      DatasetError: the images cannot be read, or there are too few.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(MetricOptions, locals(), InceptionSlimError)
    check('splits', splits, {'at_least': 1}, InceptionSlimError)
    source = _open_source(images, options)
    if isinstance(source, Statistics):
        raise DatasetError('The Inception Score needs images, because statistics do not contain '
                           'the features.')
    unreadable: list[str] = []
    with _FeatureExtractor(checkpoint, options, [source]) as extractor:
        logits = extractor.logits_without_biases(source, unreadable)
    return InceptionScore(*inception_score_of_logits(logits, splits), len(logits), unreadable)


def compute_statistics(
    checkpoint: Checkpoint,
    images: Images,
    output: str | os.PathLike,
    *,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    resize: str = 'original',
    split: str | None = None,
) -> Statistics:
    """Computes the mean and covariance of the features of images, and writes them for `fid`.

    Args:
      checkpoint: see `fid`.
      images: image files and folders, or a folder of TFRecords.
      output: the .npz file to write, with `mu` and `sigma`.
      use_ema, checkpoint_scope, precision, engine, cache: see `fid`.
      batch_size, strict, max_pixels, resize, split: see `fid`.

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
    source = _open_source(images, options)
    if isinstance(source, Statistics):
        raise DatasetError(f'{images} contains statistics already; give images.')
    moments = RunningMoments()
    with _FeatureExtractor(checkpoint, options, [source]) as extractor:
        for _, batch in extractor.features(source, []):
            moments.add(batch)
    statistics = moments.statistics()
    save_statistics(statistics, output)
    return statistics


@dataclass(frozen=True)
class _Source:
    """A set of images: how many there are at most, and a function that reads batches of them."""

    count: int
    batches: Callable[..., Any]


def _open_source(images: Images, options: MetricOptions) -> _Source | Statistics:
    if isinstance(images, (str, bytes, os.PathLike)):
        path = os.fsdecode(images)
        if path.endswith('.npz'):
            return load_statistics(path)
        if os.path.isdir(path) and data.has_tfrecords(path):
            dataset = data.open_dataset(path, options.split)
            return _Source(dataset.num_examples,
                           lambda *args, **kwargs: data.batches(dataset, *args, **kwargs))
    files = data.image_files(images)
    return _Source(len(files),
                   lambda *args, **kwargs: data.image_batches(files, *args, **kwargs))


class _FeatureExtractor:
    """Computes features; a context. Loads no network if all sources are statistics."""

    def __init__(self, checkpoint: Checkpoint, options: MetricOptions,
                 sources: list[_Source | Statistics]):
        self._options = options
        self._context = contextlib.ExitStack()
        images = [source for source in sources if isinstance(source, _Source)]
        if images:
            info = inspect_checkpoint(checkpoint, options)
            if info.head.pool != 'average':
                raise CheckpointError(f'{info.path} has the head {info.head}; generative metrics '
                                      'need the average of the last grid.')
            self._image_size = registry.NETWORKS[info.network].image_size
            self._predictor: Predictor = self._context.enter_context(
                open_predictor(checkpoint, options, lambda: next(
                    self._read(images[0], CALIBRATION_IMAGES, None))['image']))

    def __enter__(self) -> _FeatureExtractor:
        return self

    def __exit__(self, *error: object) -> None:
        self._context.close()

    def _read(self, source: _Source, batch_size: int,
              unreadable: list[str] | None) -> Iterator[dict[str, np.ndarray]]:
        return data.as_numpy_batches(lambda: source.batches(
            batch_size, image_size=self._image_size, strict=self._options.strict,
            unreadable=unreadable, max_pixels=self._options.max_pixels,
            prepare=_RESIZE_FUNCTIONS[self._options.resize]))

    def features(self, source: _Source, unreadable: list[str]
                 ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The names of the images and their features, `[N, channels]`, a batch at a time."""
        for batch in progress(self._read(source, self._options.batch_size, unreadable),
                              source.count, unreadable):
            yield batch['name'], self._predictor.features(batch['image'], batch['name'])

    def logits_without_biases(self, source: _Source, unreadable: list[str]) -> np.ndarray:
        """The products of the features and the weights of the classifier, `[N, num_classes]`."""
        info = self._predictor.info
        if info.head.hidden:
            raise CheckpointError(f'{info.path} has the head {info.head}; the Inception Score '
                                  'needs one dense layer.')
        count = 0
        for names, features in self.features(source, unreadable):
            if not count:
                biases = self._predictor.logits_from_features(np.zeros_like(features[:1]))
                # Whole, since parts would have to be copied into one array.
                result = np.empty((source.count, biases.shape[1]), np.float32)
            logits = self._predictor.logits_from_features(features, names)
            np.subtract(logits, biases, out=result[count:count + len(logits)])
            count += len(logits)
        return result[:count]
