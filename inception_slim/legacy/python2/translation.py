"""Translation of Python 2 source, in memory; line numbers do not change.

fissix, the maintained fork of lib2to3, translates what it knows: syntax, and names that have been
renamed. What differs when it runs (`/`, `print`, `open`, the draws of `random`) becomes a call of a
function or a module of this package.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
import copy
import difflib
from importlib.machinery import PathFinder
import io
import os
import re
import sys

from inception_slim.errors import InceptionSlimError, printable
from inception_slim.legacy.python2 import evidence, runtime

# Fixers left out: these imports work unchanged or are changed here, and the others only concern
# style.
_SKIPPED_FIXERS = ('import', 'imports', 'imports2', 'urllib', 'idioms', 'set_literal', 'buffer',
                   'types', 'ws_comma')
_force_python2 = False


class Python2Error(InceptionSlimError, SyntaxError):
    """A file is not Python 3, and fissix, which translates Python 2, is not installed."""

    def __str__(self) -> str:
        return self.args[0]


def insert_import(tree: ast.Module, names: Mapping[str, str]) -> None:
    """Insert `from runtime import NAME as ALIAS` after the docstring and `__future__` imports.

    Args:
      tree: the syntax tree of a script, changed in place.
      names: names in `runtime` by their aliases in the script.
    """
    position = 0
    for number, statement in enumerate(tree.body):
        if (isinstance(statement, ast.ImportFrom) and statement.module == '__future__'
                or number == 0 and isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)):
            position = number + 1
    tree.body.insert(position, ast.ImportFrom(
        runtime.__name__, [ast.alias(names[alias], alias) for alias in sorted(names)], 0))


def force_python2() -> None:
    """Translate every file of the script, whether or not it looks like Python 2."""
    global _force_python2
    _force_python2 = True


def parse(source: bytes, path: str, in_package: bool = False) -> ast.Module:
    """Parse a Python 3 file, or translate a Python 2 file and parse the translation.

    Args:
      source: the content of the file.
      path: the file, for messages and to look for modules beside it.
      in_package: whether the file is a module of a package, so that Python 2 would import its
        siblings by their bare names.

    Raises:
      SyntaxError: the file is neither Python 3 nor Python 2.
      Python2Error: the file is not Python 3, and fissix is not installed.
    """
    siblings = _Siblings(path if in_package else None)
    try:
        tree = ast.parse(source, path)
    except SyntaxError as error:
        if error.msg.startswith('too many'):  # nested too deeply, which the translator is slow at
            raise
        if not _has_fissix():
            line = (error.text or '').strip()
            raise Python2Error(
                f'{path}, line {error.lineno}, is not Python 3: {line!r} ({error.msg}). To run '
                f'Python 2 code, {_INSTALL}') from None
        translated = _translate(source, path, siblings)
        if translated is None:
            raise
        print(f'inception-slim: {printable(path)} is Python 2; translated for this run',
              file=sys.stderr)
        return translated
    python2 = evidence.find_evidence(tree, siblings.are_missing_elsewhere)
    if python2 is None and not _force_python2:
        return tree
    reason = f'{python2.text}, line {python2.line}' if python2 else '--python2'
    if not _has_fissix():
        print(f'inception-slim: {printable(path)} looks like Python 2 ({printable(reason)}), but '
              f'runs as Python 3; to translate it, {_INSTALL}', file=sys.stderr)
        return tree
    translated = _translate(source, path, siblings)
    if translated is None:  # Python 3 with a name of Python 2, which is available anyway
        return tree
    print(f'inception-slim: {printable(path)} is Python 2 ({printable(reason)}); translated for '
          'this run', file=sys.stderr)
    return translated


_INSTALL = "install the translator: pip install 'inception_slim[legacy]'"


def _has_fissix() -> bool:
    try:
        import fissix  # noqa: F401
    except ImportError:
        return False
    return True


class _Siblings:
    """The modules of a file's package, which Python 2 imports by their bare names.

    Args:
      path: the file; None if it is not in a package.
    """

    def __init__(self, path: str | None):
        self._folder = path and os.path.dirname(os.path.abspath(path))

    def __contains__(self, name: str) -> bool:
        if self._folder is None:
            return False
        base = os.path.join(self._folder, name)
        return os.path.isfile(base + '.py') or os.path.isfile(os.path.join(base, '__init__.py'))

    def are_missing_elsewhere(self, name: str) -> bool:
        """Whether a module is a sibling and cannot be imported from anywhere else."""
        return (name in self and name not in sys.builtin_module_names
                and PathFinder.find_spec(name) is None)


def _translate(source: bytes, path: str, siblings: _Siblings) -> ast.Module | None:
    """The syntax tree of a translated Python 2 file, or None if it is not Python 2."""
    from fissix import refactor
    from fissix.pgen2 import tokenize
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
    if len(new.splitlines()) != len(text.splitlines()):
        _restore_line_numbers(tree, new, text)
    features = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                and node.module == '__future__' for alias in node.names}
    features |= set(re.findall(r'\b(division|print_function|absolute_import)\b', ' '.join(
        re.findall(r'^from\s+__future__\s+import\s+(.*)$', text, re.MULTILINE))))
    return ast.fix_missing_locations(
        _Python2Semantics(features, siblings, evidence.bound_names(tree)).visit(tree))


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
    """What differs when it runs: `/`, `print`, `open`, sorting, rounding and some modules.

    Args:
      features: the names that the file imports from `__future__`.
      siblings: the modules of its package.
      bound_names: the names that it binds, whose meaning stays.
    """

    def __init__(self, features: set[str], siblings: _Siblings, bound_names: set[str]):
        self._features = features
        self._siblings = siblings if 'absolute_import' not in features else _Siblings(None)
        self._bound_names = bound_names
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

    def visit_Name(self, node: ast.Name) -> ast.Name:
        name = runtime.TRANSLATED_NAMES.get(node.id)
        if name and isinstance(node.ctx, ast.Load) and node.id not in self._bound_names:
            self._used.add(name)
            node.id = name
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = node.func
        if (isinstance(function, ast.Name) and function.id == 'print'
                and 'print_function' not in self._features):
            self._used.add('__legacy_print__')
            function.id = '__legacy_print__'
        elif isinstance(function, ast.Attribute) and function.attr == 'sort' and (
                node.args or node.keywords):
            self._used.add('__legacy_sort__')
            node.args.insert(0, function.value)
            node.func = ast.copy_location(ast.Name('__legacy_sort__', ast.Load()), function)
        return node

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for alias in node.names:
            top, _, rest = alias.name.partition('.')
            if top in self._siblings:
                if not rest or not alias.asname:
                    statements.append(ast.ImportFrom(
                        None, [ast.alias(top, alias.asname if not rest else None)], 1))
                if rest:  # `import a.b` binds a, `import a.b as c` binds a.b
                    package, _, module = alias.name.rpartition('.')
                    statements.append(ast.ImportFrom(
                        package, [ast.alias(module, alias.asname or '__legacy_module__')], 1))
            elif alias.name in runtime.TRANSLATED_MODULES:
                statements.append(ast.Import([ast.alias(
                    runtime.TRANSLATED_MODULES[alias.name], alias.asname or alias.name)]))
            else:
                statements.append(ast.Import([alias]))
        return [ast.copy_location(statement, node) for statement in statements]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module and not node.level:
            if node.module.partition('.')[0] in self._siblings:
                node.level = 1
            else:
                node.module = runtime.TRANSLATED_MODULES.get(node.module, node.module)
        return node

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        if self._used:
            insert_import(node, {name: name for name in self._used})
        return node
