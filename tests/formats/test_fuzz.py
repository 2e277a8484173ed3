"""Mutated files of every format that is read: the right values, or one error of this package.

hypothesis prints the seed of a failure; `make test-slow` tries more of them, and more formats.
"""

import dataclasses
import io
import json
import os
import pickle
import random
import re
import shutil
import struct
import tarfile
import time
import warnings
import zipfile

import h5py
from helpers import GOLDEN, reset_peak_memory, resident_memory, some_slow
from hypothesis import HealthCheck, given, settings, strategies as st
from inception_slim import checkpoint, data
from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation import generative_metrics
from inception_slim.formats import safetensors_format, state_dicts, torch_format
from inception_slim.formats.registry import WRITABLE, ExportSettings
import numpy as np
import pytest

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
SLIM_V1 = os.path.join(GOLDEN, 'checkpoints', 'slim_v1', 'model.ckpt-157585')
IMAGES = os.path.join(GOLDEN, 'legacy_scripts', 'images')
DEADLINE = 10  # seconds
LARGEST = 2**30  # bytes of memory


def write_v2(path):
    for suffix in ('.index', '.data-00000-of-00001'):
        shutil.copy(SLIM_V2 + suffix, path.with_name(f'model.ckpt{suffix}'))


def write_archive(path):
    with tarfile.open(path, 'w:gz' if path.suffix == '.gz' else 'w') as archive:
        for suffix in ('.index', '.data-00000-of-00001'):
            archive.add(SLIM_V2 + suffix, f'model.ckpt{suffix}')


def exporter(name):
    """Writes a format as `export` does, without comparing predictions."""
    def write(path):
        settings = ExportSettings('float32', np.zeros((1, 299, 299, 3), np.float32))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            WRITABLE[name].write(*checkpoint.read(SLIM_V2), str(path), settings)
    return write


def torch_state():
    # Not by `export`: torchvision has the network in full width only.
    info, weights = checkpoint.read(SLIM_V2)
    return state_dicts.state_dict(
        dataclasses.replace(info, depth_multiplier=1.0, pooling='padded'), weights)


def write_legacy_torch(path):
    """The format from before PyTorch 1.6."""
    state = torch_state()
    parts = [pickle.dumps(value, 2) for value in (torch_format._LEGACY_MAGIC, 1001, {})]
    parts += [torch_format._pickle_state_dict(state),
              pickle.dumps([str(number) for number in range(len(state))], 2)]
    for value in state.values():
        parts += [struct.pack('<q', value.size), value.tobytes()]
    path.write_bytes(b''.join(parts))


def write_tfjs(path):
    """The weights and the configuration of a Keras file, some weights quantized."""
    exporter('keras')(path.with_name('model.h5'))
    entries, content = [], b''
    with h5py.File(path.with_name('model.h5')) as file:
        config = json.loads(file.attrs['model_config'])

        def add(name, dataset):
            nonlocal content
            if not isinstance(dataset, h5py.Dataset):
                return
            value = dataset[()]
            # Not all versions of Keras end names with ':0'.
            layer, parameter = name.split('/')[0], name.split('/')[-1].removesuffix(':0')
            entry = {'name': f'{layer}/{parameter}', 'shape': value.shape, 'dtype': 'float32'}
            if parameter == 'beta':
                entry['quantization'] = {'dtype': 'uint8', 'min': -1.0, 'scale': 1 / 128}
                value = np.round((value + 1) * 128).astype(np.uint8)
            entries.append(entry)
            content += value.tobytes()

        file['model_weights'].visititems(add)
    path.with_name('model.h5').unlink()
    path.with_name('weights.bin').write_bytes(content)
    path.write_text(json.dumps({'modelTopology': {'model_config': config}, 'weightsManifest': [
        {'paths': ['weights.bin'], 'weights': entries}]}))


def write_statistics(path):
    values = np.random.RandomState(0).rand(20, 8)
    np.savez(path, mu=values.mean(0), sigma=np.cov(values.T))


def write_labels(content):
    return lambda path: path.write_text(content)


def write_records(path):
    images = []
    for name in sorted(os.listdir(IMAGES))[:3]:
        with open(os.path.join(IMAGES, name), 'rb') as file:
            images.append((file.read(), 1))
    data.write_tfrecords(path.parent, 'few', 'train', images, ['a', 'b'])
    file, = path.parent.glob('*.tfrecord')
    file.rename(path)


def read_network(path):
    info = checkpoint.inspect(path)
    again, weights = checkpoint.read(path)
    assert (again.network, again.num_classes) == (info.network, info.num_classes)
    return weights


def read_statistics(path):
    return vars(generative_metrics.load_statistics(path))


def read_labels(path):
    return {'names': np.array([len(name) for name in data.read_labels(path)])}


def read_records(path):
    dataset = data.open_dataset(path)
    return {str(number): batch['image'] for number, batch in enumerate(data.as_numpy_batches(
        lambda: data.batches(dataset, 2, image_size=75, unreadable=[])))}


@dataclasses.dataclass
class Kind:
    """A format: the file that is mutated, how it is written and read.

    Attributes:
      mutated: the file that is mutated; what is written is its first folder, or it.
      write: writes it.
      read: reads what is at `opened`, and returns arrays by name.
      opened: what is opened, if it is not the mutated file.
      has_checksums: whether no change may stay unnoticed.
      member: the member of a zip that is mutated, in place of the zip itself.
    """

    mutated: str
    write: object
    read: object = read_network
    opened: str | None = None
    has_checksums: bool = False
    member: str | None = None


V2_DATA = 'model.ckpt.data-00000-of-00001'
KINDS = {
    'checkpoint index': Kind('model.ckpt.index', write_v2, opened='model.ckpt',
                             has_checksums=True),
    'checkpoint data': Kind(V2_DATA, write_v2, opened='model.ckpt', has_checksums=True),
    'V1 checkpoint': Kind('v1.ckpt', lambda path: shutil.copy(SLIM_V1, path), has_checksums=True),
    'torch': Kind('model.pth', lambda path: torch_format.save(path, torch_state())),
    'torch pickle': Kind('model.pth', lambda path: torch_format.save(path, torch_state()),
                         member='archive/data.pkl'),
    'legacy torch': Kind('model.pth', write_legacy_torch),
    'safetensors': Kind('model.safetensors', lambda path: safetensors_format.save(
        path, torch_state(), {})),
    'archive': Kind('model.tar', write_archive, has_checksums=True),
    'gzipped archive': Kind('model.tar.gz', write_archive, has_checksums=True),
    'statistics': Kind('model.npz', write_statistics, read_statistics),
    'labels': Kind('labels.txt', write_labels('0:daisy\n1:rose\n2:tulip\n'), read_labels),
    'label list': Kind('labels.json', write_labels('{"0": ["n00000001", "a"], "1": "b"}'),
                       read_labels),
    'label map': Kind('labels.txt', write_labels(
        "item { id: 1 name: 'a' }\nitem { id: 2 name: 'b' }\n"), read_labels),
    'frozen': Kind('model.pb', exporter('frozen')),
    # From here on left to the slow tests, because they take seconds to be written or read.
    'records': Kind('few_train_00000-of-00001.tfrecord', write_records, read_records, ''),
    'keras': Kind('model.h5', exporter('keras')),
    'keras weights': Kind('model.weights.h5', exporter('keras')),
    'keras zip': Kind('model.keras', exporter('keras')),
    'keras configuration': Kind('model.keras', exporter('keras'), member='config.json'),
    'onnx': Kind('model.onnx', exporter('onnx')),
    'saved-model': Kind('saved/saved_model.pb', exporter('saved-model'), opened='saved'),
    'saved-model index': Kind('saved/variables/variables.index', exporter('saved-model'),
                              opened='saved'),
    'tfjs': Kind('model.json', write_tfjs),
    'tfjs weights': Kind('weights.bin', lambda path: write_tfjs(path.with_name('model.json')),
                         opened='model.json'),
}
FAST = 14


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


def mutate_member(content, name, rng):
    """A copy of a zip with damage in one member, and right checksums."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, 'w') as target:
        for member in source.infolist():
            value = source.read(member)
            target.writestr(member.filename, mutate(value, rng) if member.filename == name
                            else value)
    return result.getvalue()


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    """A function that returns the folder of a file of a format, and its values."""
    results = {}

    def get(name):
        if name not in results:
            kind, folder = KINDS[name], tmp_path_factory.mktemp('fuzz')
            kind.write(folder / kind.mutated.split('/')[0])
            results[name] = folder, kind.read(_opened(folder, kind))
        return results[name]
    return get


def _opened(folder, kind):
    return folder / (kind.mutated if kind.opened is None else kind.opened)


def check(original, tmp_path, name, seed):
    """Reads a mutated file; returns whether it was refused."""
    kind, (folder, values), rng = KINDS[name], original(name), random.Random(seed)
    copy = tmp_path / 'copy'
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    content = (folder / kind.mutated).read_bytes()
    mutated = (mutate(content, rng) if kind.member is None
               else mutate_member(content, kind.member, rng))
    (copy / kind.mutated).write_bytes(mutated)
    measured = reset_peak_memory()
    before, start = resident_memory('VmRSS') if measured else 0, time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            results = kind.read(_opened(copy, kind))
    except InceptionSlimError as error:
        assert '\n' not in str(error) and len(str(error)) < 2000
        return True
    finally:
        assert time.monotonic() - start < DEADLINE
        assert not measured or resident_memory('VmHWM') - before < LARGEST
    assert all(np.isfinite(value).all() for value in results.values() if value is not None)
    if kind.has_checksums:
        assert set(results) == set(values)
        for tensor, value in values.items():
            np.testing.assert_array_equal(results[tensor], value, err_msg=tensor)
    return False


def fuzz(original, tmp_path, name, examples):
    refused = []

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def run(seed):
        refused.append(check(original, tmp_path, name, seed))

    run()
    print(f'{name}: {len(refused)} inputs, {sum(refused)} refused')
    assert any(refused)


@pytest.mark.parametrize('name', some_slow(KINDS, FAST))
def test_mutated_files(original, tmp_path, name):
    fuzz(original, tmp_path, name, 6 if name in list(KINDS)[:FAST] else 20)


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS)
def test_many_mutated_files(original, tmp_path, name):
    fuzz(original, tmp_path, name, 100)
