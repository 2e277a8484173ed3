"""`download`: a published checkpoint, to begin with."""

from __future__ import annotations

import argparse

from inception_slim.checkpoint import _download
from inception_slim.cli.arguments import Verb
from inception_slim.nets import registry


def download(arguments: argparse.Namespace) -> None:
    info = _download.download(arguments.name, arguments.to, site=arguments.site)
    print(f'{info.path}: {registry.NETWORKS[info.network].title}, {info.num_classes:,} classes, '
          f'{info.parameters:,} parameters')


def add(verb: Verb) -> None:
    """The verb that fetches what TensorFlow's site has published."""
    added = verb('download', download, 'fetch a published checkpoint', of_checkpoint=False)
    added.add_argument('name', metavar='NAME', choices=_download.PUBLISHED,
                       help='one of ' + ', '.join(_download.PUBLISHED))
    added.add_argument('--to', metavar='FOLDER', default='.',
                       help='where to; the checkpoint gets the folder NAME in it (%(default)s)')
    added.add_argument('--site', metavar='URL', default=_download.SITE,
                       help='where the archives are (%(default)s)')
