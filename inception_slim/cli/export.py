"""The command `export`: write a checkpoint in another format."""

from __future__ import annotations

import argparse

from inception_slim import formats
from inception_slim.checkpoint import SourceOptions
from inception_slim.cli.arguments import (
    AddCommand,
    add_json,
    add_options,
    options_of,
    positive_int,
    print_json,
    print_line,
)
from inception_slim.evaluation.options import IMAGE_SIZE_HELP


def export(arguments: argparse.Namespace) -> None:
    print_export(arguments, formats.export(
        arguments.checkpoint, arguments.output, format=arguments.format,
        precision=arguments.precision, labels=arguments.labels,
        calibration_images=arguments.calibration_images, accept_loss=arguments.accept_loss,
        overwrite=arguments.overwrite, image_size=arguments.image_size,
        **options_of(arguments, SourceOptions)))


def print_export(arguments: argparse.Namespace, result: formats.ExportResult) -> None:
    """Prints what was written and how its predictions compare."""
    if arguments.json:
        print_json(result)
        return
    images = ('generated images (pass --calibration-images FOLDER to compare real ones)'
              if result.generated else 'images')
    print_line(f'Wrote {result.path}: {result.format}, {result.precision}, '
               f'{result.size / 1e6:.1f} MB')
    print_activation(result.activation)
    if result.same_top1 is None:
        print_line('Largest difference of features from those of the checkpoint, of their length: '
                   f'{result.max_difference:.2g} on {result.images} {images}')
        return
    print_line('Largest difference of a probability from the checkpoint: '
               f'{result.max_difference:.2g}')
    print_line(f'Same top-1 class: {result.same_top1} of {result.images} {images}')


def print_activation(activation: str | None) -> None:
    """Says that the predictions of a network are no softmax."""
    if activation == 'sigmoid':
        print_line('The head is a sigmoid: each class has a probability of its own')
    elif activation == 'linear':
        print_line('The head is linear: the predictions are the logits')


def add(add_command: AddCommand) -> None:
    """Adds the command `export`."""
    parser = add_command('export', export, 'write a checkpoint in another format and verify it')
    parser.add_argument('checkpoint', metavar='CKPT',
                        help='prefix, file or folder of a checkpoint, or a file of another format')
    parser.add_argument('--format', required=True, choices=formats.FORMATS,
                        help='format to write')
    parser.add_argument('--output', required=True, metavar='PATH',
                        help='file to write; a folder for saved-model, openvino and timm')
    add_export_arguments(parser)
    add_options(parser, SourceOptions)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that depend on the format; `convert` has them too."""
    parser.add_argument('--labels', metavar='FILE',
                        help='saved-model: class names to store (default: labels.txt beside the '
                        'checkpoint)')
    parser.add_argument('--calibration-images', metavar='FOLDER',
                        help='images like those to classify, required for int8; predictions on '
                        'some of them are compared with the checkpoint')
    parser.add_argument('--precision', choices=formats.PRECISIONS, default='float32',
                        help='tflite, onnx and openvino: dtype of the weights (%(default)s)')
    parser.add_argument('--image-size', type=positive_int, metavar='N', help=IMAGE_SIZE_HELP)
    parser.add_argument('--accept-loss', action='store_true',
                        help='float16 and int8: write the file although its predictions differ '
                        'much from those of the checkpoint')
    add_json(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace an existing output')
