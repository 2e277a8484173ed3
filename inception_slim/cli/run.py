"""The `run` command: run a script of TensorFlow 1 unmodified."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import itertools

from inception_slim.cli.arguments import AddCommand


def run(arguments: argparse.Namespace) -> int:
    """Run or explain a script in this process; return the exit code."""
    # Imported here because both import TensorFlow.
    if arguments.explain:
        from inception_slim.legacy import explain
        return explain.explain(arguments.script, is_module=arguments.is_module)
    from inception_slim.legacy import script_runner
    if arguments.python2:
        from inception_slim.legacy.python2 import translation
        translation.force_python2()
    if arguments.no_pickle:
        from inception_slim.legacy import numpy_names
        numpy_names.forbid_pickles()
    if arguments.is_module:
        script_runner.run_module(arguments.script, arguments.arguments)
    else:
        script_runner.run_script(arguments.script, arguments.arguments, arguments.allow_shell)
    return 0


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse the options before the script; everything after it is passed to the script."""
    options = itertools.takewhile(lambda argument: argument.startswith('-'), argv[1:])
    end = len(list(options)) + 2  # with the command and the script
    arguments = parser.parse_args(argv[:end])
    arguments.arguments = list(argv[end:])
    return arguments


def add(add_command: AddCommand) -> None:
    """Add the `run` command."""
    command = add_command('run', run, 'run a script or notebook of TensorFlow 1 unmodified')
    command.usage = ('inception-slim run [-h] [--explain] [--python2] [--no-pickle] '
                     '[--allow-shell] [-m] SCRIPT [ARGS ...]')
    command.add_argument('--explain', action='store_true',
                         help='list the TensorFlow 1 names that the script uses and whether they '
                              'are supported, without running it')
    command.add_argument('--python2', action='store_true',
                         help='translate all files of the script from Python 2, also those that '
                              'Python 3 can parse')
    command.add_argument('--no-pickle', action='store_true',
                         help='let numpy.load refuse pickled arrays, which can run any code')
    command.add_argument('--allow-shell', action='store_true',
                         help='run the shell commands of a notebook, such as !ls')
    command.add_argument('-m', dest='is_module', action='store_true',
                         help='SCRIPT is a module name, as for python -m')
    command.add_argument('script', metavar='SCRIPT',
                         help='the script or notebook; the arguments after it are passed to it')
