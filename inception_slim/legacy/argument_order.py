"""Functions with the positional argument order of another library."""

from __future__ import annotations

from collections.abc import Callable
import functools
import inspect


def reorder_arguments(function: Callable, names: str) -> Callable:
    """Wrap a function so that its positional arguments have another order.

    Args:
      function: takes each of the names as a keyword.
      names: space-separated argument names in the new order; the other arguments of `function`
        become keyword-only.
    """
    order = names.split()
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args, **kwargs):
        if len(args) > len(order):
            raise TypeError(f'{function.__name__}() takes {len(order)} positional arguments but '
                            f'{len(args)} were given')
        for name, value in zip(order, args):
            if name in kwargs:
                raise TypeError(f"{function.__name__}() got multiple values for argument '{name}'")
            kwargs[name] = value
        return function(**kwargs)

    kinds = inspect.Parameter
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameters[name].replace(kind=kinds.POSITIONAL_OR_KEYWORD) for name in order]
        + [parameter.replace(kind=kinds.KEYWORD_ONLY) for name, parameter in parameters.items()
           if name not in order])
    return call
