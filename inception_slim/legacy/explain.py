"""List the TensorFlow 1 names that a script uses and whether they are supported.

The script is parsed, not run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
import importlib.util
import os
import re
import sys
import types

from inception_slim._special_files import check_regular
from inception_slim.errors import InceptionSlimError, printable
from inception_slim.legacy import (
    contrib,
    import_hook,
    notebook,
    research_slim,
    standard_library,
)
from inception_slim.legacy._tf1_namespace import is_redirected
from inception_slim.legacy.contrib.modules import display_name
from inception_slim.legacy.python2 import runtime, translation


@dataclass
class SymbolUse:
    """A name that a script uses.

    Attributes:
      name: dotted name, such as 'tensorflow.contrib.slim'.
      locations: where it is used, as 'FILE:LINE'.
      supported: whether it has a replacement.
      message: why it is not supported, and what to do.
      condition: when it is used, if not always.
      runs: whether it is used when the script runs without arguments, as far as can be told.
    """

    name: str
    locations: list[str] = field(default_factory=list)
    supported: bool = True
    message: str = ''
    condition: str = ''
    runs: bool = False

    def add_location(self, location: str, condition: Condition | None) -> None:
        """Add a place where the name is used, and the condition under which it is."""
        if location not in self.locations:
            self.locations.append(location)
        if condition is None:
            self.runs, self.condition = True, ''
        elif not self.runs:
            self.condition = condition.text
            self.runs = condition.may_hold


@dataclass(frozen=True)
class Condition:
    """When a part of a file runs.

    Attributes:
      text: for the message, such as 'used only if FLAGS.quantize, line 5'.
      may_hold: whether it may hold in a run without arguments.
    """

    text: str
    may_hold: bool


@dataclass(frozen=True)
class _Use:
    """A use of a name.

    Attributes:
      line: where it is.
      condition: the condition around it that decides, if any.
      functions: the functions around it.
      imported_as: the name that it is given, if it is only imported and fails where it is used.
    """

    line: int
    condition: Condition | None
    functions: tuple[str, ...]
    imported_as: str = ''


# Errors by which a script finds out whether a name exists.
_HANDLED = frozenset({'', 'Exception', 'AttributeError', 'ImportError', 'ModuleNotFoundError',
                      'NameError', 'TypeError'})


class _NameCollector(ast.NodeVisitor):
    """Collects the dotted names of redirected packages that a file uses, and its imports.

    Args:
      path: the file.
      flags: the default values of the script's flags and arguments so far; it adds those of the
        file.
    """

    def __init__(self, path: str, flags: dict[str, object]):
        self.path = path
        self.flags = flags
        self.aliases: dict[str, str] = {}  # the file's name for a module or an object -> its own
        self.used: dict[str, list[_Use]] = {}
        # Other imported module -> its use; the line is negative if it may be an attribute instead.
        self.imported: dict[str, _Use] = {}
        self.referenced: set[str] = set()  # names that occur anywhere but in their definition
        self.folders: list[str] = []  # that it adds to sys.path
        self.cells: notebook.Notebook | None = None
        self._conditions: list[Condition] = []
        self._functions: list[str] = []

    def _use(self, line: int, imported_as: str = '') -> _Use:
        # What does not run decides, before what may run.
        conditions = sorted(self._conditions, key=lambda condition: condition.may_hold)
        return _Use(line, conditions[0] if conditions else None, tuple(self._functions),
                    imported_as)

    def _add(self, dotted: str, line: int, imported_as: str = '') -> None:
        self.used.setdefault(dotted, []).append(self._use(line, imported_as))

    def _add_import(self, name: str, line: int, imported_as: str = '') -> None:
        self.imported.setdefault(name, self._use(line, imported_as))

    # Conditions

    def visit_Module(self, node: ast.Module) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                self.referenced.add(part.id)
            elif isinstance(part, ast.Attribute):
                self.referenced.add(part.attr)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.referenced.add(part.value)  # as in getattr(module, 'name')
            elif isinstance(part, ast.ImportFrom):
                self.referenced.update(
                    alias.name for alias in part.names
                    if not _fails_where_used(f'{part.module}.{alias.name}'))
            elif isinstance(part, ast.Call):
                self._collect_flag(part)
                self._collect_folder(part)
        self.generic_visit(node)

    def _collect_flag(self, node: ast.Call) -> None:
        """Notes the default of `DEFINE_bool('name', …)` and `add_argument('--name', …)`."""
        function = node.func.attr if isinstance(node.func, ast.Attribute) else ''
        names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)
                 and isinstance(argument.value, str)]
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        default: ast.expr | None
        if function.startswith('DEFINE_') and names:
            default = node.args[1] if len(node.args) > 1 else options.get('default')
        elif function == 'add_argument' and names and names[-1].startswith('--'):
            default = options.get('default')
            if default is None:
                action = options.get('action')
                kind = action.value if isinstance(action, ast.Constant) else ''
                default = ast.Constant({'store_true': False, 'store_false': True}.get(str(kind)))
        else:
            return
        if isinstance(default, ast.Constant):
            self.flags[names[0 if function.startswith('DEFINE_') else -1].lstrip('-').replace(
                '-', '_')] = default.value

    def _collect_folder(self, node: ast.Call) -> None:
        """Notes the folder of `sys.path.insert(0, folder)` and `sys.path.append(folder)`."""
        if ast.unparse(node.func) in ('sys.path.insert', 'sys.path.append') and node.args:
            folder = self._path(node.args[-1])
            if folder is not None:
                self.folders.append(os.path.abspath(folder))

    def _path(self, node: ast.expr) -> str | None:
        """The value of an expression made of constants, `__file__` and functions of `os.path`."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self.path if node.id == '__file__' else None
        if not isinstance(node, ast.Call):
            return None
        name = ast.unparse(node.func).rpartition('.')[2]
        values = [self._path(argument) for argument in node.args]
        if name == 'getcwd':
            return os.getcwd()
        if None in values or not values or name not in (
                'join', 'dirname', 'abspath', 'realpath', 'expanduser', 'normpath'):
            return None
        return getattr(os.path, name)(*values)

    def _value(self, node: ast.expr) -> bool | None:
        """Whether a condition holds in a run without arguments; None if that cannot be told."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            value = self._value(node.operand)
            return None if value is None else not value
        if isinstance(node, ast.BoolOp):
            values = [self._value(value) for value in node.values]
            decisive = isinstance(node.op, ast.Or)
            return decisive if decisive in values else None if None in values else not decisive
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                and node.func.id == 'hasattr' and len(node.args) == 2):
            owner, name = self._dotted_name(node.args[0]), node.args[1]
            if owner and isinstance(name, ast.Constant) and isinstance(name.value, str):
                return _resolve(f'{owner}.{name.value}')[1]
            return None
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self._constant(node.left), self._constant(node.comparators[0])
            if left is None or right is None:
                return None
            if isinstance(node.ops[0], (ast.Eq, ast.Is)):
                return left[0] == right[0]
            if isinstance(node.ops[0], (ast.NotEq, ast.IsNot)):
                return left[0] != right[0]
            return None
        constant = self._constant(node)
        return None if constant is None else bool(constant[0])

    def _constant(self, node: ast.expr) -> tuple[object] | None:
        if isinstance(node, ast.Constant):
            return (node.value,)
        if isinstance(node, ast.Attribute) and node.attr in self.flags:
            return (self.flags[node.attr],)
        return None

    def _visit_under(self, condition: Condition | None, nodes: Iterable[ast.AST]) -> None:
        if condition is not None:
            self._conditions.append(condition)
        for node in nodes:
            self.visit(node)
        if condition is not None:
            self._conditions.pop()

    def _visit_choice(self, node: ast.If | ast.IfExp) -> None:
        self.visit(node.test)
        text = ast.unparse(node.test)
        value = self._value(node.test)
        is_main = text.replace('"', "'") == "__name__ == '__main__'"
        by_version = re.search('version|VERSION|PY2|PY3', text) is not None
        for holds, branch in ((True, node.body), (False, node.orelse)):
            nodes = branch if isinstance(branch, list) else [branch]
            shown = text if holds else f'not ({text})'
            condition = None if is_main or value is holds else Condition(
                f'Used only if {shown}, line {node.lineno}.', value is None and not by_version)
            self._visit_under(condition, nodes)

    def visit_If(self, node: ast.If) -> None:
        self._visit_choice(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._visit_choice(node)

    def visit_Try(self, node: ast.Try) -> None:
        handled = any(_HANDLED & {name.rpartition('.')[2] for name in _error_names(handler)}
                      for handler in node.handlers)
        self._visit_under(Condition(f'Used in a try statement, line {node.lineno}, which handles '
                                    'its absence.', False) if handled else None, node.body)
        self._visit_under(None, [*node.handlers, *node.orelse, *node.finalbody])

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args):
            self.visit(part)
        is_called = node.decorator_list or node.name.startswith('__')
        if not is_called:
            self._functions.append(node.name)
        self._visit_under(None, node.body)
        if not is_called:
            self._functions.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    # Names

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if is_redirected(alias.name):
                top = alias.name.partition('.')[0]
                self.aliases[alias.asname or top] = alias.name if alias.asname else top
                if '.' in alias.name:
                    self._add(alias.name, node.lineno)
            else:
                self._add_import(alias.name, node.lineno)
                if _is_of_slim(alias.name):
                    self.aliases[alias.asname or alias.name.partition('.')[0]] = (
                        alias.name if alias.asname else alias.name.partition('.')[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            self._add_relative(node)
            return
        if not is_redirected(node.module):
            self._add_import(node.module, node.lineno)
            for alias in node.names:
                if alias.name == '*':
                    continue
                bound = alias.asname or alias.name
                dotted = f'{node.module}.{alias.name}'
                self._add_import(dotted, -node.lineno,
                                 bound if _fails_where_used(dotted) else '')
                if _is_of_slim(node.module):
                    self.aliases[bound] = f'{node.module}.{alias.name}'
            return
        for alias in node.names:
            dotted = f'{node.module}.{alias.name}' if alias.name != '*' else node.module
            self.aliases[alias.asname or alias.name] = dotted
            self._add(dotted, node.lineno, (alias.asname or alias.name)
                      if _fails_where_used(dotted) else '')

    def _add_relative(self, node: ast.ImportFrom) -> None:
        folder = os.path.dirname(self.path)
        for _ in range(node.level - 1):
            folder = os.path.dirname(folder)
        base = os.path.join(folder, *(node.module or '').split('.'))
        for module in (base, *(os.path.join(base, alias.name) for alias in node.names)):
            self._add_import(module, -node.lineno)

    def visit_Assign(self, node: ast.Assign) -> None:
        dotted = self._dotted_name(node.value)
        if dotted and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._add(dotted, node.lineno)
            self.aliases[node.targets[0].id] = dotted  # slim = tf.contrib.slim
        else:
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._dotted_name(node)
        if dotted:
            if isinstance(node.ctx, ast.Load):
                self._add(dotted, node.lineno)
        else:
            self.generic_visit(node)

    def _dotted_name(self, node: ast.expr) -> str | None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in self.aliases:
            return '.'.join([self.aliases[node.id], *reversed(names)])
        return None


def _is_of_slim(name: str) -> bool:
    return name.partition('.')[0] in research_slim.PACKAGES


def _fails_where_used(name: str) -> bool:
    """Whether a name that is not supported can be imported, and fails where it is used."""
    return research_slim.fails_where_used(name) or name.startswith(f'{contrib.ROOT}.')


def _error_names(handler: ast.ExceptHandler) -> list[str]:
    """The names of the errors that a handler handles; '' for all."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(kind) if kind is not None else '' for kind in kinds]


def _resolve(dotted: str) -> tuple[str, bool, str]:
    """Look a name up.

    Returns:
      The part of the name that belongs to modules, whether it is supported, and if not, why.
    """
    parts = dotted.split('.')
    name, value = parts[0], import_hook.resolve_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        if not isinstance(value, types.ModuleType):
            break  # attributes of classes and objects are TensorFlow's own
        name += '.' + part
        if name.startswith('tensorflow.contrib.'):
            if number < len(parts) and name in contrib.module_names():
                value = contrib.get_module(name)  # a function of the same name may hide it
                if value.supports_any():
                    continue
            supported, message = contrib.status(name)
            if supported != 'supported':
                return name, False, message
        try:
            value = getattr(value, part)
        except (AttributeError, ImportError) as error:
            try:
                value = import_hook.resolve_module(name)
            except ImportError as import_error:
                return name, False, str(import_error)
            if value is None:
                message = str(error)
                if not message.endswith('.'):  # Python's own message
                    message = f'The installed version has no {display_name(name)}.'
                return name, False, message
    return name, True, ''


def _own_file(name: str, folders: Iterable[str]) -> str | None:
    """The file of a script's own module; None if the module is installed or missing.

    Args:
      name: a dotted name, or an absolute path without its suffix.
      folders: where the script's modules are, in the order of the search.
    """
    if os.path.isabs(name):
        base = name
    else:
        base = next((os.path.join(folder, *name.split('.')) for folder in folders
                     if _holds(folder, name.partition('.')[0])), '')
    for path in (base + '.py', os.path.join(base, '__init__.py')):
        if base and os.path.isfile(path) and (
                base == name or not import_hook.is_installed(path)):
            return os.path.abspath(path)
    return None


def _holds(folder: str, top: str) -> bool:
    """Whether a folder has a module or package of this name."""
    base = os.path.join(folder, top)
    return os.path.isdir(base) or os.path.isfile(base + '.py')


def _python_path() -> Iterator[str]:
    for path in os.environ.get('PYTHONPATH', '').split(os.pathsep):
        if path and not import_hook.is_installed(os.path.join(path, 'x')):
            yield path


def _is_installed(top: str) -> bool:
    if top in runtime.MODULES:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


# Module -> its name on PyPI, where it differs.
_PYPI_NAMES = {
    'cv2': 'opencv-python', 'skimage': 'scikit-image', 'sklearn': 'scikit-learn',
    'PIL': 'pillow', 'yaml': 'PyYAML', 'Crypto': 'pycryptodome', 'bs4': 'beautifulsoup4',
    'sonnet': 'dm-sonnet', 'tensorflow_probability': "'tensorflow-probability[tf]'",
    'tensorflow_gan': 'tensorflow-gan', 'tensorflow_datasets': 'tensorflow-datasets',
    'tf_keras': 'tf-keras', 'tf_slim': 'tf-slim', 'mpl_toolkits': 'matplotlib', 'dateutil':
    'python-dateutil', 'serial': 'pyserial', 'wx': 'wxPython', 'zmq': 'pyzmq', 'attr': 'attrs',
}
# Modules of which no release runs TensorFlow 1 code today, or which need more than pip.
_WITHOUT_RELEASE = {
    'tensorflow_addons': 'its last release, 0.23, needs TensorFlow 2.15 or older',
    'tensorflow_hub': 'its API for TensorFlow 1 (hub.Module) has been removed; use a SavedModel or '
                      'a frozen graph of the module',
    'horovod': 'it must be built against the installed TensorFlow; its last release, 0.28, was '
               'built for TensorFlow 2.12 or older',
    'tflearn': 'its last release, 0.5, needs tf.contrib outside of the script',
    'tensor2tensor': 'its last release, 1.15, needs TensorFlow 1',
    'tensorpack': 'its last release, 0.11, needs TensorFlow 2.15 or older',
    'object_detection': 'it is a folder of tensorflow/models (research), which must be on '
                        'PYTHONPATH',
}


def _missing_message(top: str) -> str:
    message = f'The module {top} is neither next to the script nor installed'
    if top in _WITHOUT_RELEASE:
        return f'{message}; {_WITHOUT_RELEASE[top]}.'
    return f'{message}; if it is a package of PyPI: pip install {_PYPI_NAMES.get(top, top)}'


def _collect(path: str, flags: dict[str, object], in_package: bool) -> _NameCollector:
    """Parse one file; raises InceptionSlimError if that is not possible."""
    check_regular(path, InceptionSlimError, allow_stream=True)
    try:
        with open(path, 'rb') as file:
            source = file.read()
        collector = _NameCollector(path, flags)
        if notebook.is_notebook(path):
            collector.cells = notebook.read(path, source, allow_shell=True)
            source = collector.cells.source.encode()
        collector.visit(translation.parse(source, path, in_package))
    except OSError as error:
        raise InceptionSlimError(f'Cannot read {path}: {error.strerror}.') from None
    except translation.Python2Error:
        raise
    except (RecursionError, MemoryError):
        raise InceptionSlimError(f'{path} has expressions that are nested too deeply for Python; '
                                 'split them.') from None
    except SyntaxError as error:
        raise InceptionSlimError(
            f'{path}, line {error.lineno}: invalid Python syntax ({error.msg}).') from None
    return collector


def find_uses(script: str, folder: str | None = None) -> tuple[list[SymbolUse], list[str]]:
    """Find the TensorFlow 1 names that a script and its own modules use.

    Args:
      script: path of the script.
      folder: where the script's own modules are; by default next to it.

    Returns:
      The names in redirected packages, with those of missing modules, unsupported names first; and
      the files that were read, the script first.

    Raises:
      InceptionSlimError: a file cannot be read.
    """
    folders = [folder or os.path.dirname(os.path.realpath(script)), *_python_path()]
    flags: dict[str, object] = {}
    collectors: dict[str, _NameCollector] = {}
    pending = [os.path.abspath(script)]
    while pending:
        path = pending.pop(0)
        if path in collectors:
            continue
        is_module = bool(collectors) and os.path.dirname(path) not in folders
        collector = collectors[path] = _collect(path, flags, is_module)
        folders += [added for added in collector.folders
                    if added not in folders and not import_hook.is_installed(
                        os.path.join(added, 'x'))]
        pending += [file for name in collector.imported if (file := _own_file(name, folders))]
    referenced = {name for collector in collectors.values() for name in collector.referenced}
    uses: dict[str, SymbolUse] = {}

    def add(name: str, supported: bool, message: str, path: str, use: _Use) -> None:
        condition = use.condition
        uncalled = next((function for function in use.functions if function not in referenced), '')
        if uncalled and (condition is None or condition.may_hold):
            condition = Condition(f'Used only in {uncalled}(), which the script never calls.',
                                  False)
        if use.imported_as and use.imported_as not in referenced:
            condition = Condition('Imported, but never used.', False)
        cells = collectors[path].cells
        place = f'{os.path.relpath(path)}:{abs(use.line)}'
        if cells is not None:
            place = '{}, cell {}:{}'.format(os.path.relpath(path), *cells.location(abs(use.line)))
        uses.setdefault(name, SymbolUse(name, [], supported, message)).add_location(
            place, condition)

    for path, collector in collectors.items():
        for dotted, places in collector.used.items():
            top, _, attribute = dotted.partition('.')
            if _is_of_slim(dotted):
                if any(_holds(folder, top) for folder in folders):
                    continue  # the script's own
                name, message = dotted, research_slim.status(dotted)
                supported = not message
            elif not _is_shimmed(top, attribute):
                continue
            else:
                name, supported, message = _resolve(dotted)
            for use in places:
                add(name, supported, message, path, use)
        for name, use in collector.imported.items():
            top = name.partition('.')[0]
            if _own_file(name, folders) or os.path.isabs(name) or any(
                    _holds(folder, top) for folder in folders):
                continue
            if _is_of_slim(name) and not _is_installed(top):
                message = research_slim.status(name)
                if message:
                    add(name, False, message, path, use)
            elif use.line > 0 and not _is_installed(top):
                add(top, False, _missing_message(top), path, use)
    return sorted(uses.values(), key=lambda use: (use.supported, not use.runs, use.name)), [
        *collectors]


def _is_shimmed(top: str, attribute: str) -> bool:
    """Whether a redirected name is of interest: not those that the library itself has today."""
    if top == 'xml':
        return 'cElementTree' in attribute
    if top in ('importlib', 'math', 'yaml'):
        return False
    names = standard_library.NAMES.get(top)
    return names is None or attribute.partition('.')[0] in names


def explain(script: str, *, is_module: bool = False) -> int:
    """Print the TensorFlow 1 names that a script uses and whether they are supported.

    Args:
      script: path of the script.
      is_module: `script` is a module name, as for `python -m`.

    Returns:
      The exit code: 0 if all names are supported, else 1.
    """
    path = sys.path[:]
    try:
        if is_module:
            folder = sys.path[0] = os.getcwd()
            script = _module_file(script)
        else:  # as `run`, not as `python -m`, which looks in the working directory
            folder = sys.path[0] = os.path.dirname(os.path.realpath(script))
        uses, files = find_uses(script, folder)
    except InceptionSlimError as error:
        print(f'inception-slim: {printable(str(error))}', file=sys.stderr)
        return 1
    finally:
        sys.path[:] = path
    unsupported = [use for use in uses if not use.supported and use.runs]
    conditional = [use for use in uses if not use.supported and not use.runs]
    own_modules = f' and {len(files) - 1} of its modules' if len(files) > 1 else ''
    print(f'{printable(script)}{own_modules}: {len(uses)} names of TensorFlow 1 and '
          f'related libraries, {len(uses) - len(unsupported) - len(conditional)} supported, '
          f'{len(unsupported)} not supported'
          + (f', {len(conditional)} not supported and not used' if conditional else ''))
    for use in uses:
        locations = ' '.join(use.locations[:3]) + (' ...' if len(use.locations) > 3 else '')
        mark = 'supported' if use.supported else 'not supported' if use.runs else 'not used'
        print(f'{mark:13}  {display_name(use.name):48}  {printable(locations)}')
        if use.message:
            print(f'{"":13}  {use.message}')
        if use.condition and not use.supported:
            print(f'{"":13}  {printable(use.condition)}')
    return 1 if unsupported else 0


def _module_file(name: str) -> str:
    """The file that `python -m name` runs, found without importing the packages it is in."""
    top, *rest = name.split('.')
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    for part in rest:
        spec = _find_submodule(spec, part)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _find_submodule(spec, '__main__')
    if spec is None or not spec.origin:
        raise InceptionSlimError(f'There is no module {name!r}. Give a module name as for '
                                 'python -m, or the path of a script without -m.')
    return spec.origin


def _find_submodule(package: ModuleSpec | None, name: str) -> ModuleSpec | None:
    if package is None or package.submodule_search_locations is None:
        return None
    # A dotted name would need its parent package in sys.modules.
    return PathFinder.find_spec(name, list(package.submodule_search_locations))
