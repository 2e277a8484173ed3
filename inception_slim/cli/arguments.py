"""What the commands share: the parser, arguments from options, image arguments and printing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Sequence
import dataclasses
import difflib
import glob
import itertools
import json
import os
import re
import sys
from typing import Any, NoReturn, Protocol, TextIO

from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.data.name_list import to_csv_line
from inception_slim.errors import DatasetError, printable
from inception_slim.options import check

CHECKPOINT_HELP = ('a checkpoint: its prefix, one of its files, its folder, or a file of another '
                   'format')
LABELS_HELP = ("the names of the classes: lines like 0:daisy, or one name a line; imagenet for "
               "ImageNet's (labels.txt beside the checkpoint)")
IMAGES_HELP = ('images, folders or archives (.zip, .tar) of images, lists of them (.txt, .csv, '
               '.parquet), URLs of these, quoted patterns, or - for a list of paths on standard '
               'input')

Run = Callable[[argparse.Namespace], int | None]


class AddCommand(Protocol):
    """Adds a command; the caller adds the command's own arguments to the returned parser."""

    def __call__(self, name: str, function: Run, help: str) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations of options; suggests what a misspelt option or choice may mean."""

    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, **settings)
        self.has_commands = False

    def add_subparsers(self, **settings: Any) -> Any:
        self.has_commands = True
        return super().add_subparsers(**settings)

    def parse_known_args(self, args: Sequence[str] | None = None,  # type: ignore[override]
                         namespace: argparse.Namespace | None = None) -> Any:
        # Before argparse can report what else is missing because of the misspelt option.
        for argument in itertools.takewhile(lambda argument: argument != '--', args or ()):
            name = argument.partition('=')[0]
            if self.has_commands and not name.startswith('-'):
                break
            if name.startswith('--') and name not in self._option_string_actions \
                    and ' ' not in argument:
                self.error(f'unrecognized option {name}'
                           + _suggestion(name, self._option_string_actions))
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(action, f'{value} is not a choice' + (
                _suggestion(str(value), choices) or f'; choose from {", ".join(choices)}'))

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            (file or sys.stderr).write(message)  # argparse's own ignores errors of writing

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {printable(message)}\nSee {self.prog} --help\n')


def _suggestion(word: str, words: Iterable[str]) -> str:
    similar = difflib.get_close_matches(word, list(words), n=1)
    return f'; did you mean {similar[0]}?' if similar else ''


def add_options(parser: argparse.ArgumentParser, kind: type,
                names: Collection[str] | None = None, *, only_given: bool = False) -> None:
    """Adds a command-line option for each field of an options dataclass that has a help text.

    Args:
      parser: the parser of a command.
      kind: the dataclass, whose fields `inception_slim.options.option` made.
      names: the fields to add; by default all.
      only_given: whether the parsed arguments have only those that were given, without defaults.
    """
    absent: dict[str, Any] = {'default': argparse.SUPPRESS} if only_given else {}
    for field in dataclasses.fields(kind):
        settings = field.metadata
        if not settings.get('text') or (names is not None and field.name not in names):
            continue
        flag = settings['flag'] or '--' + field.name.replace('_', '-')
        if isinstance(field.default, bool):
            parser.add_argument(flag, dest=field.name, help=settings['text'],
                                action='store_false' if field.default else 'store_true', **absent)
            continue
        if field.type == 'bool | None':
            parser.add_argument(flag, dest=field.name, help=settings['text'],
                                action=argparse.BooleanOptionalAction, **absent)
            continue
        default = '' if field.default in (None, ()) else f' ({field.default})'
        parse = settings['parse'] or (str if field.default is None else type(field.default))
        metavar = settings['metavar'] or ('X' if parse is float else 'N' if parse is int else None)
        parser.add_argument(flag, dest=field.name, **{'default': field.default, **absent},
                            type=_checked(parse, settings) if parse in (int, float) else parse,
                            choices=settings['choices'], metavar=metavar,
                            help=settings['text'] + default)


def _checked(parse: Callable[[str], Any], settings: Any) -> Callable[[str], Any]:
    """Parses a number and checks its range, so that one out of range is bad usage."""
    def parse_number(text: str) -> Any:
        value = parse(text)
        check('the value', value, settings, argparse.ArgumentTypeError)
        return value

    parse_number.__name__ = parse.__name__  # argparse names the type of a value that is no number
    return parse_number


positive_int = _checked(int, {'at_least': 1})


def options_of(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The values of an options dataclass's fields, as keyword arguments of the library."""
    return {field.name: getattr(arguments, field.name) for field in dataclasses.fields(kind)
            if hasattr(arguments, field.name)}


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument('--json', action='store_true', help='print the result as JSON')


def expand_images(arguments: Iterable[str]) -> list[str]:
    """Replaces patterns such as 'images/*.jpg' by the files, and `-` by standard input's lines.

    Raises:
      DatasetError: no file matches a pattern, or standard input names none.
    """
    from inception_slim.data.image_list import split_lines

    paths: list[str] = []
    for argument in arguments:
        if argument == '-':
            listed = [os.fsdecode(line) for line in split_lines(sys.stdin.buffer.read()) if line]
            if not listed:
                raise DatasetError('Standard input is empty; write the path of an image in each '
                                   'line.')
            paths += listed
        elif glob.has_magic(argument) and '://' not in argument and not os.path.exists(argument):
            matches = sorted(glob.glob(argument, recursive=True))
            if not matches:
                raise DatasetError(f'No file matches {argument}.')
            paths += matches
        else:
            paths.append(argument)
    return paths


_CHECKPOINT_FILE = re.compile(
    r'.*\.(index|meta|ckpt.*|data-\d+-of-\d+|pb|h5|hdf5|keras|pth|pt|safetensors|onnx|xml|tflite)')
_IMAGE_FILE = re.compile(r'.*\.(jpe?g?|a?png|gif|bmp|webp|tiff?|avif|hei[cf]|jxl|npz|tfrecords?)|'
                         r'.*-\d{5}-of-\d{5}', re.IGNORECASE)


def check_order(arguments: argparse.Namespace, images: Iterable[str]) -> None:
    """Ends the command with bad usage if the checkpoint and the images are the wrong way round."""
    checkpoint = arguments.checkpoint
    if _holds(checkpoint, _CHECKPOINT_FILE) or not _holds(checkpoint, _IMAGE_FILE):
        return
    for path in images:
        if _holds(path, _CHECKPOINT_FILE) and not _holds(path, _IMAGE_FILE):
            arguments.parser.error(
                f'{checkpoint} looks like images and {path} like a '
                'checkpoint; swap them: the checkpoint is the first argument')


def _holds(path: str, pattern: re.Pattern[str]) -> bool:
    """Whether a path, or a file in the folder or in one below it, has a name like that."""
    if not os.path.isdir(path):
        return bool(pattern.fullmatch(os.path.basename(path))) or (
            pattern is _CHECKPOINT_FILE and os.path.exists(path + '.index'))
    for folder, folders, names in os.walk(path):
        if any(pattern.fullmatch(name) for name in names):
            return True
        if folder != path:
            folders.clear()
    return False


def print_line(text: str = '', file: TextIO | None = None) -> None:
    """Prints a line, to standard output by default, with its control characters escaped."""
    print(printable(text), file=file, flush=file is not None)


def print_message(text: str) -> None:
    """Prints a line about the command to standard error."""
    print_line(f'inception-slim: {text}', sys.stderr)


def print_json(result: Any) -> None:
    """Prints a result dataclass or a dictionary as JSON."""
    if hasattr(result, 'to_dict'):
        content = result.to_dict()
    else:
        content = result if isinstance(result, dict) else dataclasses.asdict(result)
    print(json.dumps(content, indent=2, default=_to_json))


def _to_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, 'tolist') else os.fspath(value)


def write_csv(path: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table; to standard output if the path is `-`."""
    lines = map(to_csv_line, itertools.chain([header], rows))
    if path != '-':
        with atomic_write(path) as file:
            file.writelines(lines)
        return
    text = b''.join(lines).decode()
    if sys.stdout.isatty():
        text = '\n'.join(map(printable, text.split('\n')))
    sys.stdout.write(text)


def check_csv(path: str | None) -> None:
    """Raises DatasetError if `--csv` names a file that cannot be written."""
    if path not in (None, '-'):
        check_writable(path)


def print_warnings(arguments: argparse.Namespace, result: Any) -> None:
    """Prints a result's warning and its unreadable images to standard error."""
    if getattr(arguments, 'quiet', False):
        return
    warning = getattr(result, 'warning', None)
    if warning:
        print_line(warning, sys.stderr)
    if result.unreadable:
        print_line(f'Skipped unreadable images: {len(result.unreadable):,}', sys.stderr)
    for name in result.unreadable:
        print_line(f'  {name}', sys.stderr)
    print_rotated(result.rotated)


def print_rotated(count: int) -> None:
    """Prints the number of rotated images, if there are any, to standard error."""
    if count:
        print_line(f'Rotated or flipped as EXIF says: {count:,} '
                   f'{"image" if count == 1 else "images"}; --no-exif leaves them as stored',
                   sys.stderr)
