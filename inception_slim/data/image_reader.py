"""Reads images in batches for evaluation, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
import contextlib
import functools
import os
import weakref

from inception_slim._special_files import special_kind
from inception_slim.data import preprocessing
from inception_slim.data.dataset import Dataset
from inception_slim.data.filesystem import is_remote
from inception_slim.data.image_archive import read_file, split_member
from inception_slim.data.image_decoder import (
    DamagedImage,
    DecodingThreads,
    ImageDecoder,
    submit_ahead,
)
from inception_slim.data.image_formats import DAMAGED, Decodable, UnreadableImage, to_decodable
from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.data.image_report import ImageReport
from inception_slim.data.input_pipeline import Prepare, as_numpy_batches, batches
from inception_slim.errors import DatasetError
from inception_slim.options import parse_color
import numpy as np

_REUSED_ARRAYS = 3  # the caller drops a batch after it has got the next one


def read_batches(
        images: Dataset | Sequence[str],
        batch_size: int,
        *,
        image_size: int = 299,
        strict: bool = False,
        unreadable: list[str] | None = None,
        prepare: Prepare = preprocessing.for_evaluation,
        max_pixels: int = MAX_PIXELS,
        exif: bool | None = None,
        background: str | None = None,
        rotated: set[str] | None = None,
        scaled_decoding: bool = False) -> Iterator[dict[str, np.ndarray]]:
    """Yields the images of a dataset or of files in batches, in order.

    The images that `batches` or `image_batches` give, without a pipeline of tf.data, which takes
    longer to start. The next batch is decoded while the caller computes.

    Args:
      images: a dataset, or files from `image_files`.
      batch_size: images in a batch; the last batch may be smaller, and one with unreadable images.
      image_size: side of the images in pixels.
      strict: see `batches`.
      unreadable: see `batches`.
      prepare: see `batches`.
      max_pixels: see `batches`.
      exif: see `batches`; None is True for files.
      background: see `batches`.
      rotated: see `batches`.
      scaled_decoding: see `batches`.

    Yields:
      `{'image': float32 [B, image_size, image_size, 3] in [-1, 1], 'name': bytes [B]}`; of a
      dataset also the label, see `batches`.

    Raises:
      ValueError: an argument is out of its range.
      DatasetError: a label is out of range, the storage failed, no image can be read, or an image
        is unreadable and `strict` is set.
    """
    if isinstance(images, Dataset) and images.kind != 'folder':
        dataset = images
        yield from as_numpy_batches(lambda: batches(
            dataset, batch_size, image_size=image_size, strict=strict, unreadable=unreadable,
            prepare=prepare, max_pixels=max_pixels, exif=exif, background=background,
            rotated=rotated, scaled_decoding=scaled_decoding))
        return
    for name, value in (('image_size', image_size), ('batch_size', batch_size)):
        if value < 1:
            raise ValueError(f'{name} must be at least 1, but is {value}.')
    if isinstance(images, Dataset):
        files: Sequence[str] = images.files
        labels = images.label_array()
        report = ImageReport(len(files), strict, unreadable, images.num_classes, images.path,
                             images.multi_label)
    else:
        files, labels, report = images, None, ImageReport(len(images), strict, unreadable)
    color = parse_color(background)

    def decode(encoded: bytes, pixels: np.ndarray) -> Decodable:
        image = to_decodable(encoded, max_pixels=max_pixels, exif=exif is not False,
                             background=color, scaled_to=image_size if scaled_decoding else None)
        decoder.decode(image, pixels)
        return image

    def submit(start: int) -> tuple[np.ndarray, list[Future[Decodable]]]:
        array = arrays.take()
        return array, [threads.submit(functools.partial(_read, path),
                                      functools.partial(decode, pixels=pixels),
                                      is_remote=is_remote(path))
                       for path, pixels in zip(files[start:start + batch_size], array)]

    with contextlib.ExitStack() as stack:
        decoder = stack.enter_context(contextlib.closing(
            ImageDecoder(prepare, image_size, is_scaled=scaled_decoding)))
        threads = stack.enter_context(contextlib.closing(DecodingThreads()))
        arrays = _Arrays((min(batch_size, len(files)), image_size, image_size, 3))
        for start, (array, futures) in submit_ahead(
                range(0, len(files), batch_size), submit, -(-2 * threads.count // batch_size)):
            readable = []
            for number, future in enumerate(futures, start):
                try:
                    image = future.result()
                except UnreadableImage as error:
                    report.add_unreadable(files[number], DAMAGED if isinstance(error, DamagedImage)
                                          else str(error))
                    continue
                if image.has_frames:
                    report.add_frames(files[number])
                if labels is not None:
                    report.check_label(files[number], labels[number])
                if image.is_rotated and rotated is not None:
                    rotated.add(files[number])
                readable.append(number)
            if not readable:
                continue
            batch = {'image': (array[:len(futures)] if len(readable) == len(futures)
                               else array[np.array(readable) - start]),
                     'name': np.array([os.fsencode(files[number]) for number in readable], object)}
            if labels is not None:
                batch['label'] = labels[readable].astype(np.int64)
            yield batch


class _Arrays:
    """Float32 arrays of one shape, whose memory is used again once the caller has dropped them.

    The system fills new memory with zeros, which takes as long as a tenth of decoding the images.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self._used: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def take(self) -> np.ndarray:
        memory = next((memory for memory, array in self._used if array() is None), None)
        if memory is None:
            memory = np.empty(self._shape, np.float32)
        # Slices of it keep this array alive, since the memory is not an array to NumPy.
        array = np.asarray(memory.data)
        others = [used for used in self._used if used[0] is not memory]
        self._used = [*others, (memory, weakref.ref(array))][-_REUSED_ARRAYS:]
        return array


def _read(path: str) -> bytes:
    kind = special_kind(path)
    if kind is not None:
        raise UnreadableImage(f'it is {kind}')
    try:
        if is_remote(path) or split_member(path):
            return read_file(path)
        with open(path, 'rb') as file:
            return file.read()
    except DatasetError:  # the storage failed
        raise
    except (OSError, ValueError):
        raise UnreadableImage(DAMAGED) from None
