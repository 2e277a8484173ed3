"""Python 2 in `inception-slim run`: how it is recognized, and what translated files compute.

The outputs in tests/golden/python2 are those of Python 2.7.18 with NumPy 1.16.6.
"""

import ast
import os
import pathlib
import textwrap

from fork_server import run_script as run
from inception_slim.legacy.python2 import evidence, files, pickle as pickle2, random as random2
import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'python2'


def find(source, siblings=()):
    result = evidence.find_evidence(ast.parse(textwrap.dedent(source)), set(siblings).__contains__)
    return result and result.text


@pytest.mark.parametrize('name, reason', [
    ('parses_as_python3', ' (import cPickle, line 2)'),
    pytest.param('relative_imports', None, marks=pytest.mark.slow)])
def test_output_is_that_of_python_2(name, reason):
    process = run(GOLDEN, f'{name}.py')
    assert process.stdout == (GOLDEN / f'{name}.txt').read_text()
    messages = process.stderr.splitlines()
    if reason is None:  # two modules of a package
        reasons = [message.partition(' is Python 2 ')[2] for message in messages]
        assert [reason.partition(',')[0] for reason in reasons] == ['(import second', '(map()[]']
    else:
        assert messages == [f'inception-slim: {GOLDEN}/{name}.py is Python 2{reason}; translated '
                            'for this run']


def test_output_is_that_of_python_2_where_python_3_does_not_parse(tmp_path):
    script, expected = (''.join(
        (GOLDEN / f'{name}.{suffix}').read_text() for name in ('parses_as_python3', 'statements'))
        for suffix in ('py', 'txt'))
    (tmp_path / 'script.py').write_text(script)
    process = run(tmp_path, 'script.py')
    assert process.stdout == expected
    assert process.stderr == (f'inception-slim: {tmp_path}/script.py is Python 2; translated for '
                              'this run\n')


@pytest.mark.parametrize('source, text', [
    ('for i in xrange(3): pass', 'xrange'),
    ('x = unicode("a")', 'unicode'),
    ('d = {}\nfor k, v in d.iteritems(): pass', '.iteritems()'),
    ('d.has_key(1)', '.has_key()'),
    ('import sys\nprint >>sys.stderr, "x"', 'print >>'),
    ('print', 'the statement print'),
    ('print ("%d") % 3', 'print (...) %'),
    ('import urllib2', 'import urllib2'),
    ('import urllib\nurllib.urlretrieve(url, path)', 'urllib.urlretrieve'),
    ('from urllib import quote', 'from urllib import quote'),
    ('import string\nx = string.letters', 'string.letters'),
    ('import itertools as it\nit.izip(a, b)', 'itertools.izip'),
    ('import sys\nn = sys.maxint', 'sys.maxint'),
    ('import sibling', 'import sibling, which is in the same package'),
    ('from sibling import x', 'import sibling, which is in the same package'),
    ('import random\nx = range(3)\nrandom.shuffle(x)', 'shuffle(range())'),
    ('x = range(3)\nx[0] = 2', 'range()[]'),
    ('def f():\n    x = range(3)\n    x[1:2] = []', 'range()[]'),
    ('x = range(3) + [1]', 'range() +'),
    ('x = range(3)\nx.append(1)', 'range().append()'),
    ('k = d.keys()\nk.sort()', 'keys().sort()'),
    ('x = d.values()[0]', 'values()[]'),
    ('x = zip(a, b)[0]', 'zip()[]'),
    ('n = len(filter(f, a))', 'len(filter())'),
    ('session.run(ends.values())', 'run(values())'),
    ('x = np.array(map(float, a))', 'array(map())'),
    ('saver = tf.train.Saver(filter(f, tf.global_variables()))', 'Saver(filter())'),
    ('x = tf.gradients(y, filter(f, v))', 'gradients(filter())'),
    ('v = filter(f, v)\noptimizer.minimize(loss, var_list=v)', 'minimize(filter())'),
    ('evaluate_once(eval_op=d.values())', 'evaluate_once(values())'),
    ('import random\nx = random.choice(d.keys())', 'choice(keys())'),
    ('n = len(a) / 4\nfor i in range(n): pass', '/ of integers in range()'),
    ('x = a[:len(a) / 2]', '/ of integers in a slice'),
    ('x = np.zeros((h / 2, w / 2))', '/ of integers in zeros()'),
    ('x = [0] * (n / 2)', '/ of integers as the length of a list'),
    ('import pickle\nx = pickle.load(open("x"))', 'a pickle loaded from a text file'),
    ('import pickle\nwith open(p, "w") as f:\n    pickle.dump(x, f)',
     'a pickle written to a text file'),
    ('import csv\nwith open(p, "wb") as f:\n    w = csv.writer(f)',
     'csv.writer() of a binary file'),
    ('f = open(p, "w")\nf.write(e.SerializeToString())', 'bytes written to a text file'),
    ('g.ParseFromString(open(p).read())', 'ParseFromString() of the text of a file'),
    ('s.run(x, {"DecodeJpeg/contents:0": open(p).read()})',
     'the text of a file as an encoded image'),
])
def test_evidence(source, text):
    assert find(source, siblings=['sibling']) == text


@pytest.mark.parametrize('source', [
    'try:\n    unicode\nexcept NameError:\n    unicode = str',
    'from six.moves import xrange\nfor i in xrange(3): pass',
    'from six.moves import *\nfor i in xrange(3): pass',
    'import six\nfor k, v in six.iteritems(d): pass',
    'import sys\nif sys.version_info[0] < 3:\n    range = xrange\nelse:\n    long = int',
    'import sys\nx = unicode if sys.version_info.major == 2 else str',
    'try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle',
    'try:\n    from urllib import quote\nexcept:\n    from urllib.parse import quote',
    'import pandas as pd\nfor k, v in frame.iteritems(): pass',
    'class A:\n    def iteritems(self): pass\nA().iteritems()',
    'from functools import reduce\nreduce(f, x)',
    'x = list(range(3))\nx.append(1)\nx[0] = 1',
    'x = range(3)\ny = x[1]',
    'x = range(3)\nx = list(x)\nx.append(2)',
    'from __future__ import division\nx = a[:int(n / 2)]\nfor i in range(n / 2): pass',
    'x = len(a) / 4\nprint(x, a[:int(x)], range(int(n / 4)), d[a / b])',
    'x = files[root / "name":]',
    'x = sorted(d.keys())[0], list(d.values())[1]',
    'import json\nx = json.loads(open(p).read())',
    'x = pickle.load(open(p, "rb"))\ng.ParseFromString(open(p, "rb").read())',
    'from xml.etree import ElementTree\nx = ElementTree.fromstring(open(p).read())',
    'x = np.fromstring(open(p).read(), sep=" ")',
    'tf.variables_initializer(var_list=filter(f, v))\ntf.gradients(d.values(), v)',
    'x = csv.reader(codecs.getreader("utf-8")(open(p, "rb")))\ny = csv.writer(open(p, "w"))',
    'print("a"), 3\nprint ("a %s" % b)',
    'def f(file, buffer):\n    return file, buffer',
    'import other\nfrom other import x',
])
def test_no_evidence(source):
    assert find(source, siblings=['sibling']) is None


def test_a_file_without_evidence_is_not_translated_unless_asked(tmp_path):
    (tmp_path / 'script.py').write_text('import helper\nprint(7 / 2, helper.x)\n')
    (tmp_path / 'helper.py').write_text('x = 5 / 2\n')
    process = run(tmp_path, 'script.py')
    assert (process.stdout, process.stderr) == ('3.5 2.5\n', '')
    process = run(tmp_path, '--python2', 'script.py')
    assert process.stdout == '(3, 2)\n'
    assert process.stderr == ''.join(
        f'inception-slim: {tmp_path / name} is Python 2 (--python2); translated for this run\n'
        for name in ('script.py', 'helper.py'))


def test_evidence_without_fissix_is_named(tmp_path):
    (tmp_path / 'fissix.py').write_text('raise ImportError')
    (tmp_path / 'script.py').write_text('for i in xrange(1):\n    print(i)\n')
    process = run(tmp_path, 'script.py')
    assert process.stdout == '0\n'
    assert process.stderr == (
        f'inception-slim: {tmp_path}/script.py looks like Python 2 (xrange, line 1), but runs as '
        "Python 3; to translate it, install the translator: pip install 'inception_slim[legacy]'\n")


def test_implicit_imports_are_absolute_outside_of_packages(tmp_path):
    """Also in a folder with an `__init__.py`, as Python 2 runs a script."""
    (tmp_path / '__init__.py').write_text('')
    (tmp_path / 'sibling.py').write_text('value = 3')
    (tmp_path / 'script.py').write_text('import sibling\nprint sibling.value\n')
    assert run(tmp_path, 'script.py').stdout == '3\n'


class TestFiles:

    def test_text_and_bytes(self, tmp_path):
        path = str(tmp_path / 'file')
        with files.open(path, 'w') as file:
            file.write(b'\xff\xd8\n')
            file.writelines(['text\r\n', b'more'])
        assert files.open(path).read() == b'\xff\xd8\ntext\r\nmore'
        with files.open(path, 'U') as file:
            assert [file.readline(), next(file), *file] == [b'\xff\xd8\n', 'text\r\n', 'more']
        assert files.open(path, 'rb').readlines()[1:] == [b'text\r\n', b'more']

    def test_buffers(self):
        buffer = files.StringIO()
        buffer.write('a')
        assert buffer.getvalue() == 'a'
        buffer.write(b'b')
        assert buffer.getvalue() == b'ab'
        assert files.StringIO(b'ab').read(1) == b'a'

    def test_pickles_with_text_of_python_2(self):
        data = b"(dp0\nS'name'\np1\nS'\\xff'\np2\ns."  # {'name': '\xff'} of Python 2
        assert pickle2.loads(data) == pickle2.loads(data.decode()) == {'name': '\xff'}


def test_modules_of_random_share_one_state():
    random2.seed(1)
    first = random2.random(), random2.uniform(0, 1), random2.choice('abc')
    random2.seed(1)
    assert (random2.random(), random2.uniform(0, 1), random2.choice('abc')) == first
    assert not os.path.exists(GOLDEN / 'package' / '__pycache__')
