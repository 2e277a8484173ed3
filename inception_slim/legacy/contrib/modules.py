"""The module objects that stand for those of `tf.contrib`: names found on first use.

Nothing is imported until a name is asked for. A name of TensorFlow 1.15.5 that has nothing behind
it may be imported, since scripts import much that they never use; to use it raises one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import dis
import importlib
import sys
import types

from inception_slim.errors import UnsupportedAPIError

ROOT = 'tensorflow.contrib'


@dataclass(frozen=True)
class Replacement:
    """What stands behind a module of `tf.contrib`.

    Attributes:
      sources: modules whose names are handed on, the first that has one; dotted.
      names: names that are others elsewhere, as `module:attribute`.
      advice: what to use today in the place of a name that nothing stands behind.
      advices: the same for single names.
    """

    sources: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    advice: str = ''
    advices: Mapping[str, str] = field(default_factory=dict)


class UnsupportedSymbol:
    """What a script imported that has nothing behind it; any use of it raises its sentence."""

    def __init__(self, name: str, sentence: str):
        self.__dict__.update(__name__=name, _sentence=sentence)

    def _refuse(self, *arguments, **named):
        raise UnsupportedAPIError(self._sentence)

    def __getattr__(self, name: str):
        if name.startswith('__') and name.endswith('__'):  # what Python itself asks for
            raise AttributeError(name)
        self._refuse()

    __call__ = __setattr__ = __getitem__ = __iter__ = __mro_entries__ = __enter__ = _refuse
    __instancecheck__ = __subclasscheck__ = _refuse

    def __repr__(self):
        return f'<{self.__name__} of TensorFlow 1, which has nothing behind it>'


def display_name(dotted: str) -> str:
    """A name as people say it: `tf.contrib.layers.conv2d`."""
    return 'tf' + dotted.removeprefix('tensorflow')


class ContribModule(types.ModuleType):
    """A module of `tf.contrib`."""

    def __init__(self, dotted: str, behind: Replacement, children: Mapping[str, Callable],
                 originals: frozenset[str]):
        super().__init__(
            dotted, f'{display_name(dotted)} of TensorFlow 1, on what stands for it today.'
        )
        self.__path__ = []  # a package, whatever it was: below it may be more
        self._behind = behind
        self._children = children
        self._originals = originals

    def _find(self, name: str) -> object:
        """What stands behind a name; raises LookupError where nothing does."""
        if name in self._behind.names:
            return import_object(self._behind.names[name])
        if name in self._children:
            return self._children[name]()
        for source in self._behind.sources:
            try:
                module = import_object(source)
            except ImportError:
                continue  # an optional package, which the advice names
            try:
                value = getattr(module, name)
            except AttributeError:
                continue
            if isinstance(value, types.ModuleType) and not isinstance(value, ContribModule):
                continue  # what the source itself imports
            return value
        raise LookupError(name)

    def sentence(self, name: str = '') -> str:
        """What is said of a name that is not served, or of the whole module."""
        advice = self._behind.advices.get(name, self._behind.advice)
        return (
            f'{display_name(self.__name__)}{name and "." + name} of TensorFlow 1 has nothing behind '
            'it here' + (f'; {advice}.' if advice else '.')
        )

    def advice(self) -> str:
        """What to use today in the place of the module."""
        return self._behind.advice

    def __getattr__(self, name: str):
        if name == '__all__':
            return [each for each in dir(self) if not each.startswith('_')]
        if name.startswith('__') and name.endswith('__'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        try:
            value = self._find(name)
        except LookupError:
            pass
        except ImportError as error:
            raise UnsupportedAPIError(
                f'{display_name(self.__name__)}.{name} cannot be had: {error}'
            ) from None
        else:
            setattr(self, name, value)
            return value
        importing = _asked_by_an_import()
        if self._is_original(name):
            if importing:
                return UnsupportedSymbol(
                    f'{display_name(self.__name__)}.{name}', self.sentence(name)
                )
            raise UnsupportedAPIError(self.sentence(name))
        if importing:
            raise ImportError(f'cannot import name {name!r} from {self.__name__!r}',
                              name=self.__name__)
        raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')

    def _is_original(self, name: str) -> bool:
        """Whether 1.15.5 had the name, as far as is known: of private modules it is not."""
        return (name in self._originals or name in self._behind.advices
                or 'python' in self.__name__.split('.') or not self._originals)

    def __dir__(self):
        names = set(self._originals) | set(self._behind.names) | set(self._children)
        names |= {name for name in vars(self) if not name.startswith('_')}
        for source in self._behind.sources:
            try:
                names |= {name for name in dir(import_object(source)) if not name.startswith('_')}
            except ImportError:
                pass
        return sorted(name for name in names if self.serves(name))

    def serves(self, name: str) -> bool:
        """Whether something stands behind a name."""
        try:
            self._find(name)
        except (LookupError, ImportError):
            return False
        return True

    def serves_anything(self) -> bool:
        """Whether a name here or below is served."""
        values = (getattr(self, name) for name in dir(self))
        return any(
            not isinstance(value, ContribModule) or value.serves_anything() for value in values
        )

    def __repr__(self):
        return f'<module {self.__name__!r}, served by inception_slim>'


def import_object(target: str) -> object:
    """A module by its dotted name, or of `module:attribute` the attribute."""
    path, _, attribute = target.partition(':')
    value = importlib.import_module(path)
    for part in attribute.split('.') if attribute else ():
        value = getattr(value, part)
    return value


def _asked_by_an_import() -> bool:
    """Whether the line that asks is `from MODULE import NAME`, which would hide the sentence."""
    frame = sys._getframe(2)
    if frame.f_code.co_filename == '<frozen importlib._bootstrap>':
        return True  # which looks whether a package has the name, or else for a module
    # CPython's; elsewhere the import fails, with Python's own words.
    return (frame.f_lasti >= 0
            and dis.opname[frame.f_code.co_code[frame.f_lasti]] == 'IMPORT_FROM')
