"""Evaluation of a checkpoint on a labelled dataset."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import os
import time

from inception_slim import data
from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.checkpoint.class_names import BACKGROUND, match_classes, resolve_class_names
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.name_list import to_csv_line
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.batch_statistics import (
    batch_statistics_accuracy,
    check_has_statistics,
)
from inception_slim.evaluation.classification_metrics import class_probabilities, columns_of
from inception_slim.evaluation.confusion_matrix import check_confusion_path, write_confusion
from inception_slim.evaluation.grad_cam import OPTIONS as HEATMAP_OPTIONS, Heatmaps
from inception_slim.evaluation.loaders import (
    Checkpoint,
    dataset_batches,
    dataset_sample,
    inspect_checkpoint,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import CANDIDATES, PredictionOptions
from inception_slim.evaluation.report.comparison import read_other_run
from inception_slim.evaluation.report.example_store import ExampleStore
from inception_slim.evaluation.report.writer import (
    check_report_options,
    evaluation_header,
    write_evaluation,
)
from inception_slim.evaluation.results import Evaluation
from inception_slim.inference.predictor import Predictor
from inception_slim.options import as_dict, build_options, check
import numpy as np

PREDICTION_COLUMNS = ('image', 'label', 'class', 'prediction', 'predicted_class', 'probability',
                      'class_probability', 'rank')


def evaluate(
    checkpoint: Checkpoint,
    dataset: str | os.PathLike | data.Dataset,
    *,
    split: str | None = None,
    labels: str | os.PathLike | Sequence[str] | None = None,
    candidates: str = 'all',
    confusion: str | os.PathLike | None = None,
    predictions: str | os.PathLike | None = None,
    report: str | os.PathLike | None = None,
    compare: str | os.PathLike | None = None,
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
    scaled_decoding: bool = False,
    image_size: int | None = None,
) -> Evaluation:
    """Computes the accuracy and the confusion matrix of a checkpoint on a dataset.

    For images that have several labels, see `evaluate_multi_label`.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      dataset: a folder that `data.open_dataset` reads, or its result. Its classes may be some of
        the checkpoint's; they are found by name, by WordNet id or by number. If it has one class
        more or less than the checkpoint, class 0 is assumed to be a background class.
      split: the split of the folder, such as 'validation'.
      labels: the names of the checkpoint's classes; see `classify`.
      candidates: what an image may be predicted as: 'all' classes of the checkpoint, or only those
        of the 'dataset'.
      confusion: where to write the confusion matrix: a .csv file, or a .png file for a plot, which
        needs matplotlib (`pip install "inception_slim[plot]"`).
      predictions: a .csv file to write, with a row for each image: its file, label and class, the
        number and name of the predicted class of the checkpoint, its probability, that of the right
        class, and the rank of the right class, from 1.
      report: an .html file to write, with metrics and confidence intervals, the confusion matrix,
        curves, and the most confident misclassifications.
      compare: the JSON of an earlier evaluation on the same classes (`json.dumps` of `to_dict`, or
        `evaluate --json`), with which the report compares this one.
      heatmap: show Grad-CAM heatmaps on these.
      batch_statistics: also compute the accuracy with batch norm's statistics of each batch of
        `batch_size` shuffled images, as in training: if it is far higher, the moving averages were
        hardly updated.
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
      DatasetError: the dataset cannot be read, does not fit the checkpoint, or has no readable
        image; or an output cannot be written, or `compare` not be read.
      InceptionSlimError: an argument is out of its range, `heatmap` or `compare` is given without
        `report`, or `heatmap`, `batch_statistics` or an option for loading with a predictor.

    Example:
      >>> from inception_slim import evaluation
      >>> result = evaluation.evaluate('tests/golden/legacy_scripts', 'tests/golden/legacy_scripts',
      ...                              split='validation')
      >>> result.num_examples, result.unreadable
      (25, [])
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    check('candidates', candidates, {'choices': CANDIDATES}, InceptionSlimError)
    if confusion is not None:
        check_confusion_path(os.fsdecode(confusion))
    if predictions is not None:
        check_writable(os.fsdecode(predictions))
    check_report_options(report, heatmap, checkpoint)
    if compare is not None and report is None:
        raise InceptionSlimError('compare is shown in a report, but there is no report; give '
                                 'report too.')
    if not isinstance(dataset, data.Dataset):
        dataset = data.open_dataset(dataset, split)
    dataset.check_single_label('evaluate, unlike evaluate_multi_label,')
    other_run = None if compare is None else read_other_run(compare, dataset.class_names)
    info = inspect_checkpoint(checkpoint, options, options.image_size)
    if batch_statistics:
        if isinstance(checkpoint, Predictor):
            raise InceptionSlimError('batch_statistics needs the path of the checkpoint, since a '
                                     'predictor has batch norm folded into its weights.')
        check_has_statistics(info)
    classes, warning = match_classes(info, dataset, labels)
    matched = classes[classes >= 0]
    # The column of the confusion matrix of each class of the checkpoint; the last one counts the
    # predictions that are no class of the dataset.
    columns = np.full(info.num_classes or 0, dataset.num_classes)
    columns[matched] = np.flatnonzero(classes >= 0)
    is_left_out = columns == dataset.num_classes
    if candidates == 'all' and is_left_out.sum() > 1:
        warning = f'{warning} Predictions may be any class; candidates="dataset" leaves others out.'
    is_excluded = is_left_out & (candidates == 'dataset')
    counts = np.zeros((dataset.num_classes, dataset.num_classes + 1), np.int64)
    top_5 = np.zeros(dataset.num_classes, np.int64)
    unreadable: list[str] = []
    rotated: set[str] = set()

    with contextlib.ExitStack() as stack:
        examples = table = None
        if report is not None:
            examples = stack.enter_context(ExampleStore(dataset.num_classes, keep_images=heatmap))
        if predictions is not None:
            names = resolve_class_names(info, labels)[0]
            table = stack.enter_context(atomic_write(os.fsdecode(predictions)))
            table.write(to_csv_line(PREDICTION_COLUMNS))
        with open_predictor(checkpoint, options, lambda: dataset_sample(info, dataset, options),
                            dataset.num_examples, image_size=info.image_size) as predictor:
            start = time.perf_counter()
            for batch in progress(
                    dataset_batches(info, dataset, options, options.batch_size, unreadable,
                                    rotated), dataset.num_examples, unreadable):
                logits = np.where(
                    is_excluded, -np.inf, predictor.logits(batch['image'], batch['name']))
                best = logits.argmax(axis=1)
                np.add.at(counts, (batch['label'], columns[best]), 1)
                ranks = class_ranks(logits, classes[batch['label']])
                np.add.at(top_5, batch['label'], (0 < ranks) & (ranks <= 5))
                if examples is None and table is None:
                    continue
                files = [os.fsdecode(name) for name in batch['name']]
                probabilities = class_probabilities(logits, info.head.activation)
                scores = columns_of(probabilities, classes)
                if examples is not None:
                    examples.add(batch['image'], files, batch['label'], columns[best], best,
                                 probabilities.max(axis=1), scores)
                if table is not None:
                    table.writelines(map(to_csv_line, zip(
                        files, batch['label'].tolist(),
                        [dataset.class_names[label] for label in batch['label']], best.tolist(),
                        [names[number] for number in best], probabilities.max(axis=1).tolist(),
                        scores[np.arange(len(best)), batch['label']].tolist(), ranks.tolist())))
            seconds = time.perf_counter() - start
        total = int(counts.sum())
        if not is_left_out.any() or candidates == 'dataset':
            counts = counts[:, :-1]
        result = Evaluation(
            dataset.class_names, total, int(np.trace(counts)) / total, int(top_5.sum()) / total,
            counts, unreadable, warning, total / seconds, len(rotated),
            other_name=BACKGROUND if is_left_out.sum() == 1 else 'other class',
            top_5_correct=top_5)
        if batch_statistics and not isinstance(checkpoint, Predictor):
            result = dataclasses.replace(result, batch_statistics_top_1=batch_statistics_accuracy(
                checkpoint, info, dataset, columns, is_excluded, options))
        if confusion is not None:
            write_confusion(result, confusion)
        if report is not None and examples is not None:
            heatmap_pngs = {}
            if heatmap and examples.misclassifications:
                with Heatmaps(info.path, image_size=info.image_size,
                              **as_dict(options, HEATMAP_OPTIONS)) as heatmaps:
                    heatmap_pngs = examples.heatmap_pngs(heatmaps)
            write_evaluation(
                report, result, examples, evaluation_header(
                    info, dataset.path, split, predictor.precision, options, warning),
                heatmap_pngs, dataset.path, other_run)
    return result


def class_ranks(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The ranks of given classes: 1 and the number of classes with a higher logit.

    Args:
      logits: `[N, num_classes]`.
      classes: `[N]` integers.

    Returns:
      `[N]` integers; 0 for a class that the network does not have.
    """
    valid = (classes >= 0) & (classes < logits.shape[1])
    own = np.take_along_axis(logits, np.where(valid, classes, 0)[:, np.newaxis], axis=1)
    return np.where(valid, 1 + (logits > own).sum(axis=1), 0)
