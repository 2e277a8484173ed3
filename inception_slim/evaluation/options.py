"""How images are shown to a checkpoint, declared once for the calls that do so."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.inference.options import InferenceOptions
from inception_slim.options import option

RESIZES = ('original', 'clean')


@dataclass(frozen=True)
class EvaluationOptions(InferenceOptions):
    """What `classify`, `features` and `evaluate` take, besides `InferenceOptions`.

    Attributes:
      batch_size: images in one run.
      strict: stop at a damaged image instead of leaving it out.
    """

    batch_size: int = option(32, 'images in one run', at_least=1)
    strict: bool = option(False, 'stop at a damaged image instead of leaving it out')


@dataclass(frozen=True)
class MeasureOptions(EvaluationOptions):
    """What `fid`, `score` and `statistics` take, besides `EvaluationOptions`.

    Attributes:
      resize: how images are brought to the network's size: 'original', as FID's first code did,
        whose figures most papers give; or 'clean', without aliasing.
      split: which part of a folder of TFRecords, such as 'validation'.
    """

    resize: str = option('original', "how images are resized: as FID's first code did, or without "
                         'aliasing', choices=RESIZES)
    split: str | None = option(None, 'which part of TFRecords, such as validation', metavar='NAME')
