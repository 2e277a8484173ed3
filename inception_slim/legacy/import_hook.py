"""Whose imports give TensorFlow 1's world, and how.

A script and the modules that it brings along are compiled here: where they say
`import tensorflow`, they import `inception_slim.legacy._tf1_namespace.tensorflow`, and so on for each name
that has a face. Nothing of Python's is replaced for that, so that other libraries are not touched,
and no frame of ours stands in a traceback. `Hook` does the same for code that Python has compiled
already, such as the cell of a notebook, by looking at who imports.
"""

from __future__ import annotations

import ast
import builtins
import functools
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
import importlib.util
import os
import sys
import sysconfig
import types
from typing import Any

from inception_slim.legacy import _tf1_namespace, library_shims, python2, tf1_modules

REDIRECTED = tf1_modules.ROOTS | library_shims.ROOTS
_PREFIX = _tf1_namespace.__name__ + '.'
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SITES = ('site-packages', 'dist-packages')
_STANDARD = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep
                   for name in ('stdlib', 'platstdlib')})
# Packages that are to be run, though they are installed: `run -m MODULE`.
own_packages: set[str] = set()


@functools.cache
def _is_installed_folder(folder: str) -> bool:
    folder = os.path.realpath(folder)
    inside = folder + os.sep
    if any(inside.startswith(own + os.sep) for own in own_packages):
        return False
    return (any(part in _SITES for part in folder.split(os.sep))
            or inside.startswith((*_STANDARD, _OURS + os.sep)))


def is_installed(path: str) -> bool:
    """Whether a source file is the standard library's, an installed library's, or ours."""
    return path.startswith('<') or _is_installed_folder(os.path.dirname(os.path.abspath(path)))


def add_own_package(folder: str) -> None:
    """Has an installed package count as a script's own."""
    own_packages.add(os.path.realpath(folder))
    _is_installed_folder.cache_clear()


def _as_importlib(function: Any) -> Any:
    # Python leaves the frames of its own import system out of a traceback, by their file's name.
    function.__code__ = function.__code__.replace(co_filename='<frozen importlib._bootstrap>')
    return function


class _Rewriter(ast.NodeTransformer):
    """Imports go to the faces, and what left Python 3 goes to `python2`; lines stay as they are."""

    def __init__(self, bound: set[str]):
        self._bound = bound
        self.needed: set[str] = set()

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for alias in node.names:
            top = alias.name.partition('.')[0]
            if top not in REDIRECTED:
                names = [alias]
            elif alias.asname or alias.name == top:
                names = [ast.alias(_PREFIX + alias.name, alias.asname or top)]
            else:  # binds the package, after its module was imported
                names = [ast.alias(_PREFIX + alias.name, top), ast.alias(_PREFIX + top, top)]
            statements += [ast.copy_location(ast.Import([name]), node) for name in names]
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module and not node.level and node.module.partition('.')[0] in REDIRECTED:
            node.module = _PREFIX + node.module
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if (isinstance(node.ctx, ast.Load) and node.id in python2.NAMES
                and node.id not in self._bound):
            self.needed.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and node.attr in python2.METHODS:
            self.needed.add('__legacy_method__')
            call = ast.Call(ast.Name('__legacy_method__', ast.Load()),
                            [node.value, ast.Constant(node.attr)], [])
            return ast.copy_location(call, node)
        return node


def _bound(tree: ast.Module) -> set[str]:
    """The names that a file binds itself, anywhere."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition('.')[0])
    return found


def rewrite(tree: ast.Module) -> ast.Module:
    """The same code, in TensorFlow 1's world; `tree` itself is changed."""
    bound = _bound(tree)
    if '*' in bound:  # which may bind anything, such as six.moves does
        bound |= python2.NAMES.keys()
    rewriter = _Rewriter(bound)
    tree = rewriter.visit(tree)
    if rewriter.needed:
        after = 0
        for number, statement in enumerate(tree.body):
            if (isinstance(statement, ast.ImportFrom) and statement.module == '__future__'
                    or not number and isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)):
                after = number + 1
        tree.body.insert(after, ast.ImportFrom(
            python2.__name__, [ast.alias(python2.NAMES.get(name, name), name)
                               for name in sorted(rewriter.needed)], 0))
    return ast.fix_missing_locations(tree)


def compile_script(source: bytes, path: str) -> types.CodeType:
    """The code of a script's file, in TensorFlow 1's world.

    Raises:
      SyntaxError: as Python has it.
      python2.Python2Error: the file is not Python 3, and what translates Python 2 is missing.
    """
    return compile(rewrite(python2.parse(source, path)), path, 'exec', dont_inherit=True)


class ScriptLoader(SourceFileLoader):
    """Loads a module that a script brings along; keeps no bytecode, which would be ours."""

    @_as_importlib
    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        return compile_script(self.get_data(path), path)


class _PreloadedLoader:
    """Puts a module that exists under another name."""

    def __init__(self, module: types.ModuleType):
        self._module = module

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    @_as_importlib
    def exec_module(self, module: types.ModuleType) -> None:
        sys.modules[module.__name__] = self._module


class _Finder:
    """Stands before Python's own search along `sys.path`."""

    @staticmethod
    @_as_importlib
    def find_spec(name, path=None, target=None):
        if name.startswith(_PREFIX):
            dotted = name[len(_PREFIX):]
            module = (
                tf1_modules if dotted.partition('.')[0] in tf1_modules.ROOTS else library_shims
            ).resolve_module(dotted)
            if module is None:
                raise ModuleNotFoundError(f'No module named {dotted!r}', name=dotted)
            return ModuleSpec(name, _PreloadedLoader(module), is_package=True)
        spec = PathFinder.find_spec(name, path, target)
        if (spec is not None and type(spec.loader) is SourceFileLoader
                and not is_installed(spec.loader.path)):
            spec.loader = ScriptLoader(spec.loader.name, spec.loader.path)
        return spec


class _LastFinder:
    """Serves the packages of the model library, and modules of Python 2, where none was found."""

    @staticmethod
    @_as_importlib
    def find_spec(name, path=None, target=None):
        module = tf1_modules.research_slim_module(name) or python2.module(name)
        return ModuleSpec(name, _PreloadedLoader(module), is_package=True) if module else None


def install() -> None:
    """From here on, a script's modules are loaded in TensorFlow 1's world."""
    places = [number for number, each in enumerate(sys.meta_path) if each is PathFinder]
    sys.meta_path.insert(places[0] if places else 0, _Finder)
    sys.meta_path.append(_LastFinder)


def uninstall() -> None:
    """Undoes `install`, and forgets the modules that were loaded in TensorFlow 1's world."""
    for finder in (_Finder, _LastFinder):
        while finder in sys.meta_path:
            sys.meta_path.remove(finder)
    for name, module in list(sys.modules.items()):
        loader = getattr(getattr(module, '__spec__', None), 'loader', None)
        if (name.startswith(_PREFIX) or isinstance(loader, (ScriptLoader, _PreloadedLoader))
                or name in tf1_modules.served_library or name in python2.served):
            sys.modules.pop(name)
            parent, _, child = name.rpartition('.')
            if parent in sys.modules and vars(sys.modules[parent]).get(child) is module:
                delattr(sys.modules[parent], child)
    for root in REDIRECTED:
        vars(_tf1_namespace).pop(root, None)
    tf1_modules.clear_cache()
    library_shims.forget()
    tf1_modules.served_library.clear()
    python2.served.clear()


def import_module(name: str, package: str | None = None) -> types.ModuleType:
    """`importlib.import_module`, as a script has it."""
    if not name.startswith('.') and name.partition('.')[0] in REDIRECTED:
        name = _PREFIX + name
    return importlib.import_module(name, package)


def script_import(name, globals=None, locals=None, fromlist=(), level=0):
    """`__import__`, as a script has it."""
    top = name.partition('.')[0]
    if level or top not in REDIRECTED:
        return _python_import(name, globals, locals, fromlist, level)
    found = _python_import(_PREFIX + name, globals, locals, fromlist, 0)
    return found if fromlist else sys.modules[_PREFIX + top]


_python_import = builtins.__import__


class ImportHook:
    """`builtins.__import__`, which gives a script's code the faces and everybody else the real."""

    def __init__(self):
        self.before = builtins.__import__

    def __call__(self, name, globals=None, locals=None, fromlist=(), level=0):
        if (not level and globals is not None and name.partition('.')[0] in REDIRECTED
                and self._is_a_scripts(globals)):
            return script_import(name, globals, locals, fromlist)
        return self.before(name, globals, locals, fromlist, level)

    @staticmethod
    def _is_a_scripts(globals: dict) -> bool:
        path = globals.get('__file__')
        if path is None:  # a cell of a notebook, or what was typed
            return globals.get('__name__') == '__main__'
        return not is_installed(path)
