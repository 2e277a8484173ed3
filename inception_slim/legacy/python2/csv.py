"""`csv` of Python 2, whose files are open for bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import csv
from csv import *  # noqa: F403
from csv import field_size_limit  # noqa: F401
from typing import Any


class _Encoder:
    """A file that encodes the text that it is given if the file behind it takes bytes only."""

    def __init__(self, file: Any):
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except TypeError:
            self._file.write(text.encode())


def _decoded(lines: Iterable[str | bytes]) -> Iterator[str]:
    return (line.decode('utf-8', 'surrogateescape') if isinstance(line, bytes) else line
            for line in lines)


def reader(  # type: ignore[no-redef]
        lines: Iterable[str | bytes], *args: Any, **options: Any) -> Any:
    """`csv.reader` of text or bytes."""
    return csv.reader(_decoded(lines), *args, **options)


def writer(  # type: ignore[no-redef]
        file: Any, *args: Any, **options: Any) -> Any:
    """`csv.writer` to a file that is open for text or bytes."""
    return csv.writer(_Encoder(file), *args, **options)


class DictReader(csv.DictReader):  # type: ignore[no-redef]
    """`csv.DictReader` of text or bytes."""

    def __init__(self, lines: Iterable[str | bytes], *args: Any, **options: Any):
        super().__init__(_decoded(lines), *args, **options)


class DictWriter(csv.DictWriter):  # type: ignore[no-redef]
    """`csv.DictWriter` to a file that is open for text or bytes."""

    def __init__(self, file: Any, *args: Any, **options: Any):
        super().__init__(_Encoder(file), *args, **options)
