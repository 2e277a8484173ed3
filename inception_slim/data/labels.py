"""Class names: reading and writing `labels.txt` and other label files, and ImageNet's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import functools
from importlib import resources
import json
import os
import re
from typing import Any
import warnings

from inception_slim._atomic_write import atomic_write
from inception_slim.data import filesystem
from inception_slim.errors import DatasetError, InceptionSlimError

LABELS = 'labels.txt'
IMAGENET = 'imagenet'
_RETRAIN_LABELS = ('retrained_labels.txt', 'output_labels.txt')  # as written by `retrain.py`
CLASSES_OF_2015 = 1008
_LARGEST_FILE = 2**26  # of labels

_NUMBER = r'(?P<number>[0-9]{1,9})'
# `0:daisy`, `23 : rose` and a tab always have a number; a space or comma only if all lines do.
_NUMBERED = re.compile(rf'{_NUMBER}\s*[:\t]\s*(?P<name>.*)')
_PERHAPS_NUMBERED = re.compile(rf'{_NUMBER}(?:\s*[,;=]\s*|\s+)(?P<name>\S.*)')
_ITEM = re.compile(r'item\s*\{([^{}]*)\}')
_ITEM_FIELD = re.compile(
    r"""(\w+)\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s,;]+))""")
_NOT_IN_A_LINE = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\\s|\\s$')
_WORDNET_ID = re.compile(r'n[0-9]{8}')


@functools.cache
def _imagenet() -> tuple[tuple[str, str, int], ...]:
    """The WordNet id, the name and the number in the networks of 2015 of each class."""
    text = resources.files(__package__).joinpath('imagenet.tsv').read_text('utf-8')
    classes = (line.split('\t') for line in text.splitlines())
    return tuple((synset, name, int(number)) for synset, name, number in classes)


def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Returns the WordNet ids and names of the 1,000 classes of ILSVRC 2012, sorted by id.

    This is the order of TF-Slim's checkpoints (after a background class), Keras and torchvision.
    The network of December 2015 has another order, see `inception_2015_labels`.

    Source: https://image-net.org/challenges/LSVRC/2012, named by the lemmas of WordNet 3.0.
    """
    return tuple((synset, name) for synset, name, _ in _imagenet())


def inception_2015_labels() -> list[str]:
    """Returns the names of the 1,008 classes of the network of December 2015, in its order.

    Class 0 is the background; the last seven are unused.

    Source: `imagenet_2012_challenge_label_map_proto.pbtxt` of `inception-2015-12-05.tgz`, which
    maps numbers to WordNet ids.
    """
    names = [f'unused {number}' for number in range(CLASSES_OF_2015)]
    names[0] = 'background'
    for _, name, number in _imagenet():
        names[number] = name
    return names


def read_labels(path: str | os.PathLike) -> list[str]:
    """Reads class names from a label file.

    Supported are lines such as `0:daisy` (also with spaces or a tab instead of the colon), one name
    per line, JSON (a list of names, `{"0": "daisy"}`, `{"0": ["n11939491", "daisy"]}` or
    `{"daisy": 0}`), and label maps of the TensorFlow Object Detection API
    (`item { id: 1 name: 'daisy' }`, where class 0 is the background). The text is UTF-8, or UTF-16
    with a byte-order mark, else Latin-1 with a warning.

    Args:
      path: the file; 'imagenet' stands for ImageNet's 1,000 names if there is no such file.

    Raises:
      DatasetError: the file cannot be read, is empty, or its numbering is unclear.

    Example:
      >>> from inception_slim import data
      >>> data.read_labels('tests/golden/legacy_scripts/labels.txt')[:2]
      ['rows', 'columns']
    """
    path = os.fsdecode(path)
    if path == IMAGENET and not filesystem.exists(path):
        return [name for _, name in imagenet_classes()]
    with filesystem.open_binary(path) as file, filesystem.wrap_io_errors(path):
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise DatasetError(f'{path} has more than {_LARGEST_FILE >> 20} MiB; give a file with a '
                           'class name per line.')
    text = _decode(path, content)
    if not text.strip():
        raise DatasetError(f'{path} is empty; write the class names to it, in lines such as '
                           '0:daisy.')
    if path.lower().endswith('.json') or re.match(r'\s*(\{\s*["}]|\[\s*["\[\]])', text):
        return _parse_json(path, text)
    if re.match(r'(\s*#[^\n]*\n)*\s*\w+\s*\{', text):
        return _parse_label_map(path, text)
    return _parse_lines(path, text)


def _decode(path: str, content: bytes) -> str:
    try:
        encoding = 'utf-16' if content[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode('latin-1')
        if not re.search(r'[\x00-\x08\x0e-\x1f]', text):
            warnings.warn(f'{path} is not UTF-8; it is read as Latin-1.', stacklevel=3)
    if re.search(r'[\x00-\x08\x0e-\x1f]', text):
        raise DatasetError(f'{path} is not a text file; give a file with a class name per line.')
    return text


def _parse_lines(path: str, text: str) -> list[str]:
    lines = [line.strip() for line in re.split(r'\r\n|\r|\n', text)]
    while not lines[-1]:
        lines.pop()
    filled = [line for line in lines if line]
    numbered = [match for line in filled if (match := _NUMBERED.fullmatch(line))]
    if len(numbered) < len(filled):
        if numbered:
            unnumbered = next(line for line in filled if not _NUMBERED.fullmatch(line))
            raise _unclear(path, f'{numbered[0][0]!r} has a number and {unnumbered!r} has none')
        numbered = [match for line in filled if (match := _PERHAPS_NUMBERED.fullmatch(line))]
        if len(numbered) < len(filled):
            if len(filled) < len(lines):
                raise _unclear(path, f'line {lines.index("") + 1} is empty')
            return lines
    if len({match['number'] for match in numbered}) < len(numbered):
        raise _unclear(path, 'a number occurs twice')
    return _in_order(path, {int(match['number']): match['name'].strip() for match in numbered})


def _parse_json(path: str, text: str) -> list[str]:
    try:
        # Pairs instead of a dictionary, which would hide a number that occurs twice.
        content = json.loads(text, object_pairs_hook=lambda pairs: {'pairs': pairs})
    except (ValueError, RecursionError):
        raise DatasetError(f'{path} is not valid JSON; correct it, or write one class name per '
                           'line.') from None
    if isinstance(content, list):
        return [_json_name(path, name) for name in content] or _in_order(path, {})
    pairs = content['pairs'] if isinstance(content, dict) else []
    if all(type(value) is int for _, value in pairs):  # as in Keras's class_indices
        pairs = [(value, key) for key, value in pairs]
    names: dict[int, str] = {}
    for number, name in pairs:
        if not re.fullmatch('[0-9]{1,9}', str(number)):
            raise _unclear(path, f'{str(number)!r} is not a class number')
        if int(number) in names:
            raise _unclear(path, f'the number {number} occurs twice')
        names[int(number)] = _json_name(path, name)
    return _in_order(path, names)


def _json_name(path: str, value: Any) -> str:
    if isinstance(value, list) and len(value) == 2 and (
            isinstance(value[0], str) and _WORDNET_ID.fullmatch(value[0])):
        value = value[1]
    if not isinstance(value, str):
        raise _unclear(path, f'{json.dumps(value)[:60]} is not a class name')
    return value


def _parse_label_map(path: str, text: str) -> list[str]:
    text = re.sub(r'^\s*#[^\n]*$', '', text, flags=re.MULTILINE)
    rest = _ITEM.sub('', text).strip()
    if rest:
        raise _unclear(path, f'a label map has only "item {{ id: 1 name: \'daisy\' }}", not '
                       f'{rest.split(chr(10))[0][:40]!r}')
    names: dict[int, str] = {}
    for item in _ITEM.findall(text):
        fields = {key: double or single or plain
                  for key, double, single, plain in _ITEM_FIELD.findall(item)}
        number, name = fields.get('id', ''), fields.get('display_name') or fields.get('name')
        if not re.fullmatch('[0-9]{1,9}', number) or not name:
            raise _unclear(path, f'the item {" ".join(item.split())!r} has no id or no name')
        if int(number) in names:
            raise _unclear(path, f'the id {number} occurs twice')
        names[int(number)] = re.sub(r'\\(["\'\\])', r'\1', name)
    if 0 not in names:
        names[0] = 'background'  # ids start at 1 and class 0 is reserved for it
    return _in_order(path, names)


def _in_order(path: str, names: Mapping[int, str]) -> list[str]:
    if not names:
        raise DatasetError(f'{path} is empty; write the class names to it, in lines such as '
                           '0:daisy.')
    missing = set(range(len(names))) - set(names)
    if missing:
        raise _unclear(path, f'it has {len(names)} classes, but no class {min(missing)}')
    return [names[number] for number in range(len(names))]


def _unclear(path: str, problem: str) -> DatasetError:
    return DatasetError(f'The numbering of the classes in {path} is unclear: {problem[:200]}; '
                        'number them from 0 on, each once, in lines such as 0:daisy.')


def write_labels(path: str | os.PathLike, names: Iterable[str],
                 error: type[InceptionSlimError] = DatasetError) -> None:
    """Writes class names in the format of TF-Slim's tools: a line such as `0:daisy` for each class.

    The file is UTF-8 and is written atomically. If a name cannot stand in a line, because of a line
    break, another control character, a space at an end or a byte that is not UTF-8, the file is a
    JSON list, which `read_labels` reads too.

    Args:
      path: the file, usually `labels.txt` in the folder of a dataset or a checkpoint.
      names: the class names in the order of their numbers.
      error: the class of the exception.

    Raises:
      error: the file cannot be written.
    """
    names = list(names)
    with atomic_write(os.fsdecode(path), error) as file:
        if any(map(_NOT_IN_A_LINE.search, names)):
            file.write(json.dumps(names, indent=0).encode() + b'\n')
        else:
            file.writelines(f'{number}:{name}\n'.encode() for number, name in enumerate(names))


def find_labels_file(checkpoint: str, count: int | None) -> list[str] | None:
    """Reads `labels.txt`, or the file of `retrain.py`, in the folder of a checkpoint.

    Returns:
      The names; None if there is no such file with `count` names.
    """
    for name in (LABELS, *_RETRAIN_LABELS):
        path = os.path.join(os.path.dirname(checkpoint), name)
        if os.path.isfile(path):
            names = read_labels(path)
            if len(names) == count:
                return names
    return None
