"""Module objects of `tf.contrib`, whose names are looked up when they are first used.

Nothing is imported before that. A name of TensorFlow 1.15.5 without a replacement can be imported,
because scripts import many names that they never use; using it raises `UnsupportedAPIError`.
"""

from __future__ import annotations

import dis
import functools
import importlib
import sys
import types

from inception_slim.errors import UnsupportedAPIError
from inception_slim.legacy.contrib import replacements

ROOT = 'tensorflow.contrib'


class UnsupportedSymbol:
    """An imported name that has no replacement; any use of it raises `UnsupportedAPIError`."""

    def __init__(self, name: str, message: str):
        self.__dict__.update(__name__=name, _message=message)

    def _raise(self, *args, **kwargs):
        raise UnsupportedAPIError(self._message)

    def __getattr__(self, name: str):
        if name.startswith('__') and name.endswith('__'):  # Python probes for these
            raise AttributeError(name)
        self._raise()

    __call__ = __setattr__ = __getitem__ = __iter__ = __mro_entries__ = __enter__ = _raise
    __instancecheck__ = __subclasscheck__ = _raise

    def __repr__(self):
        return f'<{self.__name__} of TensorFlow 1, not supported>'


def display_name(dotted: str) -> str:
    """Return the name as users write it, such as `tf.contrib.layers.conv2d`."""
    top, dot, rest = dotted.partition('.')
    return f'tf{dot}{rest}' if top == 'tensorflow' else dotted


class ContribModule(types.ModuleType):
    """A module of `tf.contrib`.

    Args:
      name: relative to `tensorflow.contrib`; '' is `tf.contrib` itself.
    """

    def __init__(self, name: str):
        dotted = f'{ROOT}.{name}' if name else ROOT
        super().__init__(dotted, f'Replacement of {display_name(dotted)} of TensorFlow 1.')
        self.__path__ = []  # every module may have submodules
        self._replacement = replacements.replacement_for(name)
        self._submodules = replacements.submodules()[name]
        self._symbols = replacements.known_symbols()[name]

    def _look_up(self, name: str) -> object:
        """Return the replacement of a name; raise LookupError if there is none."""
        if name in self._replacement.names:
            return import_object(self._replacement.names[name])
        if name in self._submodules and not self._is_hidden(name):
            return get_module(self._submodules[name])
        for source in self._replacement.sources:
            try:
                value = getattr(import_object(source), name)
            except (ImportError, AttributeError):
                continue  # an optional package is missing, or the source has no such name
            if isinstance(value, types.ModuleType) and not isinstance(value, ContribModule):
                continue  # a module that the source imports for itself
            return value
        raise LookupError(name)

    def _is_hidden(self, submodule: str) -> bool:
        return f'{self.__name__}.{submodule}'.removeprefix(f'{ROOT}.') in (
            replacements.HIDDEN_BY_FUNCTIONS)

    def __setattr__(self, name: str, value: object) -> None:
        # After it has imported a submodule, Python would bind it over the function of its name.
        if not (isinstance(value, ContribModule) and self._is_hidden(name)):
            super().__setattr__(name, value)

    def unsupported_message(self, name: str = '') -> str:
        """Return the error message for an unsupported name, or for the whole module."""
        title = display_name(f'{self.__name__}.{name}' if name else self.__name__)
        for replaced in () if name else self._replacement.names:
            try:
                self._look_up(replaced)
            except ImportError as error:  # an optional package is missing
                return f'{title} is not available: {error}'
        advice = self._replacement.advices.get(name, self._replacement.advice)
        return f'{title} of TensorFlow 1 is not supported' + (
            f'; {advice}.' if advice else ' and has no replacement.')

    @property
    def advice(self) -> str:
        """What to use today instead of the module; may be empty."""
        return self._replacement.advice

    def __getattr__(self, name: str):
        if name == '__all__':
            return [public for public in dir(self) if not public.startswith('_')]
        if name.startswith('__') and name.endswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        try:
            value = self._look_up(name)
        except LookupError:
            importing = called_by_import()
        except ImportError as error:
            raise UnsupportedAPIError(
                f'{display_name(self.__name__)}.{name} is not available: {error}') from None
        else:
            setattr(self, name, value)
            return value
        if self._existed(name):
            message = self.unsupported_message(name)
            if importing:
                return UnsupportedSymbol(f'{display_name(self.__name__)}.{name}', message)
            raise UnsupportedAPIError(message)
        if importing:
            raise ImportError(f'cannot import name {name!r} from {self.__name__!r}',
                              name=self.__name__)
        raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')

    def _existed(self, name: str) -> bool:
        """Whether 1.15.5 had the name, as far as known; names of private modules are not known."""
        return (name in self._symbols or name in self._replacement.advices
                or 'python' in self.__name__.split('.') or not self._symbols)

    def __dir__(self):
        names = {*self._symbols, *self._replacement.names, *self._submodules, *vars(self)}
        for source in self._replacement.sources:
            try:
                names |= set(dir(import_object(source)))
            except ImportError:
                pass
        return sorted(name for name in names
                      if not name.startswith('_') and self.supports(name))

    def supports(self, name: str) -> bool:
        """Return whether a name has a replacement."""
        try:
            self._look_up(name)
        except (LookupError, ImportError):
            return False
        return True

    def supports_any(self) -> bool:
        """Return whether a name in this module or below it has a replacement."""
        values = (getattr(self, name) for name in dir(self))
        return any(not isinstance(value, ContribModule) or value.supports_any()
                   for value in values)

    def __repr__(self):
        return f'<module {self.__name__!r}, provided by inception_slim>'


@functools.cache
def module_names() -> frozenset[str]:
    """Return the dotted names of all modules of `tf.contrib`, from 'tensorflow.contrib' on."""
    return frozenset(f'{ROOT}.{name}' if name else ROOT
                     for name in replacements.known_symbols())


@functools.cache
def get_module(dotted: str) -> ContribModule:
    """Return the module object for one of `module_names`; the same object in every call."""
    return ContribModule(dotted.removeprefix(ROOT).removeprefix('.'))


def import_object(target: str) -> object:
    """Import a module by its dotted name, or an attribute given as `module:attribute`."""
    path, _, attribute = target.partition(':')
    value = importlib.import_module(path)
    for part in attribute.split('.') if attribute else ():
        value = getattr(value, part)
    return value


def called_by_import() -> bool:
    """Whether the caller's caller runs `from MODULE import NAME`.

    Such a statement must not raise; it would replace the error message by Python's own.
    """
    frame = sys._getframe(2)
    if frame.f_code.co_filename == '<frozen importlib._bootstrap>':
        return True  # looks for the name in a package before it looks for a submodule
    # On CPython. On other interpreters the import fails with Python's own message.
    return (frame.f_lasti >= 0
            and dis.opname[frame.f_code.co_code[frame.f_lasti]] == 'IMPORT_FROM')
