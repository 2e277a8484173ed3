"""`train`: a network from scratch, or from a checkpoint."""

from __future__ import annotations

import argparse
import os
import sys

from inception_slim import training
from inception_slim.cli.arguments import (
    Verb,
    add_json,
    add_options,
    options_of,
    positive_int,
    print_json,
    print_warnings,
)
from inception_slim.errors import TrainingError, WorkerLostError


def train(arguments: argparse.Namespace) -> int | None:
    if arguments.workers is not None:
        return _launch_workers(arguments)
    log = None if sys.stderr.isatty() or getattr(arguments, 'quiet', False) else (
        lambda line: print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True))
    try:
        done = training.train(arguments.dataset, arguments.train_dir, log=log,
                              **options_of(arguments, training.TrainingOptions))
    except WorkerLostError as error:
        if arguments.on_worker_loss == 'stop':
            raise
        print(f'inception-slim: {error} Beginning again.', file=sys.stderr, flush=True)
        # A server of TensorFlow's runtime ends with its process alone.
        os.execv(sys.executable, sys.orig_argv)
    print_warnings(arguments, done)
    if arguments.json:
        print_json(done)
    elif done.checkpoint is None:
        print(f'Ended after step {done.step:,}; the chief has the checkpoint')
    elif done.interrupted:
        print(f'Stopped at step {done.step:,}; the same command goes on from {done.checkpoint}')
    elif done.loss is None:
        print(f'Nothing to do: {done.checkpoint} is at step {done.step:,}')
    else:
        print(f'Wrote {done.checkpoint}: step {done.step:,}, loss {done.loss:.4f}')
    return None


def _launch_workers(arguments: argparse.Namespace) -> int:
    """This command again, in several processes that know of each other."""
    if os.environ.get('TF_CONFIG'):
        raise TrainingError('--workers starts workers on this machine, but TF_CONFIG has named '
                            'some already; leave out one of the two.')
    at = next(number for number, each in enumerate(arguments.argv)
              if each.split('=')[0] == '--workers')
    rest = arguments.argv[:at] + arguments.argv[at + (1 if '=' in arguments.argv[at] else 2):]
    return training.launch([sys.executable, '-m', 'inception_slim', *rest], arguments.workers,
                           restart=arguments.on_worker_loss == 'restart',
                           say=lambda line: print(f'inception-slim: {line}', file=sys.stderr,
                                                  flush=True))


def add(verb: Verb) -> None:
    """The verb that trains."""
    added = verb('train', train, 'train a network, or fine-tune a checkpoint')
    added.add_argument('dataset', metavar='DATASET',
                       help='a folder of TFRecords, or of one folder of images a class')
    added.add_argument('--train-dir', required=True, metavar='DIR',
                       help='where checkpoints and summaries go; an earlier run there is gone on '
                       'with')
    add_options(added, training.TrainingOptions, leave=['checkpoint_scope'])
    add_json(added)
    added.add_argument('--workers', type=positive_int, metavar='N',
                       help='train in N processes on this machine, each on its share of the cores; '
                       'workers on several machines are named by TF_CONFIG')
    added.add_argument('--on-worker-loss', choices=('stop', 'restart'), default='stop',
                       help='when another worker fails: stop, or restart and wait for it to come '
                       'back (%(default)s)')
