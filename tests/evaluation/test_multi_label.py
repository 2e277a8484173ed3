"""Evaluation of images with several labels: the metrics of scikit-learn, outputs and refusals."""

import contextlib
import csv
import dataclasses
import json
import os
import re

from helpers import GOLDEN
from inception_slim import checkpoint, cli, data, evaluation, inference
from inception_slim.checkpoint._convert import write_network
from inception_slim.checkpoint.head import MULTI_LABEL_HEAD
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.report.score_file import ScoreFile
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
import tensorflow.compat.v1 as tf

TRAINED = os.path.join(GOLDEN, 'legacy_scripts')
NAMES = ['even', 'round', 'large', 'none', 'all']
COUNT = 24


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    """Digits; no image has the fourth label, all have the fifth, and the last is cut short."""
    folder = tmp_path_factory.mktemp('digits')
    digits = load_digits()
    data.write_labels(folder / 'labels.txt', NAMES)
    with open(folder / 'digits.csv', 'w', newline='') as file, tf.Graph().as_default(), \
            tf.Session() as session:
        writer = csv.writer(file)
        writer.writerow(['path', 'labels'])
        pixels = tf.placeholder(tf.uint8, (8, 8, 1))
        encoded = tf.image.encode_png(pixels)
        for number, (image, digit) in enumerate(zip(digits.images[:COUNT + 1], digits.target)):
            content = session.run(encoded, {pixels: image[..., np.newaxis] * 15})
            (folder / f'{number}.png').write_bytes(content[:60] if number == COUNT else content)
            labels = [name for name, holds in (
                ('even', digit % 2 == 0), ('round', digit in (0, 6, 8, 9)), ('large', digit > 4))
                if holds]
            writer.writerow([f'{number}.png', ';'.join([*labels, 'all'])])
    return folder / 'digits.csv'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A trained network with a random sigmoid for each label."""
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    info, weights = checkpoint.read(TRAINED)
    weights = {name: value for name, value in weights.items() if not name.startswith('AuxLogits')}
    kernel = weights['Logits/Conv2d_1c_1x1/weights']
    weights['Logits/Conv2d_1c_1x1/weights'] = np.random.default_rng(0).standard_normal(
        (*kernel.shape[:3], 5)).astype(np.float32)
    weights['Logits/Conv2d_1c_1x1/biases'] = np.zeros(5, np.float32)
    write_network(dataclasses.replace(info, head=MULTI_LABEL_HEAD), weights, str(path),
                  class_names=NAMES)
    return path


@pytest.fixture(scope='module')
def predictor(model):
    with inference.load(model, expected_images=COUNT) as loaded:
        yield loaded


@pytest.fixture(scope='module')
def expected(table, predictor):
    """The labels of the readable images, and their probabilities."""
    dataset = data.open_dataset(table)
    batch = next(data.as_numpy_batches(lambda: data.batches(dataset, COUNT)))
    return batch['label'], predictor.predict(batch['image'])


def test_metrics_equal_scikit_learn(table, predictor, expected):
    labels, probabilities = expected
    threshold = float(np.sort(probabilities.ravel())[70])  # equal to a probability
    result = evaluation.evaluate_multi_label(predictor, table, batch_size=7, threshold=threshold)
    predicted = probabilities >= threshold
    assert (result.num_examples, result.class_names, result.threshold) == (COUNT, NAMES, threshold)
    assert len(result.unreadable) == 1 and result.warning is None
    assert result.classes_without_images == ['none']
    present, with_both = [0, 1, 2, 4], [0, 1, 2]
    for label in range(5):
        row = result.per_class[label]
        assert (row['label'], row['name']) == (label, NAMES[label])
        assert (row['images'], row['predicted']) == (labels[:, label].sum(),
                                                     predicted[:, label].sum())
        truth, score, guess = labels[:, label], probabilities[:, label], predicted[:, label]
        if label != 3:
            assert row['average_precision'] == pytest.approx(average_precision_score(truth, score))
            assert row['recall'] == pytest.approx(recall_score(truth, guess))
            assert row['f1'] == pytest.approx(f1_score(truth, guess))
        if guess.any():
            assert row['precision'] == pytest.approx(precision_score(truth, guess))
        if label in with_both:
            assert row['auc'] == pytest.approx(roc_auc_score(truth, score))
    none, every = result.per_class[3:]
    assert none['average_precision'] is none['auc'] is none['recall'] is every['auc'] is None
    assert every['average_precision'] == pytest.approx(1)
    assert result.mean_average_precision == pytest.approx(average_precision_score(
        labels[:, present], probabilities[:, present]))
    assert result.mean_auc == pytest.approx(roc_auc_score(
        labels[:, with_both], probabilities[:, with_both]))
    assert result.micro_f1 == pytest.approx(f1_score(labels, predicted, average='micro'))
    assert result.macro_f1 == pytest.approx(f1_score(
        labels[:, present], predicted[:, present], average='macro'))
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@pytest.mark.slow
def test_some_of_the_classes_from_records(predictor, table, expected, tmp_path):
    """Labels of another order, by their names."""
    labels, probabilities = expected
    encoded = [(table.parent / f'{number}.png').read_bytes() for number in range(COUNT)]
    (tmp_path / 'some.csv').write_text('path,large,even\n' + ''.join(
        f'{table.parent}/{number}.png,{row[2]},{row[0]}\n' for number, row in enumerate(labels)))
    some = evaluation.evaluate_multi_label(predictor, tmp_path / 'some.csv')
    assert some.class_names == ['large', 'even'] and 'found by their names' in some.warning
    assert some.average_precision == pytest.approx([average_precision_score(
        labels[:, label], probabilities[:, label]) for label in (2, 0)])
    data.write_tfrecords(tmp_path, 'x', 'train', zip(encoded, labels.tolist()), NAMES)
    records = evaluation.evaluate_multi_label(predictor, tmp_path, split='train')
    assert records.mean_average_precision == pytest.approx(average_precision_score(
        labels[:, [0, 1, 2, 4]], probabilities[:, [0, 1, 2, 4]]))


def test_command(model, table, expected, tmp_path, capsys):
    labels, probabilities = expected
    files = [str(tmp_path / name) for name in ('table.csv', 'predictions.csv', 'report.html')]
    assert cli.main(['evaluate', str(model), str(table), '--csv', files[0], '--predictions',
                     files[1], '--report', files[2], '--threshold', '0.25']) == 0
    lines = capsys.readouterr().out.splitlines()
    mean = average_precision_score(labels[:, [0, 1, 2, 4]], probabilities[:, [0, 1, 2, 4]])
    assert lines[:2] == [f'images                  {COUNT} of 5 classes; 1 unreadable',
                         f'mean average precision  {mean:.2%}']
    assert 'left out of the means   1 class that no image has' in lines
    even = next(line for line in lines if line.endswith(' even'))
    area = roc_auc_score(labels[:, 0], probabilities[:, 0])
    assert even.split()[:2] == [
        f'{average_precision_score(labels[:, 0], probabilities[:, 0]):.2%}', f'{area:.2%}']
    with open(files[1], newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['image', 'labels', 'predicted', *NAMES] and len(rows) == COUNT
    for row, truth, values in zip(rows, labels, probabilities):
        assert row[1].split(';') == [name for name, holds in zip(NAMES, truth) if holds]
        assert row[2] == ';'.join(name for name, value in zip(NAMES, values) if value >= 0.25)
        np.testing.assert_allclose(np.float64(row[3:]), values, rtol=1e-5)
    with open(files[0], newline='') as file:
        assert [row[1] for row in csv.reader(file)][1:] == NAMES
    page = open(files[2]).read()
    content = json.loads(re.search(r'id="content">(.*?)</script>', page, re.S)[1])
    assert [row[0] for row in content['curves']] == ['even', 'round', 'large']
    assert f'<p class="value">{mean:.2%}</p>' in page
    assert 'Left out of the means, since no image has them: none.' in page
    assert page.split('id="classes"')[1].count('<tr>') == 6


@pytest.mark.parametrize('option', ['--confusion=a.csv', '--compare=a.json', '--batch-statistics',
                                    '--heatmap'])
def test_refuses_what_needs_one_label(model, table, tmp_path, capsys, option):
    report = [f'--report={tmp_path}/a.html']
    assert cli.main(['evaluate', str(model), str(table), option, *report]) == 1
    name = option.split('=')[0]
    assert f'have several labels each; {name} needs one label per image.' in capsys.readouterr().err


def test_refuses_the_other_kind_of_dataset(predictor, table, tmp_path, capsys):
    with pytest.raises(DatasetError, match='evaluate, unlike evaluate_multi_label, needs one'):
        evaluation.evaluate(predictor, table)
    with pytest.raises(DatasetError, match='have one label each; use evaluate.'):
        evaluation.evaluate_multi_label(predictor, TRAINED, split='train')
    with pytest.raises(InceptionSlimError, match='threshold must be at least 0 and at most 1'):
        evaluation.evaluate_multi_label(predictor, table, threshold=1.5)
    assert cli.main(['evaluate', TRAINED, TRAINED, '--split', 'train', '--threshold', '0.5']) == 1
    assert '--threshold is for images with several labels' in capsys.readouterr().err


@pytest.mark.slow
def test_softmax_is_named(table, tmp_path):
    (tmp_path / 'labels.csv').write_text(f'path,rows,rings\n{table.parent}/0.png,1,1\n')
    result = evaluation.evaluate_multi_label(TRAINED, tmp_path / 'labels.csv')
    assert 'is softmax and not sigmoid: its outputs are no probabilities of' in result.warning
    assert result.mean_auc is None and result.mean_average_precision == 1


def test_scores_are_kept_whatever_their_number(monkeypatch):
    monkeypatch.setattr('inception_slim.evaluation.report.score_file.MAX_SCORES', 10)
    labels = np.random.RandomState(0).rand(50, 70) < 0.3
    scores = np.random.RandomState(1).rand(50, 70).astype(np.float32)
    with contextlib.closing(ScoreFile(70, multi_label=True)) as file:
        for first in range(0, 50, 20):
            file.add(labels[first:first + 20], scores[first:first + 20])
        result = file.curves()
    assert result.average_precision.mean() == pytest.approx(average_precision_score(labels, scores))


class TestClassify:

    def test_threshold_of_a_half(self, predictor, table, expected):
        _, probabilities = expected
        files = [table.parent / f'{number}.png' for number in range(6)]
        result = evaluation.classify(predictor, files, labels=NAMES)
        assert result.threshold == 0.5
        for prediction, row in zip(result.predictions, probabilities):
            assert prediction.classes == np.argsort(-row)[:(row >= 0.5).sum()].tolist()
        for options, least in (({'top': 2}, 2), ({'top': 2, 'threshold': 0.0}, 2),
                               ({'threshold': 0.0}, 5)):
            result = evaluation.classify(predictor, files[:2], **options)
            assert [len(prediction.classes) for prediction in result.predictions] == [least] * 2

    @pytest.mark.slow
    def test_command(self, model, table, expected, capsys, tmp_path):
        """A class of an image, or a line that says that there is none."""
        _, probabilities = expected
        threshold = float(np.median(probabilities.max(axis=1)))
        assert cli.main(['classify', str(model), str(table.parent / '*.png'), '--threshold',
                         repr(threshold), '--report', str(tmp_path / 'a.html')]) == 0
        lines = capsys.readouterr().out.splitlines()
        count = int((probabilities.max(axis=1) < threshold).sum())
        assert lines.count(f'  no class of at least {threshold:.2%}') == count > 0
        page = (tmp_path / 'a.html').read_text()
        assert page.count(f'no class of at least {threshold:.2%}') == count
