"""How images are shown to a checkpoint, declared once for the calls that do so."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.inference import InferenceOptions
from inception_slim.options import option


@dataclass(frozen=True)
class EvaluationOptions(InferenceOptions):
    """What `classify`, `features` and `evaluate` take, besides `InferenceOptions`.

    Attributes:
      batch_size: images in one run.
      strict: stop at a damaged image instead of leaving it out.
    """

    batch_size: int = option(32, 'images in one run', at_least=1)
    strict: bool = option(False, 'stop at a damaged image instead of leaving it out')
