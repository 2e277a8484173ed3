"""The package to which a script's imports are redirected: `_tf1_namespace.tensorflow` and so on.

A compiled script imports `inception_slim.legacy._tf1_namespace.X` for each redirected package X;
`import_hook` finds those modules, none of which is a file. Imported modules become attributes of
this one, so none of the redirected names may be a global here.
"""

from __future__ import annotations

import builtins
from importlib import import_module as _import_module
import sys
import types

__path__: list[str] = []  # makes this module a package

PREFIX = __name__ + '.'
REDIRECTED = frozenset({
    'tensorflow', 'numpy', 'scipy', 'PIL', 'yaml', 'importlib', 'base64', 'collections',
    'fractions', 'inspect', 'itertools', 'math', 'os', 'string', 'time', 'types', 'urllib', 'xml'})

_python_import = builtins.__import__


def is_redirected(name: str) -> bool:
    """Whether an absolute dotted name belongs to a redirected package."""
    return name.partition('.')[0] in REDIRECTED


def import_module(name: str, package: str | None = None) -> types.ModuleType:
    """`importlib.import_module` for scripts."""
    return _import_module(PREFIX + name if is_redirected(name) else name, package)


def script_import(name, globals=None, locals=None, fromlist=(), level=0):
    """`builtins.__import__` for scripts."""
    if level or not is_redirected(name):
        return _python_import(name, globals, locals, fromlist, level)
    module = _python_import(PREFIX + name, globals, locals, fromlist, 0)
    return module if fromlist else sys.modules[PREFIX + name.partition('.')[0]]
