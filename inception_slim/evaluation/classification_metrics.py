"""The figures of a report: intervals, precision and recall, calibration, what is confused."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

_Z = 1.959963984540054  # of the normal distribution: 95 % of it lie within so many deviations
BINS = 15


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, Wilson's score interval without correction.

    Args:
      right: how many, from 0 to `total`.
      total: of how many; of none, the share may be any.

    Returns:
      The ends of the interval, in [0, 1].

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22, 1927.
    """
    if not total:
        return 0.0, 1.0
    share, square = right / total, _Z * _Z
    centre = share + square / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    # Of none and of all, rounding is all that keeps the ends from 0 and 1.
    low = 0.0 if not right else (centre - half) / scale
    high = 1.0 if right == total else (centre + half) / scale
    return low, high


@dataclass(frozen=True)
class ClassMetrics:
    """How each class fared; arrays by label, NaN where there is nothing to divide by.

    Attributes:
      images: of the class.
      answered: how often it was the answer.
      correct: how often both.
      precision: correct of answered.
      recall: correct of images.
      f1: the harmonic mean of both; NaN where the class neither is nor is answered.
    """

    images: np.ndarray
    answered: np.ndarray
    correct: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def per_class_metrics(confusion: np.ndarray) -> ClassMetrics:
    """Precision, recall and F1 of each class.

    Args:
      confusion: `[classes, answers]` counts; answers beyond the classes are nobody's.
    """
    classes = len(confusion)
    images = confusion.sum(axis=1)
    answered = confusion[:, :classes].sum(axis=0)
    correct = np.diagonal(confusion).copy()

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(classes, np.nan), where=whole > 0)

    return ClassMetrics(images, answered, correct, share(correct, answered),
                        share(correct, images), share(2 * correct, images + answered))


@dataclass(frozen=True)
class Bin:
    """The answers whose probability is in `(low, high]`.

    Attributes:
      count: how many.
      right: how many of them are right.
      confidence: the mean of their probabilities; None without any.
    """

    low: float
    high: float
    count: int
    right: int
    confidence: float | None


@dataclass(frozen=True)
class Reliability:
    """Whether answers are as often right as they are sure.

    Attributes:
      bins: of equal width.
      error: the expected calibration error: the mean distance of confidence and accuracy of the
        bins, by their counts; in [0, 1].
    """

    bins: list[Bin]
    error: float


def reliability(probabilities: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Answers by how sure they are, and how often right.

    Args:
      probabilities: `[N]` of the answers, in [0, 1].
      right: `[N]` booleans.
      bins: how many; at least 1.

    Source: https://arxiv.org/abs/1706.04599, section 2, with its 15 bins.
    """
    probabilities = np.asarray(probabilities, np.float64)
    edges = np.arange(bins + 1) / bins
    # The first takes 0 too.
    places = np.clip(np.searchsorted(edges, probabilities, 'left') - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    rights = np.bincount(places, weights=right, minlength=bins).astype(int)
    sums = np.bincount(places, weights=probabilities, minlength=bins)
    error = np.abs(sums - rights).sum() / max(1, len(probabilities))
    return Reliability(
        [Bin(low, high, count, hits, total / count if count else None)
         for low, high, count, hits, total in zip(
             edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), rights.tolist(),
             sums.tolist())], float(error))


def confused_pairs(confusion: np.ndarray, most: int) -> list[tuple[int, int]]:
    """The cells of mistakes, class and answer, with the most images first; without empty ones."""
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    flat = mistakes.ravel()
    cells = np.flatnonzero(flat)
    cells = cells[np.argsort(-flat[cells], kind='stable')][:most]
    return [divmod(cell, confusion.shape[1]) for cell in cells.tolist()]


def classes_to_show(confusion: np.ndarray, most: int) -> list[int]:
    """The classes, in order, of the part of the matrix that is worth seeing: all if not too many.

    Those of the most confused pairs; where these are too few, those that are least often right.
    """
    classes = len(confusion)
    if classes <= most:
        return list(range(classes))
    chosen: dict[int, None] = {}
    # Each pair brings at most two classes, and one that brings none costs nothing to look at.
    for pair in confused_pairs(confusion, confusion.size):
        chosen.update(dict.fromkeys(label for label in pair if label < classes))
        if len(chosen) >= most:
            break
    recall = per_class_metrics(confusion).recall
    chosen.update(dict.fromkeys(np.argsort(recall, kind='stable').tolist()))  # NaN comes last
    return sorted(list(chosen)[:most])
