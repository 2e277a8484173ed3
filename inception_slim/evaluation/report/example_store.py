"""The images of an evaluation, each as it was judged, and a bounded number of them to look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import heapq

from inception_slim.evaluation.grad_cam import Heatmaps
from inception_slim.evaluation.report.thumbnails import LARGE, SMALL, ThumbnailEncoder
import numpy as np

SUREST = 48
_MISTAKES = 6_000  # in memory at once, some 20 MB; a report shows fewer
_RIGHT = 3_000
_MISTAKES_OF_A_CELL = 60
_RIGHT_OF_A_CELL = 8


@dataclass(frozen=True, order=True)
class StoredExample:
    """An image that may be shown; of two, the surer is the greater.

    Attributes:
      probability: of the answer.
      number: its place in the dataset, negative, so that of equals the first is the greatest.
      name: its file, or FILE#NUMBER of a record.
      jpeg: what the network saw of it.
    """

    probability: float
    number: int
    name: str = field(compare=False)
    jpeg: bytes = field(compare=False)


@dataclass(frozen=True, order=True)
class Misclassification(StoredExample):
    """One of the surest mistakes.

    Attributes:
      label: the class of the dataset that it is of.
      answer: the column of the confusion matrix that it is in.
      chosen: the class of the checkpoint that was answered.
      image: `[side, side, 3]` float32 in [-1, 1]; None where nobody asks for it.
    """

    label: int = field(compare=False)
    answer: int = field(compare=False)
    chosen: int = field(compare=False)
    image: np.ndarray | None = field(compare=False, repr=False)


class ExampleStore:
    """The images of an evaluation as they were judged; a context that holds an encoder.

    Of each cell of the confusion matrix the surest are kept, as many as there is room for: of
    mistakes first those in the cells with the most images.

    Args:
      keep_images: whether the surest mistakes keep the images that the network saw.
    """

    def __init__(self, *, keep_images: bool = False):
        self._keep_images = keep_images
        self._pictures = ThumbnailEncoder()
        self._probabilities: list[np.ndarray] = []
        self._right: list[np.ndarray] = []
        self._count = 0
        self._of_mistakes = _Cells(_MISTAKES, _MISTAKES_OF_A_CELL, fullest_first=True)
        self._of_right = _Cells(_RIGHT, _RIGHT_OF_A_CELL, fullest_first=False)
        self._surest: list[Misclassification] = []

    def add(self, images: np.ndarray, names: list[str], labels: np.ndarray, answers: np.ndarray,
            logits: np.ndarray) -> None:
        """A batch.

        Args:
          images: `[N, side, side, 3]` float32 in [-1, 1], as the network saw them.
          names: of them.
          labels: `[N]`, rows of the confusion matrix.
          answers: `[N]`, columns of it.
          logits: `[N, num_classes]`, of the checkpoint's classes.
        """
        chosen = logits.argmax(axis=1)
        exact = logits.astype(np.float64)
        # The likeliest class's own exponent is 1.
        sure = 1 / np.exp(exact - exact.max(axis=1, keepdims=True)).sum(axis=1)
        right = labels == answers
        self._probabilities.append(sure)
        self._right.append(right)
        for image, name, label, answer, which, probability in zip(
                images, names, labels.tolist(), answers.tolist(), chosen.tolist(), sure.tolist()):
            number = -self._count
            self._count += 1
            cells = self._of_right if label == answer else self._of_mistakes
            if cells.counted((label, answer), probability):
                cells.add((label, answer), StoredExample(
                    probability, number, name, self._pictures.jpeg(image, SMALL)))
            if label != answer and (len(self._surest) < SUREST
                                    or probability > self._surest[0].probability):
                # A copy, or the whole batch would stay.
                heapq.heappush(self._surest, Misclassification(
                    probability, number, name, self._pictures.jpeg(image, LARGE), label, answer,
                    which, image.copy() if self._keep_images else None))
                if len(self._surest) > SUREST:
                    heapq.heappop(self._surest)

    def layers(self, maps: Heatmaps) -> dict[int, bytes]:
        """Where the answers to the surest mistakes came from, as PNGs by their `number`."""
        asked = [(each, each.image) for each in self.mistakes if each.image is not None]
        heat = maps.of(np.stack([image for _, image in asked]),
                       np.array([each.chosen for each, _ in asked]))
        layers = {each.number: self._pictures.layer(one) for (each, _), one in zip(asked, heat)}
        return {number: layer for number, layer in layers.items() if layer}

    @property
    def probabilities(self) -> np.ndarray:
        """`[N]` float64: how sure each answer was."""
        return np.concatenate(self._probabilities)

    @property
    def right(self) -> np.ndarray:
        """`[N]` booleans: whether each answer was right."""
        return np.concatenate(self._right)

    @property
    def mistakes(self) -> list[Misclassification]:
        """The surest mistakes, the surest first."""
        return sorted(self._surest, reverse=True)

    def of_cell(self, label: int, answer: int) -> list[StoredExample]:
        """Images of one cell of the confusion matrix, the surest first, as far as kept."""
        cells = self._of_right if label == answer else self._of_mistakes
        return sorted(cells.kept.get((label, answer), ()), reverse=True)

    def __enter__(self) -> ExampleStore:
        return self

    def __exit__(self, *error: object) -> None:
        self._pictures.__exit__()


class _Cells:
    """A bounded number of images, the surest of each cell.

    Where there is no room for all, the cells with the most images have theirs first, or else each
    cell has as many as the next.
    """

    def __init__(self, most: int, of_a_cell: int, *, fullest_first: bool):
        self._fullest_first = fullest_first
        self.kept: dict[tuple[int, int], list[StoredExample]] = {}  # heaps, the least sure first
        self._counts: Counter = Counter()
        self._most, self._of_a_cell, self._total = most, of_a_cell, 0

    def counted(self, cell: tuple[int, int], probability: float) -> bool:
        """Counts an image; whether it is sure enough to be kept."""
        self._counts[cell] += 1
        kept = self.kept.get(cell, [])
        return len(kept) < self._of_a_cell or probability > kept[0].probability

    def add(self, cell: tuple[int, int], image: StoredExample) -> None:
        kept = self.kept.setdefault(cell, [])
        heapq.heappush(kept, image)
        self._total += 1
        if len(kept) > self._of_a_cell:
            heapq.heappop(kept)
            self._total -= 1
        if self._total > self._most + self._most // 4:
            self._make_room()

    def _make_room(self) -> None:
        """Leaves the least sure of each cell first."""
        ranked = [((self._counts[cell] if self._fullest_first else 0) - rank, image, cell)
                  for cell, images in self.kept.items()
                  for rank, image in enumerate(sorted(images, reverse=True))]
        ranked.sort(key=lambda each: each[:2], reverse=True)
        self.kept, self._total = {}, self._most
        for _, image, cell in ranked[:self._most]:
            self.kept.setdefault(cell, []).append(image)
        for images in self.kept.values():
            heapq.heapify(images)
