"""Parquet files with a column of encoded images, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
from typing import Any

from inception_slim.data.filesystem import is_remote, open_filesystem, wrap_io_errors
from inception_slim.errors import DatasetError

_ROWS = 16  # read at a time
_BUFFER = 2**20


@dataclass(frozen=True)
class Columns:
    """Those of the bytes of the images and of their names; None where they are not given."""

    image: str | None = None
    name: str | None = None


def require_pyarrow(what: str = 'Parquet', instead: str = '') -> Any:
    """The package, or a sentence that says what needs it, and what would not."""
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DatasetError(f'{what} needs pyarrow: pip install "inception_slim[bulk]"{instead}.'
                           ) from None
    return pyarrow


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    arrow = require_pyarrow(f'To read {path}')
    with contextlib.ExitStack() as stack:
        if is_remote(path):
            opened, inner = open_filesystem(path)
            with wrap_io_errors(path):
                source = stack.enter_context(opened.open(inner, 'rb'))
        else:
            source = path
        try:
            file = stack.enter_context(arrow.parquet.ParquetFile(
                source, buffer_size=_BUFFER, pre_buffer=False))
        except (arrow.ArrowException, OSError) as error:
            raise DatasetError(f'{path} cannot be read as Parquet: {_first(error)}.') from None
        yield file


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip('.')


def row_groups(path: str, rows: int, columns: Columns) -> Iterator[dict[str, Any]]:
    """A file in parts of whole row groups, each of no fewer rows than asked for if it can."""
    with _opened(path) as file:
        image = _image_column(path, file.schema_arrow, columns.image)
        if columns.name is not None:
            _checked(path, file.schema_arrow, columns.name)
        first_group, first_row, count = 0, 0, 0
        for group in range(file.num_row_groups):
            count += file.metadata.row_group(group).num_rows
            if count and (count >= rows or group + 1 == file.num_row_groups):
                yield {'groups': [first_group, group + 1], 'first': first_row, 'images': count,
                       'image': image, 'name': columns.name}
                first_group, first_row, count = group + 1, first_row + count, 0


def _checked(path: str, schema: Any, name: str) -> None:
    if schema.get_field_index(name) < 0:
        raise DatasetError(f'{path} has no column {name!r}; it has {", ".join(schema.names)}.')


def _image_column(path: str, schema: Any, wanted: str | None) -> str:
    """The column with the bytes: binary itself, or the field `bytes` of a structure."""
    types = require_pyarrow().types
    found = {}
    for field in schema:
        if types.is_struct(field.type) and field.type.get_field_index('bytes') >= 0:
            if _is_bytes(types, field.type.field('bytes').type):
                found[field.name] = f'{field.name}.bytes'  # as Hugging Face writes images
        elif _is_bytes(types, field.type):
            found[field.name] = field.name
    if wanted is not None:
        _checked(path, schema, wanted)
        if wanted not in found:
            raise DatasetError(f'The column {wanted!r} of {path} is {schema.field(wanted).type}, '
                               'not the bytes of images; name one that is.')
        return found[wanted]
    if len(found) != 1:
        having = f'the columns {", ".join(found)}' if found else 'no column'
        what = 'name one as image column' if found else 'give a file that has one'
        raise DatasetError(f'{path} has {having} of bytes; {what}.')
    return next(iter(found.values()))


def _is_bytes(types: Any, kind: Any) -> bool:
    return (types.is_binary(kind) or types.is_large_binary(kind)
            or types.is_fixed_size_binary(kind))


def read_rows(path: str, piece: dict[str, Any]) -> Iterator[tuple[str, bytes | None]]:
    """The name of each row of a piece, as `FILE#ROW` without a column for it, and its bytes."""
    column, name_column = piece['image'], piece['name']
    name, _, field = column.rpartition('.') if column.endswith('.bytes') else (column, '', '')
    number = piece['first']
    with _opened(path) as file:
        if field and name not in file.schema_arrow.names:  # a dot in its own name
            name, field = column, ''
        wanted = [column] if name_column is None else [column, name_column]
        for batch in file.iter_batches(_ROWS, row_groups=range(*piece['groups']),
                                       columns=wanted, use_threads=False):
            images = batch.column(name)
            if field:
                images = images.flatten()[images.type.get_field_index(field)]
            names = batch.column(name_column) if name_column is not None else None
            for row, image in enumerate(images):
                given = names[row].as_py() if names is not None else None
                yield (f'{piece["file"]}#{number}' if given is None else str(given),
                       image.as_py())
                number += 1
