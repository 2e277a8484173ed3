"""FID, KID and the Inception Score of images, by any checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import os
from typing import Any

from inception_slim import checkpoint as checkpoints, data
from inception_slim._atomic_write import check_writable
from inception_slim.data import preprocessing
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.generative_metrics import (
    RunningMoments,
    Statistics,
    frechet_distance,
    inception_score as _inception_score,
    kernel_inception_distance,
    load_statistics,
    save_statistics,
)
from inception_slim.evaluation.loaders import CALIBRATION, Images, load_predictor, progress
from inception_slim.evaluation.options import MeasureOptions
from inception_slim.nets import registry
from inception_slim.options import build_options, check
import numpy as np

RESIZES = {'original': preprocessing.resize_tf1, 'clean': preprocessing.resize_antialiased}


@dataclass(frozen=True)
class FIDResult:
    """How far apart two sets of images are.

    Attributes:
      fid: the Fréchet Inception Distance.
      kid, kid_deviation: the Kernel Inception Distance over its subsets; None if not asked for.
      counts: of the images of each; None of statistics, which do not say.
      bad: the images that could not be read.
    """

    fid: float
    kid: float | None
    kid_deviation: float | None
    counts: tuple[int | None, int | None]
    bad: list[str]


@dataclass(frozen=True)
class InceptionScore:
    """The Inception Score of images: over its splits, the mean and the standard deviation."""

    mean: float
    deviation: float
    count: int
    bad: list[str]


def fid(
    checkpoint: str | os.PathLike,
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
    resize: str = 'original',
    split: str | None = None,
) -> FIDResult:
    """How far apart two sets of images are, by what the classifier sees of them.

    The figures of papers are those of the network of December 2015 and of `resize='original'`;
    those of another checkpoint may be compared only with others of its own.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      first, second: images and folders of them, a folder of TFRecords, or an .npz file of
        statistics, as `statistics` and other programs write it.
      kid: also the Kernel Inception Distance, for which all vectors are kept in memory.
      kid_subsets, kid_subset_size: how many subsets, and of how many vectors.
      **options: those of `MeasureOptions`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images or statistics cannot be read, or are too few.
    """
    chosen = build_options(MeasureOptions, locals(), InceptionSlimError)
    for name, value, least in (('kid_subsets', kid_subsets, 1),
                               ('kid_subset_size', kid_subset_size, 2)):
        check(name, value, {'at_least': least}, InceptionSlimError)
    sources = [_source(each, chosen) for each in (first, second)]
    if kid and any(isinstance(each, Statistics) for each in sources):
        raise DatasetError('KID needs the vectors themselves, which statistics no longer hold; '
                           'give the images.')
    if kid and (fewest := min(each.count or 0 for each in sources)) < kid_subset_size:
        raise DatasetError(f'There are {fewest:,} images in one of the two, but a subset has '
                           f'{kid_subset_size:,}; set --kid-subset-size to less.')
    bad: list[str] = []
    found: list[Statistics] = []
    vectors: list[np.ndarray] = []
    with _Network(checkpoint, chosen, sources) as network:
        for source in sources:
            if isinstance(source, Statistics):
                found.append(source)
                continue
            moments, kept = RunningMoments(), []
            for batch in network.features(source, bad):
                moments.add(batch)
                if kid:
                    kept.append(batch)
            found.append(moments.statistics())
            if kid:
                vectors.append(np.concatenate(kept))
    mean, deviation = (
        kernel_inception_distance(vectors[0], vectors[1], kid_subsets, kid_subset_size)
        if kid
        else (None, None)
    )
    return FIDResult(frechet_distance(found[0], found[1]), mean, deviation,
                    (found[0].count, found[1].count), bad)


def inception_score(
    checkpoint: str | os.PathLike,
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
    resize: str = 'original',
    split: str | None = None,
) -> InceptionScore:
    """The Inception Score of images: high where each is of one class, and all are of many.

    As in its first code, the classifier's biases are left out.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      images: images and folders of them, or a folder of TFRecords.
      splits: parts that are scored apart.
      **options: those of `MeasureOptions`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images cannot be read, or are too few.
    """
    chosen = build_options(MeasureOptions, locals(), InceptionSlimError)
    check('splits', splits, {'at_least': 1}, InceptionSlimError)
    source = _source(images, chosen)
    if isinstance(source, Statistics):
        raise DatasetError('A score is of images, which statistics no longer hold; give those.')
    info, weights = checkpoints.read(checkpoint, use_ema=chosen.use_ema,
                                     checkpoint_scope=chosen.checkpoint_scope)
    classifier = weights.pop(f'{registry.NETWORKS[info.network].classifier}/weights', None)
    if classifier is None:
        raise InceptionSlimError(f'{info.path} has no classifier; it cannot answer.')
    del weights
    matrix = classifier.reshape(classifier.shape[-2:])
    bad: list[str] = []
    with _Network(checkpoint, chosen, [source]) as network:
        logits = np.concatenate([batch @ matrix for batch in network.features(source, bad)])
    return InceptionScore(*_inception_score(logits, splits), len(logits), bad)


def compute_statistics(
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
    resize: str = 'original',
    split: str | None = None,
) -> Statistics:
    """Writes the mean and covariance of what the classifier sees of images, for `fid` to take.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      images: images and folders of them, or a folder of TFRecords.
      destination: the .npz file to write, with `mu` and `sigma`.
      **options: those of `MeasureOptions`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the images cannot be read or are too few, or the file cannot be written.
    """
    chosen = build_options(MeasureOptions, locals(), InceptionSlimError)
    destination = os.fspath(destination)
    if not destination.endswith('.npz'):
        raise DatasetError(f'{destination} must end in .npz, the format that is written.')
    check_writable(destination)
    source = _source(images, chosen)
    if isinstance(source, Statistics):
        raise DatasetError('These are statistics already; give images.')
    moments = RunningMoments()
    with _Network(checkpoint, chosen, [source]) as network:
        for batch in network.features(source, []):
            moments.add(batch)
    found = moments.statistics()
    save_statistics(found, destination)
    return found


@dataclass(frozen=True)
class _Source:
    """Images to be measured: how many there may be, and how to read them."""

    count: int
    batches: Callable[..., Any]


def _source(images: Images, options: MeasureOptions) -> _Source | Statistics:
    if isinstance(images, (str, os.PathLike)):
        path = os.fspath(images)
        if path.endswith('.npz'):
            return load_statistics(path)
        if os.path.isdir(path) and data.has_tfrecords(path):
            dataset = data.open_dataset(path, options.split)
            return _Source(dataset.num_examples,
                           lambda *given, **more: data.batches(dataset, *given, **more))
    files = data.image_files(images)
    return _Source(len(files), lambda *given, **more: data.image_batches(files, *given, **more))


class _Network:
    """The network that looks; not loaded where only statistics are compared."""

    def __init__(self, checkpoint: str | os.PathLike, options: MeasureOptions,
                 sources: list[_Source | Statistics]):
        self._options = options
        images = [each for each in sources if isinstance(each, _Source)]
        self._predictor = None
        if images:
            info = checkpoints.inspect(checkpoint, checkpoint_scope=options.checkpoint_scope)
            self._size = registry.NETWORKS[info.network].image_size
            self._predictor = load_predictor(checkpoint, options, lambda: next(
                self._read(images[0], CALIBRATION, None))['image'])

    def __enter__(self) -> _Network:
        return self

    def __exit__(self, *error: object) -> None:
        if self._predictor is not None:
            self._predictor.close()

    def _read(self, source: _Source, batch_size: int,
              bad: list[str] | None) -> Iterator[dict[str, np.ndarray]]:
        return data.as_numpy_batches(lambda: source.batches(
            batch_size, image_size=self._size, strict=self._options.strict, bad=bad,
            prepare=RESIZES[self._options.resize]))

    def features(self, source: _Source, bad: list[str]) -> Iterator[np.ndarray]:
        """What the classifier sees, `[N, channels]` float32, a batch at a time."""
        assert self._predictor is not None  # there are images, or else nobody asks
        for batch in progress(self._read(source, self._options.batch_size, bad), source.count, bad):
            yield self._predictor.features(batch['image'])
