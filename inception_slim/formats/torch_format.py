"""PyTorch's `.pth` and `.pt` files, read without running what is in them, and without PyTorch.

Such a file is a pickle of tensors whose numbers lie beside it: in a zip, or in files from before
PyTorch 1.6 one after another. A pickle names functions to call; here the few that make a state
dict stand for descriptions of tensors, and any other name ends the reading.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import io
import os
import pickle
import struct
from typing import Any, BinaryIO
import zipfile

from inception_slim.checkpoint import ImportedWeights, LazyTensor
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import state_dicts
import numpy as np

_LARGEST_PICKLE = 2**26
_MAGIC = 0x1950a86a20f9469cfc6c  # of files from before PyTorch 1.6
_STORAGES = {'FloatStorage': 'f4', 'DoubleStorage': 'f8', 'HalfStorage': 'f2', 'LongStorage': 'i8',
             'IntStorage': 'i4', 'ShortStorage': 'i2', 'CharStorage': 'i1', 'ByteStorage': 'u1',
             'BoolStorage': 'b1', 'BFloat16Storage': 'bfloat16'}
# Where training scripts, timm's among them, put a state dict and its moving average.
_STATES = ('state_dict', 'model_state_dict', 'model', 'net', 'network')
_AVERAGES = ('state_dict_ema', 'model_ema', 'ema_state_dict')


@dataclass
class _Storage:
    """Numbers in a row, and how to read some of them."""

    dtype: np.dtype
    count: int
    read: Callable[[int, int], bytes] | None = None


@dataclass
class _View:
    """A tensor of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Kept:
    """Stands for an object of a training script that no weight is in."""

    def __init__(self, *_):
        pass

    def __setstate__(self, _: Any) -> None:
        pass


class _StorageKind:
    def __init__(self, code: str):
        self.code = code


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_) -> _View:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or not all(
            isinstance(each, int) and each >= 0 for each in numbers):
        raise pickle.UnpicklingError('a tensor is not described as PyTorch does')
    return _View(storage, offset, tuple(shape), tuple(strides))


def _parameter(data: Any, *_) -> Any:
    return data


class _Unpickler(pickle._Unpickler):
    """Python's own, not that in C: no memory is taken that the file does not fill."""

    def __init__(self, file: BinaryIO, path: str, storage: Callable[..., _Storage] | None):
        super().__init__(file, encoding='latin-1')
        self._path, self._storage = path, storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if module in ('torch', 'torch.storage') and name in _STORAGES:
            return _StorageKind(_STORAGES[name])
        if module == 'torch._utils' and name in ('_rebuild_tensor', '_rebuild_tensor_v2'):
            return _view
        if module == 'torch._utils' and name == '_rebuild_parameter':
            return _parameter
        if (module, name) == ('argparse', 'Namespace'):
            return _Kept
        raise CheckpointError(
            f'{self._path} would call {module}.{name} when loaded, which may run any code and is '
            'not done here; in a place where you trust it, save its state_dict() alone.')

    def persistent_load(self, saved: Any) -> _Storage:
        if self._storage is None or not isinstance(saved, tuple) or len(saved) < 5 or (
                saved[0] != 'storage' or not isinstance(saved[1], _StorageKind)
                or not isinstance(saved[4], int)):
            raise pickle.UnpicklingError('a storage is not described as PyTorch does')
        code = saved[1].code
        if code == 'bfloat16':
            import ml_dtypes  # which comes with TensorFlow
            dtype = np.dtype(ml_dtypes.bfloat16)
        else:
            dtype = np.dtype('<' + code)
        return self._storage(dtype, str(saved[2]), saved[4])


def read_weights(path: str) -> ImportedWeights:
    with open(path, 'rb') as file:
        zipped = file.read(2) == b'PK'
    content = _read_zip_pth(path) if zipped else _read_legacy_pth(path)
    state, averages = _states(path, content)
    return state_dicts.build_imported_weights(path, 'PyTorch file', state, averages=averages)


def _unpickled(path: str, file: BinaryIO, storage: Callable[..., _Storage] | None = None) -> Any:
    try:
        return _Unpickler(file, path, storage).load()
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # a pickle is a program: it can end in any error
        raise CheckpointError(
            f'{path} is damaged or cut short, or no file of PyTorch ({type(error).__name__} where '
            'its tensors are named); copy it again.') from None


def _read_zip_pth(path: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {each.filename: each for each in archive.infolist()}
        index = next((name for name in members if name.endswith('/data.pkl')), None)
        if index is None:
            raise CheckpointError(f'{path} is a zip without a data.pkl in it; it is no file of '
                                  'PyTorch.')
        folder = index.removesuffix('data.pkl')
        if members[index].file_size > _LARGEST_PICKLE or f'{folder}constants.pkl' in members:
            raise CheckpointError(f'{path} is a TorchScript archive, or another program of '
                                  'PyTorch, and not a state dict; save its state_dict().')
        big = f'{folder}byteorder' in members and _member(
            path, archive, members[f'{folder}byteorder'], 16).strip() == b'big'

        def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
            if big:
                raise CheckpointError(f'{path} was written on a big-endian machine, which is not '
                                      'read here; save it again on another.')
            member = members.get(f'{folder}data/{key}')
            if member is None or member.file_size != count * dtype.itemsize or (
                    member.compress_type != zipfile.ZIP_STORED):
                raise CheckpointError(f'{path} is damaged or cut short: of its storage {key} '
                                      f'{count:,} numbers are named and others are there; copy it '
                                      'again.')

            def read(first: int, size: int) -> bytes:
                with zipfile.ZipFile(path) as again, again.open(member) as opened:
                    opened.seek(first)
                    return opened.read(size)

            return _Storage(dtype, count, read)

        content = io.BytesIO(_member(path, archive, members[index], _LARGEST_PICKLE))
        return _unpickled(path, content, storage)


def _member(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, largest: int) -> bytes:
    """A member that is no larger unpacked than that, whatever the archive says of it."""
    with archive.open(member) as opened:
        content = opened.read(largest + 1)
    if len(content) > largest:
        raise CheckpointError(f'{path} unpacks to more than it should; it is no file of PyTorch.')
    return content


def _read_legacy_pth(path: str) -> Any:
    size = os.path.getsize(path)
    storages: dict[str, _Storage] = {}

    def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        return storages.setdefault(key, _Storage(dtype, count))

    with open(path, 'rb') as file:
        if _unpickled(path, file) != _MAGIC:
            raise CheckpointError(f'{path} is a pickle, but none of PyTorch; save a state_dict() '
                                  'with torch.save.')
        _unpickled(path, file)  # the version of the format
        _unpickled(path, file)  # the machine's sizes
        content = _unpickled(path, file, storage)
        keys = _unpickled(path, file)
        for key in keys if isinstance(keys, list) else ():
            found = storages.get(str(key))
            count = file.read(8)
            start = file.tell()
            if found is None or len(count) != 8 or struct.unpack('<q', count)[0] != found.count or (
                    start + found.count * found.dtype.itemsize > size):
                raise CheckpointError(f'{path} is damaged or cut short: its storage {key} is not '
                                      'whole; copy it again.')

            def read(first: int, size: int, start: int = start) -> bytes:
                with open(path, 'rb') as again:
                    again.seek(start + first)
                    return again.read(size)

            found.read = read
            file.seek(start + found.count * found.dtype.itemsize)
    return content


def _states(path: str, content: Any) -> tuple[dict[str, LazyTensor], dict[str, LazyTensor] | None]:
    """The state dict in what was saved, and that of the moving averages if there is one."""
    def state_in(names: tuple[str, ...]) -> dict[str, LazyTensor] | None:
        for name in names:
            inner = content.get(name)
            if isinstance(inner, dict) and any(isinstance(each, _View) for each in inner.values()):
                return _tensors(path, inner)
        return None

    if not isinstance(content, dict):
        raise CheckpointError(f'{path} holds no state dict but {type(content).__name__}; save one '
                              'with torch.save(network.state_dict(), PATH).')
    direct = _tensors(path, content)
    return direct or state_in(_STATES) or {}, state_in(_AVERAGES)


def _tensors(path: str, state: dict) -> dict[str, LazyTensor]:
    return {str(name): _tensor(path, str(name), view) for name, view in state.items()
            if isinstance(view, _View)}


def _tensor(path: str, name: str, view: _View) -> LazyTensor:
    storage, dtype = view.storage, view.storage.dtype
    check_tensor_size(path, name, view.shape, dtype)
    count = int(np.prod(view.shape, dtype=np.int64))
    last = view.offset + sum((side - 1) * stride for side, stride in zip(view.shape, view.strides)
                             if side) + 1
    if count and (last > storage.count or count > storage.count):
        raise CheckpointError(f'{path} is damaged: {name} would be {list(view.shape)} of the '
                              f'{storage.count:,} numbers of its storage; copy it again.')

    def load() -> np.ndarray:
        if storage.read is None:
            raise CheckpointError(f'{path} is damaged or cut short: {name} is not in it; copy it '
                                  'again.')
        size = (last - view.offset) * dtype.itemsize if count else 0
        row = np.frombuffer(storage.read(view.offset * dtype.itemsize, size), dtype)
        return np.lib.stride_tricks.as_strided(
            row, view.shape, [stride * dtype.itemsize for stride in view.strides])

    return LazyTensor(view.shape, dtype, load)


class _Pickler(pickle._Pickler):
    """Writes arrays as PyTorch writes tensors, by its names and without it."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, protocol=2)
        self.arrays: list[np.ndarray] = []

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, _Storage):
            kind = _Global('torch', 'LongStorage' if thing.dtype.kind == 'i' else 'FloatStorage')
            return 'storage', kind, str(len(self.arrays) - 1), 'cpu', thing.count
        return None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, np.ndarray):
            self.arrays.append(np.asarray(thing, order='C'))
            strides = tuple(each // thing.itemsize for each in self.arrays[-1].strides)
            return (_Global('torch._utils', '_rebuild_tensor_v2'),
                    (_Storage(thing.dtype, thing.size), 0, thing.shape, strides, False,
                     OrderedDict()))
        return NotImplemented

    def save(self, thing: Any, save_persistent_id: bool = True) -> Any:
        if isinstance(thing, _Global):
            return self.write(  # type: ignore[attr-defined]
                pickle.GLOBAL + f'{thing.module}\n{thing.name}\n'.encode())
        return super().save(thing, save_persistent_id)  # type: ignore[misc]


@dataclass(frozen=True)
class _Global:
    module: str
    name: str

    def __call__(self) -> None:  # never; a pickler asks whether what makes a thing can be called
        raise AssertionError(f'{self.module}.{self.name} is written, and never called')


def save(path: str, state: Mapping[str, np.ndarray]) -> None:
    """Writes arrays, float32 or int64, as `torch.save` writes a state dict."""
    index = io.BytesIO()
    pickler = _Pickler(index)
    pickler.dump(OrderedDict(state))
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        archive.writestr('archive/data.pkl', index.getvalue())
        archive.writestr('archive/byteorder', 'little')
        for key, array in enumerate(pickler.arrays):
            archive.writestr(f'archive/data/{key}', array.tobytes())
        archive.writestr('archive/version', '3\n')
