"""The arithmetic of FID, KID and the Inception Score, in float64 NumPy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import os
from typing import BinaryIO

from inception_slim._atomic_write import atomic_write
from inception_slim._special_files import check_regular
from inception_slim.errors import DatasetError, error_summary
from inception_slim.evaluation.origin import Origin, read_origin
from inception_slim.evaluation.results import Result
import numpy as np

_ORIGIN = 'origin'  # in an .npz file
_COLLECTED = 512  # vectors whose moments are computed together


@dataclass(frozen=True, repr=False)
class Statistics(Result):
    """The mean and the covariance of the features of a set of images.

    Attributes:
      mu: `[channels]` float64.
      sigma: `[channels, channels]` float64, with the denominator N - 1.
      count: the number of images; None if it was read from a file that does not record it.
      origin: what they were computed of; None if that is not known.
    """

    mu: np.ndarray
    sigma: np.ndarray
    count: int | None = None
    origin: Origin | None = None


class RunningMoments:
    """Computes `Statistics` in one pass, batch by batch, in constant memory.

    Vectors are collected before they are multiplied: the product of a batch of 32 is as large as
    that of a thousand, and adding it costs more time than reading the images.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._scatter = np.zeros(())
        self._collected = np.empty((0, 0))
        self._num_collected = 0

    @property
    def count(self) -> int:
        """The number of vectors."""
        return self._count + self._num_collected

    def add(self, vectors: np.ndarray) -> None:
        """Adds `[N, channels]`."""
        if not len(self._collected):
            self._collected = np.empty((_COLLECTED, vectors.shape[1]))
        while len(vectors):
            rows = self._collected[self._num_collected:][:len(vectors)]
            rows[:] = vectors[:len(rows)]
            vectors = vectors[len(rows):]
            self._num_collected += len(rows)
            if self._num_collected == len(self._collected):
                self._merge_collected()

    def merge(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        """Adds the moments of other vectors: those of `moments`."""
        self._merge_collected()
        self._merge(count, mean, scatter)

    def moments(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Returns the number of vectors, their mean, and their covariance times that number.

        The covariance changes when more vectors are added.
        """
        self._merge_collected()
        return self._count, self._mean, self._scatter

    def _merge_collected(self) -> None:
        count = self._num_collected
        if not count:
            return
        vectors, self._num_collected = self._collected[:count], 0
        with np.errstate(invalid='ignore'):  # `statistics` looks for values that are not finite
            mean = vectors.mean(axis=0)
            vectors -= mean
            self._merge(count, mean, vectors.T @ vectors)

    def _merge(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        if not self._count:
            self._count, self._mean, self._scatter = count, mean, scatter.copy()
            return
        # The update of Chan, Golub and LeVeque, which subtracts no large sums of one another.
        difference = mean - self._mean
        total = self._count + count
        scaled = difference * np.sqrt(self._count * count / total)
        self._scatter += scatter
        self._scatter += np.outer(scaled, scaled)
        self._mean = self._mean + difference * (count / total)
        self._count = total

    def statistics(self) -> Statistics:
        """Returns the statistics of all vectors.

        Raises:
          DatasetError: there are fewer than two vectors, or they are not finite.
        """
        count, mean, scatter = self.moments()
        if count < 2:
            raise DatasetError('A covariance needs at least two images, but there is '
                               f'{count}. A meaningful FID needs thousands.')
        if not np.isfinite(scatter).all():
            raise DatasetError('The mean or the covariance of the features is not finite; look for '
                               'features that are not, or too large.')
        return Statistics(mean, scatter / (count - 1), count)


def save_statistics(statistics: Statistics, path: str | os.PathLike,
                    spatial: Statistics | None = None) -> None:
    """Writes `mu` and `sigma` to an .npz file, the format that other FID programs read.

    Args:
      statistics: of the features; their origin is written as `origin`, JSON text.
      path: the file to write.
      spatial: of the spatial features, written as `mu_s` and `sigma_s`.
    """
    with atomic_write(os.fsdecode(path)) as file:
        dump_statistics(file, statistics, spatial)


def dump_statistics(file: BinaryIO, statistics: Statistics,
                     spatial: Statistics | None = None) -> None:
    """Writes to an open file; see `save_statistics`."""
    arrays = {'mu': statistics.mu, 'sigma': statistics.sigma}
    if spatial is not None:
        arrays.update(mu_s=spatial.mu, sigma_s=spatial.sigma)
    if statistics.origin is not None:
        arrays[_ORIGIN] = np.array(statistics.origin.to_json())
    np.savez(file, **arrays)  # type: ignore[arg-type]


def load_statistics(path: str | os.PathLike, spatial: bool = False) -> Statistics:
    """Reads `mu` and `sigma` from an .npz file.

    Args:
      path: the file.
      spatial: read `mu_s` and `sigma_s`, the statistics of spatial features, instead.

    Raises:
      DatasetError: the file cannot be read, or does not contain statistics.
    """
    path = os.fsdecode(path)
    mean, covariance = ('mu_s', 'sigma_s') if spatial else ('mu', 'sigma')
    check_regular(path, DatasetError)
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {mean, covariance} <= set(file.files):
                raise DatasetError(f'{path} contains {", ".join(file.files[:5]) or "no arrays"}, '
                                   f'but statistics are {mean} and {covariance}.')
            mu, sigma = (np.asarray(file[name], np.float64) for name in (mean, covariance))
            text = str(file[_ORIGIN]) if _ORIGIN in file.files else None
    except (DatasetError, MemoryError):
        raise
    except OSError as error:
        raise DatasetError(f'{path} cannot be read: {error_summary(error)}.') from None
    except Exception:  # zipfile and NumPy have many for damaged files
        raise DatasetError(f'{path} is not an .npz file of numbers, or is damaged; compute the '
                           'statistics again.') from None
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise DatasetError(f'{path} has mu {list(mu.shape)} and sigma {list(sigma.shape)}, which '
                           'are not a mean and a covariance; compute the statistics again.')
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise DatasetError(f'{path} has a {mean} or {covariance} with values that are not finite; '
                           'compute the statistics again.')
    origin = None if text is None else read_origin(path, text)
    return Statistics(mu, sigma, None if origin is None else origin.count, origin)


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """Computes the Fréchet distance of two normal distributions: FID, for Inception features.

    Returns:
      The distance, at least 0, and exactly 0 for identical statistics.

    Raises:
      DatasetError: the statistics have different numbers of channels.

    Source: https://arxiv.org/abs/1706.08500, equation 6.
    """
    _check_channels(first, second)
    if np.array_equal(first.mu, second.mu) and np.array_equal(first.sigma, second.sigma):
        return 0.0
    return _distance(first, _symmetric_root(first.sigma), second)


def fid_infinity(features: np.ndarray, reference: Statistics, points: int = 15,
                 seed: int = 0) -> float:
    """Extrapolates FID to infinitely many samples.

    FID is too high by about a constant divided by the number of samples. It is computed of
    random subsets of 5,000 samples (or half of the samples, if that is fewer) up to all of them;
    the result is the intercept of the line that fits them best.

    Args:
      features: `[N, channels]` of the samples, N at least 4.
      reference: of the real images.
      points: the number of subsets.
      seed: of the random subsets.

    Raises:
      DatasetError: there are too few samples, or the reference has other channels.

    Source: https://arxiv.org/abs/1911.07023, section 4.
    """
    if len(features) < 4:
        raise DatasetError(f'FID-infinity needs at least four samples, but there are '
                           f'{len(features)}. A meaningful one needs thousands.')
    root, distances = _symmetric_root(reference.sigma), []
    sizes = np.linspace(min(5000, len(features) // 2), len(features), points).astype(int)
    rng = np.random.RandomState(seed)
    for size in sizes:
        moments = RunningMoments()
        rows = rng.permutation(len(features))[:size]
        for start in range(0, size, 1024):
            moments.add(features[rows[start:start + 1024]])
        samples = moments.statistics()
        _check_channels(reference, samples)
        distances.append(_distance(reference, root, samples))
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def _check_channels(first: Statistics, second: Statistics) -> None:
    if first.mu.shape != second.mu.shape:
        raise DatasetError(f'One set of statistics has {len(first.mu):,} channels, the other '
                           f'{len(second.mu):,}, so they are from different networks; compute '
                           'both with the same checkpoint.')


def _symmetric_root(sigma: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(sigma)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _distance(first: Statistics, root: np.ndarray, second: Statistics) -> float:
    """The Fréchet distance, given the symmetric root of the first covariance."""
    # The trace of the root of sigma_1 sigma_2 is that of the root of r sigma_2 r, where r is the
    # symmetric root of sigma_1. That product is symmetric with eigenvalues >= 0, up to rounding.
    product = np.linalg.eigvalsh(root @ second.sigma @ root)
    difference = first.mu - second.mu
    distance = (difference @ difference + np.trace(first.sigma) + np.trace(second.sigma)
                - 2 * np.sqrt(np.maximum(product, 0)).sum())
    return max(0.0, float(distance))  # rounding can make it slightly negative


def kernel_inception_distance(first: np.ndarray, second: np.ndarray, subsets: int = 100,
                              subset_size: int = 1000, seed: int = 2020) -> tuple[float, float]:
    """Computes KID: the unbiased squared maximum mean discrepancy with a cubic polynomial kernel.

    Args:
      first, second: `[N, channels]`; N may differ, and must be at least `subset_size`.
      subsets: the number of random subsets, at least 1.
      subset_size: vectors per subset, at least 2.
      seed: of the random subsets; the default of torch-fidelity, which draws the same subsets.

    Returns:
      The mean and the standard deviation over the subsets.

    Raises:
      DatasetError: there are too few vectors.

    Source: https://arxiv.org/abs/1801.01401, section 4.
    """
    fewest = min(len(first), len(second))
    if not 2 <= subset_size <= fewest:
        raise DatasetError(f'A subset of {subset_size:,} vectors cannot be drawn from {fewest:,}; '
                           f'set the subset size to between 2 and {fewest:,}.')
    rng, distances = np.random.RandomState(seed), []

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    for _ in range(subsets):
        x, y = (vectors[rng.choice(len(vectors), subset_size, replace=False)].astype(np.float64)
                for vectors in (first, second))
        within = sum(matrix.sum() - np.trace(matrix) for matrix in (kernel(x, x), kernel(y, y)))
        distances.append(within / (subset_size * (subset_size - 1)) - 2 * kernel(x, y).mean())
    return float(np.mean(distances)), float(np.std(distances))


def inception_score_of_logits(logits: np.ndarray, splits: int = 10, seed: int | None = 2020,
                              split_size: int | None = None) -> tuple[float, float]:
    """Computes the Inception Score: exp of the mean KL divergence from the marginal distribution.

    Args:
      logits: `[N, classes]`.
      splits: the number of parts that are scored separately, at most N.
      seed: of the random order; the default of torch-fidelity, which gives the same splits. None
        keeps the order.
      split_size: the number of images in a split, of which the last one may have fewer, instead of
        the number of splits.

    Returns:
      The mean and the standard deviation over the splits.

    Raises:
      DatasetError: there are fewer images than splits.

    Source: https://arxiv.org/abs/1606.03498, section 4.
    """
    count = len(logits)
    if split_size is None and not 1 <= splits <= count:
        raise DatasetError(f'{count:,} images cannot be divided into {splits:,} splits; give more '
                           'images or fewer splits.')
    scores = []
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    for rows in _parts(order, splits, split_size):
        part = logits[rows].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        part -= np.log(np.exp(part).sum(axis=1, keepdims=True))  # log probabilities
        probabilities = np.exp(part)
        # A class with probability 0 everywhere adds nothing.
        marginal = np.log(np.maximum(probabilities.mean(axis=0), np.finfo(np.float64).tiny))
        scores.append(np.exp((probabilities * (part - marginal)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def _parts(rows: np.ndarray, count: int, size: int | None) -> Iterable[np.ndarray]:
    if size is not None:
        yield from (rows[start:start + size] for start in range(0, len(rows), size))
        return
    for number in range(count):
        yield rows[number * len(rows) // count:(number + 1) * len(rows) // count]
