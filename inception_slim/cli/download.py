"""`download`: a published checkpoint, to begin with."""

from __future__ import annotations

import argparse

from inception_slim.checkpoint import downloading
from inception_slim.cli.flags import Verb
from inception_slim.nets import factory


def download(arguments: argparse.Namespace) -> None:
    info = downloading.download(arguments.name, arguments.to, site=arguments.site)
    print(f'{info.path}: {factory.NETWORKS[info.network].title}, {info.num_classes:,} classes, '
          f'{info.parameters:,} parameters')


def add(verb: Verb) -> None:
    """The verb that fetches what TensorFlow's site has published."""
    added = verb('download', download, 'fetch a published checkpoint', of_checkpoint=False)
    added.add_argument('name', metavar='NAME', choices=downloading.PUBLISHED,
                       help='one of ' + ', '.join(downloading.PUBLISHED))
    added.add_argument('--to', metavar='FOLDER', default='.',
                       help='where to; the checkpoint gets the folder NAME in it (%(default)s)')
    added.add_argument('--site', metavar='URL', default=downloading.SITE,
                       help='where the archives are (%(default)s)')
