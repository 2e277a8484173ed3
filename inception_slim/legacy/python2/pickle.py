"""`pickle` and `cPickle` of Python 2, which load what Python 2 wrote from any open file."""

from __future__ import annotations

import pickle
from pickle import (
    HIGHEST_PROTOCOL,
    PickleError,
    Pickler,
    PicklingError,
    Unpickler,
    UnpicklingError,
)
from typing import Any

from inception_slim.legacy.python2.files import binary_file

__all__ = ['HIGHEST_PROTOCOL', 'PickleError', 'Pickler', 'PicklingError', 'Unpickler',
           'UnpicklingError', 'dump', 'dumps', 'load', 'loads']

# A `str` of Python 2 becomes text of the same length, whatever its bytes are, so that arrays load.
_ENCODING = 'latin1'


def load(file: object, **options: Any) -> Any:
    """Load a pickle from a file that is open for bytes or text."""
    return pickle.load(binary_file(file), **{'encoding': _ENCODING, **options})


def loads(data: bytes | str, **options: Any) -> Any:
    """Load a pickle from bytes, or from text as protocol 0 writes it."""
    return pickle.loads(data.encode(_ENCODING) if isinstance(data, str) else data,
                        **{'encoding': _ENCODING, **options})


def dump(value: object, file: object, protocol: int = 0) -> None:
    """Write a pickle to a file that is open for bytes or text."""
    pickle.dump(value, binary_file(file), protocol)


def dumps(value: object, protocol: int = 0) -> bytes:
    """Return a pickle."""
    return pickle.dumps(value, protocol)
