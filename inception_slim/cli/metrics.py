"""The commands `metrics`, `fid`, `inception-score` and `fid-statistics`."""

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
from inception_slim.evaluation.protocols import METRICS, PROTOCOLS
from inception_slim.inference.cpu_features import use_system_allocator

_SET_HELP = ('a folder of images or TFRecords, an .npz file of images or statistics, a .npy or '
             'Parquet file of features, a quoted pattern, or - for a list of paths on standard '
             'input')


def fid(arguments: argparse.Namespace) -> None:
    """Prints the Fréchet Inception Distance of two sets of images."""
    if arguments.first == arguments.second == '-':
        arguments.parser.error('only one of FIRST and SECOND can be read from standard input')
    check_order(arguments, [arguments.first, arguments.second])
    result = evaluation.fid(
        arguments.checkpoint, _images([arguments.first]), _images([arguments.second]),
        kid=arguments.kid, kid_subsets=arguments.kid_subsets,
        kid_subset_size=arguments.kid_subset_size, force=arguments.force,
        **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json(result)
        return
    print_line(f'FID  {result.fid:.6g}')
    if result.kid is not None:
        print_line(f'KID  {result.kid:.6g} +/- {result.kid_deviation:.2g}')
    _print_notes(result.notes)
    print_warnings(arguments, result)


def metrics(arguments: argparse.Namespace) -> None:
    """Prints all generative metrics of a set of images."""
    if arguments.samples == arguments.reference == '-':
        arguments.parser.error('only one of SAMPLES and REFERENCE can be read from standard input')
    check_order(arguments, [arguments.samples])
    result = evaluation.compute_metrics(
        arguments.checkpoint, _images([arguments.samples]),
        None if arguments.reference is None else _images([arguments.reference]),
        metrics=[name for name in METRICS if getattr(arguments, name)] or None,
        protocol=arguments.protocol, splits=arguments.splits, kid_subsets=arguments.kid_subsets,
        kid_subset_size=arguments.kid_subset_size, force=arguments.force,
        **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json(result)
        return
    counts = [f'{count:,} {name}' for name, count in (
        ('samples', result.sample_count), ('reference images', result.reference_count)) if count]
    if result.protocol:
        protocol = PROTOCOLS[result.protocol]
        print_line(f'As {protocol.program}, which uses {protocol.weights}; resizing: '
                   f'{result.resize}')
    if counts:
        print_line(' and '.join(counts))
    for name, value, deviation in (
            ('FID', result.fid, None), ('FID-infinity', result.fid_infinity, None),
            ('sFID', result.sfid, None), ('KID', result.kid, result.kid_deviation),
            ('Inception Score', result.inception_score, result.inception_score_deviation),
            ('Precision', result.precision, None), ('Recall', result.recall, None),
            ('Density', result.density, None), ('Coverage', result.coverage, None)):
        if value is not None:
            print_line(f'{name:15}  {value:.6g}'
                       + (f' +/- {deviation:.2g}' if deviation is not None else ''))
    _print_notes(result.notes)
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
        spatial=arguments.spatial,
        **options_of(arguments, MetricOptions))
    if arguments.json:
        print_json({'path': arguments.output, 'features': len(result.mu), 'count': result.count})
        return
    print_line(f'Wrote {arguments.output}: mean and covariance of {len(result.mu):,} features of '
               f'{result.count:,} images')


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        print_line(f'Note: {note}')


def _images(arguments: list[str]) -> str | list[str]:
    """One path as it is, which may be TFRecords or statistics; or else the paths of images."""
    paths = expand_images(arguments)
    return paths[0] if paths == arguments and len(paths) == 1 else paths


def _add_comparison_options(command: argparse.ArgumentParser) -> None:
    command.add_argument('--force', action='store_true',
                         help='compare statistics of different networks, weights or resizing')
    command.add_argument('--kid-subsets', type=positive_int, default=100, metavar='N',
                         help='random subsets that KID is averaged over (%(default)s)')
    command.add_argument('--kid-subset-size', type=positive_int, default=1000, metavar='N',
                         help='images of each set in a subset (%(default)s)')


def add(add_command: AddCommand) -> None:
    """Adds the commands."""

    def add_metric_command(name: str, function: Run, help: str) -> argparse.ArgumentParser:
        command = add_command(name, function, help)
        # FID takes as much memory as a network, which is closed before.
        command.set_defaults(before_import=use_system_allocator)
        command.add_argument('checkpoint', metavar='CKPT',
                             help=CHECKPOINT_HELP + '; papers use the network of December 2015')
        add_options(command, MetricOptions)
        add_json(command)
        return command

    command = add_metric_command('metrics', metrics,
                                 'compute all metrics of generated images in one pass')
    command.add_argument('samples', metavar='SAMPLES', help='the generated images: ' + _SET_HELP)
    command.add_argument('reference', metavar='REFERENCE', nargs='?',
                         help='the real images, in the same forms')
    for name, title in (
            ('fid', 'FID'), ('fid-infinity', 'FID extrapolated to infinitely many samples'),
            ('sfid', 'sFID, of the spatial features'), ('kid', 'KID'),
            ('isc', 'the Inception Score'), ('prc', 'precision and recall'),
            ('dc', 'density and coverage')):
        command.add_argument(f'--{name}', action='store_true',
                             help=f'compute {title}; without a choice, all that is possible but '
                             'FID-infinity and sFID')
    command.add_argument('--protocol', choices=PROTOCOLS,
                         help='the program whose conventions are followed')
    command.add_argument('--splits', type=positive_int, default=10, metavar='N',
                         help='parts of the images for the Inception Score (%(default)s)')
    _add_comparison_options(command)

    command = add_metric_command('fid', fid,
                                 'compute the Fréchet Inception Distance of two sets of images')
    for name in ('first', 'second'):
        command.add_argument(name, metavar=name.upper(), help=_SET_HELP)
    command.add_argument('--kid', action='store_true',
                         help='compute the Kernel Inception Distance too')
    _add_comparison_options(command)

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
    command.add_argument('--spatial', action='store_true',
                         help='also write the statistics of the spatial features, for sFID')
