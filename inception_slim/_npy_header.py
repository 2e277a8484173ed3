"""The header of a .npy file, or of a member of an .npz file, read without the array."""

from __future__ import annotations

from typing import IO

import numpy as np


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads the header of an array, up to its first value.

    Args:
      file: at its start.

    Returns:
      The shape, whether the order is Fortran's, and the dtype.

    Raises:
      ValueError: the file does not start with such a header.
    """
    version = np.lib.format.read_magic(file)
    read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
            else np.lib.format.read_array_header_2_0)
    return read(file)
