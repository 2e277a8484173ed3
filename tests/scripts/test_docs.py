"""The link check: all links of the project work, and broken ones are reported."""

import re

from scripts import docs


def test_no_markdown_link_is_broken():
    assert len(docs.markdown_files()) >= 8
    assert not [*docs.broken_markdown_links(docs.markdown_files())]


def test_reports_broken_markdown_links(tmp_path):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs' / 'b.md').write_text('# One heading, `here`\n\n## Two\n')
    (tmp_path / 'README.md').write_text(
        '[a](docs/b.md) [a](docs/b.md#one-heading-here) [a](https://nowhere.invalid/x)\n'
        '[bad](docs/c.md) [bad](docs/b.md#three) [split\n](docs/d.md) `[code](docs/e.md)`\n')
    links = docs.broken_markdown_links(docs.markdown_files(str(tmp_path)))
    assert [re.sub('.*: ', '', link) for link in links] == [
        'docs/c.md',
        'docs/b.md#three',
        'docs/d.md',
    ]


def test_reports_broken_html_links(tmp_path):
    (tmp_path / 'a.html').write_text(
        '<h1 id="x">x</h1><a href="#x"></a><a href="b.html#y"></a><a href="#z"></a>'
        '<a href="c.html"></a><img src="d.png"><a href="b.html#w"></a>')
    (tmp_path / 'b.html').write_text('<p id="y"></p>')
    links = docs.broken_html_links(str(tmp_path))
    assert [re.sub('.*: ', '', link) for link in links] == ['#z', 'c.html', 'd.png', 'b.html#w']
