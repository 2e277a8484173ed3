"""The commands `inspect` and `convert`."""

from __future__ import annotations

import argparse

from inception_slim import checkpoint, formats
from inception_slim.checkpoint import SourceOptions
from inception_slim.checkpoint.head import SLIM_HEAD
from inception_slim.cli import export
from inception_slim.cli.arguments import (
    AddCommand,
    add_json,
    add_options,
    options_of,
    print_json,
    print_line,
)
from inception_slim.errors import InceptionSlimError
from inception_slim.nets import registry

_POOLINGS = {'padded': 'averages include the zero padding, as in PyTorch',
             '2015': 'maximum in the last block, as in the network of 2015'}
# What Inception-ResNet V1 was trained on.
_INPUT_RANGES = {'inception': 'in [-1, 1]', 'facenet': '(bytes - 127.5) / 128',
                 'prewhiten': 'prewhitened, each by its own mean and deviation'}
_SLIM = 'slim-checkpoint'


def describe(info: checkpoint.CheckpointInfo) -> str:
    """Returns a description of a checkpoint, and the code that loads it."""
    network = registry.NETWORKS[info.network]

    def yes(value: bool) -> str:
        return 'yes' if value else 'no'

    classes = 'no classifier' if info.num_classes is None else str(info.num_classes)
    if info.embedding_size is not None:
        classes += f', but an embedding of {info.embedding_size} numbers'
    if info.has_background_class:
        classes += ' (ImageNet with a background class at 0)'
    width = 'full' if info.depth_multiplier in (None, 1.0) else (
        f'depth_multiplier={info.depth_multiplier:g}, min_depth={info.min_depth}')
    rows = [
        ('network', network.title),
        ('written as', info.format + (' checkpoint' if info.format in ('V1', 'V2') else '')
         + ('' if info.global_step is None else f' at step {info.global_step}')),
        ('names', f'{info.naming}, under {info.scope!r}' if info.scope else info.naming),
        ('classes', classes),
        ('width', width),
        ('parameters', f'{info.parameters:,}'),
        ('auxiliary head', yes(info.has_aux_logits)),
        ('batch-norm gammas', yes(info.has_gammas) if info.has_batch_norm else
         'no batch norm, which is folded into the weights'),
        ('moving averages', yes(info.has_moving_averages)),
        ('optimizer slots', info.optimizer or 'none'),
        ('structure', "in the file, equal to the network's" if info.has_structure else
         'not in the file, which holds weights only'),
    ]
    if info.embedding_size is not None:
        rows.append(('images', _INPUT_RANGES.get(
            info.input_range, f'range {info.input_range!r}') + ', whole, not cropped'))
    if info.pooling != 'average':
        rows.append(('pooling', _POOLINGS[info.pooling]))
    if info.head != SLIM_HEAD:
        rows.append(('head', str(info.head)))
    rows += [('note', note) for note in info.notes]
    lines = [info.path, *(f'  {name:18} {value}' for name, value in rows)]
    return '\n'.join([*lines, '', 'To load it:', '', *loading_code(info)])


def loading_code(info: checkpoint.CheckpointInfo) -> list[str]:
    """Returns the lines of Python code that load a checkpoint."""
    network = registry.NETWORKS[info.network]
    if info.head != SLIM_HEAD:  # TF-Slim's function does not build it
        return [f'    {line}'.rstrip() for line in (
            'from inception_slim import inference',
            '',
            f'with inference.load({info.path!r}) as predictor:',
            f"    predictor.predict('image.jpg')  # [1, {info.num_classes}]")]
    arguments = [f'num_classes={info.num_classes}', 'is_training=False']
    output, comment = 'logits', 'in [-1, 1]'
    if network.has_embedding:
        arguments[0] = f'bottleneck_layer_size={info.embedding_size}'
        output, comment = 'net', _INPUT_RANGES.get(info.input_range, info.input_range)
    if not info.has_aux_logits and network.aux_classifier:
        arguments.append('create_aux_logits=False')
    if info.depth_multiplier not in (None, 1.0):
        arguments += [f'depth_multiplier={info.depth_multiplier:g}', f'min_depth={info.min_depth}']
    options = ('use_batch_norm=False' if not info.has_batch_norm else
               'batch_norm_scale=True' if info.has_gammas else '')
    restoring = [f'scope={network.scope!r}'] if network.scope != 'InceptionV3' else []
    if info.has_moving_averages:
        restoring.append('use_ema=True')
    size = network.image_size
    pooling, importing = '', []
    if info.pooling != 'average':
        pooling = (', \\\n                    '
                   f"slim.arg_scope([pooled_conv], pooling='{info.pooling}')")
        importing = ['from inception_slim.nets.mixed import pooled_conv']
    return [f'    {line}'.rstrip() for line in (
        'import inception_slim',
        'import tensorflow.compat.v1 as tf',
        'import tf_slim as slim',
        'from inception_slim import checkpoint',
        *importing,
        '',
        'with tf.Graph().as_default(), tf.Session() as session:',
        f'    images = tf.placeholder(tf.float32, (None, {size}, {size}, 3))  # {comment}',
        f'    with slim.arg_scope(inception_slim.{network.name}_arg_scope({options})){pooling}:',
        f'        {output}, end_points = inception_slim.{network.name}(',
        f'            images, {", ".join(arguments)})',
        f'    checkpoint.restore({", ".join(["session", repr(info.path), *restoring])})',
    )]


def inspect(arguments: argparse.Namespace) -> None:
    """Describes a checkpoint."""
    info = checkpoint.inspect(arguments.path, checkpoint_scope=arguments.checkpoint_scope)
    if arguments.json:
        print_json(info)
    else:
        for line in describe(info).splitlines():
            print_line(line)


def convert(arguments: argparse.Namespace) -> None:
    """Converts a checkpoint."""
    options = options_of(arguments, SourceOptions)
    if arguments.to != _SLIM:
        export.print_export(arguments, formats.export(
            arguments.source, arguments.destination, format=arguments.to,
            precision=arguments.precision, labels=arguments.labels,
            calibration_images=arguments.calibration_images, accept_loss=arguments.accept_loss,
            overwrite=arguments.overwrite, image_size=arguments.image_size,
            **options))
        return
    if (arguments.precision != 'float32' or arguments.labels or arguments.calibration_images
            or arguments.image_size):
        raise InceptionSlimError('A TensorFlow checkpoint has no labels and no image size, and is '
                                 'always float32; leave out --labels, --image-size, '
                                 '--calibration-images and --precision.')
    info = checkpoint.convert(arguments.source, arguments.destination,
                              overwrite=arguments.overwrite, **options)
    if arguments.json:
        print_json(info)
        return
    print_line(f'Wrote {info.path}: {registry.NETWORKS[info.network].title}, '
               f'{info.parameters:,} parameters')
    if info.num_classes is not None:
        export.print_activation(info.head.activation)


def add(add_command: AddCommand) -> None:
    """Adds the commands."""
    command = add_command('inspect', inspect, 'describe a checkpoint and show how to load it')
    command.add_argument('path', metavar='CHECKPOINT',
                         help='prefix, file or folder of a checkpoint, or a file of another format')
    add_options(command, SourceOptions, names=['checkpoint_scope'])
    add_json(command)

    command = add_command('convert', convert, "convert any file of a network to a TensorFlow "
                          "checkpoint with TF-Slim's names, or to another format")
    command.add_argument('source', metavar='SRC',
                         help='prefix, file or folder of a checkpoint, or a file of another format')
    command.add_argument('destination', metavar='DST', help='the prefix, file or folder to write')
    command.add_argument('--to', choices=(_SLIM, *formats.FORMATS), default=_SLIM,
                         help='what to write (%(default)s)')
    export.add_export_arguments(command)
    add_options(command, SourceOptions)
