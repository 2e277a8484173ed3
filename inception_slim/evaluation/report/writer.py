"""Writes the HTML reports of `classify` and `evaluate`.

A report is one self-contained file: style, script and images are embedded, and nothing is loaded
from the network. The number and the size of the images are limited, so that the report of ten
thousand images or of a thousand classes can still be opened and sent. The templates are in
`static/`; Jinja2 escapes all values in them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import functools
import hashlib
from importlib import resources
import math
import os
import re
import time
from typing import Any

from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.classification_metrics import (
    CURVE_POINTS,
    ClassMetrics,
    Curves,
    class_metrics,
    classes_to_show,
    confused_pairs,
    mean_of_known,
    per_class_metrics,
    reliability,
    wilson_interval,
)
from inception_slim.evaluation.loaders import Checkpoint
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.evaluation.report.comparison import OtherRun
from inception_slim.evaluation.report.example_store import (
    Cell,
    ExampleStore,
    StoredExample,
)
from inception_slim.evaluation.report.thumbnails import LARGE, MAX_BYTES, MAX_IMAGES
from inception_slim.evaluation.results import Classification, Evaluation, MultiLabelEvaluation
from inception_slim.inference import Predictor
from inception_slim.nets import registry
import jinja2
from markupsafe import Markup
import numpy as np

MAX_MATRIX_CLASSES = 50
MAX_PAIRS = 20  # most confused pairs
MAX_ROWS = 5_000  # of a table
MAX_PREDICTIONS = 10  # of an image
MAX_UNREADABLE = 200  # file names
_CURVE_STEP = 2  # the points of a curve that the page's script draws
_FIRST_CORRECT = 2  # correct examples of each class that come before all wrong ones

_SURROGATES = re.compile('[\ud800-\udfff]')  # undecodable bytes of file names


@dataclass(frozen=True)
class ReportHeader:
    """The head of a report: a title, rows of name and value, and an optional warning."""

    title: str
    rows: Sequence[tuple[str, str]]
    warning: str | None = None


def check_report_options(report: str | os.PathLike | None, heatmap: bool,
                         checkpoint: Checkpoint) -> None:
    """Raises an error if a report cannot be written; called before the evaluation starts."""
    if heatmap and report is None:
        raise InceptionSlimError('heatmap shows heatmaps in a report, but there is no report; '
                                 'give report too.')
    if heatmap and isinstance(checkpoint, Predictor):
        raise InceptionSlimError('heatmap needs the weights of the checkpoint, which a loaded '
                                 'predictor does not keep; give the path of the checkpoint.')
    if report is not None:
        report = os.fsdecode(report)
        if not report.lower().endswith(('.html', '.htm')):
            raise DatasetError(f'{report} must end in .html.')
        check_writable(report)


def header_rows(info: CheckpointInfo, precision: str, options: EvaluationOptions
                ) -> list[tuple[str, str]]:
    """The rows of the header that describe the checkpoint."""
    averages = ', moving averages of the weights' if options.use_ema else ''
    return [('Checkpoint', info.path),
            ('Network', registry.NETWORKS[info.network].title + averages),
            ('Image size', f'{info.image_size}×{info.image_size}'),
            ('Precision', precision),
            ('Date', time.strftime('%d %B %Y, %H:%M'))]


def evaluation_header(info: CheckpointInfo, dataset: str, split: str | None, precision: str,
                      options: EvaluationOptions, warning: str | None) -> ReportHeader:
    """The header of the evaluation of a checkpoint on a dataset, or on a split of it."""
    return ReportHeader(
        f'Evaluation of {os.path.basename(info.path)}',
        [('Dataset', dataset if split is None else f'{dataset}, {split}'),
         *header_rows(info, precision, options)], warning)


def write_evaluation(
    path: str | os.PathLike,
    result: Evaluation,
    examples: ExampleStore,
    header: ReportHeader,
    heatmaps: dict[int, bytes] | None = None,
    folder: str = '',
    other_run: OtherRun | None = None,
) -> None:
    """Writes the report of `evaluate`.

    Args:
      path: the HTML file.
      result: the metrics.
      examples: the evaluated images.
      header: describes the checkpoint and the dataset.
      heatmaps: PNG overlays for `examples.misclassifications`, by their `index`.
      folder: of the dataset; removed from the names of its images.
      other_run: an earlier evaluation to compare with.

    Raises:
      DatasetError: the file cannot be written.
    """
    metrics = per_class_metrics(result.confusion)
    labels = range(len(result.class_names))
    if len(labels) > MAX_ROWS:
        labels = sorted(np.argsort(-metrics.errors, kind='stable')[:MAX_ROWS].tolist())
    diagram = reliability(examples.probabilities, examples.correct)
    none = np.full(len(result.class_names), np.nan)
    curves = examples.curves() or Curves(none, none, none[:, np.newaxis], none[:, np.newaxis])
    top_5 = none
    if result.top_5_correct is not None:
        top_5 = np.divide(result.top_5_correct, metrics.images, out=none.copy(),
                          where=metrics.images > 0)
    _write(path, 'evaluation.html', header, {
        'result': result,
        'metrics': metrics,
        'labels': labels,
        'accuracies': [(name, share, round(share * result.num_examples),
                        wilson_interval(round(share * result.num_examples), result.num_examples))
                       for name, share in (('Top-1 accuracy', result.top_1),
                                           ('Top-5 accuracy', result.top_5))],
        'confidence': float(examples.probabilities.mean()),
        'diagram': diagram,
        'wilson_interval': wilson_interval,
        'content': {**_matrix_content(result, metrics, examples, folder),
                    'curves': _curves_content(
                        result.class_names,
                        classes_to_show(result.confusion, MAX_MATRIX_CLASSES), curves)},
        'curves': curves,
        'mean_curves': _mean_curves(curves),
        'top_5': top_5,
        'other_run': other_run,
        'pairs': confused_pairs(result.confusion, MAX_PAIRS),
        'misclassifications': examples.misclassifications,
        'num_wrong': result.num_examples - round(result.top_1 * result.num_examples),
        'heatmaps': heatmaps or {},
        'folder': folder,
    })


def write_multi_label(path: str | os.PathLike, result: MultiLabelEvaluation, curves: Curves,
                      header: ReportHeader) -> None:
    """Writes the report of `evaluate_multi_label`.

    Args:
      path: the HTML file.
      result: the metrics.
      curves: of the classes.
      header: describes the checkpoint and the dataset.

    Raises:
      DatasetError: the file cannot be written.
    """
    metrics = class_metrics(result.images, result.predicted, result.correct)
    by_precision = np.argsort(curves.average_precision, kind='stable')  # NaN is last
    labels = sorted(by_precision[:MAX_ROWS].tolist())
    drawn = sorted(by_precision[:MAX_MATRIX_CLASSES].tolist())
    _write(path, 'multi_label.html', header, {
        'result': result,
        'metrics': metrics,
        'labels': labels,
        'max_curves': MAX_MATRIX_CLASSES,
        'content': {'curves': _curves_content(result.class_names, drawn, curves)},
        'curves': curves,
        'mean_curves': _mean_curves(curves),
    })


def write_classification(path: str | os.PathLike, result: Classification,
                         jpegs: dict[int, bytes], header: ReportHeader,
                         heatmaps: dict[int, bytes] | None = None) -> None:
    """Writes the report of `classify`: the images with their predictions.

    Args:
      path: the HTML file.
      result: the predictions.
      jpegs: thumbnails, by their index in `result.predictions`; the others are listed in a table.
      header: describes the checkpoint.
      heatmaps: PNG overlays, by the same index.

    Raises:
      DatasetError: the file cannot be written.
    """
    predictions = list(enumerate(result.predictions))
    _write(path, 'classification.html', header, {
        'result': result,
        'cards': [(index, prediction) for index, prediction in predictions if index in jpegs],
        'others': [prediction for index, prediction in predictions if index not in jpegs],
        'jpegs': jpegs,
        'heatmaps': heatmaps or {},
    })


def _write(path: str | os.PathLike, template: str, header: ReportHeader,
           values: dict[str, Any]) -> None:
    style, script = (_static_file(name) for name in ('page.css', 'page.js'))
    # The content security policy allows this script only, whatever is in the names.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template(template).render(
        header=header, style=Markup(style), script=Markup(script), script_digest=digest, **values)
    with atomic_write(os.fsdecode(path)) as file:
        file.write(page.encode('utf-8'))


def _static_file(name: str) -> str:
    return (resources.files(__package__) / 'static' / name).read_text('utf-8')


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_static_file), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.policies['json.dumps_kwargs'] = {'ensure_ascii': False, 'allow_nan': False,
                                                 'separators': (',', ':')}
    environment.filters.update(
        name=truncate, data_uri=_data_uri, relative=relative_name,
        percent=lambda share: f'{share:.2%}', number=lambda count: f'{count:,}')
    environment.tests['nan'] = math.isnan
    environment.globals.update(
        image_size=LARGE, max_predictions=MAX_PREDICTIONS, max_rows=MAX_ROWS,
        max_unreadable=MAX_UNREADABLE)
    return environment


def truncate(name: str, most: int = 200) -> str:
    """A name of at most `most` characters, its middle cut out; undecodable bytes as `\\xff`."""
    name = _SURROGATES.sub(lambda match: f'\\x{ord(match[0]) & 0xff:02x}', name)
    half = most // 2
    return name if len(name) <= most else f'{name[:half]}…{name[-half:]}'


def relative_name(name: str, folder: str) -> str:
    """The name of an image relative to the folder of its dataset."""
    return name.removeprefix(os.path.join(folder, ''))


def _data_uri(image: bytes) -> str:
    """A JPEG or PNG file as a data URI."""
    kind = 'png' if image.startswith(b'\x89PNG') else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(image).decode()}'


def _matrix_content(result: Evaluation, metrics: ClassMetrics, examples: ExampleStore,
                    folder: str) -> dict[str, Any]:
    """The data from which the page's script draws the confusion matrix and its examples."""
    classes = classes_to_show(result.confusion, MAX_MATRIX_CLASSES)
    columns = classes + list(range(len(result.class_names), result.confusion.shape[1]))
    counts = result.confusion[np.ix_(classes, columns)]
    names = result.prediction_names
    cells: dict[str, list] = {}
    for (label, prediction), example in _examples_to_show(
            result.confusion, classes, columns, examples):
        cells.setdefault(f'{label},{prediction}', []).append([
            truncate(relative_name(example.name, folder)), round(example.probability, 4),
            base64.b64encode(example.jpeg).decode()])
    return {
        'names': [truncate(names[column], 120) for column in columns],
        'labels': columns,
        'counts': counts.tolist(),
        'images': metrics.images[classes].tolist(),
        'others': (metrics.images[classes] - counts.sum(axis=1)).tolist(),
        'accuracy': [None if math.isnan(share) else share
                     for share in metrics.recall[classes].tolist()],
        'errors': metrics.errors[classes].tolist(),
        'cells': cells,
    }


def _curves_content(names: Sequence[str], labels: Sequence[int], curves: Curves) -> list[list]:
    """Name, areas and curves of those classes that have some."""
    return [[truncate(names[label], 120),
             [curves.average_precision[label], curves.auc[label]],
             *([round(value, 3) for value in values[label, ::_CURVE_STEP].tolist()]
               for values in (curves.precision, curves.true_positives))]
            for label in labels if not math.isnan(curves.auc[label])]


def _mean_curves(curves: Curves) -> dict[str, Any] | None:
    """The means over the classes, of the curves as points; None without any."""
    known = ~np.isnan(curves.auc)
    if not known.any():
        return None
    points = np.linspace(0, 1, CURVE_POINTS).tolist()
    precision, rates = (list(zip(points, values[known].mean(axis=0).tolist()))
                        for values in (curves.precision, curves.true_positives))
    return {'average_precision': mean_of_known(curves.average_precision),
            'auc': curves.auc[known].mean(), 'precision': precision, 'true_positives': rates}


def _examples_to_show(confusion: np.ndarray, classes: list[int], columns: list[int],
                      examples: ExampleStore) -> Iterator[tuple[Cell, StoredExample]]:
    """The examples of the matrix, up to the limits of a page; those of a cell in their order."""
    ranked = [((label, prediction), rank, example)
              for label in classes for prediction in columns
              for rank, example in enumerate(examples.examples_in_cell(label, prediction))]

    def sort_key(item: tuple[Cell, int, StoredExample]) -> tuple[int, int]:
        (label, prediction), rank, _ = item
        if label != prediction:
            return 1, rank - int(confusion[label, prediction])  # cells with high counts first
        return (0 if rank < _FIRST_CORRECT else 2), rank

    size = 0
    for cell, _, example in sorted(ranked, key=sort_key)[:MAX_IMAGES]:
        size += len(example.jpeg)
        if size > MAX_BYTES:
            break
        yield cell, example
