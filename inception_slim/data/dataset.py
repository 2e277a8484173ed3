"""A folder of data, whatever it holds: which images, which labels, which classes."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass, field

from inception_slim.data import filesystem
from inception_slim.errors import DatasetError


@dataclass(frozen=True)
class Dataset:
    """What a folder of data holds.

    Attributes:
      path: the folder.
      kind: 'tfrecord' or 'folder'.
      files: the TFRecord files, or the images, in order.
      class_names: the names of the classes; a label is an index into them.
      num_examples: how many images there are, good and bad.
      labels: of a folder, the label of each file.
      counts: of TFRecords, the number of records of each file.
    """

    path: str
    kind: str
    files: list[str]
    class_names: list[str]
    num_examples: int
    labels: list[int] = field(default_factory=list, repr=False)
    counts: list[int] = field(default_factory=list, repr=False)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def with_counts(self, counts: list[int]) -> Dataset:
        """The same TFRecords, with the number of records of each file."""
        return dataclasses.replace(self, counts=counts, num_examples=sum(counts))


def list_visible(path: str) -> list[str]:
    """The visible names in a folder, sorted."""
    try:
        return sorted(name for name in filesystem.listdir(path) if not name.startswith('.'))
    except OSError as error:
        raise DatasetError(f'{path} cannot be read: {error.strerror}.') from None


def resolve_split(path: str, splits: Sequence[str], split: str | None) -> str:
    known = ', '.join(splits)
    if split is None and len(splits) > 1:
        raise DatasetError(f'{path} holds the splits {known}; choose one of them.')
    if split is not None and split not in splits:
        raise DatasetError(f'{path} has no split {split!r}; it has {known}.')
    return split or splits[0]
