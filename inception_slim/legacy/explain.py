"""List the TensorFlow 1 names that a script uses and whether they are supported.

The script is parsed, not run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
import importlib.util
import os
import sys
import types

from inception_slim._special_files import check_regular
from inception_slim.errors import InceptionSlimError, printable
from inception_slim.legacy import contrib, import_hook, python2, research_slim
from inception_slim.legacy._tf1_namespace import is_redirected
from inception_slim.legacy.contrib.modules import display_name


@dataclass
class SymbolUse:
    """A name that a script uses.

    Attributes:
      name: dotted name, such as 'tensorflow.contrib.slim'.
      locations: where it is used, as 'FILE:LINE'.
      supported: whether it has a replacement.
      message: why it is not supported, and what to do.
    """

    name: str
    locations: list[str] = field(default_factory=list)
    supported: bool = True
    message: str = ''

    def add_location(self, location: str) -> None:
        if location not in self.locations:
            self.locations.append(location)


class _NameCollector(ast.NodeVisitor):
    """Collects the dotted names of redirected packages that a file uses, and its imports."""

    def __init__(self, path: str):
        self.path = path
        self.aliases: dict[str, str] = {}  # the file's name for a module or an object -> its own
        self.used: dict[str, list[int]] = {}  # dotted name -> lines
        # Other imported module -> line; negative if it may be an attribute instead of a module.
        self.imported: dict[str, int] = {}

    def _add(self, dotted: str, line: int) -> None:
        lines = self.used.setdefault(dotted, [])
        if line not in lines:
            lines.append(line)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if is_redirected(alias.name):
                top = alias.name.partition('.')[0]
                self.aliases[alias.asname or top] = alias.name if alias.asname else top
                if '.' in alias.name:
                    self._add(alias.name, node.lineno)
            else:
                self.imported.setdefault(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            self._add_relative(node)
            return
        if not is_redirected(node.module):
            self.imported.setdefault(node.module, node.lineno)
            for alias in node.names:
                self.imported.setdefault(f'{node.module}.{alias.name}', -node.lineno)
            return
        for alias in node.names:
            dotted = f'{node.module}.{alias.name}' if alias.name != '*' else node.module
            self.aliases[alias.asname or alias.name] = dotted
            self._add(dotted, node.lineno)

    def _add_relative(self, node: ast.ImportFrom) -> None:
        folder = os.path.dirname(self.path)
        for _ in range(node.level - 1):
            folder = os.path.dirname(folder)
        base = os.path.join(folder, *(node.module or '').split('.'))
        for module in (base, *(os.path.join(base, alias.name) for alias in node.names)):
            self.imported.setdefault(module, -node.lineno)

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


def _own_file(name: str, folder: str) -> str | None:
    """The file of a script's own module; None if the module is installed or missing.

    Args:
      name: a dotted name, or an absolute path without its suffix.
      folder: the script's.
    """
    if os.path.isabs(name):
        base = name
    else:
        top, *rest = name.split('.')
        base = next((os.path.join(path or '.', top, *rest) for path in (folder, *_python_path())
                     if os.path.exists(os.path.join(path or '.', top))
                     or os.path.exists(os.path.join(path or '.', top + '.py'))),
                    os.path.join(folder, top, *rest))
    for path in (base + '.py', os.path.join(base, '__init__.py')):
        if os.path.isfile(path):
            return os.path.abspath(path)
    return None


def _python_path() -> Iterator[str]:
    for path in os.environ.get('PYTHONPATH', '').split(os.pathsep):
        if path and not import_hook.is_installed(os.path.join(path, 'x')):
            yield path


def _is_available(name: str, folder: str) -> bool:
    """Whether an imported module is the script's own, provided by this package or installed."""
    top = name.partition('.')[0]
    if (_own_file(top, folder) or os.path.isdir(os.path.join(folder, top))
            or name in research_slim.modules() or top in python2.MODULES):
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _collect(path: str) -> _NameCollector:
    """Parse one file; raises InceptionSlimError if that is not possible."""
    check_regular(path, InceptionSlimError, allow_stream=True)
    try:
        with open(path, 'rb') as file:
            collector = _NameCollector(path)
            collector.visit(python2.parse(file.read(), path))
    except OSError as error:
        raise InceptionSlimError(f'Cannot read {path}: {error.strerror}.') from None
    except python2.Python2Error:
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
    folder = folder or os.path.dirname(os.path.realpath(script))
    uses: dict[str, SymbolUse] = {}
    files, pending = [], [os.path.abspath(script)]
    while pending:
        path = pending.pop(0)
        if path in files:
            continue
        files.append(path)
        shown = os.path.relpath(path)
        collector = _collect(path)
        for dotted, lines in collector.used.items():
            name, supported, message = _resolve(dotted)
            use = uses.setdefault(name, SymbolUse(name, [], supported, message))
            for line in lines:
                use.add_location(f'{shown}:{line}')
        for name, line in collector.imported.items():
            own_file = _own_file(name, folder)
            if own_file:
                pending.append(own_file)
            elif line > 0 and not _is_available(name, folder):
                top = name.partition('.')[0]
                use = uses.setdefault(top, SymbolUse(
                    top, [], False, f'The module {top} is neither next to the script nor '
                    'installed.'))
                use.add_location(f'{shown}:{line}')
    return sorted(uses.values(), key=lambda use: (use.supported, use.name)), files


def explain(script: str, *, is_module: bool = False) -> int:
    """Print the TensorFlow 1 names that a script uses and whether they are supported.

    Args:
      script: path of the script.
      is_module: `script` is a module name, as for `python -m`.

    Returns:
      The exit code: 0 if all names are supported, else 1.
    """
    try:
        folder = None
        if is_module:
            folder = os.getcwd()
            sys.path.insert(0, folder)
            script = _module_file(script)
        uses, files = find_uses(script, folder)
    except InceptionSlimError as error:
        print(f'inception-slim: {printable(str(error))}', file=sys.stderr)
        return 1
    unsupported = [use for use in uses if not use.supported]
    own_modules = f' and {len(files) - 1} of its modules' if len(files) > 1 else ''
    print(f'{printable(script)}{own_modules}: {len(uses)} names of TensorFlow 1 and '
          f'related libraries, {len(uses) - len(unsupported)} supported, '
          f'{len(unsupported)} not supported')
    for use in uses:
        locations = ' '.join(use.locations[:3]) + (' ...' if len(use.locations) > 3 else '')
        mark = 'supported' if use.supported else 'not supported'
        print(f'{mark:13}  {display_name(use.name):48}  {printable(locations)}')
        if use.message:
            print(f'{"":13}  {use.message}')
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
