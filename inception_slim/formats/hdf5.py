"""Reads HDF5 files of unknown origin: first in a process of its own, then in this one.

The HDF5 library checks little of what it reads: on damaged files it can crash, or loop for ever in
C code that nothing can interrupt. What another process has read can be read here in the same way.
This module must not import TensorFlow, so that the process takes only a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
import functools
import signal
import subprocess
import sys
from typing import Any, BinaryIO, NamedTuple

from inception_slim.errors import CheckpointError, error_summary
import numpy as np

TIME_LIMIT = 20.0  # seconds of processor time; the largest network takes 1, compressed 4
_MAX_OBJECTS = 100_000
_MAX_DEPTH = 20  # of nested groups
# Groups of Keras files without weights of layers.
_OTHER_GROUPS = ('optimizer_weights', 'optimizer', 'top_level_model_weights')
_CODE = ('import sys; sys.path[:] = sys.argv[4:]; from inception_slim.formats import hdf5; '
         'hdf5.read_all(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))')


class Dataset(NamedTuple):
    """An array in a file.

    Attributes:
      parents: the names of its groups, from the outermost.
      name: its name in the last group.
      group_name: the attribute `name` of that group, if it is called `vars`; else None.
      siblings: the shapes of the datasets in that group, by name, if it is called `vars`.
      shape: its shape.
      chunks: the shape of its chunks; empty without chunks.
      dtype: its dtype.
      is_elsewhere: whether its values are in other files.
      read: reads its values as float32.
    """

    parents: tuple[str, ...]
    name: str
    group_name: str | None
    siblings: dict[str, tuple[int, ...]]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    is_elsewhere: bool
    read: Callable[[], np.ndarray]


def open_file(path: str, scratch: BinaryIO | None, largest: int) -> Any:
    """Opens a file, after another process has read all of it.

    Args:
      path: the file.
      scratch: the opened file with the content, if `path` is a zip with it.
      largest: the bytes of the largest dataset that will be read.

    Returns:
      An `h5py.File`.

    Raises:
      CheckpointError: reading it crashed, or took longer than `TIME_LIMIT`; or no process starts.
      OSError: h5py does not open it.
    """
    import h5py  # installed with TensorFlow; only these files need it

    arguments = ['' if scratch else path, str(largest), str(TIME_LIMIT), *sys.path]
    try:
        process = subprocess.run([sys.executable, '-I', '-c', _CODE, *arguments],
                                 stdin=scratch or subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, errors='replace')
        if process.returncode == 1:  # Python ended with an exception, such as a failed import
            raise OSError(process.stderr.strip().splitlines()[-1])
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: the process that reads it first does not '
                              f'start ({error_summary(error)}).') from None
    if process.returncode:
        raise CheckpointError(f'{path} is damaged: reading it crashes the HDF5 library or does not '
                              'end; copy it again from its source.')
    return h5py.File(scratch or path, 'r')


def read_all(path: str, largest: int, time_limit: float) -> None:
    """Reads what the functions below can read. Errors are ignored: they will occur again.

    Args:
      path: the file; empty for standard input.
      largest: the bytes of the largest dataset to read.
      time_limit: seconds of processor time, after which a signal ends the process.
    """
    if hasattr(signal, 'setitimer'):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, time_limit)
    import h5py

    listed = []
    with suppress(Exception):
        opened = h5py.File(path or sys.stdin.buffer, 'r')
        for dataset in datasets(path, opened):
            listed.append(dataset)
        model_config(opened)
    for dataset in listed:
        sizes = [np.prod(shape, dtype=float) * dataset.dtype.itemsize
                 for shape in (dataset.shape, dataset.chunks)]
        if dataset.dtype.kind == 'f' and not dataset.is_elsewhere and max(sizes) <= largest:
            with suppress(Exception):
                dataset.read()


def model_config(opened: Any) -> Any:
    """The configuration of the model in an `h5py.File`: a text, or None if it has none."""
    return opened.attrs.get('model_config')


def datasets(path: str, opened: Any) -> Iterator[Dataset]:
    """Lists the datasets in the groups of an `h5py.File`.

    Args:
      path: for messages.
      opened: the file.

    Raises:
      CheckpointError: a group is a link, or there are too many.
    """
    import h5py

    objects = 0
    pending: list[tuple[Any, tuple[str, ...]]] = [(opened, ())]
    while pending:
        group, parents = pending.pop()
        members = {}
        for name in group:
            objects += 1
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointError(f'{path} contains a link, {name}, which is not followed; '
                                      'copy the weights into one file.')
            if objects > _MAX_OBJECTS or len(parents) > _MAX_DEPTH:
                raise CheckpointError(f'{path} has more groups than any supported network; it is '
                                      'damaged.')
            child = group[name]
            if isinstance(child, h5py.Group):
                if name not in _OTHER_GROUPS:
                    pending.append((child, (*parents, name)))
            elif isinstance(child, h5py.Dataset) and parents:
                members[name] = child
        group_name, siblings = None, {}
        # Keras 3: `layers/conv2d_7/vars/0`; on Windows, one name with backslashes.
        if members and parents[-1].split('\\')[-1] == 'vars':
            attribute = group.attrs.get('name')
            group_name = None if attribute is None else str(attribute)
            siblings = {name: child.shape for name, child in members.items()}
        for name, child in members.items():
            yield Dataset(parents, name, group_name, siblings, child.shape, child.chunks or (),
                          child.dtype, bool(child.external or child.is_virtual),
                          functools.partial(_read, child))


def _read(dataset: Any) -> np.ndarray:
    return np.asarray(dataset[()], np.float32)
