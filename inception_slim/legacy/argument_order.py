"""Functions with the order of arguments that they had elsewhere."""

from __future__ import annotations

from collections.abc import Callable
import functools
import inspect


def reorder_arguments(function: Callable, names: str) -> Callable:
    """The same function, whose positional arguments come in another order.

    Args:
      function: takes each of the names as a keyword.
      names: of the arguments, in the order wanted; those of `function` that are not among them may
        be given by name alone.
    """
    order = names.split()
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*values, **named):
        if len(values) > len(order):
            raise TypeError(f'{function.__name__}() takes {len(order)} positional arguments but '
                            f'{len(values)} were given')
        for name, value in zip(order, values):
            if name in named:
                raise TypeError(f"{function.__name__}() got multiple values for argument '{name}'")
            named[name] = value
        return function(**named)

    kinds = inspect.Parameter
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameters[name].replace(kind=kinds.POSITIONAL_OR_KEYWORD) for name in order]
        + [each.replace(kind=kinds.KEYWORD_ONLY) for name, each in parameters.items()
           if name not in order])
    return call
