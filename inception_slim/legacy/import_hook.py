"""Import hook that gives scripts, and only scripts, the modules of TensorFlow 1.

`compile_script` rewrites the imports of a script and of its own modules: `import tensorflow`
becomes `import inception_slim.legacy._tf1_namespace.tensorflow`, and so on for each redirected
package. `sys.modules` is not patched, so other libraries are not affected, and no frame of this
package appears in a script's tracebacks. `ImportHook` does the same for code that Python has
already compiled, such as notebook cells, by looking at the importing module.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
import os
import re
import sys
import sysconfig
import types

from inception_slim.legacy import (
    _tf1_namespace,
    estimator,
    library_shims,
    notebook,
    research_slim,
    tf1_modules,
)
from inception_slim.legacy._tf1_namespace import PREFIX, REDIRECTED, is_redirected
from inception_slim.legacy.python2 import runtime, translation
from inception_slim.legacy.python2.evidence import bound_names

_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SITE_DIRS = ('site-packages', 'dist-packages')
_STDLIB_DIRS = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep
                      for name in ('stdlib', 'platstdlib')})
# Installed packages that count as the script's own: `run -m MODULE`.
_own_packages: set[str] = set()
# Modules in `sys.modules` that the fallback finder provided.
_fallback_modules: set[str] = set()


@functools.cache
def _is_installed_dir(folder: str) -> bool:
    folder = os.path.realpath(folder)
    inside = folder + os.sep
    if any(inside.startswith(package + os.sep) for package in _own_packages):
        return False
    return (any(part in _SITE_DIRS for part in folder.split(os.sep))
            or inside.startswith((*_STDLIB_DIRS, _PACKAGE_DIR + os.sep)))


def is_installed(path: str) -> bool:
    """Whether a source file belongs to the standard library, an installed package or this one."""
    return path.startswith('<') or _is_installed_dir(os.path.dirname(os.path.abspath(path)))


def add_own_package(folder: str) -> None:
    """Treat an installed package as part of the script."""
    _own_packages.add(os.path.realpath(folder))
    _is_installed_dir.cache_clear()


def resolve_module(name: str) -> types.ModuleType | None:
    """Return the module that scripts get for a dotted name in a redirected package.

    Returns:
      The module, or None if there is no module of that name.

    Raises:
      ImportError: the module existed in TensorFlow 1 but has no replacement.
    """
    source = tf1_modules if name.partition('.')[0] == 'tensorflow' else library_shims
    return source.resolve_module(name)


class _Rewriter(ast.NodeTransformer):
    """Redirects imports and restores Python 2 names; line numbers do not change."""

    def __init__(self, bound_names: set[str]):
        self._bound_names = bound_names
        self.restored_names: set[str] = set()

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for alias in node.names:
            top = alias.name.partition('.')[0]
            if top not in REDIRECTED:
                names = [alias]
            elif alias.asname or alias.name == top:
                names = [ast.alias(PREFIX + alias.name, alias.asname or top)]
            else:  # `import a.b` imports a.b and binds a
                names = [ast.alias(PREFIX + alias.name, top), ast.alias(PREFIX + top, top)]
            statements += [ast.copy_location(ast.Import([name]), node) for name in names]
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module and not node.level and is_redirected(node.module):
            node.module = PREFIX + node.module
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if (isinstance(node.ctx, ast.Load) and node.id in runtime.NAMES
                and node.id not in self._bound_names):
            self.restored_names.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and node.attr in runtime.METHODS:
            self.restored_names.add('__legacy_method__')
            call = ast.Call(ast.Name('__legacy_method__', ast.Load()),
                            [node.value, ast.Constant(node.attr)], [])
            return ast.copy_location(call, node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Let `int` and `float` convert arrays of one element."""
        self.generic_visit(node)
        if (isinstance(node.func, ast.Name) and node.func.id in ('int', 'float')
                and node.func.id not in self._bound_names and not node.keywords
                and len(node.args) == 1
                and not isinstance(node.args[0], (ast.Constant, ast.Starred))):
            self.restored_names.add('__legacy_number__')
            node.args.insert(0, node.func)
            node.func = ast.copy_location(ast.Name('__legacy_number__', ast.Load()), node.func)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Let `'%d' % array` format arrays of one element."""
        self.generic_visit(node)
        if (isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant)
                and isinstance(node.left.value, str) and re.search('%[^%sr]', node.left.value)):
            self.restored_names.add('__legacy_format__')
            call = ast.Call(ast.Name('__legacy_format__', ast.Load()), [node.left, node.right], [])
            return ast.copy_location(call, node)
        return node


def rewrite(tree: ast.Module) -> ast.Module:
    """Redirect the imports of a syntax tree and restore Python 2 names, in place."""
    bound = bound_names(tree)
    if '*' in bound:  # a star import, as from six.moves, may bind any of them
        bound |= runtime.NAMES.keys()
    rewriter = _Rewriter(bound)
    tree = rewriter.visit(tree)
    if rewriter.restored_names:
        translation.insert_import(tree, {name: runtime.NAMES.get(name, name)
                                     for name in rewriter.restored_names})
    return ast.fix_missing_locations(tree)


def compile_script(source: bytes, path: str, in_package: bool = False) -> types.CodeType:
    """Compile a script's file with its imports redirected.

    Args:
      source: the content of the file.
      path: the file.
      in_package: whether it is a module of a package.

    Raises:
      SyntaxError: the file is neither Python 3 nor Python 2.
      translation.Python2Error: the file is not Python 3, and fissix is not installed.
    """
    tree = rewrite(translation.parse(source, path, in_package))
    return compile(tree, path, 'exec', dont_inherit=True)


def compile_notebook(cells: notebook.Notebook) -> list[types.CodeType]:
    """Compile the cells of a notebook; see `compile_script`."""
    try:
        tree = rewrite(translation.parse(cells.source.encode(), cells.path))
    except SyntaxError as error:
        if error.lineno is not None:
            number, error.lineno = cells.location(error.lineno)
            error.filename = f'{cells.path}, cell {number}'
        raise
    return [compile(cell, name, 'exec', dont_inherit=True) for name, cell in cells.split(tree)]


class ScriptLoader(SourceFileLoader):
    """Loads a script's own module; writes no bytecode, which would be of the rewritten code."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        in_package = self.is_package(fullname) or '.' in fullname
        return compile_script(self.get_data(path), path, in_package)


class _PreloadedLoader:
    """Provides an existing module under another name."""

    def __init__(self, module: types.ModuleType):
        self._module = module

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        sys.modules[module.__name__] = self._module


class _Finder:
    """Runs before Python's own search of `sys.path`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith(PREFIX):
            redirected = name[len(PREFIX):]
            module = resolve_module(redirected)
            if module is None:
                raise ModuleNotFoundError(f'No module named {redirected!r}', name=redirected)
            return ModuleSpec(name, _PreloadedLoader(module), is_package=True)
        spec = PathFinder.find_spec(name, path, target)
        if (spec is not None and type(spec.loader) is SourceFileLoader
                and not is_installed(spec.loader.path)):
            spec.loader = ScriptLoader(spec.loader.name, spec.loader.path)
        return spec


class _FallbackFinder:
    """Provides the packages of research/slim and modules of Python 2 that were not found."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        module = research_slim.find_module(name)
        if module is None and name in runtime.MODULES:
            module = importlib.import_module(runtime.MODULES[name])
        if module is None:
            return None
        _fallback_modules.add(name)
        return ModuleSpec(name, _PreloadedLoader(module), is_package=True)


def install() -> None:
    """Install the finders; modules imported by scripts from now on are rewritten."""
    positions = [position for position, finder in enumerate(sys.meta_path) if finder is PathFinder]
    sys.meta_path.insert(positions[0] if positions else 0, _Finder)
    sys.meta_path.append(_FallbackFinder)
    estimator.install(tf1_modules.resolve_module)


def uninstall() -> None:
    """Undo `install` and remove the modules that it loaded."""
    for finder in (_Finder, _FallbackFinder):
        while finder in sys.meta_path:
            sys.meta_path.remove(finder)
    estimator.uninstall()
    for name, module in list(sys.modules.items()):
        loader = getattr(getattr(module, '__spec__', None), 'loader', None)
        if (name.startswith(PREFIX) or isinstance(loader, (ScriptLoader, _PreloadedLoader))
                or name in _fallback_modules):
            sys.modules.pop(name)
            parent, _, child = name.rpartition('.')
            if parent in sys.modules and vars(sys.modules[parent]).get(child) is module:
                delattr(sys.modules[parent], child)
    for package in REDIRECTED:
        vars(_tf1_namespace).pop(package, None)
    tf1_modules.clear_cache()
    library_shims.clear_cache()
    _fallback_modules.clear()


class ImportHook:
    """Replacement of `builtins.__import__` that redirects only the imports of scripts."""

    def __init__(self):
        self.original = builtins.__import__

    def __call__(self, name, globals=None, locals=None, fromlist=(), level=0):
        if (not level and globals is not None and is_redirected(name)
                and self._is_script(globals)):
            return _tf1_namespace.script_import(name, globals, locals, fromlist)
        return self.original(name, globals, locals, fromlist, level)

    @staticmethod
    def _is_script(globals: dict) -> bool:
        path = globals.get('__file__')
        if path is None:  # a notebook cell or an interactive session
            return globals.get('__name__') == '__main__'
        return not is_installed(path)
