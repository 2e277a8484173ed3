"""Paths that cannot be read like others: named pipes, sockets, devices, and names not in UTF-8.

Opening a named pipe waits for a writer, and the content of a device may never end.
"""

from __future__ import annotations

import os
import stat

from inception_slim.errors import InceptionSlimError

_KINDS = ((stat.S_ISFIFO, 'a named pipe'), (stat.S_ISSOCK, 'a socket'),
          (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'))


def special_kind(path: str | os.PathLike) -> str | None:
    """What a path is if it is no regular file, such as 'a named pipe'.

    Returns:
      None for a regular file, a folder, a URL, and a path that does not exist.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return next((kind for has_kind, kind in _KINDS if has_kind(mode)), None)


def check_utf8(path: str | os.PathLike, error: type[InceptionSlimError]) -> None:
    """Raises `error` if a path has bytes that are not UTF-8, for what TensorFlow has to open."""
    try:
        os.fsdecode(path).encode()
    except UnicodeEncodeError:
        raise error(f'{os.fsdecode(path)} is not UTF-8, so TensorFlow cannot open it; rename the '
                    'file or its folder.') from None


def is_inherited_stream(path: str | os.PathLike) -> bool:
    """Whether a path is an open descriptor: `/dev/stdin`, or what a shell makes of `<(command)`."""
    path = os.path.abspath(os.fsdecode(path))
    return path == '/dev/stdin' or os.path.dirname(path) in ('/dev/fd', '/proc/self/fd')


def check_regular(path: str | os.PathLike, error: type[InceptionSlimError],
                  allow_stream: bool = False) -> None:
    """Raises `error` if a path is a named pipe, a socket or a device.

    Args:
      path: the path; it need not exist.
      error: the class of the exception.
      allow_stream: accept an open descriptor, such as `/dev/stdin`: the caller reads it once, from
        its beginning to its end.
    """
    kind = special_kind(path)
    if kind is not None and not (allow_stream and is_inherited_stream(path)):
        raise error(f'{os.fsdecode(path)} is {kind}, which is not read; give a regular file.')
