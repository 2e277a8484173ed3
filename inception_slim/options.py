"""Options that several functions and commands share, each declared once.

A frozen dataclass names the options; each field holds the default, the allowed range and a line of
help. A public function takes the options as explicit keyword-only parameters and builds the
dataclass from them with `build_options(Options, locals(), ErrorClass)`, which also checks the
values. `inception_slim.cli.arguments` makes command-line arguments from the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
import dataclasses
from typing import Any, TypeVar

from inception_slim._optional import require
from inception_slim.errors import InceptionSlimError

_Options = TypeVar('_Options')


def option(default: Any, text: str = '', *, at_least: float | None = None,
           at_most: float | None = None, above: float | None = None, below: float | None = None,
           choices: Collection[str] | None = None, flag: str | None = None,
           metavar: str | None = None, parse: Callable[[str], Any] | None = None) -> Any:
    """A field of an options dataclass.

    Args:
      default: the value when none is given. None means "not set" and is never out of range.
      text: the help of the command-line argument; without it there is no such argument.
      at_least, at_most, above, below: the range of a number.
      choices: the allowed values.
      flag: the command-line argument, if it is not the field's name; `--no-NAME` sets False.
      metavar: the placeholder for the value in the help.
      parse: converts the command-line text to the value; by default the default's type does.
    """
    return dataclasses.field(default=default, metadata={
        'text': text, 'at_least': at_least, 'at_most': at_most, 'above': above, 'below': below,
        'choices': choices, 'flag': flag, 'metavar': metavar, 'parse': parse})


def build_options(kind: type[_Options], arguments: Mapping[str, Any],
                  error: type[Exception]) -> _Options:
    """Builds and checks an options dataclass from the arguments of a call.

    Args:
      kind: the dataclass.
      arguments: values by name, such as `locals()` at the top of a function; names that are not
        fields of `kind` are ignored, and missing fields get their defaults.
      error: the class of the exception for a value out of range.

    Returns:
      An instance of `kind`; an integer given for a float field becomes a float.
    """
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    values = {}
    for field in fields:
        if field.name in arguments:
            value = arguments[field.name]
            if type(value) is int and str(field.type).startswith('float'):
                value = float(value)
            check(field.name, value, field.metadata, error)
            values[field.name] = value
    return kind(**values)


def check(name: str, value: Any, limits: Mapping[str, Any], error: type[Exception]) -> None:
    """Raises `error` if a value is not within the choices or the range of its field."""
    if value is None:
        return
    choices = limits.get('choices')
    if choices is not None and value not in choices:
        raise error(f'{name} must be one of {", ".join(choices)}, not {value!r}.')
    at_least, above = limits.get('at_least'), limits.get('above')
    at_most, below = limits.get('at_most'), limits.get('below')
    # Written so that NaN, for which every comparison is false, is refused too.
    if ((at_least is None or value >= at_least) and (above is None or value > above)
            and (at_most is None or value <= at_most) and (below is None or value < below)):
        return
    bounds = [f'{words} {bound:g}' for words, bound in (
        ('at least', at_least), ('greater than', above), ('at most', at_most),
        ('less than', below)) if bound is not None]
    raise error(f'{name} must be {" and ".join(bounds)}, but is {value:g}.')


def parse_color(text: str | None) -> tuple[int, int, int] | None:
    """Returns red, green and blue, 0 to 255, of a color as CSS writes it; None for None.

    Raises:
      InceptionSlimError: it is no color, or Pillow, which knows the names, is not installed.
    """
    if text is None:
        return None
    colors = require('PIL.ImageColor', 'A background', InceptionSlimError, extra='images')
    try:
        return colors.getrgb(text)[:3]
    except (ValueError, AttributeError):
        raise InceptionSlimError(f'background is {text!r}, which is no color; give a name such as '
                                 'white, or #RRGGBB.') from None


def as_dict(options: Any, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The options by name, all or only `names`, to pass on as keyword arguments."""
    return {name: getattr(options, name)
            for name in (option_names(type(options)) if names is None else names)
            if name in option_names(type(options))}


def option_names(kind: type) -> list[str]:
    """The names of the fields of an options dataclass."""
    return [field.name for field in dataclasses.fields(kind)]
