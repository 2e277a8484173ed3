"""The commands `fid`, `inception-score` and `fid-statistics`."""

from __future__ import annotations

import argparse

from inception_slim import evaluation
from inception_slim.cli.arguments import (
    CHECKPOINT_HELP,
    IMAGES_HELP,
    AddCommand,
    Run,
    add_json,
    add_options,
    check_order,
    expand_images,
    options_of,
    positive_int,
    print_json,
    print_line,
    print_warnings,
)
from inception_slim.evaluation.options import MetricOptions


def fid(arguments: argparse.Namespace) -> None:
    """Prints the Fréchet Inception Distance of two sets of images."""
    if arguments.first == arguments.second == '-':
        arguments.parser.error('only one of FIRST and SECOND can be read from standard input')
    check_order(arguments, [arguments.first, arguments.second])
    result = evaluation.fid(
        arguments.checkpoint, _images([arguments.first]), _images([arguments.second]),
        kid=arguments.kid, kid_subsets=arguments.kid_subsets,
        kid_subset_size=arguments.kid_subset_size, **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json(result)
        return
    print_line(f'FID  {result.fid:.6g}')
    if result.kid is not None:
        print_line(f'KID  {result.kid:.6g} +/- {result.kid_deviation:.2g}')
    print_warnings(arguments, result)


def inception_score(arguments: argparse.Namespace) -> None:
    """Prints the Inception Score of images."""
    check_order(arguments, arguments.images)
    result = evaluation.inception_score(
        arguments.checkpoint, _images(arguments.images), splits=arguments.splits,
        **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json(result)
        return
    print_line(f'Inception Score  {result.mean:.6g} +/- {result.deviation:.2g}, '
               f'{result.count:,} images')
    print_warnings(arguments, result)


def fid_statistics(arguments: argparse.Namespace) -> None:
    """Writes the mean and the covariance of the features of images."""
    check_order(arguments, arguments.images)
    result = evaluation.compute_statistics(
        arguments.checkpoint, _images(arguments.images), arguments.output,
        **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json({'path': arguments.output, 'features': len(result.mu), 'count': result.count})
        return
    print_line(f'Wrote {arguments.output}: mean and covariance of {len(result.mu):,} features of '
               f'{result.count:,} images')


def _images(arguments: list[str]) -> str | list[str]:
    """One path as it is, which may be TFRecords or statistics; or else the paths of images."""
    paths = expand_images(arguments)
    return paths[0] if paths == arguments and len(paths) == 1 else paths


def add(add_command: AddCommand) -> None:
    """Adds the commands."""

    def add_metric_command(name: str, function: Run, help: str) -> argparse.ArgumentParser:
        command = add_command(name, function, help)
        command.add_argument('checkpoint', metavar='CKPT',
                             help=CHECKPOINT_HELP + '; papers use the network of December 2015')
        add_options(command, MetricOptions)
        add_json(command)
        return command

    command = add_metric_command('fid', fid,
                                 'compute the Fréchet Inception Distance of two sets of images')
    for name in ('first', 'second'):
        command.add_argument(name, metavar=name.upper(),
                             help='a folder of images or TFRecords, an .npz file of statistics, a '
                             'quoted pattern, or - for a list of paths on standard input')
    command.add_argument('--kid', action='store_true',
                         help='compute the Kernel Inception Distance too')
    command.add_argument('--kid-subsets', type=positive_int, default=100, metavar='N',
                         help='random subsets that KID is averaged over (%(default)s)')
    command.add_argument('--kid-subset-size', type=positive_int, default=1000, metavar='N',
                         help='images of each set in a subset (%(default)s)')

    images_help = f'{IMAGES_HELP}; or one folder of TFRecords'
    command = add_metric_command('inception-score', inception_score,
                                 'compute the Inception Score of images')
    command.add_argument('images', nargs='+', metavar='IMAGES', help=images_help)
    command.add_argument('--splits', type=positive_int, default=10, metavar='N',
                         help='parts of the images that are scored separately (%(default)s)')

    command = add_metric_command('fid-statistics', fid_statistics,
                                 'write the statistics of images that fid compares')
    command.add_argument('images', nargs='+', metavar='IMAGES', help=images_help)
    command.add_argument('--output', required=True, metavar='FILE.npz', help='the file to write')
