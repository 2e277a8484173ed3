"""Evaluation of a checkpoint on images that may have several labels."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import os
import time

from inception_slim import data
from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.checkpoint.class_names import match_classes
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.name_list import to_csv_line
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.classification_metrics import (
    class_metrics,
    columns_of,
    mean_of_known,
)
from inception_slim.evaluation.loaders import (
    Checkpoint,
    dataset_batches,
    dataset_sample,
    inspect_checkpoint,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.evaluation.report.score_file import ScoreFile
from inception_slim.evaluation.report.writer import (
    check_report_options,
    evaluation_header,
    write_multi_label,
)
from inception_slim.evaluation.results import MultiLabelEvaluation
from inception_slim.options import build_options, check
import numpy as np


def evaluate_multi_label(
    checkpoint: Checkpoint,
    dataset: str | os.PathLike | data.Dataset,
    *,
    split: str | None = None,
    labels: str | os.PathLike | Sequence[str] | None = None,
    threshold: float = 0.5,
    predictions: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
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
) -> MultiLabelEvaluation:
    """Computes average precision, area under the ROC curve and F1 of each class, and their means.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
        Its head should be a sigmoid, as `training.train` makes of a multi-label dataset.
      dataset: a multi-label dataset that `data.open_dataset` reads, or its result. Its classes may
        be some of the checkpoint's; see `evaluate`.
      split: the split of the dataset, such as 'validation'.
      labels: the names of the checkpoint's classes; see `classify`.
      threshold: the probability from which a class counts as predicted, in [0, 1].
      predictions: a .csv file to write, with a row for each image: its file, its labels and the
        predicted ones, each separated by `;`, and the probability of each class.
      report: an .html file to write, with the metrics of each class and curves.
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
      scaled_decoding: decode large JPEG files at a fraction of their size; see
        `PredictionOptions`.
      image_size: height and width of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the dataset cannot be read, has one label per image, does not fit the
        checkpoint, or has no readable image; or an output cannot be written.
      InceptionSlimError: an argument is out of its range, or an option for loading is given
        together with a predictor.
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    check('threshold', threshold, {'at_least': 0, 'at_most': 1}, InceptionSlimError)
    if predictions is not None:
        check_writable(os.fsdecode(predictions))
    check_report_options(report, False, checkpoint)
    images = dataset if isinstance(dataset, data.Dataset) else data.open_dataset(dataset, split)
    if not images.multi_label:
        raise DatasetError(f'The images of {images.path} have one label each; use evaluate.')
    info = inspect_checkpoint(checkpoint, options, options.image_size)
    classes, warning = match_classes(info, images, labels)
    if info.head.activation != 'sigmoid':
        warning = ' '.join(filter(None, [warning, (
            f'The head of {info.path} is {info.head.activation} and not sigmoid: its outputs are '
            'no probabilities of each class by itself.')]))
    names = images.class_names
    counts = np.zeros((3, len(names)), np.int64)  # images, predicted and correct ones
    total = 0
    unreadable: list[str] = []
    rotated: set[str] = set()
    with contextlib.ExitStack() as stack:
        scores = stack.enter_context(contextlib.closing(ScoreFile(len(names), multi_label=True)))
        table = None
        if predictions is not None:
            table = stack.enter_context(atomic_write(os.fsdecode(predictions)))
            table.write(to_csv_line(['image', 'labels', 'predicted', *names]))
        with open_predictor(checkpoint, options, lambda: dataset_sample(info, images, options),
                            images.num_examples, image_size=info.image_size) as predictor:
            start = time.perf_counter()
            for batch in progress(
                    dataset_batches(info, images, options, options.batch_size, unreadable,
                                    rotated), images.num_examples, unreadable):
                probabilities = predictor.predict(batch['image'], batch['name'])
                probabilities = columns_of(probabilities, classes)
                positive, predicted = batch['label'] > 0, probabilities >= threshold
                scores.add(positive, probabilities)
                counts += [part.sum(axis=0) for part in (positive, predicted, positive & predicted)]
                total += len(positive)
                if table is not None:
                    table.writelines(map(to_csv_line, (
                        [os.fsdecode(name), *(';'.join(names[number] for number in np.flatnonzero(
                            row)) for row in rows), *values]
                        for name, *rows, values in zip(batch['name'], positive, predicted,
                                                       probabilities.tolist()))))
            seconds = time.perf_counter() - start
        curves = scores.curves()
        assert curves is not None
        metrics = class_metrics(*counts)
        average_precision, auc = ([None if np.isnan(value) else value for value in values.tolist()]
                                  for values in (curves.average_precision, curves.auc))
        result = MultiLabelEvaluation(
            names, total, threshold, mean_of_known(curves.average_precision),
            mean_of_known(curves.auc),
            2 * int(counts[2].sum()) / max(1, int(counts[:2].sum())),
            mean_of_known(metrics.f1[metrics.images > 0]), counts[0], counts[1], counts[2],
            average_precision, auc, unreadable, warning, total / seconds, len(rotated))
        if report is not None:
            write_multi_label(report, result, curves, evaluation_header(
                info, images.path, split, predictor.precision, options, warning))
    return result
