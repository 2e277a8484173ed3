"""The commands `train` and `retrain`."""

from __future__ import annotations

import argparse
import os
import sys

from inception_slim import training
from inception_slim.cli.arguments import (
    CHECKPOINT_HELP,
    AddCommand,
    add_json,
    add_options,
    options_of,
    positive_int,
    print_json,
    print_line,
    print_message,
    print_warnings,
)
from inception_slim.errors import TrainingError, WorkerLostError
from inception_slim.inference.cpu_features import enable_onednn


def train(arguments: argparse.Namespace) -> int | None:
    if arguments.workers is not None:
        return _launch_workers(arguments)
    log = None if sys.stderr.isatty() or getattr(arguments, 'quiet', False) else (
        lambda line: print_line(line, sys.stderr if arguments.json else sys.stdout))
    try:
        options = options_of(arguments, training.TrainingOptions)
        if arguments.resume:
            result = training.resume(arguments.train_dir, arguments.dataset, log=log, **options)
        elif arguments.dataset is None:
            arguments.parser.error('give DATASET, or --resume for that of the run')
        else:
            result = training.train(arguments.dataset, arguments.train_dir, log=log, **options)
    except WorkerLostError as error:
        # The process is replaced or ended at once: TensorFlow's server cannot be stopped in any
        # other way, and TensorFlow may hang while it cleans up the interrupted session.
        restart = arguments.on_worker_loss == 'restart'
        print_message(f'{error}{" Restarting." if restart else ""}')
        sys.stdout.flush()
        sys.stderr.flush()
        if restart:
            os.execv(sys.executable, sys.orig_argv)
        os._exit(1)
    print_warnings(arguments, result)
    if arguments.json:
        print_json(result)
    elif result.checkpoint is None:
        print_line(f'Finished after step {result.step:,}; the chief wrote the checkpoint')
    elif result.stopped_early and result.best:
        print_line(f'Stopped at step {result.step:,}: no better evaluation since step '
                   f'{result.best.step:,}; a larger --patience resumes from {result.checkpoint}')
    elif result.interrupted:
        print_line(f'Stopped at step {result.step:,}; the same command resumes from '
                   f'{result.checkpoint}')
    elif result.loss is None:
        print_line(f'Nothing to do: {result.checkpoint} is at step {result.step:,}')
    else:
        print_line(f'Wrote {result.checkpoint}: step {result.step:,}, loss {result.loss:.4f}')
    if result.best_checkpoint and result.best and not arguments.json:
        print_line(f'Best of the validation: {result.best_checkpoint}: {result.best.score_name} '
                   f'{result.best.score:.2%}, loss {result.best.loss:.4f}')
    return None


def retrain(arguments: argparse.Namespace) -> None:
    result = training.retrain(arguments.dataset, arguments.checkpoint, arguments.output,
                              **options_of(arguments, training.RetrainOptions))
    print_warnings(arguments, result)
    if arguments.json:
        print_json(result)
        return
    print_line(f'Wrote {result.checkpoint}: {len(result.class_names):,} classes, loss '
               f'{result.loss:.4f}')
    for part, count in result.num_examples.items():
        name, scores = ('accuracy', result.accuracy) if result.mean_average_precision is None else (
            'mean average precision', result.mean_average_precision)
        score = scores[part]
        print_line(f'{part:<10}  {count:>7,} images'
                   + ('' if score is None else f', {name} {score:.2%}'))


def _launch_workers(arguments: argparse.Namespace) -> int:
    """Runs this command again in several processes that train together."""
    if os.environ.get('TF_CONFIG'):
        raise TrainingError('--workers starts workers on this machine, but TF_CONFIG is set too; '
                            'use one of the two.')
    at = next(number for number, argument in enumerate(arguments.argv)
              if argument.split('=')[0] == '--workers')
    rest = arguments.argv[:at] + arguments.argv[at + (1 if '=' in arguments.argv[at] else 2):]
    return training.launch([sys.executable, '-m', 'inception_slim', *rest], arguments.workers,
                           restart=arguments.on_worker_loss == 'restart',
                           log=print_message)


def add(add_command: AddCommand) -> None:
    """Adds the commands."""
    added = add_command('train', train, 'train a network, or fine-tune a checkpoint')
    added.set_defaults(before_import=enable_onednn)
    added.add_argument('dataset', metavar='DATASET', nargs='?',
                       help='a folder of TFRecords, a folder with a sub-folder for each class, or '
                       'a .csv file of paths and labels')
    added.add_argument('--train-dir', required=True, metavar='DIR',
                       help='directory for checkpoints and summaries; training resumes from the '
                       'latest one')
    added.add_argument('--resume', action='store_true',
                       help='use the dataset and the options of the run in DIR (training.json), '
                       'but for those given')
    add_options(added, training.TrainingOptions, only_given=True)
    add_json(added)
    added.add_argument('--workers', type=positive_int, metavar='N',
                       help='train in N processes on this machine, each with its share of the '
                       'cores; for several machines, set TF_CONFIG')
    added.add_argument('--on-worker-loss', choices=('stop', 'restart'), default='stop',
                       help='when another worker fails: stop, or restart and wait for it to come '
                       'back (%(default)s)')
    added = add_command('retrain', retrain,
                        'train a new classifier on the features of a checkpoint, in seconds')
    added.add_argument('dataset', metavar='DATASET',
                       help='a folder with a sub-folder of images for each class')
    added.add_argument('--from', dest='checkpoint', required=True, metavar='CKPT',
                       help=CHECKPOINT_HELP)
    added.add_argument('--output', required=True, metavar='DIR',
                       help='folder for the checkpoint, labels.txt and the computed features')
    add_options(added, training.RetrainOptions)
    add_json(added)
