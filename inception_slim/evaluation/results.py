"""The results of `classify`, `features`, `evaluate`, `fid` and `inception_score`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from inception_slim._optional import require
from inception_slim.checkpoint.class_names import BACKGROUND
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.classification_metrics import class_metrics
import numpy as np

if TYPE_CHECKING:
    import pandas

_REPR_ITEMS = 3  # a longer list is summarised


class Result:
    """Base of the result dataclasses: a short `repr` and conversions."""

    def __repr__(self) -> str:
        values = ', '.join(f'{field.name}={_summary(getattr(self, field.name))}'
                           for field in fields(self))  # type: ignore[arg-type]
        return f'{type(self).__name__}({values})'

    def to_dict(self) -> dict[str, Any]:
        """The result as dictionaries, lists, strings and numbers, for `json.dumps`."""
        return {field.name: _plain(getattr(self, field.name))
                for field in fields(self)}  # type: ignore[arg-type]

    def to_pandas(self) -> pandas.DataFrame:
        """The result as a table.

        Raises:
          InceptionSlimError: pandas is not installed.
        """
        return _pandas().DataFrame([self.to_dict()])


def _pandas() -> Any:
    return require('pandas', 'Conversion to a DataFrame', InceptionSlimError)


def _summary(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f'<{value.dtype} array {list(value.shape)}>'
    if isinstance(value, list) and len(value) > _REPR_ITEMS:
        return f'<list of {len(value):,}>'
    if isinstance(value, float):
        return f'{value:.6g}'
    return repr(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@dataclass(frozen=True, repr=False)
class Prediction(Result):
    """The most likely classes of one image, in descending order of probability.

    Attributes:
      name: the image file.
      classes: class numbers of the checkpoint.
      labels: the names of these classes.
      probabilities: their probabilities, in [0, 1].
    """

    name: str
    classes: list[int]
    labels: list[str]
    probabilities: list[float]

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each class: name, rank (from 1), class, label, probability."""
        return _prediction_table([self])


@dataclass(frozen=True, repr=False)
class Classification(Result):
    """The result of `classify`.

    Attributes:
      predictions: one for each readable image, in the order of the files.
      unreadable: the image files that could not be read.
      warning: an assumption about the class names or a background class; None if there is none.
      activation: of the network's head: of 'softmax', the probabilities of an image sum to 1; of
        'sigmoid', each class has its own; of 'linear', they are the outputs as they are.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
      threshold: the least probability of the classes; None if there is none.
    """

    predictions: list[Prediction]
    unreadable: list[str]
    warning: str | None
    activation: str = 'softmax'
    rotated: int = 0
    threshold: float | None = None

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each image and class: name, rank (from 1), class, label, probability."""
        return _prediction_table(self.predictions)


def _prediction_table(predictions: list[Prediction]) -> pandas.DataFrame:
    return _pandas().DataFrame([
        (prediction.name, rank, *values) for prediction in predictions
        for rank, values in enumerate(zip(prediction.classes, prediction.labels,
                                          prediction.probabilities), 1)],
        columns=['name', 'rank', 'class', 'label', 'probability'])


@dataclass(frozen=True, repr=False)
class Evaluation(Result):
    """The result of `evaluate`: the accuracy of a checkpoint on a dataset.

    Attributes:
      class_names: the names of the dataset's classes, by label.
      num_examples: the number of evaluated images.
      top_1: accuracy: the share of images whose most likely class is their label.
      top_5: the share of images whose label is among the five most likely classes; Recall_5 in
        TF-Slim.
      confusion: the confusion matrix, `[labels, predictions]` int64. If the checkpoint has a
        background class and the dataset has none, or other classes that the dataset has not,
        there is one more column, the last, for these.
      unreadable: the image files that could not be read.
      warning: an assumption about a background class; None if there is none.
      images_per_second: the throughput, including reading and preprocessing.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
      batch_statistics_top_1: the accuracy with batch norm's statistics of each batch, as in
        training; None if it was not asked for.
      other_name: the name of that column.
      top_5_correct: of each class, the number of images that `top_5` counts; None if it was not
        computed.
    """

    class_names: list[str]
    num_examples: int
    top_1: float
    top_5: float
    confusion: np.ndarray
    unreadable: list[str]
    warning: str | None
    images_per_second: float
    rotated: int = 0
    batch_statistics_top_1: float | None = None
    other_name: str = BACKGROUND
    top_5_correct: np.ndarray | None = None

    @property
    def prediction_names(self) -> list[str]:
        """The names of the columns of `confusion`."""
        rows, columns = self.confusion.shape
        return self.class_names + [self.other_name] * (columns - rows)

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """For each class: label, name, images, correct, accuracy, top_5_accuracy.

        The accuracies are None without images.
        """
        rows = []
        for label, (name, row) in enumerate(zip(self.class_names, self.confusion.tolist())):
            images, correct = sum(row), row[label]
            top_5 = None if self.top_5_correct is None else int(self.top_5_correct[label])
            rows.append({'label': label, 'name': name, 'images': images, 'correct': correct,
                         'accuracy': correct / images if images else None,
                         'top_5_accuracy': top_5 / images if images and top_5 is not None else None
                         })
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All attributes and properties, for `json.dumps`."""
        return {**super().to_dict(), 'prediction_names': self.prediction_names,
                'per_class': self.per_class}

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each class, see `per_class`."""
        return _pandas().DataFrame(self.per_class)


@dataclass(frozen=True, repr=False)
class MultiLabelEvaluation(Result):
    """The result of `evaluate_multi_label`, of images that may have several labels.

    Classes that no image has do not count in the means, which are None if there is no other one.

    Attributes:
      class_names: the names of the dataset's classes.
      num_examples: the number of evaluated images.
      threshold: the probability from which a class counts as predicted.
      mean_average_precision: the mean of `average_precision`, over the classes.
      mean_auc: the mean of `auc`, over the classes.
      micro_f1: the harmonic mean of precision and recall of all labels of all classes together; 0
        if no label and no prediction is positive.
      macro_f1: the mean of the F1 of the classes.
      images: `[classes]`, the number of images with each class.
      predicted: `[classes]`, the number of images for which it is predicted.
      correct: `[classes]`, the number of images for which both hold.
      average_precision: of each class, the sum of each precision times the increase of the recall;
        None if no image has it.
      auc: of each class, the area under the ROC curve; None if no image has it, or all have.
      unreadable: the image files that could not be read.
      warning: an assumption about the classes or the head; None if there is none.
      images_per_second: the throughput, including reading and preprocessing.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
    """

    class_names: list[str]
    num_examples: int
    threshold: float
    mean_average_precision: float | None
    mean_auc: float | None
    micro_f1: float
    macro_f1: float | None
    images: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    average_precision: list[float | None]
    auc: list[float | None]
    unreadable: list[str]
    warning: str | None
    images_per_second: float
    rotated: int = 0

    @property
    def classes_without_images(self) -> list[str]:
        """The names of the classes that the means leave out."""
        return [name for name, images in zip(self.class_names, self.images) if not images]

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """For each class: label, name, images, predicted, correct, and its metrics.

        These are precision, recall, f1, average_precision and auc; None where it has no value.
        """
        metrics = class_metrics(self.images, self.predicted, self.correct)
        columns = (metrics.precision, metrics.recall, metrics.f1)
        return [{'label': label, 'name': name, 'images': int(self.images[label]),
                 'predicted': int(self.predicted[label]), 'correct': int(self.correct[label]),
                 **{key: None if np.isnan(values[label]) else float(values[label])
                    for key, values in zip(('precision', 'recall', 'f1'), columns)},
                 'average_precision': self.average_precision[label], 'auc': self.auc[label]}
                for label, name in enumerate(self.class_names)]

    def to_dict(self) -> dict[str, Any]:
        """All attributes and properties, for `json.dumps`."""
        return {**super().to_dict(), 'classes_without_images': self.classes_without_images,
                'per_class': self.per_class}

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each class, see `per_class`."""
        return _pandas().DataFrame(self.per_class)


@dataclass(frozen=True, repr=False)
class FeaturesResult(Result):
    """The result of `features`.

    Attributes:
      features: `[N, 2048]` float32 at full width: the pre-logits of each readable image.
      names: the image file of each row.
      unreadable: the image files that could not be read.
      path: the .npy file that was written, if any.
      list_path: the file beside it with the image file of each row; see `read_features`.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
    """

    features: np.ndarray
    names: list[str]
    unreadable: list[str]
    path: str | None = None
    list_path: str | None = None
    rotated: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `features`."""
        return self.features.shape

    def to_dict(self) -> dict[str, Any]:
        """The attributes and the shape, for `json.dumps`; `features` only if not in a file."""
        values = {**super().to_dict(), 'shape': list(self.shape)}
        if self.path is not None:
            del values['features']
        return values

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each image, with the file name as index, and a column for each feature."""
        return _pandas().DataFrame(self.features, index=self.names)


@dataclass(frozen=True, repr=False)
class FIDResult(Result):
    """The result of `fid`: the distance of two sets of images.

    Attributes:
      fid: the Fréchet Inception Distance; at least 0.
      kid, kid_deviation: mean and standard deviation of the Kernel Inception Distance over its
        subsets; None if it was not requested.
      counts: the number of images of each set; None for statistics that do not record it.
      unreadable: the image files that could not be read.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
      notes: see `GenerativeMetrics`.
    """

    fid: float
    kid: float | None
    kid_deviation: float | None
    counts: tuple[int | None, int | None]
    unreadable: list[str]
    rotated: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class InceptionScore(Result):
    """The result of `inception_score`.

    Attributes:
      mean, deviation: mean and standard deviation of the score over the splits.
      count: the number of images.
      unreadable: the image files that could not be read.
      rotated: the number of images that were rotated or flipped as their EXIF orientation says.
    """

    mean: float
    deviation: float
    count: int
    unreadable: list[str]
    rotated: int = 0
