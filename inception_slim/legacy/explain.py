"""What a script uses of TensorFlow 1, and whether it is served; the script is read, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
import importlib.util
import os
import sys
import types

from inception_slim.errors import InceptionSlimError
from inception_slim.legacy import (
    contrib,
    import_hook,
    library_shims,
    python2,
    research_slim,
    tf1_modules,
)


@dataclass
class SymbolUse:
    """A name, where it is used, and what is to be said of it; `served` is False if it is not."""

    name: str
    places: list[str] = field(default_factory=list)
    served: bool = True
    remark: str = ''


def _spoken(dotted: str) -> str:
    return 'tf' + dotted[len('tensorflow'):] if dotted.startswith('tensorflow') else dotted


class _Reader(ast.NodeVisitor):
    """Finds dotted names of faced libraries, through what the file calls them."""

    def __init__(self, path: str):
        self.path = path
        self.known: dict[str, str] = {}
        self.used: dict[str, list[int]] = {}
        self.imported: dict[str, int] = {}

    def _note(self, dotted: str, line: int) -> None:
        lines = self.used.setdefault(dotted, [])
        if line not in lines:
            lines.append(line)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition('.')[0]
            if top in import_hook.REDIRECTED:
                self.known[alias.asname or top] = alias.name if alias.asname else top
                if '.' in alias.name:
                    self._note(alias.name, node.lineno)
            else:
                self.imported.setdefault(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            self._relative(node)
            return
        if node.module.partition('.')[0] not in import_hook.REDIRECTED:
            self.imported.setdefault(node.module, node.lineno)
            for alias in node.names:
                self.imported.setdefault(f'{node.module}.{alias.name}', -node.lineno)
            return
        for alias in node.names:
            dotted = f'{node.module}.{alias.name}' if alias.name != '*' else node.module
            self.known[alias.asname or alias.name] = dotted
            self._note(dotted, node.lineno)

    def _relative(self, node: ast.ImportFrom) -> None:
        folder = os.path.dirname(self.path)
        for _ in range(node.level - 1):
            folder = os.path.dirname(folder)
        base = os.path.join(folder, *(node.module or '').split('.'))
        for each in (base, *(os.path.join(base, alias.name) for alias in node.names)):
            self.imported.setdefault(each, -node.lineno)

    def visit_Assign(self, node: ast.Assign) -> None:
        dotted = self._dotted(node.value)
        if dotted and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._note(dotted, node.lineno)
            self.known[node.targets[0].id] = dotted  # slim = tf.contrib.slim
        else:
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._dotted(node)
        if dotted:
            if isinstance(node.ctx, ast.Load):
                self._note(dotted, node.lineno)
        else:
            self.generic_visit(node)

    def _dotted(self, node: ast.expr) -> str | None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in self.known:
            return '.'.join([self.known[node.id], *reversed(names)])
        return None


def _follow(dotted: str) -> tuple[str, bool, str]:
    """The part of a name that is a library's, whether it is served, and what is to be said."""
    parts = dotted.split('.')
    find = tf1_modules.resolve_module if parts[0] in tf1_modules.ROOTS else library_shims.find
    name, value = parts[0], find(parts[0])
    for part in parts[1:]:
        if not isinstance(value, types.ModuleType):
            break  # what a class or an object has is TensorFlow's own business
        name += '.' + part
        if name.startswith('tensorflow.contrib.'):
            said, sentence = contrib.status(name)
            if said == 'missing':
                return name, False, sentence
        try:
            value = getattr(value, part)
        except (AttributeError, ImportError) as error:
            try:
                value = find(name)
            except ImportError as gone:
                return name, False, str(gone)
            if value is None:
                sentence = str(error)
                if not sentence.endswith('.'):  # Python's own, of a name that nobody speaks for
                    sentence = f'There is no {_spoken(name)} today.'
                return name, False, sentence
    return name, True, ''


def _brought(name: str, folder: str) -> str | None:
    """The file of a module that a script brings along; None if it is installed or missing."""
    if os.path.isabs(name):
        stem = name
    else:
        stem = next((os.path.join(base or '.', *name.split('.'))
                     for base in (folder, *_python_path())
                     if os.path.exists(os.path.join(base or '.', name.split('.')[0]))
                     or os.path.exists(os.path.join(base or '.', name.split('.')[0] + '.py'))),
                    os.path.join(folder, *name.split('.')))
    for path in (stem + '.py', os.path.join(stem, '__init__.py')):
        if os.path.isfile(path):
            return os.path.abspath(path)
    return None


def _python_path() -> Iterator[str]:
    for path in os.environ.get('PYTHONPATH', '').split(os.pathsep):
        if path and not import_hook.is_installed(os.path.join(path, 'x')):
            yield path


def _is_there(name: str, folder: str) -> bool:
    top = name.partition('.')[0]
    if (_brought(top, folder) or os.path.isdir(os.path.join(folder, top))
            or name in research_slim.modules() or top in python2.MODULES):
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def read(script: str) -> tuple[list[SymbolUse], list[str]]:
    """Reads a script and the modules that it brings along.

    Args:
      script: the path of a script.

    Returns:
      The names that it uses of libraries that have a face, and of modules that are nowhere; and
      the files that were read, the script first.

    Raises:
      InceptionSlimError: the script cannot be read.
    """
    folder = os.path.dirname(os.path.realpath(script))
    uses: dict[str, SymbolUse] = {}
    files, waiting = [], [os.path.abspath(script)]
    while waiting:
        path = waiting.pop(0)
        if path in files:
            continue
        files.append(path)
        try:
            with open(path, 'rb') as file:
                reader = _Reader(path)
                reader.visit(python2.parse(file.read(), path))
        except OSError as error:
            raise InceptionSlimError(f'{path} cannot be read: {error.strerror}') from None
        except python2.Python2Error:
            raise
        except SyntaxError as error:
            raise InceptionSlimError(
                f'{path}, line {error.lineno}, is no Python: {error.msg}') from None
        for dotted, lines in reader.used.items():
            name, served, remark = _follow(dotted)
            use = uses.setdefault(name, SymbolUse(name, [], served, remark))
            use.places += [f'{os.path.relpath(path)}:{line}' for line in lines
                           if f'{os.path.relpath(path)}:{line}' not in use.places]
        for name, line in reader.imported.items():
            found = _brought(name, folder)
            if found:
                waiting.append(found)
            elif line > 0 and not _is_there(name, folder):
                top = name.partition('.')[0]
                use = uses.setdefault(top, SymbolUse(
                    top, [], False, f'The module {top} is neither beside the script nor '
                    'installed.'))
                use.places.append(f'{os.path.relpath(path)}:{line}')
    return sorted(uses.values(), key=lambda use: (use.served, use.name)), files


def explain(script: str, *, is_module: bool = False) -> int:
    """Prints what a script uses; the exit code is 0 if all is served, else 1."""
    try:
        if is_module:
            sys.path.insert(0, os.getcwd())
            script = _module_file(script)
        uses, files = read(script)
    except InceptionSlimError as error:
        print(f'inception-slim: {error}', file=sys.stderr)
        return 1
    missing = [use for use in uses if not use.served]
    read_too = f', with {len(files) - 1} of its modules,' if len(files) > 1 else ''
    print(f'{script}{read_too} uses {len(uses)} names of TensorFlow 1 and of what was around it: '
          f'{len(uses) - len(missing)} are served, {len(missing)} are not')
    for use in uses:
        places = ' '.join(use.places[:3]) + (' ...' if len(use.places) > 3 else '')
        print(f'{"served " if use.served else "missing"}  {_spoken(use.name):48}  {places}')
        if use.remark:
            print(f'         {use.remark}')
    return 1 if missing else 0


def _module_file(name: str) -> str:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            spec = importlib.util.find_spec(name + '.__main__')
    except ImportError:
        spec = None
    if spec is None or not spec.origin:
        raise InceptionSlimError(f'there is no module {name!r} to explain; name one as for '
                                 'python -m, or give the path of a script')
    return spec.origin
