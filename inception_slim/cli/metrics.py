"""`fid`, `score` and `statistics`: what Inception networks measure other networks' images by."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from inception_slim.cli.arguments import (
    Run,
    Verb,
    add_options,
    options_of,
    positive_int,
    print_warnings,
)
from inception_slim.evaluation import metrics


def fid(arguments: argparse.Namespace) -> None:
    found = metrics.fid(arguments.checkpoint, arguments.first, arguments.second,
                         kid=arguments.kid, kid_subsets=arguments.kid_subsets,
                         kid_subset_size=arguments.kid_subset_size,
                         **options_of(arguments, metrics.MeasureOptions))
    if _printed(arguments, found):
        return
    print(f'FID  {found.fid:.6g}')
    if found.kid is not None:
        print(f'KID  {found.kid:.6g} +/- {found.kid_deviation:.2g}')
    print_warnings(found)


def inception_score(arguments: argparse.Namespace) -> None:
    found = metrics.inception_score(arguments.checkpoint, arguments.images, splits=arguments.splits,
                           **options_of(arguments, metrics.MeasureOptions))
    if _printed(arguments, found):
        return
    print(f'Inception Score  {found.mean:.6g} +/- {found.deviation:.2g}, of {found.count:,} images')
    print_warnings(found)


def fid_statistics(arguments: argparse.Namespace) -> None:
    found = metrics.compute_statistics(arguments.checkpoint, arguments.images, arguments.output,
                                **options_of(arguments, metrics.MeasureOptions))
    print(f'Wrote {arguments.output}: mu and sigma of {len(found.mu):,} numbers, of '
          f'{found.count:,} images')


def _printed(arguments: argparse.Namespace, found: Any) -> bool:
    if arguments.json:
        json.dump(dataclasses.asdict(found), sys.stdout, indent=2)
        print()
    return arguments.json


def add(verb: Verb) -> None:
    """The verbs that measure."""

    def measure(name: str, function: Run, help: str, *images: str) -> argparse.ArgumentParser:
        added = verb(name, function, help)
        for each in images:
            added.add_argument(each, metavar='IMAGES' if each == 'images' else each.upper(),
                               help='a folder of images or TFRecords'
                               + ('' if each == 'images' else ', or an .npz file of statistics'))
        added.add_argument('--checkpoint', required=True, metavar='CKPT',
                           help='the network that looks; papers mean that of December 2015')
        add_options(added, metrics.MeasureOptions, leave=['checkpoint_scope'])
        return added

    added = measure('fid', fid, 'measure how far apart two sets of images are', 'first', 'second')
    added.add_argument('--kid', action='store_true', help='the Kernel Inception Distance too')
    added.add_argument('--kid-subsets', type=positive_int, default=100, metavar='N',
                       help='subsets that it is averaged over (%(default)s)')
    added.add_argument('--kid-subset-size', type=positive_int, default=1000, metavar='N',
                       help='images of each in a subset (%(default)s)')
    added.add_argument('--json', action='store_true', help='print JSON')
    added = measure(
        'score', inception_score, 'measure how sure and how different answers are', 'images'
    )
    added.add_argument('--splits', type=positive_int, default=10, metavar='N',
                       help='parts that are scored apart (%(default)s)')
    added.add_argument('--json', action='store_true', help='print JSON')
    added = measure(
        'statistics', fid_statistics, 'write the statistics that fid compares', 'images'
    )
    added.add_argument('--output', required=True, metavar='FILE.npz', help='where to write')
