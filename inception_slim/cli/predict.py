"""`classify`, `features` and `evaluate`: what a checkpoint says of images."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os

from inception_slim import evaluation
from inception_slim.cli.arguments import (
    Run,
    Verb,
    add_options,
    options_of,
    positive_int,
    print_warnings,
)
from inception_slim.evaluation.options import EvaluationOptions


def classify(arguments: argparse.Namespace) -> None:
    found = evaluation.classify(arguments.checkpoint, arguments.images, labels=arguments.labels,
                                top=arguments.top, **_report(arguments),
                                **options_of(arguments, EvaluationOptions))
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
        return
    for answer in found.answers:
        print(answer.name)
        for label, probability in zip(answer.labels, answer.probabilities):
            print(f'  {probability:7.2%}  {label}')
    _say_report(arguments)
    print_warnings(found)


def _report(arguments: argparse.Namespace) -> dict:
    if arguments.heatmap and arguments.report is None:
        arguments.bad_usage('--heatmap lays over the images of a report: give --report FILE.html '
                            'too')
    return {'report': arguments.report, 'heatmap': arguments.heatmap}


def _say_report(arguments: argparse.Namespace) -> None:
    if arguments.report is not None:
        size = os.path.getsize(arguments.report)
        print(f'\nWrote {arguments.report}, '
              + (f'{size / 1e6:.1f} MB' if size >= 1e6 else f'{size / 1e3:.0f} KB'))


def features(arguments: argparse.Namespace) -> None:
    found = evaluation.features(arguments.checkpoint, arguments.images, arguments.output,
                                **options_of(arguments, EvaluationOptions))
    rows, columns = found.shape
    print(f'Wrote {found.path}: {rows:,} vectors of {columns:,}; their files are in '
          f'{found.list_path}')
    print_warnings(found)


def evaluate(arguments: argparse.Namespace) -> None:
    found = evaluation.evaluate(arguments.checkpoint, arguments.dataset, split=arguments.split,
                                confusion=arguments.confusion, **_report(arguments),
                                **options_of(arguments, EvaluationOptions))
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
    _say_report(arguments)
    print_warnings(found)


def add(verb: Verb) -> None:
    """The verbs that show images to a network."""

    def network_verb(name: str, function: Run, help: str) -> argparse.ArgumentParser:
        added = verb(name, function, help)
        added.add_argument('checkpoint', metavar='CKPT',
                           help='a prefix, a file of it, or its folder')
        add_options(added, EvaluationOptions, leave=['checkpoint_scope'])
        return added

    def report_flags(added: argparse.ArgumentParser, what: str, where: str) -> None:
        added.add_argument('--report', metavar='FILE.html', help=f'write a page {what}')
        added.add_argument('--heatmap', action='store_true',
                           help=f'lay over {where} of the report where the answer came from')
        added.set_defaults(bad_usage=added.error)

    added = network_verb('classify', classify, 'name what is in images')
    added.add_argument('images', nargs='+', metavar='IMAGE|FOLDER')
    added.add_argument('--labels', metavar='FILE',
                       help='the names of the classes: lines like 0:daisy, or one name a line; '
                       "imagenet for ImageNet's (labels.txt beside the checkpoint)")
    added.add_argument('--top', type=positive_int, default=5, metavar='N',
                       help='how many classes to name (%(default)s)')
    report_flags(added, 'that shows the images with their answers', 'the images')
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
    report_flags(added, 'to look at: figures, confusion matrix, mistakes', 'the surest mistakes')
    added.add_argument('--json', action='store_true', help='print JSON')
