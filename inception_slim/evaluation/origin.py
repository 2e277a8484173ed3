"""What statistics were computed of, as their files record it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
import json
from typing import TYPE_CHECKING

import inception_slim
from inception_slim.errors import DatasetError
from inception_slim.evaluation.results import Result

if TYPE_CHECKING:
    from inception_slim.inference.predictor import Predictor

_COMPARED = ('network', 'weights', 'layer', 'input_range', 'resize')


@dataclass(frozen=True, repr=False)
class Origin(Result):
    """What statistics were computed of.

    Attributes:
      network: the name of the network.
      weights: a digest of its weights without the classifier.
      layer: which features they are.
      input_range: what images the weights take, see `CheckpointInfo`.
      resize: how images were resized.
      precision: of the network.
      count: the number of images; None for images that are still to come.
      version: of this package.
    """

    network: str
    weights: str
    layer: str
    input_range: str
    resize: str
    precision: str
    count: int | None = None
    version: str = inception_slim.__version__

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def differences(self, other: Origin) -> list[tuple[str, str, str]]:
        """Name and both values of what makes the features of two sets incomparable."""
        return [(name.replace('_', ' '), getattr(self, name), getattr(other, name))
                for name in _COMPARED if getattr(self, name) != getattr(other, name)]


def origin_of(predictor: Predictor, resize: str, count: int | None = None) -> Origin:
    """What features of a predictor are computed of."""
    info = predictor.info
    return Origin(info.network, predictor.weights_digest,
                  'pre-logits' if info.embedding_size is None else 'embedding',
                  info.input_range, resize, predictor.precision, count)


def read_origin(path: str, text: str) -> Origin:
    """Reads what `Origin.to_json` wrote.

    Raises:
      DatasetError: the text is damaged.
    """
    try:
        values = json.loads(text)
        origin = Origin(**values)
        if origin.count is not None and not isinstance(origin.count, int):
            raise TypeError
    except (TypeError, ValueError):
        names = ', '.join(field.name for field in dataclasses.fields(Origin))
        raise DatasetError(f'{path} has a damaged record of what it was computed of, which is '
                           f'JSON of {names}; compute the statistics again.') from None
    return origin
