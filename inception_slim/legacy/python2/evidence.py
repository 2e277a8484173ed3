"""Recognizes Python 2 in files that Python 3 parses too.

What counts as evidence would fail in Python 3 whenever it runs: names, methods and modules that
only Python 2 has, and uses of a result whose type differs, such as `range(3).append(3)` or
`range(len(x) / 2)`. Code that chooses between the versions, as in `try: unicode` with
`except NameError`, is no evidence.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
import dataclasses

from inception_slim.legacy.python2 import runtime

# Names, modules and names of modules that Python 3 does not have.
_NAMES = (runtime.NAMES.keys() - {'__import__'}) | {'execfile', 'file', 'apply', 'coerce'}
_METHODS = frozenset({'iteritems', 'itervalues', 'iterkeys', 'viewitems', 'viewvalues', 'viewkeys',
                      'has_key'})
_MODULES = runtime.MODULES.keys() | {'tkFileDialog', 'md5', 'sets'}
_MODULE_NAMES = {
    'string': frozenset('letters lowercase uppercase maketrans join joinfields split splitfields '
                        'atoi atof atol upper lower strip replace zfill'.split()),
    'itertools': frozenset({'izip', 'imap', 'ifilter', 'izip_longest', 'ifilterfalse'}),
    'sys': frozenset({'maxint', 'setdefaultencoding', 'exc_clear', 'exc_type'}),
    'os': frozenset({'getcwdu'}),
    'urllib': frozenset({'urlretrieve', 'urlopen', 'urlencode', 'quote', 'unquote', 'quote_plus',
                         'unquote_plus', 'URLopener', 'FancyURLopener'}),
    'types': frozenset({'StringType', 'StringTypes', 'ListType', 'TupleType', 'DictType',
                        'IntType', 'LongType', 'FloatType', 'UnicodeType', 'NoneType'}),
}

# What an expression gives, as far as the evidence needs it.
_QUOTIENT = 'a quotient'
_RANGE = 'range'
_VIEWS = frozenset({'map', 'filter', 'zip', 'keys', 'values', 'items'})
_READING, _WRITING = 'a file opened for reading text', 'a file opened for writing text'
_BINARY = 'a binary file'
_TEXT = 'the text of a file'
_BYTES = 'bytes'
_LIST_METHODS = frozenset({'append', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'})
# Functions that need a sequence, of the module `random` or `numpy.random`.
_NEED_SEQUENCE = frozenset({'shuffle', 'choice', 'sample'})
_NEED_INTEGERS = frozenset({'range', 'xrange', 'zeros', 'ones', 'empty', 'full', 'reshape'})
# Functions whose first argument is an array or a list, and not any iterable.
_NEED_LIST = frozenset({
    'array', 'asarray', 'stack', 'vstack', 'hstack', 'concatenate', 'run', 'Saver', 'add_n',
    'constant', 'convert_to_tensor', 'clip_by_global_norm', 'string_input_producer'})
# Functions with such a second argument, and such arguments by keyword.
_NEED_LIST_SECOND = frozenset({'gradients', 'assign_from_checkpoint', 'assign_from_checkpoint_fn'})
_LIST_KEYWORDS = {'fetches': None, 'eval_op': None, 'final_op': None,
                  'var_list': ('Saver', 'minimize', 'compute_gradients')}
_OF_CSV = frozenset({'csv.reader', 'csv.writer', 'csv.DictReader', 'csv.DictWriter'})
# Functions that need bytes, and the modules in which they do; None for any.
_NEED_BYTES = {
    **dict.fromkeys(('decode_jpeg', 'decode_png', 'decode_image', 'frombuffer', 'unpack', 'md5',
                     'sha1', 'sha256', 'ParseFromString', 'FromString')),
    'fromstring': ('np', 'numpy'), 'loads': ('pickle', 'cPickle', 'marshal')}
_GIVE_BYTES = {**dict.fromkeys(('SerializeToString', 'tobytes', 'b64decode')),
               'pack': ('struct',), 'dumps': ('pickle', 'cPickle', 'marshal')}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A part of a file that only Python 2 runs.

    Attributes:
      text: what it is, for a message, such as 'xrange'.
      line: its line.
    """

    text: str
    line: int


def find_evidence(tree: ast.Module, has_sibling: Callable[[str], bool]) -> Evidence | None:
    """Find the first evidence of Python 2 in a file.

    Args:
      tree: the syntax tree of the file.
      has_sibling: whether a module of this name is in the file's package and nowhere on the path.

    Returns:
      The evidence, or None.
    """
    finder = _Finder(tree, has_sibling)
    return min(finder.find(), key=lambda evidence: evidence.line, default=None)


def bound_names(tree: ast.AST) -> set[str]:
    """The names that a file binds anywhere; '*' if it imports all names of a module."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition('.')[0])
    return names


def _last_name(node: ast.expr) -> str:
    """The last part of a dotted name: 'shuffle' of `np.random.shuffle`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ''


def _first_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ''


def _is_listed(functions: Mapping[str, tuple[str, ...] | None], function: ast.expr) -> bool:
    modules = functions.get(_last_name(function), ())
    return modules is None or _first_name(function) in modules


def _chooses_version(node: ast.expr) -> bool:
    """Whether a condition asks for the version of Python."""
    return any(word in ast.unparse(node) for word in ('version', 'PY2', 'PY3', 'py2', 'py3'))


def _handled(node: ast.Try) -> set[str]:
    """The names of the errors that a `try` statement handles; '' for all."""
    names = set()
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names |= {_last_name(kind) if kind else '' for kind in kinds}
    if len(node.body) > 2:  # a whole program in a `try` does not choose a version
        names -= {'', 'Exception'}
    return names


_GUARDS = frozenset({'', 'Exception', 'NameError', 'ImportError', 'ModuleNotFoundError',
                     'AttributeError', 'TypeError', 'UnicodeDecodeError'})
_Scope = dict[str, set[str]]  # name -> the kinds of values that it is given


class _Finder:
    """Looks through a file, scope by scope, for what only Python 2 runs."""

    def __init__(self, tree: ast.Module, has_sibling: Callable[[str], bool]):
        self._tree = tree
        self._has_sibling = has_sibling
        self._bound = bound_names(tree)
        self._imports = {
            alias.asname or alias.name: alias.name for node in ast.walk(tree)
            if isinstance(node, ast.Import) for alias in node.names}
        self._divides = not any(
            isinstance(node, ast.ImportFrom) and node.module == '__future__'
            and any(alias.name == 'division' for alias in node.names) for node in tree.body)

    def find(self) -> Iterator[Evidence]:
        yield from self._find_in(self._tree.body, [self._scope(self._tree.body, set())])

    # Walking: guarded code is left out, functions open a scope.

    def _find_in(self, body: list[ast.stmt], scopes: list[_Scope]) -> Iterator[Evidence]:
        for statement in body:
            yield from self._visit(statement, scopes)

    def _visit(self, node: ast.AST, scopes: list[_Scope]) -> Iterator[Evidence]:
        if isinstance(node, (ast.If, ast.IfExp)) and _chooses_version(node.test):
            return
        if isinstance(node, ast.Try) and _handled(node) & _GUARDS:
            yield from self._find_in(node.finalbody, scopes)
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = {argument.arg for argument in ast.walk(node.args)
                         if isinstance(argument, ast.arg)}
            scopes = [*scopes, self._scope(node.body, arguments)]
        yield from self._check(node, scopes)
        for child in ast.iter_child_nodes(node):
            yield from self._visit(child, scopes)

    # Kinds of values.

    def _scope(self, body: list[ast.stmt], arguments: set[str]) -> _Scope:
        """The kinds of values that the names of a scope are given; 'other' is any other kind."""
        scope: _Scope = {name: {'other'} for name in arguments}
        pending: list[ast.AST] = list(body)
        while pending:
            node = pending.pop(0)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                if not isinstance(node, ast.Lambda):
                    scope.setdefault(node.name, set()).add('other')
                continue
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(
                    node.targets[0], ast.Name):
                self._add(scope, node.targets[0].id, node.value)
                pending.append(node.value)
                continue
            if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                self._add(scope, node.optional_vars.id, node.context_expr)
                continue
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                scope.setdefault(node.id, set()).add('other')
            pending += ast.iter_child_nodes(node)
        return scope

    def _add(self, scope: _Scope, name: str, value: ast.expr) -> None:
        kind = self._kind(value, [scope])
        scope.setdefault(name, set()).add(kind or 'other')

    def _kind(self, node: ast.expr, scopes: list[_Scope]) -> str | None:
        if isinstance(node, ast.Name):
            kinds = next((scope[node.id] for scope in reversed(scopes) if node.id in scope), set())
            return next(iter(kinds)) if len(kinds) == 1 else None
        if isinstance(node, ast.BinOp):
            return _QUOTIENT if self._is_quotient(node) else None
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            return _BYTES
        if not isinstance(node, ast.Call):
            return None
        name = _last_name(node.func)
        if isinstance(node.func, ast.Attribute):
            if name in {'keys', 'values', 'items'} and not node.args:
                return name
            if _is_listed(_GIVE_BYTES, node.func):
                return _BYTES
            if name == 'read' and self._kind(node.func.value, scopes) == _READING:
                return _TEXT
            return None
        if name in self._bound:
            return None
        if name in {'range', 'map', 'filter', 'zip'}:
            return name
        if name in {'open', 'file'} and node.args and not node.keywords:
            mode = node.args[1] if len(node.args) > 1 else ast.Constant('r')
            if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
                if 'b' in mode.value:
                    return _BINARY
                return _READING if mode.value.startswith('r') else _WRITING
        return None

    def _is_quotient(self, node: ast.BinOp) -> bool:
        """Whether it is a division with `/`, of neither paths nor evident floats."""
        if not isinstance(node.op, ast.Div) or not self._divides:
            return False
        return not any(isinstance(part, ast.Constant) and isinstance(part.value, (str, float))
                       or isinstance(part, ast.Name) and 'path' in part.id.lower()
                       or isinstance(part, ast.Call) and _last_name(part.func) == 'float'
                       for part in ast.walk(node))

    # Evidence.

    def _check(self, node: ast.AST, scopes: list[_Scope]) -> Iterator[Evidence]:
        line = getattr(node, 'lineno', 0)
        check = getattr(self, f'_check_{type(node).__name__}', None)
        if check is not None:
            for text in check(node, scopes):
                yield Evidence(text, line)

    def _check_Name(self, node: ast.Name, scopes: list[_Scope]) -> Iterator[str]:
        if node.id in _NAMES and not self._bound & {node.id, '*'}:
            yield node.id

    def _check_Import(self, node: ast.Import, scopes: list[_Scope]) -> Iterator[str]:
        for alias in node.names:
            yield from self._check_module(alias.name)

    def _check_ImportFrom(self, node: ast.ImportFrom, scopes: list[_Scope]) -> Iterator[str]:
        if node.level or not node.module:
            return
        yield from self._check_module(node.module)
        for alias in node.names:
            if alias.name in _MODULE_NAMES.get(node.module, ()):
                yield f'from {node.module} import {alias.name}'

    def _check_module(self, name: str) -> Iterator[str]:
        top = name.partition('.')[0]
        if top in _MODULES:
            yield f'import {name}'
        elif self._has_sibling(top):
            yield f'import {name}, which is in the same package'

    def _check_Attribute(self, node: ast.Attribute, scopes: list[_Scope]) -> Iterator[str]:
        if isinstance(node.value, ast.Name):
            module = self._imports.get(node.value.id, '')
            if node.attr in _MODULE_NAMES.get(module, ()):
                yield f'{module}.{node.attr}'

    def _check_Expr(self, node: ast.Expr, scopes: list[_Scope]) -> Iterator[str]:
        value = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else (
            node.value)
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.RShift):
            if _last_name(value.left) == 'print':
                yield 'print >>'
        elif isinstance(value, ast.Name) and value.id == 'print':
            yield 'the statement print'

    def _check_Call(self, node: ast.Call, scopes: list[_Scope]) -> Iterator[str]:
        name = _last_name(node.func)
        kinds = [self._kind(argument, scopes) for argument in node.args]
        first = kinds[0] if kinds else None
        if isinstance(node.func, ast.Attribute):
            owner = self._kind(node.func.value, scopes)
            if (name in _METHODS and name not in self._bound and len(node.args) == (
                    name == 'has_key') and 'pandas' not in self._imports.values()):
                yield f'.{name}()'
            if name in _LIST_METHODS and owner in {_RANGE, *_VIEWS}:
                yield f'{owner}().{name}()'
            if name == 'write' and owner == _WRITING and first == _BYTES:
                yield 'bytes written to a text file'
            if name == 'load' and first == _READING and _first_name(node.func) in {
                    'pickle', 'cPickle'}:
                yield 'a pickle loaded from a text file'
            if name == 'dump' and kinds[1:2] == [_WRITING] and _first_name(node.func) in {
                    'pickle', 'cPickle'}:
                yield 'a pickle written to a text file'
            if first == _BINARY and ast.unparse(node.func) in _OF_CSV:
                yield f'csv.{name}() of a binary file'
        if name in _NEED_SEQUENCE and (first in _VIEWS or (name, first) == ('shuffle', _RANGE)):
            yield f'{name}({first}())'
        lists = [*kinds[:name in _NEED_LIST], *kinds[1:1 + (name in _NEED_LIST_SECOND)]]
        for keyword in node.keywords:
            functions = _LIST_KEYWORDS.get(keyword.arg or '', ())
            if functions is None or name in functions:
                lists.append(self._kind(keyword.value, scopes))
        yield from (f'{name}({kind}())' for kind in lists if kind in _VIEWS)
        if name == 'len' and first in {'map', 'filter', 'zip'}:
            yield f'len({first}())'
        if name in _NEED_INTEGERS:
            sizes = [element for argument in node.args for element in (
                argument.elts if isinstance(argument, (ast.Tuple, ast.List)) else [argument])]
            if _QUOTIENT in [self._kind(size, scopes) for size in sizes]:
                yield f'/ of integers in {name}()'
        if _TEXT in kinds and _is_listed(_NEED_BYTES, node.func) and not any(
                keyword.arg == 'sep' for keyword in node.keywords):
            yield f'{name}() of the text of a file'

    def _check_Subscript(self, node: ast.Subscript, scopes: list[_Scope]) -> Iterator[str]:
        owner = self._kind(node.value, scopes)
        if owner in _VIEWS or owner == _RANGE and not isinstance(node.ctx, ast.Load):
            yield f'{owner}()[]'
        if isinstance(node.slice, ast.Slice):
            for bound in (node.slice.lower, node.slice.upper, node.slice.step):
                if bound is not None and self._kind(bound, scopes) == _QUOTIENT:
                    yield '/ of integers in a slice'

    def _check_BinOp(self, node: ast.BinOp, scopes: list[_Scope]) -> Iterator[str]:
        for value, other in ((node.left, node.right), (node.right, node.left)):
            kind = self._kind(value, scopes)
            if isinstance(node.op, ast.Add) and kind in {_RANGE, *_VIEWS}:
                yield f'{kind}() +'
            if isinstance(node.op, ast.Mult) and kind == _QUOTIENT and isinstance(other, ast.List):
                yield '/ of integers as the length of a list'
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Call) and (
                _last_name(node.left.func) == 'print'):
            yield 'print (...) %'

    def _check_Dict(self, node: ast.Dict, scopes: list[_Scope]) -> Iterator[str]:
        for key, value in zip(node.keys, node.values):
            if (isinstance(key, ast.Constant) and 'contents' in str(key.value)
                    and self._kind(value, scopes) == _TEXT):
                yield 'the text of a file as an encoded image'
