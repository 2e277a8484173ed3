"""The interface of an opened file of weights, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
from typing import Any, Protocol

from inception_slim.checkpoint.head import Head
from inception_slim.errors import CheckpointError, InceptionSlimError, error_summary
from inception_slim.nets.registry import BATCH_NORM_EPSILON
import numpy as np

InputScaling = tuple[Sequence[float], Sequence[float]] | tuple[np.ndarray, np.ndarray]


class WeightSource(Protocol):
    """An opened TensorFlow checkpoint, or an opened file of another format.

    Attributes:
      prefix: its path, or the prefix of a TensorFlow checkpoint.
      version: 'V1' or 'V2' for a TensorFlow checkpoint; else the kind of file.
      shapes: the shape of each tensor, by name.
      dtypes: the `tf.DType` of each tensor, by name.
      pooling: how the network pools, one of `nets.POOLINGS`.
      head: the layers after the base network.
      input_scaling: `(scale, shift)`, each for three channels, which convert images in [-1, 1] to
        the range that the network was trained on; None if it was trained on [-1, 1].
      input_range: of Inception-ResNet V1, the range that the file records, one of `INPUT_RANGES`;
        None if it records none.
      naming: the naming scheme of the original file; None if the tensors' names show it.
      notes: other differences from TF-Slim's network, and how they were handled; sentences.
      has_structure: whether the file declares the structure of the network, which the reader has
        compared; else it holds weights only.
      unpacked: the temporary folder with the files of the archive `prefix`, which it stands for in
        messages, and which must live as long as this object; None without an archive.
    """

    prefix: str
    version: str
    has_structure: bool
    unpacked: str | None

    @property
    def shapes(self) -> Mapping[str, Sequence[int]]: ...

    @property
    def dtypes(self) -> Mapping[str, Any]: ...

    @property
    def pooling(self) -> str: ...

    @property
    def head(self) -> Head: ...

    @property
    def input_scaling(self) -> InputScaling | None: ...

    @property
    def input_range(self) -> str | None: ...

    @property
    def naming(self) -> str | None: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def read(self, name: str) -> np.ndarray:
        """Returns the value of a tensor."""


@contextlib.contextmanager
def wrap_read_errors(path: str, unpacked: str | None = None) -> Iterator[None]:
    """Reraises any error of a reader, except this package's own, as a CheckpointError.

    Args:
      path: the file that is read.
      unpacked: a temporary folder with what `path` contains; messages name `path` instead.
    """
    try:
        yield
    except InceptionSlimError as error:
        if unpacked is None or unpacked not in str(error):
            raise
        raise type(error)(str(error).replace(unpacked, path)) from None
    except MemoryError:
        raise
    except Exception as error:
        summary = error_summary(error)[:200]
        if unpacked is not None:
            summary = summary.replace(unpacked, path)
        raise CheckpointError(f'{path} is damaged or cut short ({summary}); copy it again from its '
                              'source.') from None


def read_finite(source: WeightSource, names: Iterable[str],
                copy: bool = False) -> dict[str, np.ndarray]:
    """Reads tensors and checks that all values are finite and that variances can be used.

    Args:
      source: an opened file.
      names: the tensors to read.
      copy: copy each value, so that its memory is returned when NumPy frees it; TensorFlow keeps
        the memory of its own tensors.

    Raises:
      CheckpointError: a tensor cannot be read, or holds NaN or infinity, or a variance of which
        batch norm would take the root of a number that is not positive.
    """
    values = {name: source.read(name).copy() if copy else source.read(name) for name in names}
    not_finite = []
    for name, value in values.items():
        # The sum of squares is finite only if all values are; if it overflows, check each value.
        flat = value.ravel()
        with np.errstate(over='ignore', invalid='ignore'):
            if not np.isfinite(np.dot(flat, flat)) and not np.isfinite(flat).all():
                not_finite.append(name)
    if not_finite:
        raise CheckpointError(
            f'{source.prefix} holds NaN or infinite values in {len(not_finite)} tensors, such as '
            f'{not_finite[0]}: the training that wrote it had diverged; use an earlier checkpoint.')
    for name, value in values.items():
        # A little below 0 is possible, where another epsilon was added to the variance.
        if 'moving_variance' in name and value.size and value.min() <= -BATCH_NORM_EPSILON:
            raise CheckpointError(f'{source.prefix} holds the variance {value.min():g} in {name}, '
                                  'which must not be negative; copy the file again from its '
                                  'source.')
    return values
