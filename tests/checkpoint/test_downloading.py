"""`download` from a local server that misbehaves."""

import contextlib
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import io
import os
import shutil
import tarfile
import threading
import time

import fork_server
from helpers import GOLDEN
from inception_slim import checkpoint
from inception_slim.checkpoint import CheckpointError, _download, naming
import pytest

SLIM_V1 = os.path.join(GOLDEN, 'checkpoints', 'slim_v1', 'model.ckpt-157585')
SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2')
FIRST_RELEASE = os.path.join(GOLDEN, 'checkpoints', 'first_release', 'model.ckpt-157585')
ARCHIVE = '/' + _download.PUBLISHED['inception_v3'].path


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


FILES = ['inception_v3', 'inception_v3.sha256']
GOOD = archive([('inception_v3.ckpt', SLIM_V1)])


class Site:
    """A server of `files` by path, with faults: cut connections, errors, redirects."""

    def __init__(self):
        self.files, self.asked = {ARCHIVE: GOOD}, []
        self.stall = 0  # seconds before a connection that is cut is closed
        self.tag, self.cut, self.status, self.ranges, self.moved = '"1"', [], 200, True, {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802  the name that the base class calls
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
                if end < len(content):
                    self.wfile.flush()
                    time.sleep(site.stall)

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


def listdir(folder):
    return sorted(os.listdir(folder))


def fetch(site, folder):
    return checkpoint.download('inception_v3', folder, site=site.url)


def test_download(site, tmp_path):
    info = fetch(site, tmp_path)
    assert info.network == 'inception_v3' and info.num_classes == 11
    assert info.path == str(tmp_path / 'inception_v3' / 'inception_v3.ckpt')
    assert listdir(tmp_path) == FILES and len(site.asked) == 1
    assert fetch(site, tmp_path) == info and len(site.asked) == 1  # it exists


def test_archives_with_folders_and_other_files(site, tmp_path):
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


def test_resumes_broken_connections(site, tmp_path):
    site.cut = [1000, 5000, 5000, 9000]
    assert fetch(site, tmp_path).num_classes == 11
    assert site.asked == [None, 'bytes=1000-', 'bytes=5000-', 'bytes=5000-', 'bytes=9000-']


def test_resumes_stalling_connections(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, '_TIMEOUT', 0.3)
    site.cut, site.stall = [1000, 5000], 2
    start = time.monotonic()
    assert fetch(site, tmp_path).num_classes == 11
    assert len(site.asked) == 3 and time.monotonic() - start < 10


def test_slow_server(site, tmp_path, monkeypatch):
    """A connection that gives data, however slowly, is not given up."""
    monkeypatch.setattr(_download, '_ATTEMPTS', 2)
    site.cut = [1000 * number for number in range(1, 8)]
    assert fetch(site, tmp_path).num_classes == 11


@pytest.mark.parametrize('target', ['file:///etc/passwd', 'ftp://127.0.0.1:1/model'])
def test_redirects_to_other_protocols_are_refused(site, tmp_path, target):
    site.moved['/' + ARCHIVE.lstrip('/')] = target
    with pytest.raises(CheckpointError):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path) == []


def test_next_call_resumes(site, tmp_path):
    site.cut = [20_000] + [0] * 5
    with pytest.raises(CheckpointError, match='ended early; check the network and run the same'):
        fetch(site, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['.inception_v3.part', '.inception_v3.part.tag']
    site.cut, site.asked = [], []
    assert fetch(site, tmp_path).num_classes == 11 and site.asked == ['bytes=20000-']
    assert listdir(tmp_path) == FILES


def test_complete_part_is_not_downloaded_again(site, tmp_path):
    """Killed between the last byte and unpacking."""
    (tmp_path / '.inception_v3.part').write_bytes(GOOD)
    (tmp_path / '.inception_v3.part.tag').write_text('"1"')
    assert fetch(site, tmp_path).num_classes == 11 and site.asked == [f'bytes={len(GOOD)}-']


@pytest.mark.parametrize('tag, ranges', [('"2"', True), ('', True), ('"1"', False)])
def test_other_versions_are_not_resumed(site, tmp_path, tag, ranges):
    """It changed, or the site does not say, or does not give parts."""
    (tmp_path / '.inception_v3.part').write_bytes(b'x' * 1000)
    (tmp_path / '.inception_v3.part.tag').write_text('"1"')
    site.tag, site.ranges = tag, ranges
    assert fetch(site, tmp_path).num_classes == 11


def test_redirect(site, tmp_path):
    site.moved[ARCHIVE], site.files['/elsewhere'] = '/elsewhere', GOOD
    assert fetch(site, tmp_path).num_classes == 11


def outside(kind):
    info = tarfile.TarInfo('inception_v3.ckpt' if kind == tarfile.SYMTYPE else '../../up.ckpt')
    info.type, info.linkname = kind, '/etc/passwd'
    return info


@pytest.mark.parametrize('content, message', [
    (b'<html>Sign in</html>', 'is not an archive that can be unpacked'),
    (GOOD[:-2000], 'is not an archive'),
    (GOOD[:5000] + b'x' * 100 + GOOD[5100:], 'unpacked|damaged'),
    (archive([('readme.txt', b'nothing')]), 'holds no checkpoint: readme.txt'),
    (archive([]), 'holds no checkpoint'),
    (archive([('inception_v3.ckpt', b'not one')]), 'is not a TensorFlow checkpoint'),
    (archive([('', outside(tarfile.SYMTYPE))]), 'holds no checkpoint'),
    (archive([('inception_v1.ckpt.index', os.path.join(
        GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585.index')),
        ('inception_v1.ckpt.data-00000-of-00001', os.path.join(
            GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585.data-00000-of-00001'))]),
     'is a checkpoint of inception_v1, not of inception_v3'),
], ids=['page', 'cut', 'damaged', 'text', 'empty', 'other', 'link', 'network'])
def test_rejects_wrong_archives(site, tmp_path, content, message):
    site.files[ARCHIVE] = content
    with pytest.raises(CheckpointError, match=message):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path) == []


def test_unpacks_inside_the_folder(site, tmp_path):
    site.files[ARCHIVE] = archive([('../../../up.ckpt.txt', b'x'), ('/abs.ckpt.txt', b'x'),
                                  ('a/../../inception_v3.ckpt', SLIM_V1)])
    folder = tmp_path / 'in' / 'here'
    folder.mkdir(parents=True)
    assert fetch(site, folder).num_classes == 11
    assert sorted(os.listdir(folder / 'inception_v3')) == [
        'abs.ckpt.txt', 'inception_v3.ckpt', 'up.ckpt.txt']
    assert os.listdir(tmp_path) == ['in'] and listdir(folder) == FILES


def test_rejects_large_archives(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, '_LARGEST', 100_000)
    site.files[ARCHIVE] = archive([('inception_v3.ckpt', bytes(10_000_000))])
    assert len(site.files[ARCHIVE]) < 100_000
    with pytest.raises(CheckpointError, match='unpacks to more than any published'):
        fetch(site, tmp_path)
    site.files[ARCHIVE] = os.urandom(200_000)
    with pytest.raises(CheckpointError, match='is larger than any published'):
        fetch(site, tmp_path)


def test_site_errors(site, tmp_path):
    site.status = 503
    with pytest.raises(CheckpointError, match='responds 503 Service Unavailable; check the net'):
        fetch(site, tmp_path)
    assert len(site.asked) == _download._ATTEMPTS
    site.files.clear()
    with pytest.raises(CheckpointError, match='responds 404 Not Found; give another site'):
        fetch(site, tmp_path)
    site.close()
    with pytest.raises(CheckpointError, match='Connection refused; check the network'):
        fetch(site, tmp_path)
    assert os.listdir(tmp_path) == []


def test_sha256_is_recorded_and_compared(site, tmp_path):
    fetch(site, tmp_path)
    record = tmp_path / 'inception_v3.sha256'
    assert record.read_text() == (
        f'{hashlib.sha256(GOOD).hexdigest()}  inception_v3_2016_08_28.tar.gz\n')
    shutil.rmtree(tmp_path / 'inception_v3')
    assert fetch(site, tmp_path).num_classes == 11
    shutil.rmtree(tmp_path / 'inception_v3')
    site.files[ARCHIVE] = archive([('other.ckpt', SLIM_V1)])
    with pytest.raises(CheckpointError, match='has the SHA-256 .*inception_v3.sha256 records'):
        fetch(site, tmp_path)
    assert listdir(tmp_path) == ['inception_v3.sha256']
    record.unlink()
    assert fetch(site, tmp_path).path.endswith('other.ckpt')


def test_rejects_existing_folder(site, tmp_path):
    (tmp_path / 'inception_v3').mkdir()
    with pytest.raises(CheckpointError, match='exists, but holds no complete checkpoint'):
        fetch(site, tmp_path)
    with pytest.raises(CheckpointError, match='There is no folder'):
        fetch(site, tmp_path / 'missing')
    with pytest.raises(CheckpointError, match='no published checkpoint .vgg.; give one of'):
        checkpoint.download('vgg', tmp_path)
    assert site.asked == []


@pytest.mark.slow
def test_command(site, tmp_path):
    done = fork_server.command('download', 'inception_v3', '--output', tmp_path, '--site', site.url)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == (f'{tmp_path}/inception_v3/inception_v3.ckpt: Inception V3, 11 classes, '
                           '63,069 parameters\n'
                           f'SHA-256 of the archive: {hashlib.sha256(GOOD).hexdigest()}\n')
    assert fork_server.command('download', 'vgg').returncode == 2
