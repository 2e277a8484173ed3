"""Loads a checkpoint for fast inference.

Batch norm is folded into the convolutions: the same network is built with `use_batch_norm=False`
on the folded weights and biases, as constants and without the auxiliary head, and an engine runs
it in the requested precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import hashlib
import os
from typing import Literal, cast
import warnings

from inception_slim import checkpoint as checkpoints
from inception_slim._threads import available_cores
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.class_names import check_has_classifier
from inception_slim.checkpoint.keras_model import KerasModel, accepts_keras_models
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.errors import InceptionSlimError
from inception_slim.inference.bfloat16_rounding import round_network
from inception_slim.inference.calibration import load_or_calibrate, pool_before_conv
from inception_slim.inference.cpu_features import has_fast_bfloat16
from inception_slim.inference.engines import ClassifierHead, Engine
from inception_slim.inference.engines.factory import (
    build_float_engine,
    build_head,
    build_int8_engine,
)
from inception_slim.inference.engines.selection import select_engine
from inception_slim.inference.graph import (
    SPATIAL_SIZE,
    SPATIAL_VALUE,
    ImageNames,
    check_finite_output,
    fold_batch_norm,
    graph_with_placeholders,
    has_last_layer,
    pop_head,
    relu_means,
)
from inception_slim.inference.image_input import ImageInput, ImagePreparer, validate_images
from inception_slim.inference.ir import Op, to_ops
from inception_slim.inference.network_cache import (
    CachedOps,
    FoldedCache,
    FoldedFile,
    ModelCache,
    cache_key,
)
from inception_slim.inference.options import InferenceOptions
from inception_slim.nets import registry
from inception_slim.options import build_options, check, parse_color
import numpy as np

_AT_LEAST_ONE = {'at_least': 1}
_MANY_IMAGES = 32  # expected, of which most come in batches


class Predictor:
    """Runs one checkpoint on images. Built by `load`; safe to call from several threads.

    Not usable in a forked child process, because the threads of the engines do not survive a fork.

    Attributes:
      info: what the checkpoint contains.
      precision: 'float32', 'bfloat16' or 'int8'.
      engine: 'session', 'tflite', 'onnxruntime' or 'openvino'.
      weights_digest: a digest of the weights without the last layer, the same for every format.
    """

    def __init__(self, info: CheckpointInfo, precision: str, engine_name: str, engine: Engine,
                 head: ClassifierHead | None, threads: int, weights_digest: str,
                 has_spatial: bool = False, exif: bool = True,
                 background: str | None = None, scaled_decoding: bool = False):
        self.info = info
        self.precision = precision
        self.engine = engine_name
        self.weights_digest = weights_digest
        self._engine: Engine | None = engine
        self._head = head
        self._has_spatial = has_spatial
        network = registry.NETWORKS[info.network]
        self._image_size = info.image_size
        self._input_shape = (self._image_size, self._image_size, 3)
        self._preparer = ImagePreparer(self._image_size, threads, network.prepare, exif,
                                       background, scaled_decoding)
        self._process = os.getpid()

    def predict(self, images: ImageInput | Sequence[ImageInput],
                names: ImageNames = None) -> np.ndarray:
        """Class probabilities of images, or what the activation of the network's head gives.

        Args:
          images: one image, or a list of images of any sizes, each of them
            - a path of an image file;
            - a PIL image;
            - a uint8 array, `[height, width, 3]` (also with 1 or 4 channels, or `[height, width]`);
            - a floating-point array `[height, width, 3]` in [0, 1];
            or a batch as one array, `[N, height, width, 3]`. All of these are prepared as
            `evaluation.classify` prepares files (`preprocessing.for_evaluation`: the central
            87.5 % is cropped and resized): equal pixels give equal results. Grayscale is
            replicated, alpha is dropped, and the EXIF orientation of files and PIL images is
            applied, unless the predictor was loaded with `exif=False`. (PIL decodes JPEG files to
            slightly different pixels than TensorFlow, which decodes paths.)

            Exception: a floating-point array of exactly the input size, `info.image_size`,
            `[N, 299, 299, 3]` or `[299, 299, 3]` (224 for some networks), is taken as prepared
            already, in [-1, 1]. It goes to the network unchanged, and N may be 0; this is the
            fastest path. A warning is given if its values look like [0, 1] or [0, 255].
            Floating-point arrays of other sizes are rejected unless they are in [0, 1].

          names: the files that the images are from, for error messages, if they are not paths.

        Returns:
          `[N, num_classes]` float32.

        Raises:
          CheckpointError: the network has no classifier.
          DatasetError: a file does not exist or cannot be decoded.
          ValueError: an object is no image, or its values are out of range.
          CheckpointError: a result is not finite.
          RuntimeError: the predictor is closed, or was loaded in another process.
        """
        return self._run('predictions', images, names)

    def logits(self, images: ImageInput | Sequence[ImageInput],
               names: ImageNames = None) -> np.ndarray:
        """Logits of images, `[N, num_classes]` float32; see `predict`."""
        return self._run('logits', images, names)

    def features(self, images: ImageInput | Sequence[ImageInput],
                 names: ImageNames = None) -> np.ndarray:
        """Pre-logits of images, `[N, 2048]` float32 at full width; see `predict`.

        They are the inputs of the head: of `info.head.pool` 'flatten', the whole last grid.

        Of Inception-ResNet V1, the embeddings before their length is normalized to 1; its images
        are not cropped.
        """
        return self._run('features', images, names)

    def features_and_spatial(self, images: ImageInput | Sequence[ImageInput],
                             names: ImageNames = None) -> tuple[np.ndarray, np.ndarray]:
        """Pre-logits and spatial features of images, of a predictor loaded with `spatial=True`.

        Args:
          images: see `predict`.
          names: see `predict`.

        Returns:
          `[N, 2048]`, and `[N, 2023]`, the first seven channels of Mixed_6d.
        """
        if not self._has_spatial:
            raise RuntimeError('Spatial features need a predictor that was loaded with '
                               'spatial=True.')
        result = self._run('spatial features', images, names)
        return result[:, :-SPATIAL_SIZE], result[:, -SPATIAL_SIZE:]

    def logits_from_features(self, features: np.ndarray,
                             names: ImageNames = None) -> np.ndarray:
        """Logits of features that `features` returned, `[N, num_classes]` float32."""
        if self._engine is None:
            raise RuntimeError('This predictor is closed; load another one.')
        result = self._classifier().logits(features)
        check_finite_output(self.info.path, 'logits', result, self.precision, names)
        return result

    def close(self) -> None:
        """Frees the memory and threads of the predictor. Closing it twice is allowed."""
        if os.getpid() != self._process:
            return  # in a forked child, closing would wait for threads that do not exist
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            if self._head is not None:
                self._head.close()
            self._preparer.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _classifier(self) -> ClassifierHead:
        check_has_classifier(self.info)
        assert self._head is not None
        return self._head

    def _output_function(self, output: str) -> Callable[[np.ndarray], np.ndarray]:
        """Computes an output from what the engine computes, the input of the last layer."""
        if output == 'spatial features':
            return lambda features: features
        if output != 'features':
            return getattr(self._classifier(), output)
        if self.info.embedding_size is not None and self._head is not None:
            return self._head.logits
        return lambda features: features

    def _run(self, output: str, images: ImageInput | Sequence[ImageInput],
             names: ImageNames) -> np.ndarray:
        engine, compute = self._engine, self._output_function(output)
        if os.getpid() != self._process:
            raise RuntimeError(
                f'This predictor was loaded in process {self._process}, and its threads do not '
                f'survive the fork to process {os.getpid()}; load it after forking, or start '
                "processes with multiprocessing's 'spawn' method.")
        if engine is None:
            raise RuntimeError('This predictor is closed; load another one.')
        if (isinstance(images, np.ndarray) and images.shape[-3:] == self._input_shape
                and images.dtype.kind == 'f'):
            batch = images if images.ndim > 3 else images[np.newaxis]
            batch = validate_images(batch, self._image_size)
            features = engine.features(batch) if len(batch) else self._no_features(engine)
        else:
            parts = [engine.features(part) for part in self._preparer.batches(images)]
            features = np.concatenate(parts) if parts else self._no_features(engine)
        if self._has_spatial and output != 'spatial features':
            features = features[:, :-SPATIAL_SIZE]
        result = compute(features)
        if names is None:
            names = images if isinstance(images, (list, tuple)) else [images] * len(result)
        check_finite_output(self.info.path, output, result, self.precision, names)
        return result

    def _no_features(self, engine: Engine) -> np.ndarray:
        if self._head is None:
            return engine.features(np.zeros((1, *self._input_shape), np.float32))[:0]
        return np.zeros((0, self._head.channels), np.float32)


@accepts_keras_models
def load(
    checkpoint: str | os.PathLike | KerasModel,
    *,
    batch_size: int | None = None,
    calibration_images: np.ndarray | Callable[[], np.ndarray] | None = None,
    num_threads: int | None = None,
    expected_images: int | None = None,
    spatial: bool = False,
    image_size: int | None = None,
    exif: bool = True,
    background: str | None = None,
    scaled_decoding: bool = False,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
    precision: Literal['float32', 'bfloat16', 'int8'] = 'float32',
    engine: Literal['auto', 'session', 'tflite', 'onnxruntime', 'openvino'] = 'auto',
    cache: str | os.PathLike | None = None,
) -> Predictor:
    """Loads a checkpoint for inference.

    Args:
      checkpoint: any file or folder that `inception_slim.checkpoint` reads, or a model of Keras 3
        or tf-keras. Without a classifier, only `features` can be computed.
      batch_size: maximum number of images in one run of the network. The session engine pads
        smaller runs to it; TFLite ignores it and runs single images. None uses a few images, as
        many as suit the threads.
      calibration_images: for int8, `[N, 299, 299, 3]` (of `image_size`) in [-1, 1]: about a
        hundred real images like those to come, from which the range of each layer is found; or a
        function that returns them, called only if `cache` has no calibrated network. Not needed if
        it has one.
      num_threads: threads to run on; by default the number of available cores.
      expected_images: how many images there will be, if that is known: for a few, without a cache,
        the engine 'auto' is one that is loaded faster; for 32 or more, OpenVINO prepares for
        batches alone.
      spatial: compute spatial features too, for sFID: of Inception V3, in float32 or bfloat16, in
        the engine 'session'.
      image_size: height and width of the images; None means the network's own, such as 299. The
        features are averages over the whole last grid of any size. (V2 at 225 to 256 averages 7×7
        positions of 8×8, as in TensorFlow 1.15.5.)
      exif: rotate and flip images that are given as files or PIL images as their EXIF orientation
        says; False takes the pixels as they are stored, as TensorFlow 1.15.5 does.
      background: the color behind transparent pixels of these, such as 'white' or '#808080'; None
        drops the transparency, as TensorFlow does.
      scaled_decoding: decode large JPEG files at 1/2, 1/4 or 1/8 of their size, as long as their
        central crop has as many pixels as the network's images: faster, with other pixels than
        TensorFlow 1.15.5.
      use_ema: read the moving averages of the weights, where the checkpoint has them.
      checkpoint_scope: the scope of the network to read, if the file holds more than one.
      precision: the dtype of the multiplications; see `InferenceOptions`.
      engine: the runtime; see `InferenceOptions`.
      cache: a directory for prepared networks; see `InferenceOptions`.

    Raises:
      CheckpointError: the checkpoint cannot be read.
      InceptionSlimError: an argument is out of its range, or the engine is not installed or does
        not support the precision.

    Example:
      >>> import numpy as np
      >>> from inception_slim import inference
      >>> with inference.load('tests/golden/checkpoints/slim_v2') as predictor:
      ...     predictor.predict(np.zeros((3, 299, 299, 3), np.float32)).shape
      ...     predictor.predict('tests/golden/legacy_scripts/images/checks_01.jpg').shape
      (3, 11)
      (1, 11)
    """
    options = build_options(InferenceOptions, locals(), InceptionSlimError)
    for name, value in (('batch_size', batch_size), ('num_threads', num_threads),
                        ('image_size', image_size)):
        check(name, value, _AT_LEAST_ONE, InceptionSlimError)
    parse_color(background)
    dtype = options.precision
    if dtype == 'int8' and options.cache is None and not _is_given(calibration_images):
        raise InceptionSlimError('int8 needs calibration_images: real images, from which the range '
                                 'of each layer is found. Random noise would give wrong ranges.')
    if dtype == 'bfloat16' and not has_fast_bfloat16():
        warnings.warn('This processor is slower in bfloat16 than in float32; using float32 '
                      'instead.', stacklevel=2)
        dtype = 'float32'
    if spatial and (dtype == 'int8' or options.engine not in ('auto', 'session')):
        raise InceptionSlimError("Spatial features need the engine 'session' and float32 or "
                                 f'bfloat16, not {options.engine} and {dtype}.')
    engine_name = 'session' if spatial else select_engine(
        options.engine, dtype, expected_images if options.cache is None else None)
    threads = num_threads or available_cores()
    for_batches = expected_images is not None and expected_images >= _MANY_IMAGES
    # A model has become a file by now.
    network = _Network(cast('str | os.PathLike', checkpoint), options, image_size, dtype, spatial)
    info = network.content.info
    if spatial and (info.network, info.image_size) != ('inception_v3', 299):
        raise InceptionSlimError(
            f'{info.path} is {registry.NETWORKS[info.network].title} on images of '
            f'{info.image_size}x{info.image_size}, but spatial features are of a layer of '
            'Inception V3 on 299x299.')
    head: ClassifierHead | None = None
    if network.content.head is not None:
        head = build_head(engine_name, network.content.head, info.head.activation, threads, dtype)
    if dtype == 'int8':

        def images() -> np.ndarray:
            given = calibration_images() if callable(calibration_images) else calibration_images
            if given is None or not len(given):
                raise InceptionSlimError(
                    f'int8 needs calibration_images: {options.cache} has no network calibrated for '
                    f'{info.path}; pass real images, from which the range of each layer is found.')
            return validate_images(given, info.image_size)

        same_images = _is_given(calibration_images) and not callable(calibration_images)
        pool_first = pool_before_conv(engine_name)
        quantized, digest = load_or_calibrate(
            info, network.content.weights_digest, lambda: network.ops(pool_first), images,
            same_images, options.cache, threads, pool_first)
        built = build_int8_engine(engine_name, quantized, threads, batch_size,
                                  ModelCache(options.cache, digest), for_batches)
    else:
        built = build_float_engine(engine_name, network.ops, info.image_size, dtype, threads,
                                   batch_size, spatial,
                                   ModelCache(options.cache, network.ops_digest), for_batches)
    return Predictor(info, dtype, engine_name, built, head, threads, network.content.digest,
                     spatial, exif, background, scaled_decoding)


class _Network:
    """The folded network of a checkpoint, from the cache if possible.

    Args:
      path: the checkpoint.
      options: how it is read, and the directory of the cache.
      image_size: side of the images; None for the network's own.
      precision: to which the ops are rounded; for 'int8', which may be in the cache itself, they
        are float32, and not read from the cache.
      spatial: whether the spatial features must not be scaled.

    Attributes:
      content: everything but the ops.
      ops_digest: identifies the ops; None if they are not cached.
    """

    def __init__(self, path: str | os.PathLike, options: InferenceOptions, image_size: int | None,
                 precision: str, spatial: bool):
        self._path, self._options, self._image_size = path, options, image_size
        self._rounds = precision == 'bfloat16'
        self._unscaled = (SPATIAL_VALUE,) if self._rounds and spatial else ()
        self._values: dict[str, np.ndarray] | None = None
        self._means: dict[str, np.ndarray] = {}
        self._ops: list[Op] | None = None
        self._cached_ops: CachedOps | None = None
        self._cache = FoldedCache(options.cache, path, use_ema=options.use_ema,
                                  checkpoint_scope=options.checkpoint_scope, image_size=image_size,
                                  rounded=self._rounds, unscaled=self._unscaled)
        with_ops = precision != 'int8'
        cached = self._cache.read()
        if cached is not None and not (with_ops and cached[1] is None):
            self.content, self._cached_ops = cached
            self.ops_digest = cached[1].digest if cached[1] is not None else None
            return
        self.content, self._values = self._fold(options.cache is not None)
        if with_ops and self._cache.is_enabled:
            self._ops = self._prepare_ops()
        self.ops_digest = self._cache.write(self.content, self._ops or [])

    def ops(self, pool_first: bool = False) -> list[Op]:
        """The ops up to 'features', rounded to the precision; to be called once.

        Args:
          pool_first: see `graph_with_placeholders`.
        """
        if self._ops is not None:
            ops, self._ops = self._ops, None
            return ops
        # The file is mapped for as long as something holds it.
        cached_ops, self._cached_ops = self._cached_ops, None
        if cached_ops is None or pool_first:
            return self._prepare_ops(pool_first)
        ops = cached_ops.read()
        if ops is None:
            ops = self._prepare_ops()
            self._cache.write(self.content, ops)
        return ops

    def _prepare_ops(self, pool_first: bool = False) -> list[Op]:
        values = self._values or self._fold(False)[1]
        self._values = None
        ops = to_ops(*graph_with_placeholders(self.content.info, values, pool_first=pool_first),
                     'features', self._means)
        return round_network(ops, self._unscaled) if self._rounds else ops

    def _fold(self, with_digest: bool) -> tuple[FoldedFile, dict[str, np.ndarray]]:
        info, weights = checkpoints.read(self._path, use_ema=self._options.use_ema,
                                         checkpoint_scope=self._options.checkpoint_scope)
        info = with_image_size(info, self._image_size)
        if self._rounds:
            self._means = relu_means(weights)
        values = fold_batch_norm(weights)
        head = pop_head(info, values) if has_last_layer(info) else None
        content = FoldedFile(info, head, _digest(values), cache_key(values) if with_digest else '')
        return content, values


def _digest(values: dict[str, np.ndarray]) -> str:
    """A digest of folded weights: of a sixteenth of them, which takes milliseconds."""
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(f'{name} {values[name].shape}'.encode())
        digest.update(values[name].ravel()[::16].tobytes())
    return digest.hexdigest()[:16]


def _is_given(images: np.ndarray | Callable[[], np.ndarray] | None) -> bool:
    return images is not None and (callable(images) or len(images) > 0)
