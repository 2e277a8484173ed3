"""The worker: decodes the images of work units, runs the network, and returns shards.

It is the same for both backends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
import os
from typing import Any, NamedTuple
import warnings

from inception_slim import inference
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.output import Shard, serialize_shard, shard_name
from inception_slim.bulk.readers import (
    Example,
    WorkUnit,
    read_bytes,
    read_examples,
)
from inception_slim.data.filesystem import is_remote
from inception_slim.data.image_decoder import DecodingThreads, ImageDecoder, submit_ahead
from inception_slim.data.image_formats import FIRST_FRAME, UnreadableImage, to_decodable
from inception_slim.errors import DatasetError
from inception_slim.evaluation.generative import RESIZE_FUNCTIONS
from inception_slim.evaluation.origin import origin_of
from inception_slim.inference import InferenceOptions
from inception_slim.nets import registry
from inception_slim.options import as_dict, option_names, parse_color
import numpy as np

# Images per run of the network. Fixed, so that results do not depend on the host's cores.
_MICRO_BATCH = 4
_EXPECTED_IMAGES = 10**6  # at least many: the engine is chosen and prepared for batches


@dataclass(frozen=True)
class Job:
    """What all work units of a run have in common; sent to other hosts.

    Attributes:
      options: the options of the run.
      class_names: the names of the classes.
      network: the network, which says how images are prepared.
      folder: the folder that relative paths are relative to.
      calibration: images to calibrate int8 with.
    """

    options: BulkOptions
    class_names: list[str]
    network: registry.Network
    folder: str
    calibration: list[Example]


@dataclass(frozen=True)
class Task:
    """A work unit with its number, and the numbers of its shards that are already written."""

    number: int
    unit: WorkUnit
    done: Collection[int] = ()


@dataclass(frozen=True)
class _EndOfShard:
    """Marks the end of a shard in the stream of its examples."""

    unit: int
    number: int
    last: bool


class DecodedImage(NamedTuple):
    """A decoded image.

    Attributes:
      pixels: `[image_size, image_size, 3]` float32 in [-1, 1].
      is_rotated: whether it was rotated or flipped as its EXIF orientation says.
      has_frames: whether frames or pages follow it.
    """

    pixels: np.ndarray
    is_rotated: bool
    has_frames: bool


class Decoder:
    """Decodes and resizes the images of work units in threads, as `evaluation.classify` does."""

    def __init__(self, network: registry.Network, threads: int | None, folder: str,
                 options: BulkOptions):
        self._folder, self._options = folder, options
        self._background = parse_color(options.background)
        self._has_warned = False
        prepare = (RESIZE_FUNCTIONS[options.resize] if options.output_type == 'statistics'
                   else network.prepare)
        self._scaled_to = network.image_size if options.scaled_decoding else None
        self._decoder = ImageDecoder(prepare, network.image_size,
                                     is_scaled=options.scaled_decoding)
        self._threads = DecodingThreads(threads)

    def close(self) -> None:
        self._threads.close()
        self._decoder.close()

    def decode_all(self, items: Iterable[Any], ahead: int) -> Iterator[tuple[Any, Any]]:
        """Decodes a stream of images.

        Args:
          items: examples; any other item is passed through.
          ahead: number of items that are decoded ahead.

        Yields:
          Each item with its `DecodedImage`, or with an `UnreadableImage`; with None if it is not
          an example.

        Raises:
          DatasetError: the storage of an image failed.
        """
        for item, future in submit_ahead(items, self._submit, ahead):
            if future is None:
                yield item, None
                continue
            try:
                image = future.result()
            except UnreadableImage as error:
                yield item, error
                continue
            # Not where it is decoded, since threads do not decode in order.
            if image.has_frames and not self._has_warned:
                self._has_warned = True
                warnings.warn(f'{item.name} {FIRST_FRAME}.', stacklevel=2)
            yield item, image

    def decode_readable(self, examples: Sequence[Example]) -> np.ndarray:
        """Decodes images that are known to be readable.

        Returns:
          `[N, image_size, image_size, 3]` float32 in [-1, 1].

        Raises:
          UnreadableImage, DatasetError: see `read_bytes`.
        """
        futures = [self._submit_example(example) for example in examples]
        return np.stack([future.result().pixels for future in futures])

    def _submit(self, item: Any) -> Future[DecodedImage] | None:
        return self._submit_example(item) if isinstance(item, Example) else None

    def _submit_example(self, example: Example) -> Future[DecodedImage]:
        return self._threads.submit(
            lambda: read_bytes(example, self._folder),
            lambda encoded: self._decode_bytes(example, encoded),
            is_remote=example.encoded is None and is_remote(example.name))

    def _decode_bytes(self, example: Example, encoded: bytes) -> DecodedImage:
        exif = self._options.exif
        image = to_decodable(
            encoded, max_pixels=self._options.max_pixels, background=self._background,
            exif=not example.is_record if exif is None else exif, scaled_to=self._scaled_to)
        return DecodedImage(self._decoder.decode(image), image.is_rotated, image.has_frames)


class Worker:
    """A predictor with its decoder."""

    def __init__(self, job: Job, checkpoint: str | os.PathLike, threads: int | None = None):
        """
        Args:
          job: the job.
          checkpoint: the checkpoint to load.
          threads: threads of the decoder and of the network; by default all available cores.
        """
        self._job = job
        self._decoder = Decoder(job.network, threads, job.folder, job.options)
        calibration_images = None
        if job.options.precision == 'int8':
            calibration_images = self._decoder.decode_readable(job.calibration)
        self._predictor = inference.load(
            checkpoint, batch_size=_MICRO_BATCH, num_threads=threads,
            expected_images=_EXPECTED_IMAGES,
            calibration_images=calibration_images,
            **as_dict(job.options, option_names(InferenceOptions)))
        # One for all batches: the system fills each new one with zeros first.
        self._batch = np.empty(
            (job.options.batch_size, job.network.image_size, job.network.image_size, 3), np.float32)
        self._predict = (self._predictor.features
                         if job.options.output_type in ('features', 'statistics')
                         else self._predictor.predict)
        self._origin = (origin_of(self._predictor, job.options.resize)
                        if job.options.output_type == 'statistics' else None)

    def close(self) -> None:
        self._decoder.close()
        self._predictor.close()

    def shards(self, tasks: Iterable[Task],
               progress: Callable[[int], object] = lambda count: None) -> Iterator[Shard]:
        """Computes the shards of work units that are not written yet, in order.

        Args:
          tasks: the work units, consumed as they are needed.
          progress: called with the number of images that were finished since the last call.

        Raises:
          DatasetError: the storage of an image failed, or an image is unreadable and the option
            `strict` is set.
        """
        stream = self._decoder.decode_all(self._read_tasks(tasks),
                                          2 * self._job.options.batch_size)
        while shard := self._next_shard(stream, progress):
            yield shard

    def _next_shard(self, stream: Iterator[tuple[Any, Any]],
                    progress: Callable[[int], object]) -> Shard | None:
        """Computes the shard up to the next `_EndOfShard`; None at the end of the stream."""
        options = self._job.options
        names: list[str] = []
        values: list[np.ndarray] = []
        unreadable: list[tuple[str, str]] = []
        count = rotated = 0  # of images in the batch, and of rotated ones in the shard

        def predict_batch() -> None:
            nonlocal count
            if count:
                values.append(self._predict(self._batch[:count], names[-count:]))
                progress(count)
                count = 0

        for item, image in stream:
            if isinstance(item, _EndOfShard):
                # A batch never crosses the end of a shard, so that a shard does not depend on
                # which others were already written.
                predict_batch()
                files = serialize_shard(
                    shard_name(item.unit, item.number), names, np.concatenate(values),
                    options.output_type, options.format, options.dtype, self._job.class_names,
                    self._origin,
                ) if names else {}
                return Shard(item.unit, item.number, item.last, len(names), unreadable, rotated,
                             files)
            if isinstance(image, UnreadableImage):
                if options.strict:
                    raise DatasetError(f'{item.name} is unreadable: {image}. Replace it, or run '
                                       'without strict to skip unreadable images.')
                unreadable.append((item.name, str(image)))
                progress(1)
                continue
            rotated += image.is_rotated
            names.append(item.name)
            self._batch[count] = image.pixels
            count += 1
            if count == options.batch_size:
                predict_batch()
        return None

    def _read_tasks(self, tasks: Iterable[Task]) -> Iterator[Example | _EndOfShard]:
        """Reads the examples of work units, with an `_EndOfShard` after those of each shard."""
        size = self._job.options.shard_size
        for task in tasks:
            number = count = 0
            for example in read_examples(task.unit, self._job.folder):
                if count == size:
                    if number not in task.done:
                        yield _EndOfShard(task.number, number, last=False)
                    number, count = number + 1, 0
                count += 1
                if number not in task.done:
                    yield example
            if number not in task.done:
                yield _EndOfShard(task.number, number, last=True)
