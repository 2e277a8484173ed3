"""Notebooks in `inception-slim run`."""

import ast
import sys
import textwrap

import fork_server
from fork_server import run_script as run
from inception_slim.legacy import notebook
import nbformat
import pytest


def write(path, *cells, **metadata):
    book = nbformat.v4.new_notebook(metadata=metadata)
    for cell in cells:
        if cell.startswith('#!'):
            book.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            book.cells.append(nbformat.v4.new_code_cell(textwrap.dedent(cell).strip('\n')))
    nbformat.write(book, path)
    return path


def read(*cells, allow_shell=True, **metadata):
    book = nbformat.v4.new_notebook(metadata=metadata, cells=[
        nbformat.v4.new_code_cell(cell) for cell in cells])
    return notebook.read('n.ipynb', nbformat.writes(book).encode(), allow_shell)


def test_runs_the_cells_in_order(tmp_path):
    write(tmp_path / 'book.ipynb', """
        %matplotlib inline
        import sys
        import tensorflow as tf
        slim = tf.contrib.slim
        """, '#! A heading', """
        %time x = tf.constant(3)
        if True:
            %timeit pass
            print(sys.argv[1:], tf.__version__)
        """, """
        %%time
        with tf.Session() as session:
            display(session.run(x))
        """, """
        x.get_shape?
        print(1 / 0)
        """)
    process = run(tmp_path, 'book.ipynb', '--steps', '3', code=1)
    assert process.stdout == "['--steps', '3'] 1.15.5\n3\n"
    assert ('File "book.ipynb, cell 5", line 2, in <module>\n    print(1 / 0)\n'
            in process.stderr)
    assert process.stderr.endswith('ZeroDivisionError: division by zero\n')


def test_python_2_and_explain(tmp_path):
    write(tmp_path / 'book.ipynb', 'print "a",', 'import tensorflow as tf\nprint 7 / 2',
          'tf.contrib.seq2seq.x')
    process = run(tmp_path, 'book.ipynb', code=1)
    assert process.stdout == 'a 3\n' and 'book.ipynb is Python 2; translated' in process.stderr
    process = run(tmp_path, '--explain', 'book.ipynb', code=1)
    assert 'tf.contrib.seq2seq' in process.stdout and ' book.ipynb, cell 3:1\n' in process.stdout


def test_shell_commands_need_permission(tmp_path):
    write(tmp_path / 'book.ipynb', 'name = "here"', 'print(1)\nlines = !echo {name} $name $OTHER\n'
          '!echo shown', 'print(lines)')
    process = run(tmp_path, 'book.ipynb', code=1)
    assert process.stdout == ''
    assert process.stderr == (
        'inception-slim: book.ipynb, cell 2, line 2: !echo {name} $name $OTHER is a shell command; '
        'delete it, or allow all of them with --allow-shell.\n')
    process = run(tmp_path, '--allow-shell', 'book.ipynb')
    assert process.stdout.splitlines() == ['1', 'shown', "['here here']"]


@pytest.mark.parametrize('cell, code', [
    ('%env A=b', "__import__('os').environ['A'] = 'b'"),
    ('%cd /tmp', "__import__('os').chdir('/tmp')"),
    ('%pylab inline', 'import numpy as np\nfrom pylab import *'),
    ('%load_ext autoreload\nx = 1', 'pass\nx = 1'),
    ('%%bash\nls\npwd', "__legacy_shell__('ls\\npwd', globals(), False)"),
    ('?print\nprint??', ''),
    ('text = """\n%d\n!ls\n""" % 3', "text = '\\n%d\\n!ls\\n' % 3")])
def test_magics(cell, code):
    assert ast.unparse(ast.parse(read(cell).source)) == code


@pytest.mark.parametrize('cell, message', [
    ('x = 1\n%run other.py', 'cell 1, line 2: the magic %run is not supported'),
    ('%%javascript\nalert(1)', 'cell 1, line 1: the magic %%javascript is not supported')])
def test_other_magics_are_errors(cell, message):
    with pytest.raises(notebook.InceptionSlimError, match=message):
        read(cell)


@pytest.mark.parametrize('content, message', [
    (b'not JSON', 'is not a Jupyter notebook'), (b'{}', 'is not a Jupyter notebook'),
    (b'\xff', 'is not a Jupyter notebook')])
def test_other_files_are_errors(content, message):
    with pytest.raises(notebook.InceptionSlimError, match=message):
        notebook.read('n.ipynb', content, False)
    with pytest.raises(notebook.InceptionSlimError, match='a notebook in R, not in Python'):
        read('x <- 1', kernelspec={'language': 'R', 'name': 'ir', 'display_name': 'R'})
    assert read().source.strip() == ""


def test_syntax_errors_name_the_cell(tmp_path):
    write(tmp_path / 'book.ipynb', 'x = 1\ny = 2', 'x = 1\ndef f(:')
    assert 'File "book.ipynb, cell 2", line 2' in run(tmp_path, 'book.ipynb', code=1).stderr


def test_missing_nbformat_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'nbformat', None)
    with pytest.raises(notebook.InceptionSlimError, match=r'needs nbformat; install it with: pip'):
        notebook.read('n.ipynb', b'{}', False)


def test_extension_of_ipython():
    process = fork_server.python("""
        from inception_slim import legacy
        legacy.load_ipython_extension(None)
        import tensorflow as tf
        print(tf.__version__)
        legacy.unload_ipython_extension(None)
        import tensorflow as tf
        print(hasattr(tf, 'contrib'))
        """)
    assert process.stdout == '1.15.5\nFalse\n', process.stderr
