"""A proxy for a module, with some names added or replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import types
from typing import Any, TypeVar

_Value = TypeVar('_Value')


def getters(values: Mapping[str, _Value]) -> dict[str, Callable[[], _Value]]:
    """Returns a function for each name that returns its value, for `ModuleProxy`."""
    return {name: lambda value=value: value for name, value in values.items()}  # type: ignore[misc]


class ModuleProxy(types.ModuleType):
    """Another module, with some names added or replaced.

    Args:
      module: the module behind the proxy. Every other name is looked up in it at each access.
      names: a function for each added or replaced name, called once, at the first access.
      write_through: whether setting an attribute also sets it in `module`, for modules that scripts
        patch; not for names that `module` does not have and `names` adds.
      name: the proxy's `__name__`; by default that of `module`.
    """

    def __init__(self, module: types.ModuleType, names: Mapping[str, Callable[[], object]],
                 write_through: bool = False, name: str | None = None):
        super().__init__(name or module.__name__, module.__doc__)
        # ModuleType sets them to None, which would hide those of `module`.
        del self.__dict__['__loader__'], self.__dict__['__spec__'], self.__dict__['__package__']
        self.__dict__.update(_module=module, _names=names, _write_through=write_through)

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            return getattr(self._module, name)
        value = self.__dict__[name] = self._names[name]()
        return value

    def __setattr__(self, name: str, value: object) -> None:
        is_added = name in self._names and name not in vars(self._module)
        if self._write_through and not is_added and not isinstance(value, types.ModuleType):
            setattr(self._module, name, value)
        self.__dict__[name] = value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._module), *self._names})
