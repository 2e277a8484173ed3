"""What the verbs have in common: flags made of options, and what is said at the end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
import dataclasses
import sys
from typing import Any, Protocol

Run = Callable[[argparse.Namespace], int | None]


class Verb(Protocol):
    """Adds a verb to the command line; its parser wants the verb's own arguments then."""

    def __call__(self, name: str, function: Run, help: str, *,
                 of_checkpoint: bool = True) -> argparse.ArgumentParser: ...


def add_options(parser: argparse.ArgumentParser, kind: type, leave: Collection[str] = ()) -> None:
    """A flag for each option of a dataclass that has a text, but for those to be left out."""
    for field in dataclasses.fields(kind):
        wanted = field.metadata
        if not wanted.get('text') or field.name in leave:
            continue
        flag = wanted['flag'] or '--' + field.name.replace('_', '-')
        if isinstance(field.default, bool):
            parser.add_argument(flag, dest=field.name, help=wanted['text'],
                                action='store_false' if field.default else 'store_true')
            continue
        shown = '' if field.default in (None, ()) else ' (%(default)s)'
        parse = wanted['parse'] or (str if field.default is None else type(field.default))
        metavar = wanted['metavar'] or ('X' if parse is float else 'N' if parse is int else None)
        if parse is int and wanted['at_least'] == 1:
            parse = positive_int
        parser.add_argument(flag, dest=field.name, default=field.default, type=parse,
                            choices=wanted['choices'], metavar=metavar,
                            help=wanted['text'] + shown)


def options_of(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The options that were given on the command line, as arguments of the library."""
    return {field.name: getattr(arguments, field.name) for field in dataclasses.fields(kind)
            if hasattr(arguments, field.name)}


def print_warnings(found: Any) -> None:
    """Says on standard error what was assumed, and which images were left out."""
    note = getattr(found, 'note', None)
    if note:
        print(note, file=sys.stderr)
    if found.bad:
        print(f'Left out as damaged or unreadable: {len(found.bad):,}', file=sys.stderr)
    for name in found.bad:
        print(f'  {name}', file=sys.stderr)


def positive_int(text: str) -> int:
    """A whole number from 1 on; what argparse makes of the ValueError is bad usage."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value
