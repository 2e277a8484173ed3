"""The command line, `inception-slim VERB`: arguments in, one library call, lines out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import warnings

import tensorflow.compat.v1 as tf

from inception_slim import checkpoint, data, evaluation, export, inference, training
from inception_slim.nets import factory


def describe(info: checkpoint.CheckpointInfo) -> str:
    """A checkpoint on a page that a person reads in ten seconds."""
    network = factory.NETWORKS[info.network]

    def yes(value: bool) -> str:
        return 'yes' if value else 'no'

    classes = 'no classifier' if info.num_classes is None else str(info.num_classes)
    if info.has_background_class:
        classes += ' (ImageNet with a background class at 0)'
    width = 'full' if info.depth_multiplier in (None, 1.0) else (
        f'depth_multiplier={info.depth_multiplier:g}, min_depth={info.min_depth}')
    rows = [
        ('network', network.title),
        ('written as', f'{info.format} checkpoint'
         + ('' if info.global_step is None else f' at step {info.global_step}')),
        ('names', f'{info.naming}, under {info.scope!r}' if info.scope else info.naming),
        ('classes', classes),
        ('width', width),
        ('parameters', f'{info.parameters:,}'),
        ('auxiliary head', yes(info.has_aux_logits)),
        ('batch-norm gammas', yes(info.has_gammas)),
        ('moving averages', yes(info.has_moving_averages)),
        ('optimizer slots', info.optimizer or 'none'),
    ]
    page = [info.path, *(f'  {name:18} {value}' for name, value in rows)]
    return '\n'.join([*page, '', 'To load it:', '', *loading(info)])


def loading(info: checkpoint.CheckpointInfo) -> list[str]:
    """The Python lines that load a checkpoint."""
    network = factory.NETWORKS[info.network]
    arguments = [f'num_classes={info.num_classes}', 'is_training=False']
    if not info.has_aux_logits and network.aux_classifier:
        arguments.append('create_aux_logits=False')
    if info.depth_multiplier not in (None, 1.0):
        arguments += [f'depth_multiplier={info.depth_multiplier:g}', f'min_depth={info.min_depth}']
    options = 'batch_norm_scale=True' if info.has_gammas else ''
    restoring = [f'scope={network.scope!r}'] if network.scope != 'InceptionV3' else []
    if info.has_moving_averages:
        restoring.append('use_ema=True')
    size = network.image_size
    return [f'    {line}'.rstrip() for line in (
        'import inception_slim',
        'import tensorflow.compat.v1 as tf',
        'import tf_slim as slim',
        'from inception_slim import checkpoint',
        '',
        'with tf.Graph().as_default(), tf.Session() as session:',
        f'    images = tf.placeholder(tf.float32, (None, {size}, {size}, 3))  # in [-1, 1]',
        f'    with slim.arg_scope(inception_slim.{network.name}_arg_scope({options})):',
        f'        logits, end_points = inception_slim.{network.name}(',
        f'            images, {", ".join(arguments)})',
        f'    checkpoint.restore({", ".join(["session", repr(info.path), *restoring])})',
    )]


def inspect(arguments: argparse.Namespace) -> None:
    info = checkpoint.inspect(arguments.path, checkpoint_scope=arguments.checkpoint_scope)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(info), indent=2))
    else:
        print(describe(info))


def convert(arguments: argparse.Namespace) -> None:
    info = checkpoint.convert(arguments.source, arguments.destination, use_ema=arguments.ema,
                              overwrite=arguments.overwrite,
                              checkpoint_scope=arguments.checkpoint_scope)
    print(f'Wrote {info.path}: {factory.NETWORKS[info.network].title}, '
          f'{info.parameters:,} parameters')


def classify(arguments: argparse.Namespace) -> None:
    found = evaluation.classify(arguments.checkpoint, arguments.images, labels=arguments.labels,
                                top=arguments.top, **common(arguments))
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
        return
    for answer in found.answers:
        print(answer.name)
        for label, probability in zip(answer.labels, answer.probabilities):
            print(f'  {probability:7.2%}  {label}')
    remarks(found)


def features(arguments: argparse.Namespace) -> None:
    found = evaluation.features(arguments.checkpoint, arguments.images, arguments.output,
                                **common(arguments))
    rows, columns = found.shape
    print(f'Wrote {found.path}: {rows:,} vectors of {columns:,}; their files are in '
          f'{found.list_path}')
    remarks(found)


def evaluate(arguments: argparse.Namespace) -> None:
    found = evaluation.evaluate(arguments.checkpoint, arguments.dataset, split=arguments.split,
                                confusion=arguments.confusion, **common(arguments))
    if arguments.json:
        keys = ('num_examples', 'top_1', 'top_5', 'per_class', 'class_names', 'answer_names',
                'bad', 'note', 'images_per_second')
        print(json.dumps({**{key: getattr(found, key) for key in keys},
                          'confusion': found.confusion.tolist()}, indent=2))
        return
    print(f'images             {found.num_examples:,}, of {len(found.class_names):,} classes; '
          f'{len(found.bad):,} bad')
    print(f'top-1 accuracy     {found.top_1:.2%}')
    print(f'top-5 (Recall_5)   {found.top_5:.2%}')
    print(f'images per second  {found.images_per_second:.1f}')
    print('\naccuracy  right of   class')
    for row in found.per_class:
        accuracy = '-' if row['accuracy'] is None else f'{row["accuracy"]:.2%}'
        print(f'{accuracy:>8}  {row["correct"]:>5,} {row["images"]:<5,}{row["name"]}')
    remarks(found)


def common(arguments: argparse.Namespace) -> dict:
    """What the verbs that run a network have in common, as arguments of the library."""
    return {'precision': arguments.precision, 'batch_size': arguments.batch_size,
            'strict': arguments.strict, 'use_ema': arguments.ema,
            'checkpoint_scope': arguments.checkpoint_scope}


def remarks(found: evaluation.Classification | evaluation.Features | evaluation.Evaluation
            | training.Trained) -> None:
    """Says on standard error what was assumed, and which images were left out."""
    note = getattr(found, 'note', None)
    if note:
        print(note, file=sys.stderr)
    if found.bad:
        print(f'Left out as damaged or unreadable: {len(found.bad):,}', file=sys.stderr)
    for name in found.bad:
        print(f'  {name}', file=sys.stderr)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def add_data_verbs(verb) -> None:
    """The verbs that show images to a network."""

    def network_verb(name, function, help):
        added = verb(name, function, help)
        added.add_argument('checkpoint', metavar='CKPT',
                           help='a prefix, a file of it, or its folder')
        added.add_argument('--precision', choices=inference.PRECISIONS, default='float32',
                           help='what to multiply in (%(default)s)')
        added.add_argument('--batch-size', type=positive, default=32, metavar='N',
                           help='images in one run (%(default)s)')
        added.add_argument('--ema', action='store_true',
                           help='take the moving averages of the weights')
        added.add_argument('--strict', action='store_true',
                           help='stop at a damaged image instead of leaving it out')
        return added

    added = network_verb('classify', classify, 'name what is in images')
    added.add_argument('images', nargs='+', metavar='IMAGE|FOLDER')
    added.add_argument('--labels', metavar='FILE',
                       help='the names of the classes: lines like 0:daisy, or one name a line '
                       '(labels.txt beside the checkpoint)')
    added.add_argument('--top', type=positive, default=5, metavar='N',
                       help='how many classes to name (%(default)s)')
    added.add_argument('--json', action='store_true', help='print JSON')

    added = network_verb('features', features, 'write what the classifier sees of images')
    added.add_argument('images', nargs='+', metavar='IMAGE|FOLDER')
    added.add_argument('--output', required=True, metavar='FILE.npy',
                       help='where to write; the list of the images goes beside it, as .txt')

    added = network_verb('evaluate', evaluate, 'compare answers with the labels of a dataset')
    added.add_argument('dataset', metavar='DATASET',
                       help='a folder of TFRecords, or one with a sub-folder for each class')
    added.add_argument('--split', metavar='NAME', help='which part of it, such as validation')
    added.add_argument('--confusion', metavar='FILE.csv',
                       help='write the confusion matrix; as a picture if it ends in .png')
    added.add_argument('--json', action='store_true', help='print JSON')


def train(arguments: argparse.Namespace) -> None:
    log = None if sys.stderr.isatty() else lambda line: print(line, flush=True)
    options = {name: getattr(arguments, name) for name in (
        'split', 'network', 'checkpoint', 'checkpoint_scope', 'exclude_scopes', 'trainable_scopes',
        'steps', 'batch_size', 'image_size', 'distort', 'seed', 'strict', *TRAINING_NUMBERS)}
    done = training.train(arguments.dataset, arguments.train_dir, log=log, **options)
    remarks(done)
    if done.interrupted:
        print(f'Stopped at step {done.step:,}; the same command goes on from {done.checkpoint}')
    elif done.loss is None:
        print(f'Nothing to do: {done.checkpoint} is at step {done.step:,}')
    else:
        print(f'Wrote {done.checkpoint}: step {done.step:,}, loss {done.loss:.4f}')


def write_export(arguments: argparse.Namespace) -> None:
    done = export.export(
        arguments.checkpoint, arguments.output, format=arguments.format,
        quantize=arguments.quantize, labels=arguments.labels,
        calibration_images=arguments.calibration, use_ema=arguments.ema,
        overwrite=arguments.overwrite, checkpoint_scope=arguments.checkpoint_scope)
    of = 'generated images; --calibration FOLDER compares real ones' if done.generated else 'images'
    print(f'Wrote {done.path}: {done.format}, {done.quantize}, {done.size / 1e6:.1f} MB')
    print(f'Loaded again, its probabilities differ from the checkpoint\'s by at most '
          f'{done.difference:.2g},\nand the likeliest class is the same on {done.same_class} of '
          f'{done.images} {of}')


TRAINING_NUMBERS = {
    'learning_rate': (0.01, 'of the first step'),
    'end_learning_rate': (0.0001, 'the rate falls no further'),
    'decay_factor': (0.94, 'what the rate is multiplied by when it falls'),
    'epochs_per_decay': (2.0, 'it falls after so many times through the dataset'),
    'aux_weight': (0.4, 'weight of the auxiliary loss'),
    'label_smoothing': (0.1, 'the part of a label spread over all classes'),
    'weight_decay': (0.00004, 'factor of the L2 loss'),
    'moving_average_decay': (0.9999, 'of the averages of the weights; 0 keeps none'),
    'clip_gradients': (2.0, 'the largest norm of a gradient; 0 does not clip'),
    'batch_norm_decay': (0.9997, 'of batch norm\'s averages; 0.99 for a few hundred steps'),
    'dropout_keep_prob': (0.8, 'the part that dropout keeps'),
    'depth_multiplier': (1.0, 'factor of the number of channels'),
    'min_depth': (16, 'the fewest channels of a layer'),
    'save_minutes': (10.0, 'from one checkpoint to the next'),
    'summary_steps': (20, 'from one summary to the next'),
}


def scopes(text: str) -> list[str]:
    return [each for each in text.split(',') if each]


def add_training_verbs(verb) -> None:
    """The verbs that write a network: its checkpoints, and what becomes of them."""
    added = verb('train', train, 'train a network, or fine-tune a checkpoint')
    added.add_argument('dataset', metavar='DATASET',
                       help='a folder of TFRecords, or of one folder of images a class')
    added.add_argument('--train-dir', required=True, metavar='DIR',
                       help='where checkpoints and summaries go; an earlier run there is gone on '
                       'with')
    added.add_argument('--split', metavar='NAME', help='the split to train on, such as train')
    added.add_argument('--network', choices=factory.NETWORKS, default='inception_v3')
    added.add_argument('--from', dest='checkpoint', metavar='CKPT',
                       help='begin with the weights of this checkpoint, where no earlier run is')
    added.add_argument('--exclude-scopes', type=scopes, default=[], metavar='A,B',
                       help='what not to take from it, such as Logits,AuxLogits')
    added.add_argument('--trainable-scopes', type=scopes, metavar='A,B',
                       help='train these alone, such as Logits,AuxLogits')
    added.add_argument('--steps', type=positive, default=10_000, metavar='N',
                       help='where to stop, from the first step of all (%(default)s)')
    added.add_argument('--batch-size', type=positive, default=32, metavar='N',
                       help='images in one step (%(default)s)')
    added.add_argument('--image-size', type=positive, metavar='N',
                       help='pixels of a side (the network\'s own)')
    added.add_argument('--no-distort', dest='distort', action='store_false',
                       help='show the images as evaluation does: not cut, flipped or recoloured')
    for name, (default, text) in TRAINING_NUMBERS.items():
        added.add_argument('--' + name.replace('_', '-'), type=type(default), default=default,
                           metavar='X' if isinstance(default, float) else 'N',
                           help=f'{text} (%(default)s)')
    added.add_argument('--seed', type=int, metavar='N')
    added.add_argument('--strict', action='store_true',
                       help='stop at a damaged image instead of leaving it out')

    added = verb('export', write_export, 'write a checkpoint in another form, and check it')
    added.add_argument('checkpoint', metavar='CKPT',
                       help='a prefix, a file of it, or its folder')
    added.add_argument('--format', required=True, choices=export.FORMATS)
    added.add_argument('--output', required=True, metavar='PATH',
                       help='the file to write, or the folder of a saved-model')
    added.add_argument('--labels', metavar='FILE',
                       help='for saved-model: the names of the classes, to be inside (labels.txt '
                       'beside the checkpoint)')
    added.add_argument('--calibration', metavar='FOLDER',
                       help='images like those to come: int8 needs them, and answers on them are '
                       'compared')
    added.add_argument('--quantize', choices=export.QUANTIZATIONS, default='float32',
                       help='for tflite: what the weights are kept in (%(default)s)')
    added.add_argument('--ema', action='store_true',
                       help='take the moving averages of the weights')
    added.add_argument('--overwrite', action='store_true', help='replace what is there')


def parser() -> argparse.ArgumentParser:
    main_parser = argparse.ArgumentParser(
        prog='inception-slim', description='TF-Slim Inception checkpoints on today\'s TensorFlow.')
    verbs = main_parser.add_subparsers(title='verbs', metavar='VERB', required=True)

    def verb(name, function, help):
        added = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + '.')
        added.set_defaults(function=function)
        added.add_argument('--checkpoint-scope', metavar='SCOPE',
                           help='which network to take, where a file holds more than one')
        return added

    added = verb('inspect', inspect, 'say what a checkpoint holds and how to load it')
    added.add_argument('path', metavar='PATH', help='a prefix, a file of it, or its folder')
    added.add_argument('--json', action='store_true', help='print JSON')

    added = verb('convert', convert, 'rewrite a checkpoint as V2 in TF-Slim\'s names')
    added.add_argument('source', metavar='SRC', help='a prefix, a file of it, or its folder')
    added.add_argument('destination', metavar='DST', help='the prefix to write')
    added.add_argument('--ema', action='store_true',
                       help='write the moving averages of the weights')
    added.add_argument('--overwrite', action='store_true', help='replace what is there')

    add_data_verbs(verb)
    add_training_verbs(verb)
    return main_parser


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns 0, or 1 for bad input. Bad usage exits with 2."""
    tf.get_logger().setLevel('ERROR')
    arguments = parser().parse_args(argv)
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='surrogateescape')  # a file name need not be text
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f'inception-slim: {message}',
                                                             file=sys.stderr)
            arguments.function(arguments)
            sys.stdout.flush()
    except (checkpoint.CheckpointError, data.DatasetError, export.ExportError,
            training.TrainingError) as error:
        print(f'inception-slim: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('inception-slim: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `| head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
