"""A bounded store of evaluated examples for the report of `evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
import heapq

from inception_slim.evaluation.classification_metrics import Curves
from inception_slim.evaluation.grad_cam import Heatmaps
from inception_slim.evaluation.report.score_file import ScoreFile
from inception_slim.evaluation.report.thumbnails import LARGE, SMALL, ThumbnailEncoder
import numpy as np

MAX_MISCLASSIFICATIONS = 48
_MAX_WRONG = 6_000  # in memory, some 20 MB; a report shows fewer
_MAX_CORRECT = 3_000
_MAX_WRONG_PER_CELL = 60
_MAX_CORRECT_PER_CELL = 8

Cell = tuple[int, int]  # label and prediction


@dataclass(frozen=True)
class StoredExample:
    """An image that may be shown in a cell of the confusion matrix.

    Attributes:
      probability: the confidence of the prediction.
      index: the position of the image in the dataset.
      name: its file, or FILE#NUMBER of a record.
      jpeg: a thumbnail of the preprocessed image.
    """

    probability: float
    index: int
    name: str
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class Misclassification(StoredExample):
    """One of the most confident misclassifications.

    Attributes:
      label: the true class: a row of the confusion matrix.
      prediction: a column of the confusion matrix.
      predicted_class: the class of the checkpoint that was predicted.
      image: `[side, side, 3]` float32 in [-1, 1]; None if images are not stored.
    """

    label: int
    prediction: int
    predicted_class: int
    image: np.ndarray | None = field(repr=False)


class ExampleStore:
    """Stores what a report shows: the most confident examples, and all probabilities; a context.

    The memory is bounded. When it is full, cells of wrong predictions keep examples in proportion
    to their counts, and cells of correct predictions keep equally many.

    Args:
      classes: the number of classes of the dataset.
      keep_images: store the preprocessed images of the most confident misclassifications, which
        `heatmap_pngs` needs.
    """

    def __init__(self, classes: int, *, keep_images: bool = False):
        self._keep_images = keep_images
        self._scores = ScoreFile(classes)
        self._encoder = ThumbnailEncoder()
        self._probabilities: list[np.ndarray] = []
        self._correct: list[np.ndarray] = []
        self._count = 0
        self._wrong_cells = _CellExamples(_MAX_WRONG, _MAX_WRONG_PER_CELL, by_count=True)
        self._correct_cells = _CellExamples(_MAX_CORRECT, _MAX_CORRECT_PER_CELL, by_count=False)
        self._misclassifications = _MostConfident(MAX_MISCLASSIFICATIONS)

    def add(self, images: np.ndarray, names: list[str], labels: np.ndarray,
            predictions: np.ndarray, classes: np.ndarray, probabilities: np.ndarray,
            scores: np.ndarray) -> None:
        """Adds a batch.

        Args:
          images: `[N, side, side, 3]` float32 in [-1, 1], preprocessed.
          names: of the images.
          labels: `[N]`, rows of the confusion matrix.
          predictions: `[N]`, columns of the confusion matrix.
          classes: `[N]`, the predicted classes of the checkpoint.
          probabilities: `[N]`, theirs.
          scores: `[N, classes]`, the probabilities of the dataset's classes.
        """
        self._scores.add(labels, scores)
        self._probabilities.append(probabilities)
        self._correct.append(labels == predictions)
        for image, name, label, prediction, predicted_class, probability in zip(
                images, names, labels.tolist(), predictions.tolist(), classes.tolist(),
                probabilities.tolist()):
            self._add_one(image, name, label, prediction, predicted_class, probability)

    def _add_one(self, image: np.ndarray, name: str, label: int, prediction: int,
                 predicted_class: int, probability: float) -> None:
        index = self._count
        self._count += 1
        cells = self._correct_cells if label == prediction else self._wrong_cells
        cells.add((label, prediction), probability, lambda: StoredExample(
            probability, index, name, self._encoder.encode_jpeg(image, SMALL)))
        if label != prediction:
            # A copy of the image, because a view would keep the whole batch in memory.
            self._misclassifications.add(probability, lambda: Misclassification(
                probability, index, name, self._encoder.encode_jpeg(image, LARGE), label,
                prediction, predicted_class, image.copy() if self._keep_images else None))

    def heatmap_pngs(self, heatmaps: Heatmaps) -> dict[int, bytes]:
        """Computes PNG overlays for `misclassifications`, by the `index` of the example."""
        examples = [(example, example.image) for example in self.misclassifications
                    if example.image is not None]
        computed = heatmaps.compute(
            np.stack([image for _, image in examples]),
            np.array([example.predicted_class for example, _ in examples]),
            [example.name for example, _ in examples])
        pngs = {example.index: self._encoder.encode_heatmap(heatmap)
                for (example, _), heatmap in zip(examples, computed)}
        return {index: png for index, png in pngs.items() if png}

    @property
    def probabilities(self) -> np.ndarray:
        """`[N]` float64: the confidence of each prediction."""
        return np.concatenate(self._probabilities)

    @property
    def correct(self) -> np.ndarray:
        """`[N]` booleans: whether each prediction is correct."""
        return np.concatenate(self._correct)

    @property
    def misclassifications(self) -> list[Misclassification]:
        """The most confident misclassifications, in descending order of confidence."""
        return self._misclassifications.sorted()

    def curves(self) -> Curves | None:
        """Curves of each class; None if there are too many images and classes."""
        return self._scores.curves()

    def examples_in_cell(self, label: int, prediction: int) -> list[StoredExample]:
        """The stored examples of a cell, in descending order of confidence."""
        cells = self._correct_cells if label == prediction else self._wrong_cells
        return cells.examples((label, prediction))

    def __enter__(self) -> ExampleStore:
        return self

    def __exit__(self, *error: object) -> None:
        self._encoder.close()
        self._scores.close()


class _MostConfident:
    """The `most` examples with the highest probability; of equal ones, the first in the dataset."""

    def __init__(self, most: int):
        self._most = most
        self._heap: list[tuple[float, int, StoredExample]] = []  # the least confident first

    def add(self, probability: float, build: Callable[[], StoredExample]) -> None:
        """Adds an example; `build` is called only if it is confident enough."""
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, _heap_item(build()))
        elif probability > self._heap[0][0]:
            heapq.heapreplace(self._heap, _heap_item(build()))

    def truncate(self, most: int) -> None:
        """Removes all but the `most` most confident examples; more can be added afterwards."""
        self._heap = heapq.nlargest(most, self._heap)
        heapq.heapify(self._heap)

    def sorted(self) -> list:
        return [example for _, _, example in sorted(self._heap, reverse=True)]

    def __len__(self) -> int:
        return len(self._heap)


def _heap_item(example: StoredExample) -> tuple[float, int, StoredExample]:
    return example.probability, -example.index, example


class _CellExamples:
    """The most confident examples of each cell, at most about `most` in total.

    Args:
      most: examples of all cells; exceeded by a quarter before examples are removed.
      most_per_cell: examples of a cell.
      by_count: whether cells with higher counts keep more examples.
    """

    def __init__(self, most: int, most_per_cell: int, *, by_count: bool):
        self._most, self._most_per_cell, self._by_count = most, most_per_cell, by_count
        self._counts: Counter[Cell] = Counter()
        self._cells: dict[Cell, _MostConfident] = {}
        self._total = 0

    def add(self, cell: Cell, probability: float, build: Callable[[], StoredExample]) -> None:
        self._counts[cell] += 1
        examples = self._cells.setdefault(cell, _MostConfident(self._most_per_cell))
        before = len(examples)
        examples.add(probability, build)
        self._total += len(examples) - before
        if self._total > self._most + self._most // 4:
            self._remove_excess()

    def examples(self, cell: Cell) -> list[StoredExample]:
        return self._cells[cell].sorted() if cell in self._cells else []

    def _remove_excess(self) -> None:
        def priority(ranked: tuple[Cell, int, StoredExample]) -> tuple[int, float, int]:
            cell, rank, example = ranked
            return ((self._counts[cell] if self._by_count else 0) - rank, example.probability,
                    -example.index)

        ranked = [(cell, rank, example) for cell, examples in self._cells.items()
                  for rank, example in enumerate(examples.sorted())]
        kept = Counter(cell for cell, _, _ in heapq.nlargest(self._most, ranked, key=priority))
        for cell, examples in self._cells.items():
            examples.truncate(kept[cell])  # its most confident ones have the highest priority
        self._total = self._most
