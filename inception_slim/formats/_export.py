"""Export of a checkpoint to another format, verified against the checkpoint.

The file is written beside its destination, loaded again, and compared with the checkpoint on a few
images. Only then does it replace the destination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import fnmatch
import os
from typing import Any
import warnings

from inception_slim import checkpoint as checkpoints, data
from inception_slim._atomic_write import (
    check_parent_folder,
    check_replaceable,
    recover,
    replace_together,
)
from inception_slim._special_files import check_utf8
from inception_slim._tf_logging import suppress_stderr
from inception_slim.checkpoint import CheckpointInfo, SourceOptions
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.errors import CheckpointError, ExportError, error_summary
from inception_slim.formats import FORMATS, PRECISIONS
from inception_slim.formats.frozen_graph import predict
from inception_slim.formats.registry import WRITABLE, ExportSettings, FileFormat
from inception_slim.inference.graph import check_finite_output, has_last_layer
from inception_slim.nets import registry
from inception_slim.options import build_options, check
import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf

# The largest allowed difference of a probability. In float16 and int8 it is that of an unclear
# image, whose classes are close to each other.
TOLERANCES = {'float32': 1e-4, 'float16': 0.03, 'int8': 0.5}
_LOGIT_TOLERANCE = 1e-4  # relative to the largest logit; float32 only
# The least share of the compared images that keep their top-1 class.
LEAST_AGREEMENT = {'float32': 0.0, 'float16': 0.8, 'int8': 0.8}
_COMPARED_IMAGES = 32
_CALIBRATION_IMAGES = 256


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote.

    Attributes:
      path: the file, or the folder of a SavedModel, OpenVINO or timm model.
      format: one of `FORMATS`.
      precision: one of `PRECISIONS`.
      size: bytes on disk.
      max_difference: the largest difference of a probability from the checkpoint's; without a
        classifier, or if it gives logits, the largest distance of the outputs, relative to their
        length.
      same_top1: the number of images with the same top-1 class as the checkpoint's; None without a
        classifier.
      images: the number of compared images.
      generated: whether these images were generated, because none were given.
      activation: of the predictions: 'softmax', 'sigmoid' or 'linear'; None without a classifier.
    """

    path: str
    format: str
    precision: str
    size: int
    max_difference: float
    same_top1: int | None
    images: int
    generated: bool
    activation: str | None = None


def export(
    checkpoint: str | os.PathLike,
    destination: str | os.PathLike,
    *,
    format: str,
    precision: str = 'float32',
    labels: str | os.PathLike | Sequence[str] | None = None,
    calibration_images: np.ndarray | str | os.PathLike | None = None,
    accept_loss: bool = False,
    overwrite: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
    image_size: int | None = None,
) -> ExportResult:
    """Writes a checkpoint in another format and compares its predictions with the checkpoint's.

    Formats:
      Without a classifier, 'saved-model', 'frozen', 'tflite', 'onnx' and 'openvino' have the output
      `features`; of Inception-ResNet V1, `embeddings` of length 1 (a SavedModel also `prelogits`,
      those before normalization). All take images in [-1, 1], which they scale or prewhiten.

      'saved-model': a SavedModel with two signatures. `serving_default` takes `images`
        `[N, 299, 299, 3]` in [-1, 1], `encoded` takes `encoded` `[N]` JPEG or PNG bytes. Both
        return `logits` and `predictions`; with labels, `encoded` also returns the names of the
        top-1 `classes`.
      'frozen': a GraphDef from `input` to `InceptionV3/Predictions/Reshape_1`.
      'tflite': from images to probabilities.
      'keras': a Keras 3 model with the layers of keras.applications (Inception V3 and
        Inception-ResNet V2 only). `.h5` is the HDF5 format of Keras 2, `.weights.h5` has the
        weights alone.
      'onnx': needs onnx and onnxruntime; in float16 the weights are stored so, and in int8 each
        quantization is a pair of nodes (QDQ).
      'openvino': a folder with OpenVINO's intermediate representation, from `input` to `logits`
        and `predictions`; needs openvino.
      'torch', 'safetensors': a state dict of torchvision's or timm's network, for
        `load_state_dict(strict=True)`.
      'timm': a folder for `timm.create_model('local-dir:FOLDER', pretrained=True)`.
      'tfjs': a folder for `tf.loadLayersModel` of TensorFlow.js.

    Args:
      checkpoint: anything that `inception_slim.checkpoint.read` reads.
      destination: the file to write, or the folder for 'saved-model', 'openvino', 'timm'
        and 'tfjs'.
      format: one of `FORMATS`.
      precision: the dtype of the weights, one of `PRECISIONS`. 'tflite' and 'openvino' support
        all, as does 'onnx'; 'tfjs' supports float32 and float16, the others float32.
      labels: for 'saved-model', the class names: a list, or a file. Without them, those of a
        `labels.txt` beside the checkpoint are used if their number fits.
      calibration_images: a folder of images, or `[N, 299, 299, 3]` (of `image_size`) in [-1, 1],
        like those that the network will see. Required for int8, which calibrates the range of each
        layer with up to 256 of them. Up to 32 are used to compare predictions; without any,
        generated images are.
      accept_loss: keep a file in float16 or int8 although fewer than 80 % of the compared images
        keep their top-1 class, or a probability differs by more than `TOLERANCES`.
      overwrite: replace an existing destination.
      use_ema: take the moving averages of the weights.
      checkpoint_scope: which network to take, if the file holds more than one.
      input_range: the range of the images that the network was trained on; see `SourceOptions`.
      pooling: how its pooled branches pool; see `SourceOptions`.
      image_size: height and width of the images that the file takes; None means the network's own.
        State dicts ('torch' and 'safetensors') hold weights only, which fit all sizes.

    Raises:
      ExportError: an argument is invalid, the destination exists or cannot be written, or the
        predictions differ too much; nothing is left behind.
      CheckpointError: the checkpoint cannot be read, or its outputs are not finite.
      DatasetError: the labels or the images cannot be read, or the number of labels is wrong.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import formats
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     result = formats.export('tests/golden/checkpoints/slim_v2', format='frozen',
      ...                             destination=os.path.join(folder, 'frozen.pb'))
      >>> result.format, result.max_difference < 1e-4
      ('frozen', True)
    """
    file_format = _check_arguments(format, precision, labels, calibration_images)
    destination = os.fsdecode(destination).rstrip('/')
    _check_destination(destination, overwrite)
    build_options(SourceOptions, locals(), ExportError)
    check('image_size', image_size, {'at_least': 1}, ExportError)
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                     checkpoint_scope=checkpoint_scope, input_range=input_range,
                                     pooling=pooling)
    info = with_image_size(info, image_size)
    if file_format.check is not None:
        file_format.check(info)
    if file_format.needs_classifier and not has_last_layer(info):
        others = [name for name, entry in WRITABLE.items() if not entry.needs_classifier]
        raise CheckpointError(' '.join([
            f'{info.path} has no classifier, so it cannot be written as {format}, only as '
            f'{", ".join(others)}.', *info.notes]))
    class_names = _class_names(labels, info) if file_format.stores_class_names else None
    images = _load_images(calibration_images, info)
    settings = ExportSettings(precision, _spread(images, _CALIBRATION_IMAGES), class_names)
    compared = _spread(images, _COMPARED_IMAGES)
    first_output, expected = predict(info, weights, compared)
    check_finite_output(info.path, 'outputs', expected)
    assert file_format.write is not None
    try:
        with replace_together(destination, ExportError) as folder:
            _check_destination(destination, overwrite)
            new = os.path.join(folder, os.path.basename(destination))
            with suppress_stderr(), warnings.catch_warnings():
                warnings.simplefilter('ignore')  # converters warn about their own deprecations
                predict_exported = file_format.write(info, weights, new, settings)
                predictions = np.asarray(predict_exported(compared))
            _check_shape(destination, predictions, expected)
            if info.num_classes is None or info.head.activation == 'linear':
                difference = _check_features(destination, predictions, expected,
                                             TOLERANCES[precision])
            else:
                difference = _check_predictions(destination, predictions, expected, precision,
                                                accept_loss)
                if precision == 'float32':
                    _check_logits(destination, predictions, expected,
                                  float(np.abs(first_output).max()))
            size = _size_on_disk(new)
    except UnicodeEncodeError:
        check_utf8(destination, ExportError)
        raise
    except tf.errors.OpError as error:
        raise ExportError(f'{destination} cannot be written ({error_summary(error)}); nothing was '
                          'left behind.') from None
    return ExportResult(
        destination, format, precision, size, difference,
        same_top1=None if info.num_classes is None else int(
            (predictions.argmax(1) == expected.argmax(1)).sum()),
        images=len(compared), generated=calibration_images is None,
        activation=None if info.num_classes is None else info.head.activation)


def _check_arguments(format: str, precision: str, labels: Any,
                     calibration_images: Any) -> FileFormat:
    if format not in WRITABLE:
        raise ExportError(f'Unknown format {format!r}; choose one of {", ".join(FORMATS)}.')
    if precision not in PRECISIONS:
        raise ExportError(f'precision must be one of {", ".join(PRECISIONS)}, not {precision!r}.')
    file_format = WRITABLE[format]
    if precision not in file_format.precisions:
        others = [name for name, entry in WRITABLE.items() if precision in entry.precisions]
        raise ExportError(f'{format} cannot be written in {precision}; formats that can: '
                          f'{", ".join(others)}.')
    if labels is not None and not file_format.stores_class_names:
        raise ExportError(f'{format} cannot store labels; only saved-model can. Leave labels out.')
    if precision == 'int8' and calibration_images is None:
        raise ExportError('int8 needs calibration images; give a folder of about a hundred images '
                          'like those to classify.')
    if not tensorflow.executing_eagerly():
        raise ExportError('export needs eager mode to load the exported file; call it outside '
                          'tf.Graph() and without tf.disable_eager_execution().')
    return file_format


def _check_destination(destination: str, overwrite: bool) -> None:
    check_parent_folder(destination, ExportError)
    recover(destination)
    if os.path.lexists(destination) and not overwrite:
        raise ExportError(f'{destination} exists; give another path or overwrite it.')
    check_replaceable(destination, ExportError)
    if os.path.isdir(destination):
        names = os.listdir(destination)
        others = min(([name for name in names if not any(
            fnmatch.fnmatch(name, pattern)
            for pattern in (str(entry.folder_file), *entry.folder_names))]
            for entry in WRITABLE.values() if entry.folder_file in names), key=len, default=names)
        if others:
            raise ExportError(f'{destination} is a folder with other content than an exported '
                              f'model, such as {min(others)}; give another path.')


def _class_names(labels: Any, info: CheckpointInfo) -> list[str] | None:
    if labels is None:
        if info.num_classes is None:
            return None
        return data.find_labels_file(info.path, info.num_classes)
    return resolve_class_names(info, labels)[0]


def _load_images(given: np.ndarray | str | os.PathLike | None,
                 info: CheckpointInfo) -> np.ndarray:
    """Returns the given images; without any, four fixed ones with detail at every scale."""
    side = info.image_size
    if isinstance(given, (str, bytes, os.PathLike)):
        files = _spread(data.image_files(given), _CALIBRATION_IMAGES)
        batches = data.read_batches(
            files, 32, image_size=side, prepare=registry.NETWORKS[info.network].prepare)
        return np.concatenate([batch['image'] for batch in batches])
    if given is not None:
        given = np.asarray(given)
        if given.ndim != 4 or given.shape[1:] != (side, side, 3) or not len(given):
            raise ExportError(f'calibration_images must have the shape [N, {side}, {side}, 3], not '
                              f'{list(given.shape)}.')
        return given.astype(np.float32)
    rng = np.random.RandomState(0)
    layers = []
    for patches in (2, 7, 31, side):
        index = np.arange(side) * patches // side
        layers.append(rng.uniform(-1, 1, (4, patches, patches, 3))[:, index][:, :, index])
    return np.mean(layers, axis=0).astype(np.float32)


def _spread(items: Any, count: int) -> Any:
    """At most `count` items, evenly spaced: the first images of a folder may be of one class."""
    return items[::-(-len(items) // count)]


def _check_shape(destination: str, predictions: np.ndarray, expected: np.ndarray) -> None:
    if predictions.shape != expected.shape or not np.isfinite(predictions).all():
        raise ExportError(f'The predictions of {destination} have the shape '
                          f'{list(predictions.shape)} instead of {list(expected.shape)}, or are '
                          'not finite; nothing was left behind.')


def _check_features(destination: str, features: np.ndarray, expected: np.ndarray,
                    tolerance: float) -> float:
    """Returns the largest distance of features, embeddings or logits, relative to their length."""
    lengths = np.linalg.norm(expected, axis=1)
    difference = float((np.linalg.norm(features - expected, axis=1) / lengths).max())
    if difference > tolerance:
        raise ExportError(f'Outputs of {destination} differ from those of the checkpoint by '
                          f'{difference:.2g} of their length, more than {tolerance:g}; nothing was '
                          'left behind.')
    return difference


def _check_predictions(destination: str, predictions: np.ndarray, expected: np.ndarray,
                       precision: str, accept_loss: bool) -> float:
    """Returns the largest difference of a probability."""
    difference = float(np.abs(predictions - expected).max())
    if accept_loss and precision != 'float32':
        return difference
    hint = '' if precision == 'float32' else (
        ' Give more calibration images, another precision, or --accept-loss to keep it.')
    if difference > TOLERANCES[precision]:
        raise ExportError(f'A probability of {destination} differs from the checkpoint by '
                          f'{difference:.2g}, more than {TOLERANCES[precision]:g}; nothing was '
                          f'left behind.{hint}')
    same = int((predictions.argmax(1) == expected.argmax(1)).sum())
    if same < LEAST_AGREEMENT[precision] * len(expected):
        raise ExportError(f'{destination} predicts another class than the checkpoint for '
                          f'{len(expected) - same} of {len(expected)} images, more than '
                          f'{1 - LEAST_AGREEMENT[precision]:.0%}; nothing was left behind.{hint}')
    return difference


def _check_logits(destination: str, predictions: np.ndarray, expected: np.ndarray,
                  largest_logit: float) -> None:
    """Compares logits, as far as probabilities determine them."""
    positive = expected > 1e-20
    with np.errstate(divide='ignore', invalid='ignore'):
        difference = np.abs(
            np.log(predictions[positive]) - np.log(expected[positive])).max(initial=0)
    if not difference <= _LOGIT_TOLERANCE * max(largest_logit, 1):
        raise ExportError(f'A logit of {destination} differs from the checkpoint by '
                          f'{difference:.2g}, and the largest is {largest_logit:.3g}; nothing was '
                          'left behind.')


def _size_on_disk(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(path) for file in files)
