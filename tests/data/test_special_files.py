"""Named pipes, sockets and devices are refused at once; open descriptors are read as streams."""

import os
import shutil
import signal
import socket
import subprocess
import sys

from helpers import GOLDEN
from inception_slim import bulk, checkpoint, data, evaluation, inference
from inception_slim.errors import InceptionSlimError
from inception_slim.legacy import explain, script_runner
import pytest

SCRIPTS = os.path.join(GOLDEN, 'legacy_scripts')
CHECKPOINT = os.path.join(SCRIPTS, 'inception_v3.ckpt')
IMAGE = os.path.join(SCRIPTS, 'images', 'checks_01.jpg')


@pytest.fixture(autouse=True)
def no_hang():
    """Ends a test that waits for a writer of a pipe."""
    def end(*_):
        raise TimeoutError('the test waited for a named pipe')

    previous = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope='module')
def predictor():
    with inference.load(CHECKPOINT) as loaded:
        yield loaded


def make_special(kind, path):
    if kind == 'a named pipe':
        os.mkfifo(path)
    elif kind == 'a socket':
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(os.path.relpath(path))  # the path of a socket is at most 107 bytes long
    else:
        os.symlink('/dev/zero', path)


READERS = [
    ('txt', data.read_labels),
    ('txt', explain.find_uses),
    ('txt', lambda path: bulk.run(CHECKPOINT, path, 'out')),
    ('npz', lambda path: evaluation.fid(CHECKPOINT, path, path)),
    ('pth', checkpoint.inspect),
    ('index', inference.load)]


@pytest.mark.parametrize('kind', ['a named pipe', 'a socket', 'a device'])
def test_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    for number, (suffix, read) in enumerate(READERS):
        path = f'{number}.{suffix}'
        make_special(kind, path)
        with pytest.raises(InceptionSlimError, match=f'{path}.* is {kind}'):
            read(path)


@pytest.mark.parametrize('strict', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_refused_as_an_image(predictor, tmp_path, strict):
    os.mkfifo(tmp_path / 'image.jpg')
    with pytest.raises(InceptionSlimError, match='image.jpg.* is a named pipe'):
        evaluation.classify(predictor, tmp_path / 'image.jpg', strict=strict)


@pytest.mark.parametrize('name', ['checkpoint', 'model.ckpt-157585.data-00000-of-00001'])
def test_refused_in_a_folder(tmp_path, name):
    shutil.copytree(os.path.join(GOLDEN, 'checkpoints', 'slim_v2'), tmp_path / 'model')
    path = tmp_path / 'model' / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(checkpoint.CheckpointError, match=f'{name} is a named pipe'):
        checkpoint.inspect(tmp_path / 'model')


def test_script_is_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / 'script.py')
    with pytest.raises(SystemExit, match='1'):
        script_runner.run_script(str(tmp_path / 'script.py'), [])
    assert 'script.py is a named pipe' in capsys.readouterr().err


@pytest.mark.filterwarnings('ignore:.* is skipped')
def test_skipped_in_a_folder_of_images(predictor, tmp_path):
    shutil.copy(IMAGE, tmp_path)
    os.mkfifo(tmp_path / 'pipe.jpg')
    os.symlink('/dev/zero', tmp_path / 'zero.png')
    result = evaluation.classify(predictor, tmp_path)
    assert [os.path.basename(name) for name in result.unreadable] == ['pipe.jpg', 'zero.png']
    assert len(result.predictions) == 1
    result = bulk.run(CHECKPOINT, tmp_path, tmp_path / 'out', format='npy')
    assert (result.images, result.unreadable) == (1, 2)
    reasons = (tmp_path / 'out' / '_unreadable.csv').read_text()
    assert 'pipe.jpg,it is a named pipe' in reasons and 'zero.png,it is a device' in reasons


def test_streams(monkeypatch):
    """What a shell makes of `<(command)`, and `/dev/stdin`."""
    def stream(content):
        read, write = os.pipe()
        os.write(write, content)
        os.close(write)
        return read

    descriptor = stream(b'0:daisy\n1:rose\n')
    assert data.read_labels(f'/dev/fd/{descriptor}') == ['daisy', 'rose']
    os.close(descriptor)
    monkeypatch.chdir(SCRIPTS)  # relative paths in a stream are those of the process
    descriptor = stream(b'images/checks_01.jpg\nimages/rows_03.jpg\n')
    units = list(bulk.sources.work_units([f'/dev/fd/{descriptor}'], 10, bulk.sources.Columns()))
    os.close(descriptor)
    assert [name for name, _ in units[0]['files']] == ['images/checks_01.jpg', 'images/rows_03.jpg']
    output = subprocess.run([sys.executable, '-c', 'from inception_slim import data; '
                             'print(data.read_labels("/dev/stdin"))'],
                            input='a\nb\n', text=True, capture_output=True, check=True).stdout
    assert output == "['a', 'b']\n"
