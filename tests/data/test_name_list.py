"""Lists and tables of file names: any name survives."""

import csv
import io

from inception_slim import data
from inception_slim.data.name_list import escape_name, to_csv_line, unescape_name, write_names
from inception_slim.errors import DatasetError
import pytest

NAMES = ['plain.png', 'two\nlines', 'return\rhere', '\r\n', 'end\n', '"quoted", \'comma\'', '-dash',
         '\x1b[31mred\x7f\x01', 'caf\u00e9 \u2028\x85', 'latin-1 caf\udce9', '\udcff\udcfe',
         'C:\\xff\\x5c', '\\', '\\\\xff', '\\\udcff', '\\x4\udcff', '=1+1', ' ', '\u4e2d\U0001f600']


@pytest.mark.parametrize('name', NAMES)
def test_escaped_names_are_utf8(name):
    escaped = escape_name(name)
    assert escaped.encode() and unescape_name(escaped) == name
    assert escaped == name or '\\x' in name or any('\udc80' <= char <= '\udcff' for char in name)


def test_list(tmp_path):
    with open(tmp_path / 'names.jsonl', 'wb') as file:
        write_names(file, NAMES)
    assert data.read_names(tmp_path / 'names.jsonl') == NAMES


@pytest.mark.parametrize('header', ['name', 'image'])
def test_csv(tmp_path, header):
    rows = [(number, name, 'reason') for number, name in enumerate(NAMES)]
    path = tmp_path / 'names.csv'
    path.write_bytes(b''.join(map(to_csv_line, [('number', header, 'reason'), *rows])))
    assert data.read_names(path) == NAMES
    read = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline='')))
    assert [row[2] for row in read] == ['reason'] * (len(NAMES) + 1)
    assert b'\r\n1' not in path.read_bytes()  # lines end in \\n


def test_list_of_an_earlier_version(tmp_path):
    (tmp_path / 'names.txt').write_bytes(b'a.png\ncaf\xe9 \r.png\n')
    assert data.read_names(tmp_path / 'names.txt') == ['a.png', 'caf\udce9 \r.png']


@pytest.mark.parametrize('name, content', [
    ('a.jsonl', b'{"a": 1}\n'), ('a.jsonl', b'"a\n'), ('a.jsonl', b'\xff\n'), ('a.csv', b''),
    ('a.csv', b'path\na\n'), ('a.csv', b'reason,name\nx\n'), ('a.csv', b'name\n\xff\n')])
def test_rejects_other_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match='is not a list of file names; give a file that'):
        data.read_names(tmp_path / name)


def test_rejects_missing_and_damaged_files(tmp_path):
    with pytest.raises(DatasetError, match='does not exist'):
        data.read_names(tmp_path / 'a.jsonl')
    (tmp_path / 'a.parquet').write_bytes(b'PAR1')
    with pytest.raises(DatasetError, match='cannot be read'):
        data.read_names(tmp_path / 'a.parquet')
