"""Weights of files that are not TensorFlow checkpoints, and `open_weights` for any file.

The readers are in `formats`, a layer above; they are registered in `_file_openers`. A reader
returns `ImportedWeights`: the network's variables under TF-Slim's names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
import functools
import os
import types
from typing import Any

from inception_slim._atomic_write import recover
from inception_slim._file_openers import OBJECT_OPENERS, OPENERS
from inception_slim.checkpoint._weight_source import WeightSource, wrap_read_errors
from inception_slim.checkpoint.head import SLIM_HEAD, Head
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.errors import CheckpointError
import numpy as np

# Sizes in bytes that no supported network reaches: a file with more is damaged or malicious.
LARGEST_TENSOR = 2**29
LARGEST_NETWORK = 2**31  # all tensors together


@dataclass(frozen=True)
class LazyTensor:
    """A variable of another format.

    Attributes:
      shape: its shape in TensorFlow's order.
      dtype: its dtype.
      load: reads its value.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]


@dataclass
class ImportedWeights:
    """An opened file of another format than TensorFlow's checkpoints; a `WeightSource`.

    Attributes:
      prefix: its path.
      version: the kind of file, such as 'Keras HDF5 file'.
      naming: the naming scheme of the file, such as 'torchvision'.
      tensors: the variables by TF-Slim's names, with the scope of the network; not changed later.
      pooling: how the network pools, one of `nets.POOLINGS`.
      input_scaling: `(scale, shift)`, each for three channels, which convert images in [-1, 1] to
        the range that the network was trained on; None if it was trained on [-1, 1].
      notes: other differences from TF-Slim's network, and how they were handled; sentences.
      input_range: of Inception-ResNet V1, the range that the file records; None if none.
      head: the layers after the base network.
      has_structure: see `WeightSource`.
      holding: an object that must live as long as this one, such as an open file.
      unpacked: see `WeightSource`.
    """

    prefix: str
    version: str
    naming: str
    tensors: Mapping[str, LazyTensor]
    pooling: str = 'average'
    input_scaling: tuple[np.ndarray, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    input_range: str | None = None
    head: Head = SLIM_HEAD
    has_structure: bool = False
    holding: Any = field(default=None, repr=False)
    unpacked: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # Later changes would not be in `shapes` and `dtypes`, which are computed once.
        self.tensors = types.MappingProxyType(dict(self.tensors))
        total = 0
        for name, tensor in self.tensors.items():
            total += check_tensor_size(self.prefix, name, tensor.shape, tensor.dtype)
        if total > LARGEST_NETWORK:
            raise CheckpointError(f'{self.prefix} declares {total / 2**30:.1f} GiB of weights, '
                                  'more than any supported network has; it is damaged.')

    @functools.cached_property
    def shapes(self) -> dict[str, list[int]]:
        """The shape of each tensor, by name."""
        return {name: list(tensor.shape) for name, tensor in self.tensors.items()}

    @functools.cached_property
    def dtypes(self) -> dict[str, Any]:
        """The `tf.DType` of each tensor, by name."""
        import tensorflow.compat.v1 as tf

        return {name: tf.as_dtype(tensor.dtype) for name, tensor in self.tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """Returns the value of a tensor."""
        with wrap_read_errors(self.prefix, self.unpacked):
            return self.tensors[name].load().reshape(self.tensors[name].shape)


def check_tensor_size(path: str, name: str, shape: Iterable[int], dtype: np.dtype) -> int:
    """Returns the size of a tensor in bytes.

    Raises:
      CheckpointError: it is larger than any tensor of a supported network, or negative.
    """
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= int(length)
        if length < 0 or size > LARGEST_TENSOR:
            raise CheckpointError(f'{path} declares the shape {list(shape)} for its tensor {name}, '
                                  'which no supported network has; it is damaged or malicious.')
    return size


def open_weights(path: str | os.PathLike) -> WeightSource:
    """Opens a TensorFlow checkpoint, or a file of another format that `formats` can read.

    Args:
      path: the prefix or folder of a checkpoint, or a file or folder of another format.

    Raises:
      CheckpointError: it cannot be read, or its format is unknown.
    """
    path = os.fsdecode(path)
    if not os.path.exists(path):
        recover(path)
    if os.path.isdir(path) or os.path.isfile(path):
        for opener in OPENERS:
            weights = opener(path)
            if weights is not None:
                return weights
    file = TFCheckpoint(path)
    if file.object_names:
        for opener in OBJECT_OPENERS:
            weights = opener(file)
            if weights is not None:
                return weights
    return file
