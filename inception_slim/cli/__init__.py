"""The command line, `inception-slim COMMAND`: parse arguments, make one library call, print.

The parser is built without TensorFlow, which takes seconds to import; a command imports it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
import errno
import gc
from importlib import metadata
import logging
import os
import platform
import re
import sys
import traceback
from typing import Any, TextIO
import warnings

import inception_slim
from inception_slim import _tf_logging
from inception_slim.cli import (
    bulk,
    checkpoints,
    download,
    export,
    metrics,
    predict,
    run,
    training,
)
from inception_slim.cli.arguments import Parser, Run, print_message
from inception_slim.errors import InceptionSlimError

_NO_MEMORY = ('There is not enough memory; raise its limit (ulimit -v), or give a smaller '
              '--batch-size.')
_SHELLS = ('bash', 'zsh', 'tcsh')
# The distributions that `--version` lists, the first of each that is installed.
_DISTRIBUTIONS = {
    'TensorFlow': ('tensorflow', 'tensorflow-cpu', 'tf-nightly'), 'tf-slim': ('tf-slim',),
    'tf-keras': ('tf-keras',), 'NumPy': ('numpy',), 'OpenVINO': ('openvino',),
    'ONNX Runtime': ('onnxruntime', 'onnxruntime-gpu')}


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands and their options."""
    main_parser = Parser(
        prog='inception-slim', description='TF-Slim Inception checkpoints on current TensorFlow.',
        epilog='inception-slim COMMAND --help shows the options of a command.')
    main_parser.add_argument('--version', action=_VersionAction, nargs=0,
                             help='print the versions of this package and of what it runs on')
    main_parser.add_argument('--print-completion', action=_CompletionAction, choices=_SHELLS,
                             help='print a script that completes commands and options in a shell')
    _add_output_options(main_parser)
    commands = main_parser.add_subparsers(title='commands', metavar='COMMAND')

    def add_command(name: str, function: Run, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.')
        command.set_defaults(function=function, parser=command)
        _add_output_options(command)
        return command

    for module in (checkpoints, download, predict, metrics, bulk, training, export, run):
        module.add(add_command)
    return main_parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    # Without defaults, or a command's would replace what was given before its name.
    group = parser.add_mutually_exclusive_group()
    group.add_argument('--quiet', action='store_true', default=argparse.SUPPRESS,
                       help='print results and errors only: no warnings and no progress')
    group.add_argument('--verbose', action='store_true', default=argparse.SUPPRESS,
                       help="print TensorFlow's log messages too, and tracebacks of errors")


class _VersionAction(argparse.Action):

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        rows = [('inception-slim', inception_slim.__version__),
                ('Python', platform.python_version())]
        rows += [(title, _installed_version(names)) for title, names in _DISTRIBUTIONS.items()]
        print('\n'.join(f'{title:16}{version}' for title, version in rows))
        parser.exit()


def _installed_version(names: Sequence[str]) -> str:
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return 'not installed'


class _CompletionAction(argparse.Action):

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 shell: Any, *_: Any) -> None:
        from inception_slim._optional import require
        shtab = require('shtab', 'Shell completion', InceptionSlimError)
        for command in (parser, *_commands_of(parser).values()):
            for action in command._actions:
                kind = re.match(
                    '(DIR|FOLDER)|FILE|PATH|CKPT|CHECKPOINT|IMAGES|FIRST|SECOND|SRC|DST|SOURCE|'
                    'DATASET|SCRIPT',
                    str(action.metavar),
                )
                if kind:
                    action.complete = (  # type: ignore[attr-defined]
                        shtab.DIRECTORY if kind[1] else shtab.FILE)
        print(shtab.complete(parser, shell))
        parser.exit()


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions
                if isinstance(action, argparse._SubParsersAction))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the arguments; by default those of the process.

    Returns:
      The exit code: 0, or 1 for input that cannot be used.

    Raises:
      SystemExit: with 2 for bad usage, and with 0 after `--help` and `--version`.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:
        print_message('Standard output is closed.')
        return 1
    try:
        try:
            arguments = _parse(argv)
        finally:
            sys.stdout.flush()  # the help
        if not hasattr(arguments, 'function'):
            parser().print_help()
            sys.stdout.flush()
            return 0
        if arguments.function is not run.run:
            with _output_settings(arguments):
                code = arguments.function(arguments)
                sys.stdout.flush()
            return code or 0
    except InceptionSlimError as error:
        if '--verbose' in argv:
            traceback.print_exc()
        message = str(error)
    except UnicodeEncodeError as error:  # TensorFlow takes UTF-8 alone
        message = f'{error.object} is not a name in UTF-8; rename the file.'
    except KeyboardInterrupt:
        print_message('interrupted')
        return 130
    except BrokenPipeError:  # as in `| head`: the reader needs no more
        _discard_output()
        return 0
    except OSError as error:
        message = _NO_MEMORY if _is_out_of_memory(error) else (
                   f'{os.fspath(error.filename)}: {error.strerror}.'
                   if isinstance(error.filename, (str, os.PathLike)) else
                   f'The output cannot be written: {error.strerror or error}.')
        _discard_output()
    except Exception as error:
        if '--verbose' in argv or not _is_out_of_memory(error):
            raise
        message = _NO_MEMORY
    else:  # the script's own exceptions must not be caught
        _import_tensorflow(arguments)
        return run.run(arguments)
    print_message(message)
    return 1


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception or a cause of it is that there is no memory, as under `ulimit -v`."""
    return error is not None and (
        isinstance(error, MemoryError) or getattr(error, 'errno', None) == errno.ENOMEM
        or type(error).__name__ == 'ResourceExhaustedError'  # TensorFlow may not be imported yet
        or isinstance(error, ImportError) and 'failed to map segment' in str(error)
        or isinstance(error, RuntimeError) and "can't start new thread" in str(error)
        or _is_out_of_memory(error.__cause__ or error.__context__))


def _parse(argv: list[str]) -> argparse.Namespace:
    command = next((argument for argument in argv if not argument.startswith('-')), None)
    if command == 'run':
        return run.parse(parser(), argv)
    arguments = parser().parse_args(argv)
    arguments.argv = argv
    return arguments


def _import_tensorflow(arguments: argparse.Namespace) -> None:
    """Imports TensorFlow without its log messages, unless the user asks for them."""
    if hasattr(arguments, 'before_import'):
        arguments.before_import()
    if getattr(arguments, 'uses_tensorflow', True):
        with _no_garbage_collection():
            if getattr(arguments, 'verbose', False):
                import tensorflow  # noqa: F401
            else:
                _tf_logging.import_tensorflow_quietly()


@contextlib.contextmanager
def _no_garbage_collection():
    """Imports without garbage collection, which takes a quarter of the time of TensorFlow's import.

    What was imported stays until the process ends. So it is never searched for garbage later, nor
    at the end, which takes as long again.
    """
    if 'tensorflow' in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _output_settings(arguments: argparse.Namespace):
    """Prints warnings as lines of the command; hides them and progress bars if `--quiet`."""
    _import_tensorflow(arguments)
    quiet, verbose = (getattr(arguments, name, False) for name in ('quiet', 'verbose'))
    if not verbose:
        logging.getLogger('tensorflow').setLevel('ERROR')
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        if quiet:
            warnings.simplefilter('ignore')
            # tqdm shows no bar, and training no line, where standard error is not a terminal.
            stack.enter_context(contextlib.redirect_stderr(_NotATerminal(sys.stderr)))
        elif not verbose:
            warnings.showwarning = lambda message, *_: print_message(str(message))
        yield


class _NotATerminal:
    """A stream that says that it is not a terminal."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _discard_output() -> None:
    """Lets Python flush standard output at exit without another error."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
