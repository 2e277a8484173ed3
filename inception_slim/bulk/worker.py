"""From pieces to shards: the work itself, the same in this process and in Ray's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
import os

from inception_slim import inference
from inception_slim.bulk.image_decoder import Decoder
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.readers import Example, UnreadableImage, read_examples
from inception_slim.bulk.shard_writer import Shard, serialize_shard, shard_name
from inception_slim.bulk.sources import WorkUnit
from inception_slim.errors import DatasetError
from inception_slim.inference import InferenceOptions
from inception_slim.inference.cpu_features import available_cores
from inception_slim.options import as_dict, option_names
import numpy as np

# Images that the network runs at a time, whatever is left of a batch, so that an answer does not
# depend on how many cores its host has.
_AT_ONCE = 4


@dataclass(frozen=True)
class Job:
    """What all pieces have in common; goes to other hosts.

    Attributes:
      options: those of the run.
      labels: the names of the classes.
      image_size: side of the images, in pixels.
      folder: where paths that do not begin at the root begin.
      calibration: for int8, images by which the ranges are found.
    """

    options: BulkOptions
    labels: list[str]
    image_size: int
    folder: str
    calibration: list[Example]


@dataclass(frozen=True)
class Task:
    """A piece, its number, and which of its shards are there already."""

    number: int
    piece: WorkUnit
    done: Collection[int] = ()


@dataclass(frozen=True)
class _End:
    """The end of a shard, among its examples."""

    piece: int
    number: int
    last: bool


class Worker:
    """One predictor, and what feeds it.

    Args:
      threads: that decode, and that the network runs on; as many as there are cores by default.
    """

    def __init__(self, job: Job, checkpoint: str | os.PathLike, threads: int | None = None):
        self._job = job
        self._decoder = Decoder(job.image_size, threads or available_cores(), job.folder)
        calibration_images = None
        if job.options.precision == 'int8':
            calibration_images = np.stack(
                [self._decoder.image(each) for each in job.calibration])
        self._predictor = inference.load(
            checkpoint, batch_size=_AT_ONCE, num_threads=threads,
            calibration_images=calibration_images,
            **as_dict(job.options, option_names(InferenceOptions)))
        output_type = job.options.output_type
        self._answer = (self._predictor.features if output_type == 'features'
                        else self._predictor.predict)

    def close(self) -> None:
        self._decoder.close()
        self._predictor.close()

    def shards(self, todo: Iterable[Task], tick: Callable[[int], object] = lambda count: None
               ) -> Iterator[Shard]:
        """The shards of pieces, in their order.

        Args:
          todo: pieces, taken as they are needed.
          tick: called with a number of images whenever so many more are done.

        Raises:
          DatasetError: an image cannot be read now, or is damaged where `strict` was asked for.
        """
        options = self._job.options
        side = self._job.image_size
        batch = np.empty((options.batch_size, side, side, 3), np.float32)
        names: list[str] = []
        answers: list[np.ndarray] = []
        damaged: list[tuple[str, str]] = []
        filled = 0
        for item, image in self._decoder.images(self._in_turn(todo), 2 * options.batch_size):
            if isinstance(item, Example) and isinstance(image, UnreadableImage):
                if options.strict:
                    raise DatasetError(f'{item.name} is no image that can be read, or is damaged: '
                                       f'{image}; replace it, or let damaged images be left out.')
                damaged.append((item.name, str(image)))
                tick(1)
                continue
            if isinstance(item, Example):
                batch[filled] = image
                names.append(item.name)
                filled += 1
            if filled == len(batch) or filled and isinstance(item, _End):
                # No batch goes over the end of a shard, so that a shard is the same whichever
                # were done before it.
                answers.append(self._answer(batch[:filled]))
                tick(filled)
                filled = 0
            if isinstance(item, _End):
                made = (
                    {}
                    if not names
                    else serialize_shard(
                        shard_name(item.piece, item.number),
                        names,
                        np.concatenate(answers),
                        options.output_type,
                        options.format,
                        options.dtype,
                        self._job.labels,
                    )
                )
                yield Shard(item.piece, item.number, item.last, len(names), damaged, made)
                names, answers, damaged = [], [], []

    def _in_turn(self, todo: Iterable[Task]) -> Iterator[Example | _End]:
        """The examples of pieces, with the ends of shards between them."""
        size = self._job.options.shard_size
        for each in todo:
            count = 0
            for example in read_examples(each.piece, self._job.folder):
                number, place = divmod(count, size)
                if not place and count and number - 1 not in each.done:
                    yield _End(each.number, number - 1, False)
                count += 1
                if number not in each.done:
                    yield example
            yield _End(each.number, max(count - 1, 0) // size, True)
