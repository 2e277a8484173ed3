"""Archives, `.tar.gz` and `.tar`, as TensorFlow's site published checkpoints: read in place.

What is in one is unpacked to a folder of its own, which goes away with its last reader; a name that
leads out of it ends the reading.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile

from inception_slim.checkpoint import ImportedWeights, WeightSource, open_weights
from inception_slim.checkpoint.weight_sources import LARGEST_NETWORK
from inception_slim.errors import CheckpointError

_MOST_MEMBERS = 10_000
_WANTED = re.compile(r'.*(\.ckpt(-\d+)?|\.index|\.data-\d{5}-of-\d{5}|\.pb|\.h5|\.keras|\.pth|\.pt|'
                     r'\.safetensors|\.onnx)')


def read_weights(path: str) -> WeightSource:
    scratch = tempfile.TemporaryDirectory(prefix='inception_slim.')
    try:
        files = _unpacked(path, scratch.name)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f'{path} is damaged or cut short ({str(error).rstrip(".")}); copy it '
                              'again from where it came.') from None
    found = _networks(files)
    if len(found) != 1:
        shown = ', '.join(found[:5]) or 'none'
        raise CheckpointError(f'{path} holds {len(found)} files of networks ({shown}), not one; '
                              'unpack it, and give the one.')
    try:
        opened = open_weights(os.path.join(scratch.name, *found[0].split('/')))
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(scratch.name, path)) from None
    opened.prefix = path
    opened.version += (
        f'{"" if isinstance(opened, ImportedWeights) else " checkpoint"} in an archive'
    )
    # It lives as long as what reads from it.
    opened.unpacked = scratch  # type: ignore[attr-defined]
    return opened


def _unpacked(path: str, folder: str) -> list[str]:
    """Unpacks the files that a network may be in; gives their names, with `/` between folders."""
    files, left = [], LARGEST_NETWORK
    with tarfile.open(path, 'r|*') as archive:
        for number, member in enumerate(archive):
            left -= member.size
            if number >= _MOST_MEMBERS or left < 0:
                raise CheckpointError(f'{path} unpacks to more than {LARGEST_NETWORK >> 30} GiB or '
                                      f'{_MOST_MEMBERS:,} files; it holds no network alone.')
            if not member.isreg() or not _WANTED.fullmatch(member.name):
                continue  # links and devices among them: nothing is read through them
            parts = [part for part in member.name.split('/') if part != '.']
            if member.name.startswith('/') or '..' in parts or not all(parts):
                raise CheckpointError(f'{path} names a file outside of itself, {member.name!r}; '
                                      'nothing of it was unpacked there.')
            target = os.path.join(folder, *parts)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            source = archive.extractfile(member)
            if source is None:
                continue
            with open(target, 'xb') as file:
                shutil.copyfileobj(source, file, 2**20)
            files.append('/'.join(parts))
    return files


def _networks(files: list[str]) -> list[str]:
    """What can be opened of the files: one for all parts of the same network."""
    models = {os.path.dirname(name) for name in files
              if os.path.basename(name) == 'saved_model.pb'}
    found = [each or '.' for each in sorted(models)]
    for name in files:
        inside = any(not model or name.startswith(model + '/') for model in models)
        if not inside and not re.search(r'\.data-\d{5}-of-\d{5}$', name):
            found.append(name.removesuffix('.index'))
    return found
