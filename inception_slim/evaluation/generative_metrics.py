"""FID, KID and the Inception Score of vectors: the arithmetic, in float64 and by NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import os
import zipfile

from inception_slim._atomic_write import atomic_write
from inception_slim.errors import DatasetError
import numpy as np


@dataclass(frozen=True)
class Statistics:
    """The mean and the covariance of what the classifier sees of many images.

    Attributes:
      mu: `[channels]` float64.
      sigma: `[channels, channels]` float64, divided by the number of images less one.
      count: of images; None where a file does not say.
    """

    mu: np.ndarray
    sigma: np.ndarray
    count: int | None = None


class RunningMoments:
    """Gathers `Statistics` in one pass, a batch at a time; memory does not grow."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._scatter = np.zeros(())

    def add(self, vectors: np.ndarray) -> None:
        """Takes `[N, channels]` in; N is at least 1."""
        vectors = vectors.astype(np.float64)
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        # Chan, Golub and LeVeque's update: no difference of two large sums is ever taken.
        apart = mean - self._mean
        total = self.count + len(vectors)
        self._scatter = self._scatter + centred.T @ centred + np.outer(apart, apart) * (
            self.count * len(vectors) / total)
        self._mean = self._mean + apart * (len(vectors) / total)
        self.count = total

    def statistics(self) -> Statistics:
        if self.count < 2:
            raise DatasetError(f'A covariance needs two images, but there is {self.count}; give '
                               'more: thousands, for a figure that means something.')
        return Statistics(self._mean, self._scatter / (self.count - 1), self.count)


def save_statistics(found: Statistics, path: str | os.PathLike) -> None:
    """Writes `mu` and `sigma` as an .npz file, as the other programs that measure FID read it."""
    with atomic_write(os.fspath(path)) as file:
        np.savez(file, mu=found.mu, sigma=found.sigma)


def load_statistics(path: str | os.PathLike) -> Statistics:
    """Reads `mu` and `sigma` of an .npz file.

    Raises:
      DatasetError: it cannot be read, or holds something else.
    """
    path = os.fspath(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {'mu', 'sigma'} <= set(file.files):
                raise DatasetError(f'{path} holds {", ".join(file.files[:5]) or "nothing"}, not '
                                   'the mu and sigma of statistics; give a file of those.')
            mu, sigma = (np.asarray(file[name], np.float64) for name in ('mu', 'sigma'))
    except OSError as error:
        raise DatasetError(f'{path} cannot be read: {error.strerror or error}.') from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError, TypeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f'{path} is no .npz file of numbers, or a damaged one; write it '
                           'again.') from None
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not (
            np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise DatasetError(f'{path} holds mu {list(mu.shape)} and sigma {list(sigma.shape)}, which '
                           'are not the mean and the covariance of vectors; write it again.')
    return Statistics(mu, sigma)


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """The Fréchet distance of two normal distributions: FID, of what Inception sees.

    Raises:
      DatasetError: the two are of vectors of other lengths.

    Source: https://arxiv.org/abs/1706.08500, equation 6.
    """
    if first.mu.shape != second.mu.shape:
        raise DatasetError(f'One is of vectors of {len(first.mu):,} numbers, the other of '
                           f'{len(second.mu):,}: they are of different networks; measure both with '
                           'the same.')
    # The root of the first, symmetric; that of the product has the same trace as the product's
    # symmetric form, whose eigenvalues are not negative but for rounding.
    values, vectors = np.linalg.eigh(first.sigma)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ second.sigma @ root)
    apart = first.mu - second.mu
    return float(apart @ apart + np.trace(first.sigma) + np.trace(second.sigma)
                 - 2 * np.sqrt(np.maximum(product, 0)).sum())


def kernel_inception_distance(first: np.ndarray, second: np.ndarray, subsets: int = 100,
                    subset_size: int = 1000, seed: int = 2020) -> tuple[float, float]:
    """KID: the squared maximum mean discrepancy of a cubic kernel, unbiased, over random subsets.

    Args:
      first, second: `[N, channels]`; N may differ, and must be at least `subset_size`.
      subsets: how many are drawn, at least 1.
      subset_size: vectors of each in a subset, at least 2.
      seed: of the subsets; that of torch-fidelity draws the same.

    Returns:
      The mean over the subsets, and the standard deviation.

    Source: https://arxiv.org/abs/1801.01401, section 4.
    """
    fewest = min(len(first), len(second))
    if not 2 <= subset_size <= fewest:
        raise DatasetError(f'A subset of {subset_size:,} vectors cannot be drawn from {fewest:,}; '
                           f'set the size of a subset to at most {fewest:,}, and at least 2.')
    chance, found = np.random.RandomState(seed), []
    for _ in range(subsets):
        x = first[chance.choice(len(first), subset_size, replace=False)].astype(np.float64)
        y = second[chance.choice(len(second), subset_size, replace=False)].astype(np.float64)

        def kernel(a, b):
            return (a @ b.T / a.shape[1] + 1) ** 3

        inside = sum(each.sum() - np.trace(each) for each in (kernel(x, x), kernel(y, y)))
        found.append(inside / (subset_size * (subset_size - 1)) - 2 * kernel(x, y).mean())
    return float(np.mean(found)), float(np.std(found))


def inception_score(logits: np.ndarray, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """The Inception Score: how sure the answers are, and how different.

    Args:
      logits: `[N, classes]`.
      splits: parts that are scored apart, at most N.
      seed: of the order in which they are dealt out; that of torch-fidelity deals the same.

    Returns:
      The mean over the splits, and the standard deviation.

    Source: https://arxiv.org/abs/1606.03498, section 4.
    """
    count = len(logits)
    if not 1 <= splits <= count:
        raise DatasetError(f'{count:,} images cannot be dealt out to {splits:,} splits; give more '
                           'images, or fewer splits.')
    logits = logits[np.random.RandomState(seed).permutation(count)].astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = []
    for part in _parts(logarithms, splits):
        shares = np.exp(part)
        # A class that nobody is given to adds nothing.
        overall = np.log(np.maximum(shares.mean(axis=0), np.finfo(np.float64).tiny))
        found.append(np.exp((shares * (part - overall)).sum(axis=1).mean()))
    return float(np.mean(found)), float(np.std(found))


def _parts(rows: np.ndarray, count: int) -> Iterable[np.ndarray]:
    for number in range(count):
        yield rows[number * len(rows) // count:(number + 1) * len(rows) // count]
