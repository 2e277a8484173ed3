"""Lists of image files: text files with a path in each line; tables of paths and labels."""

from __future__ import annotations

import csv
import io
import os

from inception_slim._optional import require
from inception_slim._special_files import is_inherited_stream
from inception_slim.data import filesystem
from inception_slim.data.name_list import unescape_name
from inception_slim.errors import DatasetError

LIST_SUFFIXES = ('.txt', '.lst', '.list')
TABLE_SUFFIXES = ('.csv', '.parquet')
_PATH_COLUMNS = ('path', 'file', 'filename', 'image')
_LABEL_COLUMNS = ('label', 'class')


def is_image_list(path: str) -> bool:
    """Whether a file is a list of images, by its name."""
    return path.lower().endswith((*LIST_SUFFIXES, *TABLE_SUFFIXES))


def is_table(path: str) -> bool:
    """Whether a file is a table of images, by its name; an open descriptor is read as CSV."""
    return path.lower().endswith(TABLE_SUFFIXES) or is_inherited_stream(path)


def folder_of(path: str) -> str:
    """The folder that the paths in a list are relative to."""
    return '' if is_inherited_stream(path) else os.path.dirname(path)


def read_image_list(path: str) -> tuple[list[str], list[str] | None]:
    """Reads a list of images.

    Args:
      path: a text file with a path or URL in each line; or a table, whose name ends in .csv or
        .parquet, with a column named path, file, filename or image, and maybe one named label or
        class. A CSV table names its columns in the first line.

    Returns:
      The paths, and their labels, None without such a column. A path is relative to the folder of
      the list; of an open descriptor, such as `/dev/stdin`, to the working directory.

    Raises:
      DatasetError: it cannot be read, or has no paths.
    """
    labels = None
    if path.lower().endswith('.parquet'):
        names, labels = _read_parquet(path)
    elif is_table(path):
        names, labels = _read_csv(path, _read(path))
    else:
        content = _read(path)
        names = [os.fsdecode(line) for line in split_lines(content) if line.strip()]
    if not names:
        raise DatasetError(f'{path} lists no images; write the path of an image in each line.')
    folder = folder_of(path)
    return [name if filesystem.is_remote(name) else os.path.join(folder, name)
            for name in names], labels


def _read(path: str) -> bytes:
    with filesystem.wrap_io_errors(path), filesystem.open_binary(path) as file:
        return file.read()


def split_lines(content: bytes) -> list[bytes]:
    """Splits a list of paths, which ends each with NUL if it is of `find -print0`."""
    if b'\0' in content:
        return content.split(b'\0')
    return content.replace(b'\r\n', b'\n').split(b'\n')


def _read_parquet(path: str) -> tuple[list[str], list[str] | None]:
    parquet = require('pyarrow.parquet', f'Reading {path}', DatasetError, extra='bulk')
    with filesystem.wrap_io_errors(path), filesystem.open_binary(path) as file:
        table = parquet.ParquetFile(file)
        columns = table.schema_arrow.names
        path_column, label_column = _find_columns(path, columns)
        chosen = [columns[path_column], *([] if label_column is None else [columns[label_column]])]
        values = [column.to_pylist() for column in table.read(columns=chosen).select(chosen)]
    for name, column in zip(chosen, values):
        if not all(isinstance(value, (str, int)) for value in column):
            raise DatasetError(f'{path} has values in the column {name} that are no '
                               f'{"paths" if column is values[0] else "labels"}; bulk reads images '
                               'that are in a Parquet file.')
    names = [unescape_name(str(name)) for name in values[0]]
    return names, None if label_column is None else [str(label) for label in values[1]]


def _find_columns(path: str, names: list[str]) -> tuple[int, int | None]:
    """The positions of the columns of the paths and of the labels."""
    columns = [name.strip().lower() for name in names]
    path_column = next((columns.index(name) for name in _PATH_COLUMNS if name in columns), None)
    if path_column is None:
        raise DatasetError(f'{path} has the columns {", ".join(columns)}; name that of the paths '
                           f'one of {", ".join(_PATH_COLUMNS)}.')
    return path_column, next(
        (columns.index(name) for name in _LABEL_COLUMNS if name in columns), None)


def _read_csv(path: str, content: bytes) -> tuple[list[str], list[str] | None]:
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode('utf-8-sig'), newline=''),
                                          strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f'{path} cannot be read as CSV ({error}); write it as UTF-8, separated '
                           'by commas.') from None
    columns = rows[0] if rows else []
    path_column, label_column = _find_columns(path, columns)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise DatasetError(f'{path}, row {number}, has {len(row)} columns, but the first has '
                               f'{len(columns)}.')
    names = [unescape_name(row[path_column]) for row in rows[1:]]
    labels = None if label_column is None else [row[label_column].strip() for row in rows[1:]]
    return names, labels
