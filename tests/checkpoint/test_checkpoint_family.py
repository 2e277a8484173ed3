"""Checkpoints of V1, V2, V4 and Inception-ResNet V2: every kind of file, damage, diagnoses.

V1's and V2's tensors are those of TensorFlow 1.15.5's narrow checkpoints. V4's and
Inception-ResNet V2's have 1.15.5's names and ranks, and few channels: what a checkpoint holds is
told by its names, and a graph of the same variables takes them.
"""

import os
import random
import re
import shutil

from golden.weights import images, weights_for
from helpers import (
    GOLDEN,
    NARROW,
    golden_arrays,
    golden_shapes,
    some_slow,
    thin,
    write_golden_checkpoint,
)
from hypothesis import given, settings, strategies as st
from inception_slim import checkpoint, inference
from inception_slim.checkpoint import MOVING_AVERAGE, CheckpointError, _convert
from inception_slim.nets import registry
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

OF_1_15_5 = ('inception_v1', 'inception_v2')
WIDE = ('inception_v4', 'inception_resnet_v2')
CLASSES = 11


def golden_path(name):
    return os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')


def few_channels(name, shape, classes, network):
    layer = name.rpartition('/')[0]
    last = classes if layer in (network.classifier, network.aux_classifier) else (
        max(shape[-1] // 16, 4))
    return [1] * (len(shape) - 1) + [last]


def tensors_of(name, classes=CLASSES):
    """The variables of a network, by their names inside its scope."""
    network = registry.NETWORKS[name]
    if name in OF_1_15_5 and classes == CLASSES:
        reader = tf.train.load_checkpoint(golden_path(name))
        names = reader.get_variable_to_shape_map()
        return {each.removeprefix(network.scope + '/'): reader.get_tensor(each)
                for each in names if each != 'global_step'}
    shapes = {each.removeprefix(network.scope + '/'): shape
              for each, shape in golden_shapes(name).items()}
    return {each: weights_for(each, few_channels(each, shape, classes, network))
            for each, shape in shapes.items()}


def under(scope, tensors, suffix=''):
    return {f'{scope}/{name}{suffix}': value for name, value in tensors.items()}


def write(tensors, prefix, version='V2'):
    """A checkpoint of that version, as TensorFlow's own ops write it."""
    if version == 'V2':
        return _convert.write_checkpoint(tensors, str(prefix), 1)
    with tf.Graph().as_default(), tf.Session() as session:
        feeds = {tf.placeholder(np.asarray(value).dtype, np.shape(value)): value
                 for value in tensors.values()}
        session.run(tf.raw_ops.Save(filename=str(prefix), tensor_names=list(tensors),
                                    data=list(feeds)), feeds)
    return str(prefix)


def graph_of(name, tensors):
    """A session of a graph that has these variables, under the network's scope."""
    with tf.Graph().as_default():
        for each, value in tensors.items():
            slim.model_variable(f'{registry.NETWORKS[name].scope}/{each}', value.shape,
                                initializer=tf.zeros_initializer())
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        return session


def held(session, name):
    """What a session of `graph_of` holds, by the names inside the scope."""
    scope = registry.NETWORKS[name].scope + '/'
    with session.graph.as_default():
        return session.run({each.op.name.removeprefix(scope): each
                            for each in tf.model_variables()})


def assert_equal(result, expected):
    assert set(result) == set(expected)
    for each, value in expected.items():
        np.testing.assert_array_equal(result[each], value, err_msg=each)


@pytest.fixture(scope='module', params=some_slow([*OF_1_15_5, *WIDE], 1))
def case(request):
    """(name, tensors, a session of a graph with these variables)."""
    tensors = tensors_of(request.param)
    with graph_of(request.param, tensors) as session:
        yield request.param, tensors, session


def refused(session, name, path, message, **arguments):
    """Asserts that `restore` fails with that message and changes no variable."""
    before = held(session, name)
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.restore(session, path, **arguments)
    assert_equal(held(session, name), before)
    assert len(str(caught.value).splitlines()) <= 22
    return str(caught.value)


def with_gammas(tensors):
    """The same network with gammas: what they multiply by, the variances divide by."""
    new = dict(tensors)
    for name, value in tensors.items():
        if name.endswith('BatchNorm/moving_variance'):
            new[name] = 4 * (value + 0.001) - np.float32(0.001)
            new[name.replace('moving_variance', 'gamma')] = np.full_like(value, 2)
    return new


KINDS = {  # what a file holds of the tensors, and what is so said of it
    'V1': (lambda scope, tensors: under(scope, tensors), {'format': 'V1'}),
    'outer scope': (lambda scope, tensors: under(f'tower_0/{scope}', tensors),
                    {'scope': 'tower_0/{}'}),
    'renamed': (lambda scope, tensors: under('my_net', tensors), {'scope': 'my_net'}),
    'averages': (lambda scope, tensors: {
        **under(scope, {name: value + 1 for name, value in tensors.items()}),
        **under(scope, tensors, MOVING_AVERAGE)}, {'has_moving_averages': True}),
    'gammas': (lambda scope, tensors: under(scope, with_gammas(tensors)), {'has_gammas': True}),
    'slots': (lambda scope, tensors: {
        **under(scope, tensors), **under(scope, tensors, '/RMSProp'),
        **under(scope, tensors, '/RMSProp_1')}, {'optimizer': 'RMSProp'}),
}


def write_kind(kind, name, tensors, folder):
    make, told = KINDS[kind]
    scope = registry.NETWORKS[name].scope
    written = {**make(scope, tensors), 'global_step': np.int64(7)}
    path = write(written, folder / 'model.ckpt', 'V1' if kind == 'V1' else 'V2')
    return path, {key: value.format(scope) if key == 'scope' else value
                  for key, value in told.items()}


class TestKinds:

    @pytest.mark.parametrize('kind', KINDS)
    def test_inspect_restore_and_convert(self, case, tmp_path, kind):
        name, tensors, session = case
        network = registry.NETWORKS[name]
        path, told = write_kind(kind, name, tensors, tmp_path)
        info = checkpoint.inspect(path)
        expected = {
            'format': 'V2', 'naming': 'TF-Slim', 'network': name, 'scope': network.scope,
            'num_classes': CLASSES, 'has_moving_averages': False, 'has_gammas': False,
            'has_aux_logits': bool(network.aux_classifier), 'optimizer': None, 'global_step': 7,
            **told}
        assert {key: getattr(info, key) for key in expected} == expected

        use_ema = kind == 'averages'
        converted = checkpoint.convert(path, tmp_path / 'new', use_ema=use_ema)
        assert (converted.network, converted.scope, converted.format, converted.global_step) == (
            name, network.scope, 'V2', 7)
        assert not converted.has_moving_averages and converted.optimizer is None
        if kind == 'gammas':
            refused(session, name, path, rf'{name}_arg_scope\(batch_norm_scale=True\)')
            plain = write(under(network.scope, tensors), tmp_path / 'plain')
            tensors = with_gammas(tensors)
            session = graph_of(name, tensors)
            refused(session, name, plain, rf'{name}_arg_scope\(batch_norm_scale=False\)')
        for source in (path, converted.path):
            with session.graph.as_default():
                session.run([each.initializer for each in tf.model_variables()])
            restored = checkpoint.restore(session, source, use_ema=use_ema and source == path)
            assert len(restored.restored) == len(tensors) and restored.excluded == []
            assert_equal(held(session, name), tensors)

    @pytest.mark.slow
    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('name', OF_1_15_5)
    def test_answers(self, name, kind, tmp_path, monkeypatch):
        """Through each kind of file the network's logits are 1.15.5's."""
        if name == 'inception_v1':
            thin(monkeypatch)
        path, _ = write_kind(kind, name, tensors_of(name), tmp_path)
        use_ema = kind == 'averages'
        expected = golden_arrays('checkpoints_family')[name]
        network = registry.NETWORKS[name]
        arguments = NARROW if name == 'inception_v2' else {'num_classes': CLASSES}
        with tf.Graph().as_default(), tf.Session() as session:
            inputs = tf.placeholder(tf.float32, (None, 224, 224, 3))
            with slim.arg_scope(network.arg_scope(batch_norm_scale=kind == 'gammas')):
                logits, _ = network.function(inputs, is_training=False, **arguments)
            checkpoint.restore(session, path, use_ema=use_ema)
            np.testing.assert_allclose(session.run(logits, {inputs: images(2, 224)}), expected,
                                       atol=1e-4)
        with inference.load(path, use_ema=use_ema) as predictor:
            np.testing.assert_allclose(predictor.logits(images(2, 224)), expected, atol=1e-4)


def test_two_networks_in_a_file(tmp_path):
    both = {name: tensors_of(name) for name in OF_1_15_5}
    path = write({each: value for name, tensors in both.items() for each, value in under(
        registry.NETWORKS[name].scope, tensors).items()}, tmp_path / 'both')
    with pytest.raises(CheckpointError, match="2 networks, .*'InceptionV1', 'InceptionV2'; choose"):
        checkpoint.inspect(path)
    for name, tensors in both.items():
        info, result = checkpoint.read(path, checkpoint_scope=registry.NETWORKS[name].scope)
        assert info.network == name
        assert_equal(result, tensors)


class TestDiagnosis:

    def test_another_network(self, case, tmp_path):
        name, _, session = case
        for other in registry.NETWORKS.values():
            if other.name == name:
                continue
            layer = f'{other.scope}/{other.unique_layer}/weights'
            path = write({layer: np.zeros((1, 1, 1, 4), 'f')}, tmp_path / other.name)
            refused(session, name, path,
                    f'checkpoint of {other.title}, but the graph is of '
                    f'{registry.NETWORKS[name].title}; build {other.name}')

    def test_classes(self, case, tmp_path):
        name, tensors, session = case
        network = registry.NETWORKS[name]
        heads = [each for each in (network.classifier, network.aux_classifier) if each]
        other = {each: np.repeat(value, 2, axis=-1)
                 if each.rpartition('/')[0] in heads else value
                 for each, value in tensors.items()}
        path = write(under(network.scope, other), tmp_path / 'other')
        excluded = re.escape(', '.join(map(repr, network.heads)))
        refused(session, name, path, f'has 22 classes and the graph has 11; .*num_classes=22, or '
                                     rf'.* exclude=\[{excluded}\]')
        restored = checkpoint.restore(session, path, exclude=network.heads)
        assert all('Logits/' in each for each in restored.excluded)
        kept = {each.removeprefix(network.scope + '/') for each in restored.restored}
        assert kept == {each for each in tensors if not each.startswith(network.heads)}

    def test_biases_and_batch_norm(self, case, tmp_path):
        """A graph built outside the arg scope, and a file of such a graph."""
        name, tensors, session = case
        scope = registry.NETWORKS[name].scope
        biased = {each: value for each, value in tensors.items() if 'BatchNorm' not in each}
        for each, value in tensors.items():
            if each.endswith('BatchNorm/beta'):
                biased[each.replace('BatchNorm/beta', 'biases')] = value
        layers = sum(each.endswith('BatchNorm/beta') for each in tensors)
        refused(session, name, write(under(scope, biased), tmp_path / 'biased'),
                rf'batch norm and .* biases \(in {layers} .*{name}_arg_scope\(use_batch_norm=F')
        with graph_of(name, biased) as outside:
            refused(outside, name, write(under(scope, tensors), tmp_path / 'normalized'),
                    rf'biases and .* batch norm \(in {layers} .*slim.arg_scope\({name}_arg_sco')

    def test_aux_head(self, case, tmp_path):
        name, tensors, session = case
        network = registry.NETWORKS[name]
        bare = {each: value for each, value in tensors.items() if not each.startswith('AuxLogits')}
        path = write(under(network.scope, bare), tmp_path / 'bare')
        assert not checkpoint.inspect(path).has_aux_logits
        if network.aux_classifier:
            refused(session, name, path,
                    r"no auxiliary head .*create_aux_logits=False, .*\['AuxLogits'\]")
            restored = checkpoint.restore(session, path, exclude=['AuxLogits'])
            assert len(restored.excluded) == len(tensors) - len(bare) == 10
            whole = write(under(network.scope, tensors), tmp_path / 'whole')
            with graph_of(name, bare) as without:
                assert all('AuxLogits' in each
                           for each in checkpoint.restore(without, whole).ignored)
        else:
            assert len(bare) == len(tensors)

    def test_no_moving_averages(self, case, tmp_path):
        name, tensors, session = case
        path = write(under(registry.NETWORKS[name].scope, tensors), tmp_path / 'plain')
        refused(session, name, path, 'no moving averages; leave out use_ema', use_ema=True)

    @pytest.mark.parametrize('bad', [np.nan, np.inf])
    def test_nan_and_infinity(self, case, tmp_path, bad):
        name, tensors, session = case
        scope = registry.NETWORKS[name].scope
        each = next(each for each in reversed(tensors) if each.endswith('weights'))
        worse = {**tensors, each: tensors[each].copy()}
        worse[each].flat[-1] = bad
        path = write(under(scope, worse), tmp_path / 'bad')
        refused(session, name, path,
                f'NaN or infinite values in 1 tensors, such as {scope}/{each}')
        with pytest.raises(CheckpointError, match='NaN or infinite'):
            checkpoint.convert(path, tmp_path / 'new')
        assert not os.path.exists(tmp_path / 'new.index')

    def test_missing_variables_and_wrong_shapes(self, case, tmp_path):
        name, tensors, session = case
        scope = registry.NETWORKS[name].scope
        layers = [each.removesuffix('/BatchNorm/beta') for each in tensors
                  if each.endswith('/BatchNorm/beta')]
        lost, bent = sorted(layers)[1], sorted(layers)[-2]
        other = {each: value for each, value in tensors.items()
                 if each != f'{lost}/BatchNorm/moving_variance'}
        other[f'{bent}/weights'] = np.zeros((3, 3, 5, 5), 'f')
        path = write(under(scope, other), tmp_path / 'other')
        text = refused(session, name, path, '1 variables are missing in the file and 1 have')
        assert f'  missing      {lost}: BatchNorm/moving_variance' in text
        assert (f'  wrong shape  {bent}/weights: [3, 3, 5, 5] in the file, '
                f'{list(tensors[f"{bent}/weights"].shape)} in the graph') in text
        with pytest.raises(CheckpointError, match=f'incomplete: the layer {lost} has only'):
            checkpoint.convert(path, tmp_path / 'new')


def damaged(content, chance, count):
    """A file's content cut short, and with one bit flipped."""
    for length in [0, 8, len(content) // 2, len(content) - 1, *(
            chance.randrange(len(content)) for _ in range(count))]:
        yield content[:length]
    for place in [0, len(content) - 1, len(content) - 9, *(
            chance.randrange(len(content)) for _ in range(count))]:
        yield (content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)])
               + content[place + 1:])


def restored_or_refused(session, name, path, tensors):
    """All of it right, or one sentence and not a variable changed."""
    with session.graph.as_default():
        session.run([each.initializer for each in tf.model_variables()])
    try:
        checkpoint.restore(session, path)
    except CheckpointError as error:
        assert len(str(error).splitlines()) == 1
        assert all((value == 0).all() for value in held(session, name).values())
        return False
    assert_equal(held(session, name), tensors)
    return True


class TestDamage:

    @pytest.mark.parametrize('version', ['V1', 'V2'])
    def test_truncated_or_flipped(self, case, tmp_path, version):
        name, tensors, session = case
        whole = tmp_path / 'whole'
        whole.mkdir()
        write(under(registry.NETWORKS[name].scope, tensors), whole / 'model', version)
        assert restored_or_refused(session, name, whole / 'model', tensors)
        refusals = 0
        for file in os.listdir(whole):
            content = (whole / file).read_bytes()
            for each in damaged(content, random.Random(file + name), 2):
                shutil.copytree(whole, tmp_path / 'damaged', dirs_exist_ok=True)
                (tmp_path / 'damaged' / file).write_bytes(each)
                refusals += not restored_or_refused(
                    session, name, tmp_path / 'damaged' / 'model', tensors)
        assert refusals >= 6 * len(os.listdir(whole))  # of eleven; a flip may hit what none reads

    @pytest.mark.slow
    @pytest.mark.parametrize('name', WIDE)
    def test_at_full_width(self, name, tmp_path):
        path = write_golden_checkpoint(name, tmp_path / 'model')
        info, tensors = checkpoint.read(path)
        assert info.parameters == sum(value.size for value in tensors.values())
        with graph_of(name, tensors) as session:
            assert restored_or_refused(session, name, path, tensors)
            file = path + '.data-00000-of-00001'
            size = os.path.getsize(file)
            for place in (0, size // 3, size - 1):
                with open(file, 'r+b') as opened:
                    opened.seek(place)
                    byte = opened.read(1)
                    opened.seek(place)
                    opened.write(bytes([byte[0] ^ 16]))
                assert not restored_or_refused(session, name, path, tensors)
                with open(file, 'r+b') as opened:
                    opened.seek(place)
                    opened.write(byte)
            assert restored_or_refused(session, name, path, tensors)
            os.truncate(file, size - 1)
            assert not restored_or_refused(session, name, path, tensors)


SCOPES = st.from_regex(r'[A-Za-z][A-Za-z0-9_]{0,8}(/[A-Za-z][A-Za-z0-9_]{0,8})?', fullmatch=True)


def round_trip(name, scope, classes, ema, gammas, version, seed, folder):
    network = registry.NETWORKS[name]
    chance = np.random.RandomState(seed)
    tensors = {each: (np.abs if each.endswith('variance') else np.array)(
                   chance.randn(*value.shape).astype('f'))
               for each, value in tensors_of(name, classes).items()}
    if gammas:
        tensors.update({each.replace('beta', 'gamma'): value + 1
                        for each, value in tensors.items() if each.endswith('BatchNorm/beta')})
    written = {**under(scope, tensors), 'global_step': np.int64(seed)}
    if ema:
        written.update(under(scope, {each: 2 * value for each, value in tensors.items()},
                             MOVING_AVERAGE))
    path = write(written, folder / 'old', version)
    info = checkpoint.inspect(path)
    assert (info.network, info.scope, info.num_classes, info.global_step, info.format) == (
        name, scope, classes, seed, version)
    assert (info.has_moving_averages, info.has_gammas) == (ema, gammas)
    assert info.has_background_class == (classes == 1001)
    assert info.parameters == sum(value.size for value in tensors.values())
    checkpoint.convert(path, folder / 'new', use_ema=ema)
    with graph_of(name, tensors) as session:
        checkpoint.restore(session, folder / 'new')
        assert_equal(held(session, name),
                     {each: (1 + ema) * value for each, value in tensors.items()})
    assert checkpoint.inspect(folder / 'new').scope == network.scope


DRAWN = {'scope': SCOPES, 'classes': st.sampled_from([1, 2, 11, 1000, 1001, 1500]),
         'ema': st.booleans(), 'gammas': st.booleans(), 'version': st.sampled_from(['V1', 'V2']),
         'seed': st.integers(0, 99)}


@settings(max_examples=2, deadline=None, derandomize=True)
@given(name=st.sampled_from(OF_1_15_5), **DRAWN)
@pytest.mark.slow
def test_save_inspect_convert_restore(tmp_path_factory, **drawn):
    round_trip(folder=tmp_path_factory.mktemp('saved'), **drawn)


@pytest.mark.slow
@pytest.mark.parametrize('name', (*OF_1_15_5, *WIDE))
@settings(max_examples=6, deadline=None, derandomize=True)
@given(**DRAWN)
def test_save_inspect_convert_restore_of_each(tmp_path_factory, name, **drawn):
    round_trip(name=name, folder=tmp_path_factory.mktemp('saved'), **drawn)


@pytest.mark.parametrize('first, second', [
    ('FeatureExtractor', 'FeatureExtractor'),
    ('FirstStageFeatureExtractor', 'SecondStageFeatureExtractor')])
def test_detectors_are_read_as_their_backbone(first, second, tmp_path):
    """Checkpoints of SSD and of Faster R-CNN, which divides the network over two scopes."""
    _, weights = checkpoint.read(os.path.join(GOLDEN, 'checkpoints', 'inception_v2'))
    body = {name: value for name, value in weights.items() if not name.startswith('Logits/')}
    tensors = {f'{second if name.startswith("Mixed_5") else first}/InceptionV2/{name}': value
               for name, value in body.items()}
    extra = f'{second}/InceptionV2/Mixed_5c_1_Conv2d_2_1x1_256/'
    tensors |= {f'{extra}weights': np.ones((1, 1, 4, 4), np.float32),
                f'{extra}BatchNorm/beta': np.ones(4, np.float32),
                'SecondStageBoxPredictor/ClassPredictor/biases': np.ones(4, np.float32)}
    info, actual = checkpoint.read(write(tensors, tmp_path / 'model.ckpt'))
    assert (info.network, info.num_classes, info.scope) == (
        'inception_v2', None, f'{second}/InceptionV2')
    assert set(actual) == set(body)
    for name, value in body.items():
        np.testing.assert_array_equal(actual[name], value)
