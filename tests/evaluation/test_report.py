"""Reports: what is kept for them, what is on their pages, and how these do in a browser.

Long, since a page's content and its behaviour are tested on the same few reports, made once.
"""

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
from inception_slim.evaluation.classification_metrics import confused_pairs, per_class_metrics
from inception_slim.evaluation.report.example_store import SUREST, ExampleStore
from inception_slim.evaluation.report.html import ReportHeader, truncate
from inception_slim.evaluation.report.thumbnails import Gallery, ThumbnailEncoder
from inception_slim.evaluation.report.writer import (
    MATRIX,
    write_classification,
    write_evaluation,
)
import numpy as np
import pytest
from sklearn.datasets import load_digits
import tensorflow.compat.v1 as tf

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
NOTHING = ReportHeader('A report', [])


def judged_by_chance(count, classes, images, far=3.0):
    """Labels and answers drawn by chance; `(result, judged)`."""
    chance = np.random.RandomState(1)
    labels = chance.randint(0, classes, count)
    logits = chance.randn(count, classes).astype(np.float32)
    logits[np.arange(count), labels] += far * chance.rand(count)
    answers = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    top_1 = (labels == answers).mean()
    judged = ExampleStore()
    for at in range(0, count, 50):
        part = slice(at, at + 50)
        judged.add(images[np.arange(at, min(at + 50, count)) % len(images)],
                   [f'/data/val/n{number:08d}.JPEG' for number in range(at, at + 50)],
                   labels[part], answers[part], logits[part])
    result = evaluation.Evaluation([f'class {number}' for number in range(classes)], count, top_1,
                                   1.0, confusion, [], None, 1.0)
    return result, judged, labels, answers, logits


def noise(count, side):
    """What JPEG compresses worst: pixels that are black or white in each channel."""
    return np.random.RandomState(0).choice(np.float32([-1, 1]), (count, side, side, 3))


class TestJudged:

    def test_the_surest_of_each_cell(self):
        _, judged, labels, answers, logits = judged_by_chance(800, 3, noise(4, 8))
        exponents = np.exp(logits.astype(np.float64))
        sure = (exponents / exponents.sum(axis=1, keepdims=True)).max(axis=1)
        np.testing.assert_allclose(judged.probabilities, sure)
        np.testing.assert_array_equal(judged.right, labels == answers)
        for label, answer, most in ((0, 1, 60), (2, 2, 8)):
            here = np.flatnonzero((labels == label) & (answers == answer))
            wanted = here[np.argsort(-sure[here])][:most]
            assert [each.name for each in judged.of_cell(label, answer)] == [
                f'/data/val/n{number:08d}.JPEG' for number in wanted]
        wrong = np.flatnonzero(labels != answers)
        wanted = wrong[np.argsort(-sure[wrong])][:SUREST]
        assert [-each.number for each in judged.mistakes] == wanted.tolist()
        assert [each.chosen for each in judged.mistakes] == answers[wanted].tolist()

    def test_what_is_kept_is_bounded(self, monkeypatch):
        monkeypatch.setattr('inception_slim.evaluation.report.example_store._MISTAKES', 100)
        result, judged, labels, answers, _ = judged_by_chance(3000, 20, noise(4, 8))
        kept = {cell: len(judged.of_cell(*cell)) for cell in np.ndindex(20, 20)
                if cell[0] != cell[1]}
        assert 100 <= sum(kept.values()) <= 125
        # Cells with many images have more of them.
        most = confused_pairs(result.confusion, 10)
        assert np.mean([kept[cell] for cell in most]) > np.mean(list(kept.values()))


def test_pictures_are_what_the_network_saw():
    image = np.zeros((299, 299, 3), np.float32)
    image[:150] = [1, -1, -1]
    with ThumbnailEncoder() as pictures, tf.Graph().as_default(), tf.Session() as session:
        jpeg = session.run(tf.io.decode_jpeg(pictures.jpeg(image, 96))).astype(int)
        layer = session.run(tf.io.decode_png(pictures.layer(np.float32([[0, 1], [2, 4]]))))
        assert pictures.layer(np.zeros((2, 2), np.float32)) is None
    assert jpeg.shape == (96, 96, 3)
    assert np.abs(jpeg[:40] - [255, 0, 0]).max() < 8 and np.abs(jpeg[56:] - 128).max() < 8
    assert layer.shape == (2, 2, 4) and layer[0, 0, 3] == 0 and layer[1, 1, 0] == 255
    assert (np.diff(layer[..., 3].ravel().astype(int)) > 0).all()


def content_of(page):
    """What the script draws from."""
    return json.loads(re.search(r'id="content">(.*?)</script>', page, re.S)[1])


def small_result(names=('cat', 'dog', 'owl')):
    """Ten images of three classes, of which six are right; and an answer that is no class."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    answers = np.array([0, 0, 0, 1, 1, 1, 2, 2, 0, 3])
    confusion = np.zeros((3, 4), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    logits = np.zeros((10, 4), np.float32)
    logits[np.arange(10), answers] = np.linspace(1, 4, 10)
    judged = ExampleStore(keep_images=True)
    files = [f'/data/{number}.png' for number in range(9)] + ['/data/"><b>\udcff.png']
    judged.add(noise(10, 16), files, labels, answers, logits)
    return evaluation.Evaluation(list(names), 10, 0.6, 0.9, confusion, ['/data/\udce9.png'],
                                 'Class 0 is <taken>.', 1.0), judged


class TestPage:

    def test_evaluation(self, tmp_path):
        result, judged = small_result()
        write_evaluation(tmp_path / 'a.html', result, judged, ReportHeader(
            'Evaluation of it', [('Network', 'Inception V3')], result.note), None, '/data')
        page = (tmp_path / 'a.html').read_text('utf-8')
        text = html.unescape(re.sub(r'<[^>]+>', ' ', page))
        for words in ('Evaluation of it', 'Inception V3', '60.00%', '90.00%', '6 of 10 images',
                      'Class 0 is <taken>.', '\\xe9.png'):
            assert words in text
        # Of 6 of 10, as statsmodels' proportion_confint(6, 10, 0.05, 'wilson') has it.
        assert '31.27% to 83.18%' in text
        rows = [re.sub(r'<[^>]+>', ' ', row).split()
                for row in re.findall(r'<tr>.*?</tr>', page.split('id="classes"')[1])[1:4]]
        assert rows == [['0', 'cat', '4', '4', '75.00%', '75.00%', '75.00%'],
                        ['1', 'dog', '3', '3', '66.67%', '66.67%', '66.67%'],
                        ['2', 'owl', '3', '2', '50.00%', '33.33%', '40.00%']]
        content = content_of(page)
        assert content['counts'] == result.confusion.tolist()
        assert content['names'] == ['cat', 'dog', 'owl', 'background']
        # Of mistakes: three of its own and of others', of which two are one.
        assert content['mistakes'] == [2, 2, 3] and content['elsewhere'] == [0, 0, 0]
        assert [each[0] for each in content['cells']['0,0']] == ['2.png', '1.png', '0.png']
        assert content['cells']['2,3'][0][0] == '"><b>\\xff.png'
        surest = re.findall(r'class="file" title="(.*?)"', page)
        assert [html.unescape(each) for each in surest] == [
            '"><b>\\xff.png', '8.png', '6.png', '3.png']

    def test_nothing_but_what_is_inside(self, tmp_path):
        result, judged = small_result(('<script>alert(1)</script>', '"\'&amp;', '</script><img'))
        write_evaluation(tmp_path / 'a.html', result, judged, NOTHING)
        page = (tmp_path / 'a.html').read_text('utf-8')
        # The data, and the script; nothing that a name brought.
        assert page.count('<script') == page.count('</script>') == 2
        assert '<b>' not in page and page.count('<img') == len(judged.mistakes)
        assert not re.search(r'(src|href)="(?!data:)', page) and 'url(' not in page
        assert content_of(page)['names'][2] == '</script><img'

    def test_no_mistakes(self, tmp_path):
        judged = ExampleStore()
        judged.add(noise(2, 8), ['a', 'b'], np.array([0, 1]), np.array([0, 1]),
                   np.eye(2, dtype=np.float32))
        write_evaluation(tmp_path / 'a.html', evaluation.Evaluation(
            ['x', 'y'], 2, 1.0, 1.0, np.eye(2, dtype=np.int64), [], None, 1.0), judged, NOTHING)
        assert 'There are none' in (tmp_path / 'a.html').read_text()

    def test_names(self):
        assert truncate('caf\udce9') == 'caf\\xe9' and truncate('x' * 500).count('x') == 200
        assert truncate('\ud800') == '\\x00' or '\ud800' not in truncate('\ud800')

    def test_ten_thousand_images_of_a_thousand_classes(self, thousand):
        page = thousand.read_text('utf-8')
        assert 2e6 < os.path.getsize(thousand) < 20e6
        content = content_of(page)
        assert len(content['images']) == MATRIX and any(content['elsewhere'])
        assert f'Of the 1,000 classes, the {MATRIX} with the most confused pairs' in page
        counts = np.array(content['counts'])
        shown_cells = {cell for cell, images in content['cells'].items() if images}
        wanted = {f'{content["labels"][row]},{content["labels"][column]}'
                  for row, column in np.argwhere(counts)}
        assert shown_cells == wanted

    def test_more_images_than_there_is_room_for(self, tmp_path):
        """Of each cell some, and of none more than of a fuller one."""
        result, judged, *_ = judged_by_chance(3_000, 12, noise(20, 96), far=2)
        write_evaluation(tmp_path / 'a.html', result, judged, NOTHING)
        assert 9e6 < os.path.getsize(tmp_path / 'a.html') < 13e6
        content = content_of((tmp_path / 'a.html').read_text())
        kept = {cell: len(images) for cell, images in content['cells'].items()}
        assert all(kept[f'{label},{label}'] >= 2 for label in range(12))
        counts = {f'{label},{answer}': result.confusion[label, answer]
                  for label in range(12) for answer in range(12) if label != answer}
        assert sum(kept.get(cell, 0) for cell in counts) < sum(counts.values())
        fullest, emptiest = max(counts, key=counts.get), min(counts, key=counts.get)
        assert kept[fullest] > kept.get(emptiest, 0)

    def test_ten_thousand_answers(self, tmp_path):
        with Gallery(10_000) as gallery:
            for _ in range(200):
                gallery.add(np.resize(noise(10, 96), (50, 96, 96, 3)))
        answers = [evaluation.Prediction(f'/data/a long way/to/{number:08d}.jpg', list(range(5)),
                                     [f'a long name of class {each}' for each in range(5)],
                                     [0.2] * 5) for number in range(10_000)]
        write_classification(tmp_path / 'a.html', evaluation.Classification(answers, [], None),
                             gallery.jpegs, NOTHING)
        assert 5e6 < os.path.getsize(tmp_path / 'a.html') < 20e6
        page = (tmp_path / 'a.html').read_text()
        assert f'the first {len(gallery.jpegs):,} are shown' in page
        assert 'more are not listed' in page


@pytest.fixture(scope='module')
def thousand(tmp_path_factory):
    """The report of ten thousand images, of which JPEG makes as much as it can."""
    result, judged, *_ = judged_by_chance(10_000, 1_000, noise(20, 96), far=9)
    path = tmp_path_factory.mktemp('thousand') / 'report.html'
    write_evaluation(path, result, judged, NOTHING, None, '/data/val')
    return path


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """Real images, scikit-learn's, in class folders with names that are hard to show."""
    found = load_digits()
    folder = tmp_path_factory.mktemp('digits')
    names = ['<script>alert(1)<', '"quoted"', "o'clock", 'caf\udce9', '&amp;', *'56789', 'x']
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (8, 8, 3))
        encoded = tf.io.encode_png(pixels)
        for name in names:
            (folder / name).mkdir()
        for number in range(24):
            image = np.repeat(found.images[number][..., np.newaxis] * (255 / 16), 3, axis=-1)
            (folder / names[found.target[number]] / f'{number}\udcff.png').write_bytes(
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


class TestCalls:

    def test_evaluate(self, evaluated):
        result, path = evaluated
        page = path.read_text('utf-8')
        wrong = result.num_examples - np.trace(result.confusion)
        assert page.count('class="card"') == wrong > 3
        assert 0 < page.count('class="heat"') <= wrong
        assert content_of(page)['counts'] == result.confusion.tolist()
        assert os.listdir(path.parent) == ['report.html']

    def test_classify(self, classified):
        result, path = classified
        page = path.read_text('utf-8')
        assert page.count('class="card"') == len(result.answers) == 24
        assert 0 < page.count('class="heat"') <= 24
        first = result.answers[0]
        for label, probability in zip(first.labels, first.probabilities):
            assert f'{html.escape(label)}</span> <span class="number">{probability:.2%}' in page

    def test_refuses_before_it_looks_at_anything(self, tmp_path):
        for call in (evaluation.evaluate, evaluation.classify):
            with pytest.raises(DatasetError, match='must end in .html'):
                call('nowhere', 'nothing', report='report.pdf')
            with pytest.raises(DatasetError, match='There is no folder .* make it first'):
                call('nowhere', 'nothing', report=tmp_path / 'no' / 'a.html')
            with pytest.raises(InceptionSlimError, match='give report too'):
                call('nowhere', 'nothing', heatmap=True)

    def test_an_old_report_stays_where_there_is_no_new_one(self, digits, tmp_path):
        (tmp_path / 'a.html').write_text('old')
        (tmp_path / 'bad.png').write_bytes(b'no image')
        with pytest.raises(DatasetError):
            evaluation.classify(ELEVEN, [tmp_path / 'bad.png', digits], strict=True,
                                report=tmp_path / 'a.html')
        assert (tmp_path / 'a.html').read_text() == 'old'

    def test_commands(self, digits, tmp_path, capsysbinary):
        path = tmp_path / 'a.html'
        assert cli.main(['classify', ELEVEN, str(digits / '5'), '--report', str(path)]) == 0
        assert f'Wrote {path}, '.encode() in capsysbinary.readouterr().out
        assert 'class="heat"' not in path.read_text()
        for verb in ('classify', 'evaluate'):
            with pytest.raises(SystemExit) as ended:
                cli.main([verb, ELEVEN, str(digits), '--heatmap'])
            assert ended.value.code == 2
            assert b'add --report FILE.html' in capsysbinary.readouterr().err


@pytest.fixture(scope='module')
def browser():
    if CHROMIUM is None:
        absent = ('Chromium is absent, so that no page was looked at in a browser; apt-get install '
                  'chromium, or put one on the PATH.')
        warnings.warn(absent, stacklevel=1)  # which pytest shows where it shows no skip's reason
        pytest.skip(absent)
    started = Browser(CHROMIUM)
    yield started
    started.close()


class TestInABrowser:

    @pytest.mark.parametrize('width', [400, 1400])
    @pytest.mark.parametrize('dark', [False, True])
    def test_layout(self, browser, evaluated, classified, thousand, width, dark):
        papers = set()
        for path in (evaluated[1], classified[1], thousand):
            browser.resize(width, dark=dark)
            browser.open(pathlib.Path(path))
            assert browser.complaints == []
            assert browser.run('document.documentElement.scrollWidth') == width
            # Nothing is cut off on the right, but for what scrolls in a box of its own.
            assert browser.run('''Array.from(document.querySelectorAll('body *'))
                .filter(each => !each.closest('.box table') && !each.closest('.hidden')
                        && each.getBoundingClientRect().right > innerWidth + 0.5)
                .map(each => each.outerHTML.slice(0, 90))''') == []
            # All images can be shown.
            assert browser.run('''Promise.all(Array.from(document.images, each => each.decode()))
                .then(all => all.length)''') > 0
            papers.add(browser.run('getComputedStyle(document.body).backgroundColor'))
        red = int(re.match(r'rgb\((\d+)', papers.pop())[1])
        assert not papers and (red < 60 if dark else red > 200)

    def test_names_are_names(self, browser, evaluated):
        browser.open(evaluated[1])
        assert browser.run('''Array.from(document.querySelectorAll('#classes tbody th'),
            each => each.textContent)''') == ['"quoted"', '&amp;', *'56789',
                                              '<script>alert(1)<', 'caf\\xe9', "o'clock", 'x']
        assert '\\xff.png' in browser.run('document.querySelector(".card .file").textContent')

    def test_classes_are_sorted(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        wanted = sorted(np.nan_to_num(per_class_metrics(result.confusion).recall, nan=-1))

        def column():
            return browser.run('''Array.from(document.querySelectorAll('#classes tbody tr'),
                row => Number(row.cells[5].dataset.value))''')

        # By the keyboard, to which its heads are buttons.
        browser.run("document.querySelector('#classes [data-column=\"5\"]').focus()")
        browser.press('Enter')
        np.testing.assert_allclose(column(), wanted, atol=1e-6)
        assert browser.run("document.activeElement.closest('th').ariaSort") == 'ascending'
        browser.press('Enter')
        np.testing.assert_allclose(column(), wanted[::-1], atol=1e-6)
        browser.run('''{const input = document.querySelector('[data-filter=classes]');
            input.value = 'SCRIPT'; input.dispatchEvent(new Event('input', {bubbles: true}))}''')
        assert browser.run('''Array.from(document.querySelectorAll('#classes tbody tr'))
            .filter(each => each.checkVisibility()).length''') == 1
        assert browser.complaints == []

    def test_the_matrix_is_sorted(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        names = [truncate(name) for name in result.class_names]
        figures = per_class_metrics(result.confusion)
        mistakes = figures.images + figures.answered - 2 * figures.correct

        def lines():
            return browser.run('''[
                Array.from(document.querySelectorAll('#matrix tbody th'), each => each.textContent),
                Array.from(document.querySelectorAll('#matrix thead th[tabindex]'),
                           each => each.textContent),
                Array.from(document.querySelectorAll('#matrix tbody tr'),
                           row => Array.from(row.querySelectorAll('td'),
                                             each => Number(each.textContent)))]''')

        def press(key):
            browser.run(f"document.querySelector('[data-matrix={key}]').click()")
            rows, columns, counts = lines()
            assert rows == columns and sorted(rows) == sorted(names)
            order = [names.index(row) for row in rows]
            np.testing.assert_array_equal(counts, result.confusion[np.ix_(order, order)])
            return order

        assert lines()[0] == lines()[1] == names
        order = press('mistakes')
        assert (np.diff(mistakes[order]) <= 0).all()
        assert (np.diff(mistakes[press('mistakes')]) >= 0).all()  # the other way round
        recall = figures.recall[press('accuracy')]
        assert (np.diff(recall[~np.isnan(recall)]) >= 0).all() and np.isnan(recall[-1])
        order = press('name')
        assert sorted(names, key=str.casefold)[-1] == names[order[-1]] == 'x'
        assert press('number') == list(range(11))
        # Rows by a column, and columns by a row.
        answer = int(result.confusion.sum(axis=0).argmax())
        browser.run(f"document.querySelector('#matrix thead [data-column=\"{answer}\"]').click()")
        rows, columns, counts = lines()
        assert columns == names and rows != names
        assert (np.diff(np.array(counts)[:, answer]) <= 0).all()
        label = int(figures.images.argmax())
        browser.run(f"document.querySelector('#matrix tbody th[data-row=\"{label}\"]').click()")
        rows, columns, counts = lines()
        assert (np.diff(counts[rows.index(names[label])]) <= 0).all()
        assert browser.complaints == []

    def test_a_cell_shows_its_images(self, browser, evaluated):
        result, path = evaluated
        browser.open(path)
        label, answer = confused_pairs(result.confusion, 1)[0]
        browser.run(f"document.querySelector('#matrix [data-cell=\"{label},{answer}\"]').click()")
        count = int(result.confusion[label, answer])
        assert browser.run("document.querySelectorAll('#panel img').length") == count
        words = browser.run("document.getElementById('panel').textContent")
        assert f'{truncate(result.class_names[label])}, answered as' in words
        assert f'{count} image' in words
        # By the keyboard: one stop, and arrows from there.
        browser.run("document.querySelector('#matrix [tabindex=\"0\"]').focus()")
        before = browser.run('[document.activeElement.dataset.row, '
                             'document.activeElement.dataset.column]')
        assert [int(each) for each in before] == [label, answer]
        browser.run("document.querySelector('#matrix [tabindex=\"0\"]').tabIndex = -1;"
                    "document.querySelector('#matrix td').tabIndex = 0;"
                    "document.querySelector('#matrix td').focus()")
        for key in ('ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowLeft'):
            browser.press(key)
        assert browser.run('document.activeElement.dataset.cell') == '1,1'
        browser.press('ArrowUp')
        browser.press('ArrowUp')
        browser.press('Enter')  # on the head of a column, by which the rows are sorted then
        assert browser.run("document.activeElement.ariaSort") == 'descending'
        assert browser.run("document.querySelectorAll('#matrix [tabindex=\"0\"]').length") == 1
        browser.run(f"document.querySelector('button[data-cell=\"{label},{answer}\"]').click()")
        assert browser.run("document.querySelectorAll('#panel img').length") == count
        assert browser.complaints == []

    def test_an_answer_that_is_no_class_comes_last(self, browser, tmp_path):
        result, judged = small_result(('owl', 'dog', '<b>cat'))
        write_evaluation(tmp_path / 'a.html', result, judged, NOTHING)
        browser.open(tmp_path / 'a.html')
        heads = ("Array.from(document.querySelectorAll('#matrix thead th[tabindex]'), "
                 'each => each.textContent)')
        for key, wanted in (('name', ['<b>cat', 'dog', 'owl', 'background']),
                            ('accuracy', ['<b>cat', 'dog', 'owl', 'background']),
                            ('number', ['owl', 'dog', '<b>cat', 'background'])):
            browser.run(f"document.querySelector('[data-matrix={key}]').click()")
            assert browser.run(heads) == wanted
        browser.run("document.querySelector('#matrix [data-cell=\"2,3\"]').click()")
        assert browser.run("document.querySelector('#panel h3').textContent") == (
            '<b>cat, answered as background')
        assert browser.complaints == []

    def test_heatmaps_can_be_taken_away(self, browser, evaluated):
        browser.open(evaluated[1])
        visible = ("Array.from(document.querySelectorAll('.heat'))"
                   '.filter(each => each.checkVisibility()).length')
        assert browser.run(visible) > 0
        browser.run("document.getElementById('heat').click()")
        assert browser.run(visible) == 0

    def test_answers_are_sorted(self, browser, classified):
        result, path = classified
        browser.open(path)
        sure = [answer.probabilities[0] for answer in result.answers]

        def cards():
            return browser.run("Array.from(document.querySelectorAll('#answers .card'), "
                               'each => Number(each.dataset.sure))')

        np.testing.assert_allclose(cards(), sure, atol=1e-6)
        for key, wanted in (('surest', sorted(sure)[::-1]), ('unsure', sorted(sure)),
                            ('given', sure)):
            browser.run(f"document.querySelector('[data-order={key}]').click()")
            np.testing.assert_allclose(cards(), wanted, atol=1e-6)
            assert browser.run("document.querySelector('[aria-pressed=true]').dataset.order") == key
        assert browser.complaints == []

    def test_the_page_runs_nothing_else_and_fetches_nothing(self, browser, evaluated, tmp_path):
        """That its policy holds: what a name could have brought is refused, and said."""
        page = evaluated[1].read_text('utf-8')
        (tmp_path / 'a.html').write_text(page.replace(
            '<main>', '<main><script>window.bad = true</script>'
            '<img src="http://127.0.0.1:9/a.png">'), encoding='utf-8')
        browser.open(tmp_path / 'a.html')
        assert browser.run('window.bad') is None and len(browser.complaints) >= 2
