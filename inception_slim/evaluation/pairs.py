"""Verification of pairs of faces, by the protocol of Labeled Faces in the Wild (LFW).

The figures are those that FaceNet's `validate_on_lfw.py` prints: two faces are the same if the
squared distance of their embeddings, at length 1, is below a threshold.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
import os

from inception_slim import data
from inception_slim.data import filesystem
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.features import features, normalize_length
from inception_slim.evaluation.loaders import Checkpoint
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.evaluation.results import Result
from inception_slim.options import as_dict, build_options, check, option_names
import numpy as np

FOLDS = 10
# Squared distances, for the accuracy and for the validation rate.
_THRESHOLDS, _FINE_THRESHOLDS = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
_FALSE_ACCEPT_RATE = 1e-3


@dataclass(frozen=True, repr=False)
class PairsResult(Result):
    """How well embeddings tell pairs of the same person from pairs of two.

    Attributes:
      accuracy: fraction of correct decisions, the mean of the folds; the threshold of each fold is
        the best one of the others.
      accuracy_deviation: its standard deviation over the folds.
      validation_rate: fraction of accepted pairs of the same person (VAL), at the threshold by
        which 1 in 1,000 pairs of two persons in the other folds is accepted.
      validation_rate_deviation: its standard deviation over the folds.
      false_accept_rate: fraction of accepted pairs of two persons at that threshold (FAR).
      auc: area under the ROC curve.
      eer: equal error rate: where as many pairs of one person are refused as of two accepted.
      threshold: mean of the folds' thresholds of the squared distance.
      num_pairs: number of pairs.
      skipped: the pairs whose images are missing or unreadable, as in the list.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
    """

    accuracy: float
    accuracy_deviation: float
    validation_rate: float
    validation_rate_deviation: float
    false_accept_rate: float
    auc: float
    eer: float
    threshold: float
    num_pairs: int
    skipped: list[str]
    rotated: int = 0


def evaluate_pairs(
    checkpoint: Checkpoint,
    images: str | os.PathLike,
    pairs: str | os.PathLike,
    *,
    folds: int = FOLDS,
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
) -> PairsResult:
    """Evaluates the embeddings of a checkpoint on pairs of faces.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      images: the folder of the images, aligned as for training: `NAME/NAME_0001.jpg`.
      pairs: the list of pairs, as LFW's `pairs.txt`: `NAME 1 2` are two images of a person, and
        `NAME 1 OTHER 2` images of two. A first line of one or two numbers is skipped.
      folds: number of consecutive parts of the list for cross-validation.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for a missing or unreadable image instead of skipping its pairs.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; False does not.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      scaled_decoding: decode large JPEG files at a fraction of their size; see
        `PredictionOptions`.
      image_size: height and width of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the list cannot be read, or a fold has no pair of the same person or of two.
      InceptionSlimError: an argument is out of its range.

    Source: http://vis-www.cs.umass.edu/lfw; the thresholds and folds are FaceNet's.
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    images, pairs = os.fsdecode(images), os.fsdecode(pairs)
    check('folds', folds, {'at_least': 2}, InceptionSlimError)
    listed = read_pairs(pairs)
    paths = {item: _find_image(images, *item)
             for first, second in listed for item in (first, second)}
    missing = [f'{name} {number}' for (name, number), path in paths.items() if path is None]
    if missing and options.strict:
        raise DatasetError(f'{images} has no image {missing[0]} of {pairs}; '
                           'add it, or leave out strict to skip its pairs.')
    files = sorted({path for path in paths.values() if path is not None})
    if not files:
        raise DatasetError(f'{images} has none of the images of {pairs}; the '
                           f'first would be {_image_stem(*listed[0][0])}.jpg.')
    computed = features(checkpoint, files, **as_dict(options, option_names(PredictionOptions)))
    rows = {name: row for row, name in enumerate(computed.names)}
    indices: list[tuple[int, int]] = []
    same: list[bool] = []
    skipped: list[str] = []
    for first, second in listed:
        row, other = (rows.get(paths[item] or '') for item in (first, second))
        if row is None or other is None:
            skipped.append(' '.join((*first, *second)))
        else:
            indices.append((row, other))
            same.append(first[0] == second[0])
    vectors = normalize_length(computed.features)
    left, right = (vectors[[pair[side] for pair in indices]] for side in (0, 1))
    result = _measure(np.sum((left - right) ** 2, axis=1), np.array(same), folds, skipped)
    return dataclasses.replace(result, rotated=computed.rotated)


def read_pairs(path: str | os.PathLike) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Reads a list of pairs; each image is the name of a person and a number.

    Raises:
      DatasetError: it cannot be read, or a line is not a pair.
    """
    path = os.fsdecode(path)
    with filesystem.wrap_io_errors(path), filesystem.open_binary(path) as file:
        lines = file.read().decode(errors='surrogateescape').splitlines()
    pairs = []
    for number, line in enumerate(lines, start=1):
        words = line.split('\t') if '\t' in line else line.split()
        if not words or number == 1 and len(words) < 3 and all(word.isdecimal() for word in words):
            continue
        if len(words) == 3:
            words.insert(2, words[0])
        if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
            raise DatasetError(f'{path}, line {number}, is not a pair: {line[:80]!r}; write '
                               '"NAME 1 2" for two images of a person, and "NAME 1 OTHER 2" for '
                               'images of two.')
        pairs.append(((words[0], words[1]), (words[2], words[3])))
    if not pairs:
        raise DatasetError(f'{path} has no pairs; give a list as the pairs.txt of LFW.')
    return pairs


def _image_stem(name: str, number: str) -> str:
    return os.path.join(name, f'{name}_{int(number):04d}')


def _find_image(folder: str, name: str, number: str) -> str | None:
    """The path of an image, with any suffix; None if there is none."""
    stem = os.path.join(folder, _image_stem(name, number))
    return next((stem + suffix for suffix in data.SUFFIXES if os.path.exists(stem + suffix)), None)


def _measure(distances: np.ndarray, same: np.ndarray, folds: int,
             skipped: list[str]) -> PairsResult:
    """Computes the figures from squared distances.

    Args:
      distances: `[pairs]`.
      same: `[pairs]`, whether a pair is of the same person.
      folds: number of consecutive parts.
      skipped: see `PairsResult`.
    """
    parts = np.array_split(np.arange(len(same)), folds)
    totals = np.array([[np.sum(same[part]), np.sum(~same[part])] for part in parts])
    if not totals.all():
        raise DatasetError(f'Each of the {folds} parts of the list needs pairs of the same person '
                           f'and of two, but part {int(np.argmin(totals.all(1))) + 1} has '
                           'only one kind; give a longer list, or order it as LFW does.')

    def accepted(thresholds: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """The pairs of a kind with a distance below each threshold, `[folds, thresholds]`."""
        return np.array([np.searchsorted(np.sort(distances[part][kind[part]]), thresholds)
                         for part in parts])

    def others(counts: np.ndarray) -> np.ndarray:
        """The sums of all folds but each."""
        return counts.sum(axis=0) - counts

    right, wrong = accepted(_THRESHOLDS, same), accepted(_THRESHOLDS, ~same)
    tpr, fpr = ((counts / totals[:, kind:kind + 1]).mean(axis=0)
                for kind, counts in enumerate((right, wrong)))
    correct = right + totals[:, 1:] - wrong
    best = others(correct).argmax(axis=1)
    accuracies = correct[np.arange(folds), best] / totals.sum(axis=1)

    rates = others(accepted(_FINE_THRESHOLDS, ~same)) / others(totals)[:, 1:]
    fine = np.array([_threshold_at(rate) for rate in rates])
    validation, false_accept = (
        np.diagonal(accepted(fine, kind)) / totals[:, column]
        for column, kind in enumerate((same, ~same)))
    return PairsResult(
        accuracy=float(accuracies.mean()), accuracy_deviation=float(accuracies.std()),
        validation_rate=float(validation.mean()),
        validation_rate_deviation=float(validation.std()),
        false_accept_rate=float(false_accept.mean()),
        auc=float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)),
        eer=_equal_error_rate(fpr, tpr), threshold=float(_THRESHOLDS[best].mean()),
        num_pairs=len(same), skipped=skipped)


def _threshold_at(rates: np.ndarray) -> float:
    """The threshold of the target false accept rate, interpolated; 0 if none reaches it."""
    index = int(np.searchsorted(rates, _FALSE_ACCEPT_RATE))
    if index == len(rates):
        return 0.0
    if index == 0:
        return float(_FINE_THRESHOLDS[0])
    part = (_FALSE_ACCEPT_RATE - rates[index - 1]) / (rates[index] - rates[index - 1])
    low, high = _FINE_THRESHOLDS[index - 1:index + 1]
    return float(low + part * (high - low))


def _equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Where the ROC curve crosses the line from (0, 1) to (1, 0)."""
    excess = 1 - fpr - tpr  # falls from 1
    index = int(np.argmax(excess <= 0)) if (excess <= 0).any() else len(excess) - 1
    step = excess[index - 1] - excess[index]
    part = excess[index - 1] / step if step else 0.0
    return float(fpr[index - 1] + part * (fpr[index] - fpr[index - 1]))
