"""Jupyter notebooks as scripts: the code of their cells, in order.

Magics that only display or configure something are left out; those that run code do it as IPython
does, and shell commands need permission. The others are errors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import linecache
import re
import subprocess
from typing import Any

from inception_slim.errors import InceptionSlimError

_IGNORED = frozenset(
    'matplotlib config autoreload load_ext reload_ext unload_ext aimport precision pprint xmode '
    'colors timeit prun pdb who whos doctest_mode logstart tensorflow_version tensorboard history '
    'watermark capture'.split())
_LINE_MAGIC = re.compile(r'(?P<indent>\s*)%(?P<name>\w+)[ \t]*(?P<rest>.*)')
_SHELL = re.compile(r'(?P<indent>\s*)(?:(?P<target>[\w, ]+?)\s*=\s*)?!(?P<command>.*)')
_HELP = re.compile(r'\s*(?:\?{1,2}[\w.]+|[\w.]+\?{1,2})\s*')
_VARIABLE = re.compile(r'\{(\w+)\}|\$(\w+)')


@dataclass(frozen=True)
class Notebook:
    """A notebook's code.

    Attributes:
      path: the file.
      source: the code of all cells, with one empty line after each.
      cells: the number and the first line in `source` of each code cell.
    """

    path: str
    source: str
    cells: tuple[tuple[int, int], ...]

    def location(self, line: int) -> tuple[int, int]:
        """Return the cell of a line of `source`, counted from 1, and the line in that cell."""
        number, first = next(cell for cell in reversed(self.cells) if cell[1] <= max(line, 1))
        return number, line - first + 1

    def split(self, tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
        """Split the syntax tree of `source` into the cells, each with a name for tracebacks."""
        bodies: dict[int, list[ast.stmt]] = {number: [] for number, _ in self.cells}
        for statement in tree.body:
            bodies[self.location(statement.lineno)[0]].append(statement)
        lines = self.source.splitlines(keepends=True)
        ends = [first for _, first in self.cells[1:]] + [len(lines) + 1]
        for (number, first), end in zip(self.cells, ends, strict=True):
            cell = ast.Module(bodies[number], [])
            ast.increment_lineno(cell, 1 - first)
            name = f'{self.path}, cell {number}'
            linecache.cache[name] = (0, None, lines[first - 1:end - 1], name)  # for tracebacks
            yield name, cell


def is_notebook(path: str) -> bool:
    """Whether a path is of a notebook, by its name."""
    return path.endswith('.ipynb')


def read(path: str, content: bytes, allow_shell: bool) -> Notebook:
    """Read a notebook.

    Args:
      path: the file, for messages.
      content: what is in it.
      allow_shell: whether lines such as `!ls` run.

    Raises:
      InceptionSlimError: it is no notebook, it has a magic that is not supported or a shell
        command that is not allowed, or nbformat is not installed.
    """
    try:
        import nbformat
    except ImportError:
        raise InceptionSlimError(
            f'{path} is a notebook, which needs nbformat; install it with: pip install '
            "'inception_slim[legacy]'") from None
    try:
        notebook = nbformat.reads(content.decode(), as_version=4)
        languages = notebook.metadata.get('kernelspec', {}).get('language', 'python')
        sources = [(number, cell.source) for number, cell in enumerate(notebook.cells, 1)
                   if cell.cell_type == 'code']
    except Exception as error:  # of many types: not JSON, not a notebook, another version
        raise InceptionSlimError(f'{path} is not a Jupyter notebook ({error}); give a notebook or '
                                 'a Python script.') from None
    if languages != 'python':
        raise InceptionSlimError(f'{path} is a notebook in {languages}, not in Python.')
    lines: list[str] = []
    cells = []
    for number, source in sources or [(1, '')]:
        cells.append((number, len(lines) + 1))
        lines += [*_python(source, f'{path}, cell {number}', allow_shell), '']
    return Notebook(path, '\n'.join(lines) + '\n', tuple(cells))


def _python(source: str, place: str, allow_shell: bool) -> list[str]:
    """The lines of a cell in plain Python."""
    lines = source.split('\n')
    try:
        ast.parse(source)
        return lines
    except (SyntaxError, ValueError):
        pass
    if lines[0].startswith('%%'):
        name, _, rest = lines[0][2:].partition(' ')
        if name in ('bash', 'sh'):
            return [_shell('', '', '\n'.join(lines[1:]), f'{place}, line 1', allow_shell)]
        if name not in ('time', 'capture', 'prun'):
            raise _unsupported(f'%%{name}', f'{place}, line 1')
        return ['', *_python('\n'.join(lines[1:]), place, allow_shell)]
    return [_line(line, f'{place}, line {number}', allow_shell)
            for number, line in enumerate(lines, 1)]


def _line(line: str, place: str, allow_shell: bool) -> str:
    magic, shell = _LINE_MAGIC.fullmatch(line), _SHELL.fullmatch(line)
    if shell:
        return _shell(shell['indent'], shell['target'] or '', shell['command'], place, allow_shell)
    if _HELP.fullmatch(line):
        return ''
    if not magic:
        return line
    indent, name, rest = magic['indent'], magic['name'], magic['rest']
    if name in _IGNORED:
        return indent + 'pass'
    if name == 'time':
        return indent + (rest or 'pass')
    if name == 'cd':
        return f'{indent}__import__("os").chdir({rest.strip()!r})'
    if name in ('env', 'set_env'):
        variable, _, value = rest.partition('=' if '=' in rest else ' ')
        return f'{indent}__import__("os").environ[{variable.strip()!r}] = {value.strip()!r}'
    if name == 'pylab':
        return f'{indent}import numpy as np; from pylab import *'
    raise _unsupported(f'%{name}', place)


def _unsupported(magic: str, place: str) -> InceptionSlimError:
    return InceptionSlimError(f'{place}: the magic {magic} is not supported in a script; delete it '
                              'or run the notebook in Jupyter after %load_ext '
                              'inception_slim.legacy.')


def _shell(indent: str, target: str, command: str, place: str, allow_shell: bool) -> str:
    if not allow_shell:
        raise InceptionSlimError(f'{place}: !{command.strip()} is a shell command; delete it, or '
                                 'allow all of them with --allow-shell.')
    call = f'__legacy_shell__({command!r}, globals(), {bool(target)})'
    return f'{indent}{target} = {call}' if target else indent + call


def run_shell(command: str, names: Mapping[str, Any], capture: bool) -> list[str] | None:
    """Run a shell command with the values of `{name}` and `$name`, as IPython does.

    Args:
      command: the command.
      names: the variables of the notebook.
      capture: whether to return the lines of its output instead of showing them.
    """
    command = _VARIABLE.sub(
        lambda match: str(names.get(match[1] or match[2], match[0])), command)
    result = subprocess.run(command, shell=True, text=True,
                            stdout=subprocess.PIPE if capture else None)
    return result.stdout.splitlines() if capture else None
