"""V1, V2, V4 and Inception-ResNet V2 equal those of TensorFlow 1.15.5 and research/slim.

Expected values come from tests/golden, which TensorFlow 1.15.5 wrote. A graph takes seconds to
build, so several tests share one.
"""

from collections import Counter
import functools
import importlib
import inspect
import os
import subprocess
import sys
import warnings

from golden.weights import images, weights_for
from helpers import (
    GOLDEN,
    NARROW,
    check_graph,
    describe,
    golden_arrays,
    golden_graphs,
    load_golden_weights,
    messages,
    quick_session,
    reference_variables,
    some_slow,
    thin,
)
import inception_slim
from inception_slim import checkpoint, inference
from inception_slim.checkpoint import CheckpointError, _convert
from inception_slim.nets import registry
from inception_slim.nets.mixed import pooled_conv
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

FAMILY = ('inception_v1', 'inception_v2', 'inception_v4', 'inception_resnet_v2')
OF_CONTRIB = FAMILY[:2]
COUNTS = {  # variables, trainable ones, regularization losses
    'inception_v1': (230, 116, 58), 'inception_v2': (277, 141, 69),
    'inception_v4': (608, 306, 153), 'inception_resnet_v2': (908, 496, 290)}
MORE_GRAPHS = [
    ('inception_v1', 'unsqueezed'), ('inception_v2', 'unsqueezed'),
    ('inception_v2', 'narrow'), ('inception_v2', 'small_images')]
MORE_ARGUMENTS = {
    'unsqueezed': {'num_classes': 5, 'spatial_squeeze': False},
    'narrow': {'depth_multiplier': 0.5}, 'small_images': {'side': 112}}
ENDS = {'logits': 'Logits', 'aux_logits': 'AuxLogits', 'predictions': 'Predictions',
        'block': 'Mixed_4b'}


def build(name, inputs=None, side=None, arg_scope=None, **arguments):
    """`(inputs, logits, end_points)` of a network, by default on its golden graph's placeholder."""
    network = registry.NETWORKS[name]
    if inputs is None:
        side = side or network.image_size
        inputs = tf.placeholder(tf.float32, (2, side, side, 3),
                                name='inputs' if name in OF_CONTRIB else 'input')
    elif isinstance(inputs, tuple):
        inputs = tf.placeholder(tf.float32, inputs)
    with slim.arg_scope(network.arg_scope(**(arg_scope or {}))):
        logits, end_points = network.function(inputs, **arguments)
    return inputs, logits, end_points


def build_described(name, **arguments):
    with reference_variables(), tf.Graph().as_default() as graph:
        inputs, logits, end_points = build(name, **arguments)
    return graph, inputs, logits, end_points, describe(graph, end_points)


@pytest.fixture(scope='module')
def golden():
    return functools.cache(golden_graphs)


@pytest.fixture(scope='module', params=some_slow(FAMILY, 1))
def inference_graph(request):
    """(name, session with the golden weights, inputs, end points, description)."""
    graph, inputs, _, end_points, described = build_described(request.param, is_training=False)
    with graph.as_default():
        session = quick_session()
        load_golden_weights(session)
    yield request.param, session, inputs, end_points, described
    session.close()


class TestGraph:

    def test_inference_graph_matches(self, golden, inference_graph):
        name, _, _, _, described = inference_graph
        check_graph(golden(name)['inference'], described)

    @pytest.mark.parametrize('name', some_slow(FAMILY, 1))
    def test_training_graph_matches(self, golden, name):
        # The golden training graphs of V4 and Inception-ResNet V2 are without dropout.
        arguments = {} if name in OF_CONTRIB else {'dropout_keep_prob': 1.0}
        described = build_described(name, **arguments)[-1]
        check_graph(golden(name)['training'], described)
        counts = [len(described['collections'][key]) for key in (
            'variables', 'trainable_variables', 'regularization_losses')]
        assert tuple(counts) == COUNTS[name]

    @pytest.mark.parametrize('name, kind', MORE_GRAPHS)
    @pytest.mark.slow
    def test_more_graphs_match(self, golden, name, kind):
        described = build_described(name, is_training=False, **MORE_ARGUMENTS[kind])[-1]
        check_graph(golden(name)[kind], described)


class TestOutputs:

    def test_outputs_match_at_full_width(self, inference_graph):
        name, session, inputs, end_points, _ = inference_graph
        expected = golden_arrays(name)
        found = session.run({key: end_points[ENDS[key]] for key in expected},
                            {inputs: images(2, registry.NETWORKS[name].image_size)})
        assert {'logits', 'predictions'} <= set(expected)
        for key, value in expected.items():
            output = found[key].mean(axis=(1, 2)) if key == 'block' else found[key]
            np.testing.assert_allclose(output, value, rtol=0, atol=1e-4 * np.abs(value).max(),
                                       err_msg=key)

    @pytest.mark.slow
    def test_reuse_with_unknown_batch_and_size(self, inference_graph):
        name, session, inputs, end_points, _ = inference_graph
        side = registry.NETWORKS[name].image_size
        aux = {} if name in OF_CONTRIB else {'create_aux_logits': False}
        with session.graph.as_default(), reference_variables():
            before = len(tf.global_variables())
            others, logits, _ = build(name, (None, None, None, 3), is_training=False, reuse=True,
                                      **aux)
            assert len(tf.global_variables()) == before
            with pytest.raises(ValueError, match='already exists'):
                build(name, (1, side, side, 3), is_training=False)
        assert logits.shape[0] is None
        batch = images(2, side)
        one, other = session.run([end_points['Logits'], logits], {inputs: batch, others: batch})
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(one).max())
        alone = session.run(logits, {others: batch[:1]})
        np.testing.assert_allclose(alone, one[:1], atol=1e-4 * np.abs(one).max())
        if name not in OF_CONTRIB:
            assert np.isfinite(session.run(logits, {others: images(3, 150)})).all()


class TestCheckpoint:

    def test_inspect_convert_restore_and_load(self, inference_graph, tmp_path):
        name, session, inputs, end_points, _ = inference_graph
        network = registry.NETWORKS[name]
        side, classes = network.image_size, end_points['Logits'].shape[-1]
        with session.graph.as_default():
            variables = tf.model_variables()
            saved = tf.train.Saver(variables).save(session, str(tmp_path / 'model.ckpt'), 7,
                                                   write_meta_graph=False)
        info = checkpoint.inspect(saved)
        assert (info.network, info.scope, info.naming) == (name, network.scope, 'TF-Slim')
        assert (info.num_classes, info.has_background_class) == (classes, classes == 1001)
        assert info.has_aux_logits == bool(network.aux_classifier)
        assert info.depth_multiplier == (1.0 if network.channels else None)
        assert info.parameters == sum(v.shape.num_elements() for v in variables)

        converted = checkpoint.convert(saved, tmp_path / 'converted')
        assert (converted.network, converted.parameters) == (name, info.parameters)
        session.run([variable.initializer for variable in variables], {
            variable.initializer.inputs[1]: np.zeros(variable.shape.as_list(), 'f')
            for variable in variables})
        restored = checkpoint.restore(session, converted.path)
        assert sorted(restored.restored) == sorted(variable.op.name for variable in variables)
        batch = images(2, side)
        expected = golden_arrays(name)['logits']
        found, features = session.run(
            [end_points['Logits'], network.features(end_points)], {inputs: batch})
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

        with inference.load(converted.path) as predictor:
            np.testing.assert_allclose(predictor.logits(batch), expected, rtol=0,
                                       atol=1e-4 * np.abs(expected).max())
            flat = features.reshape(2, -1)
            np.testing.assert_allclose(predictor.features(batch), flat, rtol=0,
                                       atol=1e-4 * np.abs(flat).max())
            assert predictor.logits(batch[:0]).shape == (0, classes)

    @pytest.mark.parametrize('name', OF_CONTRIB)
    @pytest.mark.slow
    def test_restores_golden_checkpoint(self, name, monkeypatch):
        path = os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
        info = checkpoint.inspect(path)
        thinned = {'depth_multiplier': 0.05, 'min_depth': 4} if name == 'inception_v2' else {}
        assert info == checkpoint.CheckpointInfo(**{
            'path': path, 'format': 'V2', 'naming': 'TF-Slim', 'network': name,
            'scope': registry.NETWORKS[name].scope, 'num_classes': 11,
            'has_background_class': False, 'global_step': 157585, 'has_moving_averages': False,
            'has_gammas': False, 'has_aux_logits': False, 'optimizer': None,
            'parameters': info.parameters, 'depth_multiplier': None, 'min_depth': 16,
            'image_size': registry.NETWORKS[name].image_size, **thinned})
        if name == 'inception_v1':
            thin(monkeypatch)
        expected = golden_arrays('checkpoints_family')[name]
        with tf.Graph().as_default(), quick_session() as session:
            inputs, logits, _ = build(name, num_classes=11, is_training=False, **thinned)
            variables = slim.get_model_variables()
            for restore in (lambda: checkpoint.restore(session, path),
                            lambda: tf.train.Saver(variables).restore(session, path),
                            lambda: slim.assign_from_checkpoint_fn(path, variables)(session)):
                session.run(tf.global_variables_initializer())
                restore()
                found = session.run(logits, {inputs: images(2, 224)})
                np.testing.assert_allclose(found, expected, atol=1e-4)
        with inference.load(path) as predictor:
            np.testing.assert_allclose(predictor.logits(images(2, 224)), expected, atol=1e-4)

    @pytest.mark.slow
    def test_separable_convolution_with_batch_norm(self, tmp_path):
        """As in checkpoints of detectors, whose arg scope includes that layer."""
        with tf.Graph().as_default(), quick_session() as session, slim.arg_scope(
                [slim.separable_conv2d], normalizer_fn=slim.batch_norm,
                normalizer_params={'epsilon': 0.001, 'is_training': False}):
            inputs, logits, _ = build('inception_v2', is_training=False, **NARROW)
            load_golden_weights(session)
            path = tf.train.Saver().save(session, str(tmp_path / 'normalized'))
            expected = session.run(logits, {inputs: images(2, 224)})
        weights = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        assert 'InceptionV2/Conv2d_1a_7x7/BatchNorm/moving_mean' in weights
        assert 'InceptionV2/Conv2d_1a_7x7/biases' not in weights
        with inference.load(path) as predictor:
            np.testing.assert_allclose(predictor.logits(images(2, 224)), expected, rtol=0,
                                       atol=1e-4 * np.abs(expected).max())

    @pytest.mark.slow
    def test_restore_errors_name_the_network(self):
        folder = os.path.join(GOLDEN, 'checkpoints')
        v1 = os.path.join(folder, 'inception_v1', 'model.ckpt-157585')
        v2 = os.path.join(folder, 'inception_v2', 'model.ckpt-157585')
        with tf.Graph().as_default(), quick_session() as session:
            build('inception_v2', is_training=False, **{**NARROW, 'num_classes': 7})
            with pytest.raises(CheckpointError, match='checkpoint of Inception V1, but the graph '
                                                      'is of Inception V2; build inception_v1'):
                checkpoint.restore(session, v1)
            with pytest.raises(CheckpointError,
                               match=r"11 classes and the graph has 7.*exclude=\['Logits'\]"):
                checkpoint.restore(session, v2)
        for options, multiplier, message in (
                ({'batch_norm_scale': True}, 0.05, r'inception_v2_arg_scope\(batch_norm_scale=F'),
                ({'use_batch_norm': False}, 0.05, r'slim.arg_scope\(inception_v2_arg_scope\(\)'),
                ({}, 0.1, r'another width .* about 0\.05 .* about 0\.1')):
            with tf.Graph().as_default(), quick_session() as session:
                with slim.arg_scope(inception_slim.inception_v2_arg_scope(**options)):
                    inception_slim.inception_v2_base(tf.zeros((1, 32, 32, 3)), 'Mixed_4a',
                                                     depth_multiplier=multiplier, min_depth=4)
                with pytest.raises(CheckpointError, match=message):
                    checkpoint.restore(session, v2)

    @pytest.mark.parametrize('name', ['inception_v4', 'inception_resnet_v2'])
    @pytest.mark.slow
    def test_converts_averages_under_another_scope(self, golden, name, tmp_path):
        """Recognition uses only the names; the values are small replacements."""
        network = registry.NETWORKS[name]
        written, inner = {}, [
            (variable.removeprefix(network.scope + '/'), shape)
            for variable, shape in golden(name)['inference']['variables']]
        for variable, shape in inner:
            small = [1] * (len(shape) - 1) + shape[-1:]
            value = weights_for(variable, small)
            written[f'tower/net/{variable}'] = value
            written[f'tower/net/{variable}{checkpoint.MOVING_AVERAGE}'] = value * 2
        _convert.write_checkpoint(written, str(tmp_path / 'old'), 1)
        info = checkpoint.inspect(tmp_path / 'old')
        assert (info.network, info.scope, info.num_classes) == (name, 'tower/net', 1001)
        assert info.has_moving_averages and info.has_aux_logits
        checkpoint.convert(tmp_path / 'old', tmp_path / 'new', use_ema=True)
        reader = tf.train.load_checkpoint(str(tmp_path / 'new'))
        assert set(reader.get_variable_to_shape_map()) == {
            f'{network.scope}/{variable}' for variable, _ in inner}
        variable = inner[0][0]
        np.testing.assert_array_equal(reader.get_tensor(f'{network.scope}/{variable}'),
                                      written[f'tower/net/{variable}'] * 2)

    def test_unique_layers_are_unique(self, golden):
        for name in registry.NETWORKS:
            layers = {variable[0].split('/', 1)[1]
                      for variable in golden(name)['inference']['variables']}
            assert [other.name for other in registry.NETWORKS.values()
                    if f'{other.unique_layer}/weights' in layers] == [name]


class TestArguments:

    @pytest.mark.parametrize('name', OF_CONTRIB)
    def test_signatures_of_contrib(self, name):
        positional, keyword = signature(registry.NETWORKS[name].function)
        expected = {'num_classes': 1000, 'is_training': True, 'dropout_keep_prob': 0.8,
                    'prediction_fn': slim.softmax, 'spatial_squeeze': True, 'reuse': None,
                    'scope': 'InceptionV1'}
        if name == 'inception_v2':
            order = ['num_classes', 'is_training', 'dropout_keep_prob', 'min_depth',
                     'depth_multiplier', 'prediction_fn', 'spatial_squeeze', 'reuse', 'scope']
            expected = {key: {**expected, 'min_depth': 16, 'depth_multiplier': 1.0,
                              'scope': 'InceptionV2'}[key] for key in order}
        assert positional[1:] == list(expected.items())
        assert keyword == [('global_pool', False)]

    @pytest.mark.parametrize('function, expected', [
        (inception_slim.inception_v1_base, 'final_endpoint=Mixed_5c scope=InceptionV1'),
        (inception_slim.inception_v2_base,
         'final_endpoint=Mixed_5c min_depth=16 depth_multiplier=1.0 scope=None'),
        (inception_slim.inception_v4_base, 'final_endpoint=Mixed_7d scope=None'),
        (inception_slim.inception_resnet_v2_base,
         'final_endpoint=Conv2d_7b_1x1 output_stride=16 align_feature_maps=False scope=None '
         'activation_fn=relu'),
        (inception_slim.inception_v4,
         'num_classes=1001 is_training=True dropout_keep_prob=0.8 reuse=None scope=InceptionV4 '
         'create_aux_logits=True'),
        (inception_slim.inception_resnet_v2,
         'num_classes=1001 is_training=True dropout_keep_prob=0.8 reuse=None '
         'scope=InceptionResnetV2 create_aux_logits=True activation_fn=relu'),
        (inception_slim.inception_v1_arg_scope,
         'use_batch_norm=True batch_norm_var_collection=moving_vars'),
        (inception_slim.inception_v2_arg_scope, 'batch_norm_var_collection=moving_vars'),
        (inception_slim.inception_v4_arg_scope,
         'use_batch_norm=True batch_norm_decay=0.9997 batch_norm_epsilon=0.001 activation_fn=relu '
         'batch_norm_updates_collections=update_ops batch_norm_scale=False'),
        (inception_slim.inception_resnet_v2_arg_scope,
         'batch_norm_decay=0.9997 batch_norm_epsilon=0.001 activation_fn=relu '
         'batch_norm_updates_collections=update_ops batch_norm_scale=False'),
    ])
    def test_signatures(self, function, expected):
        positional, _ = signature(function)
        assert ' '.join(f'{key}={getattr(value, "__name__", value)}'
                        for key, value in positional[1:]) == expected

    @pytest.mark.parametrize('name', registry.NETWORKS)
    def test_arg_scope_options(self, graph, name):
        scope = registry.NETWORKS[name].arg_scope(
            weight_decay=0.5, batch_norm_decay=0.9, batch_norm_epsilon=0.01, batch_norm_scale=True,
            batch_norm_updates_collections=None, activation_fn=tf.nn.elu)
        with slim.arg_scope(scope):
            assert slim.conv2d(tf.zeros((1, 4, 4, 3)), 2, 1).op.type == 'Elu'
        assert 'Conv/BatchNorm/gamma' in {v.op.name for v in tf.trainable_variables()}
        assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        normalization = next(op for op in graph.get_operations() if 'FusedBatchNorm' in op.type)
        assert normalization.get_attr('epsilon') == pytest.approx(0.01)
        with slim.arg_scope(registry.NETWORKS[name].arg_scope(use_batch_norm=False)):
            slim.conv2d(tf.zeros((1, 4, 4, 3)), 2, 1, scope='biased')
        assert {'biased/biases'} == {v.op.name for v in tf.global_variables('biased')
                                     if not v.op.name.endswith('weights')}
        biases = [loss for loss in tf.losses.get_regularization_losses() if '/bias/' in loss.name]
        assert len(biases) == (name == 'inception_resnet_v2')

    @pytest.mark.slow
    @pytest.mark.parametrize('name', OF_CONTRIB)
    def test_is_training_tensor_and_other_sizes(self, graph, name):
        arguments = {key: value for key, value in NARROW.items()
                     if key == 'num_classes' or name == 'inception_v2'}
        is_training = tf.placeholder(tf.bool, ())
        inputs, logits, end_points = build(name, (None, 64, 100, 3), is_training=is_training,
                                           **arguments)
        pooled, pooled_ends = build(name, (2, 300, 290, 3), is_training=False, reuse=True,
                                    global_pool=True, **arguments)[1:]
        assert pooled_ends['global_pool'].shape[1:3] == (1, 1) and pooled.shape == (2, 11)
        assert logits.shape.as_list() == [None, 11]
        with quick_session() as session:
            load_golden_weights(session)
            batch = images(3, 100)[:, :64]
            evaluated = session.run(logits, {inputs: batch, is_training: False})
            alone = session.run(logits, {inputs: batch[:1], is_training: False})
            trained = session.run(logits, {inputs: batch, is_training: True})
        np.testing.assert_allclose(evaluated[:1], alone, atol=1e-4)
        assert np.abs(evaluated - trained).max() > 1e-2

    @pytest.mark.parametrize('name, num_classes', [('inception_v1', 0), ('inception_v2', None)])
    @pytest.mark.slow
    def test_no_classes_gives_features(self, graph, name, num_classes):
        _, features, end_points = build(name, num_classes=num_classes, is_training=False)
        assert features.shape == (2, 1, 1, 1024)
        assert list(end_points)[-1] == 'Mixed_5c' and 'Logits' not in end_points

    @pytest.mark.parametrize('name', ['inception_v4', 'inception_resnet_v2'])
    @pytest.mark.parametrize('grid', [(8, 8), (2, 3), (None, None)])
    def test_no_classes_with_dense_head(self, graph, name, grid, monkeypatch):
        base = tf.placeholder(tf.float32, (2, *grid, 1536))
        module = importlib.import_module(f'inception_slim.nets.{name}')
        monkeypatch.setattr(module, name + '_base', lambda inputs, **_: (base, {}))
        _, features, end_points = build(name, num_classes=None, is_training=False)
        assert features.shape == (2, 1, 1, 1536)
        assert not {'Logits', 'AuxLogits', 'PreLogitsFlatten'} & set(end_points)

    def test_pooling_after_convolution(self, graph):
        with slim.arg_scope(inception_slim.inception_v2_arg_scope()), \
                slim.arg_scope([pooled_conv], pool_first=False):
            inception_slim.inception_v2_base(tf.zeros((1, 32, 32, 3)), 'Mixed_3c')
        pools = [op for op in graph.get_operations() if op.type == 'AvgPool']
        assert [op.inputs[0].op.name for op in pools] == [
            f'InceptionV2/{block}/Branch_3/Conv2d_0b_1x1/BatchNorm/FusedBatchNormV3'
            for block in ('Mixed_3b', 'Mixed_3c')]

    @pytest.mark.slow
    def test_root_block_data_format_and_separable_convolution(self, graph):
        with slim.arg_scope(inception_slim.inception_v2_arg_scope()):
            net, end_points = inception_slim.inception_v2_base(
                tf.zeros((1, 28, 28, 192)), 'Mixed_3c', include_root_block=False)
            assert list(end_points) == ['Mixed_3b', 'Mixed_3c'] and net.shape == (1, 28, 28, 320)
            net, _ = inception_slim.inception_v2_base(
                tf.zeros((1, 3, 64, 80)), 'Mixed_4a', use_separable_conv=False, scope='first',
                data_format='NCHW')
            assert net.shape == (1, 576, 4, 5)
            kinds = {op.get_attr('data_format') for op in graph.get_operations()
                     if op.name.startswith('first') and op.type in (
                         'Conv2D', 'MaxPool', 'AvgPool', 'FusedBatchNormV3')}
            assert kinds == {b'NCHW'}
        first = {v.op.name for v in tf.global_variables('first/Conv2d_1a_7x7')}
        assert first == {f'first/Conv2d_1a_7x7/{name}' for name in (
            'weights', 'BatchNorm/beta', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance')}
        net, _ = inception_slim.inception_v1_base(
            tf.zeros((1, 28, 28, 192)), 'Mixed_3c', include_root_block=False)
        assert net.shape == (1, 28, 28, 480)

    def test_output_stride_and_alignment(self, graph, monkeypatch):
        # One block instead of ten or twenty, which does not change the grid.
        module = importlib.import_module('inception_slim.nets.inception_resnet_v2')
        repeat = module.repeat
        monkeypatch.setattr(module, 'repeat', lambda net, **arguments: repeat(
            net, **{**arguments, 'count': 1}))

        def grids(final, **arguments):
            _, end_points = inception_slim.inception_resnet_v2_base(
                tf.zeros((1, 321, 321, 3)), final, align_feature_maps=True, **arguments)
            return [end_points[name].shape[1] for name in ('Mixed_5b', 'Mixed_6a')]

        assert grids('Mixed_6a', scope='aligned') == [41, 21]
        assert grids('PreAuxLogits', scope='dilated', output_stride=8) == [41, 41]
        # A dilated convolution moves pixels to the batch dimension first.
        dilated = [op.name for op in graph.get_operations() if op.type == 'SpaceToBatchND']
        assert len(dilated) == 5 and all('dilated/Repeat_1/block17_1/' in name for name in dilated)

    @pytest.mark.slow
    def test_activation_of_the_residual_blocks(self, graph):
        inception_slim.inception_resnet_v2_base(tf.zeros((1, 75, 75, 3)), 'Mixed_6a',
                                                activation_fn=tf.nn.relu6)
        ops = Counter(op.type for op in graph.get_operations())
        assert ops['Relu6'] == 10
        assert sum('clip_by_value' in op.name and op.type == 'Maximum'
                   for op in graph.get_operations()) == 10

    @pytest.mark.slow
    def test_get_network_fn(self, graph):
        network_fn = registry.get_network_fn('inception_v1', 11, weight_decay=0.5)
        assert network_fn.default_image_size == 224
        logits, end_points = network_fn(tf.zeros((1, 224, 224, 3)), spatial_squeeze=False)
        assert logits.shape == (1, 1, 1, 11) and logits is end_points['Logits']
        assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        scale = graph.get_operation_by_name(
            'InceptionV1/Logits/Conv2d_0c_1x1/kernel/Regularizer/l2_regularizer/scale')
        assert tf.get_static_value(scale.outputs[0]) == pytest.approx(0.5)
        assert registry.get_network_fn('inception_v4', 11).default_image_size == 299
        with pytest.raises(ValueError, match="network 'vgg_16'; use one of inception_v1, .*v4"):
            registry.get_network_fn('vgg_16', 11)

    def test_exports(self):
        from inception_slim.nets import inception
        for name, network in registry.NETWORKS.items():
            for exported in (name, f'{name}_base', f'{name}_arg_scope'):
                assert getattr(inception_slim, exported) is getattr(inception, exported)
                assert exported in inception_slim.__all__
            assert network.function is getattr(inception_slim, name)
            assert network.arg_scope is getattr(inception_slim, f'{name}_arg_scope')
            nets = importlib.import_module('inception_slim.nets')
            assert getattr(nets, name).__name__ == f'inception_slim.nets.{name}'
        assert [network.image_size for network in registry.NETWORKS.values()] == [
            224, 224, 299, 299, 160, 299]


class TestUse:
    """Uses of the networks as in test_inception_v3.py; the large networks are narrowed."""

    @pytest.mark.parametrize('name, final', [
        ('inception_v1', 'MaxPool_3a_3x3'), ('inception_v2', 'Mixed_3b'),
        ('inception_v4', 'Mixed_3a'), ('inception_resnet_v2', 'MaxPool_5a_3x3'),
        *(pytest.param(name, final, marks=pytest.mark.slow) for name, final in (
            ('inception_v1', 'Mixed_5b'), ('inception_v2', 'Mixed_5a'),
            ('inception_v4', 'Mixed_7a'), ('inception_resnet_v2', 'Mixed_7a')))])
    def test_final_endpoint_is_last_layer(self, graph, golden, name, final):
        network = registry.NETWORKS[name]
        side = network.image_size
        with slim.arg_scope(network.arg_scope()):
            net, end_points = getattr(inception_slim, name + '_base')(
                tf.zeros((1, side, side, 3)), final_endpoint=final)
        known = golden(name)['inference']['end_points']
        known = list(known) if isinstance(known, dict) else [end_point[0] for end_point in known]
        assert list(end_points) == [end_point for end_point in known if 'Logits' not in end_point
                                    or end_point == 'PreAuxLogits'][:len(end_points)]
        assert list(end_points)[-1] == final and net is end_points[final]

    @pytest.mark.parametrize('name', some_slow(FAMILY, 1))
    def test_prints_and_warns_nothing(self, graph, name, monkeypatch, caplog, capfd):
        thin(monkeypatch)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            build(name)
        assert messages(caught) == []
        assert caplog.text == '' and capfd.readouterr() == ('', '')

    @pytest.mark.slow
    @pytest.mark.parametrize('name', FAMILY[2:])
    def test_is_training_tensor_and_other_sizes(self, graph, name, monkeypatch):
        thin(monkeypatch)
        is_training = tf.placeholder(tf.bool, ())
        inputs, logits, end_points = build(name, (None, 107, 160, 3), is_training=is_training)
        assert end_points['AuxLogits'].shape.as_list() == logits.shape.as_list() == [None, 1001]
        smallest, small, ends = build(name, (1, 75, 75, 3), is_training=False, reuse=True,
                                      create_aux_logits=False)
        assert 'AuxLogits' not in ends
        with tf.Session() as session:
            load_golden_weights(session)
            batch = images(3, 160)[:, :107]
            evaluated = session.run(logits, {inputs: batch, is_training: False})
            alone = session.run(logits, {inputs: batch[:1], is_training: False})
            trained = session.run(logits, {inputs: batch, is_training: True})
            assert np.isfinite(session.run(small, {smallest: images(1, 75)})).all()
        np.testing.assert_allclose(evaluated[:1], alone, atol=1e-4 * np.abs(alone).max())
        assert np.abs(evaluated - trained).max() > 1e-2

    @pytest.mark.slow
    def test_networks_without_v2_behavior(self):
        """As in scripts of TensorFlow 1, which use the default graph."""
        code = '''
import inception_slim
import tensorflow.compat.v1 as tf
import tf_slim as slim
tf.disable_v2_behavior()
images = tf.random_uniform((2, 96, 96, 3))
with tf.Session() as session:
    for name, final in (('inception_v1', 'Mixed_4b'), ('inception_v2', 'Mixed_4b'),
                        ('inception_v4', 'Mixed_5b'), ('inception_resnet_v2', 'Mixed_5b')):
        with slim.arg_scope(getattr(inception_slim, name + '_arg_scope')()):
            net, _ = getattr(inception_slim, name + '_base')(images, final_endpoint=final)
        session.run(tf.global_variables_initializer())
        print(name, session.run(net).shape == tuple(net.shape.as_list()))
assert {variable.op.type for variable in tf.global_variables()} == {'VariableV2'}
'''
        done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True,
                              env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
        assert done.returncode == 0, done.stderr
        assert done.stdout == ''.join(f'{name} True\n' for name in FAMILY)


def signature(function):
    parameters = inspect.signature(function).parameters.values()
    return tuple([(parameter.name, parameter.default) for parameter in parameters
                  if parameter.kind is kind]
                 for kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD,
                              inspect.Parameter.KEYWORD_ONLY))


class TestErrors:

    @pytest.mark.parametrize('name', FAMILY)
    @pytest.mark.parametrize('shape, arguments, message', [
        ((299, 299, 3), {}, r'\[batch, height, width, channels\].*\(299, 299, 3\)'),
        ((2, 299, 299, None), {}, r'number of channels must be known'),
        (None, {}, r'unknown'),
        ((2, 299, 299, 3), {'num_classes': -1}, r'num_classes .* but is -1'),
        ((2, 299, 299, 3), {'dropout_keep_prob': 0.0}, r'\(0, 1\], but is 0\.0'),
    ])
    def test_rejects_bad_arguments(self, graph, name, shape, arguments, message):
        self.check_rejected(graph, name, tf.placeholder(tf.float32, shape), arguments, message)

    @pytest.mark.parametrize('name', FAMILY)
    def test_rejects_integer_images(self, graph, name):
        self.check_rejected(graph, name, tf.placeholder(tf.uint8, (1, 299, 299, 3)), {},
                            'floating point.* uint8')

    @pytest.mark.parametrize('name, shape, arguments, message', [
        ('inception_v1', (1, 225, 224, 3), {}, r'225x224 .*global_pool=True.* 224x224'),
        ('inception_v1', (1, 0, 224, 3), {}, r'0x224 are too small; .* 1x1'),
        ('inception_v2', (1, 257, 224, 3), {}, r'257x224 .*global_pool=True.* 256x256'),
        ('inception_v2', (1, 224, 224, 3), {'depth_multiplier': 0}, 'greater than 0, but is 0'),
        ('inception_v2', (1, 224, 224, 3), {'min_depth': 0}, 'at least 1, but is 0'),
        *((name, shape, arguments, message)
          for name in ('inception_v4', 'inception_resnet_v2')
          for shape, arguments, message in (
              ((2, 74, 299, 3), {'create_aux_logits': False}, r'74x299 .*smallest.* 75x75\.'),
              ((2, 106, 106, 3), {}, r'smallest.* 107x107 \(75x75 with create_aux_logits=False'),
              ((2, None, None, 3), {}, r'known height and width.*create_aux_logits=False'))),
    ])
    def test_rejects_bad_arguments_of_one_network(self, graph, name, shape, arguments, message):
        self.check_rejected(graph, name, tf.placeholder(tf.float32, shape), arguments, message)

    def check_rejected(self, graph, name, inputs, arguments, message):
        before = len(graph.get_operations())
        with pytest.raises(ValueError, match=message) as caught:
            build(name, inputs, **arguments)
        assert str(caught.value).startswith(name + ':')
        assert len(graph.get_operations()) == before

    @pytest.mark.parametrize('base, arguments, message', [
        ('inception_v1', {'final_endpoint': 'Mixed_6a'}, "'Mixed_6a'; use one of .*Mixed_5c"),
        ('inception_v1', {'final_endpoint': 'Conv2d_1a_7x7', 'include_root_block': False},
         'use one of Mixed_3b'),
        ('inception_v2', {'final_endpoint': 'Mixed_6a'}, "'Mixed_6a'; use one of .*Mixed_5c"),
        ('inception_v2', {'data_format': 'NHCW'}, "'NHWC' or 'NCHW', but is 'NHCW'"),
        ('inception_v2', {'data_format': 'NCHW'}, 'use_separable_conv=False'),
        ('inception_v4', {'final_endpoint': 'Mixed_7e'}, "'Mixed_7e'; use one of .*Mixed_7d"),
        ('inception_v4', {'scope': 'tiny'}, '75x75 for Mixed_7d'),
        ('inception_resnet_v2', {'final_endpoint': 'Repeat'}, 'use one of .*PreAuxLogits'),
        ('inception_resnet_v2', {'output_stride': 32}, '8 or 16, but is 32'),
        ('inception_resnet_v2', {'output_stride': 8}, "final_endpoint='PreAuxLogits'"),
    ])
    def test_base_rejects_bad_arguments(self, graph, base, arguments, message):
        inputs = tf.zeros((1, 60 if 'scope' in arguments else 299, 299, 3))
        before = len(graph.get_operations())
        with pytest.raises(ValueError, match=message):
            getattr(inception_slim, base + '_base')(inputs, **arguments)
        assert len(graph.get_operations()) == before

    @pytest.mark.parametrize('name', FAMILY)
    def test_rejects_eager_execution(self, name):
        for function in (name, name + '_base'):
            with pytest.raises(RuntimeError, match=r'tf\.Graph\(\)\.as_default\(\)'):
                getattr(inception_slim, function)(np.zeros((1, 299, 299, 3), 'f'))


def test_flatten_uses_the_scope_of_each_graph():
    for scope in ('one', 'other'):
        with tf.Graph().as_default(), tf.variable_scope(scope):
            assert slim.flatten(tf.zeros((2, 3, 4))).op.name == f'{scope}/Flatten/flatten/Reshape'
