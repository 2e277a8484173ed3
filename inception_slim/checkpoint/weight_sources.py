"""Files of other formats: which there are, by their first bytes, and what their readers give.

The readers stand beside their writers in `formats`, which imports this room; so each is known here
by its name alone, and imported when such a file is met. What a reader gives stands in the place of
`files.File`: the network's variables under TF-Slim's names, as if TensorFlow had written them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
import importlib
import os
import struct
from typing import Any

from inception_slim.checkpoint._weight_source import WeightSource, wrap_read_errors
from inception_slim.checkpoint.tf_checkpoint import TFCheckpoint
from inception_slim.errors import CheckpointError
import numpy as np

# Sizes in bytes that no supported network reaches: a file with more is damaged or malicious.
LARGEST_TENSOR = 2**29
LARGEST_NETWORK = 2**31  # all tensors together
_HEAD = 512


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
      tensors: the variables by TF-Slim's names, with the scope of the network.
      pooling: how the network pools, one of `nets.POOLINGS`.
      input_scaling: `(scale, shift)`, each for three channels, which convert images in [-1, 1] to
        the range that the network was trained on; None if it was trained on [-1, 1].
      notes: other differences from TF-Slim's network, and how they were handled; sentences.
      holding: an object that must live as long as this one, such as a temporary folder.
    """

    prefix: str
    version: str
    naming: str
    tensors: dict[str, LazyTensor]
    pooling: str = 'average'
    input_scaling: tuple[np.ndarray, np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    holding: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        total = 0
        for name, tensor in self.tensors.items():
            total += check_tensor_size(self.prefix, name, tensor.shape, tensor.dtype)
        if total > LARGEST_NETWORK:
            raise CheckpointError(f'{self.prefix} declares {total / 2**30:.1f} GiB of weights, '
                                  'more than any supported network has; it is damaged.')

    @property
    def shapes(self) -> dict[str, list[int]]:
        """The shape of each tensor, by name."""
        return {name: list(tensor.shape) for name, tensor in self.tensors.items()}

    @property
    def dtypes(self) -> dict[str, Any]:
        """The `tf.DType` of each tensor, by name."""
        import tensorflow.compat.v1 as tf

        return {name: tf.as_dtype(tensor.dtype) for name, tensor in self.tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """Returns the value of a tensor."""
        with wrap_read_errors(self.prefix):
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


@dataclass(frozen=True)
class FileFormat:
    """A kind of file.

    Attributes:
      module: what reads it, by `read_weights(path)`.
      known: whether a file with this beginning, or a folder with these names in it, is one.
    """

    module: str
    known: Callable[[str, bytes], bool]


def _is_safetensors(path: str, head: bytes) -> bool:
    return path.endswith('.safetensors') or (
        len(head) > 9 and head[8:10] == b'{"' and struct.unpack('<Q', head[:8])[0] < 2**27)


def _is_graph(path: str, head: bytes) -> bool:
    # A GraphDef begins with its first node, and that with its name.
    return path.endswith('.pb') or (
        len(head) > 4 and head[0] == 0x0a and b'\x12' in head[3:200]
        and (b'Placeholder' in head or b'Const' in head))


def _is_torch(path: str, head: bytes) -> bool:
    return head[:4] == b'PK\x03\x04' and b'data.pkl' in head or (
        head[:1] == b'\x80' and head[1:2] in b'\x02\x03\x04\x05') or (
        path.endswith(('.pth', '.pt', '.bin')) and head[:2] != b'PK')


_FILES = (
    FileFormat('keras_reader', lambda path, head: head.startswith(b'\x89HDF')),
    FileFormat('torch_format', _is_torch),
    FileFormat(
        'keras_reader',
        lambda path, head: head.startswith(b'PK') and not path.endswith(('.pth', '.pt')),
    ),
    FileFormat('torch_format', lambda path, head: head.startswith(b'PK')),
    FileFormat(
        'archive', lambda path, head: head.startswith(b'\x1f\x8b') or head[257:262] == b'ustar'
    ),
    FileFormat('safetensors_format', _is_safetensors),
    FileFormat(
        'onnx_format',
        lambda path, head: (
            path.endswith('.onnx') or (head[:1] == b'\x08' and b'tf2onnx' in head[:40])
        ),
    ),
    FileFormat('openvino_format', lambda path, head: b'<net ' in head[:200]),
    FileFormat('tfjs', lambda path, head: path.endswith('.json') and head.lstrip()[:1] == b'{'),
    FileFormat('saved_model', lambda path, head: os.path.basename(path) == 'saved_model.pb'),
    FileFormat('frozen_graph', _is_graph),
)
# By a file in a folder.
_FOLDERS = (('saved_model.pb', 'saved_model'), ('model.safetensors', 'safetensors_format'),
            ('model.json', 'tfjs'), ('openvino_model.xml', 'openvino_format'))


def open_weights(path: str | os.PathLike) -> WeightSource:
    """Opens a checkpoint, or the weights of a network in any other format that is known here.

    Raises:
      CheckpointError: it cannot be read, or is none.
    """
    path = os.fspath(path)
    module = _module(path)
    if module is None:
        return TFCheckpoint(path)
    reader = importlib.import_module(f'inception_slim.formats.{module}')
    with wrap_read_errors(path):
        return reader.read_weights(path)


def _module(path: str) -> str | None:
    """The reader of a file; None leaves it to TensorFlow."""
    try:
        if os.path.isdir(path):
            return next((module for name, module in _FOLDERS
                         if os.path.isfile(os.path.join(path, name))), None)
        if not os.path.isfile(path):
            return None
        with open(path, 'rb') as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror or error}.') from None
    return next((kind.module for kind in _FILES if kind.known(path, head)), None)
