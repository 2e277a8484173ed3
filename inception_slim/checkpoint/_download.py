"""Download published checkpoints: resume, verify, unpack, and move into place."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import gzip
import hashlib
import http.client
import os
import re
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zlib

from inception_slim._atomic_write import atomic_write, replace_together
from inception_slim._bounded_tar import BoundedTarInfo
from inception_slim.checkpoint._convert import read
from inception_slim.checkpoint.naming import CheckpointInfo, inspect
from inception_slim.checkpoint.published import PUBLISHED, SITE, PublishedCheckpoint
from inception_slim.errors import CheckpointError, error_summary
from tqdm import tqdm

_ATTEMPTS = 5  # connections in a row without progress before giving up
_PAUSE = 0.5  # seconds after the first of them, doubled after the second and so on
_CHUNK = 2**18  # bytes
_ETAG_SUFFIX = '.tag'  # of the file with the ETag of a partial download
_TIMEOUT = 60  # seconds without data
_LARGEST = 2 * 2**30  # bytes of an archive, and of its contents; the published ones have 0.5 GB


def download(name: str, folder: str | os.PathLike = '.', *, site: str = SITE) -> CheckpointInfo:
    """Downloads a published checkpoint into the folder `NAME` in a folder.

    An interrupted download resumes where it stopped, in this call or in the next one. The archive
    is unpacked to a temporary folder and the checkpoint is read completely before it is moved into
    place. The SHA-256 of the archive is recorded in `NAME.sha256` by the first download, and
    compared by later ones.

    Args:
      name: one of `PUBLISHED`.
      folder: where to write; a complete checkpoint that exists in `NAME` there is left unchanged.
      site: the URL of the archives: TensorFlow's site, or a copy of it.

    Returns:
      The description of the checkpoint.

    Raises:
      CheckpointError: there is no such checkpoint, the site cannot be reached, the archive is not
        the expected one, or the checkpoint cannot be written.
    """
    if name not in PUBLISHED:
        raise CheckpointError(f'There is no published checkpoint {name!r}; give one of '
                              f'{", ".join(PUBLISHED)}.')
    published = PUBLISHED[name]
    folder = os.fsdecode(folder)
    destination = os.path.join(folder, name)
    if os.path.lexists(destination):
        return _inspect_existing(destination, published)
    url = f'{site.rstrip("/")}/{published.path}'
    part = os.path.join(folder, f'.{name}.part')
    # Locked, so that no other run appends to the same partial download.
    with replace_together(destination, CheckpointError) as scratch:
        if os.path.lexists(destination):
            return _inspect_existing(destination, published)
        _fetch(url, part)
        unpacked = os.path.join(scratch, name)
        os.mkdir(unpacked)
        try:
            checksum = _check_sha256(part, name, folder, url)
            _unpack(part, unpacked, url)
            info, _ = read(_find_checkpoint(unpacked, url))
            if info.network != published.network:
                raise CheckpointError(f'{url} is a checkpoint of {info.network}, not of '
                                      f'{published.network}; give another site.')
        except CheckpointError:
            _remove_part(part)  # resuming would give the same archive again
            raise
        _record_sha256(checksum, name, folder)
    _remove_part(part)
    return inspect(_find_checkpoint(destination, url))


def recorded_sha256(name: str, folder: str | os.PathLike) -> str | None:
    """Returns the SHA-256 of a published archive recorded by `download`; None without a record.

    Args:
      name: one of `PUBLISHED`.
      folder: the folder that was given to `download`.
    """
    try:
        with open(_sha256_path(name, folder), encoding='ascii', errors='replace') as file:
            match = re.match(r'[0-9A-Fa-f]{64}\b', file.read())
    except FileNotFoundError:
        return None
    return match[0].lower() if match else None


def _sha256_path(name: str, folder: str | os.PathLike) -> str:
    return os.path.join(folder, f'{name}.sha256')


def _check_sha256(archive: str, name: str, folder: str, url: str) -> str:
    """Returns the SHA-256 of an archive; raises CheckpointError if another one is recorded."""
    digest = hashlib.sha256()
    with open(archive, 'rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    recorded = recorded_sha256(name, folder)
    if recorded not in (None, digest.hexdigest()):
        raise CheckpointError(f'{url} has the SHA-256 {digest.hexdigest()}, but '
                              f'{_sha256_path(name, folder)} records {recorded}; give another '
                              'site, or remove that file if the archive was replaced.')
    return digest.hexdigest()


def _record_sha256(checksum: str, name: str, folder: str) -> None:
    """Writes the checksum in the format of `sha256sum`."""
    with atomic_write(_sha256_path(name, folder), CheckpointError) as file:
        file.write(f'{checksum}  {os.path.basename(PUBLISHED[name].path)}\n'.encode())


def _remove_part(part: str) -> None:
    for path in (part, part + _ETAG_SUFFIX):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _inspect_existing(destination: str, published: PublishedCheckpoint) -> CheckpointInfo:
    try:
        info = inspect(_find_checkpoint(destination, destination))
    except CheckpointError as error:
        raise CheckpointError(f'{destination} exists, but holds no complete checkpoint ({error}) '
                              'Move it away.') from None
    if info.network != published.network:
        raise CheckpointError(f'{destination} exists, but holds {info.network}; move it away, or '
                              'give another folder.')
    return info


def _find_checkpoint(folder: str, source: str) -> str:
    """Returns the only checkpoint in an unpacked folder; `source` is for the error message."""
    names = sorted(os.listdir(folder))
    if 'checkpoint' in names or any(name.endswith('.index') for name in names):
        return folder
    checkpoints = [name for name in names
                   if '.ckpt' in name and not name.endswith(('.meta', '.txt'))]
    if len(checkpoints) != 1:
        raise CheckpointError(f'{source} holds no checkpoint: {", ".join(names[:5]) or "nothing"}; '
                              'try again, or give another site.')
    return os.path.join(folder, checkpoints[0])


class _ConnectionLostError(Exception):
    """The connection failed, as opposed to the disk."""


def _fetch(url: str, part: str) -> None:
    """Downloads to the file `part`; resumes an earlier download of the same file."""
    failures = 0
    with tqdm(unit='B', unit_scale=True, unit_divisor=1024, disable=None, file=sys.stderr) as bar:
        while True:
            before = _size(part)
            try:
                if _fetch_more(url, part, bar):
                    return
                problem = 'the connection ended early'
            except urllib.error.HTTPError as error:
                problem = f'the site responds {error.code} {error.reason}'
                if error.code < 500:
                    raise CheckpointError(f'{url} cannot be downloaded: {problem}; give another '
                                          'site.') from None
            except _ConnectionLostError as error:
                problem = str(error)
            failures = 0 if _size(part) > before else failures + 1
            if failures >= _ATTEMPTS:
                raise CheckpointError(f'{url} cannot be downloaded: {problem}; check the network '
                                      'and run the same command again, which resumes.')
            time.sleep(_PAUSE * failures)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _fetch_more(url: str, part: str, bar: tqdm) -> bool:
    """Appends the data of one connection to the file `part`; returns whether it is complete."""
    size, etag = _size(part), ''
    with contextlib.suppress(FileNotFoundError):
        with open(part + _ETAG_SUFFIX, encoding='ascii') as file:
            etag = file.read()
    headers = {'User-Agent': 'inception_slim'}
    # Without an ETag the partial file may be of another version.
    if size and etag:
        headers.update({'Range': f'bytes={size}-', 'If-Range': etag})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                          timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # The range is empty: the file is complete, or of another version.
        if (error.headers.get('Content-Range') or '').rpartition('/')[2] == str(size):
            return True
        _remove_part(part)
        return False
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionLostError(_connection_problem(error)) from None
    with response:
        if response.status != 206:
            size = 0
        length = response.headers.get('Content-Length') or ''
        total = size + int(length) if length.isdigit() else None
        bar.total, bar.n = total, size
        bar.refresh()
        etag = response.headers.get('ETag') or response.headers.get('Last-Modified') or ''
        with open(part, 'ab' if size else 'wb') as file:
            with open(part + _ETAG_SUFFIX, 'w', encoding='ascii', errors='ignore') as etag_file:
                etag_file.write('' if etag.startswith('W/') else etag)  # weak ones do not count
            for chunk in _chunks(response):
                file.write(chunk)
                size += len(chunk)
                bar.update(len(chunk))
                if max(size, total or 0) > _LARGEST:
                    raise CheckpointError(f'{url} is larger than any published checkpoint; give '
                                          'another site.')
    return total is None or size >= total


def _connection_problem(error: BaseException) -> str:
    reason = getattr(error, 'reason', None)
    return error_summary(reason) if isinstance(reason, BaseException) else error_summary(error)


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except http.client.IncompleteRead as error:
            chunk = error.partial
        except (OSError, http.client.HTTPException) as error:
            raise _ConnectionLostError(_connection_problem(error)) from None
        if not chunk:
            return
        yield chunk


def _unpack(archive: str, folder: str, url: str) -> None:
    """Unpacks the regular files of an archive by their base names, so that none is outside."""
    remaining = _LARGEST
    try:
        with tarfile.open(archive, 'r:gz', tarinfo=BoundedTarInfo) as tar:
            for member in tar:
                name = os.path.basename(member.name)
                remaining -= member.size
                if remaining < 0:
                    raise CheckpointError(f'{url} unpacks to more than any published checkpoint; '
                                          'give another site.')
                source = tar.extractfile(member) if member.isreg() else None
                if source is None or not name or name.startswith('.'):
                    continue
                with source, open(os.path.join(folder, name), 'wb') as file:
                    shutil.copyfileobj(source, file)
            # To the end, so that gzip checks its CRC.
            while remaining >= 0 and (rest := tar.fileobj.read(_CHUNK)):
                remaining -= len(rest)
    except (tarfile.TarError, EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckpointError(f'{url} is not an archive that can be unpacked ({error}); give '
                              'another site.') from None
