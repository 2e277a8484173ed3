"""Python 2 for scripts: removed names and methods, and translation of Python 2 source.

Removed names and methods are available in every script. A file with Python 2 syntax is translated
in memory by fissix, the maintained fork of lib2to3; line numbers do not change.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
import copy
import difflib
import functools
import importlib
import io
import operator
import re
import sys
from typing import Any
import weakref

from inception_slim.errors import InceptionSlimError, printable
from inception_slim.legacy._tf1_namespace import script_import  # noqa: F401  scripts import it

xrange = range
unicode = basestring = str
long = int
unichr = chr
raw_input = input
reduce = functools.reduce
reload = importlib.reload

# Name in a script -> name in this module.
NAMES = {**{name: name for name in (
    'xrange', 'unicode', 'basestring', 'long', 'unichr', 'raw_input', 'reduce', 'reload')},
    '__import__': 'script_import'}
METHODS = {'iteritems', 'itervalues', 'iterkeys', 'has_key', 'tostring'}
MODULES = {'cPickle': 'pickle', 'StringIO': 'io', 'cStringIO': 'io', 'Queue': 'queue',
           'ConfigParser': 'configparser', 'urllib2': 'urllib.request',
           'urlparse': 'urllib.parse', 'commands': 'subprocess', '__builtin__': 'builtins'}
# Fixers left out: these imports work unchanged, and the others only concern style.
_SKIPPED_FIXERS = ('imports', 'imports2', 'urllib', 'idioms', 'set_literal', 'buffer', 'ws_comma')


class Python2Error(InceptionSlimError, SyntaxError):
    """A file is not Python 3, and fissix, which translates Python 2, is not installed."""

    def __str__(self) -> str:
        return self.args[0]


def insert_import(tree: ast.Module, names: Mapping[str, str]) -> None:
    """Insert `from THIS MODULE import NAME as ALIAS` after the docstring and `__future__` imports.

    Args:
      tree: the syntax tree of a script, changed in place.
      names: names in this module by their aliases in the script.
    """
    position = 0
    for number, statement in enumerate(tree.body):
        if (isinstance(statement, ast.ImportFrom) and statement.module == '__future__'
                or number == 0 and isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)):
            position = number + 1
    tree.body.insert(position, ast.ImportFrom(
        __name__, [ast.alias(names[alias], alias) for alias in sorted(names)], 0))


def __legacy_method__(value: object, name: str):
    """Return `value.name`, or its replacement if Python 3 or NumPy 2 removed that method."""
    try:
        return getattr(value, name)
    except AttributeError:
        if name == 'tostring' and hasattr(value, 'tobytes'):  # an array
            return value.tobytes
        if isinstance(value, Mapping):
            if name == 'has_key':
                return value.__contains__
            if name.startswith('iter'):
                return lambda: iter(getattr(value, name[len('iter'):])())
        raise


def parse(source: bytes, path: str) -> ast.Module:
    """Parse a Python 3 file, or translate a Python 2 file and parse the translation.

    Raises:
      SyntaxError: the file is neither Python 3 nor Python 2.
      Python2Error: the file is not Python 3, and fissix is not installed.
    """
    try:
        return ast.parse(source, path)
    except SyntaxError as error:
        if error.msg.startswith('too many'):  # nested too deeply, which the translator is slow at
            raise
        syntax_error = error
    translated = _translate(source, path, syntax_error)
    if translated is None:
        raise syntax_error
    return translated


def _translate(source: bytes, path: str, error: SyntaxError) -> ast.Module | None:
    """The syntax tree of a translated Python 2 file, or None if it is not Python 2."""
    try:
        from fissix import refactor
        from fissix.pgen2 import tokenize
    except ImportError:
        line = (error.text or '').strip()
        raise Python2Error(
            f'{path}, line {error.lineno}, is not Python 3: {line!r} ({error.msg}). To run Python '
            "2 code, install the translator: pip install 'inception_slim[legacy]'",
        ) from None
    encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    try:
        text = source.decode(encoding)
    except UnicodeDecodeError:
        return None
    text = _expand_tabs(text.replace('\r\n', '\n').replace('\r', '\n'))
    text += '' if text.endswith('\n') else '\n'
    fixers = [name for name in refactor.get_fixers_from_package('fissix.fixes')
              if name.rpartition('.fix_')[2] not in _SKIPPED_FIXERS]
    tool = refactor.RefactoringTool(fixers)
    try:
        new = str(tool.refactor_string(text, path))
        tree = ast.parse(new, path)
    except Exception:  # not Python 2 either; fissix raises errors of many types
        return None
    print(f'inception-slim: {printable(path)} is Python 2; translated for this run',
          file=sys.stderr)
    if len(new.splitlines()) != len(text.splitlines()):
        _restore_line_numbers(tree, new, text)
    features = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                and node.module == '__future__' for alias in node.names}
    features |= set(re.findall(r'\b(division|print_function)\b', ' '.join(
        re.findall(r'^from\s+__future__\s+import\s+(.*)$', text, re.MULTILINE))))
    return ast.fix_missing_locations(_Python2Semantics(features).visit(tree))


def _expand_tabs(text: str) -> str:
    """Indentation by tabs as spaces, eight columns apart as in Python 2."""
    def expand(line: str) -> str:
        body = line.lstrip(' \t')
        return line[:len(line) - len(body)].expandtabs(8) + body
    return '\n'.join(expand(line) for line in text.split('\n'))


def _restore_line_numbers(tree: ast.Module, new: str, old: str) -> None:
    """Give each node the line number that it had before the translation."""
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


class _Python2Semantics(ast.NodeTransformer):
    """Integer division by `/`, and the output format of the `print` statement."""

    def __init__(self, features: set[str]):
        self._features = features  # names imported from __future__
        self._used: set[str] = set()

    def _call(self, name: str, arguments: list[ast.expr], node: ast.AST) -> ast.Call:
        self._used.add(name)
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
            self._used.add('__legacy_print__')
            node.func.id = '__legacy_print__'
        return node

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        if self._used:
            insert_import(node, {name: name for name in self._used})
        return node


# Files whose last `print` ended with a comma, so that the next one starts with a space.
_space_first: weakref.WeakSet = weakref.WeakSet()


def __legacy_print__(*values: object, sep: str = ' ', end: str = '\n', file=None) -> None:
    """Print as the statement of Python 2: soft spaces after a comma, floats with 12 digits."""
    file = file or sys.stdout

    def format_value(value: object) -> str:
        if type(value) is not float:
            return str(value)
        text = f'{value:.12g}'
        return text if set(text) & set('.en') else text + '.0'

    line = sep.join(map(format_value, values))
    if file in _space_first and line:
        line = ' ' + line
    _space_first.discard(file)
    file.write(line + ('' if end == ' ' else end))
    ends_with_space = isinstance(values[-1] if values else '', str) and line[-1:].isspace()
    if end == ' ' and not (ends_with_space and line[-1] != ' '):
        _space_first.add(file)


def __legacy_divide__(left: Any, right: Any, in_place: bool = False) -> Any:
    """`left / right` of Python 2, or `left /= right`: integers are divided rounding down."""
    import numpy as np

    def is_integer(value: object) -> bool:
        return isinstance(value, (int, np.integer)) or (
            isinstance(value, np.ndarray) and value.dtype.kind in 'iu')

    integers = is_integer(left) and is_integer(right)
    if in_place and isinstance(left, np.ndarray):
        return operator.ifloordiv(left, right) if integers else operator.itruediv(left, right)
    if integers:
        return left // right
    divide = getattr(type(left), '__div__', None)  # tensors define Python 2's operator
    if divide is not None:
        return divide(left, right)
    divide = getattr(type(right), '__rdiv__', None)
    return divide(right, left) if divide is not None else left / right
