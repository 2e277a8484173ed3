"""Hostile, damaged and cut files: one sentence, in bounded time and memory; nothing runs or stays.

Each hostile file is real: the pickle would run its code, the zip and the archive unpack to more
than a machine has.
"""

from collections import OrderedDict
import gzip
import io
import json
import os
import pickle
import resource
import struct
import tarfile
import time
import tracemalloc
import zipfile

from golden import graph_of_2015
import h5py
from helpers import GOLDEN
import inception_slim  # noqa: F401  first, so that tf_slim can be imported
from inception_slim import checkpoint
from inception_slim.checkpoint import CheckpointError
from inception_slim.formats import safetensors_format, torch_format
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


def refused(path, says, folder=None):
    """One sentence, soon, and with little memory; nothing new beside it."""
    before = sorted(os.listdir(folder or os.path.dirname(path)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=says) as caught:
            checkpoint.read(path)
        _, traced = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert '\n' not in str(caught.value)
    assert time.process_time() - began < 30
    assert traced < 2**28
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2**19  # KiB
    assert sorted(os.listdir(folder or os.path.dirname(path))) == before
    return str(caught.value)


class Runs:
    """A pickle of one makes the file at `path` when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class TestPyTorch:

    def zipped(self, path, content, name='archive/data.pkl', **members):
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr(name, content)
            for member, value in members.items():
                archive.writestr(f'archive/{member}', value)

    def test_code_is_not_run(self, tmp_path):
        code = pickle.dumps({'weights': Runs(str(tmp_path / 'ran'))})
        self.zipped(tmp_path / 'new.pth', code)
        magic = pickle.dumps(torch_format._MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        (tmp_path / 'old.pth').write_bytes(magic + code)
        (tmp_path / 'plain.pt').write_bytes(code)
        for name in ('new.pth', 'old.pth', 'plain.pt'):
            refused(tmp_path / name, r'would call posix.mkdir when loaded, .*not done here')
        assert not (tmp_path / 'ran').exists()
        pickle.loads(code)  # it would have
        assert (tmp_path / 'ran').exists()

    @pytest.mark.parametrize('content', [
        b'cbuiltins\neval\n(S\'1\'\ntR.', b'cos\nsystem\n(S\'true\'\ntR.',
        b'ctorch._utils\n_rebuild_tensor_v2\n(tR.',  # without arguments
        b'ctorch\nFloatStorage\n(tR.', b'(lp0\ng0\n.', b'\x80\x02]q\x00.', b'.', b'',
        b'\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.',  # a frame of 2**63 bytes
        b'\x80\x02r\xff\xff\xff\xff.',  # the memo's entry 2**32
        b'\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.'])  # bytes, 2**63 of them
    def test_pickles_that_are_none_of_pytorch(self, tmp_path, content):
        self.zipped(tmp_path / 'model.pth', content)
        refused(tmp_path / 'model.pth', 'would call|is damaged|holds no state dict')

    def test_tensors_beyond_their_storage(self, tmp_path):
        state = OrderedDict({'Mixed_5b.branch1x1.conv.weight': np.zeros((4, 4), np.float32)})
        torch_format.save(tmp_path / 'good.pth', state)
        with zipfile.ZipFile(tmp_path / 'good.pth') as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        index = members['archive/data.pkl']
        for old, new in ((b'K\x04K\x04\x86', b'M\xff\xffM\xff\xff\x86'),
                         (b'K\x10tq', b'J\x00\x00\x00\x7ftq')):
            assert old in index
            with zipfile.ZipFile(tmp_path / 'bad.pth', 'w') as archive:
                for name, value in members.items():
                    archive.writestr(name, value.replace(old, new, 1))
            refused(tmp_path / 'bad.pth', 'is damaged|which no supported network has')

    def test_bomb(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as archive, \
                archive.open('archive/data.pkl', 'w') as member:
            for _ in range(70):
                member.write(b'0' * 2**20)
        refused(tmp_path / 'bomb.pth', 'TorchScript archive, or another program')


class TestSafetensors:

    @pytest.mark.parametrize('length', [0, 1, 2**31, 2**63, 2**64 - 1, 10**8 + 1])
    def test_header_of_any_size(self, tmp_path, length):
        (tmp_path / 'model.safetensors').write_bytes(struct.pack('<Q', length) + b'{}' * 99)
        refused(tmp_path / 'model.safetensors', 'its header would have')

    @pytest.mark.parametrize('header, says', [
        (b'[' * 100_000, 'is JSON, and this is none'), (b'[1]', 'names no tensors'),
        (b'{"a":1}', 'does not say where a is'),
        (b'{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,4]}}', 'does not say where a is'),
        (b'{"a":{"dtype":"F32","shape":[1e9],"data_offsets":[0,4]}}', 'does not say where a is'),
        (b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999]}}', 'would be bytes 0 to 999'),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[1000,1004]}}', 'cut short'),
        (b'{"a":{"dtype":"F32","shape":[99999,99999],"data_offsets":[0,8]}}', 'no supported network'),
        (b'{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}', 'not read here')])
    def test_headers(self, tmp_path, header, says):
        (tmp_path / 'model.safetensors').write_bytes(
            struct.pack('<Q', len(header)) + header + bytes(8))
        refused(tmp_path / 'model.safetensors', says)


class TestKeras:

    def test_links_to_elsewhere(self, tmp_path):
        with h5py.File(tmp_path / 'secret.h5', 'w') as file:
            file['conv2d/kernel:0'] = np.zeros(4, np.float32)
        for name, link in (('external', h5py.ExternalLink('secret.h5', '/conv2d')),
                           ('soft', h5py.SoftLink('/nowhere'))):
            with h5py.File(tmp_path / f'{name}.h5', 'w') as file:
                file['conv2d'] = link
            refused(tmp_path / f'{name}.h5', 'a link to elsewhere, conv2d, which is not followed')

    def test_numbers_in_other_files(self, tmp_path):
        (tmp_path / 'numbers').write_bytes(bytes(16))
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            file.create_group('conv2d').create_dataset(
                'kernel:0', (4,), np.float32, external=[(str(tmp_path / 'numbers'), 0, 16)])
        refused(tmp_path / 'model.h5', 'keeps the numbers of conv2d in other files')

    def test_numbers_without_end(self, tmp_path):
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            file.create_group('conv2d').create_dataset(
                'kernel:0', (2**20, 2**20), np.float32, chunks=(1, 2**10), compression='gzip')
        refused(tmp_path / 'model.h5', r'\[1048576, 1048576\], which no supported network has')

    def test_a_group_in_itself(self, tmp_path):
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            group = file.create_group('conv2d')
            group['again'] = group
        refused(tmp_path / 'model.h5', 'holds more than any network')

    def test_bomb(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'model.keras', 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('model.weights.h5', b'')
            with archive.open('config.json', 'w') as member:
                for _ in range(66):
                    member.write(b' ' * 2**20)
        refused(tmp_path / 'model.keras', 'unpacks to a configuration of more than 64 MiB')

    def test_configuration_that_would_run(self, tmp_path):
        """A Lambda layer holds code, which is never made: only names and numbers are read."""
        with zipfile.ZipFile(tmp_path / 'model.keras', 'w') as archive:
            archive.writestr('config.json', '{"config": {"layers": ' + '[' * 5000)
            archive.writestr('model.weights.h5', b'')
        refused(tmp_path / 'model.keras', 'is damaged')


class TestGraphs:

    def node(self, sizes, floats=(), dtype=tf.float32):
        definition = tf.GraphDef()
        node = definition.node.add(name='InceptionV3/Conv2d_1a_3x3/weights', op='Const')
        node.attr['dtype'].type = dtype.as_datatype_enum
        node.attr['value'].tensor.dtype = dtype.as_datatype_enum
        for size in sizes:
            node.attr['value'].tensor.tensor_shape.dim.add(size=size)
        node.attr['value'].tensor.float_val.extend(floats)
        return definition

    @pytest.mark.parametrize('sizes', [[2**29], [2**16, 2**16], [2**62, 4], [-1], [3, -2**60]])
    def test_a_constant_of_gigabytes(self, tmp_path, sizes):
        """One number and a shape are a few bytes, and would be all of the memory."""
        (tmp_path / 'graph.pb').write_bytes(self.node(sizes, [1.0]).SerializeToString())
        refused(tmp_path / 'graph.pb', 'which no supported network has')

    def test_a_file_of_gigabytes(self, tmp_path):
        with open(tmp_path / 'graph.pb', 'wb') as file:
            file.truncate(2**31 + 5)
        refused(tmp_path / 'graph.pb', r'has 2\.0 GiB, more than any network here needs')

    def test_onnx_with_its_weights_elsewhere(self, tmp_path):
        tensor = onnx.TensorProto(name='w', data_type=1, dims=[4], data_location=1)
        tensor.external_data.add(key='location', value='../../etc/passwd')
        model = onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(initializer=[tensor]))
        (tmp_path / 'model.onnx').write_bytes(model.SerializeToString())
        refused(tmp_path / 'model.onnx', 'keeps w in another file')


class TestTensorFlowJs:

    @pytest.mark.parametrize('name', ['../secret', '/etc/passwd', '..', 'a/b', ''])
    def test_weights_outside_of_its_folder(self, tmp_path, name):
        (tmp_path / 'model.json').write_text(json.dumps(
            {'modelTopology': {}, 'weightsManifest': [{'paths': [name], 'weights': []}]}))
        refused(tmp_path / 'model.json', 'outside of its folder')

    def test_deep_json(self, tmp_path):
        (tmp_path / 'model.json').write_text('{"a":' * 100_000)
        refused(tmp_path / 'model.json', 'no layers model of TensorFlow.js')


class TestArchives:

    def archive(self, path, name, kind=tarfile.REGTYPE, link='', content=b'x'):
        with tarfile.open(path, 'w:gz') as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))

    @pytest.mark.parametrize('name', ['../outside.ckpt', '/tmp/outside.ckpt', 'a/../../b.ckpt'])
    def test_names_that_lead_out(self, tmp_path, name):
        (tmp_path / 'in').mkdir()
        self.archive(tmp_path / 'in' / 'model.tar.gz', name)
        refused(tmp_path / 'in' / 'model.tar.gz', 'names a file outside of itself', tmp_path)
        assert not os.path.exists('/tmp/outside.ckpt')

    @pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_links_are_not_followed(self, tmp_path, kind):
        self.archive(tmp_path / 'model.tar.gz', 'model.ckpt', kind, '/etc/passwd')
        refused(tmp_path / 'model.tar.gz', 'holds 0 files of networks')

    def test_bomb(self, tmp_path):
        """Gzipped zeros: three gigabytes of a member that the reader need not even want."""
        member = tarfile.TarInfo('readme.txt')
        member.size = 3 * 2**30
        with gzip.open(tmp_path / 'model.tar.gz', 'wb', compresslevel=1) as file:
            file.write(member.tobuf())
            file.write(bytes(2**20))
        refused(tmp_path / 'model.tar.gz', 'unpacks to more than 2 GiB')

    def test_one_in_another(self, tmp_path):
        self.archive(tmp_path / 'inner.tar.gz', 'model.ckpt')
        self.archive(tmp_path / 'model.tar.gz', 'inner.pb',
                     content=(tmp_path / 'inner.tar.gz').read_bytes())
        text = refused(tmp_path / 'model.tar.gz', 'model.tar.gz')
        assert 'inception_slim.' not in text  # where it was unpacked is nobody's concern


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A small good file of each format."""
    folder = tmp_path_factory.mktemp('good')
    state = OrderedDict(
        (f'{module}.{name}', np.ones(shape, np.float32))
        for module in ('Mixed_5b.branch1x1', 'Conv2d_1a_3x3')
        for name, shape in (('conv.weight', (4, 3, 3, 3)), ('bn.weight', (4,))))
    torch_format.save(folder / 'model.pth', state)
    safetensors_format.save(folder / 'model.safetensors', state, {})
    (folder / 'model.pb').write_bytes(graph_of_2015.draw().SerializeToString())
    with h5py.File(folder / 'model.h5', 'w') as file:
        for number in range(94):
            for kind, shapes in (('conv2d', [(3, 3, 4, 4)]), ('batch_normalization', [(4,)] * 3)):
                group = file.create_group(f'layers/{kind}_{number}/vars')
                group.attrs['name'] = f'{kind}_{number}'
                for place, shape in enumerate(shapes):
                    group[str(place)] = np.ones(shape, np.float32)
    with zipfile.ZipFile(folder / 'model.keras', 'w') as archive:
        archive.write(folder / 'model.h5', 'model.weights.h5')
        archive.writestr('config.json', json.dumps({'config': {'layers': [
            {'class_name': 'Conv2D', 'name': f'conv2d_{number}', 'config': {}}
            for number in range(94)]}}))
    kernel = onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), 'kernel')
    node = onnx.helper.make_node('Conv', ['input', 'kernel'], ['output'],
                                 'InceptionV3/InceptionV3/Conv2d_1a_3x3/Conv2D')
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], 'network', [], [], [kernel])),
              folder / 'model.onnx')
    with tarfile.open(folder / 'model.tar.gz', 'w:gz') as archive:
        for suffix in ('.index', '.data-00000-of-00001'):
            archive.add(SLIM_V2 + suffix, 'model' + suffix)
    return folder


@pytest.mark.parametrize('name', ['model.pth', 'model.safetensors', 'model.pb', 'model.keras',
                                  'model.onnx', 'model.h5', 'model.tar.gz'])
def test_damaged_and_cut(good, tmp_path, name):
    """At any place: a sentence, or what still reads whole; never another error."""
    content = (good / name).read_bytes()
    chance = np.random.RandomState(0)
    path = tmp_path / name
    for number in range(24):
        changed = bytearray(content)
        place = chance.randint(len(content))
        if number % 2:
            del changed[place:]
        else:
            for _ in range(8):
                end = len(content) if number % 4 else min(600, len(content))
                changed[chance.randint(end)] = chance.randint(256)
        path.write_bytes(changed)
        try:
            checkpoint.read(path)
        except CheckpointError as error:
            assert '\n' not in str(error)
    assert os.listdir(tmp_path) == [name]
