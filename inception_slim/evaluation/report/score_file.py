"""The probabilities of all classes of each image, for the curves of a report."""

from __future__ import annotations

import tempfile

from inception_slim.evaluation.classification_metrics import Curves, class_curves
import numpy as np

MAX_SCORES = 2**29  # 2 GiB in float32
_CLASSES = 64  # that are read at a time


class ScoreFile:
    """Probabilities in a temporary file, because those of a thousand classes fill the memory.

    Args:
      classes: the number of classes.
      multi_label: store any number of probabilities, since the result needs them.
    """

    def __init__(self, classes: int, multi_label: bool = False):
        self._classes, self._multi_label = classes, multi_label
        self._labels: list[np.ndarray] = []
        self._count = 0
        self._file = tempfile.TemporaryFile()

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Adds a batch.

        Args:
          labels: `[N]`; of multi-label images `[N, classes]` booleans.
          probabilities: `[N, classes]`.
        """
        self._labels.append(labels)
        self._count += probabilities.size
        if self._is_stored():
            self._file.write(np.ascontiguousarray(probabilities, np.float32).data)

    def curves(self) -> Curves | None:
        """The curves of each class; None if there are more than `MAX_SCORES` probabilities."""
        if not self._is_stored():
            return None
        self._file.flush()
        labels = np.concatenate(self._labels)
        scores = np.memmap(self._file, np.float32, 'r', shape=(len(labels), self._classes))
        parts = [class_curves(labels[:, first:first + _CLASSES] if self._multi_label
                              else labels - first, scores[:, first:first + _CLASSES])
                 for first in range(0, self._classes, _CLASSES)]
        return Curves(*(np.concatenate([getattr(part, name) for part in parts])
                        for name in Curves.__dataclass_fields__))

    def _is_stored(self) -> bool:
        return self._multi_label or self._count <= MAX_SCORES

    def close(self) -> None:
        self._file.close()
