"""Names that Python's standard library has lost since Python 3.7 or 2.7, for scripts only.

Those of Python 2 are here as well where a module keeps its name; `python2.runtime` lists the
modules that have been renamed.
"""

from __future__ import annotations

import base64
import collections.abc
from collections.abc import Callable, Mapping
import errno
import inspect
import io
import itertools
import math
import os
import string
import time
import urllib.parse
import urllib.request


def _getargspec(function: Callable) -> tuple:
    """`inspect.getargspec`: names of the arguments, of `*args` and `**kwargs`, and the defaults."""
    spec = inspect.getfullargspec(function)
    return _ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


_ArgSpec = collections.namedtuple('_ArgSpec', 'args varargs keywords defaults')
_ArgSpec.__name__ = 'ArgSpec'


def _of_numbers(function: Callable) -> Callable:
    """A function of `math` that also takes arrays of one element, as before NumPy 2.4."""

    def call(*values):
        try:
            return function(*values)
        except TypeError:
            if any(getattr(value, 'size', 1) != 1 for value in values):
                raise
            return function(*(value.item() if hasattr(value, 'item') else value
                              for value in values))

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    return call


def _names(module: object, names: str) -> dict[str, object]:
    return {name: getattr(module, name) for name in names.split()}


# Module -> its names of then.
NAMES: Mapping[str, Mapping[str, object]] = {
    'base64': {'encodestring': base64.encodebytes, 'decodestring': base64.decodebytes},
    'collections': {name: getattr(collections.abc, name) for name in collections.abc.__all__},
    'fractions': {'gcd': math.gcd},
    'inspect': {'getargspec': _getargspec},
    'itertools': {'izip': zip, 'imap': map, 'ifilter': filter,
                  'izip_longest': itertools.zip_longest, 'ifilterfalse': itertools.filterfalse},
    'math': {name: _of_numbers(value) for name, value in vars(math).items()
             if callable(value) and not name.startswith('_')},
    'os': {'errno': errno, 'getcwdu': os.getcwd},
    'string': {
        'letters': string.ascii_letters, 'lowercase': string.ascii_lowercase,
        'uppercase': string.ascii_uppercase, 'maketrans': str.maketrans, 'atoi': int, 'atol': int,
        'atof': float, 'join': lambda words, sep=' ': sep.join(words),
        'joinfields': lambda words, sep=' ': sep.join(words), 'splitfields': str.split,
        **{name: getattr(str, name) for name in (
            'upper', 'lower', 'split', 'strip', 'lstrip', 'rstrip', 'replace', 'zfill', 'find',
            'count', 'capitalize', 'ljust', 'rjust', 'center')}},
    'time': {'clock': time.process_time},
    'types': {
        'StringType': str, 'UnicodeType': str, 'StringTypes': (str,), 'ListType': list,
        'TupleType': tuple, 'DictType': dict, 'DictionaryType': dict, 'IntType': int,
        'LongType': int, 'FloatType': float, 'ComplexType': complex, 'BooleanType': bool,
        'NoneType': type(None), 'ObjectType': object, 'TypeType': type, 'FileType': io.IOBase,
        'BufferType': memoryview, 'SliceType': slice, 'XRangeType': range},
    'urllib': {**_names(urllib.request, 'urlretrieve urlopen'),
               **_names(urllib.parse, 'urlencode quote unquote quote_plus unquote_plus')},
}
