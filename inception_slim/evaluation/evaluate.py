"""How often a checkpoint is right about a dataset."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import os
import time

from inception_slim import checkpoint as checkpoints, data
from inception_slim.checkpoint.class_names import BACKGROUND, label_offset
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.confusion_matrix import check_confusion_path, write_confusion
from inception_slim.evaluation.grad_cam import OPTIONS as HEATMAP_OPTIONS, Heatmaps
from inception_slim.evaluation.loaders import (
    CALIBRATION,
    calibration_sample,
    load_predictor,
    progress,
)
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.evaluation.report.example_store import ExampleStore
from inception_slim.evaluation.report.html import ReportHeader, check_report, header_rows
from inception_slim.evaluation.report.writer import write_evaluation
from inception_slim.nets import registry
from inception_slim.options import as_dict, build_options
import numpy as np


@dataclass(frozen=True)
class Evaluation:
    """How often a checkpoint is right about a dataset.

    Attributes:
      class_names: the names of the classes, by the label of the dataset.
      num_examples: images that were judged.
      top_1: the share of them whose likeliest class is theirs.
      top_5: the share whose class is among the five likeliest; slim's Recall_5.
      confusion: `[classes, answers]` int64: images by their label and by what was answered. Where
        the checkpoint has a background class and the dataset none, that is one more column, the
        last.
      bad: the images that could not be read.
      note: what was made of a background class; None if there was nothing to say.
      images_per_second: from the first image to the last.
    """

    class_names: list[str]
    num_examples: int
    top_1: float
    top_5: float
    confusion: np.ndarray
    bad: list[str]
    note: str | None
    images_per_second: float

    @property
    def answer_names(self) -> list[str]:
        """The names of the columns of `confusion`."""
        return self.class_names + [BACKGROUND] * (
            self.confusion.shape[1] - self.confusion.shape[0])

    @property
    def per_class(self) -> list[dict]:
        """The accuracy of each class: label, name, images, correct, accuracy (None without any)."""
        rows = []
        for label, (name, row) in enumerate(zip(self.class_names, self.confusion.tolist())):
            images, correct = sum(row), row[label]
            rows.append({'label': label, 'name': name, 'images': images, 'correct': correct,
                         'accuracy': correct / images if images else None})
        return rows


def evaluate(
    checkpoint: str | os.PathLike,
    dataset: str | os.PathLike | data.Dataset,
    *,
    split: str | None = None,
    confusion: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
    heatmap: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
) -> Evaluation:
    """Compares a checkpoint's answers with the labels of a dataset.

    Args:
      dataset: a folder, see `data.open_dataset`, or what that returned. One class more or less
        than the checkpoint has is taken for a background class at 0.
      split: which part of the folder, such as 'validation'.
      confusion: where to write the confusion matrix: a .csv file, or a .png picture, which needs
        matplotlib (`pip install "inception_slim[plot]"`).
      report: where to write a page, .html, to be looked at: the figures with their intervals, the
        confusion matrix, each class, the surest mistakes.
      heatmap: lay over these where the answers came from.
      checkpoint, **options: see `classify`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the dataset cannot be read, does not fit the checkpoint, or has no good image;
        or the confusion matrix or the report cannot be written.
      InceptionSlimError: an argument is out of its range, or `heatmap` given without `report`.

    Example:
      >>> from inception_slim import evaluation
      >>> found = evaluation.evaluate('tests/golden/legacy_scripts', 'tests/golden/legacy_scripts',
      ...                             split='validation')
      >>> found.num_examples, found.bad
      (25, [])
    """
    chosen = build_options(EvaluationOptions, locals(), InceptionSlimError)
    if confusion is not None:
        check_confusion_path(os.fspath(confusion))
    check_report(report, heatmap)
    if not isinstance(dataset, data.Dataset):
        dataset = data.open_dataset(dataset, split)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=chosen.checkpoint_scope)
    offset, note = label_offset(info, dataset)
    classes = dataset.num_classes
    # Whatever is answered and is no class of the dataset goes into the column after the last.
    counts = np.zeros((classes, classes + 1), np.int64)
    right, size = 0, registry.NETWORKS[info.network].image_size
    bad: list[str] = []

    def batches(size_of_batch, bad):
        return data.as_numpy_batches(lambda: data.batches(dataset, size_of_batch, image_size=size,
                                                strict=chosen.strict, bad=bad))

    def calibration():
        if dataset.kind == 'folder':  # whose first images are all of one class
            return calibration_sample(info, dataset.files)
        return next(batches(CALIBRATION, None))['image']

    nothing: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    with nothing if report is None else ExampleStore(keep_images=heatmap) as judged:
        with load_predictor(checkpoint, chosen, calibration) as predictor:
            start = time.perf_counter()
            for batch in progress(batches(chosen.batch_size, bad), dataset.num_examples, bad):
                logits = predictor.logits(batch['image'])
                answers = logits.argmax(axis=1) - offset
                answers[(answers < 0) | (answers >= classes)] = classes
                np.add.at(counts, (batch['label'], answers), 1)
                right += int(in_top(logits, batch['label'] + offset, 5).sum())
                if judged is not None:
                    judged.add(batch['image'], [os.fsdecode(name) for name in batch['name']],
                               batch['label'], answers, logits)
            seconds = time.perf_counter() - start
            precision = predictor.precision
        total = int(counts.sum())
        if offset <= 0:
            counts = counts[:, :classes]
        result = Evaluation(dataset.class_names, total, int(np.trace(counts)) / total,
                            right / total, counts, bad, note, total / seconds)
        if confusion is not None:
            write_confusion(result, confusion)
        if report is not None and judged is not None:
            layers = {}
            if heatmap and judged.mistakes:
                with Heatmaps(checkpoint, **as_dict(chosen, HEATMAP_OPTIONS)) as maps:
                    layers = judged.layers(maps)
            what = dataset.path if split is None else f'{dataset.path}, {split}'
            write_evaluation(report, result, judged, ReportHeader(
                f'Evaluation of {os.path.basename(info.path)}',
                [('Dataset', what), *header_rows(info, precision, chosen)], note), layers,
                dataset.path)
    return result


def in_top(logits: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Whether fewer than `count` classes are likelier; a class that the network lacks never is."""
    known = (classes >= 0) & (classes < logits.shape[1])
    own = np.take_along_axis(logits, np.where(known, classes, 0)[:, np.newaxis], axis=1)
    return known & ((logits > own).sum(axis=1) < count)
