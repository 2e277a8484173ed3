"""Naming what is in images."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import os

from inception_slim import checkpoint as checkpoints, data
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.grad_cam import OPTIONS as HEATMAP_OPTIONS, Heatmaps
from inception_slim.evaluation.loaders import (
    Images,
    calibration_sample,
    load_images,
    load_predictor,
    progress,
)
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.evaluation.report.html import ReportHeader, check_report, header_rows
from inception_slim.evaluation.report.thumbnails import Gallery
from inception_slim.evaluation.report.writer import write_classification
from inception_slim.options import as_dict, build_options
import numpy as np


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image.

    Attributes:
      name: the file.
      classes: the most likely classes, the likeliest first.
      labels: their names.
      probabilities: theirs, in [0, 1].
    """

    name: str
    classes: list[int]
    labels: list[str]
    probabilities: list[float]


@dataclass(frozen=True)
class Classification:
    """The answers of `classify`, in the order of the files.

    Attributes:
      answers: one for each good image.
      bad: the images that could not be read.
      note: what was made of a background class; None if there was nothing to say.
    """

    answers: list[Prediction]
    bad: list[str]
    note: str | None


def classify(
    checkpoint: str | os.PathLike,
    images: Images,
    *,
    labels: str | os.PathLike | Sequence[str] | None = None,
    top: int = 5,
    report: str | os.PathLike | None = None,
    heatmap: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
    batch_size: int = 32,
    strict: bool = False,
) -> Classification:
    """Names what is in images.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      images: files, and folders with images anywhere under them.
      labels: the names of the classes, or a file of them: lines like `0:daisy`, or one name a
        line; 'imagenet' stands for ImageNet's. One more or one less than the checkpoint has are
        taken to differ by a background class at 0. Without them, the names are those of a
        `labels.txt` beside the checkpoint, where `training.train` writes it; where there is none
        of as many classes, ImageNet's for 1,000 and 1,001 classes, and else numbers.
      top: how many classes to name of each image; at least 1.
      report: where to write a page, .html, that shows the images with their answers.
      heatmap: lay over the images of the report where the likeliest class came from.
      **options: those of `EvaluationOptions`: precision, batch_size, strict, use_ema,
        checkpoint_scope; int8 is calibrated on a hundred of the images.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, the labels do not fit the checkpoint, or the report
        cannot be written.
      InceptionSlimError: an argument is out of its range, or `heatmap` given without `report`.

    Example:
      >>> from inception_slim import evaluation
      >>> found = evaluation.classify('tests/golden/legacy_scripts', 'tests/golden/legacy_scripts/images', top=3)
      >>> len(found.answers), len(found.answers[0].classes), found.bad
      (8, 3, [])
    """
    chosen = build_options(EvaluationOptions, locals(), InceptionSlimError)
    if top < 1:
        raise InceptionSlimError(f'top must be at least 1, but is {top}.')
    check_report(report, heatmap)
    files = data.image_files(images)
    info = checkpoints.inspect(checkpoint, checkpoint_scope=chosen.checkpoint_scope)
    names, note = resolve_class_names(info, labels)
    answers: list[Prediction] = []
    bad: list[str] = []
    nothing: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    with (load_predictor(checkpoint, chosen, lambda: calibration_sample(info, files)) as predictor,
          nothing if report is None else Gallery(len(files)) as gallery,
          Heatmaps(checkpoint, **as_dict(chosen, HEATMAP_OPTIONS)) if heatmap else nothing as maps):
        for batch in progress(load_images(info, files, chosen.batch_size, chosen.strict, bad),
                              len(files), bad):
            probabilities = predictor.predict(batch['image'])
            best = np.argsort(-probabilities, axis=1, kind='stable')[:, :top]
            for name, classes, row in zip(batch['name'], best.tolist(), probabilities):
                answers.append(
                    Prediction(
                        os.fsdecode(name),
                        classes,
                        [names[each] for each in classes],
                        row[classes].tolist(),
                    )
                )
            if gallery is not None:
                taken = gallery.add(batch['image'])
                if maps is not None and taken:
                    gallery.lay_over(maps.of(batch['image'][taken], best[taken, 0]))
        precision = predictor.precision
    found = Classification(answers, bad, note)
    if report is not None and gallery is not None:
        write_classification(report, found, gallery.jpegs, ReportHeader(
            f'What {os.path.basename(info.path)} answers', header_rows(info, precision, chosen),
            note), gallery.layers)
    return found
