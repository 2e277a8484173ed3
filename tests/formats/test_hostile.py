"""Malicious, damaged and truncated files: a one-line error in bounded time and memory.

Malicious files are real: the pickle would run its code, and the zip and the archive unpack to more
than a machine has. Nothing runs and nothing is left behind.
"""

from collections import OrderedDict
import dataclasses
import gzip
import io
import json
import mmap
import os
import pickle
import re
import shutil
import struct
import tarfile
import time
import tracemalloc
import zipfile

from golden import graph_of_2015
import h5py
from helpers import GOLDEN, reset_peak_memory, resident_memory
from inception_slim import checkpoint, formats
from inception_slim.checkpoint import CheckpointError
from inception_slim.errors import ExportError
from inception_slim.formats import hdf5, safetensors_format, state_dicts, torch_format
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


def assert_refused(path, message, folder=None):
    """The file is refused with a one-line message, quickly, with little memory; it leaves nothing.

    Args:
      path: the file.
      message: a regular expression for the error message.
      folder: the folder whose content must not change; that of the file by default.

    Returns:
      The error message.
    """
    before = sorted(os.listdir(folder or os.path.dirname(path)))
    import inception_slim.formats.registry  # noqa: F401  so that its memory is not counted
    measured = reset_peak_memory()
    resident = resident_memory('VmRSS') if measured else 0
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=message) as caught:
            checkpoint.read(path)
        _, traced = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert '\n' not in str(caught.value)
    assert time.process_time() - start < 30
    assert traced < 2**28
    if measured:
        assert resident_memory('VmHWM') - resident < 2**28
    assert sorted(os.listdir(folder or os.path.dirname(path))) == before
    return str(caught.value)


def test_memory_is_measured():
    """The bound of `assert_refused` notices 300 MiB outside of Python's allocator."""
    if not reset_peak_memory():
        pytest.skip('the system does not reset the peak')
    resident = resident_memory('VmRSS')
    with mmap.mmap(-1, 300 * 2**20) as memory:
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
    assert resident_memory('VmHWM') - resident > 2**28


class MakesFolder:
    """Its pickle makes the folder `path` when it is loaded."""

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

    def test_does_not_run_code(self, tmp_path):
        code = pickle.dumps({'weights': MakesFolder(str(tmp_path / 'ran'))})
        self.zipped(tmp_path / 'new.pth', code)
        header = b''.join(pickle.dumps(value, 2)
                          for value in (torch_format._LEGACY_MAGIC, 1001, {}))
        (tmp_path / 'old.pth').write_bytes(header + code)
        (tmp_path / 'plain.pt').write_bytes(code)
        for name in ('new.pth', 'old.pth', 'plain.pt'):
            assert_refused(tmp_path / name, r'calls posix.mkdir when it is loaded, .*is refused')
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
    def test_rejects_other_pickles(self, tmp_path, content):
        self.zipped(tmp_path / 'model.pth', content)
        assert_refused(tmp_path / 'model.pth', 'calls|is damaged|not a state dict')

    def test_rejects_tensors_beyond_their_storage(self, tmp_path):
        state = OrderedDict({'Mixed_5b.branch1x1.conv.weight': np.zeros((4, 4), np.float32)})
        torch_format.save(tmp_path / 'good.pth', state)
        with zipfile.ZipFile(tmp_path / 'good.pth') as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        index = members['archive/data.pkl']
        for old, new in ((b'K\x04K\x04t', b'M\xff\xffM\xff\xfft'),
                         (b'K\x10tQ', b'J\x00\x00\x00\x7ftQ')):
            assert old in index
            with zipfile.ZipFile(tmp_path / 'bad.pth', 'w') as archive:
                for name, value in members.items():
                    archive.writestr(name, value.replace(old, new, 1))
            assert_refused(tmp_path / 'bad.pth', 'is damaged|which no supported network has')

    def test_rejects_zip_bomb(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as archive, \
                archive.open('archive/data.pkl', 'w') as member:
            for _ in range(70):
                member.write(b'0' * 2**20)
        assert_refused(tmp_path / 'bomb.pth', 'TorchScript archive or another program')

    def test_rejects_many_objects(self, tmp_path):
        """Sixty million empty dicts, which a zip compresses to 58 KB."""
        with zipfile.ZipFile(tmp_path / 'many.pth', 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('archive/data.pkl', b'\x80\x02' + b'}' * 60_000_000)
        assert_refused(tmp_path / 'many.pth', 'TorchScript archive or another program')
        (tmp_path / 'many.pth').unlink()
        header = b''.join(pickle.dumps(value, 2)
                          for value in (torch_format._LEGACY_MAGIC, 1001, {}))
        for instruction in (b'X' + struct.pack('<I', 10_000_000), b'c'):  # a text, and a line
            (tmp_path / 'old.pth').write_bytes(header + instruction + b'a' * 10_000_000)
            assert_refused(tmp_path / 'old.pth', 'has a pickle of more than 2 MiB')


class PickleProgram:
    """A pickle that is written by instruction, as no pickler would write it."""

    def __init__(self):
        self.code = b'\x80\x02'

    def name(self, module, name):
        self.code += f'c{module}\n{name}\n'.encode()
        return self

    def push(self, *values):
        for value in values:
            self.code += pickle.dumps(value, 2)[2:-1]
        return self

    def op(self, *instructions):
        self.code += b''.join(instructions)
        return self

    def storage(self, count=16, key='0', kind='FloatStorage'):
        return self.op(pickle.MARK).push('storage').name('torch', kind).push(
            key, 'cpu', count).op(pickle.TUPLE, pickle.BINPERSID)

    def tensor(self, offset, shape, strides, *more, count=16):
        return self.name('torch._utils', '_rebuild_tensor_v2').op(pickle.MARK).storage(count).push(
            offset, shape, strides, False, None, *more).op(pickle.TUPLE, pickle.REDUCE)

    def build(self, state):
        """Sets the state of the object on top of the stack."""
        return self.push(state).op(pickle.BUILD)

    def state_dict(self, name='Mixed_5b.branch1x1.conv.weight'):
        """Puts the tensor that the program so far pushes into a dict, and ends."""
        self.code = self.code[:2] + b'}' + pickle.dumps(name, 2)[2:-1] + self.code[2:]
        return self.op(pickle.SETITEM, pickle.STOP).code


def write_pth(path, index, numbers=16):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', index)
        archive.writestr('archive/data/0', np.arange(numbers, dtype=np.float32).tobytes())


class TestPickledTensors:
    """A pickle cannot make the reader read outside of the data."""

    def load(self, path, *program):
        write_pth(path, PickleProgram().tensor(*program).state_dict())
        content = torch_format._read_zip_pth(str(path))
        state, _ = torch_format._find_state_dicts(str(path), content)
        return state['Mixed_5b.branch1x1.conv.weight'].load()

    def test_reads_what_is_valid(self, tmp_path):
        values = np.arange(16, dtype=np.float32)
        np.testing.assert_array_equal(self.load(tmp_path / 'a.pth', 0, (4, 4), (1, 4)),
                                      values.reshape(4, 4).T)
        np.testing.assert_array_equal(self.load(tmp_path / 'b.pth', 6, (2,), (9,)), [6, 15])
        np.testing.assert_array_equal(self.load(tmp_path / 'c.pth', 15, (), ()), 15)
        assert self.load(tmp_path / 'd.pth', 99, (0, 4), (4, 1)).shape == (0, 4)

    @pytest.mark.parametrize('offset, shape, strides', [
        (0, (4, 4), (-4, -1)), (15, (16,), (-1,)), (-1, (4,), (1,)), (0, (-4,), (1,)),
        (0, (4, 5), (4, 1)), (1, (4, 4), (4, 1)), (0, (2,), (16,)), (0, (2, 2), (2**62, 1)),
        (0, (17,), (0,)), (0, (4,), (1, 1)), (0, (4.0,), (1,)), (True, (4,), (1,)),
        ('0', (4,), (1,)), (0, (2**63,), (0,))])
    def test_rejects_invalid_views(self, tmp_path, offset, shape, strides):
        write_pth(tmp_path / 'model.pth',
                  PickleProgram().tensor(offset, shape, strides).state_dict())
        assert_refused(tmp_path / 'model.pth', 'is damaged or truncated')

    @pytest.mark.parametrize('metadata', [{'conj': True}, {'neg': True}, 'neg'])
    def test_rejects_conjugated_and_negated_tensors(self, tmp_path, metadata):
        write_pth(tmp_path / 'model.pth',
                  PickleProgram().tensor(0, (4,), (1,), metadata).state_dict())
        assert_refused(tmp_path / 'model.pth', 'stored conjugated or negated')

    @pytest.mark.parametrize('state', [
        {'shape': (2**20,), 'strides': (-1,)},  # into __dict__
        (None, {'shape': (2**20,), 'strides': (-2**20,), 'offset': -2**20}),  # by setattr
        [None, 0, (2**20,), (1,)],  # as a frozen dataclass with slots would take it
        {'storage': None}, (None, {'count': 2**40}), (None, {'read': 1, 'call': 1, 'code': 'f8'})])
    @pytest.mark.parametrize('target', ['tensor', 'storage', 'storage type', 'function', 'class',
                                        'ignored class'])
    def test_rejects_changes_of_state(self, tmp_path, state, target):
        """After a tensor is checked, BUILD cannot change the objects that describe it."""
        program = PickleProgram()
        if target == 'tensor':
            program.tensor(0, (4, 4), (4, 1)).build(state)
        else:
            {'storage': program.storage,
             'storage type': lambda: program.name('torch', 'FloatStorage'),
             'function': lambda: program.name('torch._utils', '_rebuild_tensor_v2'),
             'class': lambda: program.name('collections', 'OrderedDict'),
             'ignored class': lambda: program.name('argparse', 'Namespace')}[target]()
            program.build(state).op(pickle.POP).tensor(0, (4, 4), (4, 1))
        write_pth(tmp_path / 'model.pth', program.state_dict())
        assert_refused(tmp_path / 'model.pth', 'is damaged or truncated')

    def test_ignores_the_state_of_dicts(self, tmp_path):
        """PyTorch gives its OrderedDict attributes; a method must not be replaced by one."""
        program = PickleProgram().name('collections', 'OrderedDict').op(
            pickle.EMPTY_TUPLE, pickle.REDUCE).build((None, {'get': 1, 'items': 2}))
        write_pth(tmp_path / 'model.pth', program.op(pickle.STOP).code)
        content = torch_format._read_zip_pth(str(tmp_path / 'model.pth'))
        assert content == {} and callable(content.get) and list(content.items()) == []

    def test_checks_again_before_the_array_is_made(self, tmp_path):
        storage = torch_format._Storage(np.dtype('<f4'), 4, lambda first, size: bytes(size))
        view = torch_format._View(storage, 0, (4,), (-1,))
        with pytest.raises(pickle.UnpicklingError, match='invalid sizes or strides'):
            torch_format._lazy_tensor('model.pth', 'a', view).load()
        short = storage._replace(read=lambda first, size: bytes(size - 1))
        with pytest.raises(CheckpointError, match='a is incomplete'):
            torch_format._lazy_tensor('model.pth', 'a', view._replace(
                storage=short, strides=(1,))).load()

    @pytest.mark.parametrize('count', [-1, 15, 2**62, 16.0, True])
    def test_rejects_storages_of_other_sizes(self, tmp_path, count):
        write_pth(tmp_path / 'model.pth',
                  PickleProgram().tensor(0, (4,), (1,), count=count).state_dict())
        assert_refused(tmp_path / 'model.pth', 'is damaged or truncated')

    def test_rejects_views_of_legacy_storages(self, tmp_path):
        """Files from before PyTorch 1.6 can describe a storage as a part of another."""
        program = PickleProgram().name('torch._utils', '_rebuild_tensor_v2').op(
            pickle.MARK, pickle.MARK).push('storage').name('torch', 'FloatStorage').push(
            '0', 'cpu', 16, ('1', 8, 4)).op(pickle.TUPLE, pickle.BINPERSID).push(
            0, (4,), (1,), False, None).op(pickle.TUPLE, pickle.REDUCE)
        header = [pickle.dumps(value, 2) for value in (torch_format._LEGACY_MAGIC, 1001, {})]
        (tmp_path / 'model.pth').write_bytes(b''.join([*header, program.state_dict()]))
        assert_refused(tmp_path / 'model.pth', 'invalid description of a storage')


class TestSafetensors:

    @pytest.mark.parametrize('length', [0, 1, 2**31, 2**63, 2**64 - 1, 10**8 + 1, 2**24 + 1])
    def test_rejects_header_lengths(self, tmp_path, length):
        (tmp_path / 'model.safetensors').write_bytes(struct.pack('<Q', length) + b'{}' * 99)
        assert_refused(tmp_path / 'model.safetensors', 'its header would have')

    @pytest.mark.parametrize('header, message', [
        (b'[' * 100_000, 'must be JSON'), (b'[1]', 'is damaged'), (b'{"a":1}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,8]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[1e9],"data_offsets":[0,8]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[1000,1004]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[99999,99999],"data_offsets":[0,8]}}', 'is damaged'),
        (b'{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}', 'is damaged'),
        # The library knows F4 since 0.6.
        (b'{"a":{"dtype":"F4","shape":[16],"data_offsets":[0,8]}}',
         'unsupported dtype F4 in a|is damaged'),
        (b'{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}', 'unsupported dtype F8'),
        (b'{"a":{"dtype":"X","shape":[8],"data_offsets":[0,8]}}', 'is damaged'),
        # Overlapping tensors, a gap, and names that are used twice.
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         b'"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 'is damaged'),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "has 'a' twice"),
        (b'{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', 'twice')])
    def test_rejects_headers(self, tmp_path, header, message):
        (tmp_path / 'model.safetensors').write_bytes(
            struct.pack('<Q', len(header)) + header + bytes(8))
        assert_refused(tmp_path / 'model.safetensors', message)

    def test_rejects_large_tensors(self, tmp_path):
        size = 2**29 + 4
        header = json.dumps({'a': {'dtype': 'F32', 'shape': [size // 4],
                                   'data_offsets': [0, size]}}).encode()
        with open(tmp_path / 'model.safetensors', 'wb') as file:
            file.write(struct.pack('<Q', len(header)) + header)
            file.truncate(8 + len(header) + size)
        assert_refused(tmp_path / 'model.safetensors', 'which no supported network has')


class TestKeras:

    def test_rejects_links(self, tmp_path):
        with h5py.File(tmp_path / 'secret.h5', 'w') as file:
            file['conv2d/kernel:0'] = np.zeros(4, np.float32)
        for name, link in (('external', h5py.ExternalLink('secret.h5', '/conv2d')),
                           ('soft', h5py.SoftLink('/nowhere'))):
            with h5py.File(tmp_path / f'{name}.h5', 'w') as file:
                file['conv2d'] = link
            assert_refused(tmp_path / f'{name}.h5', 'contains a link, conv2d, which is not foll')

    def test_rejects_large_chunk(self, tmp_path):
        """A few bytes of a compressed chunk stand for gigabytes."""
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            group = file.create_group('model_weights/conv2d/conv2d')
            group.create_dataset('kernel:0', (4,), np.float32, chunks=(2**28,), maxshape=(None,),
                                 compression='gzip')
        assert_refused(tmp_path / 'model.h5', 'declares the shape .268435456. for its tensor')

    def test_rejects_external_data(self, tmp_path):
        (tmp_path / 'numbers').write_bytes(bytes(16))
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            file.create_group('conv2d').create_dataset(
                'kernel:0', (4,), np.float32, external=[(str(tmp_path / 'numbers'), 0, 16)])
        assert_refused(tmp_path / 'model.h5', 'stores the weights of conv2d in other files')

    def test_rejects_large_datasets(self, tmp_path):
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            file.create_group('conv2d').create_dataset(
                'kernel:0', (2**20, 2**20), np.float32, chunks=(1, 2**10), compression='gzip')
        assert_refused(tmp_path / 'model.h5',
                       r'\[1048576, 1048576\] .*, which no supported network has')

    def test_rejects_cyclic_groups(self, tmp_path):
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            group = file.create_group('conv2d')
            group['again'] = group
        assert_refused(tmp_path / 'model.h5', 'has more groups than any supported network')

    @pytest.mark.parametrize('in_zip', [False, True])
    @pytest.mark.slow
    def test_ends_reading_that_does_not_end(self, tmp_path, monkeypatch, in_zip):
        """In a heap of attributes, an empty space of 0 bytes, which the library skips for ever."""
        monkeypatch.setattr(hdf5, 'TIME_LIMIT', 1.0)
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            group = file.create_group('layers/conv2d/vars')
            group.attrs['name'] = 'conv2d'
            group['0'] = np.zeros(4, np.float32)
        content = bytearray((tmp_path / 'model.h5').read_bytes())
        first = content.index(b'GCOL') + 16  # number, references, size
        content[first:first + 16] = bytes(16)
        (tmp_path / 'model.h5').write_bytes(content)
        if in_zip:
            with zipfile.ZipFile(tmp_path / 'model.keras', 'w') as archive:
                archive.write(tmp_path / 'model.h5', 'model.weights.h5')
                archive.writestr('config.json', '{}')
        assert_refused(tmp_path / ('model.keras' if in_zip else 'model.h5'),
                       'crashes the HDF5 library or does not end')

    def test_names_a_process_that_does_not_start(self, tmp_path, monkeypatch):
        with h5py.File(tmp_path / 'model.h5', 'w') as file:
            file['conv2d/kernel:0'] = np.zeros(4, np.float32)
        monkeypatch.setattr(hdf5, '_CODE', 'import no_such_module')
        assert_refused(tmp_path / 'model.h5', "does not start .*No module named 'no_such_module'")
        monkeypatch.setattr(hdf5.sys, 'executable', '/no/such/python')
        assert_refused(tmp_path / 'model.h5', 'does not start .No such file')

    def test_rejects_zip_bomb(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'model.keras', 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('model.weights.h5', b'')
            with archive.open('config.json', 'w') as member:
                for _ in range(66):
                    member.write(b' ' * 2**20)
        assert_refused(tmp_path / 'model.keras', 'unpacks to a configuration of more than 64 MiB')

    def test_rejects_deep_configuration(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'model.keras', 'w') as archive:
            archive.writestr('config.json', '{"config": {"layers": ' + '[' * 5000)
            archive.writestr('model.weights.h5', b'')
        assert_refused(tmp_path / 'model.keras', 'is damaged')


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
    def test_rejects_large_constants(self, tmp_path, sizes):
        """One number and a shape, a few bytes, would fill the memory."""
        (tmp_path / 'graph.pb').write_bytes(self.node(sizes, [1.0]).SerializeToString())
        assert_refused(tmp_path / 'graph.pb', 'which no supported network has')

    def test_rejects_large_files(self, tmp_path):
        with open(tmp_path / 'graph.pb', 'wb') as file:
            file.truncate(2**31 + 5)
        assert_refused(tmp_path / 'graph.pb', r'has 2\.0 GiB, more than any supported network')

    def test_rejects_external_onnx_data(self, tmp_path):
        tensor = onnx.TensorProto(name='w', data_type=1, dims=[4], data_location=1)
        tensor.external_data.add(key='location', value='../../etc/passwd')
        model = onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(initializer=[tensor]))
        (tmp_path / 'model.onnx').write_bytes(model.SerializeToString())
        assert_refused(tmp_path / 'model.onnx', 'stores w in another file')


class TestTensorFlowJs:

    @pytest.mark.parametrize('name', ['../secret', '/etc/passwd', '..', 'a/b', ''])
    def test_rejects_weights_outside_of_folder(self, tmp_path, name):
        (tmp_path / 'model.json').write_text(json.dumps(
            {'modelTopology': {}, 'weightsManifest': [{'paths': [name], 'weights': []}]}))
        assert_refused(tmp_path / 'model.json', 'outside of its folder')

    def test_rejects_deep_json(self, tmp_path):
        (tmp_path / 'model.json').write_text('{"a":' * 100_000)
        assert_refused(tmp_path / 'model.json', 'not a TensorFlow.js layers model')


class TestArchives:

    def archive(self, path, name, kind=tarfile.REGTYPE, link='', content=b'x'):
        with tarfile.open(path, 'w:gz') as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))

    @pytest.mark.parametrize('kind', [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_rejects_a_large_header(self, tmp_path, kind):
        """Headers are read into memory; gzip makes little of 400 MiB of blanks."""
        member = tarfile.TarInfo('header')
        member.type, member.size = kind, 400 * 2**20
        with gzip.open(tmp_path / 'model.tar.gz', 'wb', compresslevel=1) as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            for _ in range(400):
                file.write(b' ' * 2**20)
        assert_refused(tmp_path / 'model.tar.gz', 'a header has 419,430,400 bytes')

    def test_names_the_archive_and_its_member(self, tmp_path):
        """Not the temporary folder; the checksum is only compared when a tensor is read."""
        with open(SLIM_V2 + '.data-00000-of-00001', 'rb') as file:
            content = bytearray(file.read())
        content[2000] ^= 1
        (tmp_path / 'data').write_bytes(content)
        path = tmp_path / 'model.tar.gz'
        with tarfile.open(path, 'w:gz') as archive:
            archive.add(SLIM_V2 + '.index', 'x/a.ckpt.index')
            archive.add(tmp_path / 'data', 'x/a.ckpt.data-00000-of-00001')
        message = assert_refused(path, re.escape(f'at {path}/x/a.ckpt shard 0'))
        with tarfile.open(path, 'w:gz') as archive:
            archive.add(SLIM_V2 + '.index', 'x/a.ckpt.index')
        message += assert_refused(path, re.escape(f'{path}/x/a.ckpt.data-00000-of-00001, which'))
        assert 'inception_slim.' not in message

    @pytest.mark.parametrize('name', ['../outside.ckpt', '/tmp/outside.ckpt', 'a/../../b.ckpt'])
    def test_rejects_paths_outside(self, tmp_path, name):
        (tmp_path / 'in').mkdir()
        self.archive(tmp_path / 'in' / 'model.tar.gz', name)
        assert_refused(tmp_path / 'in' / 'model.tar.gz', 'with a path outside of the',
                       tmp_path)
        assert not os.path.exists('/tmp/outside.ckpt')

    @pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_ignores_links(self, tmp_path, kind):
        self.archive(tmp_path / 'model.tar.gz', 'model.ckpt', kind, '/etc/passwd')
        assert_refused(tmp_path / 'model.tar.gz', 'contains 0 networks')

    def test_rejects_zip_bomb(self, tmp_path):
        """Three gigabytes of zeros in a member that the reader does not need."""
        member = tarfile.TarInfo('readme.txt')
        member.size = 3 * 2**30
        with gzip.open(tmp_path / 'model.tar.gz', 'wb', compresslevel=1) as file:
            file.write(member.tobuf())
            file.write(bytes(2**20))
        assert_refused(tmp_path / 'model.tar.gz', 'unpacks to more than 2 GiB')

    def test_nested_archive_error(self, tmp_path):
        self.archive(tmp_path / 'inner.tar.gz', 'model.ckpt')
        self.archive(tmp_path / 'model.tar.gz', 'inner.pb',
                     content=(tmp_path / 'inner.tar.gz').read_bytes())
        text = assert_refused(tmp_path / 'model.tar.gz', 'model.tar.gz')
        assert 'inception_slim.' not in text  # the temporary folder


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A small valid file of each format."""
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
                                  'model.onnx', 'model.tar.gz',
                                  pytest.param('model.h5', marks=pytest.mark.slow)])
def test_damaged_and_truncated(good, tmp_path, name):
    """Damage anywhere gives a one-line CheckpointError or goes unnoticed; no other error."""
    content = (good / name).read_bytes()
    rng = np.random.RandomState(0)
    path = tmp_path / name
    for number in range(24):
        changed = bytearray(content)
        place = rng.randint(len(content))
        if number % 2:
            del changed[place:]
        else:
            for _ in range(8):
                end = len(content) if number % 4 else min(600, len(content))
                changed[rng.randint(end)] = rng.randint(256)
        path.write_bytes(changed)
        try:
            checkpoint.read(path)
        except CheckpointError as error:
            assert '\n' not in str(error)
    assert os.listdir(tmp_path) == [name]


def test_rejects_transposed_kernel(tmp_path):
    """PyTorch has `[out, in, height, width]`."""
    info, weights = checkpoint.read(SLIM_V2)
    state = state_dicts.state_dict(dataclasses.replace(
        info, depth_multiplier=1.0, pooling='padded'), weights)
    name = 'Mixed_5b.branch5x5_2.conv.weight'
    state[name] = np.ascontiguousarray(state[name].transpose(2, 3, 1, 0))
    safetensors_format.save(tmp_path / 'model.safetensors', state, {})
    assert_refused(tmp_path / 'model.safetensors', 'last dimension should be 4, .* transposed')


def test_names_that_tensorflow_cannot_open(tmp_path):
    """File names are bytes; those of a checkpoint have to be UTF-8."""
    folder = tmp_path / 'caf\udce9'
    folder.mkdir()
    for suffix in ('.index', '.data-00000-of-00001'):
        shutil.copy(SLIM_V2 + suffix, folder / f'model.ckpt{suffix}')
    for path in (folder, folder / 'model.ckpt'):
        assert_refused(path, 'is not UTF-8, so TensorFlow cannot open it; rename', tmp_path)
    with pytest.raises(CheckpointError, match='is not UTF-8'):
        checkpoint.convert(SLIM_V2, folder / 'other.ckpt')
    assert len(os.listdir(folder)) == 2
    # Python opens files of other formats.
    torch_format.save(folder / 'model.pth', {'a': np.zeros(3, np.float32)})
    assert_refused(folder / 'model.pth', 'it has 1 tensors, such as a')


@pytest.mark.slow
def test_exports_that_tensorflow_cannot_write(tmp_path):
    folder = tmp_path / 'caf\udce9'
    folder.mkdir()
    with pytest.raises(ExportError, match='saved is not UTF-8'):
        formats.export(SLIM_V2, folder / 'saved', format='saved-model')
    assert not os.listdir(folder)
