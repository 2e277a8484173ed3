"""Options that travel together, declared once.

A frozen dataclass names them; each field holds its default, its range and a line of help. From it
come the signature of the calls that take them, the check of what was given, and the flags of the
command line.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

_Options = TypeVar('_Options')
_Function = TypeVar('_Function', bound=Callable)


def option(default: Any, text: str = '', *, at_least: float | None = None,
           at_most: float | None = None, above: float | None = None, below: float | None = None,
           choices: Collection[str] | None = None, flag: str | None = None,
           metavar: str | None = None, parse: Callable[[str], Any] | None = None) -> Any:
    """A field of a dataclass of options.

    Args:
      default: its value where nothing is given; None stands for 'none' and is in every range.
      text: what the command line says of it; without it, the command line does not have it.
      at_least, at_most, above, below: the range of a number.
      choices: the values that it may have.
      flag: its flag, where that is not its name; one that begins with `--no-` says False.
      metavar: what stands for its value in the help.
      parse: from the text of a command line to its value; that of the default's type if not given.
    """
    return dataclasses.field(default=default, metadata={
        'text': text, 'at_least': at_least, 'at_most': at_most, 'above': above, 'below': below,
        'choices': choices, 'flag': flag, 'metavar': metavar, 'parse': parse})


def made(kind: type[_Options], given: dict[str, Any], error: type[Exception]) -> _Options:
    """The options of a call, checked; a whole number becomes a float where one is declared.

    Raises:
      TypeError: a name is not one of them, as Python says of any function.
      error: a value is out of its range.
    """
    floats = {field.name for field in dataclasses.fields(kind)  # type: ignore[arg-type]
              if str(field.type).startswith('float')}
    options = kind(**{name: float(value) if type(value) is int and name in floats else value
                      for name, value in given.items()})
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        check(field.name, getattr(options, field.name), field.metadata, error)
    return options


def check(name: str, value: Any, wanted: Any, error: type[Exception]) -> None:
    """Raises `error`, in one sentence, if a value is outside what its field declares."""
    if value is None:
        return
    choices = wanted.get('choices')
    if choices is not None and value not in choices:
        raise error(f'{name} must be one of {", ".join(choices)}, not {value!r}.')
    # NaN is in no range, so that each asks what must hold.
    bounds = [words for key, words, holds in (
        ('at_least', 'at least', lambda bound: value >= bound),
        ('above', 'greater than', lambda bound: value > bound),
        ('at_most', 'at most', lambda bound: value <= bound),
        ('below', 'less than', lambda bound: value < bound))
        for bound in [wanted.get(key)] if bound is not None
        for words in [(f'{words} {bound:g}', holds(bound))]]
    if not all(holds for _, holds in bounds):
        wanted_words = ' and '.join(words for words, _ in bounds)
        raise error(f'{name} must be {wanted_words}, but is {value:g}.')


def taking(*kinds: type) -> Callable[[_Function], _Function]:
    """Shows the fields of dataclasses in the signature of a function, in the place of `**options`.

    `help`, editors and `inspect.signature` then say what may be given, and the defaults.
    """
    def shown(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values()
               if each.kind is not inspect.Parameter.VAR_KEYWORD]
        added = [inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY,
                                   default=field.default, annotation=field.type)
                 for kind in kinds for field in dataclasses.fields(kind)
                 if field.name not in signature.parameters]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore
        return function
    return shown


def values(options: Any, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The options by name, to be handed on: all, or these."""
    wanted = None if names is None else set(names)
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)
            if wanted is None or field.name in wanted}


def names_of(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
