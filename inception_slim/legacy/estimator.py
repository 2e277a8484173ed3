"""`tf.estimator` for scripts, from the package tensorflow-estimator 2.15.

TensorFlow lost `tf.estimator` in 2.16, with private modules that the package imports. Its modules
run with an `__import__` that gives them the TensorFlow of scripts, which has stand-ins for the lost
modules (`lost_modules`). TensorFlow itself is not changed.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
import importlib
from importlib.machinery import PathFinder, SourceFileLoader
import sys
import types

from inception_slim._optional import require
from inception_slim.errors import UnsupportedAPIError

_PACKAGE = 'tensorflow_estimator'
Resolver = Callable[[str], 'types.ModuleType | None']

# The package's modules while no script runs. They are not executed again for the next script:
# modules of `tf.contrib` refer to their classes.
_unloaded: dict[str, types.ModuleType] = {}


def import_module(name: str, resolve: Resolver) -> types.ModuleType | None:
    """Import a module of the package.

    Args:
      name: relative to the package.
      resolve: see `install`.

    Returns:
      The module, or None if the package has no such module.

    Raises:
      ImportError: the package cannot be imported.
    """
    dotted = f'{_PACKAGE}.{name}'
    temporary = _Finder not in sys.meta_path  # no script runs, as in `run --explain`
    if temporary:
        install(resolve)
    try:
        require(_PACKAGE, 'tf.estimator', UnsupportedAPIError, extra='legacy')
        return importlib.import_module(dotted)
    except UnsupportedAPIError as error:
        raise ImportError(str(error)) from None
    except ModuleNotFoundError as error:
        if error.name is None or not f'{dotted}.'.startswith(f'{error.name}.'):
            raise
        return None
    finally:
        if temporary:
            uninstall()


def install(resolve: Resolver) -> None:
    """Let Python find the package's modules with this module's loader.

    Args:
      resolve: returns the module that the package gets for a dotted name below `tensorflow`.
    """
    _Loader.resolve = staticmethod(resolve)
    sys.meta_path.insert(0, _Finder)
    sys.modules.update(_unloaded)


def uninstall() -> None:
    """Undo `install` and remove the package's modules from `sys.modules`."""
    sys.meta_path.remove(_Finder)
    for name in [name for name in sys.modules if name.partition('.')[0] == _PACKAGE]:
        _unloaded[name] = sys.modules.pop(name)


class _Loader(SourceFileLoader):
    resolve: Resolver

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__['__builtins__'] = {**vars(builtins), '__import__': self._import}
        super().exec_module(module)

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):
        """`builtins.__import__` for the modules of the package."""
        if level or name.partition('.')[0] != 'tensorflow':
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = self.resolve(name)
        if module is None:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
        for child in fromlist or ():
            if not hasattr(module, child):  # importing it makes it an attribute of its package
                self.resolve(f'{name}.{child}')
        return module if fromlist else self.resolve('tensorflow')


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition('.')[0] != _PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec
