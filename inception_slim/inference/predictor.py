"""A checkpoint made into the fastest thing that gives the same answers.

Batch norm is folded into the convolutions at the level of the variables: the same network is built
with `use_batch_norm=False` on the folded weights and biases, as constants. The auxiliary head is
never built, and what is left is run in cheaper numbers where that is asked.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import warnings

from inception_slim import checkpoint as checkpoints
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.errors import CheckpointError, InceptionSlimError
from inception_slim.inference.batch_norm_folding import fold_batch_norm
from inception_slim.inference.calibration import load_or_calibrate
from inception_slim.inference.cpu_features import available_cores, has_bfloat16
from inception_slim.inference.engines import ClassifierHead, Engine
from inception_slim.inference.engines.factory import (
    build_float_engine,
    build_head,
    build_int8_engine,
    pools_first,
)
from inception_slim.inference.engines.selection import select_engine
from inception_slim.inference.options import InferenceOptions
from inception_slim.nets import registry
from inception_slim.options import build_options, check
import numpy as np

_AT_LEAST_ONE = {'at_least': 1}


class Predictor:
    """Answers for images, from one checkpoint. Made by `load`; safe to call from many threads.

    Attributes:
      info: what the checkpoint holds.
      precision: what it multiplies in: 'float32', 'bfloat16' or 'int8'.
      engine: what runs it: 'session', 'tflite', 'onnxruntime' or 'openvino'.
    """

    def __init__(self, info: CheckpointInfo, precision: str, engine_name: str,
                 engine: Engine, classifier: ClassifierHead):
        self.info = info
        self.precision = precision
        self.engine = engine_name
        self._engine: Engine | None = engine
        self._classifier = classifier
        self._side = registry.NETWORKS[info.network].image_size

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of images, `[N, num_classes]` float32.

        Args:
          images: `[N, 299, 299, 3]` floating point in [-1, 1] (224 where the network wants that);
            N may differ from call to call, and be 0.

        Raises:
          ValueError: the images have another shape or type, or are not all numbers.
          RuntimeError: the predictor was closed.
        """
        return self._answer('logits', images)

    def predictions(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, `[N, num_classes]` float32; see `logits`."""
        return self._answer('predictions', images)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the classifier sees, `[N, 2048]` float32 at full width; see `logits`."""
        return self._answer('features', images)

    def close(self) -> None:
        """Frees what the predictor holds; closing it twice is nothing more."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            self._classifier.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _answer(self, output: str, images: np.ndarray) -> np.ndarray:
        engine = self._engine
        if engine is None:
            raise RuntimeError('This predictor was closed; load() another.')
        images = validate_images(images, self._side)
        if not len(images):
            features = np.zeros((0, self._classifier.channels), np.float32)
        else:
            features = engine.features(images)
        return features if output == 'features' else getattr(self._classifier, output)(features)


def validate_images(images: np.ndarray, side: int) -> np.ndarray:
    """Images as the network wants them, `[N, side, side, 3]` float32; warns of a wrong range.

    Raises:
      ValueError: they have another shape or type, or are not all numbers.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise ValueError(f'images must be [N, {side}, {side}, 3], but are {list(images.shape)}; '
                         'resize them, and give one image as image[None].')
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f'images must be floating point in [-1, 1], but are {images.dtype}; '
                         'use images / 127.5 - 1.')
    images = np.ascontiguousarray(images, np.float32)
    if len(images):
        low, high = images.min(), images.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError('images must be finite, but some pixels are NaN or infinite; '
                             'see where they come from.')
        if low < -2 or high > 2:
            warnings.warn(f'images are meant to be in [-1, 1], but these are in [{low:g}, '
                          f'{high:g}]; if they are in [0, 255], use images / 127.5 - 1.',
                          stacklevel=4)
    return images


def load(
    checkpoint: str | os.PathLike,
    *,
    batch_size: int | None = None,
    calibration_images: np.ndarray | Callable[[], np.ndarray] | None = None,
    num_threads: int | None = None,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: str = 'float32',
    engine: str = 'auto',
    cache: str | os.PathLike | None = None,
) -> Predictor:
    """Makes a predictor of a checkpoint.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      batch_size: images in one run, at most; TensorFlow's own engine fills up what is missing.
        None takes a few at a time, as many as suit the threads. TFLite takes them one by one.
      calibration_images: for int8, `[N, 299, 299, 3]` in [-1, 1]: real images like those to come,
        a hundred or so, by which the range of each layer is found; or a function that gives them,
        which is asked only where `cache` has no calibrated network. They may be left out where it
        has one.
      num_threads: threads to run on; as many as there are cores by default.
      **options: those of `InferenceOptions`: precision, engine, cache, use_ema, checkpoint_scope.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      InceptionSlimError: an argument is out of its range, or the engine is not installed or does
        not do that precision.

    Example:
      >>> import numpy as np
      >>> from inception_slim import inference
      >>> with inference.load('tests/golden/checkpoints/slim_v2') as predictor:
      ...     predictor.predictions(np.zeros((3, 299, 299, 3), np.float32)).shape
      (3, 11)
    """
    chosen = build_options(InferenceOptions, locals(), InceptionSlimError)
    for name, value in (('batch_size', batch_size), ('num_threads', num_threads)):
        check(name, value, _AT_LEAST_ONE, InceptionSlimError)
    precision = chosen.precision
    if precision == 'int8' and chosen.cache is None and not _given(calibration_images):
        raise InceptionSlimError('int8 needs calibration_images: real images, by which the range '
                                 'of each layer is found; noise would give wrong ranges.')
    if precision == 'bfloat16' and not has_bfloat16():
        warnings.warn('This processor has no bfloat16 instructions, which would make bfloat16 '
                      'slower; staying in float32.', stacklevel=2)
        precision = 'float32'
    engine_name = select_engine(chosen.engine, precision)
    info, weights = checkpoints.read(checkpoint, use_ema=chosen.use_ema,
                                     checkpoint_scope=chosen.checkpoint_scope)
    if info.num_classes is None:
        raise CheckpointError(f'{info.path} has no classifier; it cannot answer.')
    values = fold_batch_norm(weights)
    layer = registry.NETWORKS[info.network].classifier
    threads = num_threads or available_cores()
    last = values.pop(f'{layer}/weights'), values.pop(f'{layer}/biases')
    if precision == 'int8':
        side = registry.NETWORKS[info.network].image_size

        def images() -> np.ndarray:
            given = calibration_images() if callable(calibration_images) else calibration_images
            if given is None or not len(given):
                raise InceptionSlimError(
                    f'int8 needs calibration_images: {chosen.cache} has no network calibrated for '
                    f'{info.path}; give real images, by which the range of each layer is found.')
            return validate_images(given, side)

        fixed = _given(calibration_images) and not callable(calibration_images)
        network = load_or_calibrate(info, values, images, fixed, chosen.cache, threads,
                                     pools_first(engine_name))
        engine = build_int8_engine(engine_name, network, threads, batch_size)
    else:
        engine = build_float_engine(engine_name, info, values, precision, threads, batch_size)
    return Predictor(info, precision, engine_name, engine,
                     build_head(engine_name, *last, threads))


def _given(images: np.ndarray | Callable[[], np.ndarray] | None) -> bool:
    return images is not None and (callable(images) or len(images) > 0)
