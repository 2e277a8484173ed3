"""Paths of data: of this machine, and of what else `tf.io.gfile` opens.

With a scheme, such as `gs://`, TensorFlow's filesystems are asked; without one, the system, whose
errors say more.
"""

from __future__ import annotations

import os
from typing import IO

import tensorflow.compat.v1 as tf


def is_remote(path: str | os.PathLike) -> bool:
    return '://' in os.fspath(path)


def _asked(function, *arguments):
    """What a filesystem of TensorFlow answers; its errors as the system's."""
    try:
        return function(*arguments)
    except tf.errors.OpError as error:
        raise OSError(0, error.message.splitlines()[0].rstrip('.')) from None


def exists(path: str) -> bool:
    return _asked(tf.io.gfile.exists, path) if is_remote(path) else os.path.exists(path)


def is_dir(path: str) -> bool:
    return _asked(tf.io.gfile.isdir, path) if is_remote(path) else os.path.isdir(path)


def is_file(path: str) -> bool:
    return exists(path) and not is_dir(path) if is_remote(path) else os.path.isfile(path)


def size(path: str) -> int:
    return _asked(tf.io.gfile.stat, path).length if is_remote(path) else os.path.getsize(path)


def listdir(folder: str) -> list[str]:
    if not is_remote(folder):
        return os.listdir(folder)
    # Stores of objects name folders with a slash at their end.
    return [name.rstrip('/') for name in _asked(tf.io.gfile.listdir, folder)]


def open_binary(path: str) -> IO[bytes]:
    if is_remote(path):
        file = tf.io.gfile.GFile(path, 'rb')
        _asked(file.size)  # which opens it
        return file
    return open(path, 'rb')
