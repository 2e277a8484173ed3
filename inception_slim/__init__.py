"""The Inception networks of TF-Slim on current TensorFlow, under `tf.compat.v1`.

Importing this package imports nothing else: its modules and networks, and TensorFlow with them, are
imported at first use. A later `import tf_slim` gives a tf-slim that works (see `tf_slim_compat`).
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from inception_slim import _tf_slim_finder

if TYPE_CHECKING:
    from inception_slim import (
        bulk as bulk,
        checkpoint as checkpoint,
        data as data,
        errors as errors,
        evaluation as evaluation,
        formats as formats,
        inference as inference,
        legacy as legacy,
        nets as nets,
        tf_slim_compat as tf_slim_compat,
        training as training,
    )
    from inception_slim.nets.inception import *  # noqa: F403

__version__ = '1.0.0'
__all__ = [  # noqa: F405
    'inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base',
    'inception_v1', 'inception_v1_arg_scope', 'inception_v1_base',
    'inception_v2', 'inception_v2_arg_scope', 'inception_v2_base',
    'inception_v3', 'inception_v3_arg_scope', 'inception_v3_base',
    'inception_v4', 'inception_v4_arg_scope', 'inception_v4_base',
    'trunc_normal',
]
_MODULES = frozenset({
    'bulk', 'checkpoint', 'data', 'errors', 'evaluation', 'formats', 'inference', 'legacy', 'nets',
    'tf_slim_compat', 'training'})


class _LazyPackage(types.ModuleType):
    """This package: imports `_MODULES` and the functions of `__all__` at first use."""

    def __getattr__(self, name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f'{__name__}.{name}')
        if name in __all__:
            value = getattr(importlib.import_module(f'{__name__}.nets.inception'), name)
            setattr(self, name, value)
            return value
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def __setattr__(self, name: str, value: object) -> None:
        # `import inception_slim.inception_v3_arg_scope` sets the module of that name here.
        if name in __all__ and isinstance(value, types.ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_MODULES, *__all__})


sys.modules[__name__].__class__ = _LazyPackage
_tf_slim_finder.install()
