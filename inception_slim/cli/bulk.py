"""The command `bulk`: offline inference with output in shards."""

from __future__ import annotations

import argparse
import contextlib
import sys

from inception_slim import bulk
from inception_slim.bulk.options import UNREADABLE, BulkOptions
from inception_slim.cli.arguments import (
    AddCommand,
    add_json,
    add_options,
    check_order,
    expand_images,
    options_of,
    print_json,
    print_line,
    print_rotated,
)


def run_bulk(arguments: argparse.Namespace) -> None:
    check_order(arguments, arguments.sources)
    with contextlib.redirect_stdout(sys.stderr):  # for Ray's messages about lost hosts
        result = bulk.run(arguments.checkpoint, expand_images(arguments.sources), arguments.output,
                          labels=arguments.labels, **options_of(arguments, BulkOptions))
    if arguments.json:
        print_json(result)
        return
    resumed = f' ({result.resumed_images:,} by earlier runs)' if result.resumed_images else ''
    print_line(f'Wrote {result.path}: {result.images:,} images{resumed} in {result.shards:,} '
               f'{"shard" if result.shards == 1 else "shards"}')
    if getattr(arguments, 'quiet', False):
        return
    if result.warning:
        print_line(result.warning, sys.stderr)
    if result.unreadable:
        print_line(f'Skipped unreadable images: {result.unreadable:,}, listed in '
                   f'{result.path.rstrip("/")}/{UNREADABLE}', sys.stderr)
    print_rotated(result.rotated)


def add(add_command: AddCommand) -> None:
    """Adds the command."""
    added = add_command(
        'bulk', run_bulk, 'compute features, predictions or statistics of any number of images, in '
        'shards; the same command resumes an interrupted run')
    added.add_argument('checkpoint', metavar='CKPT',
                       help='a checkpoint: its prefix, one of its files, or its folder')
    added.add_argument('sources', nargs='+', metavar='SOURCE',
                       help='images, TFRecord files, Parquet files with a column of images, '
                       'folders of these, or text files that list images; paths, or URLs such as '
                       's3://BUCKET/FOLDER')
    added.add_argument('--output', required=True, metavar='DIR',
                       help='output folder, or its URL')
    added.add_argument('--labels', metavar='FILE',
                       help='class names: a file with lines such as 0:daisy, or one name per line; '
                       "imagenet for ImageNet's (labels.txt in the folder of the checkpoint)")
    add_json(added)
    add_options(added, BulkOptions)
