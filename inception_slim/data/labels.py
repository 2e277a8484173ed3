"""The names of classes, and the file that they stand in."""

from __future__ import annotations

from collections.abc import Iterable
import functools
from importlib import resources
import os
import re

from inception_slim._atomic_write import atomic_write
from inception_slim.data import filesystem
from inception_slim.errors import DatasetError, InceptionSlimError

LABELS = 'labels.txt'
IMAGENET = 'imagenet'


CLASSES_OF_2015 = 1008


@functools.cache
def _imagenet() -> tuple[tuple[str, str, int], ...]:
    """Of each class its WordNet id, its name and its number in the networks of 2015."""
    text = resources.files(__package__).joinpath('imagenet.tsv').read_text('utf-8')
    classes = (line.split('\t') for line in text.splitlines())
    return tuple((synset, name, int(number)) for synset, name, number in classes)


def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """The thousand classes of ILSVRC 2012: WordNet id and name, in the order of the ids.

    That is the order of TF-Slim's checkpoints, after a background class, and that of Keras and
    torchvision without one. The file of December 2015 has another, see `labels_of_2015`.

    Source: https://image-net.org/challenges/LSVRC/2012, named by the lemmas of WordNet 3.0.
    """
    return tuple((synset, name) for synset, name, _ in _imagenet())


def inception_2015_labels() -> list[str]:
    """The names of the 1,008 outputs of the network of December 2015, in its own order.

    Output 0 is the background, and the last seven stand for nothing.

    Source: `imagenet_2012_challenge_label_map_proto.pbtxt` of `inception-2015-12-05.tgz`, which
    gives WordNet ids their numbers.
    """
    names = [f'unused {number}' for number in range(CLASSES_OF_2015)]
    names[0] = 'background'
    for _, name, number in _imagenet():
        names[number] = name
    return names


def read_labels(file: str | os.PathLike) -> list[str]:
    """The names of classes: lines like `0:daisy`, or one name a line.

    Args:
      file: 'imagenet' stands for the names of ImageNet's thousand classes, if no file is so called.

    Raises:
      DatasetError: the file cannot be read, is empty, or numbers a class twice or none.

    Example:
      >>> from inception_slim import data
      >>> data.read_labels('tests/golden/legacy_scripts/labels.txt')[:2]
      ['rows', 'columns']
    """
    if file == IMAGENET and not filesystem.exists(file):
        return [name for _, name in imagenet_classes()]
    try:
        with filesystem.open_binary(os.fspath(file)) as opened:
            lines = [line.strip() for line in opened.read().decode('utf-8').splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not text'
        raise DatasetError(f'{file} cannot be read: {reason}.') from None
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DatasetError(f'{file} is empty; write the name of each class into it, in lines like '
                           '0:daisy.')
    numbered = [re.fullmatch(r'(\d+):(.*)', line) for line in lines if line]
    names = {int(match[1]): match[2].strip() for match in numbered if match}
    if not all(numbered):
        return lines
    if len(names) != len(numbered) or sorted(names) != list(range(len(names))):
        missing = min(set(range(len(numbered))) - set(names))
        raise DatasetError(f'{file} must number its {len(numbered)} classes from 0 on, each once, '
                           f'but has no class {missing}; correct it.')
    return [names[number] for number in range(len(names))]


def write_labels(path: str | os.PathLike, names: Iterable[str],
                 error: type[InceptionSlimError] = DatasetError) -> None:
    """Writes class names in the format of TF-Slim's tools: a line such as `0:daisy` for each class.

    The file is UTF-8 and is written atomically. A line break inside a name becomes a space.

    Args:
      path: the file, usually `labels.txt` in the folder of a dataset or a checkpoint.
      names: the class names in the order of their numbers.
      error: the class of the exception.

    Raises:
      error: the file cannot be written.
    """
    with atomic_write(os.fspath(path), error) as file:
        for number, name in enumerate(names):
            name = re.sub(r'[\r\n]+', ' ', name)
            file.write(f'{number}:{name}\n'.encode('utf-8', 'surrogateescape'))


def find_labels_file(checkpoint: str, count: int | None) -> list[str] | None:
    """The names in the `labels.txt` beside a checkpoint, if they are as many as its classes."""
    file = os.path.join(os.path.dirname(checkpoint), LABELS)
    if not os.path.isfile(file):
        return None
    names = read_labels(file)
    return names if len(names) == count else None
