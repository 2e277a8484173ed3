"""Reports of evaluations and of classifications: pages to be looked at in any browser.

How much is shown is bounded, in number and in bytes, so that a page of ten thousand images or of a
thousand classes can still be opened and sent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
import math
import os
from typing import TYPE_CHECKING, Any

from inception_slim.evaluation.classification_metrics import (
    ClassMetrics,
    classes_to_show,
    confused_pairs,
    per_class_metrics,
    reliability,
    wilson_interval,
)
from inception_slim.evaluation.report.example_store import (
    SUREST,
    ExampleStore,
    Misclassification,
    StoredExample,
)
from inception_slim.evaluation.report.html import (
    ReportHeader,
    bar_html,
    buttons_html,
    escape_name,
    filter_box,
    headers_html,
    heat_switch,
    picture_html,
    truncate,
    write_page,
)
from inception_slim.evaluation.report.reliability_diagram import reliability_chart
from inception_slim.evaluation.report.thumbnails import BYTES, IMAGES
import numpy as np

if TYPE_CHECKING:
    from inception_slim.evaluation.classify import Classification, Prediction
    from inception_slim.evaluation.evaluate import Evaluation

MATRIX = 50  # classes of the matrix at most; more cells than these nobody reads
PAIRS = 20  # most confused pairs that are listed
ROWS = 5_000  # of a table at most
ANSWERS = 10  # of a card at most
_BAD = 200  # names of bad images at most


def relative_name(name: str, folder: str) -> str:
    """The name of an image within the folder of its dataset."""
    return name.removeprefix(os.path.join(folder, ''))


def write_evaluation(
    path: str | os.PathLike,
    result: Evaluation,
    judged: ExampleStore,
    about: ReportHeader,
    heat: dict[int, bytes] | None = None,
    folder: str = '',
) -> None:
    """Writes the report of an evaluation.

    Args:
      path: of the HTML file.
      result: the figures.
      judged: the images.
      about: what was evaluated on what.
      heat: where the answers to `judged.mistakes` came from: PNGs to lay over them, by their
        `number`.
      folder: of the dataset, which is left out of the names of its images.

    Raises:
      DatasetError: the file cannot be written.
    """
    figures = per_class_metrics(result.confusion)
    matrix = _matrix(result, figures, judged, folder)
    write_page(path, about, [
        _summary(result, judged),
        _matrix_section(result, len(matrix['images'])),
        _pairs_section(result, figures),
        _classes_section(result.class_names, figures),
        _mistakes_section(result, judged.mistakes, heat, folder),
        _bad_section(result.bad),
    ], matrix)


def write_classification(path: str | os.PathLike, result: Classification,
                         pictures: dict[int, bytes], about: ReportHeader,
                         heat: dict[int, bytes] | None = None) -> None:
    """Writes the report of `classify`: the images with their answers.

    Args:
      path: of the HTML file.
      result: the answers.
      pictures: JPEGs of the images that are shown, by their place in `result.answers`.
      about: what was asked.
      heat: PNGs to lay over them, by the same.

    Raises:
      DatasetError: the file cannot be written.
    """
    cards = [_answer_card(number, answer, pictures[number], (heat or {}).get(number))
             for number, answer in enumerate(result.answers) if number in pictures]
    rest = [answer for number, answer in enumerate(result.answers) if number not in pictures]
    count = f'{len(result.answers):,} images'
    if rest:
        count += f'; the first {len(cards):,} are shown, and the others listed below them'
    choice = buttons_html('order', [('given', 'As given'), ('surest', 'Surest first'),
                               ('unsure', 'Least sure first')])
    write_page(path, about, [
        f'<section><h2>Images</h2><p>{count}.</p><div class="tools" data-cards="answers">'
        f'{choice}{filter_box("cards", "Only images or answers with")}{heat_switch(heat)}</div>'
        f'<div class="cards" id="answers">{"".join(cards)}</div></section>',
        _rest_section(rest),
        _bad_section(result.bad),
    ])


def _tile(name: str, value: str, *lines: str) -> str:
    return (f'<div class="tile"><h3>{name}</h3><p class="value">{value}</p>'
            + ''.join(f'<p>{line}</p>' for line in lines) + '</div>')


def _summary(result: Evaluation, judged: ExampleStore) -> str:
    tiles = []
    for name, share in (('Top-1 accuracy', result.top_1), ('Top-5 accuracy', result.top_5)):
        right = round(share * result.num_examples)
        low, high = wilson_interval(right, result.num_examples)
        tiles.append(_tile(
            name, f'{share:.2%}', f'95% interval {low:.2%} to {high:.2%}',
            f'<span class="span" style="--low:{low:.4f};--high:{high:.4f};--at:{share:.4f}">'
            '</span>', f'{right:,} of {result.num_examples:,} images'))
    found = reliability(judged.probabilities, judged.right)
    sure = float(judged.probabilities.mean())
    way = 'too sure' if sure > result.top_1 else 'not sure enough'
    tiles.append(_tile('Calibration error', f'{found.error:.2%}',
                       f'expected, over {len(found.bins)} bins of probability',
                       f'On average {sure:.2%} sure and {result.top_1:.2%} right: {way}'))
    tiles.append(_tile('Images', f'{result.num_examples:,}',
                       f'of {len(result.class_names):,} classes',
                       f'{len(result.bad):,} could not be read'))
    return ('<section class="summary"><h2>How often it is right</h2><div class="side">'
            f'<div class="tiles">{"".join(tiles)}</div><figure class="reliability">'
            f'{reliability_chart(found)}<figcaption>Where the curve is below the diagonal, the '
            'answers are surer than they are right. The bars of the points are 95% intervals.'
            '</figcaption></figure></div></section>')


def _matrix(result: Evaluation, figures: ClassMetrics, judged: ExampleStore,
            folder: str) -> dict[str, Any]:
    """What the script draws the confusion matrix from, and the images of its cells."""
    classes = classes_to_show(result.confusion, MATRIX)
    columns = classes + list(range(len(result.class_names), result.confusion.shape[1]))
    counts = result.confusion[np.ix_(classes, columns)]
    answer_names = result.answer_names
    mistakes = figures.images + figures.answered - 2 * figures.correct
    cells: dict[str, list] = {}
    for (label, answer), image in _affordable(_candidates(classes, columns, counts, judged)):
        cells.setdefault(f'{label},{answer}', []).append([
            truncate(relative_name(image.name, folder)), round(image.probability, 4),
            base64.b64encode(image.jpeg).decode()])
    return {
        'names': [truncate(answer_names[column], 120) for column in columns],
        'labels': columns,
        'counts': counts.tolist(),
        'images': figures.images[classes].tolist(),
        'elsewhere': (figures.images[classes] - counts.sum(axis=1)).tolist(),
        'accuracy': [None if math.isnan(share) else share
                     for share in figures.recall[classes].tolist()],
        'mistakes': mistakes[classes].tolist(),
        'cells': cells,
    }


_Cell = tuple[int, int]


def _candidates(classes: list[int], columns: list[int], counts: np.ndarray, judged: ExampleStore
                ) -> Iterator[tuple[_Cell, StoredExample]]:
    """The images of the cells, those first that are to be shown first.

    Two of each cell that is right, then the mistakes of the cells with the most, then the others.
    """
    ranked: list[tuple[tuple[int, int], int, _Cell, StoredExample]] = []
    for row, label in enumerate(classes):
        for column, answer in enumerate(columns):
            for rank, image in enumerate(judged.of_cell(label, answer)):
                if label != answer:
                    place = (1, rank - int(counts[row, column]))
                else:
                    place = (0, rank) if rank < 2 else (2, rank)
                ranked.append((place, len(ranked), (label, answer), image))
    for _, _, cell, image in sorted(ranked, key=lambda each: each[:2]):
        yield cell, image


def _affordable(
    images: Iterator[tuple[_Cell, StoredExample]],
) -> Iterator[tuple[_Cell, StoredExample]]:
    """As many as there is room for, the surest of each cell first."""
    size = 0
    chosen: list[tuple[_Cell, StoredExample]] = []
    for cell, image in images:
        size += len(image.jpeg)
        if size > BYTES or len(chosen) == IMAGES:
            break
        chosen.append((cell, image))
    yield from sorted(chosen, key=lambda each: each[1], reverse=True)


def _matrix_section(result: Evaluation, count: int) -> str:
    total = len(result.class_names)
    part = '' if count == total else (
        f' Of the {total:,} classes, the {count} with the most confused pairs are shown; answers '
        'that are none of them are in the last column.')
    choice = buttons_html('matrix', [('number', 'Number'), ('name', 'Name'),
                                ('accuracy', 'Accuracy'), ('mistakes', 'Confusion')])
    return (
        '<section><h2>What it takes for what</h2><p>A row for each class, a column for each '
        f'answer, and in a cell how many images.{part} Choose a cell to see its images, or the '
        'name of a row or a column to sort by it; the arrow keys move from cell to cell.</p>'
        f'<div class="tools">Sorted by {choice}</div><div class="side">'
        '<div class="box" id="matrix-box"><table id="matrix" role="grid" '
        'aria-label="Confusion matrix"></table>'
        '<noscript>The matrix is drawn by the script of this page.</noscript></div>'
        '<div class="panel" id="panel" aria-live="polite"><p class="hint">Choose a cell.</p></div>'
        '</div></section>')


def _pairs_section(result: Evaluation, figures: ClassMetrics) -> str:
    pairs = confused_pairs(result.confusion, PAIRS)
    if not pairs:
        return ''
    names = result.answer_names
    rows = []
    for label, answer in pairs:
        count = int(result.confusion[label, answer])
        rows.append(
            f'<tr><td>{escape_name(names[label], 120)}</td><td>{escape_name(names[answer], 120)}</td>'
            f'<td class="number">{count:,}</td>'
            f'<td class="number">{count / figures.images[label]:.2%}</td>'
            f'<td><button type="button" data-cell="{label},{answer}" aria-label="Show the images '
            f'of {escape_name(names[label], 120)} answered as {escape_name(names[answer], 120)}">Show</button>'
            '</td></tr>'
        )
    return ('<section><h2>The most confused pairs</h2><p>How many images of a class were answered '
            'as another, and which share of the class that is.</p><div class="box" tabindex="0" '
            'role="region" aria-label="The most confused pairs"><table class="list">'
            '<thead><tr><th scope="col">Class</th><th scope="col">Answered as</th>'
            '<th scope="col" class="number">Images</th><th scope="col" class="number">Share</th>'
            '<th scope="col"><span class="hidden">Images</span></th></tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div></section>')


def _classes_section(names: list[str], figures: ClassMetrics) -> str:
    total = len(names)
    chosen = most_confused_first(figures)[:ROWS] if total > ROWS else range(total)
    rows = []
    for label in sorted(chosen):
        shares = ''.join(_share(float(each[label])) for each in (
            figures.precision, figures.recall, figures.f1))
        numbers = ''.join(f'<td class="number" data-value="{each[label]}">{each[label]:,}</td>'
                          for each in (figures.images, figures.answered))
        rows.append(f'<tr><td class="number" data-value="{label}">{label}</td>'
                    f'<th scope="row">{escape_name(names[label], 120)}</th>{numbers}{shares}</tr>')
    heads = headers_html('classes', [
        ('Number', True), ('Class', False), ('Images', True), ('Answered', True),
        ('Precision', True), ('Recall', True), ('F1', True)])
    part = '' if len(rows) == total else (
        f' Of the {total:,} classes, the {len(rows):,} with the most mistakes are listed.')
    return ('<section><h2>Each class</h2><p>Precision: of the images that were answered so, the '
            'share that are. Recall: of the images that are, the share that were answered so. F1: '
            f'the harmonic mean of both.{part}</p><div class="tools">'
            f'{filter_box("classes", "Only classes with")}</div>'
            '<div class="box tall" tabindex="0" role="region" aria-label="Each class">'
            f'<table class="list" id="classes"><thead><tr>{heads}</tr>'
            f'</thead><tbody>{"".join(rows)}</tbody></table></div></section>')


def _share(share: float) -> str:
    if math.isnan(share):
        return '<td class="number" data-value="-1">–</td>'
    return (f'<td class="number share" data-value="{share:.6f}" style="--share:{share:.4f}">'
            f'{share:.2%}</td>')


def most_confused_first(figures: ClassMetrics) -> list[int]:
    """Labels, those with the most mistakes made of them and for them first."""
    mistakes = figures.images + figures.answered - 2 * figures.correct
    return np.argsort(-mistakes, kind='stable').tolist()


def _mistakes_section(result: Evaluation, mistakes: list[Misclassification],
                      heat: dict[int, bytes] | None, folder: str) -> str:
    if not mistakes:
        return '<section><h2>The surest mistakes</h2><p>There are none.</p></section>'
    names = result.answer_names
    cards = []
    for each in mistakes:
        name = escape_name(relative_name(each.name, folder))
        cards.append(
            f'<figure class="card">{picture_html(each.jpeg, (heat or {}).get(each.number), name)}'
            f'<figcaption><ol class="answers">{bar_html(names[each.answer], each.probability)}</ol>'
            f'<p>but is <strong>{escape_name(names[each.label], 120)}</strong></p>'
            f'<p class="file" title="{name}">{name}</p></figcaption></figure>')
    wrong = result.num_examples - round(result.top_1 * result.num_examples)
    part = f'{len(cards)} of {wrong:,} mistakes' if wrong > SUREST else 'All mistakes'
    return (f'<section><h2>The surest mistakes</h2><p>{part}, with what was answered and how sure '
            f'the answer was.</p><div class="tools">{heat_switch(heat)}</div>'
            f'<div class="cards">{"".join(cards)}</div></section>')


def _answer_card(number: int, answer: Prediction, jpeg: bytes, heat: bytes | None) -> str:
    name = escape_name(answer.name)
    bars = ''.join(map(bar_html, answer.labels[:ANSWERS], answer.probabilities))
    return (f'<figure class="card" data-given="{number}" '
            f'data-sure="{answer.probabilities[0]:.6f}">{picture_html(jpeg, heat, name)}'
            f'<figcaption><ol class="answers">{bars}</ol>'
            f'<p class="file" title="{name}">{name}</p></figcaption></figure>')


def _rest_section(rest: list[Prediction]) -> str:
    if not rest:
        return ''
    rows = ''.join(
        f'<tr><th scope="row">{escape_name(each.name)}</th><td>{escape_name(each.labels[0], 120)}</td>'
        f'<td class="number" data-value="{each.probabilities[0]:.6f}">'
        f'{each.probabilities[0]:.2%}</td></tr>'
        for each in rest[:ROWS]
    )
    more = '' if len(rest) <= ROWS else f'<p>{len(rest) - ROWS:,} more are not listed.</p>'
    heads = headers_html('rest', [('Image', False), ('Answer', False), ('Probability', True)])
    return ('<section><h2>The other images</h2><div class="box tall" tabindex="0" role="region" '
            'aria-label="The other images"><table class="list" '
            f'id="rest"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}'
            '</section>')


def _bad_section(bad: list[str]) -> str:
    if not bad:
        return ''
    names = ''.join(f'<li>{escape_name(name)}</li>' for name in bad[:_BAD])
    more = '' if len(bad) <= _BAD else f'<p>and {len(bad) - _BAD:,} more</p>'
    return (f'<section><details><summary>{len(bad):,} left out as damaged or unreadable</summary>'
            f'<ul class="files">{names}</ul>{more}</details></section>')
