"""Image classification."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import os

from inception_slim import data
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.grad_cam import OPTIONS as HEATMAP_OPTIONS, Heatmaps
from inception_slim.evaluation.loaders import (
    Checkpoint,
    Images,
    calibration_sample,
    inspect_checkpoint,
    load_images,
    open_predictor,
    progress,
)
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.evaluation.report.thumbnails import Gallery
from inception_slim.evaluation.report.writer import (
    ReportHeader,
    check_report_options,
    header_rows,
    write_classification,
)
from inception_slim.evaluation.results import Classification, Prediction
from inception_slim.options import as_dict, build_options, check
import numpy as np


def classify(
    checkpoint: Checkpoint,
    images: Images,
    *,
    labels: str | os.PathLike | Sequence[str] | None = None,
    top: int | None = None,
    threshold: float | None = None,
    report: str | os.PathLike | None = None,
    heatmap: bool = False,
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
) -> Classification:
    """Predicts the classes of images.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, or a loaded `inference.Predictor`.
      images: image files, and folders that are searched recursively.
      labels: the class names, or a file of them with lines like `0:daisy` or one name a line;
        'imagenet' means ImageNet's. If there is one name more or less than the checkpoint has
        classes, class 0 is assumed to be a background class. By default the names are read from a
        `labels.txt` beside the checkpoint, as `training.train` writes it; without a matching one,
        checkpoints of 1,000 and 1,001 classes get ImageNet's names, and others get numbers.
      top: the most classes per image, at least 1; None means 5, or without limit if there is a
        threshold.
      threshold: the least probability of a class, in [0, 1], so that an image may have none. None
        means 0.5 for networks whose classes do not exclude each other (`activation` 'sigmoid'), if
        `top` is None too, and no limit otherwise.
      report: an .html file to write, with the images and their predictions.
      heatmap: show a Grad-CAM heatmap of the most likely class on each image of the report.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      precision: 'float32', 'bfloat16' or 'int8'; int8 is calibrated on a hundred of the images.
      engine: which runtime runs the network; 'auto' selects the fastest one installed.
      cache: a folder for prepared networks; see `InferenceOptions`.
      batch_size: images per batch.
      strict: raise an error for an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable.
      exif: rotate and flip images as their EXIF orientation says; False does not.
      background: the color behind transparent pixels, such as 'white' or '#808080'; None drops
        the transparency, as TensorFlow does.
      scaled_decoding: decode large JPEG files at a fraction of their size; see
        `PredictionOptions`.
      image_size: height and width of the images; None means the network's own, or the predictor's.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      DatasetError: no image can be read, the labels do not fit the checkpoint, or the report
        cannot be written.
      InceptionSlimError: an argument is out of its range, `heatmap` is given without `report` or
        with a predictor, or an option for loading is given together with a predictor.

    Example:
      >>> from inception_slim import evaluation
      >>> result = evaluation.classify('tests/golden/legacy_scripts',
      ...                              'tests/golden/legacy_scripts/images', top=3)
      >>> len(result.predictions), len(result.predictions[0].classes), result.unreadable
      (8, 3, [])
    """
    options = build_options(PredictionOptions, locals(), InceptionSlimError)
    check('top', top, {'at_least': 1}, InceptionSlimError)
    check('threshold', threshold, {'at_least': 0, 'at_most': 1}, InceptionSlimError)
    check_report_options(report, heatmap, checkpoint)
    files = data.image_files(images)
    info = inspect_checkpoint(checkpoint, options, options.image_size)
    names, warning = resolve_class_names(info, labels)
    if top is None and threshold is None:
        top, threshold = (None, 0.5) if info.head.activation == 'sigmoid' else (5, None)
    predictions: list[Prediction] = []
    unreadable: list[str] = []
    rotated: set[str] = set()
    with contextlib.ExitStack() as stack:
        predictor = stack.enter_context(
            open_predictor(checkpoint, options, lambda: calibration_sample(
                info, files, options), len(files), image_size=info.image_size))
        gallery = None if report is None else stack.enter_context(Gallery(len(files)))
        heatmaps = stack.enter_context(Heatmaps(
            info.path, image_size=info.image_size,
            **as_dict(options, HEATMAP_OPTIONS))) if heatmap else None
        for batch in progress(
                load_images(info, files, options, unreadable, rotated), len(files), unreadable):
            probabilities = predictor.predict(batch['image'], batch['name'])
            best = np.argsort(-probabilities, axis=1, kind='stable')
            for name, order, row in zip(batch['name'], best, probabilities):
                if threshold is not None:
                    order = order[:(row >= threshold).sum()]
                classes = order[:top].tolist()
                predictions.append(Prediction(os.fsdecode(name), classes,
                                              [names[number] for number in classes],
                                              row[classes].tolist()))
            if gallery is not None:
                shown = gallery.add(batch['image'])
                if heatmaps is not None and shown:
                    gallery.add_heatmaps(heatmaps.compute(
                        batch['image'][shown], best[shown, 0], batch['name'][shown]))
    result = Classification(predictions, unreadable, warning, info.head.activation,
                            len(rotated), threshold)
    if report is not None and gallery is not None:
        write_classification(report, result, gallery.jpegs, ReportHeader(
            f'Predictions of {os.path.basename(info.path)}',
            header_rows(info, predictor.precision, options), warning), gallery.heatmaps)
    return result
