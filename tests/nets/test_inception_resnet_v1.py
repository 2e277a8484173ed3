"""Inception-ResNet V1 equals FaceNet's on TensorFlow 1.15.5, whose outputs are in tests/golden."""

from golden.weights import images
from helpers import (
    check_graph,
    close_to,
    describe,
    golden_arrays,
    golden_graphs,
    load_golden_weights,
    quick_session,
    reference_variables,
    thin,
)
import inception_slim
from inception_slim.nets import inception_resnet_v1 as network
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

NAME = 'inception_resnet_v1'


@pytest.fixture(scope='module')
def golden():
    return golden_graphs(NAME)


def build(**arguments):
    """The graph of the golden files: FaceNet's weight decay, and two images."""
    inputs = tf.placeholder(tf.float32, (2, 160, 160, 3), name='inputs')
    with slim.arg_scope(network.inception_resnet_v1_arg_scope(weight_decay=5e-4)):
        return inputs, *network.inception_resnet_v1(inputs, **arguments)


def build_described(kind):
    with reference_variables(), tf.Graph().as_default() as graph:
        inputs, net, end_points = build(is_training=kind == 'training', bottleneck_layer_size=512)
    return graph, inputs, net, end_points, describe(graph, end_points)


def check(golden, kind, graph, net, described):
    check_graph(golden[kind], described)
    assert [net.name, net.shape.as_list()] == golden[kind]['output']
    dtypes = {variable.op.name: variable.dtype.base_dtype.name
              for variable in graph.get_collection('variables')}
    assert dtypes == {name: dtype for name, _, dtype in golden[kind]['variables']}


def outputs(session, inputs, net, end_points):
    return session.run({
        f'prelogits_{net.shape[1]}': net,
        f'embeddings_{net.shape[1]}': tf.nn.l2_normalize(net, 1, 1e-10),
        'pre_logits_flatten': end_points['PreLogitsFlatten'],
        'mixed_5a': tf.reduce_mean(end_points['Mixed_5a'], [1, 2]),
    }, {inputs: images(2, 160)})


def check_outputs(found):
    expected = golden_arrays(NAME)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], **close_to(expected[name]),
                                   err_msg=name)


def test_graph_and_outputs_match(golden):
    graph, inputs, net, end_points, described = build_described('inference')
    check(golden, 'inference', graph, net, described)
    with graph.as_default(), quick_session() as session:
        load_golden_weights(session)
        check_outputs(outputs(session, inputs, net, end_points))


@pytest.mark.slow
def test_training_graph_matches(golden):
    graph, _, net, _, described = build_described('training')
    check(golden, 'training', graph, net, described)
    decays = [tf.get_static_value(op.outputs[0]) for op in graph.get_operations()
              if op.name.endswith('AssignMovingAvg/decay')]
    np.testing.assert_allclose(decays, [1 - 0.995] * len(decays), rtol=1e-4)


@pytest.mark.slow
def test_outputs_match_as_facenets_scripts_build_it():
    with tf.Graph().as_default(), quick_session() as session:
        inputs = tf.placeholder(tf.float32, (None, 160, 160, 3))
        net, end_points = network.inference(inputs, 1.0, phase_train=False)
        load_golden_weights(session)
        check_outputs(outputs(session, inputs, net, end_points))


@pytest.mark.parametrize('final', ['Conv2d_4b_3x3', 'Mixed_5a'])
def test_base_ends_at_an_end_point(golden, final):
    with tf.Graph().as_default():
        net, end_points = inception_slim.inception_resnet_v1_base(
            tf.zeros((1, 160, 160, 3)), final)
    expected = [[name, shape[1:]] for name, _, shape in golden['inference']['end_points']]
    found = [[name, value.shape.as_list()[1:]] for name, value in end_points.items()]
    assert found == expected[:len(found)] and found[-1][0] == final
    assert net is end_points[final]


@pytest.mark.slow
def test_is_training_tensor_reuse_and_other_sizes(monkeypatch):
    thin(monkeypatch)
    with tf.Graph().as_default(), quick_session() as session:
        is_training = tf.placeholder(tf.bool, ())
        keep = tf.placeholder_with_default(1.0, ())
        inputs = tf.placeholder(tf.float32, (None, 75, 160, 3))
        net, _ = network.inference(inputs, keep, is_training)
        count = len(tf.global_variables())
        others = tf.placeholder(tf.float32, (None, None, None, 3))
        again, _ = network.inference(others, 1.0, False, reuse=True)
        assert len(tf.global_variables()) == count
        load_golden_weights(session)
        batch = images(3, 160)[:, :75]
        evaluated = session.run(net, {inputs: batch, is_training: False})
        np.testing.assert_allclose(session.run(again, {others: batch}), evaluated,
                                   **close_to(evaluated))
        trained = session.run(net, {inputs: batch, is_training: True})
        assert np.abs(evaluated - trained).max() > 1e-2
        # Training updated the moving averages without a collection of updates.
        after = session.run(net, {inputs: batch, is_training: False})
        assert np.abs(evaluated - after).max() > 1e-4


@pytest.mark.parametrize('shape, arguments, message', [
    ((160, 160, 3), {}, r'\[batch, height, width, channels\].*\(160, 160, 3\)'),
    ((2, 74, 160, 3), {}, r'74x160 .* smallest supported size is 75x75'),
    ((2, 160, 160, 3), {'dropout_keep_prob': 0.0}, r'\(0, 1\], but is 0\.0'),
    ((2, 160, 160, 3), {'bottleneck_layer_size': -1}, 'bottleneck_layer_size .* but is -1'),
])
def test_rejects_bad_arguments(shape, arguments, message):
    with tf.Graph().as_default() as graph:
        inputs = tf.placeholder(tf.float32, shape)
        with pytest.raises(ValueError, match=message) as caught:
            network.inception_resnet_v1(inputs, **arguments)
        assert str(caught.value).startswith(NAME + ':')
        assert len(graph.get_operations()) == 1


def test_base_rejects_unknown_end_point():
    with tf.Graph().as_default(), pytest.raises(ValueError, match='use one of .*Mixed_8b'):
        inception_slim.inception_resnet_v1_base(tf.zeros((1, 160, 160, 3)), 'Mixed_8c')
