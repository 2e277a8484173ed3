"""`bulk`: what a network says of any number of images, in shards."""

from __future__ import annotations

import argparse
import contextlib
import sys

from inception_slim import bulk
from inception_slim.bulk.options import BulkOptions
from inception_slim.cli.arguments import (
    AddCommand,
    add_json,
    add_options,
    check_order,
    expand_images,
    options_of,
    print_json,
    print_line,
    printable,
)


def run_bulk(arguments: argparse.Namespace) -> None:
    check_order(arguments, arguments.sources)
    with contextlib.redirect_stdout(sys.stderr):  # for what Ray remarks of hosts that are lost
        done = bulk.run(arguments.checkpoint, expand_images(arguments.sources), arguments.output,
                        labels=arguments.labels, **options_of(arguments, BulkOptions))
    if arguments.json:
        print_json(done)
        return
    before = f'; {done.before:,} of them were there already' if done.before else ''
    print_line(f'Wrote {done.path}: {done.images:,} images in {done.shards:,} '
               f'{"shard" if done.shards == 1 else "shards"}{before}')
    if getattr(arguments, 'quiet', False):
        return
    if done.note:
        print(printable(done.note), file=sys.stderr)
    if done.damaged:
        from inception_slim.bulk.manifest import DAMAGED
        print(f'Skipped unreadable images: {done.damaged:,}, listed in '
              f'{done.path.rstrip("/")}/{DAMAGED}', file=sys.stderr)


def add(add_command: AddCommand) -> None:
    """The verb for millions of images."""
    added = add_command('bulk', run_bulk, 'write what a network says of any number of images, in '
                 'shards; the same command goes on where it was killed')
    added.add_argument('checkpoint', metavar='CKPT', help='a prefix, a file of it, or its folder')
    added.add_argument('sources', nargs='+', metavar='SOURCE',
                       help='images, TFRecords, Parquet files with a column of images, folders '
                       'with any of these, and text files that list them; paths, or URLs such as '
                       's3://BUCKET/FOLDER')
    added.add_argument('--output', required=True, metavar='DIR',
                       help='the folder to write, or its URL')
    added.add_argument('--labels', metavar='FILE',
                       help='the names of the classes: lines like 0:daisy, or one name a line; '
                       "imagenet for ImageNet's (labels.txt beside the checkpoint)")
    add_json(added)
    add_options(added, BulkOptions)
