"""Metrics of a classifier: confidence intervals, precision and recall, calibration, confusion."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution, for a two-sided 95 % interval
BINS = 15
CURVE_POINTS = 101


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion: Wilson's score interval without correction.

    Args:
      correct: the number of successes, from 0 to `total`.
      total: the number of trials; with 0 the interval is [0, 1].

    Returns:
      The ends of the interval, in [0, 1].

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22, 1927.
    """
    if not total:
        return 0.0, 1.0
    share, square = correct / total, _Z * _Z
    centre = share + square / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    # Exactly 0 and 1 at the ends, where there would be a rounding error.
    low = 0.0 if not correct else (centre - half) / scale
    high = 1.0 if correct == total else (centre + half) / scale
    return low, high


def class_probabilities(logits: np.ndarray, activation: str = 'softmax') -> np.ndarray:
    """Probabilities of classes, `[N, num_classes]` float64; softmax unless 'sigmoid'."""
    exact = logits.astype(np.float64)
    if activation == 'sigmoid':
        with np.errstate(over='ignore'):
            return 1 / (1 + np.exp(-exact))
    exponentials = np.exp(exact - exact.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of each class: arrays by label, NaN where the denominator is 0.

    Attributes:
      images: the number of images of the class.
      predicted: the number of images that were predicted as the class.
      correct: the number of images for which both hold.
      precision: correct / predicted.
      recall: correct / images.
      f1: the harmonic mean of precision and recall.
      errors: the number of images for which exactly one of the two holds.
    """

    images: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return self.images + self.predicted - 2 * self.correct


def per_class_metrics(confusion: np.ndarray) -> ClassMetrics:
    """Computes precision, recall and F1 of each class.

    Args:
      confusion: `[labels, predictions]` counts; columns after the last label are other classes.
    """
    classes = len(confusion)
    return class_metrics(confusion.sum(axis=1), confusion[:, :classes].sum(axis=0),
                         np.diagonal(confusion).copy())


def class_metrics(images: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> ClassMetrics:
    """Computes precision, recall and F1 of each class from its counts; see `ClassMetrics`."""

    def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        return np.divide(numerator, denominator, out=np.full(len(images), np.nan),
                         where=denominator > 0)

    return ClassMetrics(images, predicted, correct, divide(correct, predicted),
                        divide(correct, images), divide(2 * correct, images + predicted))


def columns_of(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The probabilities `[N, len(classes)]` of some classes; of -1, no class, they are 0."""
    return np.pad(probabilities, ((0, 0), (0, 1)))[:, classes]


def mean_of_known(values: np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


@dataclass(frozen=True)
class Bin:
    """The predictions with a confidence in `(low, high]`.

    Attributes:
      count: the number of predictions.
      correct: the number of correct ones.
      confidence: the mean confidence; None if the bin is empty.
    """

    low: float
    high: float
    count: int
    correct: int
    confidence: float | None


@dataclass(frozen=True)
class Reliability:
    """The data of a reliability diagram.

    Attributes:
      bins: of equal width.
      error: the expected calibration error, in [0, 1]: the mean difference of confidence and
        accuracy of the bins, weighted by their counts.
    """

    bins: list[Bin]
    error: float


def reliability(probabilities: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Reliability:
    """Bins predictions by confidence and compares their confidence with their accuracy.

    Args:
      probabilities: `[N]`, the confidence of each prediction, in [0, 1].
      correct: `[N]` booleans.
      bins: the number of bins, at least 1.

    Source: https://arxiv.org/abs/1706.04599, section 2, with its 15 bins.
    """
    probabilities = np.asarray(probabilities, np.float64)
    edges = np.arange(bins + 1) / bins
    # The first bin includes 0.
    indices = np.clip(np.searchsorted(edges, probabilities, 'left') - 1, 0, bins - 1)
    counts = np.bincount(indices, minlength=bins)
    correct_counts = np.bincount(indices, weights=correct, minlength=bins).astype(int)
    sums = np.bincount(indices, weights=probabilities, minlength=bins)
    error = np.abs(sums - correct_counts).sum() / max(1, len(probabilities))
    return Reliability(
        [Bin(low, high, count, hits, total / count if count else None)
         for low, high, count, hits, total in zip(
             edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), correct_counts.tolist(),
             sums.tolist())], float(error))


def confused_pairs(confusion: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Up to `most` pairs of label and wrong prediction, in descending order of their counts."""
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    flat = errors.ravel()
    cells = np.flatnonzero(flat)
    cells = cells[np.argsort(-flat[cells], kind='stable')][:most]
    return [divmod(cell, confusion.shape[1]) for cell in cells.tolist()]


def classes_to_show(confusion: np.ndarray, most: int) -> list[int]:
    """Selects up to `most` labels for a confusion matrix, in ascending order.

    All of them if they are few enough; otherwise those of the most confused pairs, and if these
    are fewer than `most`, those with the lowest recall.
    """
    classes = len(confusion)
    if classes <= most:
        return list(range(classes))
    chosen: dict[int, None] = {}
    for pair in confused_pairs(confusion, confusion.size):
        chosen.update(dict.fromkeys(label for label in pair if label < classes))
        if len(chosen) >= most:
            break
    recall = per_class_metrics(confusion).recall
    chosen.update(dict.fromkeys(np.argsort(recall, kind='stable').tolist()))  # NaN is last
    return sorted(list(chosen)[:most])


@dataclass(frozen=True)
class Curves:
    """Curves of classes against all others, at the thresholds of their probabilities.

    NaN stands for a class without images; for the ROC curve, also for one of which all images are.

    Attributes:
      average_precision: `[classes]`, the area under each precision-recall curve as a sum of steps:
        of each precision times the increase of the recall, without interpolation.
      auc: `[classes]`, the area under each ROC curve.
      precision: `[classes, CURVE_POINTS]`, at recalls from 0 to 1.
      true_positives: `[classes, CURVE_POINTS]`, the rates at false positive rates from 0 to 1.
    """

    average_precision: np.ndarray
    auc: np.ndarray
    precision: np.ndarray
    true_positives: np.ndarray


def class_curves(labels: np.ndarray, probabilities: np.ndarray) -> Curves:
    """Computes the curves of each class.

    Args:
      labels: `[N]` integers; or of multi-label images, `[N, classes]` booleans.
      probabilities: `[N, classes]`, or any other numbers in the same order.
    """
    rows = [_curve(labels == label if labels.ndim == 1 else labels[:, label], np.array(scores))
            for label, scores in enumerate(probabilities.T)]
    return Curves(*map(np.array, zip(*rows)))


def _curve(positive: np.ndarray, scores: np.ndarray
           ) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Average precision, AUC, precision and true positive rates of one class."""
    positives, negatives = np.sum(positive), np.sum(~positive)
    empty = np.full(CURVE_POINTS, np.nan)
    if not positives:
        return np.nan, np.nan, empty, empty
    order = np.argsort(-scores, kind='stable')
    # Equal scores are one threshold.
    ends = np.flatnonzero(np.append(np.diff(scores[order]), 1))
    correct = np.cumsum(positive[order])[ends]
    precision, recall = correct / (ends + 1), correct / positives
    points = np.linspace(0, 1, CURVE_POINTS)
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    at_recalls = precision[np.searchsorted(recall, points).clip(max=len(recall) - 1)]
    if not negatives:
        return average, np.nan, at_recalls, empty
    false_rate = np.append(0, (ends + 1 - correct) / negatives)
    true_rate = np.append(0, recall)
    last = np.searchsorted(false_rate, points, 'right') - 1
    auc = float(np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2))
    return average, auc, at_recalls, true_rate[last]


def difference_interval(correct: int, total: int, other_correct: int,
                        other_total: int) -> tuple[float, float]:
    """The 95 % confidence interval of the difference of two proportions of different samples.

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions,
    Statistics in Medicine 17, 1998, method 10.
    """
    share, other_share = correct / total, other_correct / other_total
    (low, high), (other_low, other_high) = (
        wilson_interval(correct, total), wilson_interval(other_correct, other_total))
    difference = share - other_share
    return (difference - math.hypot(share - low, other_high - other_share),
            difference + math.hypot(high - share, other_share - other_low))
