"""PyTorch's `.pth` and `.pt` files, read without running code from them and without PyTorch.

Such a file is a pickle that describes tensors, and their data: in a zip, or, before PyTorch 1.6,
one storage after another. A pickle can call any function. Here the few functions that a state dict
needs are replaced by ones that return descriptions, and every other name is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import io
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
import zipfile

from inception_slim.checkpoint import (
    CheckpointInfo,
    ImportedWeights,
    LazyTensor,
)
from inception_slim.checkpoint.weight_sources import check_tensor_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import state_dicts
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn

# Of some thousand tensors; each byte may be an instruction that takes a hundred bytes of memory.
_LARGEST_PICKLE = 2**21
_LEGACY_MAGIC = 0x1950a86a20f9469cfc6c  # of files from before PyTorch 1.6
_STORAGES = {'FloatStorage': 'f4', 'DoubleStorage': 'f8', 'HalfStorage': 'f2', 'LongStorage': 'i8',
             'IntStorage': 'i4', 'ShortStorage': 'i2', 'CharStorage': 'i1', 'ByteStorage': 'u1',
             'BoolStorage': 'b1', 'BFloat16Storage': 'bfloat16'}
# The keys under which training scripts, such as timm's, save a state dict and its moving average.
_STATE_KEYS = ('state_dict', 'model_state_dict', 'model', 'net', 'network')
_AVERAGE_KEYS = ('state_dict_ema', 'model_ema', 'ema_state_dict')


# What a pickle can get hold of is immutable: named tuples have no `__dict__` and no setters, so the
# BUILD instruction, which sets an object's state, cannot change what was checked.


class _StorageType(NamedTuple):
    """Stands for a class such as `torch.FloatStorage`."""

    code: str


class _Storage(NamedTuple):
    """The data of some tensors: `length` numbers, and a function that reads bytes of it."""

    dtype: np.dtype
    length: int
    read: Callable[[int, int], bytes]


class _View(NamedTuple):
    """A tensor: a strided part of a storage, counted in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDict(dict):
    """Stands for an `OrderedDict`; the attributes that PyTorch gives it are ignored."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Ignored:
    """Stands for an object of a training script that contains no weights."""

    __slots__ = ()

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Function(NamedTuple):
    """Stands for a function that a pickle calls."""

    call: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any = False,
                    hooks: Any = None, metadata: Any = None) -> _View:
    view = _View(storage, offset, tuple(shape), tuple(strides))
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError('a tensor has no storage')
    if metadata and (not isinstance(metadata, dict) or any(metadata.values())):
        # The bits of a lazy conjugate or negation: the data are not the values.
        raise pickle.UnpicklingError('a tensor is stored conjugated or negated')
    _view_end(view)
    return view


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


def _view_end(view: _View) -> int:
    """The number after the last one in the storage that a view reads.

    Raises:
      pickle.UnpicklingError: a size, a stride or the offset is negative or no integer, or the view
        does not lie within the storage.
    """
    if len(view.shape) != len(view.strides) or not all(
            type(number) is int and number >= 0
            for number in (view.offset, *view.shape, *view.strides)):
        raise pickle.UnpicklingError('a tensor has invalid sizes or strides')
    count, last = 1, view.offset
    for side, stride in zip(view.shape, view.strides):
        count *= side
        last += (side - 1) * stride
    if not count:
        return view.offset
    if last >= view.storage.length or count > view.storage.length:
        raise pickle.UnpicklingError(f'a tensor {list(view.shape)[:9]} does not fit its storage '
                                     f'of {view.storage.length:,} numbers')
    return last + 1


_GLOBALS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): _StateDict,
    ('argparse', 'Namespace'): _Ignored,
    ('torch._utils', '_rebuild_tensor'): _Function(_rebuild_tensor),
    ('torch._utils', '_rebuild_tensor_v2'): _Function(_rebuild_tensor),
    ('torch._utils', '_rebuild_parameter'): _Function(_rebuild_parameter),
    **{(module, name): _StorageType(code) for module in ('torch', 'torch.storage')
       for name, code in _STORAGES.items()},
}


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler, because the one in C allocates what a damaged file announces."""

    def __init__(self, file: _BoundedReader, path: str,
                 open_storage: Callable[[np.dtype, str, int], _Storage] | None):
        super().__init__(file, encoding='latin-1')
        self._path, self._open_storage = path, open_storage

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise CheckpointError(
                f'{self._path} calls {module}.{name} when it is loaded, which could run any code '
                'and is refused. If you trust the file, load it with PyTorch and save its '
                'state_dict().') from None

    def persistent_load(self, pid: Any) -> _Storage:
        if self._open_storage is None or not isinstance(pid, tuple) or len(pid) < 5 or (
                pid[0] != 'storage' or not isinstance(pid[1], _StorageType)
                or type(pid[4]) is not int or pid[4] < 0 or any(pid[5:])):
            raise pickle.UnpicklingError('invalid description of a storage')
        if pid[1].code == 'bfloat16':
            import ml_dtypes  # installed with TensorFlow
            dtype = np.dtype(ml_dtypes.bfloat16)
        else:
            dtype = np.dtype('<' + pid[1].code)
        return self._open_storage(dtype, str(pid[2]), pid[4])


class _BoundedReader:
    """The part of a file that a pickle may be long."""

    def __init__(self, path: str, file: BinaryIO):
        self._path, self._file, self._left = path, file, _LARGEST_PICKLE

    def _take(self, content: bytes) -> bytes:
        self._left -= len(content)
        if self._left < 0:
            raise CheckpointError(f'{self._path} has a pickle of more than '
                                  f'{_LARGEST_PICKLE >> 20} MiB, which no supported network has; '
                                  'save its state_dict().')
        return content

    def read(self, size: int) -> bytes:
        return self._take(self._file.read(min(size, self._left + 1)))

    def readline(self) -> bytes:
        return self._take(self._file.readline(self._left + 1))


def read_weights(path: str) -> ImportedWeights:
    """Reads a state dict, alone or inside a training checkpoint."""
    with open(path, 'rb') as file:
        is_zip = file.read(2) == b'PK'
    content = _read_zip_pth(path) if is_zip else _read_legacy_pth(path)
    state, averages = _find_state_dicts(path, content)
    return state_dicts.build_imported_weights(path, 'PyTorch file', state, averages=averages)


def _unpickle(path: str, file: BinaryIO,
              open_storage: Callable[[np.dtype, str, int], _Storage] | None = None) -> Any:
    try:
        return _Unpickler(_BoundedReader(path, file), path, open_storage).load()
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # a pickle is a program and can end in any exception
        detail = f': {error}' if type(error) is pickle.UnpicklingError else ''
        raise CheckpointError(
            f'{path} is damaged or truncated, or not a PyTorch file ({type(error).__name__}'
            f'{detail}); copy it again.') from None


def _read_zip_pth(path: str) -> Any:
    # Open until no tensor refers to it: its directory has an entry for each tensor, and reading it
    # for each of them takes seconds.
    archive = zipfile.ZipFile(path)
    members = {member.filename: member for member in archive.infolist()}
    index = next((name for name in members if name.endswith('/data.pkl')), None)
    if index is None:
        raise CheckpointError(f'{path} is a zip without data.pkl, so not a PyTorch file.')
    folder = index.removesuffix('data.pkl')
    if members[index].file_size > _LARGEST_PICKLE or f'{folder}constants.pkl' in members:
        raise CheckpointError(f'{path} is a TorchScript archive or another program, not a '
                              'state dict; save its state_dict().')
    big_endian = f'{folder}byteorder' in members and _read_member(
        path, archive, members[f'{folder}byteorder'], 16).strip() == b'big'

    def open_storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        if big_endian:
            raise CheckpointError(f'{path} was written on a big-endian machine, which is not '
                                  'supported; save it again on a little-endian one.')
        member = members.get(f'{folder}data/{key}')
        if member is None or member.file_size != count * dtype.itemsize or (
                member.compress_type != zipfile.ZIP_STORED):
            raise CheckpointError(f'{path} is damaged or truncated: storage {key} does not '
                                  f'have {count:,} numbers; copy it again.')

        def read(first: int, size: int) -> bytes:
            with archive.open(member) as opened:
                opened.seek(first)
                return opened.read(size)

        return _Storage(dtype, count, read)

    content = io.BytesIO(_read_member(path, archive, members[index], _LARGEST_PICKLE))
    return _unpickle(path, content, open_storage)


def _read_member(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo,
                 largest: int) -> bytes:
    """Unpacks a member, at most `largest` bytes, whatever size the archive declares."""
    with archive.open(member) as opened:
        content = opened.read(largest + 1)
    if len(content) > largest:
        raise CheckpointError(f'{path} unpacks to more than it declares; it is not a PyTorch file.')
    return content


def _read_legacy_pth(path: str) -> Any:
    size = os.path.getsize(path)
    storages: dict[str, _Storage] = {}
    starts: dict[str, int] = {}  # of the data in the file, known after the pickle is read

    def open_storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        def read(first: int, size: int) -> bytes:
            if key not in starts:
                raise CheckpointError(f'{path} is damaged or truncated: storage {key} is missing; '
                                      'copy it again.')
            with open(path, 'rb') as file:
                file.seek(starts[key] + first)
                return file.read(size)

        storage = storages.setdefault(key, _Storage(dtype, count, read))
        if (storage.dtype, storage.length) != (dtype, count):
            raise pickle.UnpicklingError(f'storage {key} is described twice')
        return storage

    with open(path, 'rb') as file:
        if _unpickle(path, file) != _LEGACY_MAGIC:
            raise CheckpointError(f'{path} is a pickle but not a PyTorch file; save a '
                                  'state_dict() with torch.save.')
        _unpickle(path, file)  # the version of the format
        _unpickle(path, file)  # sizes of C types
        content = _unpickle(path, file, open_storage)
        keys = _unpickle(path, file)
        for key in map(str, keys if isinstance(keys, list) else ()):
            storage = storages.get(key)
            header = file.read(8)
            start = file.tell()
            if storage is None or key in starts or len(header) != 8 or (
                    struct.unpack('<q', header)[0] != storage.length
                    or start + storage.length * storage.dtype.itemsize > size):
                raise CheckpointError(f'{path} is damaged or truncated: storage {key} is '
                                      'incomplete; copy it again.')
            starts[key] = start
            file.seek(start + storage.length * storage.dtype.itemsize)
    return content


def _find_state_dicts(path: str, content: Any,
                      ) -> tuple[dict[str, LazyTensor], dict[str, LazyTensor] | None]:
    """The saved state dict, and that of the moving averages if there is one."""
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} contains a {type(content).__name__.strip("_")}, not a state '
                              'dict; save one with torch.save(network.state_dict(), PATH).')

    def find(keys: tuple[str, ...]) -> dict[str, LazyTensor] | None:
        inner = (content.get(key) for key in keys)
        return next((tensors for state in inner if isinstance(state, dict)
                     if (tensors := _tensors(path, state))), None)

    return _tensors(path, content) or find(_STATE_KEYS) or {}, find(_AVERAGE_KEYS)


def _tensors(path: str, state: dict) -> dict[str, LazyTensor]:
    return {name: _lazy_tensor(path, name, view) for name, view in state.items()
            if isinstance(view, _View) and isinstance(name, str)}


def _lazy_tensor(path: str, name: str, view: _View) -> LazyTensor:
    dtype = view.storage.dtype
    check_tensor_size(path, name, view.shape, dtype)

    def load() -> np.ndarray:
        # Checked again here, where the numbers decide which memory the array covers.
        length = _view_end(view) - view.offset
        if not length:
            return np.zeros(view.shape, dtype)
        content = view.storage.read(view.offset * dtype.itemsize, length * dtype.itemsize)
        if len(content) != length * dtype.itemsize:
            raise CheckpointError(f'{path} is damaged or truncated: {name} is incomplete; copy it '
                                  'again.')
        flat = np.frombuffer(content, dtype)
        strides = [stride * dtype.itemsize for stride in view.strides]
        return np.lib.stride_tricks.as_strided(flat, view.shape, strides, writeable=False)

    return LazyTensor(view.shape, dtype, load)


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a `.pth` file; see `registry.Writer`."""
    save(path, state_dicts.state_dict(info, weights))
    return state_dicts.predict_file(path, info.head)


def save(path: str | os.PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Writes arrays, float32 or int64, as `torch.save` writes a state dict."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        archive.writestr('archive/data.pkl', _pickle_state_dict(state))
        archive.writestr('archive/byteorder', 'little')
        for index, array in enumerate(state.values()):
            archive.writestr(f'archive/data/{index}', np.asarray(array, order='C').tobytes())
        archive.writestr('archive/version', '3\n')


def _pickle_state_dict(state: Mapping[str, np.ndarray]) -> bytes:
    """The pickle of an OrderedDict of tensors.

    Written by instruction, because `pickle` refers to a class, such as torch.FloatStorage, only if
    it can import it.
    """
    def name(module: str, attribute: str) -> bytes:
        return pickle.GLOBAL + f'{module}\n{attribute}\n'.encode()

    def text(content: str) -> bytes:
        encoded = content.encode()
        return pickle.BINUNICODE + struct.pack('<I', len(encoded)) + encoded

    def numbers(*values: int) -> bytes:
        return b''.join(pickle.dumps(value, protocol=2)[2:-1] for value in values)

    empty_dict = name('collections', 'OrderedDict') + pickle.EMPTY_TUPLE + pickle.REDUCE
    parts = [pickle.PROTO + b'\x02', empty_dict, pickle.MARK]
    for index, (key, array) in enumerate(state.items()):
        storage = name('torch', 'LongStorage' if array.dtype.kind == 'i' else 'FloatStorage')
        strides = [stride // array.itemsize for stride in np.asarray(array, order='C').strides]
        parts += [
            text(key), name('torch._utils', '_rebuild_tensor_v2'), pickle.MARK,
            pickle.MARK, text('storage'), storage, text(str(index)), text('cpu'),
            numbers(array.size), pickle.TUPLE, pickle.BINPERSID,
            numbers(0), pickle.MARK, numbers(*array.shape), pickle.TUPLE,
            pickle.MARK, numbers(*strides), pickle.TUPLE, pickle.NEWFALSE, empty_dict,
            pickle.TUPLE, pickle.REDUCE]
    return b''.join([*parts, pickle.SETITEMS, pickle.STOP])
