"""What Python 3 took away from the scripts of Python 2, given back to them alone.

Names and methods that are gone cost nothing to have again. A file in Python 2's syntax is
translated in memory by fissix, the kept fork of lib2to3; lines keep their numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
import copy
import difflib
import functools
import importlib
import operator
import re
import sys
import types
from typing import Any
import weakref

from inception_slim.errors import InceptionSlimError

xrange = range
unicode = basestring = str
long = int
unichr = chr
raw_input = input
reduce = functools.reduce
reload = importlib.reload

# As a file names it -> as this module does.
NAMES = {**{name: name for name in (
    'xrange', 'unicode', 'basestring', 'long', 'unichr', 'raw_input', 'reduce', 'reload')},
    '__import__': 'script_import'}
METHODS = {'iteritems', 'itervalues', 'iterkeys', 'has_key', 'tostring'}
MODULES = {'cPickle': 'pickle', 'StringIO': 'io', 'cStringIO': 'io', 'Queue': 'queue',
           'ConfigParser': 'configparser', 'urllib2': 'urllib.request',
           'urlparse': 'urllib.parse', 'commands': 'subprocess', '__builtin__': 'builtins'}
served: set[str] = set()


class Python2Error(InceptionSlimError, SyntaxError):
    """A file is not Python 3, and what translates Python 2 is not installed."""

    def __str__(self) -> str:
        return self.args[0]


def __getattr__(name: str):
    if name == 'script_import':
        from inception_slim.legacy import import_hook
        return import_hook.script_import
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def module(name: str) -> types.ModuleType | None:
    """The module of today for one of Python 2, or None."""
    if name not in MODULES:
        return None
    served.add(name)
    return importlib.import_module(MODULES[name])


def __legacy_method__(value: object, name: str):
    """`value.name`, or what became of it."""
    try:
        return getattr(value, name)
    except AttributeError:
        if name == 'tostring' and hasattr(value, 'tobytes'):  # an array's
            return value.tobytes
        if isinstance(value, Mapping):
            if name == 'has_key':
                return value.__contains__
            if name.startswith('iter'):
                return lambda: iter(getattr(value, name[len('iter'):])())
        raise


def parse(source: bytes, path: str) -> ast.Module:
    """The syntax tree of a file in Python 3, or of its translation from Python 2.

    Raises:
      SyntaxError: as Python has it, for a file that is neither.
      Python2Error: the file is not Python 3, and fissix is not installed.
    """
    try:
        return ast.parse(source, path)
    except SyntaxError as error:
        found = error
    translated = _translated(source, path, found)
    if translated is None:
        raise found
    return translated


def _translated(source: bytes, path: str, error: SyntaxError) -> ast.Module | None:
    try:
        from fissix import refactor
        from fissix.pgen2 import tokenize
    except ImportError:
        line = (error.text or '').strip()
        raise Python2Error(
            f'{path}, line {error.lineno}, is not Python 3: {line!r} ({error.msg}); if it is '
            "Python 2, install what translates it: pip install 'inception_slim[legacy]'",
        ) from None
    import io
    encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    try:
        text = source.decode(encoding)
    except UnicodeDecodeError:
        return None
    text = _with_spaces(text.replace('\r\n', '\n').replace('\r', '\n'))
    text += '' if text.endswith('\n') else '\n'
    fixers = [name for name in refactor.get_fixers_from_package('fissix.fixes')
              # `import cPickle` and the like are served as they are; idioms are taste.
              if name.rpartition('.fix_')[2] not in ('imports', 'imports2', 'urllib', 'idioms',
                                                     'set_literal', 'buffer', 'ws_comma')]
    tool = refactor.RefactoringTool(fixers)
    try:
        new = str(tool.refactor_string(text, path))
        tree = ast.parse(new, path)
    except Exception:  # neither one Python nor the other; fissix has errors of many kinds
        return None
    print(f'inception-slim: {path} is Python 2, translated for this run', file=sys.stderr)
    if len(new.splitlines()) != len(text.splitlines()):
        _number_as(tree, new, text)
    features = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                and node.module == '__future__' for alias in node.names}
    features |= set(re.findall(r'\b(division|print_function)\b', ' '.join(
        re.findall(r'^from\s+__future__\s+import\s+(.*)$', text, re.MULTILINE))))
    tree = ast.fix_missing_locations(_AsThen(features).visit(tree))
    return tree


def _with_spaces(text: str) -> str:
    """Tabs that Python 2 let stand beside spaces, as the spaces that it took them for."""
    def widened(line: str) -> str:
        body = line.lstrip(' \t')
        return line[:len(line) - len(body)].expandtabs(8) + body
    return '\n'.join(widened(line) for line in text.split('\n'))


def _number_as(tree: ast.Module, new: str, old: str) -> None:
    """Gives each node the line that it had before the translation."""
    lines, last = {}, 1
    matcher = difflib.SequenceMatcher(None, new.splitlines(), old.splitlines(), autojunk=False)
    for _, start, end, old_start, old_end in matcher.get_opcodes():
        for offset in range(end - start):
            last = min(old_start + offset, max(old_end - 1, old_start)) + 1
            lines[start + offset + 1] = last
    for node in ast.walk(tree):
        for name in ('lineno', 'end_lineno'):
            if getattr(node, name, None) is not None:
                setattr(node, name, lines.get(getattr(node, name), last))


class _AsThen(ast.NodeTransformer):
    """`a / b` of whole numbers rounds down, and `print` writes what it wrote."""

    def __init__(self, features: set[str]):
        self._features = features
        self._needed: set[str] = set()

    def _call(self, name: str, arguments: list[ast.expr], node: ast.AST) -> ast.Call:
        self._needed.add(name)
        return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), arguments, []), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or 'division' in self._features:
            return node
        return self._call('__legacy_divide__', [node.left, node.right], node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or 'division' in self._features:
            return node
        old = copy.deepcopy(node.target)
        old.ctx = ast.Load()
        call = self._call('__legacy_divide__', [old, node.value, ast.Constant(True)], node)
        return ast.copy_location(ast.Assign([node.target], call), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if (isinstance(node.func, ast.Name) and node.func.id == 'print'
                and 'print_function' not in self._features):
            self._needed.add('__legacy_print__')
            node.func.id = '__legacy_print__'
        return node

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        if self._needed:
            at = 1 if ast.get_docstring(node) is not None else 0
            while at < len(node.body) and isinstance(first := node.body[at], ast.ImportFrom) and (
                    first.module == '__future__'):
                at += 1
            node.body.insert(at, ast.ImportFrom(
                __name__, [ast.alias(name) for name in sorted(self._needed)], 0))
        return node


# The files in which the last `print` ended with a comma, so that the next begins with a space.
_space_first: weakref.WeakSet = weakref.WeakSet()


def __legacy_print__(*values: object, sep: str = ' ', end: str = '\n', file=None) -> None:
    """`print` as the statement of Python 2 was: its last comma, and twelve digits of a float."""
    file = file or sys.stdout

    def text(value: object) -> str:
        if type(value) is not float:
            return str(value)
        shown = f'{value:.12g}'
        return shown if set(shown) & set('.en') else shown + '.0'

    line = sep.join(map(text, values))
    if file in _space_first and line:
        line = ' ' + line
    _space_first.discard(file)
    file.write(line + ('' if end == ' ' else end))
    ended = isinstance(values[-1] if values else '', str) and line[-1:].isspace()
    if end == ' ' and not (ended and line[-1] != ' '):
        _space_first.add(file)


def __legacy_divide__(left: Any, right: Any, in_place: bool = False) -> Any:
    """`left / right` as Python 2 had it, or `left /= right`."""
    import numpy as np

    def is_whole(value: object) -> bool:
        return isinstance(value, (int, np.integer)) or (
            isinstance(value, np.ndarray) and value.dtype.kind in 'iu')

    whole = is_whole(left) and is_whole(right)
    if in_place and isinstance(left, np.ndarray):
        return operator.ifloordiv(left, right) if whole else operator.itruediv(left, right)
    if whole:
        return left // right
    divide = getattr(type(left), '__div__', None)  # a tensor's, of Python 2
    if divide is not None:
        return divide(left, right)
    divide = getattr(type(right), '__rdiv__', None)
    return divide(right, left) if divide is not None else left / right
