"""Mutated files of every format that is read: the right values, or one error of this package.

The seeds of a failure are printed by hypothesis; `make test-slow` tries more of them.
"""

import dataclasses
import os
import random
import re
import shutil
import time
import warnings

from helpers import GOLDEN
from hypothesis import HealthCheck, given, settings, strategies as st
from inception_slim import checkpoint, formats
from inception_slim.errors import InceptionSlimError
from inception_slim.formats import safetensors_format, state_dicts, torch_format
import numpy as np
import pytest

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
# The file that is mutated, and what is opened.
FILES = {
    'checkpoint index': ('v2/model.ckpt.index', 'v2/model.ckpt'),
    'checkpoint data': ('v2/model.ckpt.data-00000-of-00001', 'v2/model.ckpt'),
    'V1 checkpoint': ('v1.ckpt', 'v1.ckpt'),
    'keras': ('model.h5', 'model.h5'),
    'keras zip': ('model.keras', 'model.keras'),
    'torch': ('model.pth', 'model.pth'),
    'safetensors': ('model.safetensors', 'model.safetensors'),
    'frozen': ('model.pb', 'model.pb'),
    'onnx': ('model.onnx', 'model.onnx'),
    'saved-model': ('saved/saved_model.pb', 'saved'),
    'archive': ('model.tar.gz', 'model.tar.gz'),
}
DEADLINE = 10  # seconds


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with a file of each format, and one to write mutated copies to."""
    folder = tmp_path_factory.mktemp('fuzz')
    (folder / 'v2').mkdir()
    for suffix in ('.index', '.data-00000-of-00001'):
        shutil.copy(SLIM_V2 + suffix, folder / 'v2' / f'model.ckpt{suffix}')
    v1 = os.path.join(GOLDEN, 'checkpoints', 'slim_v1', 'model.ckpt-157585')
    shutil.copy(v1, folder / 'v1.ckpt')
    for name, path in (('keras', 'model.h5'), ('keras', 'model.keras'), ('frozen', 'model.pb'),
                       ('onnx', 'model.onnx'), ('saved-model', 'saved')):
        formats.export(SLIM_V2, folder / path, format=name)
    # Not by `export`: torchvision has the network in full width only.
    info, weights = checkpoint.read(SLIM_V2)
    state = state_dicts.state_dict(dataclasses.replace(
        info, depth_multiplier=1.0, pooling='padded'), weights)
    torch_format.save(folder / 'model.pth', state)
    safetensors_format.save(folder / 'model.safetensors', state, {})
    shutil.make_archive(str(folder / 'model'), 'gztar', folder / 'v2')
    return folder


def mutate(content, rng):
    """A copy of some bytes with one kind of damage."""
    content = bytearray(content)
    kind = rng.randrange(7)
    # Headers are at the beginning or at the end: half of the damage is there.
    size = len(content)
    place = rng.choice((rng.randrange(size), rng.randrange(min(size, 2000)),
                        size - 1 - rng.randrange(min(size, 2000))))
    length = rng.choice((1, 4, 8, 64, 1000))
    if kind == 0:
        for _ in range(rng.choice((1, 3, 20))):
            content[(place + rng.randrange(64)) % size] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        del content[place:place + length]
    elif kind == 3:
        content[place:place] = content[place:place + length]
    elif kind == 4:
        content[place:place + length] = rng.choice((b'\xff', b'\0', b'\x7f')) * length
    elif kind == 5:
        content[place:place] = rng.randbytes(length)
    else:  # another number in a text
        digits = [match.start() for match in re.finditer(rb'\d', content[:100_000])]
        if digits:
            content[rng.choice(digits)] = rng.choice(b'0123456789-')
    return bytes(content)


def check(files, tmp_path, name, seed):
    """Reads a mutated file; returns whether it was refused."""
    mutated, opened = FILES[name]
    top = mutated.split('/')[0]
    copy = tmp_path / 'copy'
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if (files / top).is_dir():
        shutil.copytree(files / top, copy / top)
    (copy / mutated).write_bytes(mutate((files / mutated).read_bytes(), random.Random(seed)))
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            _, weights = checkpoint.read(copy / opened)
    except InceptionSlimError as error:
        assert '\n' not in str(error) and len(str(error)) < 2000
        return True
    finally:
        assert time.monotonic() - start < DEADLINE
    assert all(np.isfinite(value).all() for value in weights.values())
    return False


def fuzz(files, tmp_path, name, examples):
    refused = []

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def run(seed):
        refused.append(check(files, tmp_path, name, seed))

    run()
    print(f'{name}: {len(refused)} inputs, {sum(refused)} refused')
    assert any(refused)


@pytest.mark.parametrize('name', FILES)
def test_mutated_files(files, tmp_path, name):
    fuzz(files, tmp_path, name, 6)


@pytest.mark.slow
@pytest.mark.parametrize('name', FILES)
def test_many_mutated_files(files, tmp_path, name):
    fuzz(files, tmp_path, name, 300)
