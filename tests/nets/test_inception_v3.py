"""Inception V3 equals that of TensorFlow 1.15.5, and rejects bad arguments.

Expected values come from tests/golden, which TensorFlow 1.15.5 wrote, and from the paper.
"""

from collections import Counter
from contextlib import nullcontext
import os
import warnings

from golden.weights import images, patchwork
from helpers import (
    GOLDEN,
    NARROW,
    build,
    golden_arrays,
    golden_graphs,
    load_golden_weights,
    messages,
    quick_session,
    reference_variables,
    some_slow,
)
import inception_slim
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

GRAPHS = {
    'inference': {'is_training': False},
    'training': {},
    'small_images': {'inputs': (2, 150, 150, 3), 'is_training': False},
    'narrow': {'is_training': False, 'depth_multiplier': 0.5},
    'unsqueezed': {'is_training': False, 'num_classes': 5, 'spatial_squeeze': False},
}
BASE = ['Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'MaxPool_3a_3x3', 'Conv2d_3b_1x1',
        'Conv2d_4a_3x3', 'MaxPool_5a_3x3', 'Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_6a',
        'Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e', 'Mixed_7a', 'Mixed_7b', 'Mixed_7c']


@pytest.fixture(scope='module')
def golden():
    return golden_graphs('inception_v3')


@pytest.fixture(scope='module', params=some_slow(GRAPHS, 2))
def described(request, golden):
    """(the description of a graph of 1.15.5, our graph, our end points)."""
    with reference_variables(), tf.Graph().as_default() as graph:
        _, _, end_points = build(**GRAPHS[request.param])
    return golden[request.param], graph, end_points


def without_prefix(ops):
    return Counter((name.rsplit('/', 1)[-1], kind) for name, kind in ops)


class TestGraph:

    def test_variables_match(self, described):
        expected, graph, _ = described
        assert len(expected['variables']) == 388
        assert [[v.op.name, v.shape.as_list(), v.dtype.base_dtype.name]
                for v in graph.get_collection('variables')] == expected['variables']

    def test_collections_match(self, described):
        expected, graph, _ = described
        found = {key: [item.name for item in graph.get_collection(key)]
                 for key in {*graph.get_all_collection_keys(), *expected['collections']}}
        # Reading a collection creates an empty one.
        assert {key: names for key, names in found.items() if names} == {
            key: names for key, names in expected['collections'].items() if names}

    def test_end_points_match(self, described):
        expected, _, end_points = described
        found = [[name, tensor.name, tensor.shape.as_list()]
                 for name, tensor in end_points.items()]
        # Since TensorFlow 2.5 the last op of dropout is another one.
        assert found == [[name, tensor.replace('dropout/mul_1', 'dropout/SelectV2'), shape]
                         for name, tensor, shape in expected['end_points']]
        assert [name for name, _, _ in found][:18] == BASE

    def test_ops_match(self, described):
        expected, graph, _ = described
        was = {(name, kind) for name, kind in expected['ops'] if '/dropout/' not in name}
        now = {(op.name, op.type) for op in graph.get_operations() if '/dropout/' not in op.name}
        missing, extra = without_prefix(was - now), without_prefix(now - was)
        assert extra == {('truncated_normal', 'AddV2'): 98}
        assert missing.pop(('truncated_normal', 'Add')) == 98
        assert missing.pop(('dilation_rate', 'Const')) == 98
        # Two unused constants of batch norm; the inference graph has one of them under two names.
        assert set(missing) <= {(name, 'Const') for name in ('Const_1', 'Const_2', 'Const_3')}
        assert all('BatchNorm/Const' in name for name, kind in was - now
                   if kind == 'Const' and not name.endswith('dilation_rate'))

    def test_golden_graph_has_expected_size(self, golden):
        collections = golden['training']['collections']
        assert {key: len(found) for key, found in collections.items()} == {
            'variables': 388, 'trainable_variables': 196, 'model_variables': 388,
            'moving_vars': 192, 'update_ops': 192, 'regularization_losses': 98}
        assert len(golden['inference']['ops']) == 2976

    @pytest.mark.parametrize('described', ['inference'], indirect=True)
    def test_number_of_ops(self, described):
        graph = described[1]
        assert len(graph.get_operations()) == 2976 - 194
        assert graph.get_tensor_by_name('InceptionV3/Predictions/Reshape_1:0').shape == (2, 1000)


class TestOutputs:

    @pytest.mark.parametrize('described', ['inference'], indirect=True)
    def test_inference_matches(self, described):
        golden = golden_arrays('inception_v3')
        _, graph, end_points = described
        fetches = {'logits': 'Logits', 'aux_logits': 'AuxLogits', 'predictions': 'Predictions',
                   'pre_logits': 'PreLogits', 'mixed_5d': 'Mixed_5d'}
        with graph.as_default(), tf.Session() as session:
            load_golden_weights(session)
            found = session.run({key: end_points[name] for key, name in fetches.items()},
                                {'inputs:0': images(2)})
        found['mixed_5d'] = found['mixed_5d'].mean(axis=(1, 2))
        for key, value in golden.items():
            np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-4, err_msg=key)

    def test_training_matches(self, graph):
        golden = golden_arrays('inception_v3_training')
        inputs, logits, end_points = build((8, 150, 150, 3), dropout_keep_prob=1.0)
        labels = tf.one_hot([3, 14, 159, 265, 358, 592, 979, 999], 1000)
        tf.losses.softmax_cross_entropy(labels, logits, label_smoothing=0.1)
        tf.losses.softmax_cross_entropy(labels, end_points['AuxLogits'], weights=0.4,
                                        label_smoothing=0.1)
        total = tf.losses.get_total_loss()
        norms = [tf.norm(gradient) for gradient in tf.gradients(total, tf.trainable_variables())]
        with tf.Session() as session:
            load_golden_weights(session)
            found = session.run({
                'losses': tf.losses.get_losses(), 'total_loss': total, 'logits': logits,
                'regularization_loss': tf.losses.get_regularization_loss(),
                'gradient_norms': norms, 'updates': tf.get_collection(tf.GraphKeys.UPDATE_OPS)},
                {inputs: patchwork(8)})
            found['moving_averages'] = np.concatenate(
                session.run(tf.get_collection('moving_vars')))
        # Gradients through fifty ReLUs amplify rounding errors: those of 1.15.5 change by this much
        # when its images are multiplied by 1 + 2**-22.
        norms, nudged = golden.pop('gradient_norms'), golden.pop('gradient_norms_nudged')
        noise, error = abs(nudged / norms - 1), abs(found['gradient_norms'] / norms - 1)
        assert error.max() < 8 * noise.max() and np.median(error) < 16 * np.median(noise)
        np.testing.assert_allclose(found['logits'], golden.pop('logits'), atol=2e-3)
        for key, value in golden.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4, err_msg=key)

    @pytest.mark.slow
    def test_saver_and_slim_restore_checkpoints_of_1_15_5(self):
        golden = golden_arrays('checkpoints')
        with tf.Graph().as_default(), quick_session() as session:
            inputs, logits, _ = build(is_training=False, **NARROW)
            saver, initializer = tf.train.Saver(), tf.global_variables_initializer()
            for name in ('slim_v1', 'slim_v2'):
                path = os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
                for restore in (saver.restore, lambda session, path: slim.assign_from_checkpoint_fn(
                        path, slim.get_model_variables())(session)):
                    session.run(initializer)
                    restore(session, path)
                    np.testing.assert_allclose(session.run(logits, {inputs: images(2)}),
                                               golden[name], atol=1e-4, err_msg=f'{name} {restore}')


class TestArguments:

    @pytest.mark.slow
    def test_unknown_batch_size_and_is_training_tensor(self, graph):
        is_training = tf.placeholder(tf.bool, ())
        inputs, logits, _ = build((None, 299, 299, 3), is_training=is_training, **NARROW)
        assert logits.shape.as_list() == [None, 11]
        with quick_session() as session:
            load_golden_weights(session)
            image = images(3)
            evaluated = session.run(logits, {inputs: image, is_training: False})
            alone = session.run(logits, {inputs: image[:1], is_training: False})
            trained = session.run(logits, {inputs: image, is_training: True})
        np.testing.assert_allclose(evaluated[:1], alone, atol=1e-4)
        assert np.abs(evaluated - trained).max() > 1e-2

    @pytest.mark.slow
    def test_reference_and_resource_variables_agree(self, graph):
        assert tf.resource_variables_enabled()
        for kind, context in (('VarHandleOp', nullcontext), ('VariableV2', reference_variables)):
            with context(), tf.Graph().as_default(), quick_session() as session:
                inputs, logits, _ = build(is_training=False, **NARROW)
                assert {v.op.type for v in tf.global_variables()} == {kind}
                load_golden_weights(session)
                np.testing.assert_allclose(session.run(logits, {inputs: images(2)}),
                                           golden_arrays('checkpoints')['slim_v2'], atol=1e-4)

    @pytest.mark.parametrize('side', [
        107, *(pytest.param(side, marks=pytest.mark.slow) for side in (75, 150, 299, 330))])
    @pytest.mark.slow
    def test_other_image_sizes(self, graph, side):
        aux = side >= 107
        _, logits, end_points = build((1, side, side, 3), is_training=False,
                                      create_aux_logits=aux, **NARROW)
        assert logits.shape == (1, 11)
        assert ('AuxLogits' in end_points) == aux
        with quick_session() as session:
            session.run(tf.global_variables_initializer())
            assert session.run(logits, {'inputs:0': images(1, side)}).shape == (1, 11)

    @pytest.mark.parametrize('shape', [
        (None, None, None, 3), pytest.param((2, 400, 350, 3), marks=pytest.mark.slow)])
    def test_global_pool_takes_any_image_size(self, graph, shape):
        inputs, logits, end_points = build(shape, is_training=False, global_pool=True, **NARROW)
        assert end_points['global_pool'].shape[1:3] == (1, 1)
        with quick_session() as session:
            session.run(tf.global_variables_initializer())
            batch = np.zeros((2, 400, 350, 3), np.float32)
            main, aux = session.run([logits, end_points['AuxLogits']], {inputs: batch})
        assert main.shape == aux.shape == (2, 11)

    @pytest.mark.parametrize('num_classes', [0, pytest.param(None, marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_no_classes_gives_features(self, graph, num_classes):
        features, end_points = build(num_classes=num_classes, is_training=False)[1:]
        assert features.shape == (2, 1, 1, 2048)
        assert list(end_points) == BASE
        assert features.op.name == 'InceptionV3/Logits/AvgPool_1a_8x8/AvgPool'

    @pytest.mark.slow
    def test_reuse_shares_variables(self, graph):
        inputs, first, _ = build(is_training=False, **NARROW)
        _, second, _ = build(inputs, is_training=False, reuse=True, **NARROW)
        assert len(tf.global_variables()) == 388
        with quick_session() as session:
            load_golden_weights(session)
            one, other = session.run([first, second], {inputs: images(2)})
        np.testing.assert_array_equal(one, other)
        with pytest.raises(ValueError, match='already exists'):
            build(inputs, is_training=False, **NARROW)

    @pytest.mark.parametrize('final', [
        name if name in ('Conv2d_1a_3x3', 'MaxPool_5a_3x3', 'Mixed_5b') else
        pytest.param(name, marks=pytest.mark.slow) for name in BASE])
    def test_final_endpoint_is_last_layer(self, graph, final):
        with slim.arg_scope(inception_slim.inception_v3_arg_scope()):
            net, end_points = inception_slim.inception_v3_base(
                tf.zeros((1, 299, 299, 3)), final_endpoint=final, **{
                    key: NARROW[key] for key in ('depth_multiplier', 'min_depth')})
        assert list(end_points) == BASE[:BASE.index(final) + 1]
        assert net is end_points[final]

    def test_arg_scope_without_batch_norm(self, graph):
        with slim.arg_scope(inception_slim.inception_v3_arg_scope(
                use_batch_norm=False, activation_fn=tf.nn.elu)):
            inception_slim.inception_v3(tf.zeros((1, 299, 299, 3)), **NARROW)
        kinds = Counter(name.op.name.rsplit('/', 1)[-1] for name in tf.global_variables())
        assert kinds == {'weights': 98, 'biases': 98}
        assert {op.type for op in graph.get_operations()} >= {'Elu'}
        assert not [op for op in graph.get_operations() if op.type == 'Relu']

    def test_arg_scope_values(self, graph):
        scope = inception_slim.inception_v3_arg_scope(
            0.5, 0.25, 'averages', batch_norm_decay=0.9, batch_norm_epsilon=0.01,
            batch_norm_scale=True, batch_norm_updates_collections=None)
        with slim.arg_scope(scope):
            slim.conv2d(tf.zeros((1, 4, 4, 3)), 2, 1)
        assert [v.op.name for v in tf.get_collection('averages')] == [
            'Conv/BatchNorm/moving_mean', 'Conv/BatchNorm/moving_variance']
        assert 'Conv/BatchNorm/gamma' in {v.op.name for v in tf.trainable_variables()}
        assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        normalization = next(op for op in graph.get_operations() if 'FusedBatchNorm' in op.type)
        assert normalization.get_attr('epsilon') == pytest.approx(0.01)
        weights = tf.trainable_variables()[0]
        with quick_session() as session:
            weights.load(np.ones(weights.shape), session)
            assert session.run(tf.losses.get_regularization_loss()) == pytest.approx(0.5 * 6 / 2)

    @pytest.mark.slow
    def test_prints_and_warns_nothing(self, graph, caplog, capfd):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            build(**NARROW)
            slim.flatten(slim.fully_connected(tf.zeros((1, 2, 2, 3)), 4))
        assert messages(caught) == []
        assert caplog.text == '' and capfd.readouterr() == ('', '')

    def test_default_image_size(self):
        assert inception_slim.inception_v3.default_image_size == 299


class TestErrors:

    @pytest.mark.parametrize('shape, arguments, message', [
        ((299, 299, 3), {}, r'\[batch, height, width, channels\].*\(299, 299, 3\)'),
        ((2, 299, 299, None), {}, r'number of channels must be known'),
        ((2, 74, 299, 3), {'create_aux_logits': False}, r'74x299 .*smallest.* 75x75\.'),
        ((2, 106, 106, 3), {}, r'smallest.* 107x107 \(75x75 with create_aux_logits=False\)'),
        ((2, 331, 331, 3), {}, r'331x331 .*global_pool=True.* at most 330x330'),
        ((2, 299, 299, 3), {'depth_multiplier': 0}, r'greater than 0, but is 0'),
        ((2, 299, 299, 3), {'depth_multiplier': float('nan')}, r'greater than 0, but is nan'),
        ((2, 299, 299, 3), {'min_depth': 0}, r'at least 1, but is 0'),
        ((2, 299, 299, 3), {'num_classes': -1}, r'num_classes .* but is -1'),
        ((2, 299, 299, 3), {'dropout_keep_prob': 0.0}, r'\(0, 1\], but is 0\.0'),
        ((2, 299, 299, 3), {'dropout_keep_prob': 1.1}, r'\(0, 1\], but is 1\.1'),
    ])
    def test_rejects_bad_arguments(self, graph, shape, arguments, message):
        inputs = tf.placeholder(tf.float32, shape)
        before = len(graph.get_operations())
        with pytest.raises(ValueError, match=message):
            build(inputs, **arguments)
        assert len(graph.get_operations()) == before

    def test_rejects_integer_images(self, graph):
        with pytest.raises(ValueError, match='floating point.* uint8'):
            build(tf.placeholder(tf.uint8, (1, 299, 299, 3)))

    def test_rejects_unknown_rank(self, graph):
        with pytest.raises(ValueError, match='unknown'):
            build(tf.placeholder(tf.float32, None))

    def test_rejects_unknown_final_endpoint(self, graph):
        with pytest.raises(ValueError, match="'Mixed_8a'; use one of Conv2d_1a_3x3, .*Mixed_7c"):
            inception_slim.inception_v3_base(tf.zeros((1, 299, 299, 3)),
                                             final_endpoint='Mixed_8a')

    def test_base_rejects_small_images(self, graph):
        inception_slim.inception_v3_base(tf.zeros((1, 19, 19, 3)), final_endpoint='Conv2d_4a_3x3')
        with pytest.raises(ValueError, match='18x40 .* 19x19 for Conv2d_4a_3x3'):
            inception_slim.inception_v3_base(tf.zeros((1, 18, 40, 3)),
                                             final_endpoint='Conv2d_4a_3x3')

    def test_rejects_eager_execution(self):
        assert tf.executing_eagerly()
        for network in (inception_slim.inception_v3, inception_slim.inception_v3_base):
            with pytest.raises(RuntimeError, match=r'tf\.Graph\(\)\.as_default\(\)'):
                network(np.zeros((1, 299, 299, 3), np.float32))
