"""The commands `classify`, `features` and `evaluate`."""

from __future__ import annotations

import argparse
import os

from inception_slim import data, evaluation
from inception_slim.cli.arguments import (
    CHECKPOINT_HELP,
    IMAGES_HELP,
    LABELS_HELP,
    AddCommand,
    Run,
    add_json,
    add_options,
    check_csv,
    check_order,
    expand_images,
    options_of,
    positive_int,
    print_json,
    print_line,
    print_rotated,
    print_warnings,
    write_csv,
)
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.options import CANDIDATES, PredictionOptions


def classify(arguments: argparse.Namespace) -> None:
    """Prints the most likely classes of images."""
    report = _report_arguments(arguments)
    check_order(arguments, arguments.images)
    check_csv(arguments.csv)
    result = evaluation.classify(
        arguments.checkpoint, expand_images(arguments.images), labels=arguments.labels,
        top=arguments.top, threshold=arguments.threshold, **report,
        **options_of(arguments, PredictionOptions))
    if arguments.csv:
        write_csv(arguments.csv, ('image', 'rank', 'class', 'label', 'probability'), (
            (prediction.name, rank, *values) for prediction in result.predictions
            for rank, values in enumerate(zip(prediction.classes, prediction.labels,
                                              prediction.probabilities), start=1)))
    if arguments.json:
        print_json(result)
    elif arguments.csv != '-':
        for prediction in result.predictions:
            print_line(prediction.name)
            if not prediction.classes:
                print_line(f'  no class of at least {result.threshold:.2%}')
            for label, probability in zip(prediction.labels, prediction.probabilities):
                score = f'{probability:9.4g}' if result.activation == 'linear' else (
                    f'{probability:7.2%}')
                print_line(f'  {score}  {label}')
        _print_written(arguments)
    print_warnings(arguments, result)


def features(arguments: argparse.Namespace) -> None:
    """Writes the features of images to a file."""
    check_order(arguments, arguments.images)
    result = evaluation.features(arguments.checkpoint, expand_images(arguments.images),
                                 arguments.output, normalize=arguments.normalize,
                                 **options_of(arguments, PredictionOptions))
    if arguments.json:
        print_json(result)
    else:
        rows, columns = result.shape
        print_line(f'Wrote {result.path}: features of {rows:,} images, {columns:,} each; their '
                   f'names are in {result.list_path}')
    print_warnings(arguments, result)


def evaluate(arguments: argparse.Namespace) -> None:
    """Prints the accuracy of a checkpoint on a labeled dataset, or on pairs of faces."""
    if arguments.pairs:
        _evaluate_pairs(arguments)
        return
    report = _report_arguments(arguments)
    if arguments.compare and arguments.report is None:
        arguments.parser.error('--compare is shown in a report; add --report FILE.html')
    check_order(arguments, [arguments.dataset])
    check_csv(arguments.csv)
    dataset = data.open_dataset(
        '/dev/stdin' if arguments.dataset == '-' else arguments.dataset, arguments.split)
    if dataset.multi_label:
        _evaluate_multi_label(arguments, dataset)
        return
    if arguments.threshold is not None:
        raise InceptionSlimError('--threshold is for images with several labels; leave it out.')
    result = evaluation.evaluate(
        arguments.checkpoint, dataset, split=arguments.split, labels=arguments.labels,
        candidates=arguments.candidates, confusion=arguments.confusion,
        batch_statistics=arguments.batch_statistics, predictions=arguments.predictions,
        compare=arguments.compare, **report,
        **options_of(arguments, PredictionOptions))
    if arguments.csv:
        columns = ('label', 'name', 'images', 'correct', 'accuracy', 'top_5_accuracy')
        write_csv(arguments.csv, columns,
                  ([row[column] for column in columns] for row in result.per_class))
    if arguments.json:
        print_json(result)
    elif arguments.csv != '-':
        print_line(f'images             {result.num_examples:,} of {len(result.class_names):,} '
                   f'classes; {len(result.unreadable):,} unreadable')
        print_line(f'top-1 accuracy     {result.top_1:.2%}')
        print_line(f'top-5 accuracy     {result.top_5:.2%}')
        if result.batch_statistics_top_1 is not None:
            print_line(f'with batch statistics, as in training: top-1 accuracy '
                       f'{result.batch_statistics_top_1:.2%}')
        print_line(f'images per second  {result.images_per_second:.1f}')
        print_line()
        print_line('accuracy  correct of images  class')
        for row in result.per_class:
            accuracy = '-' if row['accuracy'] is None else f'{row["accuracy"]:.2%}'
            print_line(f'{accuracy:>8}  {row["correct"]:>7,} of {row["images"]:<6,}  '
                       f'{row["name"]}')
        _print_written(arguments)
    print_warnings(arguments, result)


def _evaluate_multi_label(arguments: argparse.Namespace, dataset: data.Dataset) -> None:
    """Prints metrics of a checkpoint on images with several labels."""
    for name in ('confusion', 'compare', 'heatmap', 'batch_statistics'):
        if getattr(arguments, name):
            raise InceptionSlimError(f'The images of {dataset.path} have several labels each; '
                                     f'--{name.replace("_", "-")} needs one label per image.')
    threshold = {} if arguments.threshold is None else {'threshold': arguments.threshold}
    result = evaluation.evaluate_multi_label(
        arguments.checkpoint, dataset, split=arguments.split, labels=arguments.labels,
        predictions=arguments.predictions, report=arguments.report, **threshold,
        **options_of(arguments, PredictionOptions))
    columns = ('label', 'name', 'images', 'predicted', 'correct', 'precision', 'recall', 'f1',
               'average_precision', 'auc')
    if arguments.csv:
        write_csv(arguments.csv, columns,
                  ([row[column] for column in columns] for row in result.per_class))
    if arguments.json:
        print_json(result)
    elif arguments.csv != '-':
        print_line(f'images                  {result.num_examples:,} of '
                   f'{len(result.class_names):,} classes; {len(result.unreadable):,} unreadable')
        print_line(f'mean average precision  {_share(result.mean_average_precision)}')
        print_line(f'mean ROC AUC            {_share(result.mean_auc)}')
        print_line(f'micro F1                {_share(result.micro_f1)} at a threshold of '
                   f'{result.threshold:g}')
        print_line(f'macro F1                {_share(result.macro_f1)}')
        print_line(f'images per second       {result.images_per_second:.1f}')
        if left_out := len(result.classes_without_images):
            print_line(f'left out of the means   {left_out:,} '
                       f'{"class" if left_out == 1 else "classes"} that no image has')
        print_line()
        print_line('     AP      AUC  precision   recall       F1   images  class')
        for row in result.per_class:
            average, auc, precision, recall, f1 = (_share(row[column]) for column in (
                'average_precision', 'auc', 'precision', 'recall', 'f1'))
            print_line(f'{average:>7}  {auc:>7}  {precision:>9}  {recall:>7}  {f1:>7}  '
                       f'{row["images"]:>7,}  {row["name"]}')
        _print_written(arguments)
    print_warnings(arguments, result)


def _share(value: float | None) -> str:
    return '-' if value is None else f'{value:.2%}'


def _evaluate_pairs(arguments: argparse.Namespace) -> None:
    """Prints what FaceNet's validation prints."""
    for name in ('split', 'labels', 'confusion', 'csv', 'predictions', 'report', 'compare',
                 'heatmap', 'batch_statistics', 'threshold'):
        if getattr(arguments, name) not in (None, False):
            arguments.parser.error(f'--{name.replace("_", "-")} is for classes; leave it out with '
                                   '--pairs')
    result = evaluation.evaluate_pairs(arguments.checkpoint, arguments.dataset, arguments.pairs,
                                       **options_of(arguments, PredictionOptions))
    if arguments.json:
        print_json(result)
        return
    skipped = f'; {len(result.skipped):,} skipped' if result.skipped else ''
    print_line(f'pairs                    {result.num_pairs:,}{skipped}')
    print_line(f'accuracy                 {result.accuracy:.5f} +/- '
               f'{result.accuracy_deviation:.5f} at a squared distance of '
               f'{result.threshold:.2f}')
    print_line(f'validation rate          {result.validation_rate:.5f} +/- '
               f'{result.validation_rate_deviation:.5f} at FAR {result.false_accept_rate:.5f}')
    print_line(f'area under curve (AUC)   {result.auc:.5f}')
    print_line(f'equal error rate (EER)   {result.eer:.5f}')
    if not getattr(arguments, 'quiet', False):
        print_rotated(result.rotated)


def _report_arguments(arguments: argparse.Namespace) -> dict:
    if arguments.heatmap and arguments.report is None:
        arguments.parser.error('--heatmap draws on the images of a report; add '
                               '--report FILE.html')
    return {'report': arguments.report, 'heatmap': arguments.heatmap}


def _print_written(arguments: argparse.Namespace) -> None:
    written = [path for path in (arguments.csv, getattr(arguments, 'predictions', None),
                                 arguments.report) if path is not None]
    if written:
        print_line()
    for path in written:
        size = os.path.getsize(path)
        print_line(f'Wrote {path}, '
                   + (f'{size / 1e6:.1f} MB' if size >= 1e6 else f'{size / 1e3:.0f} KB'))


def add(add_command: AddCommand) -> None:
    """Adds the commands."""

    def add_predict_command(name: str, function: Run, help: str) -> argparse.ArgumentParser:
        command = add_command(name, function, help)
        command.add_argument('checkpoint', metavar='CKPT', help=CHECKPOINT_HELP)
        add_options(command, PredictionOptions)
        add_json(command)
        return command

    def add_report_options(command: argparse.ArgumentParser, table: str, contents: str,
                           images: str) -> None:
        command.add_argument('--csv', metavar='FILE', help=f'write {table} as CSV; - prints it')
        command.add_argument('--report', metavar='FILE.html', help=f'write a page with {contents}')
        command.add_argument('--heatmap', action='store_true',
                             help=f'show on {images} of the report which regions the prediction '
                             'depends on (Grad-CAM)')

    classify_command = add_predict_command('classify', classify, 'name what images show')
    classify_command.add_argument('images', nargs='+', metavar='IMAGES', help=IMAGES_HELP)
    classify_command.add_argument('--labels', metavar='FILE', help=LABELS_HELP)
    classify_command.add_argument('--top', type=positive_int, metavar='N',
                                  help='how many classes to print (5)')
    classify_command.add_argument('--threshold', type=float, metavar='X',
                                  help='instead, print all classes of at least this probability '
                                  '(0.5 for networks with a sigmoid)')
    add_report_options(classify_command, 'the predictions', 'the images and their predictions',
                       'the images')

    features_command = add_predict_command(
        'features', features,
        'write the features of images: the input of the classifier, or the embedding')
    features_command.add_argument('images', nargs='+', metavar='IMAGES', help=IMAGES_HELP)
    features_command.add_argument('--output', required=True, metavar='FILE.npy',
                                  help='the file to write; the names of the images go beside it, '
                                  'in a .jsonl file with a JSON string per line')
    features_command.add_argument('--normalize', action='store_true',
                                  help='divide the features of each image by their length, as '
                                  'FaceNet does with embeddings')

    evaluate_command = add_predict_command('evaluate', evaluate,
                                           'measure the accuracy on a labeled dataset')
    evaluate_command.add_argument('dataset', metavar='DATASET',
                                  help='a folder of TFRecords, a folder or an archive (.zip, .tar) '
                                  'with a sub-folder of images for each class, WebDataset shards, '
                                  'or a .csv or .parquet file of paths and labels; - for such CSV '
                                  'on standard input')
    evaluate_command.add_argument('--pairs', metavar='pairs.txt',
                                  help='verify pairs of faces as FaceNet does with LFW: accuracy, '
                                  'validation rate, AUC and EER; DATASET has a sub-folder for each '
                                  'person')
    evaluate_command.add_argument('--split', metavar='NAME',
                                  help='the split of the dataset, such as validation')
    evaluate_command.add_argument('--batch-statistics', action='store_true',
                                  help="also evaluate with batch norm's statistics of each batch, "
                                  'as in training')
    evaluate_command.add_argument('--labels', metavar='FILE', help=LABELS_HELP)
    evaluate_command.add_argument('--candidates', choices=CANDIDATES, default='all',
                                  help='what an image may be predicted as: all classes of the '
                                  'checkpoint, or only those of the dataset (%(default)s)')
    evaluate_command.add_argument('--threshold', type=float, metavar='X',
                                  help='of images with several labels: the probability from which '
                                  'a class counts as predicted (0.5)')
    evaluate_command.add_argument('--predictions', metavar='FILE.csv',
                                  help='write the prediction of each image')
    evaluate_command.add_argument('--compare', metavar='OTHER.json',
                                  help='compare with the output of an earlier evaluate --json, in '
                                  'the report')
    evaluate_command.add_argument('--confusion', metavar='FILE.csv',
                                  help='write the confusion matrix; as a picture if it ends in '
                                  '.png')
    add_report_options(evaluate_command, 'the accuracy of each class',
                       'metrics, confusion matrix and misclassified images',
                       'the misclassified images')
