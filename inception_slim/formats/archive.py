"""Archives, `.tar.gz` and `.tar`, such as those of TF-Slim's published checkpoints.

An archive is unpacked to a temporary folder, which is removed with the last reader of it. Names
that lead out of the folder are refused.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import weakref

from inception_slim._bounded_tar import BoundedTarInfo
from inception_slim.checkpoint import ImportedWeights, WeightSource, open_weights, wrap_read_errors
from inception_slim.checkpoint.weight_sources import LARGEST_NETWORK
from inception_slim.errors import CheckpointError, error_summary

_MAX_MEMBERS = 10_000
_NETWORK_FILES = re.compile(
    r'.*(\.ckpt(-\d+)?|\.index|\.data-\d{5}-of-\d{5}|\.pb|\.h5|\.keras|\.pth|\.pt|\.safetensors|'
    r'\.onnx)')


def read_weights(path: str) -> WeightSource:
    """Opens the one network in an archive."""
    scratch = tempfile.mkdtemp(prefix='inception_slim.')
    try:
        opened = _open_unpacked(path, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    weakref.finalize(opened, shutil.rmtree, scratch, ignore_errors=True)
    opened.unpacked = scratch
    return opened


def _open_unpacked(path: str, folder: str) -> WeightSource:
    """Unpacks an archive to a folder and opens its network."""
    try:
        files = _unpack(path, folder)
    except CheckpointError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f'{path} is damaged or truncated ({error_summary(error)}); copy it '
                              'again.') from None
    networks = _find_networks(files)
    if len(networks) != 1:
        names = ', '.join(networks[:5]) or 'none'
        raise CheckpointError(f'{path} contains {len(networks)} networks ({names}) instead of one; '
                              'unpack it and give one of them.')
    with wrap_read_errors(path, folder):
        opened = open_weights(os.path.join(folder, *networks[0].split('/')))
    opened.prefix = path
    opened.version += (
        f'{"" if isinstance(opened, ImportedWeights) else " checkpoint"} in an archive'
    )
    return opened


def _unpack(path: str, folder: str) -> list[str]:
    """Unpacks the files that may belong to a network; returns their names, separated by `/`."""
    files, left = [], LARGEST_NETWORK
    with tarfile.open(path, 'r|*', tarinfo=BoundedTarInfo) as archive:
        for number, member in enumerate(archive):
            left -= member.size
            if number >= _MAX_MEMBERS or left < 0:
                raise CheckpointError(f'{path} unpacks to more than {LARGEST_NETWORK >> 30} GiB or '
                                      f'{_MAX_MEMBERS:,} files, more than any supported network.')
            if not member.isreg() or not _NETWORK_FILES.fullmatch(member.name):
                continue  # also links and devices
            parts = [part for part in member.name.split('/') if part != '.']
            if member.name.startswith('/') or '..' in parts or not all(parts):
                raise CheckpointError(f'{path} contains a file with a path outside of the archive, '
                                      f'{member.name!r}; it was not unpacked.')
            target = os.path.join(folder, *parts)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            source = archive.extractfile(member)
            if source is None:
                continue
            with open(target, 'xb') as file:
                shutil.copyfileobj(source, file, 2**20)
            files.append('/'.join(parts))
    return files


def _find_networks(files: list[str]) -> list[str]:
    """The paths to open: one for all files of the same network."""
    models = {os.path.dirname(name) for name in files
              if os.path.basename(name) == 'saved_model.pb'}
    networks = [model or '.' for model in sorted(models)]
    for name in files:
        in_model = any(not model or name.startswith(model + '/') for model in models)
        if not in_model and not re.search(r'\.data-\d{5}-of-\d{5}$', name):
            networks.append(name.removesuffix('.index'))
    return networks
