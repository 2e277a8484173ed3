"""A checkpoint written in other forms: what serves, what runs on a phone, and what leaves TF1.

Each is written beside its destination, loaded again, asked about images that the checkpoint is
asked about too, and only then put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
import os
import shutil
import tempfile
from typing import Any
import warnings

from inception_slim import checkpoint as checkpoints, data
from inception_slim._atomic_write import check_parent_folder
from inception_slim._tf_logging import suppress_stderr
from inception_slim.checkpoint import CheckpointInfo, SourceOptions
from inception_slim.checkpoint.class_names import resolve_class_names
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats import (
    FORMATS,
    QUANTIZATIONS,
    frozen_graph,
    keras_writer,
    onnx_format,
    openvino_format,
    saved_model,
    state_dicts,
    tflite,
    torch_writer as pytorch,
)
from inception_slim.formats.writing import PredictFn
from inception_slim.inference import constant_graph, fold_batch_norm
from inception_slim.nets import registry
from inception_slim.options import build_options
import numpy as np
import tensorflow
import tensorflow.compat.v1 as tf

# Those of PyTorch: a state dict in a .pth file or as safetensors, and a folder that timm loads.
_PYTORCH = ('torch', 'safetensors', 'timm')
# What is written in other numbers than float32 too: in which.
_IN_OTHERS = {'tflite': QUANTIZATIONS, 'onnx': ('float32', 'int8'), 'openvino': QUANTIZATIONS}
# The largest difference of a probability that is still the same network: of rounding, and of
# numbers with eleven bits and with eight, of which the last may be wrong on an unclear image.
TOLERANCES = {'float32': 1e-4, 'float16': 0.03, 'int8': 0.5}
_LOGITS = 1e-4  # of the largest logit, in float32
_COMPARED = 16  # images, of those given
_CALIBRATED = 256  # images, of those given


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote.

    Attributes:
      path: the file, or the folder of a SavedModel.
      format: one of `FORMATS`.
      quantize: one of `QUANTIZATIONS`.
      size: bytes on the disk.
      difference: the largest difference of a probability from the checkpoint's.
      same_class: on how many of the images the likeliest class is the checkpoint's.
      images: how many images were compared.
      generated: whether these were drawn, since none were given.
    """

    path: str
    format: str
    quantize: str
    size: int
    difference: float
    same_class: int
    images: int
    generated: bool


def export(
    checkpoint: str | os.PathLike,
    destination: str | os.PathLike,
    *,
    format: str,
    quantize: str = 'float32',
    labels: str | os.PathLike | Sequence[str] | None = None,
    calibration_images: np.ndarray | str | os.PathLike | None = None,
    overwrite: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    input_range: str | None = None,
    pooling: str | None = None,
) -> ExportResult:
    """Writes a checkpoint in another form, and holds it to the checkpoint's answers.

    'saved-model' has the signatures `serving_default`, of `images` `[N, 299, 299, 3]` in [-1, 1],
    and `encoded`, of `encoded` `[N]` JPEG or PNG bytes; both answer with `logits` and
    `predictions`, and with labels `encoded` names the likeliest in `classes`. 'frozen' is a
    GraphDef from `input` to `InceptionV3/Predictions/Reshape_1`. 'tflite' goes from images to
    probabilities. 'keras' is a Keras 3 model of the layers of keras.applications, for Inception V3
    and Inception-ResNet V2; a destination that ends in `.h5` is in HDF5, as Keras 2 has it, and in
    `.weights.h5` the weights alone. 'onnx' needs tf2onnx and onnxruntime; in int8 it says where to
    round (QDQ). 'openvino' is a folder of OpenVINO's intermediate representation, from `input` to
    `logits` and `predictions`, and needs openvino. 'torch' and 'safetensors' are
    state dicts of torchvision's and timm's networks, which `load_state_dict` takes strictly; 'timm'
    is a folder that `timm.create_model('local-dir:FOLDER', pretrained=True)` loads.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads, files of other formats among them.
      destination: the file to write, or the folder for 'saved-model', 'openvino' and 'timm'.
      format: one of `FORMATS`.
      quantize: for 'tflite', 'onnx' and 'openvino', what its weights are kept in: one of
        `QUANTIZATIONS`; 'onnx' has no float16.
      labels: for 'saved-model', the names of the classes: a list, or a file of them. Without
        them, those of a `labels.txt` beside the checkpoint, if they are as many as its classes.
      calibration_images: a folder of images, or `[N, 299, 299, 3]` in [-1, 1]: images like those
        to come. int8 finds the range of each layer by them, and the answers on sixteen of them
        are compared; without any, drawn images are compared.
      overwrite: replace a destination that exists.
      **options: those of `SourceOptions`: use_ema, checkpoint_scope, input_range, pooling.

    Raises:
      ExportError: an argument is out of its range, the destination exists or cannot be written,
        or what was written does not answer as the checkpoint does; nothing is left behind.
      CheckpointError: the checkpoint cannot be read.
      DatasetError: the labels or the images cannot be read, or the labels are not the classes'.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import formats
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     made = export.export('tests/golden/checkpoints/slim_v2', format='frozen',
      ...                          destination=os.path.join(folder, 'frozen.pb'))
      >>> made.format, made.difference < 1e-4
      ('frozen', True)
    """
    if format not in FORMATS:
        raise ExportError(f'There is no format {format!r}; name one of {", ".join(FORMATS)}.')
    if quantize not in QUANTIZATIONS:
        raise ExportError(f'quantize must be one of {", ".join(QUANTIZATIONS)}, not {quantize!r}.')
    if quantize not in _IN_OTHERS.get(format, ('float32',)):
        able = [each for each, kinds in _IN_OTHERS.items() if quantize in kinds]
        raise ExportError(f'{format} is not written in {quantize} here, which '
                          f'{" and ".join(able)} are; leave quantize out, or take one of these.')
    if labels is not None and format != 'saved-model':
        raise ExportError(f'{format} has no place for labels, which saved-model has; leave them '
                          'out.')
    if quantize == 'int8' and calibration_images is None:
        raise ExportError('int8 needs calibration images: real ones, by which the range of each '
                          'layer is found; give a folder of a hundred or so.')
    if not tensorflow.executing_eagerly():
        raise ExportError('export needs eager mode, to load again what it writes; call it outside '
                          'tf.Graph() and without tf.disable_eager_execution().')
    destination = os.fspath(destination).rstrip('/')
    _check_destination(destination, overwrite)
    build_options(SourceOptions, locals(), ExportError)
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                     checkpoint_scope=checkpoint_scope, input_range=input_range,
                                     pooling=pooling)
    if info.num_classes is None:
        raise CheckpointError(' '.join([f'{info.path} has no classifier; it cannot answer.',
                                        *info.notes]))
    if format == 'keras':
        keras_writer.check(info)
    if format in _PYTORCH:
        state_dicts.check(info)
    names = _names(labels, info) if format == 'saved-model' else None
    side = registry.NETWORKS[info.network].image_size
    images = _images(calibration_images, side)
    compared = _spread(images, _COMPARED)
    logits, expected = predict(info, weights, compared)
    in_numbers = {'quantize': quantize, 'images': _spread(images, _CALIBRATED)}
    writers: dict[str, Callable[..., PredictFn]] = {
        'saved-model': partial(saved_model.write, names=names), 'frozen': frozen_graph.write,
        'tflite': partial(tflite.write, **in_numbers),
        'keras': keras_writer.write, 'onnx': partial(onnx_format.write, **in_numbers),
        'openvino': partial(openvino_format.write, **in_numbers), 'torch': pytorch.write_torch,
        'safetensors': pytorch.write_safetensors, 'timm': pytorch.write_timm}
    write = writers[format]
    folder, name = os.path.split(os.path.abspath(destination))
    try:
        scratch = tempfile.mkdtemp(prefix=f'.{name}.', dir=folder)
        try:
            new = os.path.join(scratch, name)
            with suppress_stderr(), warnings.catch_warnings():
                warnings.simplefilter('ignore')  # converters announce their own replacements
                answer = write(info, weights, new)
                found = np.asarray(answer(compared))
            difference = _checked(destination, found, expected, TOLERANCES[quantize])
            if quantize == 'float32':
                _check_logits(destination, found, expected, float(np.abs(logits).max()))
            size = _size(new)
            if os.path.isdir(destination):  # which nothing replaces at once, as it does a file
                os.rename(destination, os.path.join(scratch, 'old'))
            os.replace(new, destination)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        why = getattr(error, 'strerror', None) or str(error).splitlines()[0].rstrip('.')
        raise ExportError(f'{destination} cannot be written ({why}); nothing was left '
                          'behind.') from None
    return ExportResult(destination, format, quantize, size, difference,
                    int((found.argmax(1) == expected.argmax(1)).sum()), len(compared),
                    calibration_images is None)


def predict(info: CheckpointInfo, weights: dict[str, np.ndarray],
            images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits and the probabilities of a network's weights, which stay as they are."""
    graph = constant_graph(info, fold_batch_norm({
        name: value.copy() for name, value in weights.items()}))
    with graph.as_default(), tf.Session() as session:
        pieces = [session.run(('logits:0', 'predictions:0'), {'inputs:0': images[first:first + 4]})
                  for first in range(0, len(images), 4)]
    logits, predictions = zip(*pieces)
    return np.concatenate(logits), np.concatenate(predictions)


def _check_destination(destination: str, overwrite: bool) -> None:
    if os.path.lexists(destination) and not overwrite:
        raise ExportError(f'{destination} exists; give another name, or overwrite it.')
    if os.path.isdir(destination) and os.listdir(destination) and not any(
            os.path.exists(os.path.join(destination, name))
            for name in ('saved_model.pb', 'model.safetensors', openvino_format.FILE)):
        raise ExportError(f'{destination} is a folder that holds other things than a SavedModel '
                          'or another of these formats; give another name.')
    check_parent_folder(destination, ExportError)


def _names(labels, info: CheckpointInfo) -> list[str] | None:
    if labels is None:
        return data.find_labels_file(info.path, info.num_classes)
    return resolve_class_names(info, labels)[0]


def _images(given: np.ndarray | str | os.PathLike | None, side: int) -> np.ndarray:
    """The images given; else four that differ at every scale, always the same."""
    if isinstance(given, (str, os.PathLike)):
        files = _spread(data.image_files(given), _CALIBRATED)
        batches = data.as_numpy_batches(lambda: data.image_batches(files, 32, image_size=side))
        return np.concatenate([batch['image'] for batch in batches])
    if given is not None:
        given = np.asarray(given)
        if given.ndim != 4 or given.shape[1:] != (side, side, 3) or not len(given):
            raise ExportError(f'calibration_images must be [N, {side}, {side}, 3], but are '
                              f'{list(given.shape)}.')
        return given.astype(np.float32)
    chance = np.random.RandomState(0)
    layers = [chance.uniform(-1, 1, (4, patches, patches, 3))[:, at][:, :, at]
              for patches in (2, 7, 31, side) for at in [np.arange(side) * patches // side]]
    return np.mean(layers, axis=0).astype(np.float32)


def _spread(many: Any, count: int) -> Any:
    """So many from all over: the first images of a folder may be all of one class."""
    return many[::-(-len(many) // count)]


def _checked(destination: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise ExportError(f'{destination} would answer with {list(found.shape)} numbers, or with '
                          f'none, for the {list(expected.shape)} of the checkpoint; nothing was '
                          'left behind.')
    difference = float(np.abs(found - expected).max())
    if difference > tolerance:
        raise ExportError(f'{destination} would differ from the checkpoint by {difference:.2g} in '
                          f'a probability, more than {tolerance:g}; nothing was left behind.')
    return difference


def _check_logits(destination: str, found: np.ndarray, expected: np.ndarray,
                  largest: float) -> None:
    """The logits agree too, as far as probabilities show them."""
    shown = expected > 1e-20
    with np.errstate(divide='ignore', invalid='ignore'):
        difference = np.abs(np.log(found[shown]) - np.log(expected[shown])).max(initial=0)
    if not difference <= _LOGITS * max(largest, 1):
        raise ExportError(f'{destination} would differ from the checkpoint by {difference:.2g} in '
                          f'a logit, of which the largest is {largest:.3g}; nothing was left '
                          'behind.')


def _size(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(path) for file in files)
