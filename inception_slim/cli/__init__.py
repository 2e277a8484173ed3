"""The command line, `inception-slim VERB`: arguments in, one library call, lines out."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from inception_slim import _tf_logging

if _tf_logging.is_command() or _tf_logging.quiet_requested():
    _tf_logging.import_tensorflow_quietly()

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
from inception_slim.cli.arguments import Run
from inception_slim.errors import InceptionSlimError
import tensorflow.compat.v1 as tf


def parser() -> argparse.ArgumentParser:
    """All verbs and their flags."""
    main_parser = argparse.ArgumentParser(
        prog='inception-slim', description='TF-Slim Inception checkpoints on today\'s TensorFlow.')
    verbs = main_parser.add_subparsers(title='verbs', metavar='VERB', required=True)

    def verb(name: str, function: Run, help: str, *,
             of_checkpoint: bool = True) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.')
        added.set_defaults(function=function)
        if of_checkpoint:
            added.add_argument('--checkpoint-scope', metavar='SCOPE',
                               help='which network to take, where a file holds more than one')
        return added

    for group in (checkpoints, download, predict, metrics, bulk, training, export, run):
        group.add(verb)
    return main_parser


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns 0, or 1 for bad input. Bad usage exits with 2."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ['run']:  # the script's own process from here on, in all that shows
        return run.run(run.parse(parser(), argv))
    tf.get_logger().setLevel('ERROR')
    arguments = parser().parse_args(argv)
    arguments.argv = argv
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='surrogateescape')  # a file name need not be text
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f'inception-slim: {message}',
                                                             file=sys.stderr)
            code = arguments.function(arguments)
            sys.stdout.flush()
    except InceptionSlimError as error:
        print(f'inception-slim: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('inception-slim: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `| head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code or 0
