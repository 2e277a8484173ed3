"""`tf.contrib`, as far as something real stands for it today.

`modules` gives its modules, as an import hook serves them; `status` says of a name whether it is
served. `behind.py` says what stands behind each; the other files are what had to be written.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from types import ModuleType

from inception_slim.legacy.contrib import replacements
from inception_slim.legacy.contrib.modules import ROOT, ContribModule

__all__ = ['modules', 'status']


@functools.cache
def modules() -> dict[str, Callable[[], ModuleType]]:
    """Every module of `tf.contrib`, and how to get it; nothing is imported until a name is used.

    Returns:
      Dotted names from `tensorflow.contrib` on, each with a function that gives the module, the
      same one each time.
    """
    originals = replacements.known_symbols()
    children: dict[str, dict[str, Callable]] = {name: {} for name in originals}
    makers = {}
    for name in originals:
        dotted = f'{ROOT}.{name}' if name else ROOT
        makers[name] = functools.cache(
            lambda name=name, dotted=dotted: ContribModule(
                dotted, replacements.replacement_for(name), children[name], originals[name]
            )
        )
        if name:
            parent, _, last = name.rpartition('.')
            children[parent][last] = makers[name]
    for name, names in replacements.CHILDREN.items():  # public modules that were private files
        for each, target in names.items():
            children[name].setdefault(each, makers[target])
    return {f'{ROOT}.{name}' if name else ROOT: make for name, make in makers.items()}


def status(name: str) -> tuple[str, str]:
    """Whether a name of `tf.contrib` is served.

    Args:
      name: such as 'tf.contrib.layers.batch_norm' or 'tensorflow.contrib.slim'.

    Returns:
      'served' and what stands behind it, or 'missing' and what to use today; a sentence each.
    """
    parts = name.split('.')
    if parts[:2] not in (['tf', 'contrib'], ['tensorflow', 'contrib']):
        raise ValueError(f'name must begin with tf.contrib, but is {name!r}.')
    value: object = modules()[ROOT]()
    for number, part in enumerate(parts[2:], 3):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            known = str(error)
            if not known.endswith('.'):
                known = (f'tf.contrib of TensorFlow 1.15.5 had no '
                         f'{".".join(["tf"] + parts[1:number])}.')
            return 'missing', known
    if isinstance(value, ContribModule) and not value.serves_anything():
        return 'missing', value.sentence()
    return 'served', f'{name} is {_where(value)}.'


def _where(value: object) -> str:
    if isinstance(value, ContribModule):
        return 'a module, of which each name is looked up'
    module = getattr(value, '__module__', None)
    title = getattr(value, '__qualname__', getattr(value, '__name__', None))
    return f'{module}.{title}' if module and title else repr(value)
