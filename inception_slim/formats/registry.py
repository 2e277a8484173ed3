"""The table of file formats: how each is recognized, read and written.

A new format is a module with `read_weights(path)`, `write(info, weights, path, settings)` or both,
and an entry in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import os
import struct

from inception_slim.checkpoint import CheckpointInfo, WeightSource, wrap_read_errors
from inception_slim.errors import CheckpointError
from inception_slim.formats import (
    PRECISIONS,
    archive,
    frozen_graph,
    keras_reader,
    keras_writer,
    onnx_format,
    openvino_format,
    safetensors_format,
    saved_model,
    state_dicts,
    tfjs,
    tflite,
    torch_format,
)
import numpy as np

# Probabilities `[N, num_classes]` of images `[N, side, side, 3]` in [-1, 1]; without a classifier,
# the embeddings of length 1 or the features.
PredictFn = Callable[[np.ndarray], np.ndarray]
_HEAD = 512  # bytes of a file by which its format is recognized


@dataclass(frozen=True)
class ExportSettings:
    """What a writer needs besides the network.

    Attributes:
      precision: one of `PRECISIONS`.
      calibration_images: `[N, side, side, 3]` in [-1, 1].
      class_names: the names to store in the file, if the format has a place for them.
    """

    precision: str
    calibration_images: np.ndarray
    class_names: list[str] | None = None


# Writes a network to a path and returns the predictions of the file, loaded again.
Writer = Callable[[CheckpointInfo, dict[str, np.ndarray], str, ExportSettings], PredictFn]


@dataclass(frozen=True)
class FileFormat:
    """A file format.

    Attributes:
      name: as `export` takes it.
      matches: whether a file with this path and these first bytes has the format; None if it
        cannot be read as a single file.
      folder_file: the file that identifies a folder of this format, if it can be a folder.
      folder_names: patterns of what else such a folder holds when `write` has written it.
      read: opens a file or folder; None if the format cannot be read.
      write: writes a network; None if the format cannot be written.
      check: raises an ExportError if the format cannot represent a network.
      precisions: those of `PRECISIONS` that can be written.
      needs_classifier: whether a network without a classifier, or an embedding, cannot be written.
      stores_class_names: whether the format has a place for the names of the classes.
    """

    name: str
    matches: Callable[[str, bytes], bool] | None = None
    folder_file: str | None = None
    folder_names: tuple[str, ...] = ()
    read: Callable[[str], WeightSource] | None = None
    write: Writer | None = None
    check: Callable[[CheckpointInfo], None] | None = None
    precisions: tuple[str, ...] = ('float32',)
    needs_classifier: bool = False
    stores_class_names: bool = False


def _is_saved_model(path: str, head: bytes) -> bool:
    return os.path.basename(path) == 'saved_model.pb'


def _is_torch_zip(head: bytes) -> bool:
    return head.startswith(b'PK\x03\x04') and b'data.pkl' in head


def _is_keras(path: str, head: bytes) -> bool:
    return head.startswith(b'\x89HDF') or (
        head.startswith(b'PK') and not _is_torch_zip(head) and not path.endswith(('.pth', '.pt')))


def _is_torch(path: str, head: bytes) -> bool:
    return head.startswith(b'PK') or path.endswith(('.pth', '.pt', '.bin')) or (
        head[:1] == b'\x80' and head[1:2] in b'\x02\x03\x04\x05')


def _is_archive(path: str, head: bytes) -> bool:
    return head.startswith(b'\x1f\x8b') or head[257:262] == b'ustar'


def _is_safetensors(path: str, head: bytes) -> bool:
    return path.endswith('.safetensors') or (
        len(head) > 9 and head[8:10] == b'{"' and struct.unpack('<Q', head[:8])[0] < 2**27)


def _is_onnx(path: str, head: bytes) -> bool:
    return path.endswith('.onnx') or (
        head[:1] == b'\x08' and (b'inception_slim' in head[:40] or b'tf2onnx' in head[:40]))


def _is_openvino(path: str, head: bytes) -> bool:
    return b'<net ' in head[:200]


def _is_tfjs(path: str, head: bytes) -> bool:
    return path.endswith('.json') and head.lstrip()[:1] == b'{'


def _is_frozen_graph(path: str, head: bytes) -> bool:
    # A GraphDef begins with its first node, and a node with its name.
    return path.endswith('.pb') or (
        len(head) > 4 and head[0] == 0x0a and b'\x12' in head[3:200]
        and (b'Placeholder' in head or b'Const' in head))


# The first entry that matches a file reads it, so the order matters: `_is_torch` accepts any zip
# and `_is_frozen_graph` any .pb.
TABLE = (
    FileFormat('saved-model', _is_saved_model, 'saved_model.pb',
               ('fingerprint.pb', 'variables', 'assets'), saved_model.read_weights,
               saved_model.write, stores_class_names=True),
    FileFormat('keras', _is_keras, read=keras_reader.read_weights, write=keras_writer.write,
               check=keras_writer.check, needs_classifier=True),
    FileFormat('torch', _is_torch, read=torch_format.read_weights, write=torch_format.write,
               check=state_dicts.check, needs_classifier=True),
    FileFormat('archive', _is_archive, read=archive.read_weights),
    FileFormat('safetensors', _is_safetensors, read=safetensors_format.read_weights,
               write=safetensors_format.write, check=state_dicts.check, needs_classifier=True),
    FileFormat('timm', None, 'model.safetensors', ('config.json',),
               safetensors_format.read_weights, safetensors_format.write_timm,
               safetensors_format.check_timm, needs_classifier=True),
    FileFormat('onnx', _is_onnx, read=onnx_format.read_weights, write=onnx_format.write,
               precisions=PRECISIONS),
    FileFormat('tfjs', _is_tfjs, tfjs.FILE, (tfjs.SHARDS,), tfjs.read_weights, tfjs.write,
               keras_writer.check, ('float32', 'float16'), needs_classifier=True),
    FileFormat('openvino', _is_openvino, openvino_format.FILE, ('openvino_model.bin',),
               openvino_format.read_weights, openvino_format.write, precisions=PRECISIONS),
    FileFormat('frozen', _is_frozen_graph, read=frozen_graph.read_weights,
               write=frozen_graph.write),
    FileFormat('tflite', write=tflite.write, precisions=PRECISIONS),
)
WRITABLE = {entry.name: entry for entry in TABLE if entry.write is not None}


def recognize(path: str) -> FileFormat | None:
    """The format of a file or folder; None if it is none of `TABLE`."""
    try:
        if os.path.isdir(path):
            return next((entry for entry in TABLE if entry.folder_file and os.path.isfile(
                os.path.join(path, entry.folder_file))), None)
        with open(path, 'rb') as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror or error}.') from None
    return next((entry for entry in TABLE if entry.matches and entry.matches(path, head)), None)


def open_weights(path: str) -> WeightSource | None:
    """Opens a file or folder whose format is in `TABLE`.

    Args:
      path: an existing file or folder.

    Returns:
      Its weights under TF-Slim's names, read on demand; None if the format is not in the table.

    Raises:
      CheckpointError: the file cannot be read.
    """
    file_format = recognize(path)
    if file_format is None or file_format.read is None:
        return None
    with wrap_read_errors(path):
        return file_format.read(path)
