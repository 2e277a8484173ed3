"""Images on their way to a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import os

from inception_slim import data, inference
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.nets import registry
from inception_slim.options import as_dict, option_names
import numpy as np
from tqdm import tqdm

CALIBRATION = 100  # images by which the ranges of int8 are found
Images = str | os.PathLike | Iterable[str | os.PathLike]


def load_images(info: CheckpointInfo, files: list[str], batch_size: int, strict: bool,
             bad: list[str] | None) -> Iterator[dict[str, np.ndarray]]:
    """The images of files, in batches as the network wants them."""
    size = registry.NETWORKS[info.network].image_size
    return data.as_numpy_batches(lambda: data.image_batches(files, batch_size, image_size=size,
                                                  strict=strict, bad=bad))


def load_predictor(checkpoint: str | os.PathLike, options: EvaluationOptions,
           calibration: Callable[[], np.ndarray]) -> inference.Predictor:
    """A predictor; int8's is calibrated on the images that `calibration` gives, if it must be."""
    return inference.load(checkpoint, calibration_images=calibration,
                          **as_dict(options, option_names(inference.InferenceOptions)))


def calibration_sample(info: CheckpointInfo, files: list[str]) -> np.ndarray:
    """Images from all over the files, to calibrate on."""
    some = files[::max(1, len(files) // CALIBRATION)][:CALIBRATION]
    return next(load_images(info, some, len(some), False, None))['image']


def progress(batches: Iterator[dict[str, np.ndarray]], total: int,
             bad: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The batches, with a bar on standard error where that is a terminal."""
    with tqdm(total=total, unit='image', disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch['name']))
            if bad:
                bar.set_postfix(bad=len(bad), refresh=False)
