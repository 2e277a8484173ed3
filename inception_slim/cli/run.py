"""`run`: a script of TensorFlow 1, as it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import itertools

from inception_slim.cli.arguments import Verb


def run(arguments: argparse.Namespace) -> int:
    """Explains a script, or runs it in this process; an exit code, where the script gave none."""
    # Importing TensorFlow 1's world is for those who want it.
    if arguments.explain:
        from inception_slim.legacy import explain
        return explain.explain(arguments.script, is_module=arguments.is_module)
    from inception_slim.legacy import script_runner as running
    start = running.run_module if arguments.is_module else running.run_script
    start(arguments.script, arguments.arguments)
    return 0


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Options of our own come before the script; all after it is the script's, untouched."""
    ours = len(list(itertools.takewhile(lambda each: each.startswith('-'), argv[1:]))) + 2
    arguments = parser.parse_args(argv[:ours])
    arguments.arguments = list(argv[ours:])
    return arguments


def add(verb: Verb) -> None:
    """The verb that runs a script of TensorFlow 1."""
    added = verb('run', run, 'run a script of TensorFlow 1 as it is', of_checkpoint=False)
    added.usage = 'inception-slim run [-h] [--explain] [-m] SCRIPT [ARGS ...]'
    added.add_argument('--explain', action='store_true',
                       help='say which names of TensorFlow 1 the script uses, and run nothing')
    added.add_argument('-m', dest='is_module', action='store_true',
                       help='SCRIPT is the name of a module, as for python -m')
    added.add_argument('script', metavar='SCRIPT',
                       help='the script; what comes after it is its own')
