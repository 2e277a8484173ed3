"""Lists of image files: text files with a path in each line; tables of paths and labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
import io
import os
import re

from inception_slim._optional import require
from inception_slim._special_files import is_inherited_stream
from inception_slim.data import filesystem
from inception_slim.data.name_list import unescape_name
from inception_slim.errors import DatasetError

LIST_SUFFIXES = ('.txt', '.lst', '.list')
TABLE_SUFFIXES = ('.csv', '.parquet')
_PATH_COLUMNS = ('path', 'file', 'filename', 'image')
_LABEL_COLUMNS = ('label', 'class')
_LABEL_SET_COLUMNS = ('labels', 'classes')
_BINARY = {'0': False, '1': True, '0.0': False, '1.0': True, 'False': False, 'True': True}

LabelSet = tuple[str, ...]


@dataclass(frozen=True)
class ImageList:
    """The images of a list.

    Attributes:
      paths: relative to the folder of the list; of an open descriptor, such as `/dev/stdin`, to the
        working directory.
      labels: the class of each image; None without labels, or if `label_sets` has them.
      label_sets: the classes of each image, if these do not exclude each other; else None.
      class_names: the classes, if the list has a column for each; else None.
    """

    paths: list[str]
    labels: list[str] | None = None
    label_sets: list[LabelSet] | None = None
    class_names: list[str] | None = None


def is_image_list(path: str) -> bool:
    """Whether a file is a list of images, by its name."""
    return path.lower().endswith((*LIST_SUFFIXES, *TABLE_SUFFIXES))


def is_table(path: str) -> bool:
    """Whether a file is a table of images, by its name; an open descriptor is read as CSV."""
    return path.lower().endswith(TABLE_SUFFIXES) or is_inherited_stream(path)


def folder_of(path: str) -> str:
    """The folder that the paths in a list are relative to."""
    return '' if is_inherited_stream(path) else os.path.dirname(path)


def read_image_list(path: str) -> ImageList:
    """Reads a list of images.

    Args:
      path: a text file with a path or URL in each line; or a table, whose name ends in .csv or
        .parquet, with a column named path, file, filename or image, and maybe one named label or
        class. Several classes of an image are in a column named labels or classes, separated by
        `;` or `|`, or there is a column of 0 and 1 for each class and no other one. A CSV table
        names its columns in the first line.

    Raises:
      DatasetError: it cannot be read, or has no paths.
    """
    if path.lower().endswith('.parquet'):
        images = _read_parquet(path)
    elif is_table(path):
        images = _read_csv(path, _read(path))
    else:
        content = _read(path)
        images = ImageList([os.fsdecode(line) for line in split_lines(content) if line.strip()])
    if not images.paths:
        raise DatasetError(f'{path} lists no images; write the path of an image in each line.')
    folder = folder_of(path)
    return replace(images, paths=[name if filesystem.is_remote(name) else os.path.join(folder, name)
                                  for name in images.paths])


def _read(path: str) -> bytes:
    with filesystem.wrap_io_errors(path), filesystem.open_binary(path) as file:
        return file.read()


def split_lines(content: bytes) -> list[bytes]:
    """Splits a list of paths, which ends each with NUL if it is of `find -print0`."""
    if b'\0' in content:
        return content.split(b'\0')
    return content.replace(b'\r\n', b'\n').split(b'\n')


def _read_parquet(path: str) -> ImageList:
    parquet = require('pyarrow.parquet', f'Reading {path}', DatasetError, extra='bulk')
    types = require('pyarrow', f'Reading {path}', DatasetError, extra='bulk').types
    with filesystem.wrap_io_errors(path), filesystem.open_binary(path) as file:
        table = parquet.ParquetFile(file)
        schema = table.schema_arrow
        path_column, label_column = _find_columns(path, schema.names)
        names = [schema.names[path_column]]
        if label_column is not None:
            names.append(schema.names[label_column])
        else:  # those that may be a class
            names += [field.name for field in schema if field.name != names[0] and (
                types.is_boolean(field.type) or types.is_integer(field.type)
                or types.is_floating(field.type))]
        columns = {name: column.to_pylist()
                   for name, column in zip(names, table.read(columns=names).select(names))}
    for name in names[:1] if label_column is None else names:
        valid = (str, int, list) if name != names[0] and _is_set_column(name) else (str, int)
        if not all(isinstance(value, valid) for value in columns[name]):
            raise DatasetError(f'{path} has values in the column {name} that are no '
                               f'{"paths" if name == names[0] else "labels"}; bulk reads images '
                               'that are in a Parquet file.')
    # A column that was not read is no class.
    others = [name for name in schema.names if name.strip() and name not in columns]
    return _to_list(columns, names[0], None if label_column is None else names[1], not others)


def _find_columns(path: str, names: list[str]) -> tuple[int, int | None]:
    """The positions of the columns of the paths and of the labels."""
    columns = [name.strip().lower() for name in names]
    path_column = next((columns.index(name) for name in _PATH_COLUMNS if name in columns), None)
    if path_column is None:
        raise DatasetError(f'{path} has the columns {", ".join(columns)}; name that of the paths '
                           f'one of {", ".join(_PATH_COLUMNS)}.')
    return path_column, next((columns.index(name) for name in _LABEL_COLUMNS + _LABEL_SET_COLUMNS
                              if name in columns), None)


def _is_set_column(name: str) -> bool:
    return name.strip().lower() in _LABEL_SET_COLUMNS


def _read_csv(path: str, content: bytes) -> ImageList:
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode('utf-8-sig'), newline=''),
                                          strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f'{path} cannot be read as CSV ({error}); write it as UTF-8, separated '
                           'by commas.') from None
    names = rows[0] if rows else []
    path_column, label_column = _find_columns(path, names)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise DatasetError(f'{path}, row {number}, has {len(row)} columns, but the first has '
                               f'{len(names)}.')
    columns = {name: [row[position] for row in rows[1:]]
               for position, name in reversed(list(enumerate(names)))}
    return _to_list({name: columns[name] for name in names}, names[path_column],
                    None if label_column is None else names[label_column],
                    len(columns) == len(names))


def _to_list(columns: dict[str, list], path_column: str, label_column: str | None,
             may_have_classes: bool) -> ImageList:
    """A list from the columns of a table.

    Args:
      columns: the values by name.
      path_column: that of the paths.
      label_column: that of the labels; None without one.
      may_have_classes: whether the other columns may be one for each class.
    """
    paths = [unescape_name(str(name)) for name in columns[path_column]]
    if label_column is not None:
        values = columns[label_column]
        if not _is_set_column(label_column):
            return ImageList(paths, [str(value).strip() for value in values])
        return ImageList(paths, label_sets=[_parse_label_set(value) for value in values])
    # The index that pandas writes has no name.
    names = [name for name in columns if name != path_column and name.strip()]
    if len(names) < 2 or not may_have_classes or not all(
            str(value).strip() in _BINARY for name in names for value in columns[name]):
        return ImageList(paths)
    rows = zip(*([_BINARY[str(value).strip()] for value in columns[name]] for name in names))
    names = [name.strip() for name in names]
    return ImageList(paths, label_sets=[
        tuple(name for name, present in zip(names, row) if present) for row in rows],
        class_names=names)


def _parse_label_set(value: str | int | list) -> LabelSet:
    names = value if isinstance(value, list) else re.split('[;|]', str(value))
    return tuple(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))
