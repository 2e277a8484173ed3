"""Lists and tables of file names, written so that any name survives: line breaks, other encodings.

A list beside an array is JSON lines: one string per line, in which a byte that is not UTF-8 is a
lone surrogate, as in `os.fsdecode`. CSV and Parquet hold valid UTF-8 only, so there such a byte is
`\\xff` with its hexadecimal digits; see `escape_name`.
"""

from __future__ import annotations

from collections.abc import Iterable
import csv
import io
import json
import os
import re
from typing import Any, BinaryIO

from inception_slim._optional import require
from inception_slim.data import filesystem
from inception_slim.errors import DatasetError

_ESCAPE = re.compile(r'\\x([0-9a-f]{2})')
_NAME_COLUMNS = ('name', 'image')


def escape_name(name: str) -> str:
    """Returns a file name as valid UTF-8; `unescape_name` reverses it.

    A byte that is not UTF-8 becomes `\\xff`, with its hexadecimal digits. A backslash that would
    then read as one becomes `\\x5c`; all other characters, also control characters, stay.
    """
    name = _ESCAPE.sub(r'\\x5cx\1', name)
    return os.fsencode(name).decode('utf-8', 'backslashreplace')


def unescape_name(text: str) -> str:
    """Returns the file name, as `os.fsdecode` gives it, that `escape_name` was given."""
    encoded = re.sub(_ESCAPE.pattern.encode(), lambda match: bytes.fromhex(match[1].decode()),
                     text.encode())
    return os.fsdecode(encoded)


def write_names(file: BinaryIO, names: Iterable[str]) -> None:
    """Writes a list of file names as JSON lines."""
    file.writelines(json.dumps(name).encode() + b'\n' for name in names)


def to_csv_line(row: Iterable[Any]) -> bytes:
    """Returns a row of a CSV table, whose strings are escaped by `escape_name`."""
    line = io.StringIO()
    # csv quotes the characters of its line terminator: with '\r\n' both, with '\n' no '\r'.
    csv.writer(line, lineterminator='\r\n').writerow(
        escape_name(value) if isinstance(value, str) else value for value in row)
    return line.getvalue()[:-2].encode() + b'\n'


def read_names(path: str | os.PathLike) -> list[str]:
    """Reads a list of file names that this package wrote.

    Args:
      path: a list beside an array (`.jsonl`, or `.txt` of earlier versions, which has a name per
        line), or a table with a column `name` or `image`: a `.csv`, or a `.parquet` of `bulk`.

    Returns:
      The names in order, as `os.fsdecode` gives them; `os.fsencode` returns their bytes.

    Raises:
      DatasetError: the file cannot be read, or is no such list.

    Example:
      >>> import os, tempfile
      >>> from inception_slim import data
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = os.path.join(folder, 'features.jsonl')
      ...     with open(path, 'w') as file:
      ...         _ = file.write('"a.png"\\n"line\\\\nbreak.png"\\n')
      ...     data.read_names(path)
      ['a.png', 'line\\nbreak.png']
    """
    path = os.fsdecode(path)
    if path.endswith('.parquet'):
        with filesystem.wrap_io_errors(path):
            table = require('pyarrow.parquet', 'Reading Parquet', DatasetError, extra='bulk')
            return [unescape_name(name)
                    for name in table.read_table(path, columns=['name'])['name'].to_pylist()]
    with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
        content = file.read()
    try:
        if path.endswith('.jsonl'):
            names = [json.loads(line) for line in content.splitlines()]
            if all(isinstance(name, str) for name in names):
                return names
        elif path.endswith('.csv'):
            header, *rows = csv.reader(io.StringIO(content.decode(), newline=''))
            column = next(header.index(name) for name in _NAME_COLUMNS if name in header)
            return [unescape_name(row[column]) for row in rows]
        else:
            return [os.fsdecode(line) for line in content.split(b'\n')[:-1]]
    except (ValueError, IndexError, StopIteration, csv.Error):
        pass
    raise DatasetError(f'{path} is not a list of file names; give a file that features, bulk, '
                       'classify or evaluate wrote.')
