"""`export`: a checkpoint in another form."""

from __future__ import annotations

import argparse

from inception_slim import formats
from inception_slim.checkpoint import SourceOptions
from inception_slim.cli.arguments import Verb, add_json, add_options, options_of, print_json


def export(arguments: argparse.Namespace) -> None:
    print_export(arguments, formats.export(
        arguments.checkpoint, arguments.output, format=arguments.format,
        quantize=arguments.quantize, labels=arguments.labels,
        calibration_images=arguments.calibration, overwrite=arguments.overwrite,
        **options_of(arguments, SourceOptions)))


def print_export(arguments: argparse.Namespace, done: formats.ExportResult) -> None:
    """What was written, and how its answers compare."""
    if arguments.json:
        print_json(done)
        return
    of = 'generated images; --calibration FOLDER compares real ones' if done.generated else 'images'
    print(f'Wrote {done.path}: {done.format}, {done.quantize}, {done.size / 1e6:.1f} MB')
    print(f'Loaded again, its probabilities differ from the checkpoint\'s by at most '
          f'{done.difference:.2g},\nand the likeliest class is the same on {done.same_class} of '
          f'{done.images} {of}')


def add(verb: Verb) -> None:
    """The verb that exports."""
    added = verb('export', export, 'write a checkpoint in another form, and check it')
    added.add_argument('checkpoint', metavar='CKPT',
                       help='a prefix, a file of it, or its folder')
    added.add_argument('--format', required=True, choices=formats.FORMATS)
    added.add_argument('--output', required=True, metavar='PATH',
                       help='the file to write, or the folder of saved-model, openvino, timm')
    add_flags(added)
    add_options(added, SourceOptions, leave=['checkpoint_scope'])


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What of the writing of a format is not the same for all."""
    parser.add_argument('--labels', metavar='FILE',
                        help='for saved-model: the names of the classes, to be inside (labels.txt '
                        'beside the checkpoint)')
    parser.add_argument('--calibration', metavar='FOLDER',
                        help='images like those to come: int8 needs them, and answers on them are '
                        'compared')
    parser.add_argument('--quantize', choices=formats.QUANTIZATIONS, default='float32',
                        help='for tflite, onnx and openvino: what the weights are kept in '
                        '(%(default)s)')
    add_json(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace what is there')
