"""An HTML page that holds all it shows, and what pages have in common.

It asks nothing of the network: its style and its script (`static/`) and its images are in it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
from html import escape
from importlib import resources
import json
import os
import re
import time
from typing import Any

from inception_slim._atomic_write import atomic_write, check_writable
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.errors import DatasetError, InceptionSlimError
from inception_slim.evaluation.options import EvaluationOptions
from inception_slim.evaluation.report.thumbnails import LARGE, data_uri
from inception_slim.nets import registry

# What Python makes of bytes that are no text, and what JSON may hold of half a character.
_NO_TEXT = re.compile('[\ud800-\udfff]')


def check_report(report: str | os.PathLike | None, heatmap: bool) -> None:
    """Raises if a report cannot be written: before hours of work, not after them."""
    if report is None:
        if heatmap:
            raise InceptionSlimError('heatmap lays over the images of a report, but no report was '
                                     'asked for; give report too.')
        return
    report = os.fspath(report)
    if not report.lower().endswith(('.html', '.htm')):
        raise DatasetError(f'{report} must end in .html, the format that is written.')
    check_writable(report)


@dataclass(frozen=True)
class ReportHeader:
    """What a report is about, for its head: `terms` are pairs of a word and what it stands for."""

    title: str
    terms: Sequence[tuple[str, str]]
    note: str | None = None


def header_rows(info: CheckpointInfo, precision: str, options: EvaluationOptions
             ) -> list[tuple[str, str]]:
    """What answered, and how, for the head of a report."""
    averages = ', moving averages of the weights' if options.use_ema else ''
    return [('Checkpoint', info.path),
            ('Network', registry.NETWORKS[info.network].title + averages),
            ('Precision', precision),
            ('Written', time.strftime('%d %B %Y, %H:%M'))]


def write_page(path: str | os.PathLike, about: ReportHeader, sections: Iterable[str],
               content: dict[str, Any] | None = None) -> None:
    """Writes a page of sections of HTML, whole or not at all.

    Args:
      path: of the file.
      about: its head.
      sections: of its body; empty ones are left out.
      content: what its script draws from.

    Raises:
      DatasetError: the file cannot be written.
    """
    parts = resources.files('inception_slim.evaluation.report') / 'static'
    style, script = ((parts / name).read_text('utf-8') for name in ('page.css', 'page.js'))
    # Whatever a name may smuggle in, no other script is run and nothing is fetched.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
              f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
    terms = ''.join(f'<div><dt>{escape(word)}</dt><dd>{escape_name(meaning, 400)}</dd></div>'
                    for word, meaning in about.terms)
    note = f'<p class="note">{escape_name(about.note, 600)}</p>' if about.note else ''
    title = escape_name(about.title)
    data = '' if content is None else (
        f'<script type="application/json" id="content">{_json(content)}</script>\n')
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f'<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<header>'
        f'<h1>{title}</h1><dl class="about">{terms}</dl>{note}</header>\n<main>\n'
        + '\n'.join(each for each in sections if each)
        + f'\n</main>\n{data}<script>{script}</script>\n</body>\n</html>\n')
    with atomic_write(os.fspath(path)) as file:
        file.write(page.encode('utf-8'))


def escape_name(name: str, most: int = 200) -> str:
    """A name as HTML."""
    return escape(truncate(name, most))


def _json(content: Any) -> str:
    """JSON in which nothing ends the element that it stands in."""
    written_out = json.dumps(content, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
    for character in '<>&\u2028\u2029':
        written_out = written_out.replace(character, f'\\u{ord(character):04x}')
    return written_out


def buttons_html(kind: str, buttons: Iterable[tuple[str, str]]) -> str:
    """Buttons of which one is pressed, the first at the beginning."""
    return f'<span class="choice" role="group" aria-label="{kind}">' + ''.join(
        f'<button type="button" data-{kind}="{key}" aria-pressed="{str(not at).lower()}">'
        f'{words}</button>' for at, (key, words) in enumerate(buttons)) + '</span>'


def filter_box(what: str, words: str) -> str:
    """A field that hides what does not hold its text: the cards, or the rows of a table."""
    return (f'<label>{words} <input type="search" data-filter="{what}" autocomplete="off" '
            'spellcheck="false"></label>')


def heat_switch(heat: dict[int, bytes] | None) -> str:
    """Takes the heatmaps away and lays them on again, where there are any."""
    if not heat:
        return ''
    return ('<label><input type="checkbox" id="heat" checked> Show where the answers came from'
            '</label>')


def truncate(name: str, most: int = 200) -> str:
    """A name as text that can be shown: bytes that are no UTF-8 as `\\xff`, its middle left out."""
    name = _NO_TEXT.sub(lambda match: f'\\x{ord(match[0]) & 0xff:02x}', name)
    half = most // 2
    return name if len(name) <= most else f'{name[:half]}…{name[-half:]}'


def headers_html(table: str, columns: Iterable[tuple[str, bool]]) -> str:
    """The heads of columns that can be sorted; True for those of numbers."""
    return ''.join(
        f'<th scope="col"{" class=number" if number else ""}><button type="button" '
        f'data-sort="{table}" data-column="{at}">{name}</button></th>'
        for at, (name, number) in enumerate(columns))


def picture_html(jpeg: bytes, heat: bytes | None, what: str) -> str:
    """An image, its heatmap over it; `what` is HTML."""
    layer = f'<img class="heat" alt="" src="{data_uri(heat)}">' if heat else ''
    return (f'<div class="picture"><img alt="{what}" width="{LARGE}" height="{LARGE}" '
            f'src="{data_uri(jpeg)}">{layer}</div>')


def bar_html(name: str, share: float) -> str:
    """A name and its probability, the length of a bar."""
    return (f'<li style="--share:{share:.4f}"><span class="name">{escape_name(name, 120)}</span> '
            f'<span class="number">{share:.2%}</span></li>')
