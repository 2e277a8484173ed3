"""The checkpoints that TensorFlow's site has published, fetched, checked and put in place."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import gzip
import http.client
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib

from inception_slim._atomic_write import check_parent_folder
from inception_slim.checkpoint._convert import read
from inception_slim.checkpoint.naming import CheckpointInfo, inspect
from inception_slim.checkpoint.published import PUBLISHED, SITE, PublishedCheckpoint
from inception_slim.errors import CheckpointError
from tqdm import tqdm

_ATTEMPTS = 5  # connections that end early, one after another without a byte between them
_PAUSE = 0.5  # seconds after the first of them, twice as many after the second
_CHUNK = 2**18  # bytes
_TAG = '.tag'  # the site's name for the version of the file, beside what has come of it
_TIMEOUT = 60  # seconds without a byte
_LARGEST = 2 * 2**30  # bytes of an archive, and of what is in it: the published ones have 0.5 GB


def download(name: str, folder: str | os.PathLike = '.', *, site: str = SITE) -> CheckpointInfo:
    """Fetches a published checkpoint into a folder of its own.

    A download that was broken off goes on where it stopped, in this call or in a later one. What
    came is unpacked aside, recognised and read whole, and only then put in place.

    Args:
      name: one of `PUBLISHED`.
      folder: where to; the checkpoint gets the folder `NAME` in it. One that is there already, and
        whole, is left as it is.
      site: where the archives are: TensorFlow's site, or a copy of it.

    Returns:
      What the checkpoint holds.

    Raises:
      CheckpointError: there is no such checkpoint, the site cannot be reached, what came is not
        what was asked for, or it cannot be written.
    """
    if name not in PUBLISHED:
        raise CheckpointError(f'There is no published checkpoint {name!r}; name one of '
                              f'{", ".join(PUBLISHED)}.')
    published = PUBLISHED[name]
    folder = os.fspath(folder)
    check_parent_folder(os.path.join(folder, name), CheckpointError)
    destination = os.path.join(folder, name)
    if os.path.lexists(destination):
        return _there(destination, published)
    url = f'{site.rstrip("/")}/{published.path}'
    part = os.path.join(folder, f'.{name}.part')
    try:
        _fetch(url, part)
        with tempfile.TemporaryDirectory(prefix=f'.{name}.', dir=folder) as scratch:
            unpacked = os.path.join(scratch, name)
            os.mkdir(unpacked)
            try:
                _unpack(part, unpacked, url)
                info, _ = read(_checkpoint_in(unpacked, url))
                if info.network != published.network:
                    raise CheckpointError(f'{url} gave a checkpoint of {info.network}, not of '
                                          f'{published.network}; give another site.')
            except CheckpointError:
                _forget(part)  # going on from it would only give the same again
                raise
            os.rename(unpacked, destination)
        _forget(part)
    except OSError as error:
        raise CheckpointError(f'{destination} cannot be written: {error.strerror or error}.'
                              ) from None
    return inspect(_checkpoint_in(destination, url))


def _forget(part: str) -> None:
    for file in (part, part + _TAG):
        with contextlib.suppress(FileNotFoundError):
            os.remove(file)


def _there(destination: str, published: PublishedCheckpoint) -> CheckpointInfo:
    try:
        info = inspect(_checkpoint_in(destination, destination))
    except CheckpointError as error:
        raise CheckpointError(f'{destination} is in the way, and holds no whole checkpoint '
                              f'({error}) Move it away.') from None
    if info.network != published.network:
        raise CheckpointError(f'{destination} is in the way: it holds {info.network}; move it '
                              'away, or give another folder.')
    return info


def _checkpoint_in(folder: str, url: str) -> str:
    """The one checkpoint in a folder: the file that is not a list, a graph or a text beside it."""
    names = sorted(os.listdir(folder))
    if 'checkpoint' in names or any(name.endswith('.index') for name in names):
        return folder
    found = [name for name in names if '.ckpt' in name and not name.endswith(('.meta', '.txt'))]
    if len(found) != 1:
        raise CheckpointError(f'{url} holds no checkpoint: {", ".join(names[:5]) or "nothing"}; '
                              'try again, or another site.')
    return os.path.join(folder, found[0])


class _BrokenOffError(Exception):
    """The connection gave no more, which is no error of the disk."""


def _fetch(url: str, part: str) -> None:
    """Downloads to `part`, from where an earlier download of the same file stopped."""
    failures = 0
    with tqdm(unit='B', unit_scale=True, unit_divisor=1024, disable=None, file=sys.stderr) as bar:
        while True:
            before = _size(part)
            try:
                if _fetch_more(url, part, bar):
                    return
                problem = 'the connection ended early'
            except urllib.error.HTTPError as error:
                problem = f'the site answers {error.code} {error.reason}'
                if error.code < 500:
                    raise CheckpointError(f'{url} cannot be fetched: {problem}; give another '
                                          'site.') from None
            except _BrokenOffError as error:
                problem = str(error)
            failures = 0 if _size(part) > before else failures + 1
            if failures >= _ATTEMPTS:
                raise CheckpointError(
                    f'{url} cannot be fetched: {problem}; see to the network, and run the same '
                    'again, which goes on from what has come.')
            time.sleep(_PAUSE * failures)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _fetch_more(url: str, part: str, bar: tqdm) -> bool:
    """Appends what one connection gives; says whether that was all."""
    have, tag = _size(part), ''
    with contextlib.suppress(FileNotFoundError), open(part + _TAG, encoding='ascii') as file:
        tag = file.read()
    headers = {'User-Agent': 'inception_slim'}
    # Without a tag nobody can say whether what is there is of the same file.
    if have and tag:
        headers.update({'Range': f'bytes={have}-', 'If-Range': tag})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                          timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # There is nothing after what has come: it is all, or of another file.
        if (error.headers.get('Content-Range') or '').rpartition('/')[2] == str(have):
            return True
        _forget(part)
        return False
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(_words(error)) from None
    with response:
        if response.status != 206:
            have = 0
        left = response.headers.get('Content-Length') or ''
        total = have + int(left) if left.isdigit() else None
        bar.total, bar.n = total, have
        bar.refresh()
        tag = response.headers.get('ETag') or response.headers.get('Last-Modified') or ''
        with open(part, 'ab' if have else 'wb') as file:
            with open(part + _TAG, 'w', encoding='ascii', errors='ignore') as tag_file:
                tag_file.write('' if tag.startswith('W/') else tag)
            for chunk in _chunks(response):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
                if max(have, total or 0) > _LARGEST:
                    raise CheckpointError(f'{url} is longer than any published checkpoint; give '
                                          'another site.')
    return total is None or have >= total


def _words(error: BaseException) -> str:
    reason = getattr(error, 'reason', None) or error
    return getattr(reason, 'strerror', None) or str(reason) or type(reason).__name__


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except http.client.IncompleteRead as error:
            chunk = error.partial
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOffError(_words(error)) from None
        if not chunk:
            return
        yield chunk


def _unpack(archive: str, folder: str, url: str) -> None:
    """The plain files of an archive, by their last names: nothing lands outside the folder."""
    left = _LARGEST
    try:
        with tarfile.open(archive, 'r:gz') as tar:
            for member in tar:
                name = os.path.basename(member.name)
                left -= member.size
                if left < 0:
                    raise CheckpointError(f'{url} unpacks to more than any published checkpoint; '
                                          'give another site.')
                source = tar.extractfile(member) if member.isreg() else None
                if source is None or not name or name.startswith('.'):
                    continue
                with source, open(os.path.join(folder, name), 'wb') as file:
                    shutil.copyfileobj(source, file)
            # To the end, where the checksum of all stands.
            while left >= 0 and (rest := tar.fileobj.read(_CHUNK)):
                left -= len(rest)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckpointError(f'{url} is no archive that can be unpacked ({error}); give another '
                              'site.') from None
