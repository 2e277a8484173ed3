"""download, from a server on this machine that does all that servers do to one."""

import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import io
import os
import tarfile
import threading

import fork_server
from helpers import GOLDEN
from inception_slim import checkpoint
from inception_slim.checkpoint import CheckpointError, _download, naming
import pytest

SLIM_V1 = os.path.join(GOLDEN, 'checkpoints', 'slim_v1', 'model.ckpt-157585')
SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2')
FIRST_RELEASE = os.path.join(GOLDEN, 'checkpoints', 'first_release', 'model.ckpt-157585')
WANTED = '/' + _download.PUBLISHED['inception_v3'].path


def archive(members, compression='gz'):
    """Of (name, bytes or path, or a TarInfo)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f'w:{compression}') as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            elif isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                tar.add(content, name)
    return file.getvalue()


GOOD = archive([('inception_v3.ckpt', SLIM_V1)])


class Site:
    """A server: `files` by path, and how it treats who asks."""

    def __init__(self):
        self.files, self.asked = {WANTED: GOOD}, []
        self.tag, self.cut, self.status, self.ranges, self.moved = '"1"', [], 200, True, {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802  as the class wants it
                site.asked.append(self.headers.get('Range'))
                if self.path in site.moved:
                    self.send_response(302)
                    self.send_header('Location', site.moved[self.path])
                    self.end_headers()
                    return
                content = site.files.get(self.path)
                if content is None or site.status != 200:
                    self.send_error(404 if content is None else site.status)
                    return
                start = 0
                wanted = self.headers.get('Range')
                if wanted and site.ranges and self.headers.get('If-Range') == site.tag:
                    start = int(wanted.removeprefix('bytes=').removesuffix('-'))
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header('Content-Range', f'bytes */{len(content)}')
                        self.end_headers()
                        return
                    self.send_response(206)
                else:
                    self.send_response(200)
                self.send_header('Content-Length', str(len(content) - start))
                if site.tag:
                    self.send_header('ETag', site.tag)
                self.end_headers()
                end = site.cut.pop(0) if site.cut else len(content)
                self.wfile.write(content[start:end])

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(_download, '_PAUSE', 0.001)
    with contextlib.closing(Site()) as made:
        yield made


def fetch(site, folder):
    return checkpoint.download('inception_v3', folder, site=site.url)


def test_whole(site, tmp_path):
    info = fetch(site, tmp_path)
    assert info.network == 'inception_v3' and info.num_classes == 11
    assert info.path == str(tmp_path / 'inception_v3' / 'inception_v3.ckpt')
    assert os.listdir(tmp_path) == ['inception_v3'] and len(site.asked) == 1
    assert fetch(site, tmp_path) == info and len(site.asked) == 1  # it is there


def test_a_folder_in_the_archive_and_what_is_beside_the_checkpoint(site, tmp_path):
    site.files['/' + _download.PUBLISHED['inception_v3_2016_03_01'].path] = archive([
        ('inception-v3/README.txt', b'read me'), ('inception-v3/model.ckpt-157585', FIRST_RELEASE),
        ('inception-v3/checkpoint', b'model_checkpoint_path: "model.ckpt-157585"')])
    info = checkpoint.download('inception_v3_2016_03_01', tmp_path, site=site.url)
    assert info.naming == naming.FIRST_RELEASE_NAMES
    site.files['/' + _download.PUBLISHED['adv_inception_v3'].path] = archive([
        (f'adv_inception_v3.ckpt{name.removeprefix("model.ckpt-157585")}',
         os.path.join(SLIM_V2, name))
        for name in os.listdir(SLIM_V2) if name != 'checkpoint'])
    assert checkpoint.download('adv_inception_v3', tmp_path, site=site.url).format == 'V2'


def test_broken_off_and_gone_on_with(site, tmp_path):
    site.cut = [1000, 5000, 5000, 9000]
    assert fetch(site, tmp_path).num_classes == 11
    assert site.asked == [None, 'bytes=1000-', 'bytes=5000-', 'bytes=5000-', 'bytes=9000-']


def test_gone_on_with_by_the_next_call(site, tmp_path):
    site.cut = [20_000] + [0] * 5
    with pytest.raises(CheckpointError, match='ended early; see to the network, and run the same'):
        fetch(site, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['.inception_v3.part', '.inception_v3.part.tag']
    site.cut, site.asked = [], []
    assert fetch(site, tmp_path).num_classes == 11 and site.asked == ['bytes=20000-']
    assert os.listdir(tmp_path) == ['inception_v3']


def test_all_had_come(site, tmp_path):
    """Killed between the last byte and unpacking."""
    (tmp_path / '.inception_v3.part').write_bytes(GOOD)
    (tmp_path / '.inception_v3.part.tag').write_text('"1"')
    assert fetch(site, tmp_path).num_classes == 11 and site.asked == [f'bytes={len(GOOD)}-']


@pytest.mark.parametrize('tag, ranges', [('"2"', True), ('', True), ('"1"', False)])
def test_another_file_is_not_gone_on_with(site, tmp_path, tag, ranges):
    """It changed, or the site does not say, or does not give parts."""
    (tmp_path / '.inception_v3.part').write_bytes(b'x' * 1000)
    (tmp_path / '.inception_v3.part.tag').write_text('"1"')
    site.tag, site.ranges = tag, ranges
    assert fetch(site, tmp_path).num_classes == 11


def test_moved(site, tmp_path):
    site.moved[WANTED], site.files['/elsewhere'] = '/elsewhere', GOOD
    assert fetch(site, tmp_path).num_classes == 11


def outside(kind):
    info = tarfile.TarInfo('inception_v3.ckpt' if kind == tarfile.SYMTYPE else '../../up.ckpt')
    info.type, info.linkname = kind, '/etc/passwd'
    return info


@pytest.mark.parametrize('content, says', [
    (b'<html>Sign in</html>', 'is no archive that can be unpacked'),
    (GOOD[:-2000], 'is no archive'), (GOOD[:5000] + b'x' * 100 + GOOD[5100:], 'unpacked|damaged'),
    (archive([('readme.txt', b'nothing')]), 'holds no checkpoint: readme.txt'),
    (archive([]), 'holds no checkpoint'),
    (archive([('inception_v3.ckpt', b'not one')]), 'is not a TensorFlow checkpoint'),
    (archive([('', outside(tarfile.SYMTYPE))]), 'holds no checkpoint'),
    (archive([('inception_v1.ckpt.index', os.path.join(
        GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585.index')),
        ('inception_v1.ckpt.data-00000-of-00001', os.path.join(
            GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585.data-00000-of-00001'))]),
     'gave a checkpoint of inception_v1, not of inception_v3'),
], ids=['page', 'cut', 'damaged', 'text', 'empty', 'other', 'link', 'network'])
def test_the_wrong_thing_leaves_nothing(site, tmp_path, content, says):
    site.files[WANTED] = content
    with pytest.raises(CheckpointError, match=says):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path) == []


def test_nothing_lands_outside(site, tmp_path):
    site.files[WANTED] = archive([('../../../up.ckpt.txt', b'x'), ('/abs.ckpt.txt', b'x'),
                                  ('a/../../inception_v3.ckpt', SLIM_V1)])
    folder = tmp_path / 'in' / 'here'
    folder.mkdir(parents=True)
    assert fetch(site, folder).num_classes == 11
    assert sorted(os.listdir(folder / 'inception_v3')) == [
        'abs.ckpt.txt', 'inception_v3.ckpt', 'up.ckpt.txt']
    assert os.listdir(tmp_path) == ['in'] and os.listdir(folder) == ['inception_v3']


def test_too_much(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, '_LARGEST', 100_000)
    site.files[WANTED] = archive([('inception_v3.ckpt', bytes(10_000_000))])
    assert len(site.files[WANTED]) < 100_000
    with pytest.raises(CheckpointError, match='unpacks to more than any published'):
        fetch(site, tmp_path)
    site.files[WANTED] = os.urandom(200_000)
    with pytest.raises(CheckpointError, match='is longer than any published'):
        fetch(site, tmp_path)


def test_errors_of_the_site(site, tmp_path):
    site.status = 503
    with pytest.raises(CheckpointError, match='answers 503 Service Unavailable; see to the net'):
        fetch(site, tmp_path)
    assert len(site.asked) == _download._ATTEMPTS
    site.files.clear()
    with pytest.raises(CheckpointError, match='answers 404 Not Found; give another site'):
        fetch(site, tmp_path)
    site.close()
    with pytest.raises(CheckpointError, match='Connection refused; see to the network'):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_is_in_the_way(site, tmp_path):
    (tmp_path / 'inception_v3').mkdir()
    with pytest.raises(CheckpointError, match='is in the way, and holds no whole checkpoint'):
        fetch(site, tmp_path)
    with pytest.raises(CheckpointError, match='There is no folder'):
        fetch(site, tmp_path / 'missing')
    with pytest.raises(CheckpointError, match='no published checkpoint .vgg.; name one of'):
        checkpoint.download('vgg', tmp_path)
    assert site.asked == []


def test_command(site, tmp_path):
    done = fork_server.command('download', 'inception_v3', '--output', tmp_path, '--site', site.url)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == (f'{tmp_path}/inception_v3/inception_v3.ckpt: Inception V3, 11 classes, '
                           '63,069 parameters\n')
    assert fork_server.command('download', 'vgg').returncode == 2
