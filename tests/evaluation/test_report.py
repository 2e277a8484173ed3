"""HTML reports: the example store, the content of the pages, and their behaviour in a browser."""

import dataclasses
import html
import json
import os
import pathlib
import re
import warnings

from browser import CHROMIUM, Browser
from helpers import GOLDEN
from inception_slim import cli, evaluation
from inception_slim.data import DatasetError
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation.classification_metrics import (
    class_curves,
    class_probabilities,
    confused_pairs,
    per_class_metrics,
)
from inception_slim.evaluation.report.comparison import read_other_run
from inception_slim.evaluation.report.example_store import MAX_MISCLASSIFICATIONS, ExampleStore
from inception_slim.evaluation.report.thumbnails import Gallery, ThumbnailEncoder
from inception_slim.evaluation.report.writer import (
    MAX_MATRIX_CLASSES,
    ReportHeader,
    truncate,
    write_classification,
    write_evaluation,
)
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score
import tensorflow.compat.v1 as tf

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
HEADER = ReportHeader('A report', [])


def random_evaluation(count, classes, images, margin=3.0):
    """Random labels and logits: `(result, examples, labels, predictions, logits)`."""
    rng = np.random.RandomState(1)
    labels = rng.randint(0, classes, count)
    logits = rng.randn(count, classes).astype(np.float32)
    logits[np.arange(count), labels] += margin * rng.rand(count)
    predictions = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    top_1 = (labels == predictions).mean()
    examples = ExampleStore(classes)
    for at in range(0, count, 50):
        part = slice(at, at + 50)
        examples.add(images[np.arange(at, min(at + 50, count)) % len(images)],
                   [f'/data/val/n{number:08d}.JPEG' for number in range(at, at + 50)],
                   labels[part], predictions[part], predictions[part],
                   *confidences(logits[part]))
    result = evaluation.Evaluation([f'class {number}' for number in range(classes)], count, top_1,
                                   1.0, confusion, [], None, 1.0)
    return result, examples, labels, predictions, logits


def confidences(logits):
    """The largest probabilities and all of them."""
    probabilities = class_probabilities(logits)
    return probabilities.max(axis=1), probabilities


def noise(count, side):
    """Images that JPEG compresses worst: each channel of a pixel is 0 or 255."""
    return np.random.RandomState(0).choice(np.float32([-1, 1]), (count, side, side, 3))


class TestExampleStore:

    def test_keeps_the_most_confident_of_each_cell(self):
        _, examples, labels, predictions, logits = random_evaluation(800, 3, noise(4, 8))
        exponents = np.exp(logits.astype(np.float64))
        confidence = (exponents / exponents.sum(axis=1, keepdims=True)).max(axis=1)
        np.testing.assert_allclose(examples.probabilities, confidence)
        np.testing.assert_array_equal(examples.correct, labels == predictions)
        for label, prediction, most in ((0, 1, 60), (2, 2, 8)):
            here = np.flatnonzero((labels == label) & (predictions == prediction))
            expected = here[np.argsort(-confidence[here])][:most]
            assert [example.name for example in examples.examples_in_cell(label, prediction)] == [
                f'/data/val/n{number:08d}.JPEG' for number in expected]
        wrong = np.flatnonzero(labels != predictions)
        expected = wrong[np.argsort(-confidence[wrong])][:MAX_MISCLASSIFICATIONS]
        assert [example.index for example in examples.misclassifications] == expected.tolist()
        assert [example.predicted_class for example in examples.misclassifications] == (
            predictions[expected].tolist())

    def test_memory_is_bounded(self, monkeypatch):
        monkeypatch.setattr('inception_slim.evaluation.report.example_store._MAX_WRONG', 100)
        result, examples, labels, predictions, _ = random_evaluation(3000, 20, noise(4, 8))
        kept = {cell: len(examples.examples_in_cell(*cell)) for cell in np.ndindex(20, 20)
                if cell[0] != cell[1]}
        assert 100 <= sum(kept.values()) <= 125
        # Cells with high counts keep more examples.
        most = confused_pairs(result.confusion, 10)
        assert np.mean([kept[cell] for cell in most]) > np.mean(list(kept.values()))


def test_thumbnails():
    image = np.zeros((299, 299, 3), np.float32)
    image[:150] = [1, -1, -1]
    with ThumbnailEncoder() as encoder, tf.Graph().as_default(), tf.Session() as session:
        jpeg = session.run(tf.io.decode_jpeg(encoder.encode_jpeg(image, 96))).astype(int)
        png = encoder.encode_heatmap(np.float32([[0, 1], [2, 4]]))
        overlay = session.run(tf.io.decode_png(png))
        assert encoder.encode_heatmap(np.zeros((2, 2), np.float32)) is None
    assert jpeg.shape == (96, 96, 3)
    assert np.abs(jpeg[:40] - [255, 0, 0]).max() < 8 and np.abs(jpeg[56:] - 128).max() < 8
    assert overlay.shape == (2, 2, 4) and overlay[0, 0, 3] == 0 and overlay[1, 1, 0] == 255
    assert (np.diff(overlay[..., 3].ravel().astype(int)) > 0).all()


def content_of(page):
    """The data of the page's script."""
    return json.loads(re.search(r'id="content">(.*?)</script>', page, re.S)[1])


def small_scores():
    """Labels, predictions and probabilities of ten images of three classes and another one."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    predictions = np.array([0, 0, 0, 1, 1, 1, 2, 2, 0, 3])
    logits = np.zeros((10, 4), np.float32)
    logits[np.arange(10), predictions] = np.linspace(1, 4, 10)
    return labels, predictions, class_probabilities(logits).astype(np.float32)


def small_result(names=('cat', 'dog', 'owl')):
    """Those images, six of which are predicted correctly."""
    labels, predictions, probabilities = small_scores()
    confusion = np.zeros((3, 4), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    examples = ExampleStore(3, keep_images=True)
    files = [f'/data/{number}.png' for number in range(9)] + ['/data/"><b>\udcff.png']
    examples.add(noise(10, 16), files, labels, predictions, predictions,
                 probabilities.max(axis=1), probabilities[:, :3])
    return evaluation.Evaluation(list(names), 10, 0.6, 0.9, confusion, ['/data/\udce9.png'],
                                 'Class 0 is <taken>.', 1.0, top_5_correct=np.array([4, 2, 3])
                                 ), examples


class TestPage:

    def test_evaluation(self, tmp_path):
        result, examples = small_result()
        write_evaluation(tmp_path / 'a.html', result, examples, ReportHeader(
            'Evaluation of it', [('Network', 'Inception V3')], result.warning), None, '/data')
        page = (tmp_path / 'a.html').read_text('utf-8')
        text = html.unescape(re.sub(r'<[^>]+>', ' ', page))
        for words in ('Evaluation of it', 'Inception V3', '60.00%', '90.00%', '6 of 10 images',
                      'Class 0 is <taken>.', '\\xe9.png'):
            assert words in text
        # Equal to proportion_confint(6, 10, 0.05, 'wilson') of statsmodels.
        assert '31.27% to 83.18%' in text
        rows = [re.sub(r'<[^>]+>', ' ', row).split()
                for row in re.findall(r'<tr>.*?</tr>', page.split('id="classes"')[1], re.S)[1:4]]
        scores = small_scores()[2]
        areas = [[f'{function(small_scores()[0] == label, scores[:, label]):.2%}'
                  for function in (average_precision_score, roc_auc_score)] for label in range(3)]
        assert rows == [
            ['0', 'cat', '4', '4', '75.00%', '75.00%', '75.00%', '100.00%', *areas[0]],
            ['1', 'dog', '3', '3', '66.67%', '66.67%', '66.67%', '66.67%', *areas[1]],
            ['2', 'owl', '3', '2', '50.00%', '33.33%', '40.00%', '100.00%', *areas[2]]]
        content = content_of(page)
        assert content['counts'] == result.confusion.tolist()
        assert content['names'] == ['cat', 'dog', 'owl', 'background']
        # Wrong predictions of the class and as the class.
        assert content['errors'] == [2, 2, 3] and content['others'] == [0, 0, 0]
        assert [item[0] for item in content['cells']['0,0']] == ['2.png', '1.png', '0.png']
        assert content['cells']['2,3'][0][0] == '"><b>\\xff.png'
        files = re.findall(r'class="file" title="(.*?)"', page)
        assert [html.unescape(name) for name in files] == [
            '"><b>\\xff.png', '8.png', '6.png', '3.png']

    def test_names_are_escaped_and_nothing_is_loaded(self, tmp_path):
        result, examples = small_result(('<script>alert(1)</script>', '"\'&amp;', '</script><img'))
        write_evaluation(tmp_path / 'a.html', result, examples, HEADER)
        page = (tmp_path / 'a.html').read_text('utf-8')
        # The data and the script; none from a name.
        assert page.count('<script') == page.count('</script>') == 2
        assert '<b>' not in page and page.count('<img') == len(examples.misclassifications)
        assert not re.search(r'(src|href)="(?!data:)', page) and 'url(' not in page
        assert content_of(page)['names'][2] == '</script><img'

    def test_comparison(self, tmp_path):
        result, examples = small_result(('cat', '<b>dog', 'owl'))
        before = dataclasses.replace(result, top_1=0.4, confusion=np.array(
            [[1, 2, 1, 0], [0, 3, 0, 0], [3, 0, 0, 0]]))
        (tmp_path / 'before.json').write_text(json.dumps(before.to_dict()))
        other = read_other_run(tmp_path / 'before.json', result.class_names)
        write_evaluation(tmp_path / 'a.html', result, examples, HEADER, None, '/data', other)
        page = (tmp_path / 'a.html').read_text('utf-8')
        rows = [html.unescape(re.sub(r'<[^>]+>', ' ', row)).split() for name in (
            'comparison', 'class-changes') for row in re.findall(
                r'<tr>.*?</tr>', page.split(f'id="{name}"')[1].split('</table>')[0], re.S)[1:]]
        assert [row[:5] for row in rows[:2]] == [
            ['Top-1', 'accuracy', '40.00%', '60.00%', '+20.00'],
            ['Top-5', 'accuracy', '90.00%', '90.00%', '+0.00']]
        assert [row[1:5] for row in rows[2:]] == [
            ['cat', '25.00%', '75.00%', '+50.00'], ['<b>dog', '100.00%', '66.67%', '-33.33'],
            ['owl', '0.00%', '33.33%', '+33.33']]
        assert '<b>' not in page

    @pytest.mark.parametrize('content, message', [
        (b'[]', 'is not the result of an evaluation'), (b'\xff', 'is not the result'),
        (b'{"num_examples": 1, "top_1": 2, "top_5": 1, "per_class": []}', 'is not the result'),
        (json.dumps({'num_examples': 1, 'top_1': 1, 'top_5': 1, 'per_class': [
            {'name': 'cat', 'correct': 1, 'images': 1}]}).encode(), 'is of other classes')])
    def test_comparison_with_another_file(self, tmp_path, content, message):
        (tmp_path / 'before.json').write_bytes(content)
        with pytest.raises(DatasetError, match=message):
            read_other_run(tmp_path / 'before.json', ['cat', 'dog'])

    def test_scores_of_many_classes(self, monkeypatch):
        """In a file, from which some classes are read at a time."""
        _, examples, labels, _, logits = random_evaluation(300, 100, noise(4, 8))
        expected = class_curves(labels, class_probabilities(logits).astype(np.float32))
        found = examples.curves()
        for name in ('average_precision', 'auc', 'precision', 'true_positives'):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        monkeypatch.setattr('inception_slim.evaluation.report.score_file.MAX_SCORES', 29_999)
        assert examples.curves() is None

    def test_no_misclassifications(self, tmp_path):
        examples = ExampleStore(2)
        examples.add(noise(2, 8), ['a', 'b'], *[np.array([0, 1])] * 3,
                     *confidences(np.eye(2, dtype=np.float32)))
        write_evaluation(tmp_path / 'a.html', evaluation.Evaluation(
            ['x', 'y'], 2, 1.0, 1.0, np.eye(2, dtype=np.int64), [], None, 1.0), examples, HEADER)
        assert 'There are none' in (tmp_path / 'a.html').read_text()

    def test_truncate(self):
        assert truncate('caf\udce9') == 'caf\\xe9' and truncate('x' * 500).count('x') == 200
        assert truncate('\ud800') == '\\x00' or '\ud800' not in truncate('\ud800')

    @pytest.mark.slow
    def test_ten_thousand_images_of_a_thousand_classes(self, thousand):
        page = thousand.read_text('utf-8')
        assert 2e6 < os.path.getsize(thousand) < 20e6
        content = content_of(page)
        assert len(content['images']) == MAX_MATRIX_CLASSES and any(content['others'])
        assert f'Of the 1,000 classes, the {MAX_MATRIX_CLASSES} with the most confused' in page
        counts = np.array(content['counts'])
        shown_cells = {cell for cell, images in content['cells'].items() if images}
        expected = {f'{content["labels"][row]},{content["labels"][column]}'
                  for row, column in np.argwhere(counts)}
        assert shown_cells == expected

    @pytest.mark.slow
    def test_size_of_the_examples_is_bounded(self, tmp_path):
        """Examples of all cells, more of those with high counts."""
        result, examples, *_ = random_evaluation(3_000, 12, noise(20, 96), margin=2)
        write_evaluation(tmp_path / 'a.html', result, examples, HEADER)
        assert 9e6 < os.path.getsize(tmp_path / 'a.html') < 13e6
        content = content_of((tmp_path / 'a.html').read_text())
        kept = {cell: len(images) for cell, images in content['cells'].items()}
        assert all(kept[f'{label},{label}'] >= 2 for label in range(12))
        counts = {f'{label},{prediction}': result.confusion[label, prediction]
                  for label in range(12) for prediction in range(12) if label != prediction}
        assert sum(kept.get(cell, 0) for cell in counts) < sum(counts.values())
        fullest, emptiest = max(counts, key=counts.get), min(counts, key=counts.get)
        assert kept[fullest] > kept.get(emptiest, 0)

    def test_ten_thousand_predictions(self, tmp_path):
        with Gallery(10_000) as gallery:
            for _ in range(200):
                gallery.add(np.resize(noise(10, 96), (50, 96, 96, 3)))
        predictions = [evaluation.Prediction(
            f'/data/a long way/to/{number:08d}.jpg', list(range(5)),
            [f'a long name of class {label}' for label in range(5)], [0.2] * 5)
            for number in range(10_000)]
        write_classification(tmp_path / 'a.html', evaluation.Classification(predictions, [], None),
                             gallery.jpegs, HEADER)
        assert 5e6 < os.path.getsize(tmp_path / 'a.html') < 20e6
        page = (tmp_path / 'a.html').read_text()
        assert f'the first {len(gallery.jpegs):,} are shown' in page
        assert 'more are not listed' in page


@pytest.fixture(scope='module')
def thousand(tmp_path_factory):
    """The report of ten thousand images that JPEG compresses badly."""
    result, examples, *_ = random_evaluation(10_000, 1_000, noise(20, 96), margin=9)
    path = tmp_path_factory.mktemp('thousand') / 'report.html'
    other = path.with_name('before.json')
    other.write_text(json.dumps(dataclasses.replace(result, top_1=0.1).to_dict()))
    write_evaluation(path, result, examples, HEADER, None, '/data/val',
                     read_other_run(other, result.class_names))
    return path


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """Real images of scikit-learn in class folders with names that need escaping."""
    dataset = load_digits()
    folder = tmp_path_factory.mktemp('digits')
    names = ['<script>alert(1)<', '"quoted"', "o'clock", 'caf\udce9', '&amp;', *'56789', 'x']
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (8, 8, 3))
        encoded = tf.io.encode_png(pixels)
        for name in names:
            (folder / name).mkdir()
        for number in range(24):
            image = np.repeat(dataset.images[number][..., np.newaxis] * (255 / 16), 3, axis=-1)
            (folder / names[dataset.target[number]] / f'{number}\udcff.png').write_bytes(
                session.run(encoded, {pixels: image.astype(np.uint8)}))
    return folder


@pytest.fixture(scope='module')
def evaluated(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp('evaluated') / 'report.html'
    return evaluation.evaluate(ELEVEN, digits, report=path, heatmap=True), path


@pytest.fixture(scope='module')
def classified(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp('classified') / 'report.html'
    return evaluation.classify(ELEVEN, digits, top=3, report=path, heatmap=True), path


class TestFunctions:

    def test_evaluate(self, evaluated):
        result, path = evaluated
        page = path.read_text('utf-8')
        wrong = result.num_examples - np.trace(result.confusion)
        assert page.count('class="card"') == wrong > 3
        assert 0 < page.count('class="heatmap"') <= wrong
        assert content_of(page)['counts'] == result.confusion.tolist()
        assert os.listdir(path.parent) == ['report.html']

    def test_classify(self, classified):
        result, path = classified
        page = path.read_text('utf-8')
        assert page.count('class="card"') == len(result.predictions) == 24
        assert 0 < page.count('class="heatmap"') <= 24
        first = result.predictions[0]
        for label, probability in zip(first.labels, first.probabilities):
            assert f'{html.escape(label)}</span> <span class="number">{probability:.2%}' in page

    def test_checks_the_report_before_the_evaluation(self, tmp_path):
        for call in (evaluation.evaluate, evaluation.classify):
            with pytest.raises(DatasetError, match='must end in .html'):
                call('nowhere', 'nothing', report='report.pdf')
            with pytest.raises(DatasetError, match='There is no folder .* make it first'):
                call('nowhere', 'nothing', report=tmp_path / 'no' / 'a.html')
            with pytest.raises(InceptionSlimError, match='give report too'):
                call('nowhere', 'nothing', heatmap=True)

    @pytest.mark.slow
    def test_an_error_leaves_an_old_report_unchanged(self, digits, tmp_path):
        (tmp_path / 'a.html').write_text('old')
        (tmp_path / 'unreadable.png').write_bytes(b'no image')
        with pytest.raises(DatasetError):
            evaluation.classify(ELEVEN, [tmp_path / 'unreadable.png', digits], strict=True,
                                report=tmp_path / 'a.html')
        assert (tmp_path / 'a.html').read_text() == 'old'

    def test_commands(self, digits, tmp_path, capsysbinary):
        path = tmp_path / 'a.html'
        assert cli.main(['classify', ELEVEN, str(digits / '5'), '--report', str(path)]) == 0
        assert f'Wrote {path}, '.encode() in capsysbinary.readouterr().out
        assert 'class="heatmap"' not in path.read_text()
        for command in ('classify', 'evaluate'):
            with pytest.raises(SystemExit) as ended:
                cli.main([command, ELEVEN, str(digits), '--heatmap'])
            assert ended.value.code == 2
            assert b'add --report FILE.html' in capsysbinary.readouterr().err


@pytest.fixture(scope='module')
def browser():
    if CHROMIUM is None:
        reason = ('Chromium is not installed, so the reports are not tested in a browser; apt-get '
                  'install chromium, or put it on the PATH.')
        warnings.warn(reason, stacklevel=1)  # pytest shows warnings by default, but no skip reasons
        pytest.skip(reason)
    started = Browser(CHROMIUM)
    yield started
    started.close()


class TestInABrowser:

    @pytest.mark.parametrize('width', [400, 1400])
    @pytest.mark.parametrize('dark', [False, True])
    @pytest.mark.slow
    def test_layout(self, browser, evaluated, classified, thousand, width, dark):
        backgrounds = set()
        for path in (evaluated[1], classified[1], thousand):
            browser.resize(width, dark=dark)
            browser.open(pathlib.Path(path))
            assert browser.complaints == []
            assert browser.run('document.documentElement.scrollWidth') == width
            # Nothing is cut off on the right, except in boxes that scroll.
            assert browser.run('''Array.from(document.querySelectorAll('body *'))
                .filter(item => !item.closest('.box table') && !item.closest('.hidden')
                        && item.getBoundingClientRect().right > innerWidth + 0.5)
                .map(item => item.outerHTML.slice(0, 90))''') == []
            # All images can be decoded.
            assert browser.run('''Promise.all(Array.from(document.images, image => image.decode()))
                .then(all => all.length)''') > 0
            backgrounds.add(browser.run('getComputedStyle(document.body).backgroundColor'))
        red = int(re.match(r'rgb\((\d+)', backgrounds.pop())[1])
        assert not backgrounds and (red < 60 if dark else red > 200)

    def test_names_are_text(self, browser, evaluated):
        browser.open(evaluated[1])
        assert browser.run('''Array.from(document.querySelectorAll('#classes tbody th'),
            cell => cell.textContent)''') == ['"quoted"', '&amp;', *'56789',
                                              '<script>alert(1)<', 'caf\\xe9', "o'clock", 'x']
        assert '\\xff.png' in browser.run('document.querySelector(".card .file").textContent')

    def test_class_table_sorts_and_filters(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        expected = sorted(np.nan_to_num(per_class_metrics(result.confusion).recall, nan=-1))

        def column():
            return browser.run('''Array.from(document.querySelectorAll('#classes tbody tr'),
                row => Number(row.cells[5].dataset.value))''')

        # With the keyboard: the headers are buttons.
        browser.run("document.querySelector('#classes [data-column=\"5\"]').focus()")
        browser.press('Enter')
        np.testing.assert_allclose(column(), expected, atol=1e-6)
        assert browser.run("document.activeElement.closest('th').ariaSort") == 'ascending'
        browser.press('Enter')
        np.testing.assert_allclose(column(), expected[::-1], atol=1e-6)
        browser.run('''{const input = document.querySelector('[data-filter=classes]');
            input.value = 'SCRIPT'; input.dispatchEvent(new Event('input', {bubbles: true}))}''')
        assert browser.run('''Array.from(document.querySelectorAll('#classes tbody tr'))
            .filter(item => item.checkVisibility()).length''') == 1
        assert browser.complaints == []

    def test_matrix_sorts(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        names = [truncate(name) for name in result.class_names]
        metrics = per_class_metrics(result.confusion)

        def lines():
            return browser.run('''[
                Array.from(document.querySelectorAll('#matrix tbody th'), cell => cell.textContent),
                Array.from(document.querySelectorAll('#matrix thead th[tabindex]'),
                           cell => cell.textContent),
                Array.from(document.querySelectorAll('#matrix tbody tr'),
                           row => Array.from(row.querySelectorAll('td'),
                                             cell => Number(cell.textContent)))]''')

        def press(key):
            browser.run(f"document.querySelector('[data-matrix={key}]').click()")
            rows, columns, counts = lines()
            assert rows == columns and sorted(rows) == sorted(names)
            order = [names.index(row) for row in rows]
            np.testing.assert_array_equal(counts, result.confusion[np.ix_(order, order)])
            return order

        assert lines()[0] == lines()[1] == names
        order = press('errors')
        assert (np.diff(metrics.errors[order]) <= 0).all()
        assert (np.diff(metrics.errors[press('errors')]) >= 0).all()  # in reverse order
        recall = metrics.recall[press('accuracy')]
        assert (np.diff(recall[~np.isnan(recall)]) >= 0).all() and np.isnan(recall[-1])
        order = press('name')
        assert sorted(names, key=str.casefold)[-1] == names[order[-1]] == 'x'
        assert press('number') == list(range(11))
        # Rows by a column, and columns by a row.
        prediction = int(result.confusion.sum(axis=0).argmax())
        browser.run(
            f"document.querySelector('#matrix thead [data-column=\"{prediction}\"]').click()")
        rows, columns, counts = lines()
        assert columns == names and rows != names
        assert (np.diff(np.array(counts)[:, prediction]) <= 0).all()
        label = int(metrics.images.argmax())
        browser.run(f"document.querySelector('#matrix tbody th[data-row=\"{label}\"]').click()")
        rows, columns, counts = lines()
        assert (np.diff(counts[rows.index(names[label])]) <= 0).all()
        assert browser.complaints == []

    def test_cell_shows_its_images(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        label, prediction = confused_pairs(result.confusion, 1)[0]
        browser.run(
            f"document.querySelector('#matrix [data-cell=\"{label},{prediction}\"]').click()")
        count = int(result.confusion[label, prediction])
        assert browser.run("document.querySelectorAll('#panel img').length") == count
        words = browser.run("document.getElementById('panel').textContent")
        assert f'{truncate(result.class_names[label])}, predicted as' in words
        assert f'{count} image' in words
        # With the keyboard: one tab stop, then arrow keys.
        browser.run("document.querySelector('#matrix [tabindex=\"0\"]').focus()")
        before = browser.run('[document.activeElement.dataset.row, '
                             'document.activeElement.dataset.column]')
        assert [int(number) for number in before] == [label, prediction]
        browser.run("document.querySelector('#matrix [tabindex=\"0\"]').tabIndex = -1;"
                    "document.querySelector('#matrix td').tabIndex = 0;"
                    "document.querySelector('#matrix td').focus()")
        for key in ('ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowLeft'):
            browser.press(key)
        assert browser.run('document.activeElement.dataset.cell') == '1,1'
        browser.press('ArrowUp')
        browser.press('ArrowUp')
        browser.press('Enter')  # on a column header: sorts the rows by it
        assert browser.run("document.activeElement.ariaSort") == 'descending'
        assert browser.run("document.querySelectorAll('#matrix [tabindex=\"0\"]').length") == 1
        browser.run(f"document.querySelector('button[data-cell=\"{label},{prediction}\"]').click()")
        assert browser.run("document.querySelectorAll('#panel img').length") == count
        assert browser.complaints == []

    def test_curves_of_a_class(self, browser, tmp_path):
        result, examples = small_result(('owl', 'dog', '<b>cat'))
        write_evaluation(tmp_path / 'a.html', result, examples, HEADER)
        browser.open(tmp_path / 'a.html')
        curves = examples.curves()
        for label in (0, 2):
            browser.run(f'''{{const chooser = document.getElementById('curve-class');
                chooser.value = {label};
                chooser.dispatchEvent(new Event('change'))}}''')
            for name, values in (('pr', curves.precision), ('roc', curves.true_positives)):
                points = browser.run(f"document.getElementById('{name}-curve')"
                                     ".getAttribute('points')").split()
                pairs = np.array([point.split(',') for point in points], float)
                np.testing.assert_allclose(pairs, list(zip(
                    np.linspace(0, 1, 51), values[label, ::2])), atol=5e-4)
            words = browser.run("document.getElementById('roc-caption').textContent")
            assert f'{result.class_names[label]}, area {curves.auc[label]:.4f}' in words
        assert browser.complaints == []

    def test_prediction_that_is_no_class_is_the_last_column(self, browser, tmp_path):
        result, examples = small_result(('owl', 'dog', '<b>cat'))
        write_evaluation(tmp_path / 'a.html', result, examples, HEADER)
        browser.open(tmp_path / 'a.html')
        heads = ("Array.from(document.querySelectorAll('#matrix thead th[tabindex]'), "
                 'cell => cell.textContent)')
        for key, expected in (('name', ['<b>cat', 'dog', 'owl', 'background']),
                            ('accuracy', ['<b>cat', 'dog', 'owl', 'background']),
                            ('number', ['owl', 'dog', '<b>cat', 'background'])):
            browser.run(f"document.querySelector('[data-matrix={key}]').click()")
            assert browser.run(heads) == expected
        browser.run("document.querySelector('#matrix [data-cell=\"2,3\"]').click()")
        assert browser.run("document.querySelector('#panel h3').textContent") == (
            '<b>cat, predicted as background')
        assert browser.complaints == []

    def test_heatmaps_can_be_hidden(self, browser, evaluated):
        browser.open(evaluated[1])
        visible = ("Array.from(document.querySelectorAll('.heatmap'))"
                   '.filter(item => item.checkVisibility()).length')
        assert browser.run(visible) > 0
        browser.run("document.getElementById('heatmaps').click()")
        assert browser.run(visible) == 0

    def test_predictions_sort(self, browser, classified):
        result, path = classified
        browser.open(path)
        confidence = [item.probabilities[0] for item in result.predictions]

        def cards():
            return browser.run("Array.from(document.querySelectorAll('#predictions .card'), "
                               'card => Number(card.dataset.confidence))')

        np.testing.assert_allclose(cards(), confidence, atol=1e-6)
        for key, expected in (('highest', sorted(confidence)[::-1]), ('lowest', sorted(confidence)),
                            ('given', confidence)):
            browser.run(f"document.querySelector('[data-order={key}]').click()")
            np.testing.assert_allclose(cards(), expected, atol=1e-6)
            assert browser.run("document.querySelector('[aria-pressed=true]').dataset.order") == key
        assert browser.complaints == []

    def test_content_security_policy(self, browser, evaluated, tmp_path):
        """Scripts and images that a name could inject are blocked and reported."""
        page = evaluated[1].read_text('utf-8')
        (tmp_path / 'a.html').write_text(page.replace(
            '<main>', '<main><script>window.injected = true</script>'
            '<img src="http://127.0.0.1:9/a.png">'), encoding='utf-8')
        browser.open(tmp_path / 'a.html')
        assert browser.run('window.injected') is None and len(browser.complaints) >= 2
