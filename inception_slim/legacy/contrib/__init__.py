"""`tf.contrib` for scripts, as far as its functions have replacements today.

`replacements` maps its modules to their replacements, and `modules` builds the module objects. The
other files are replacements written for this package.
"""

from __future__ import annotations

from typing import Literal

from inception_slim.errors import UnsupportedAPIError
from inception_slim.legacy.contrib.modules import (
    ROOT,
    ContribModule,
    display_name,
    get_module,
    module_names,
)

__all__ = ['ROOT', 'get_module', 'module_names', 'status']


def status(name: str) -> tuple[Literal['supported', 'not supported'], str]:
    """Return whether a name of `tf.contrib` is supported, and an explanation.

    Args:
      name: a dotted name such as 'tf.contrib.layers.batch_norm' or 'tensorflow.contrib.slim'.

    Returns:
      'supported' and the name of the replacement, or 'not supported' and what to use instead.

    Raises:
      ValueError: the name is not below `tf.contrib`.
    """
    parts = name.split('.')
    if parts[:2] not in (['tf', 'contrib'], ['tensorflow', 'contrib']):
        raise ValueError(f'name must start with tf.contrib, but is {name!r}.')
    parts[0] = 'tensorflow'
    value: object = get_module(ROOT)
    for end in range(3, len(parts) + 1):
        dotted = '.'.join(parts[:end])
        if end < len(parts) and dotted in module_names():
            value = get_module(dotted)  # a function of the same name may hide it
            continue
        try:
            value = getattr(value, parts[end - 1])
        except UnsupportedAPIError as error:
            return 'not supported', str(error)
        except AttributeError:
            return 'not supported', (
                f'tf.contrib of TensorFlow 1.15.5 had no {display_name(dotted)}.')
    if isinstance(value, ContribModule):
        if not value.supports_any():
            return 'not supported', value.unsupported_message()
        return 'supported', f'{name} is a module; its names are looked up one by one.'
    module = getattr(value, '__module__', None)
    title = getattr(value, '__qualname__', getattr(value, '__name__', None))
    return 'supported', f'{name} is {f"{module}.{title}" if module and title else repr(value)}.'
