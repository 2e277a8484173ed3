"""NumPy as of 1.14 to 1.18, for scripts only: removed names, and functions that accepted more.

The names are those that NumPy's release notes list as removed since.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
import inspect
import os
import pickle
import re
import sys
import types
from typing import IO, Any
import zipfile

from inception_slim._module_proxy import ModuleProxy, getters
from inception_slim._npy_header import read_header
from inception_slim.errors import printable
from inception_slim.legacy.python2.files import binary_file
import numpy as np

# NumPy's own functions, which a script may replace in NumPy.
_load, _histogram_of_numpy = np.load, np.histogram
_IS_NUMPY_2 = not np.__version__.startswith('1.')
_may_load_pickles = True
# Files that the script has written itself.
_written: set[str] = set()


def forbid_pickles() -> None:
    """Refuse pickled arrays in `numpy.load` unless the script allows them itself."""
    global _may_load_pickles
    _may_load_pickles = False


def _is_given(path: str) -> bool:
    """Whether a file is the script's: beside it, named on its command line, or written by it."""
    path = os.path.realpath(path)
    script = getattr(sys.modules.get('__main__'), '__file__', None)
    folder = os.path.dirname(os.path.realpath(script)) if script else os.path.realpath('.')
    if path in _written or path.startswith(os.path.join(folder, '')):
        return True
    for argument in sys.argv[1:]:
        for word in (argument, argument.partition('=')[2]):
            given = os.path.realpath(os.path.expanduser(word)) if word else None
            if given and os.path.exists(given) and (
                    path == given or path.startswith(os.path.join(given, ''))):
                return True
    return False


def load(file: Any, mmap_mode: Any = None, allow_pickle: bool | None = None,
         fix_imports: bool = True, encoding: Any = 'ASCII', **options: Any) -> Any:
    """`numpy.load`, which loads pickled arrays of the script's own files as NumPy 1.16.2 did."""
    file = binary_file(file)
    path = getattr(file, 'name', file)
    is_given = isinstance(path, (str, os.PathLike)) and _is_given(os.fspath(path))
    allowed = allow_pickle if allow_pickle is not None else is_given and _may_load_pickles

    def load_with(encoding: Any, allow: bool) -> Any:
        return _load(file, mmap_mode, allow_pickle=allow, fix_imports=fix_imports,
                       encoding=encoding, **options)

    if allow_pickle is None and allowed and mmap_mode is None and os.path.isfile(path):
        if _holds_pickle(path):
            print(f'inception-slim: numpy.load reads a pickle, {printable(os.fspath(path))}, which '
                  'can run any code; --no-pickle forbids it', file=sys.stderr)
        else:
            allowed = False
    try:
        return load_with(encoding, allowed)
    except UnicodeError:  # arrays that Python 2 pickled
        return load_with('latin1', allowed)
    except ValueError as error:
        if allow_pickle is not None or 'allow_pickle' not in str(error):
            raise
        raise ValueError(
            f'{path} is a pickle, which NumPy 1.16.2 loaded and which can run any code. '
            + ('--no-pickle forbids it.' if not _may_load_pickles else
               'Files beside the script and those named on its command line are loaded; move the '
               'file there if it is to be trusted.')) from None


def _holds_pickle(path: str) -> bool:
    """Whether a `.npy` or `.npz` file can only be read by unpickling, by its headers."""
    if not zipfile.is_zipfile(path):
        with open(path, 'rb') as file:
            return _is_pickled(file)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                if name.endswith('.npy') and _is_pickled(file):
                    return True
    return False


def _is_pickled(file: IO[bytes]) -> bool:
    try:
        return read_header(file)[2].hasobject
    except ValueError:  # no array, so a pickle if anything
        return True


def _recording(write: Callable) -> Callable:
    """A function that writes a file, of which `load` knows that the script wrote it."""

    def call(file, *args, **options):
        result = write(file, *args, **options)
        if isinstance(file, (str, os.PathLike)):
            path = os.path.realpath(file)
            _written.update((path, path + ('.npy' if write is np.save else '.npz')))
        return result

    call.__name__, call.__doc__ = write.__name__, write.__doc__
    return call


def _accepting(convert: Callable) -> Callable:
    """`numpy.array` or `asarray`, which makes arrays of objects of ragged lists, and wraps around.

    NumPy up to 1.23 did so; today both are errors, and in NumPy 2 `copy=False` is one if it has to
    copy.
    """

    def call(object, dtype=None, *args, **options):
        # NumPy 1 copies if it has to.
        if _IS_NUMPY_2 and convert is np.array and options.get('copy') is False:
            options['copy'] = None
        try:
            return convert(object, dtype, *args, **options)
        except ValueError as error:
            if dtype is not None or 'inhomogeneous' not in str(error):
                raise
            return convert(object, np.object_, *args, **options)
        except OverflowError:
            if dtype is None or np.dtype(dtype).kind not in 'iu':
                raise
            options.pop('copy', None)
            return convert(np.asarray(object), *args, **options).astype(dtype)

    call.__name__, call.__doc__ = convert.__name__, convert.__doc__
    return call


def _fromstring(string, dtype=float, count=-1, sep='', **options):
    """`numpy.fromstring` with support for bytes."""
    if sep != '':
        return np.fromstring(string, dtype=dtype, count=count, sep=sep, **options)
    data = string.encode('latin-1') if isinstance(string, str) else string
    return np.frombuffer(data, dtype=dtype, count=count, **options).copy()


def _asscalar(a):
    """`a.item()`."""
    return np.asarray(a).item()


def _asfarray(a, dtype=np.float64):
    """An array of a floating-point type."""
    dtype = np.dtype(dtype)
    return np.asarray(a, dtype if dtype.kind in 'fc' else np.float64)


def _find_common_type(array_types, scalar_types):
    """The type that arrays and scalars of these types have in common."""
    array_types, scalar_types = (
        [np.dtype(kind) for kind in kinds] for kinds in (array_types, scalar_types))
    if not array_types or not scalar_types:
        return np.result_type(*array_types, *scalar_types)
    kinds = 'biufcmMO'
    common, scalar = np.result_type(*array_types), np.result_type(*scalar_types)
    return common if kinds.find(scalar.kind) <= kinds.find(common.kind) else scalar


def _histogram(a, bins=10, range=None, normed=None, weights=None, density=None):
    """`numpy.histogram` with the argument `normed`, the former name of `density`."""
    return _histogram_of_numpy(a, bins, range, weights=weights, density=density or normed)


class _Cast(dict):
    """`numpy.cast`: a function per type, which converts to it."""

    def __missing__(self, kind):
        return lambda value: np.asarray(value, np.dtype(kind))


_SCTYPES = {
    'int': [np.int8, np.int16, np.int32, np.int64],
    'uint': [np.uint8, np.uint16, np.uint32, np.uint64],
    'float': [np.float16, np.float32, np.float64, np.longdouble],
    'complex': [np.complex64, np.complex128, np.clongdouble],
    'others': [bool, object, bytes, str, np.void],
}


def _disp(mesg, device=None, linefeed=True):
    """Print a message."""
    (device or sys.stdout).write(f'{mesg}\n' if linefeed else f'{mesg}')


_REMOVED: dict[str, object] = {
    'float': float, 'int': int, 'bool': bool, 'object': object, 'complex': complex, 'str': str,
    'unicode': str, 'long': int, 'float_': np.float64, 'complex_': np.complex128,
    'string_': np.bytes_, 'unicode_': np.str_, 'bool8': np.bool_, 'int0': np.intp,
    'uint0': np.uintp, 'object0': np.object_, 'str0': np.str_, 'bytes0': np.bytes_,
    'void0': np.void, 'longfloat': np.longdouble, 'singlecomplex': np.complex64,
    'cfloat': np.complex128, 'longcomplex': np.clongdouble, 'clongfloat': np.clongdouble,
    'Inf': np.inf, 'Infinity': np.inf, 'infty': np.inf, 'NaN': np.nan, 'NAN': np.nan,
    'PINF': np.inf, 'NINF': -np.inf, 'PZERO': 0.0, 'NZERO': -0.0,
    'product': np.prod, 'cumproduct': np.cumprod, 'alltrue': np.all, 'sometrue': np.any,
    'round_': np.round, 'row_stack': np.vstack, 'mat': np.asmatrix, 'rank': np.ndim,
    'alen': len, 'msort': lambda a: np.sort(a, axis=0), 'asscalar': _asscalar,
    'asfarray': _asfarray, 'loads': pickle.loads, 'math': __import__('math'), 'disp': _disp,
    'safe_eval': ast.literal_eval, 'cast': _Cast(), 'sctypes': _SCTYPES,
    'typeDict': np.sctypeDict, 'find_common_type': _find_common_type,
    'fastCopyAndTranspose': lambda a: np.array(a).T.copy(),
    'issubclass_': lambda kind, base: inspect.isclass(kind) and issubclass(kind, base),
    'issubsctype': np.issubdtype, 'obj2sctype': lambda kind: np.dtype(kind).type,
    'issctype': lambda kind: inspect.isclass(kind) and issubclass(kind, np.generic),
    'sctype2char': lambda kind: np.dtype(kind).char,
    'maximum_sctype': lambda kind: {'i': np.int64, 'u': np.uint64, 'f': np.longdouble,
                                    'c': np.clongdouble}.get(np.dtype(kind).kind, kind),
}
_CHANGED: dict[str, object] = {
    'array': _accepting(np.array), 'asarray': _accepting(np.asarray), 'load': load,
    'fromstring': _fromstring, 'histogram': _histogram, 'save': _recording(np.save),
    'savez': _recording(np.savez), 'savez_compressed': _recording(np.savez_compressed),
}
# Today's name -> names in modules that have moved: `numpy.AxisError` was `numpy.exceptions`'.
_MOVED = {
    'trapz': lambda: np.trapezoid, 'in1d': lambda: np.isin,
    'AxisError': lambda: np.exceptions.AxisError,
    'ComplexWarning': lambda: np.exceptions.ComplexWarning,
    'VisibleDeprecationWarning': lambda: np.exceptions.VisibleDeprecationWarning,
    'RankWarning': lambda: np.exceptions.RankWarning,
    'byte_bounds': lambda: np.lib.array_utils.byte_bounds,
    'DataSource': lambda: np.lib.npyio.DataSource,
}


def numpy() -> types.ModuleType:
    """Return NumPy with the names of then; a script's changes of it reach NumPy itself."""
    existing = vars(np)
    names = getters({
        name: value for name, value in {**_REMOVED, **_CHANGED}.items()
        # NumPy 2 has a `bool` and a `long` of its own; old scripts mean Python's.
        if name not in existing or name in _CHANGED or name in ('bool', 'long')})
    names.update({name: find for name, find in _MOVED.items() if name not in existing})
    return ModuleProxy(np, names, write_through=True)


def number_of(kind: Callable, value: Any) -> Any:
    """`int(value)` or `float(value)`, also of an array with one element, as before NumPy 2.4."""
    try:
        return kind(value)
    except TypeError:
        if isinstance(value, np.ndarray) and value.size == 1:
            return kind(value.item())
        raise


# A conversion of `%`; the groups are '*' for width and precision, and the type.
_CONVERSION = re.compile(r'%(?:\([^)]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?[hlL]?(.)', re.DOTALL)


def format_text(text: str, values: Any) -> str:
    """`text % values`, also with an array of one element where a number is formatted."""
    try:
        return text % values
    except TypeError:
        if isinstance(values, dict):
            return _CONVERSION.sub(lambda match: match[0] % {
                key: _as_number(match[3], value) for key, value in values.items()}, text)
        items = list(values) if isinstance(values, tuple) else [values]
        kinds = ''.join('*' * match.groups().count('*') + match[3]
                        for match in _CONVERSION.finditer(text) if match[3] != '%')
        if len(kinds) != len(items):
            raise
        return text % tuple(map(_as_number, kinds, items))


def _as_number(kind: str, value: Any) -> Any:
    """The element of an array of one, for a conversion that formats a number."""
    is_one = isinstance(value, np.ndarray) and value.size == 1
    return value.item() if is_one and kind not in 'rsa' else value
