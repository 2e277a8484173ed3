"""The output of a bulk run: the folder, local or remote, and the files of each shard.

Every file is written atomically. Files of the run itself start with `_`, so pyarrow, pandas and
Spark ignore them when they read the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import dataclasses
from dataclasses import dataclass, field
import io
import os
import shutil
from typing import Any, BinaryIO, Protocol

from inception_slim._atomic_write import atomic_write
from inception_slim._optional import require
from inception_slim.data.filesystem import is_remote, open_filesystem, wrap_io_errors
from inception_slim.data.name_list import escape_name, write_names
from inception_slim.errors import DatasetError
from inception_slim.evaluation.generative_metrics import RunningMoments, dump_statistics
from inception_slim.evaluation.origin import Origin, read_origin
import numpy as np

DONE = '_done'  # folder of the records of finished shards
TOP_K = 5
_LOCK = '_lock'


class OutputStore(Protocol):
    """A folder to write to."""

    path: str

    def names(self, folder: str = '') -> list[str]:
        """Lists the names in the folder or in a subfolder; empty if it does not exist."""

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Writes a file atomically."""

    def open(self, name: str) -> BinaryIO:
        """Opens a file for reading."""

    def remove(self, name: str) -> None:
        """Removes a file, or a subfolder with its files; does nothing if it does not exist."""

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Creates the folder and locks it for this run; object stores have no locks."""


def open_output(path: str | os.PathLike) -> OutputStore:
    """Opens a folder, given by a local path or a URL, which need not exist."""
    path = os.fsdecode(path)
    return _RemoteStore(path) if is_remote(path) else _LocalStore(path)


class _LocalStore:

    def __init__(self, path: str):
        self.path = path
        if os.path.exists(path) and not os.path.isdir(path):
            raise DatasetError(f'{path} is a file; give a folder to write to.')

    def names(self, folder: str = '') -> list[str]:
        path = os.path.join(self.path, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        path = os.path.join(self.path, name)
        with contextlib.suppress(OSError):  # `atomic_write` reports the error
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with atomic_write(path) as file:
            file.writelines(lines)

    def open(self, name: str) -> BinaryIO:
        return open(os.path.join(self.path, name), 'rb')

    def remove(self, name: str) -> None:
        path = os.path.join(self.path, name)
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.remove(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        import filelock
        lock = filelock.FileLock(os.path.join(self.path, _LOCK), timeout=0)
        try:
            os.makedirs(self.path, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise DatasetError(f'Another run is writing to {self.path}; wait until it ends, or '
                               'give another folder.') from None
        except OSError as error:
            raise DatasetError(f'{self.path} cannot be written: {error.strerror or error}.'
                               ) from None
        try:
            self._remove_partial_files()
            yield
        finally:
            lock.release()

    def _remove_partial_files(self) -> None:
        """Removes the scratch folders of `atomic_write` that a killed run left."""
        for folder in ('', DONE):
            for name in self.names(folder):
                if name.startswith(('._', '.part-')):
                    self.remove(os.path.join(folder, name))


class _RemoteStore:

    def __init__(self, path: str):
        self.path = path.rstrip('/')
        self._filesystem, self._root = open_filesystem(self.path)

    def names(self, folder: str = '') -> list[str]:
        path = f'{self._root}/{folder}'.rstrip('/')
        with wrap_io_errors(self.path):
            self._filesystem.invalidate_cache()
            try:
                entries = self._filesystem.ls(path, detail=False)
            except FileNotFoundError:
                return []
        # Object stores may list the folder itself.
        return sorted(entry.rstrip('/').rsplit('/', 1)[-1] for entry in entries
                      if entry.rstrip('/') != path)

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        path = f'{self._root}/{name}'
        with wrap_io_errors(f'{self.path}/{name}', 'written'):
            self._filesystem.makedirs(path.rpartition('/')[0], exist_ok=True)
            with self._filesystem.open(path, 'wb') as file:
                file.writelines(lines)

    def open(self, name: str) -> BinaryIO:
        with wrap_io_errors(f'{self.path}/{name}'):
            return io.BufferedReader(self._filesystem.open(f'{self._root}/{name}', 'rb'))

    def remove(self, name: str) -> None:
        with wrap_io_errors(f'{self.path}/{name}', 'removed'), \
                contextlib.suppress(FileNotFoundError):
            self._filesystem.rm(f'{self._root}/{name}', recursive=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Shard:
    """One finished shard.

    Attributes:
      unit, number: the number of the work unit, and of the shard in it.
      last: whether it is the last shard of the work unit.
      rows: number of images in it.
      unreadable: name and reason of each image that was skipped.
      rotated: number of images that were rotated or flipped as their EXIF orientation says.
      files: contents of its files by name; empty if there are no rows.
    """

    unit: int
    number: int
    last: bool
    rows: int
    unreadable: list[tuple[str, str]]
    rotated: int
    files: dict[str, bytes] = field(repr=False)


def shard_name(unit: int, number: int) -> str:
    return f'part-{unit:07d}-{number:05d}'


def serialize_shard(
    name: str,
    image_names: Sequence[str],
    values: np.ndarray,
    output_type: str,
    format: str,
    dtype: str,
    class_names: Sequence[str],
    origin: Origin | None = None,
) -> dict[str, bytes]:
    """Serializes one shard.

    Args:
      name: from `shard_name`.
      image_names: the names of the images.
      values: `[images, width]` features or probabilities.
      output_type, format, dtype: see `BulkOptions`.
      class_names: the names of the classes.
      origin: what features are computed of, for statistics.

    Returns:
      The contents of the files by name.
    """
    if output_type == 'statistics':
        assert origin is not None
        return {f'{DONE}/{name}.npz': _serialize_moments(values, origin)}
    if output_type != 'features':
        count = TOP_K if output_type == 'top5' else 1
        classes = np.argsort(-values, axis=1, kind='stable')[:, :count].astype(np.int32)
        probabilities = np.take_along_axis(values, classes, axis=1).astype(dtype)
    if format == 'npy':
        names = io.BytesIO()
        write_names(names, image_names)
        files = {f'{name}.jsonl': names.getvalue()}
        if output_type == 'top5':
            files[f'{name}.classes.npy'] = _to_npy(classes)
        files[f'{name}.npy'] = _to_npy(
            probabilities if output_type == 'top5' else values.astype(dtype))
        return files
    arrow = require_pyarrow()
    columns: dict[str, Any] = {
        'name': arrow.array(map(escape_name, image_names), arrow.string())}
    if output_type == 'features':
        columns['features'] = _to_vectors(arrow, values.astype(dtype))
    elif output_type == 'predictions':
        columns['class'] = arrow.array(classes[:, 0])
        columns['label'] = arrow.array([class_names[index] for index in classes[:, 0].tolist()],
                                       arrow.string())
        columns['probability'] = arrow.array(probabilities[:, 0])
        columns['predictions'] = _to_vectors(arrow, values.astype(dtype))
    else:
        labels = arrow.array([class_names[index] for index in classes.ravel().tolist()],
                             arrow.string())
        columns['classes'] = _to_vectors(arrow, classes)
        columns['labels'] = arrow.FixedSizeListArray.from_arrays(labels, classes.shape[1])
        columns['probabilities'] = _to_vectors(arrow, probabilities)
    buffer = io.BytesIO()
    # Numbers hardly repeat, so dictionary encoding would only cost time.
    arrow.parquet.write_table(arrow.table(columns), buffer, compression='zstd',
                              use_dictionary=['label', 'labels.list.element'])
    return {f'{name}.parquet': buffer.getvalue()}


def _serialize_moments(values: np.ndarray, origin: Origin) -> bytes:
    moments = RunningMoments()
    moments.add(values)
    buffer = io.BytesIO()
    np.savez(buffer, *moments.moments(), origin=np.array(origin.to_json()))
    return buffer.getvalue()


def merge_statistics(store: OutputStore) -> bytes:
    """Merges the moments of all shards in their order, so always to the same numbers.

    Returns:
      The content of the file of statistics.

    Raises:
      DatasetError: there are fewer than two images.
    """
    moments, origin = RunningMoments(), ''
    for name in store.names(DONE):
        if name.endswith('.npz'):
            with store.open(f'{DONE}/{name}') as file, np.load(file) as arrays:
                moments.merge(int(arrays['arr_0']), arrays['arr_1'], arrays['arr_2'])
                origin = origin or str(arrays['origin'])
    statistics = moments.statistics()
    buffer = io.BytesIO()
    dump_statistics(buffer, dataclasses.replace(
        statistics, origin=dataclasses.replace(read_origin(store.path, origin),
                                               count=statistics.count)))
    return buffer.getvalue()


def require_pyarrow() -> Any:
    """Imports pyarrow with its Parquet writer; raises a DatasetError without it."""
    purpose = "The output format 'parquet' (there is 'npy' too)"
    arrow = require('pyarrow', purpose, DatasetError, extra='bulk')
    require('pyarrow.parquet', purpose, DatasetError, extra='bulk')
    return arrow


def _to_vectors(arrow: Any, values: np.ndarray) -> Any:
    return arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel()), values.shape[1])


def _to_npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
