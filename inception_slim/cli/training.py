"""`train`: a network from scratch, or from a checkpoint."""

from __future__ import annotations

import argparse
import sys

from inception_slim import training
from inception_slim.cli.flags import Verb, add_options, options_of, remarks


def train(arguments: argparse.Namespace) -> None:
    log = None if sys.stderr.isatty() else lambda line: print(line, flush=True)
    done = training.train(arguments.dataset, arguments.train_dir, log=log,
                          **options_of(arguments, training.TrainingOptions))
    remarks(done)
    if done.interrupted:
        print(f'Stopped at step {done.step:,}; the same command goes on from {done.checkpoint}')
    elif done.loss is None:
        print(f'Nothing to do: {done.checkpoint} is at step {done.step:,}')
    else:
        print(f'Wrote {done.checkpoint}: step {done.step:,}, loss {done.loss:.4f}')


def add(verb: Verb) -> None:
    """The verb that trains."""
    added = verb('train', train, 'train a network, or fine-tune a checkpoint')
    added.add_argument('dataset', metavar='DATASET',
                       help='a folder of TFRecords, or of one folder of images a class')
    added.add_argument('--train-dir', required=True, metavar='DIR',
                       help='where checkpoints and summaries go; an earlier run there is gone on '
                       'with')
    add_options(added, training.TrainingOptions, leave=['checkpoint_scope'])
