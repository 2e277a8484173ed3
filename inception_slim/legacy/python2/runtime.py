"""What scripts of Python 2 import: removed names and methods, `print`, `/`, `open` and others.

`translation` and `import_hook` insert the imports of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import decimal
import functools
import importlib
import math
import operator
import sys
from typing import Any
import weakref

# Scripts import these.
from inception_slim.legacy._tf1_namespace import script_import  # noqa: F401
from inception_slim.legacy.numpy_names import (
    format_text as __legacy_format__,  # noqa: F401
    number_of as __legacy_number__,  # noqa: F401
)
from inception_slim.legacy.python2.files import open as __legacy_open__  # noqa: F401
import numpy as np

xrange = range
unicode = basestring = str
long = int
unichr = chr
raw_input = input
reduce = functools.reduce
reload = importlib.reload
intern = sys.intern
buffer = memoryview

# Name in a script -> name in this module.
NAMES = {**{name: name for name in (
    'xrange', 'unicode', 'basestring', 'long', 'unichr', 'raw_input', 'reduce', 'reload', 'intern',
    'buffer', 'cmp')},
    '__import__': 'script_import'}
# The same for translated files, whose functions of these names behave otherwise in Python 2.
TRANSLATED_NAMES = {'open': '__legacy_open__', 'file': '__legacy_open__',
                    'round': '__legacy_round__', 'sorted': '__legacy_sorted__'}
METHODS = {'iteritems', 'itervalues', 'iterkeys', 'has_key', 'tostring', 'decode', 'ptp', 'itemset',
           'newbyteorder'}
MODULES = {'cPickle': f'{__package__}.pickle', 'StringIO': f'{__package__}.files',
           'cStringIO': f'{__package__}.files', 'Queue': 'queue', 'ConfigParser': 'configparser',
           'urllib2': 'urllib.request',
           'urlparse': 'urllib.parse', 'commands': 'subprocess', '__builtin__': 'builtins',
           'httplib': 'http.client', 'HTMLParser': 'html.parser', 'cookielib': 'http.cookiejar',
           'Tkinter': 'tkinter', 'copy_reg': 'copyreg', 'thread': '_thread',
           'SocketServer': 'socketserver', 'BaseHTTPServer': 'http.server',
           'xmlrpclib': 'xmlrpc.client', 'anydbm': 'dbm'}
# The same for translated files.
TRANSLATED_MODULES = {name: f'{__package__}.{name}' for name in ('pickle', 'csv', 'random')}


def cmp(left: Any, right: Any) -> int:
    """Compare as `cmp` of Python 2: -1, 0 or 1."""
    return (left > right) - (left < right)


def _itemset(array: Any, *arguments: Any) -> None:
    *index, value = arguments
    if len(index) == 1 and not isinstance(index[0], tuple):
        array.flat[index[0]] = value
    else:
        array[tuple(index[0]) if index and isinstance(index[0], tuple) else tuple(index)] = value


# The methods that NumPy 2 has removed from its arrays.
_ARRAY_METHODS: dict[str, Callable] = {
    'tostring': lambda array, *order: array.tobytes(*order), 'itemset': _itemset,
    'ptp': lambda array, *axis, **options: np.ptp(array, *axis, **options),
    'newbyteorder': lambda array, *order: array.view(array.dtype.newbyteorder(*order)),
}


def __legacy_method__(value: object, name: str):
    """Return `value.name`, or its replacement if Python 3 or NumPy 2 removed that method."""
    try:
        return getattr(value, name)
    except AttributeError:
        if hasattr(value, '__array__') and name in _ARRAY_METHODS:
            return functools.partial(_ARRAY_METHODS[name], value)
        if name == 'decode' and isinstance(value, str):  # text and bytes were one type
            return lambda *codec: value
        if isinstance(value, Mapping):
            if name == 'has_key':
                return value.__contains__
            if name.startswith('iter'):
                return lambda: iter(getattr(value, name[len('iter'):])())
        raise



# Files whose last `print` ended with a comma, so that the next one starts with a space.
_space_first: weakref.WeakSet = weakref.WeakSet()


def __legacy_print__(*values: object, sep: str = ' ', end: str = '\n', file=None) -> None:
    """Print as the statement of Python 2: soft spaces after a comma, floats with 12 digits."""
    file = file or sys.stdout

    def format_value(value: object) -> str:
        if type(value) is not float:
            return str(value)
        text = f'{value:.12g}'
        return text if set(text) & set('.en') else text + '.0'

    line = sep.join(map(format_value, values))
    if file in _space_first and line:
        line = ' ' + line
    _space_first.discard(file)
    file.write(line + ('' if end == ' ' else end))
    ends_with_space = isinstance(values[-1] if values else '', str) and line[-1:].isspace()
    if end == ' ' and not (ends_with_space and line[-1] != ' '):
        _space_first.add(file)


def __legacy_divide__(left: Any, right: Any, in_place: bool = False) -> Any:
    """`left / right` of Python 2, or `left /= right`: integers are divided rounding down."""
    def is_integer(value: object) -> bool:
        return isinstance(value, (int, np.integer)) or (
            isinstance(value, np.ndarray) and value.dtype.kind in 'iu')

    integers = is_integer(left) and is_integer(right)
    if in_place and isinstance(left, np.ndarray):
        return operator.ifloordiv(left, right) if integers else operator.itruediv(left, right)
    if integers:
        return left // right
    divide = getattr(type(left), '__div__', None)  # tensors define Python 2's operator
    if divide is not None:
        return divide(left, right)
    divide = getattr(type(right), '__rdiv__', None)
    return divide(right, left) if divide is not None else left / right


def __legacy_round__(number: Any, digits: int = 0) -> float:
    """`round` of Python 2: a float, halves away from zero."""
    if not math.isfinite(number):
        return float(number)
    unit = decimal.Decimal(1).scaleb(-digits)
    return float(decimal.Decimal(float(number)).quantize(
        unit, decimal.ROUND_HALF_UP, decimal.Context(prec=400)))


def __legacy_sorted__(iterable: Iterable, cmp: Callable | None = None, key: Callable | None = None,
                      reverse: bool = False) -> list:
    """`sorted` of Python 2, whose second argument compares two items."""
    return sorted(iterable, key=_sort_key(cmp, key), reverse=reverse)


def __legacy_sort__(items: Any, *args: Any, **options: Any) -> Any:
    """`items.sort(...)` of Python 2."""
    if not isinstance(items, list):
        return items.sort(*args, **options)  # an array, or a class of the script

    def sort(cmp=None, key=None, reverse=False):
        items.sort(key=_sort_key(cmp, key), reverse=reverse)

    return sort(*args, **options)


def _sort_key(compare: Callable | None, key: Callable | None) -> Callable | None:
    if compare is None:
        return key
    compare_key = functools.cmp_to_key(compare)
    return compare_key if key is None else lambda item: compare_key(key(item))
