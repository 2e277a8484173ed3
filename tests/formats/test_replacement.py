"""`convert` and `export` replace an existing output, whenever they are stopped."""

import itertools
import os
import resource
import shutil
import signal
import stat

import fork_server
from helpers import GOLDEN
from inception_slim import checkpoint, formats
from inception_slim.errors import CheckpointError, ExportError
import numpy as np
import pytest

SOURCES = [os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
           for name in ('slim_v1', 'renamed')]
CALLS = {'convert': 'checkpoint.convert({!r}, {!r}, overwrite=True)',
         'export': 'formats.export({!r}, {!r}, format="saved-model", overwrite=True)'}


def replace(call, source, destination, at):
    """Replaces the destination; stops before the file operation number `at` of the replacement.

    Returns whether it was finished.
    """
    done = fork_server.python(f'''
        import sys
        sys.path.insert(0, {os.path.dirname(fork_server.__file__)!r})
        from inception_slim import _atomic_write, checkpoint, formats
        from kill_table import Stop
        commit = _atomic_write._commit
        def stop_in(*arguments):
            Stop({at}).install()
            return commit(*arguments)
        _atomic_write._commit = stop_in
        {CALLS[call].format(source, str(destination))}
        ''')
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize('call, step', [('convert', 1), ('export', 7)])
def test_stopped_twice(tmp_path, call, step):
    """`step` is the distance of the first stop points."""
    def version(folder):
        shutil.copytree(folder, tmp_path / 'copy')
        _, weights = checkpoint.read(tmp_path / 'copy' / 'new')
        shutil.rmtree(tmp_path / 'copy')
        return next(index for index, values in enumerate(known) if all(
            np.array_equal(values[name], weights[name]) for name in values))

    known = []
    for index, source in enumerate(SOURCES):
        os.mkdir(tmp_path / str(index))
        assert replace(call, source, tmp_path / str(index) / 'new', -1)
        known.append(checkpoint.read(tmp_path / str(index) / 'new')[1])
    output = tmp_path / 'output'
    for first in itertools.count(0, step):
        shutil.copytree(tmp_path / '0', output)
        finished = replace(call, SOURCES[1], output / 'new', first)
        seen = version(output)
        assert seen == 1 or not finished
        replace(call, SOURCES[first % 2], output / 'new', first * 5 % 11)
        assert version(output) in (seen, first % 2)
        assert replace(call, SOURCES[0], output / 'new', -1) and version(output) == 0
        assert not [name for name in os.listdir(output) if name.startswith('.')]
        shutil.rmtree(output)
        if finished:
            break
    assert first > 10


def test_a_graph_of_the_old_checkpoint_is_removed(tmp_path):
    (tmp_path / 'new.meta').write_text('old')
    with pytest.raises(CheckpointError, match='new exists'):
        checkpoint.convert(SOURCES[0], tmp_path / 'new')
    checkpoint.convert(SOURCES[0], tmp_path / 'new', overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ['new.data-00000-of-00001', 'new.index']


@pytest.mark.parametrize('name, kind', [('new.index', 'a named pipe'), ('new', 'a symbolic link')])
def test_convert_replaces_only_regular_files(tmp_path, name, kind):
    if name == 'new':
        (tmp_path / name).symlink_to('elsewhere')
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match=f'{name} is {kind}, which is not replaced'):
        checkpoint.convert(SOURCES[0], tmp_path / 'new', overwrite=True)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.slow
def test_export_replaces_only_its_own(tmp_path):
    def export(path):
        formats.export(SOURCES[0], path, format='frozen', overwrite=True)

    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(ExportError, match='pipe is a named pipe, which is not replaced'):
        export(tmp_path / 'pipe')
    assert stat.S_ISFIFO(os.stat(tmp_path / 'pipe').st_mode)
    (tmp_path / 'timm').mkdir()
    for name in ('config.json', 'model.safetensors', 'README.md'):
        (tmp_path / 'timm' / name).touch()
    with pytest.raises(ExportError, match='than an exported model, such as README.md; give ano'):
        export(tmp_path / 'timm')
    (tmp_path / 'timm' / 'README.md').unlink()
    export(tmp_path / 'timm')
    assert (tmp_path / 'timm').is_file() and sorted(os.listdir(tmp_path)) == ['pipe', 'timm']


@pytest.mark.parametrize('write', [
    lambda path: checkpoint.convert(SOURCES[1], path),
    lambda path: formats.export(SOURCES[1], path, format='frozen'),
    lambda path: formats.export(SOURCES[1], f'{path}.h5', format='keras')])
def test_full_disk_is_named(write, tmp_path):
    """A limit of the size of files stands for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises((CheckpointError, ExportError), match='written.*File too large'):
            write(tmp_path / 'output')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not os.listdir(tmp_path)
