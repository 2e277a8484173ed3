"""What follows the base network: how its last grid is pooled, dense layers, and an activation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import re

from inception_slim.errors import CheckpointError

POOLS = ('average', 'max', 'flatten')
OUTPUT_ACTIVATIONS = ('softmax', 'sigmoid', 'linear')
_NODE = re.compile(r'(?:.*/)?Head-([a-z-]+)/.*')


@dataclass(frozen=True)
class Head:
    """The layers after the base network; TF-Slim's are the default.

    Attributes:
      pool: how the last grid becomes features: its 'average' or 'max', or 'flatten', all of it,
        channel by channel.
      hidden: the number of dense layers with ReLU before the classifier. Their variables are
        `Logits/Hidden_0/weights`, `Logits/Hidden_0/biases` and so on, in the network's scope.
      activation: of the classifier, which makes predictions of logits: 'softmax', 'sigmoid' (each
        class for itself) or 'linear' (none).

    Example:
      >>> from inception_slim.checkpoint.head import Head
      >>> str(Head('max', hidden=1, activation='sigmoid'))
      'max-relu-sigmoid'
    """

    pool: str = 'average'
    hidden: int = 0
    activation: str = 'softmax'

    def __str__(self) -> str:
        return '-'.join([self.pool, *['relu'] * self.hidden, self.activation])

    @property
    def is_classic(self) -> bool:
        """Whether the logits are one dense layer after an average, as in TF-Slim."""
        return self.pool == 'average' and not self.hidden

    @property
    def hidden_layers(self) -> list[str]:
        """The hidden layers by the names of their variables."""
        return [f'Logits/Hidden_{number}' for number in range(self.hidden)]

    @property
    def scope(self) -> str:
        """The name scope of its nodes in a graph, from which `detect_head` reads it."""
        return f'Head-{self}'


SLIM_HEAD = Head()
MULTI_LABEL_HEAD = Head(activation='sigmoid')  # as `training.train` makes


def parse_head(text: str, path: str) -> Head:
    """The inverse of `str`.

    Raises:
      CheckpointError: the text in the file at `path` is none of a head.
    """
    pool, *hidden, activation = text.split('-') if '-' in text else ('', text)
    if pool not in POOLS or activation not in OUTPUT_ACTIVATIONS or {*hidden} - {'relu'}:
        raise CheckpointError(f'{path} has the unknown head {text!r}; supported: one of '
                              f'{", ".join(POOLS)}, any number of relu, and one of '
                              f'{", ".join(OUTPUT_ACTIVATIONS)}, joined by "-".')
    return Head(pool, len(hidden), activation)


def detect_head(nodes: Iterable[str], path: str) -> Head:
    """The head of a graph that this package exported, by the names of its nodes."""
    text = next((match[1] for name in nodes if (match := _NODE.fullmatch(name))), None)
    return SLIM_HEAD if text is None else parse_head(text, path)
