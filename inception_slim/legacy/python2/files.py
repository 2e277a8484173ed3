"""Files and buffers as in Python 2, where text and bytes are one type."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
import io
import os
from typing import IO, Any


class Python2File:
    """A file that reads text where its content is UTF-8, else bytes, and that writes both.

    Args:
      file: a binary file.
      is_text: whether it was opened without 'b'; otherwise it reads bytes.
    """

    def __init__(self, file: IO[bytes], is_text: bool):
        self.binary = file
        self._is_text = is_text

    def _convert(self, data: bytes) -> str | bytes:
        if not self._is_text:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def read(self, *size: int) -> str | bytes:
        return self._convert(self.binary.read(*size))

    def readline(self, *size: int) -> str | bytes:
        return self._convert(self.binary.readline(*size))

    def readlines(self, *size: int) -> list[str | bytes]:
        return [self._convert(line) for line in self.binary.readlines(*size)]

    xreadlines = readlines

    def __iter__(self) -> Iterator[str | bytes]:
        return map(self._convert, self.binary)

    def __next__(self) -> str | bytes:
        return self._convert(next(self.binary))

    next = __next__

    def write(self, data: str | bytes) -> None:
        self.binary.write(data.encode() if isinstance(data, str) else data)

    def writelines(self, lines: Iterable[str | bytes]) -> None:
        for line in lines:
            self.write(line)

    def __enter__(self) -> Python2File:
        return self

    def __exit__(self, *error: object) -> None:
        self.binary.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.binary, name)


def open(name: str | bytes | os.PathLike | int, mode: str = 'r',
         buffering: int = -1) -> Python2File:
    """Open a file as `open` of Python 2."""
    plain_mode = ''.join(letter for letter in mode if letter not in 'btU')
    file = builtins.open(name, (plain_mode or 'r') + 'b', -1 if buffering == 1 else buffering)
    return Python2File(file, 'b' not in mode)


class StringIO(Python2File):
    """`StringIO.StringIO` and `cStringIO.StringIO` of Python 2, for text or bytes."""

    def __init__(self, initial: str | bytes = ''):
        data = initial.encode() if isinstance(initial, str) else initial
        super().__init__(io.BytesIO(data), isinstance(initial, str))

    def write(self, data: str | bytes) -> None:
        self._is_text = self._is_text and isinstance(data, str)
        super().write(data)

    def getvalue(self) -> str | bytes:
        return self._convert(self.binary.getvalue())  # type: ignore[attr-defined]


def binary_file(file: object) -> Any:
    """The binary file behind one that was opened as text, for readers of bytes."""
    if isinstance(file, Python2File):
        return file.binary
    return getattr(file, 'buffer', file)
