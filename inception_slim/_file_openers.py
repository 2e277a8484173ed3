"""Openers of weight files that are not checkpoints of `tf.train.Saver`.

`checkpoint.open_weights` has to open files that `formats` reads, and `formats` is a layer above
`checkpoint`. The package's `__init__`, which is above all layers, registers openers here; they
import `formats` when the first file has to be recognized.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Each returns the opened weights (see `checkpoint.weight_sources`), or None if it does not know
# the format of the file or folder.
OPENERS: list[Callable[[str], Any]] = []
# Each takes an opened checkpoint (see `checkpoint.tf_checkpoint`) of `tf.train.Checkpoint`, and
# returns the weights in it, or None if it holds those of no network.
OBJECT_OPENERS: list[Callable[[Any], Any]] = []


def register_opener(opener: Callable[[str], Any]) -> None:
    """Adds an opener for `checkpoint.open_weights`.

    Args:
      opener: takes the path of a file or folder; returns the opened weights, or None.
    """
    OPENERS.append(opener)


def register_object_opener(opener: Callable[[Any], Any]) -> None:
    """Adds an opener of checkpoints of `tf.train.Checkpoint` for `checkpoint.open_weights`.

    Args:
      opener: takes an opened checkpoint; returns the opened weights, or None.
    """
    OBJECT_OPENERS.append(opener)
