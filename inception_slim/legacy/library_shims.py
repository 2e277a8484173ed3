"""Modules other than TensorFlow with the names that they have removed since 2017, for scripts only.

`numpy_names` and `standard_library` list those of NumPy and of Python.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import importlib
import types

from inception_slim._module_proxy import ModuleProxy, getters
from inception_slim.legacy import _tf1_namespace


def _numpy() -> types.ModuleType:
    from inception_slim.legacy import numpy_names
    return numpy_names.numpy()


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
                               'ndimage': lambda: resolve_module('scipy.ndimage'),
                               'linalg': lambda: resolve_module('scipy.linalg')})


def _scipy_misc() -> types.ModuleType:
    return importlib.import_module('inception_slim.legacy.scipy_misc')


def _scipy_ndimage() -> types.ModuleType:
    from scipy import ndimage
    return ModuleProxy(ndimage, {'imread': lambda: _scipy_misc().imread})


def _importlib() -> types.ModuleType:
    return ModuleProxy(importlib, {'import_module': lambda: _tf1_namespace.import_module})


def _standard(name: str) -> types.ModuleType:
    from inception_slim.legacy import standard_library
    # `import os.path` needs a package.
    return ModuleProxy(importlib.import_module(name),
                       {'__path__': list, **getters(standard_library.NAMES[name])},
                       write_through=True)


def _xml() -> types.ModuleType:
    import xml
    return ModuleProxy(xml, {'etree': lambda: resolve_module('xml.etree')})


def _xml_etree() -> types.ModuleType:
    import xml.etree.ElementTree
    return ModuleProxy(xml.etree, {'cElementTree': lambda: xml.etree.ElementTree})


def _yaml() -> types.ModuleType:
    import yaml  # type: ignore[import-untyped]

    def load(stream, Loader=yaml.FullLoader):
        """`yaml.load`, whose argument `Loader` was optional before PyYAML 6."""
        return yaml.load(stream, Loader)

    return ModuleProxy(yaml, {'load': lambda: load})


def _scipy_linalg() -> types.ModuleType:
    from scipy import linalg

    def sqrtm(A, disp=True, blocksize=64):
        """`scipy.linalg.sqrtm` with the arguments that SciPy 1.18 has removed."""
        root = linalg.sqrtm(A)
        if disp:
            return root
        error = linalg.norm(root @ root - A, 'fro') ** 2 / linalg.norm(A, 'fro')
        return root, error

    return ModuleProxy(linalg, {'sqrtm': lambda: sqrtm})


_PROXIES: dict[str, Callable[[], types.ModuleType]] = {
    'numpy': _numpy, 'PIL': _pillow, 'PIL.Image': _pillow_image, 'scipy': _scipy,
    'scipy.misc': _scipy_misc, 'scipy.ndimage': _scipy_ndimage,
    'scipy.linalg': _scipy_linalg, 'importlib': _importlib, 'yaml': _yaml, 'xml': _xml,
    'xml.etree': _xml_etree, 'xml.etree.cElementTree': lambda: importlib.import_module(
        'xml.etree.ElementTree'),
    **{name: functools.partial(_standard, name) for name in (
        'base64', 'collections', 'fractions', 'inspect', 'itertools', 'math', 'os', 'string',
        'time', 'types', 'urllib')},
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
