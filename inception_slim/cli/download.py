"""The commands `download` and `example`, which write a checkpoint to start with."""

from __future__ import annotations

import argparse
import os
import shlex

from inception_slim import checkpoint
from inception_slim.checkpoint.published import PUBLISHED, SITE
from inception_slim.cli.arguments import AddCommand, add_json, print_json, print_line
from inception_slim.nets import registry


def download(arguments: argparse.Namespace) -> None:
    """Downloads a published checkpoint."""
    from inception_slim.checkpoint._download import recorded_sha256
    info = checkpoint.download(arguments.name, arguments.output, site=arguments.site)
    if arguments.json:
        print_json(info)
        return
    print_line(f'{info.path}: {registry.NETWORKS[info.network].title}, '
               f'{info.num_classes:,} classes, {info.parameters:,} parameters')
    checksum = recorded_sha256(arguments.name, arguments.output)
    if checksum:
        print(f'SHA-256 of the archive: {checksum}')


def example(arguments: argparse.Namespace) -> None:
    """Writes a small checkpoint, its labels and images."""
    from inception_slim._example import create_example
    folder = create_example(arguments.folder)
    quoted, images = map(shlex.quote, (folder, os.path.join(folder, 'images')))
    print_line(f'Wrote {folder}: a small checkpoint, labels.txt and images. Try')
    print_line(f'  inception-slim inspect {quoted}')
    print_line(f'  inception-slim classify {quoted} {images}')


def add(add_command: AddCommand) -> None:
    """Adds the commands."""
    command = add_command('download', download, 'download a published checkpoint')
    command.add_argument('name', metavar='NAME', choices=tuple(PUBLISHED),
                         help='one of ' + ', '.join(PUBLISHED))
    command.add_argument('--output', metavar='FOLDER', default='.',
                         help='where to write the folder NAME of the checkpoint (%(default)s)')
    command.add_argument('--site', metavar='URL', default=SITE,
                         help='where the archives are: the site, or a copy of it (%(default)s)')
    add_json(command)

    command = add_command('example', example, 'write a small checkpoint with labels and images, '
                          'to try the other commands')
    command.add_argument('folder', metavar='FOLDER', help='the folder to write')
    command.set_defaults(uses_tensorflow=False)
