"""What left the libraries around TensorFlow in those years, for scripts alone.

NumPy's aliases of Python's types, the images of `scipy.misc`, Pillow's old names.
"""

from __future__ import annotations

from collections.abc import Callable
import importlib
import types

from inception_slim._module_proxy import ModuleProxy

ROOTS = frozenset({'numpy', 'scipy', 'PIL', 'itertools', 'importlib'})


def _numpy() -> types.ModuleType:
    import numpy as np

    def fromstring(string, dtype=float, count=-1, sep='', **options):
        """`numpy.fromstring`, which reads bytes too."""
        if sep != '':
            return np.fromstring(string, dtype=dtype, count=count, sep=sep, **options)
        data = string.encode('latin-1') if isinstance(string, str) else string
        return np.frombuffer(data, dtype=dtype, count=count, **options).copy()

    def asscalar(a):
        """`a.item()`."""
        return np.asarray(a).item()

    today = {
        'float': float, 'int': int, 'bool': bool, 'object': object, 'complex': complex,
        'str': str, 'unicode': str, 'long': int,
        'float_': np.float64, 'complex_': np.complex128, 'string_': np.bytes_,
        'unicode_': np.str_, 'Inf': np.inf, 'Infinity': np.inf, 'infty': np.inf, 'NaN': np.nan,
        'NAN': np.nan, 'PINF': np.inf, 'NINF': -np.inf, 'product': np.prod,
        'cumproduct': np.cumprod, 'alltrue': np.all, 'sometrue': np.any, 'round_': np.round,
        'row_stack': np.vstack, 'fromstring': fromstring, 'asscalar': asscalar,
    }
    names = {name: lambda value=value: value for name, value in today.items()
             if name == 'fromstring' or name not in vars(np)}
    # NumPy 2 has `bool`, `long` and `str_` of its own; a script of then means Python's.
    names.update({name: lambda value=today[name]: value for name in ('bool', 'long')})
    for name, where in (('trapz', 'trapezoid'), ('in1d', 'isin')):
        if name not in vars(np):
            names[name] = lambda where=where: getattr(np, where)
    return ModuleProxy(np, names, write_through=True)


def _pillow() -> types.ModuleType:
    import PIL
    return ModuleProxy(PIL, {'Image': lambda: find('PIL.Image')})


def _pillow_image() -> types.ModuleType:
    from PIL import Image
    return ModuleProxy(Image, {
        'ANTIALIAS': lambda: Image.Resampling.LANCZOS,
        'LINEAR': lambda: Image.Resampling.BILINEAR,
        'CUBIC': lambda: Image.Resampling.BICUBIC}, write_through=True)


def _scipy() -> types.ModuleType:
    try:
        import scipy
    except ImportError:  # its `misc` needs no more than Pillow
        scipy = types.ModuleType('scipy')
        scipy.__path__ = []
    return ModuleProxy(scipy, {'misc': lambda: find('scipy.misc'),
                        'ndimage': lambda: find('scipy.ndimage')})


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
    from inception_slim.legacy import import_hook
    return ModuleProxy(importlib, {'import_module': lambda: import_hook.import_module})


_FACES: dict[str, Callable[[], types.ModuleType]] = {
    'numpy': _numpy, 'PIL': _pillow, 'PIL.Image': _pillow_image, 'scipy': _scipy,
    'scipy.misc': _scipy_misc, 'scipy.ndimage': _scipy_ndimage,
    'itertools': _itertools, 'importlib': _importlib,
}
_made: dict[str, types.ModuleType] = {}


def find(dotted: str) -> types.ModuleType | None:
    """The module that a script should have by that name; None if there is none."""
    if dotted in _FACES:
        if dotted not in _made:
            _made[dotted] = _FACES[dotted]()
        return _made[dotted]
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:
            raise
        return None


def forget() -> None:
    """Forgets the modules that were made, and what scripts have set in them."""
    _made.clear()
