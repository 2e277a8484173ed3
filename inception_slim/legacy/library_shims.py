"""Names that libraries other than TensorFlow have removed since 2017, for scripts only.

NumPy's aliases of Python types, the image functions of `scipy.misc` and old names of Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
import importlib
import types

from inception_slim._module_proxy import ModuleProxy
from inception_slim.legacy import _tf1_namespace


def _numpy() -> types.ModuleType:
    import numpy as np

    def fromstring(string, dtype=float, count=-1, sep='', **options):
        """`numpy.fromstring` with support for bytes."""
        if sep != '':
            return np.fromstring(string, dtype=dtype, count=count, sep=sep, **options)
        data = string.encode('latin-1') if isinstance(string, str) else string
        return np.frombuffer(data, dtype=dtype, count=count, **options).copy()

    def asscalar(a):
        """`a.item()`."""
        return np.asarray(a).item()

    removed = {
        'float': float, 'int': int, 'bool': bool, 'object': object, 'complex': complex,
        'str': str, 'unicode': str, 'long': int,
        'float_': np.float64, 'complex_': np.complex128, 'string_': np.bytes_,
        'unicode_': np.str_, 'Inf': np.inf, 'Infinity': np.inf, 'infty': np.inf, 'NaN': np.nan,
        'NAN': np.nan, 'PINF': np.inf, 'NINF': -np.inf, 'product': np.prod,
        'cumproduct': np.cumprod, 'alltrue': np.all, 'sometrue': np.any, 'round_': np.round,
        'row_stack': np.vstack, 'fromstring': fromstring, 'asscalar': asscalar,
    }
    names = {name: lambda value=value: value for name, value in removed.items()
             if name == 'fromstring' or name not in vars(np)}
    # NumPy 2 has a `bool` and a `long` of its own; old scripts mean Python's.
    names.update({name: lambda value=removed[name]: value for name in ('bool', 'long')})
    for name, successor in (('trapz', 'trapezoid'), ('in1d', 'isin')):
        if name not in vars(np):
            names[name] = lambda successor=successor: getattr(np, successor)
    return ModuleProxy(np, names, write_through=True)


def _pillow() -> types.ModuleType:
    import PIL
    return ModuleProxy(PIL, {'Image': lambda: resolve_module('PIL.Image')})


def _pillow_image() -> types.ModuleType:
    from PIL import Image
    return ModuleProxy(Image, {
        'ANTIALIAS': lambda: Image.Resampling.LANCZOS,
        'LINEAR': lambda: Image.Resampling.BILINEAR,
        'CUBIC': lambda: Image.Resampling.BICUBIC}, write_through=True)


def _scipy() -> types.ModuleType:
    try:
        import scipy
    except ImportError:  # our `scipy.misc` only needs Pillow
        scipy = types.ModuleType('scipy')
        scipy.__path__ = []
    return ModuleProxy(scipy, {'misc': lambda: resolve_module('scipy.misc'),
                               'ndimage': lambda: resolve_module('scipy.ndimage')})


def _scipy_misc() -> types.ModuleType:
    return importlib.import_module('inception_slim.legacy.scipy_misc')


def _scipy_ndimage() -> types.ModuleType:
    from scipy import ndimage
    return ModuleProxy(ndimage, {'imread': lambda: _scipy_misc().imread})


def _itertools() -> types.ModuleType:
    import itertools
    return ModuleProxy(itertools, {
        'izip': lambda: zip, 'imap': lambda: map, 'ifilter': lambda: filter,
        'izip_longest': lambda: itertools.zip_longest,
        'ifilterfalse': lambda: itertools.filterfalse})


def _importlib() -> types.ModuleType:
    return ModuleProxy(importlib, {'import_module': lambda: _tf1_namespace.import_module})


_PROXIES: dict[str, Callable[[], types.ModuleType]] = {
    'numpy': _numpy, 'PIL': _pillow, 'PIL.Image': _pillow_image, 'scipy': _scipy,
    'scipy.misc': _scipy_misc, 'scipy.ndimage': _scipy_ndimage,
    'itertools': _itertools, 'importlib': _importlib,
}
_cache: dict[str, types.ModuleType] = {}


def resolve_module(name: str) -> types.ModuleType | None:
    """Return the module that scripts get for a dotted name, or None if there is none."""
    if name in _PROXIES:
        if name not in _cache:
            _cache[name] = _PROXIES[name]()
        return _cache[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def clear_cache() -> None:
    """Drop all module proxies, with the attributes that scripts have set on them."""
    _cache.clear()
