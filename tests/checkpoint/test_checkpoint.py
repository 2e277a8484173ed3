"""Golden checkpoints load; others fail with one message and change no variable.

The golden checkpoints and their logits were written by TensorFlow 1.15.5.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time

from golden.weights import images
from helpers import (
    GOLDEN,
    NARROW,
    build,
    golden_arrays,
    golden_graphs,
    quick_session,
    some_slow,
)
from hypothesis import given, settings, strategies as st
import inception_slim
from inception_slim import checkpoint
from inception_slim.checkpoint import CheckpointError, _convert
from inception_slim.checkpoint.options import INPUT_RANGES, PREWHITEN
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

STEPS = {'trained': 3}
PLAIN = ('slim_v1', 'slim_v2', 'outer_scope', 'renamed', 'trained', 'first_release')
FILES = (*PLAIN, 'gamma')



def path_of(name):
    return os.path.join(GOLDEN, 'checkpoints', name, f'model.ckpt-{STEPS.get(name, 157585)}')


def network(**arguments):
    """A graph and a session of a network: (session, inputs, end_points)."""
    arguments = {**NARROW, 'is_training': False, **arguments}
    with tf.Graph().as_default() as graph:
        inputs, _, end_points = build((None, 299, 299, 3), **arguments)
        graph.finalize()
        return quick_session(), inputs, end_points


@pytest.fixture(scope='module')
def narrow():
    return network()


@pytest.fixture(scope='module')
def with_gammas():
    return network(scale=True)


@pytest.fixture(scope='module')
def golden():
    return golden_arrays('checkpoints')


def values(session):
    return session.run(session.graph.get_collection(tf.GraphKeys.MODEL_VARIABLES))


def fill(session, value=0.25):
    """Sets all variables to one value, so that any assignment shows."""
    variables = session.graph.get_collection(tf.GraphKeys.MODEL_VARIABLES)
    session.run([each.initializer for each in variables], {
        each.initializer.inputs[1]: np.full(each.shape.as_list(), value, np.float32)
        for each in variables})


def refused(session, path, message, **arguments):
    """Asserts that `restore` fails with that message and changes no variable."""
    fill(session)
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.restore(session, path, **arguments)
    assert all((each == 0.25).all() for each in values(session))
    assert len(str(caught.value).splitlines()) <= 22
    return str(caught.value)


class TestRestore:

    @pytest.mark.parametrize('name', PLAIN)
    def test_golden(self, narrow, golden, name):
        session, inputs, end_points = narrow
        fill(session)
        restored = checkpoint.restore(session, path_of(name))
        assert len(restored.restored) == 388 and restored.excluded == []
        np.testing.assert_allclose(session.run(end_points['Logits'], {inputs: images(2)}),
                                   golden[name], atol=1e-4)

    def test_gammas(self, with_gammas, golden):
        session, inputs, end_points = with_gammas
        checkpoint.restore(session, path_of('gamma'))
        np.testing.assert_allclose(session.run(end_points['Logits'], {inputs: images(2)}),
                                   golden['gamma'], atol=1e-4)

    @pytest.mark.parametrize('name', ['trained', 'first_release'])
    def test_moving_averages(self, narrow, golden, name):
        session, inputs, end_points = narrow
        restored = checkpoint.restore(session, path_of(name), use_ema=True)
        logits, aux = session.run([end_points['Logits'], end_points['AuxLogits']],
                                  {inputs: images(2)})
        np.testing.assert_allclose(logits, golden[name + '_averaged'], atol=1e-4)
        if name == 'first_release':
            np.testing.assert_allclose(aux, golden['first_release_aux_averaged'], atol=1e-4)
        assert 'global_step' in restored.ignored
        assert not any(each.endswith('ExponentialMovingAverage') for each in restored.ignored)

    def test_exclude(self, narrow):
        session, _, _ = narrow
        fill(session)
        restored = checkpoint.restore(session, path_of('slim_v2'),
                                      exclude=['AuxLogits', 'InceptionV3/Logits'])
        kept = restored.excluded
        assert kept and all(re.match('InceptionV3/(Aux)?Logits/', each) for each in kept)
        assert len(kept) + len(restored.restored) == 388
        for variable, value in zip(session.graph.get_collection('model_variables'),
                                   values(session)):
            assert (value == 0.25).all() == (variable.op.name in kept), variable.op.name

    def test_rejects_unknown_exclude(self, narrow):
        refused(narrow[0], path_of('slim_v2'), "'Logit', but .* a similar scope is Logits",
                exclude=['Logit'])
        refused(narrow[0], path_of('slim_v2'), r"write exclude=\['Logits'\]", exclude='Logits')

    def test_part_of_the_network_under_another_scope(self):
        with tf.Graph().as_default(), tf.Session() as session:
            with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
                inception_slim.inception_v3_base(
                    tf.zeros((1, 299, 299, 3)), scope='body', final_endpoint='Mixed_5d',
                    depth_multiplier=0.05, min_depth=4)
            restored = checkpoint.restore(session, path_of('slim_v1'), scope='body')
            assert len(restored.restored) == len(tf.model_variables())
            reader = tf.train.load_checkpoint(path_of('slim_v1'))
            for variable, value in zip(tf.model_variables(), values(session)):
                np.testing.assert_array_equal(
                    value, reader.get_tensor('InceptionV3' + variable.op.name[4:]))
            with pytest.raises(CheckpointError, match="'InceptionV3', but under body; set scope="):
                checkpoint.restore(session, path_of('slim_v1'))


class TestPaths:

    @pytest.fixture
    def folder(self, tmp_path):
        for suffix in ('.index', '.data-00000-of-00001'):
            shutil.copy(path_of('slim_v2') + suffix, tmp_path)
        return tmp_path

    @pytest.mark.parametrize('given', [
        'model.ckpt-157585', 'model.ckpt-157585.index', 'model.ckpt-157585.meta',
        'model.ckpt-157585.data-00000-of-00001', ''])
    def test_v2(self, folder, given):
        (folder / 'model.ckpt-157585.meta').touch()
        assert checkpoint.inspect(folder / given).path == str(folder / 'model.ckpt-157585')

    def test_state_file_of_another_machine(self, folder):
        shutil.copy(path_of('slim_v1'), folder / 'model.ckpt-9')
        (folder / 'checkpoint').write_text(
            'model_checkpoint_path: "/home/someone/train/model.ckpt-9"\n'
            'all_model_checkpoint_paths: "/home/someone/train/model.ckpt-9"\n')
        info = checkpoint.inspect(folder)
        assert (info.path, info.format) == (str(folder / 'model.ckpt-9'), 'V1')
        (folder / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-10"\n')
        with pytest.raises(CheckpointError, match='names .*model.ckpt-10, which does not '
                                                  'exist; give one of: model.ckpt-157585'):
            checkpoint.inspect(folder)
        (folder / 'checkpoint').write_text('nonsense {')
        with pytest.raises(CheckpointError, match='checkpoint'):
            checkpoint.inspect(folder)

    def test_sharded(self, tmp_path, narrow, golden):
        session, inputs, end_points = narrow
        reader = tf.train.load_checkpoint(path_of('slim_v2'))
        kept = list(reader.get_variable_to_shape_map())
        written = [str(tmp_path / f'part{i}') for i in range(4)]
        for i, prefix in enumerate(written):
            tf.raw_ops.SaveV2(
                prefix=prefix, tensor_names=kept[i::4], shape_and_slices=[''] * len(kept[i::4]),
                tensors=[reader.get_tensor(name) for name in kept[i::4]])
        whole = str(tmp_path / 'whole')
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=written, destination_prefix=whole)
        checkpoint.restore(session, whole + '.data-00002-of-00004')
        np.testing.assert_allclose(session.run(end_points['Logits'], {inputs: images(2)}),
                                   golden['slim_v2'], atol=1e-4)
        os.remove(whole + '.data-00002-of-00004')
        refused(session, whole, r'whole\.data-00002-of-00004 is missing: 3 of 4 data files')

    def test_missing_files(self, folder):
        os.remove(folder / 'model.ckpt-157585.data-00000-of-00001')
        with pytest.raises(CheckpointError, match=r'data-00000-of-00001.* is missing'):
            checkpoint.inspect(folder / 'model.ckpt-157585')
        shutil.copy(path_of('slim_v2') + '.data-00000-of-00001', folder)
        os.remove(folder / 'model.ckpt-157585.index')
        with pytest.raises(CheckpointError, match=r'its index .*157585\.index is missing'):
            checkpoint.inspect(folder / 'model.ckpt-157585.data-00000-of-00001')

    def test_missing_checkpoint(self, folder):
        with pytest.raises(CheckpointError, match='similar names there: model.ckpt-157585'):
            checkpoint.inspect(folder / 'model.ckpt-157584')
        with pytest.raises(CheckpointError, match='the folder .*nowhere does not exist'):
            checkpoint.inspect(folder / 'nowhere' / 'model.ckpt')
        with pytest.raises(CheckpointError, match='is empty'):
            checkpoint.inspect('')
        (folder / 'none').mkdir()
        with pytest.raises(CheckpointError, match='holds no checkpoint'):
            checkpoint.inspect(folder / 'none')

    def test_paths_of_other_file_systems(self, folder):
        assert checkpoint.inspect(f'file://{folder}/model.ckpt-157585').num_classes == 11


class TestInspect:

    @pytest.mark.parametrize('name, expected', [
        ('slim_v1', {'format': 'V1'}),
        ('slim_v2', {}),
        ('gamma', {'has_gammas': True, 'parameters': 63966}),
        ('outer_scope', {'scope': 'tower_0/InceptionV3'}),
        ('renamed', {'scope': 'my_net'}),
        ('trained', {'has_moving_averages': True, 'optimizer': 'RMSProp', 'global_step': 3}),
        ('first_release', {'format': 'V1', 'naming': 'first release (March 2016)', 'scope': '',
                           'has_moving_averages': True}),
    ])
    def test_golden(self, name, expected):
        info = checkpoint.inspect(path_of(name))
        assert info == checkpoint.CheckpointInfo(**{
            'path': path_of(name), 'format': 'V2', 'naming': 'TF-Slim', 'network': 'inception_v3',
            'scope': 'InceptionV3', 'num_classes': 11, 'has_background_class': False,
            'global_step': 157585, 'has_moving_averages': False, 'has_gammas': False,
            'has_aux_logits': True, 'optimizer': None, 'parameters': 63069,
            'depth_multiplier': 0.05, 'min_depth': 4, 'image_size': 299, **expected})


class TestDiagnosis:

    @pytest.mark.slow
    def test_outside_the_arg_scope(self):
        with tf.Graph().as_default(), tf.Session() as session:
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), **NARROW)
            refused(session, path_of('slim_v2'), r'biases and .* batch norm \(in 96 layers\).*'
                                                 r'inception_v3_arg_scope\(\)')

    def test_gammas(self, narrow, with_gammas):
        refused(narrow[0], path_of('gamma'), r'batch_norm_scale=True')
        refused(with_gammas[0], path_of('slim_v1'), r'batch_norm_scale=False')

    @pytest.mark.slow
    def test_classes(self):
        session, _, _ = network(num_classes=7)
        refused(session, path_of('first_release'), r'has 11 classes and the graph has 7; .*'
                r"num_classes=11, or .* exclude=\['Logits', 'AuxLogits'\]")
        checkpoint.restore(session, path_of('first_release'), exclude=['Logits', 'AuxLogits'])

    @pytest.mark.slow
    def test_width(self):
        session, _, _ = network(depth_multiplier=0.1)
        refused(session, path_of('slim_v2'), r'another width .* about 0\.05 .* about 0\.1')

    @pytest.mark.slow
    def test_aux_head(self, narrow, tmp_path):
        session, _, _ = network(create_aux_logits=False)
        restored = checkpoint.restore(session, path_of('slim_v2'))
        assert any('AuxLogits' in each for each in restored.ignored)
        bare = str(tmp_path / 'bare')
        with session.graph.as_default() as graph:
            graph._unsafe_unfinalize()
            tf.train.Saver(tf.model_variables()).save(session, bare, write_meta_graph=False)
        assert not checkpoint.inspect(bare).has_aux_logits
        session = narrow[0]
        refused(session, bare, r"no auxiliary head .*create_aux_logits=False, .*\['AuxLogits'\]")
        assert len(checkpoint.restore(session, bare, exclude=['AuxLogits']).excluded) == 10

    def test_no_moving_averages(self, narrow):
        refused(narrow[0], path_of('slim_v2'), 'no moving averages', use_ema=True)

    def test_no_network_in_the_graph(self):
        with tf.Graph().as_default(), tf.Session() as session, pytest.raises(
                CheckpointError, match='build the network before'):
            checkpoint.restore(session, path_of('slim_v2'))

    def write(self, prefix, tensors):
        tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=list(tensors), shape_and_slices=[''] * len(tensors),
            tensors=list(tensors.values()))  # as Saver does, without the variables
        return str(prefix)

    def tensors(self, name='slim_v2'):
        reader = tf.train.load_checkpoint(path_of(name))
        return {each: reader.get_tensor(each) for each in reader.get_variable_to_shape_map()}

    @pytest.mark.parametrize('name, title', [
        ('resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/weights', 'ResNet'),
        ('vgg_16/conv1/conv1_1/weights', 'VGG'),
        ('MobilenetV1/Conv2d_0/weights', 'MobileNet'),
        ('some/dense/kernel', 'another network .* such as some/dense/kernel')])
    def test_another_network(self, narrow, tmp_path, name, title):
        refused(narrow[0], self.write(tmp_path / 'other', {name: np.zeros(3)}), title)

    def test_two_networks(self, narrow, tmp_path):
        one = self.tensors()
        two = {f'tower_1/{name}': value + 1 for name, value in one.items()}
        path = self.write(tmp_path / 'two', {**one, **two})
        refused(narrow[0], path, r"2 networks, under the scopes .*'InceptionV3'.*checkpoint_scope=")
        checkpoint.restore(narrow[0], path, checkpoint_scope='tower_1/InceptionV3')
        first = narrow[0].graph.get_collection('model_variables')[0]
        np.testing.assert_array_equal(narrow[0].run(first), one[first.op.name] + 1)

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity(self, narrow, tmp_path, bad):
        tensors = self.tensors()
        tensors['InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/weights'].flat[5] = bad
        refused(narrow[0], self.write(tmp_path / 'bad', tensors),
                r'NaN or infinite values in 1 tensors, such as InceptionV3/Mixed_7c/Branch_0')

    def test_large_finite_values(self, narrow, tmp_path):
        tensors = self.tensors()
        tensors['InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/weights'][:] = 3e38
        checkpoint.restore(narrow[0], self.write(tmp_path / 'large', tensors))

    def test_differences_are_grouped_by_layer(self, narrow, tmp_path):
        tensors = self.tensors()
        for parameter in ('weights', 'BatchNorm/beta', 'BatchNorm/moving_mean',
                          'BatchNorm/moving_variance'):
            layer = 'InceptionV3/Mixed_5c/Branch_1/Conv2d_0b_1x1/'
            tensors[layer.replace('0b', '0a') + parameter] = tensors.pop(layer + parameter)
        tensors['InceptionV3/Conv2d_3b_1x1/weights'] = np.zeros((3, 3, 4, 4), np.float32)
        text = refused(narrow[0], self.write(tmp_path / 'other', tensors), '4 variables are miss')
        assert ('  missing      Mixed_5c/Branch_1/Conv2d_0b_1x1: weights, BatchNorm/beta, '
                'BatchNorm/moving_mean, BatchNorm/moving_variance '
                '(the file has Mixed_5c/Branch_1/Conv2d_0a_1x1)') in text
        assert ('  wrong shape  Conv2d_3b_1x1/weights: [3, 3, 4, 4] in the file, [1, 1, 4, 4] in '
                'the graph') in text

    def test_long_lists_are_cut(self, narrow, tmp_path):
        tensors = {name: value for name, value in self.tensors().items()
                   if 'Branch_2' not in name and 'Branch_3' not in name}
        text = refused(narrow[0], self.write(tmp_path / 'part', tensors), 'does not fit the graph')
        assert re.search(r'  and \d+ more$', text)

    def test_wrong_dtype(self, narrow, tmp_path):
        tensors = self.tensors()
        tensors['InceptionV3/Conv2d_1a_3x3/BatchNorm/beta'] = np.zeros(4, np.float64)
        refused(narrow[0], self.write(tmp_path / 'wide', tensors), 'is float64, not float32')

    @pytest.mark.parametrize('name, content, message', [
        ('m.h5', b'\x89HDF\r\n\x1a\n' + b'\0' * 99, 'is damaged or cut short'),
        ('m.keras', b'PK\x03\x04' + b'\0' * 26 + b'metadata.json' + b'\0' * 99, 'is damaged'),
        ('m.pt', b'PK\x03\x04' + b'\0' * 26 + b'archive/data.pkl' + b'\0' * 99, 'is damaged'),
        ('m.pth', b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.' + b'\0' * 99,
         'not a PyTorch file'),
        ('m.pb', b'\n\x1f\n\x06inputs\x12\x0bPlaceholder', 'not a TensorFlow graph'),
        ('notes.txt', b'hello, this is no checkpoint at all', 'is not a TensorFlow checkpoint'),
        ('nothing', b'', 'is empty')])
    def test_other_kinds_of_files(self, narrow, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        refused(narrow[0], tmp_path / name, message)

    @pytest.mark.filterwarnings('ignore:__array__ impl:DeprecationWarning')  # Keras's own
    def test_real_files_of_other_kinds(self, narrow, tmp_path):
        import tensorflow as tf2
        model = tf2.keras.Sequential([tf2.keras.layers.Input((2,)), tf2.keras.layers.Dense(3)])
        model.save(tmp_path / 'model.keras')
        refused(narrow[0], tmp_path / 'model.keras', r'\.keras')
        model.save(tmp_path / 'model.h5')
        refused(narrow[0], tmp_path / 'model.h5', r'\.h5')
        model.export(str(tmp_path / 'saved'), verbose=False)
        refused(narrow[0], tmp_path / 'saved', 'is a SavedModel of another network')
        graph = narrow[0].graph.as_graph_def()
        (tmp_path / 'frozen').write_bytes(graph.SerializeToString())
        refused(narrow[0], tmp_path / 'frozen', 'is a frozen graph of another network')


class TestDamage:

    @pytest.mark.parametrize('name', some_slow(FILES, 1))
    def test_truncated_or_flipped(self, request, tmp_path, name):
        session = request.getfixturevalue('with_gammas' if name == 'gamma' else 'narrow')[0]
        checkpoint.restore(session, path_of(name))
        whole = values(session)
        folder = os.path.dirname(path_of(name))
        for file in os.listdir(folder):
            with open(os.path.join(folder, file), 'rb') as original:
                content = original.read()
            chance = random.Random(file + name)
            lengths = [0, 1, 8, 48, len(content) // 2, len(content) - 1] + [
                chance.randrange(len(content)) for _ in range(6)]
            places = [0, len(content) - 1, len(content) - 9] + [
                chance.randrange(len(content)) for _ in range(9)]
            damaged = [content[:length] for length in lengths] + [
                content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)])
                + content[place + 1:] for place in places]
            for each in damaged:
                shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
                (tmp_path / file).write_bytes(each)
                fill(session)
                try:
                    checkpoint.restore(session, tmp_path / os.path.basename(path_of(name)))
                except CheckpointError as error:
                    assert len(str(error).splitlines()) == 1
                    assert all((value == 0.25).all() for value in values(session))
                else:
                    for result, expected in zip(values(session), whole):
                        np.testing.assert_array_equal(result, expected)


class TestConvert:

    @pytest.mark.parametrize('name', some_slow(PLAIN, 2))
    @pytest.mark.parametrize('use_ema', [False, True])
    def test_golden(self, tmp_path, golden, narrow, name, use_ema):
        if use_ema and name not in ('trained', 'first_release'):
            with pytest.raises(CheckpointError, match='no moving averages'):
                checkpoint.convert(path_of(name), tmp_path / 'new', use_ema=True)
            assert os.listdir(tmp_path) == []
            return
        info = checkpoint.convert(path_of(name), tmp_path / 'new', use_ema=use_ema)
        assert sorted(os.listdir(tmp_path)) == ['new.data-00000-of-00001', 'new.index']
        assert (info.naming, info.scope, info.format) == ('TF-Slim', 'InceptionV3', 'V2')
        assert info.global_step == STEPS.get(name, 157585)
        assert not info.has_moving_averages and info.optimizer is None
        session, inputs, end_points = narrow
        # With TensorFlow's own Saver, which wants exactly the names and shapes of the graph.
        with session.graph.as_default() as graph:
            graph._unsafe_unfinalize()
            tf.train.Saver(tf.model_variables()).restore(session, str(tmp_path / 'new'))
        np.testing.assert_allclose(session.run(end_points['Logits'], {inputs: images(2)}),
                                   golden[name + ('_averaged' if use_ema else '')], atol=1e-4)

    def test_overwrite(self, tmp_path):
        new = tmp_path / 'new'
        checkpoint.convert(path_of('slim_v1'), new)
        before = {file: (tmp_path / file).read_bytes() for file in os.listdir(tmp_path)}
        with pytest.raises(CheckpointError, match='exists; give another name, or overwrite'):
            checkpoint.convert(path_of('renamed'), new)
        assert {file: (tmp_path / file).read_bytes() for file in os.listdir(tmp_path)} == before
        for source, parts in (('renamed', 2), ('slim_v1', 1)):
            checkpoint.convert(path_of(source), new, overwrite=True)
            assert len(os.listdir(tmp_path)) == parts + 1
            np.testing.assert_array_equal(
                tf.train.load_checkpoint(str(new)).get_tensor(
                    'InceptionV3/Conv2d_1a_3x3/weights'),
                tf.train.load_checkpoint(path_of(source)).get_tensor(
                    checkpoint.inspect(path_of(source)).scope + '/Conv2d_1a_3x3/weights'))

    def test_over_its_own_source(self, tmp_path):
        shutil.copy(path_of('first_release'), tmp_path / 'model')
        checkpoint.convert(tmp_path / 'model', tmp_path / 'model', overwrite=True)
        assert checkpoint.inspect(tmp_path / 'model').format == 'V2'
        assert not (tmp_path / 'model').exists()

    def test_rejects_bad_destinations(self, tmp_path):
        with pytest.raises(CheckpointError, match='no folder .*; make it first'):
            checkpoint.convert(path_of('slim_v1'), tmp_path / 'no' / 'new')
        with pytest.raises(CheckpointError, match='is a folder'):
            checkpoint.convert(path_of('slim_v1'), tmp_path)

    def test_rejects_incomplete_source(self, tmp_path):
        reader = tf.train.load_checkpoint(path_of('slim_v2'))
        tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        del tensors['InceptionV3/Mixed_6c/Branch_1/Conv2d_0b_1x7/BatchNorm/moving_variance']
        path = TestDiagnosis().write(tmp_path / 'part', tensors)
        with pytest.raises(CheckpointError, match='incomplete: the layer Mixed_6c/Branch_1'):
            checkpoint.convert(path, tmp_path / 'new')

    @pytest.mark.slow
    def test_killed_at_any_moment(self, tmp_path):
        code = textwrap.dedent('''
            import os, sys
            from inception_slim import checkpoint
            one, other, destination = sys.argv[1:]
            for _ in sys.stdin:  # a process for each line
                process = os.fork()
                while not process:
                    checkpoint.convert(one, destination, overwrite=True)
                    checkpoint.convert(other, destination, overwrite=True)
                print(process, flush=True)
                print(os.waitpid(process, 0)[1], flush=True)
            ''')
        names = ('slim_v1', 'renamed')
        expected = []
        for name in names:
            checkpoint.convert(path_of(name), tmp_path / name)
            reader = tf.train.load_checkpoint(str(tmp_path / name))
            expected.append({each: reader.get_tensor(each)
                             for each in reader.get_variable_to_shape_map()})
        checkpoint.convert(path_of('slim_v1'), tmp_path / 'new')
        chance = random.Random(1)
        parent = subprocess.Popen(
            [sys.executable, '-c', code, *map(path_of, names), str(tmp_path / 'new')],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(5):
            print(file=parent.stdin, flush=True)
            process = int(parent.stdout.readline())
            time.sleep(chance.uniform(0, 0.6))
            os.kill(process, signal.SIGKILL)
            assert int(parent.stdout.readline()) == signal.SIGKILL
            reader = tf.train.load_checkpoint(str(tmp_path / 'new'))
            result = {each: reader.get_tensor(each) for each in reader.get_variable_to_shape_map()}
            assert any(all(np.array_equal(result[each], known[each]) for each in known)
                       for known in expected)
        parent.communicate()


@pytest.fixture(scope='module')
def variables_of_1_15_5():
    return golden_graphs('inception_v3')['inference']['variables']


SCOPES = st.from_regex(r'[A-Za-z][A-Za-z0-9_]{0,8}(/[A-Za-z][A-Za-z0-9_]{0,8})?', fullmatch=True)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(scope=SCOPES, classes=st.integers(1, 1500), ema=st.booleans(), seed=st.integers(0, 99),
       multiplier=st.sampled_from([0.05, 0.1, 0.125, 0.25]))
@pytest.mark.slow
def test_save_inspect_convert_restore(variables_of_1_15_5, tmp_path_factory, scope, classes,
                                      multiplier, ema, seed):
    chance = np.random.RandomState(seed)
    folder = tmp_path_factory.mktemp('saved')
    suffix = checkpoint.MOVING_AVERAGE

    def shape_of(name, shape):
        if re.search(r'Conv2d_(1c|2b)_1x1/(weights|biases)$', name) and 'Logits' in name:
            return [*shape[:-1], classes]
        return [*shape[:-1], max(int(shape[-1] * multiplier), 16)]

    shapes = {name.removeprefix('InceptionV3/'): shape_of(name, shape)
              for name, shape, _ in variables_of_1_15_5}
    for shape in shapes.values():
        if len(shape) == 4:
            shape[:3] = 1, 1, 2
    weights = {name: chance.randn(*shape).astype('f') for name, shape in shapes.items()}
    weights = {name: np.abs(value) if name.endswith('variance') else value
               for name, value in weights.items()}
    written = {f'{scope}/{name}': value for name, value in weights.items()}
    if ema:
        written.update({f'{scope}/{name}{suffix}': value * 2 for name, value in weights.items()})
    _convert.write_checkpoint({**written, 'global_step': np.int64(seed)}, str(folder / 'old'), 1)

    info = checkpoint.inspect(folder / 'old')
    assert (info.scope, info.num_classes, info.global_step) == (scope, classes, seed)
    assert (info.has_moving_averages, info.depth_multiplier) == (ema, multiplier)
    checkpoint.convert(folder / 'old', folder / 'new', use_ema=ema)
    with tf.Graph().as_default(), quick_session() as session:
        for name, shape in shapes.items():
            slim.model_variable(f'InceptionV3/{name}', shape, initializer=tf.zeros_initializer())
        checkpoint.restore(session, folder / 'new')
        for name, value in zip(shapes, values(session)):
            np.testing.assert_array_equal(value, weights[name] * (2 if ema else 1))


def test_input_ranges_have_scalings():
    assert INPUT_RANGES == (*checkpoint.INPUT_SCALINGS, PREWHITEN)


@pytest.mark.parametrize('folder', ['[x]', 'a*b?', 'back\\slash', '[!x'])
@pytest.mark.parametrize('name', ['slim_v1', 'slim_v2'])
def test_paths_are_not_patterns(tmp_path, name, folder):
    shutil.copytree(os.path.join(GOLDEN, 'checkpoints', name), tmp_path / folder)
    prefix = tmp_path / folder / 'model.ckpt-157585'
    info, weights = checkpoint.read(prefix)
    assert info.path == str(prefix)
    expected = checkpoint.read(os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585'))[1]
    assert all(np.array_equal(weights[key], value) for key, value in expected.items())
