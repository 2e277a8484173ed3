"""Modules as a script should see them: themselves, with some names added or replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import types


class ModuleProxy(types.ModuleType):
    """Another module, with some names added or replaced.

    Args:
      module: the module that is seen.
      names: a function for each name that is added or replaced, called when it is first wanted.
      write_through: sets in `module` itself what is set here, for modules that scripts patch.
    """

    def __init__(self, module: types.ModuleType, names: Mapping[str, Callable[[], object]],
                 write_through: bool = False, name: str | None = None):
        super().__init__(name or module.__name__, module.__doc__)
        del self.__dict__['__loader__'], self.__dict__['__spec__'], self.__dict__['__package__']
        self.__dict__.update(_seen=module, _names=names, _write_through=write_through)

    def __getattr__(self, name: str):
        # Reached for what is not kept here yet.
        if name in self._names:
            value = self._names[name]()
            self.__dict__[name] = value
            return value
        value = getattr(self._seen, name)
        if callable(value):
            self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if self._write_through and name not in self._names and not isinstance(
                value, types.ModuleType):
            setattr(self._seen, name, value)
        self.__dict__[name] = value

    def __dir__(self):
        return sorted({*dir(self._seen), *self._names})
