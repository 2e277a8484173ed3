"""Writes the API reference from the docstrings and checks all links.

    python -m scripts.docs [--output build/docs]

Lists the broken links and exits with 1 if a link in the reference, or from a Markdown page to a
file or heading of this project, has no target. Links to other sites are not followed.
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
# README links to files by their address on GitHub, so that the links work on PyPI too.
REPOSITORY = 'https://github.com/inception-slim/inception_slim/blob/main/'
_LINK = re.compile(r'\[[^\]]*\]\(\s*([^)\s]+)\s*\)')


class _Page(html.parser.HTMLParser):
    """Collects the links and anchors of an HTML page."""

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


def markdown_files(root: str = ROOT) -> list[str]:
    """The Markdown files in the root folder and in docs/."""
    pages = os.path.join(root, 'docs')
    return [os.path.join(folder, name)
            for folder in (root, pages) if os.path.isdir(folder)
            for name in sorted(os.listdir(folder)) if name.endswith('.md')]


def _without_code(text: str) -> str:
    """Removes code, in which brackets are not links."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r'(?m)^ {4}(?! *[-*\d]).*$', '', text)
    return re.sub(r'`[^`\n]*`', '', text)


def _headings(text: str) -> set[str]:
    """The anchors of the headings, as GitHub names them."""
    names: list[str] = []
    text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r'(?m)^#+ +(.*)$', text):
        name = re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')
        count = names.count(name)
        names.append(name)
        if count:
            names.append(f'{name}-{count}')
    return set(names)


def broken_markdown_links(files: list[str]) -> Iterator[str]:
    """Yields `FILE: LINK` for each link to a missing file or heading."""
    for path in files:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        for link in _LINK.findall(_without_code(text)):
            parts = urlsplit(link.removeprefix(REPOSITORY))
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                folder = ROOT if link.startswith(REPOSITORY) else os.path.dirname(path)
                target = os.path.join(folder, unquote(parts.path))
            if not os.path.exists(target):
                yield f'{path}: {link}'
            elif parts.fragment and target.endswith('.md'):
                with open(target, encoding='utf-8') as file:
                    if parts.fragment not in _headings(file.read()):
                        yield f'{path}: {link}'


def broken_html_links(folder: str) -> Iterator[str]:
    """Yields `FILE: LINK` for each broken link in a folder of HTML pages."""
    pages = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith('.html'):
                path = os.path.normpath(os.path.join(parent, name))
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
    """Writes the reference to a folder; returns the number of pages."""
    import pathlib
    import shutil
    import warnings

    import inception_slim
    import pdoc
    import pdoc.render
    # By name, because a package with __all__ hides its modules from pdoc. The modules that old
    # scripts import are documented by TensorFlow 1.
    names = [module.name
             for module in pkgutil.walk_packages(inception_slim.__path__, 'inception_slim.')
             if not module.name.startswith('inception_slim.legacy')]
    shutil.rmtree(folder, ignore_errors=True)
    pdoc.render.configure(docformat='google')
    with warnings.catch_warnings():
        # Modules that are found twice, and types that are imported for type checkers only.
        warnings.simplefilter('ignore', UserWarning)
        pdoc.pdoc('inception_slim', *names, 'inception_slim.legacy',
                  r'!inception_slim\.(legacy\.|__main__$)',
                  output_directory=pathlib.Path(folder))
    return sum(name.endswith('.html') for _, _, names in os.walk(folder) for name in names)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='scripts.docs', description=__doc__.split('\n\n')[0])
    parser.add_argument('--output', default=os.path.join('build', 'docs'), metavar='FOLDER',
                        help='the folder to write or replace (%(default)s)')
    folder = parser.parse_args(argv).output
    count = build(folder)
    broken = [*broken_markdown_links(markdown_files()), *broken_html_links(folder)]
    for link in broken:
        print(f'broken: {os.path.relpath(link)}', file=sys.stderr)
    if broken:
        return 1
    print(f'Wrote {count} pages to {folder}; no broken link in them or in '
          f'{len(markdown_files())} Markdown files')
    return 0


if __name__ == '__main__':
    sys.exit(main())
