"""Prepares paths, PIL images and arrays exactly as the evaluation pipeline prepares files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeAlias, Union
import warnings

from inception_slim._special_files import check_regular
from inception_slim._threads import single_thread_config
from inception_slim.data import filesystem, preprocessing
from inception_slim.data.image_archive import read_file
from inception_slim.data.image_decoder import DamagedImage, ImageDecoder
from inception_slim.data.image_formats import (
    FIRST_FRAME,
    UnreadableImage,
    to_decodable,
    to_rgb,
)
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.image_preparation import prepare_with_offset
from inception_slim.errors import DatasetError, error_summary
from inception_slim.options import parse_color
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from PIL.Image import Image

ImageInput: TypeAlias = Union[str, os.PathLike, np.ndarray, 'Image']
# Images that are prepared before the network runs: bounds the memory of a long list.
BATCH_SIZE = 32


def validate_images(images: np.ndarray, image_size: int) -> np.ndarray:
    """Checks a batch in the network's input format and converts it to float32.

    Warns if the values are outside [-2, 2], or look like [0, 1].

    Args:
      images: `[N, image_size, image_size, 3]` floating point in [-1, 1].
      image_size: side of the network's input in pixels.

    Returns:
      The images as a contiguous float32 array; the same array where it is one already.

    Raises:
      ValueError: another shape or dtype, or some values are NaN or infinite.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (image_size, image_size, 3):
        raise ValueError(f'images must be [N, {image_size}, {image_size}, 3], but are '
                         f'{list(images.shape)}; resize them, and pass one image as image[None].')
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f'images must be floating point in [-1, 1], but are {images.dtype}; '
                         'use images / 127.5 - 1.')
    images = np.ascontiguousarray(images, np.float32)
    if len(images):
        low, high = images.min(), images.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError('images must be finite, but some pixels are NaN or infinite.')
        if low < -2 or high > 2:
            warnings.warn(f'images must be in [-1, 1], but these are in [{low:g}, {high:g}]; '
                          'if they are in [0, 255], use images / 127.5 - 1.', stacklevel=4)
        # Photographs in [0, 1] reach almost to black. In [-1, 1] the same numbers would be a
        # picture whose darkest value is just above middle grey, which is next to impossible.
        elif 0 <= low < 0.02 and 0.5 < high <= 1:
            warnings.warn(f'images must be in [-1, 1], but these are in [{low:g}, {high:g}]; '
                          'if they are in [0, 1], use images * 2 - 1.', stacklevel=4)
    return images


class ImagePreparer:
    """Decodes, crops and resizes images exactly as `data.image_batches` does for files.

    Safe to call from several threads. Nothing is built before the first image.

    Args:
      image_size: side of the network's input in pixels.
      threads: images to prepare at the same time.
      prepare: from `Network.prepare`.
      exif: apply the EXIF orientation of files and PIL images.
      background: the color behind transparent pixels of files and PIL images; None drops the
        transparency.
      scaled_decoding: decode large JPEG files at a fraction of their size.
    """

    def __init__(self, image_size: int, threads: int,
                 prepare: Callable[..., Any] = preprocessing.for_evaluation, exif: bool = True,
                 background: str | None = None, scaled_decoding: bool = False):
        self._image_size, self._threads, self._prepare_image = image_size, threads, prepare
        self._exif, self._background = exif, parse_color(background)
        self._scaled_to = image_size if scaled_decoding else None
        self._has_warned = False
        self._lock = threading.Lock()
        self._functions: dict[str, Callable[[Any], np.ndarray]] = {}
        self._closing = contextlib.ExitStack()

    def batches(self, images: ImageInput | Sequence[ImageInput]) -> Iterator[np.ndarray]:
        """Yields the prepared images in order, at most BATCH_SIZE at a time.

        Args:
          images: see `Predictor.predict`.

        Yields:
          `[n, image_size, image_size, 3]` float32 in [-1, 1].

        Raises:
          DatasetError: a file does not exist or cannot be decoded.
          ValueError: an object is no image, or its values are out of range.
        """
        items = self._split(images)
        with ThreadPoolExecutor(self._threads, 'inception_slim') as pool:
            for start in range(0, len(items), BATCH_SIZE):
                prepared = list(pool.map(self._prepare, items[start:start + BATCH_SIZE]))
                # Not where they are decoded, since threads do not decode in order.
                path = next((path for _, path in prepared if path), None)
                if path and not self._has_warned:
                    self._has_warned = True
                    warnings.warn(f'{path} {FIRST_FRAME}.', stacklevel=2)
                yield np.stack([pixels for pixels, _ in prepared])

    def close(self) -> None:
        self._closing.close()

    def _split(self, images: Any) -> Sequence[Any]:
        """One item per image."""
        if isinstance(images, (list, tuple)):
            return images
        if isinstance(images, (str, bytes, os.PathLike)) or _is_pil(images):
            return [images]
        array = np.asarray(images)
        return list(array) if array.ndim == 4 else [images]

    def _prepare(self, image: Any) -> tuple[np.ndarray, str | None]:
        """Returns a prepared image, and its path if frames or pages follow it."""
        if isinstance(image, (str, bytes, os.PathLike)):
            return self._from_file(os.fsdecode(image))
        return self._from_object(image), None

    def _from_object(self, image: Any) -> np.ndarray:
        if _is_pil(image):
            if self._exif:
                from PIL import ImageOps
                image = ImageOps.exif_transpose(image)
            return self._function('pixels')(to_rgb(image, self._background))
        array = np.asarray(image)
        if array.dtype.kind not in 'uf' or array.dtype.kind == 'u' and array.dtype != np.uint8:
            raise ValueError(
                f'an image must be a path, a PIL image, or a uint8 or floating-point array, but '
                f'is {type(image).__name__ if array.dtype.kind in "OSU" else array.dtype}.')
        if array.dtype == np.uint8:
            return self._function('pixels')(_rgb(array))
        if array.shape == (self._image_size, self._image_size, 3):
            return validate_images(array[np.newaxis], self._image_size)[0]
        array = _rgb(np.asarray(array, np.float32))
        # Written so that NaN, for which every comparison is false, is refused too.
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f'a floating-point image of another size than the input of the network '
                f'({self._image_size}x{self._image_size}) must be in [0, 1], but is '
                f'{array.shape[0]}x{array.shape[1]} in [{array.min():g}, {array.max():g}]; '
                'convert it to uint8 in [0, 255], or to [0, 1].')
        return self._function('fractions')(array)

    def _from_file(self, path: str) -> tuple[np.ndarray, str | None]:
        if filesystem.is_dir(path):
            raise DatasetError(f'{path} is a folder; list its images with '
                               'inception_slim.data.image_files.')
        check_regular(path, DatasetError)
        try:
            encoded = read_file(path)
        except OSError as error:
            raise DatasetError(f'{path} cannot be read: {error_summary(error)}.') from None
        try:
            decodable = to_decodable(encoded, max_pixels=MAX_PIXELS, exif=self._exif,
                                     background=self._background, scaled_to=self._scaled_to)
            pixels = self._function('encoded')(decodable)
        except DamagedImage as error:
            raise DatasetError(f'{path} cannot be decoded ({error}); give a JPEG, PNG, GIF, BMP, '
                               'WebP, TIFF or AVIF file.') from None
        except UnreadableImage as error:
            raise DatasetError(f'{path} is not decoded: {error}; resize it, convert it, or give '
                               'its pixels.') from None
        return pixels, path if decodable.has_frames else None

    def _function(self, source: str) -> Callable[[Any], np.ndarray]:
        """The function that prepares images of a source: 'encoded', 'pixels' or 'fractions'."""
        with self._lock:
            if source not in self._functions:
                self._functions[source] = self._build(source)
        return self._functions[source]

    def _build(self, source: str) -> Callable[[Any], np.ndarray]:
        if source == 'encoded':
            decoder = ImageDecoder(self._prepare_image, self._image_size,
                                   is_scaled=self._scaled_to is not None)
            self._closing.callback(decoder.close)
            return decoder.decode
        offset = 0
        with tf.Graph().as_default() as graph:
            if source == 'pixels':
                pixels = tf.placeholder(tf.uint8, (None, None, 3))
                output, offset = prepare_with_offset(self._prepare_image, pixels, self._image_size)
            else:
                pixels = tf.placeholder(tf.float32, (None, None, 3))
                output = self._prepare_image(pixels, self._image_size)
        session = self._closing.enter_context(
            contextlib.closing(tf.Session(graph=graph, config=single_thread_config(1))))
        run = session.make_callable(output, [pixels])
        return (lambda image: run(image) - np.float32(offset)) if offset else run


def _is_pil(image: Any) -> bool:
    # A PIL image exists only where its module was imported; so PIL itself stays optional.
    module = sys.modules.get('PIL.Image')
    return module is not None and isinstance(image, module.Image)


def _rgb(array: np.ndarray) -> np.ndarray:
    """Grayscale replicated to three channels; alpha dropped, as the decoder does."""
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not array.size:
        raise ValueError('an image must be [height, width, 3] (or 1 or 4 channels, or '
                         f'[height, width]) and not empty, but is {list(array.shape)}.')
    if array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    return array[..., :3]
