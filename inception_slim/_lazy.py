"""Lazy exports of a package, by PEP 562: a submodule is imported when a name of it is first used.

So the command line can read the options of every command without importing TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib
import sys
from types import ModuleType
from typing import Any


class _LazyPackage(ModuleType):
    """A package whose exports may have the name of one of its submodules."""

    _exports: Mapping[str, str] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system binds a submodule here after importing it, whoever asked for it.
        if name in self._exports and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


def lazy_exports(package: str, exports: Mapping[str, str]
                 ) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Makes the names of a package's submodules attributes of the package.

    Args:
      package: the package's `__name__`.
      exports: for each submodule the names it exports, separated by spaces; the submodules
        themselves are attributes too. A key that starts with 'inception_slim.' is a module outside
        of the package.

    Returns:
      `(__getattr__, __dir__, __all__)` of the package.

    Example:
      In the `__init__` of a package, with the same imports for type checkers:

          if TYPE_CHECKING:
              from package._convert import convert as convert
          else:
              __getattr__, __dir__, __all__ = lazy_exports(__name__, {'_convert': 'convert'})
    """
    root = __package__ + '.'
    sources = {name: submodule if submodule.startswith(root) else f'{package}.{submodule}'
               for submodule, names in exports.items() for name in names.split()}
    module = sys.modules[package]
    module.__class__ = _LazyPackage
    module.__dict__['_exports'] = sources

    def get_attribute(name: str) -> Any:
        if name in sources:
            value = getattr(importlib.import_module(sources[name]), name)
        elif name in exports:
            return importlib.import_module(f'{package}.{name}')
        else:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        setattr(module, name, value)
        return value

    def list_attributes() -> list[str]:
        return sorted({*module.__dict__, *sources, *exports})

    return get_attribute, list_attributes, sorted(sources)
