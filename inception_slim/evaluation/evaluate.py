"""Evaluation of a checkpoint on a labelled dataset."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import time

from inception_slim import data
from inception_slim.checkpoint.class_names import label_offset
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.batch_statistics import (
    batch_statistics_accuracy,
    check_has_statistics,
)
from inception_slim.evaluation.confusion_matrix import check_confusion_path, write_confusion
from inception_slim.evaluation.grad_cam import OPTIONS as HEATMAP_OPTIONS, Heatmaps
from inception_slim.evaluation.loaders import (
    CALIBRATION_IMAGES,
    Checkpoint,
    calibration_sample,
    inspect_checkpoint,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.evaluation.report.example_store import ExampleStore
from inception_slim.evaluation.report.writer import (
    ReportHeader,
    check_report_options,
    header_rows,
    write_evaluation,
)
from inception_slim.evaluation.results import Evaluation
from inception_slim.inference.predictor import Predictor
from inception_slim.options import as_dict, build_options
import numpy as np


def evaluate(
    checkpoint: Checkpoint,
    dataset: str | os.PathLike | data.Dataset,
    *,
    split: str | None = None,
    confusion: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
    heatmap: bool = False,
    batch_statistics: bool = False,
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
    image_size: int | None = None,
) -> Evaluation:
    """Computes the accuracy and the confusion matrix of a checkpoint on a dataset.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      dataset: a folder that `data.open_dataset` reads, or its result. If it has one class more or
        less than the checkpoint, class 0 is assumed to be a background class.
      split: the split of the folder, such as 'validation'.
      confusion: where to write the confusion matrix: a .csv file, or a .png file for a plot, which
        needs matplotlib (`pip install "inception_slim[plot]"`).
      report: an .html file to write, with metrics and confidence intervals, the confusion matrix,
        and the most confident misclassifications.
      heatmap: show Grad-CAM heatmaps on these.
      batch_statistics: also compute the accuracy with batch norm's statistics of each batch of
        `batch_size` shuffled images, as in training: if it is far higher, the moving averages were
        hardly updated.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for calibrated int8 networks.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; None does so for image files and
        not for TFRecords.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      image_size: height and width of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the dataset cannot be read, does not fit the checkpoint, or has no readable
        image; or the confusion matrix or the report cannot be written.
      InceptionSlimError: an argument is out of its range, `heatmap` is given without `report` or
        with a predictor, or an option for loading or `batch_statistics` is given together with a
        predictor.

    Example:
      >>> from inception_slim import evaluation
      >>> result = evaluation.evaluate('tests/golden/legacy_scripts', 'tests/golden/legacy_scripts',
      ...                              split='validation')
      >>> result.num_examples, result.unreadable
      (25, [])
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    if confusion is not None:
        check_confusion_path(os.fsdecode(confusion))
    check_report_options(report, heatmap, checkpoint)
    if not isinstance(dataset, data.Dataset):
        dataset = data.open_dataset(dataset, split)
    info = inspect_checkpoint(checkpoint, options, options.image_size)
    offset, warning = label_offset(info, dataset)
    if batch_statistics:
        if isinstance(checkpoint, Predictor):
            raise InceptionSlimError('batch_statistics needs the path of the checkpoint, since a '
                                     'predictor has batch norm folded into its weights.')
        check_has_statistics(info)
    classes = dataset.num_classes
    # The last column counts the predictions that are no class of the dataset.
    counts = np.zeros((classes, classes + 1), np.int64)
    top_5 = 0
    unreadable: list[str] = []
    rotated: set[str] = set()

    def batches(batch_size: int, unreadable: list[str] | None = None,
                rotated: set[str] | None = None) -> Iterator[dict[str, np.ndarray]]:
        return data.as_numpy_batches(lambda: data.batches(
            dataset, batch_size, image_size=info.image_size, strict=options.strict,
            unreadable=unreadable, max_pixels=options.max_pixels, exif=options.exif,
            background=options.background, rotated=rotated))

    def calibration_images() -> np.ndarray:
        if dataset.kind == 'folder':  # its first images are all of one class
            return calibration_sample(info, dataset.files, options)
        return next(batches(CALIBRATION_IMAGES))['image']

    no_report: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    with no_report if report is None else ExampleStore(
            keep_images=heatmap, activation=info.head.activation) as examples:
        with open_predictor(checkpoint, options, calibration_images,
                            image_size=info.image_size) as predictor:
            start = time.perf_counter()
            for batch in progress(batches(options.batch_size, unreadable, rotated),
                                  dataset.num_examples, unreadable):
                logits = predictor.logits(batch['image'], batch['name'])
                predictions = logits.argmax(axis=1) - offset
                predictions[(predictions < 0) | (predictions >= classes)] = classes
                np.add.at(counts, (batch['label'], predictions), 1)
                top_5 += int(in_top_k(logits, batch['label'] + offset, 5).sum())
                if examples is not None:
                    examples.add(batch['image'], [os.fsdecode(name) for name in batch['name']],
                                 batch['label'], predictions, logits)
            seconds = time.perf_counter() - start
        total = int(counts.sum())
        if offset <= 0:
            counts = counts[:, :classes]
        result = Evaluation(dataset.class_names, total, int(np.trace(counts)) / total,
                            top_5 / total, counts, unreadable, warning, total / seconds,
                            len(rotated))
        if batch_statistics and not isinstance(checkpoint, Predictor):
            result = dataclasses.replace(result, batch_statistics_top_1=batch_statistics_accuracy(
                checkpoint, info, dataset, offset, options))
        if confusion is not None:
            write_confusion(result, confusion)
        if report is not None and examples is not None:
            heatmap_pngs = {}
            if heatmap and examples.misclassifications:
                with Heatmaps(info.path, image_size=info.image_size,
                              **as_dict(options, HEATMAP_OPTIONS)) as heatmaps:
                    heatmap_pngs = examples.heatmap_pngs(heatmaps)
            name = dataset.path if split is None else f'{dataset.path}, {split}'
            write_evaluation(report, result, examples, ReportHeader(
                f'Evaluation of {os.path.basename(info.path)}',
                [('Dataset', name), *header_rows(info, predictor.precision, options)], warning),
                heatmap_pngs, dataset.path)
    return result


def in_top_k(logits: np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """Whether fewer than `k` classes have a higher logit than the given one.

    Args:
      logits: `[N, num_classes]`.
      classes: `[N]` integers; for one that the network does not have, the result is False.
      k: at least 1.

    Returns:
      `[N]` booleans.
    """
    valid = (classes >= 0) & (classes < logits.shape[1])
    own = np.take_along_axis(logits, np.where(valid, classes, 0)[:, np.newaxis], axis=1)
    return valid & ((logits > own).sum(axis=1) < k)
