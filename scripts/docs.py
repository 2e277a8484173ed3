"""Builds the API's pages from the docstrings, and checks every link in them and in the texts.

    python -m scripts.docs [--output build/docs]

Exits with 1, and names each, if a link within the pages, or from README, CONTRIBUTING, CHANGELOG or
a page of docs/ to a file or a heading of the project, leads nowhere. Links to other sites are not
followed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import html.parser
import os
import pkgutil
import re
import sys
from urllib.parse import unquote, urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LINK = re.compile(r'\[[^\]]*\]\(\s*([^)\s]+)\s*\)')


class _Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors = {'', 'top'}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == 'id' or (name == 'name' and tag == 'a'):
                self.anchors.add(value or '')
            elif value and (name, tag) in (('href', 'a'), ('src', 'img'), ('href', 'link')):
                self.links.append(value)


def texts(root: str = ROOT) -> list[str]:
    """README and its kin, and the pages of docs/."""
    pages = os.path.join(root, 'docs')
    return [os.path.join(folder, name)
            for folder in (root, pages) if os.path.isdir(folder)
            for name in sorted(os.listdir(folder)) if name.endswith('.md')]


def _prose(text: str) -> str:
    """Without code, in which brackets are not links."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r'(?m)^ {4}(?! *[-*\d]).*$', '', text)
    return re.sub(r'`[^`\n]*`', '', text)


def _headings(text: str) -> set[str]:
    """What the headings are called in a link, as GitHub calls them."""
    names: list[str] = []
    text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r'(?m)^#+ +(.*)$', text):
        name = re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')
        again = names.count(name)
        names.append(name)
        if again:
            names.append(f'{name}-{again}')
    return set(names)


def broken_in_texts(files: list[str]) -> Iterator[str]:
    """`FILE: LINK` for each link to a file or heading that is not there."""
    for path in files:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        for link in _LINK.findall(_prose(text)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = os.path.join(os.path.dirname(path), unquote(parts.path))
            if not os.path.exists(target):
                yield f'{path}: {link}'
            elif parts.fragment and target.endswith('.md'):
                with open(target, encoding='utf-8') as file:
                    if parts.fragment not in _headings(file.read()):
                        yield f'{path}: {link}'


def broken_in_pages(folder: str) -> Iterator[str]:
    """The same for a folder of HTML pages."""
    pages = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith('.html'):
                path = os.path.normpath(os.path.join(where, name))
                with open(path, encoding='utf-8') as file:
                    pages[path] = _Page(file.read())
    for path, page in sorted(pages.items()):
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = os.path.normpath(
                os.path.join(os.path.dirname(path), unquote(parts.path))) if parts.path else path
            if not os.path.exists(target) or (
                    target in pages and unquote(parts.fragment) not in pages[target].anchors):
                yield f'{path}: {link}'


def build(folder: str) -> int:
    """Writes the pages; how many there are."""
    import pathlib
    import shutil
    import warnings

    import inception_slim
    import pdoc
    import pdoc.render
    # By name, since a package that says what it hands on hides its modules from pdoc; those that
    # old scripts import are described by the old library's own pages.
    names = [each.name for each in pkgutil.walk_packages(inception_slim.__path__, 'inception_slim.')
             if not each.name.startswith('inception_slim.legacy')]
    shutil.rmtree(folder, ignore_errors=True)
    pdoc.render.configure(docformat='google')
    with warnings.catch_warnings():
        # A module found twice, and types that are imported for their checker alone.
        warnings.simplefilter('ignore', UserWarning)
        pdoc.pdoc('inception_slim', *names, 'inception_slim.tf_slim_compat',
                  r'!inception_slim\.(legacy(?!\.tf_slim)|__main__$)',
                  output_directory=pathlib.Path(folder))
    return sum(name.endswith('.html') for _, _, names in os.walk(folder) for name in names)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='scripts.docs', description=__doc__.split('\n\n')[0])
    parser.add_argument('--output', default=os.path.join('build', 'docs'), metavar='FOLDER',
                        help='where the pages are written (%(default)s); what is there is replaced')
    folder = parser.parse_args(argv).output
    count = build(folder)
    broken = [*broken_in_texts(texts()), *broken_in_pages(folder)]
    for each in broken:
        print(f'broken: {os.path.relpath(each)}', file=sys.stderr)
    if broken:
        return 1
    print(f'Wrote {count} pages to {folder}; no link within them or in {len(texts())} texts is '
          'broken')
    return 0


if __name__ == '__main__':
    sys.exit(main())
