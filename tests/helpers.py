"""Builds networks for the tests, under their arg scope and with the golden weights."""

from collections import Counter
import contextlib
import functools
import gzip
import json
import os
import re

from golden import graph_of_2015
from golden.weights import weights_for
import inception_slim
from inception_slim.checkpoint import _convert
from inception_slim.formats.name_maps import inception_2015_names
from inception_slim.nets import inception_v2, registry
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

GOLDEN = os.path.join(os.path.dirname(__file__), 'golden')
NARROW = {'num_classes': 11, 'depth_multiplier': 0.05, 'min_depth': 4}  # as in make_golden.py
_DROPOUT = r'/dropout(?:_1)?/'


def some_slow(names, count):
    """Parameters of a test of which all but the first `count` are left to `make test-slow`."""
    return [name if number < count else pytest.param(name, marks=pytest.mark.slow)
            for number, name in enumerate(names)]


def messages(caught):
    """The texts of warnings but ResourceWarnings, since garbage is collected in any test."""
    return [str(warning.message) for warning in caught
            if not issubclass(warning.category, ResourceWarning)]


def reset_peak_memory():
    """Resets this process's peak of resident memory; False where the system cannot."""
    try:
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')
    except OSError:
        return False
    return True


def resident_memory(field):
    """A size in bytes of `/proc/self/status`: VmRSS, or VmHWM since `reset_peak_memory`."""
    with open('/proc/self/status') as file:
        return int(re.search(rf'{field}:\s+(\d+) kB', file.read())[1]) * 2**10


def golden_arrays(name):
    with np.load(os.path.join(GOLDEN, name + '.npz')) as arrays:
        return dict(arrays)


def golden_graphs(name):
    with gzip.open(os.path.join(GOLDEN, name + '.json.gz'), 'rt') as file:
        return json.load(file)


def build(inputs=(2, 299, 299, 3), scale=False, **arguments):
    """Builds Inception V3 on a placeholder of a shape; returns `(inputs, logits, end_points)`."""
    if isinstance(inputs, tuple):
        inputs = tf.placeholder(tf.float32, inputs, name='inputs')
    with slim.arg_scope(inception_slim.inception_v3_arg_scope(batch_norm_scale=scale)):
        logits, end_points = inception_slim.inception_v3(inputs, **arguments)
    return inputs, logits, end_points


def describe(graph, end_points):
    """The description of a graph that the golden files have of those of 1.15.5."""
    return {
        'variables': [[v.op.name, v.shape.as_list()] for v in graph.get_collection('variables')],
        'collections': {key: [item.name for item in graph.get_collection(key)]
                        for key in graph.get_all_collection_keys()},
        'end_points': [[name, tensor.name, tensor.shape.as_list()]
                       for name, tensor in end_points.items()],
        'ops': {(op.name, op.type) for op in graph.get_operations()},
    }


def check_graph(expected, found):
    """The graph equals that of 1.15.5, except for changes in TensorFlow itself."""
    assert found['variables'] == [variable[:2] for variable in expected['variables']]
    collections, expected_collections = (
        {key: names for key, names in description['collections'].items() if names}
        for description in (found, expected))
    assert collections == expected_collections
    end_points = expected['end_points']
    if isinstance(end_points, dict):
        end_points = [[name, *tensor] for name, tensor in end_points.items()]
    # Since TensorFlow 2.5 the last op of dropout is another one.
    assert found['end_points'] == [
        [name, re.sub(f'({_DROPOUT})mul_1', r'\1SelectV2', tensor), shape]
        for name, tensor, shape in end_points]
    was = {(name, kind) for name, kind in expected['ops'] if not re.search(_DROPOUT, name)}
    now = {(name, kind) for name, kind in found['ops'] if not re.search(_DROPOUT, name)}
    missing, extra = was - now, now - was
    # Initializers use AddV2, and the constants of flatten and of dense batch norm have other names.
    sums = {name for name, kind in extra if kind == 'AddV2'}
    assert sums == {name for name, kind in missing if kind == 'Add'}
    assert all('/Initializer/' in name for name in sums)
    assert all(name.endswith(('/flatten/Const', '/BatchNorm/Reshape_1/shape'))
               for name, kind in extra if kind != 'AddV2')
    unused = Counter(name.rsplit('/', 1)[-1] for name, kind in missing if kind != 'Add')
    assert {kind for _, kind in missing} <= {'Add', 'Const'}
    assert set(unused) <= {'dilation_rate', 'Const_1', 'Const_2', 'Const_3', 'shape', 'Shape'}
    assert unused['shape'] + unused['Shape'] == len(extra) - len(sums)
    assert all('BatchNorm/Const' in name for name, kind in missing
               if kind == 'Const' and name.rsplit('/', 1)[-1].startswith('Const'))


def quick_session():
    """A session without graph optimization, which takes longer than a few runs."""
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.Session(config=config)


def load_golden_weights(session):
    """Sets all variables in one run; a run for each would take a minute."""
    variables = slim.get_model_variables()
    session.run([variable.initializer for variable in variables], {
        variable.initializer.inputs[1]: weights_for(variable.op.name, variable.shape.as_list())
        for variable in variables})


@contextlib.contextmanager
def reference_variables():
    """Reference variables, as in the graphs of 1.15.5."""
    tf.disable_resource_variables()
    try:
        yield
    finally:
        tf.enable_resource_variables()


@functools.cache
def golden_shapes(name):
    """The names and shapes of a network's model variables in 1.15.5."""
    return {variable[0]: variable[1] for variable in golden_graphs(name)['inference']['variables']}


def full_graph_of_2015():
    """The graph of December 2015 at full width, with the golden weights."""
    shapes = golden_shapes('inception_v3')
    return graph_of_2015.draw(widths={
        name: shapes[f'InceptionV3/{layer}/weights'][-1]
        for layer, name in inception_2015_names().items() if not layer.startswith('Logits')})


def golden_weights(name):
    """The golden weights by their names in the network's scope, as from `checkpoint.read`."""
    prefix = registry.NETWORKS[name].scope + '/'
    return {variable.removeprefix(prefix): weights_for(variable, shape)
            for variable, shape in golden_shapes(name).items()}


def write_golden_checkpoint(name, prefix):
    """Writes a checkpoint of the golden weights; NAME.npz has the logits of 1.15.5 for it."""
    scope = registry.NETWORKS[name].scope
    return _convert.write_checkpoint(
        {f'{scope}/{variable}': value for variable, value in golden_weights(name).items()},
        str(prefix), 1)


def close_to(expected, tolerance=1e-4):
    """Tolerances for `assert_allclose`, relative to the largest value."""
    return {'rtol': 0, 'atol': tolerance * np.abs(expected).max()}


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def thin(monkeypatch):
    """Reduces the channels of all networks to a sixteenth, as make_golden.py does for Inception V1.

    For networks without `depth_multiplier`, so that tests build, train and run them quickly.
    """
    conv2d = slim.conv2d

    @functools.wraps(conv2d)
    def thinned(inputs, num_outputs, *positional, **named):
        # Classifiers and the ends of residual branches have no batch norm.
        fixed = named.get('normalizer_fn', slim.batch_norm) is None
        return conv2d(inputs, num_outputs if fixed else max(num_outputs // 16, 4), *positional,
                      **named)

    monkeypatch.setattr(slim, 'conv2d', thinned)


@contextlib.contextmanager
def replaced_by_a_shallow_network():
    """Two layers and the classifier of Inception V2; gives options to train it in two seconds.

    For what the training loop does around a step, which no network matters for.
    """
    def build(inputs, num_classes, is_training=True, dropout_keep_prob=0.8, min_depth=4,
              depth_multiplier=1.0, reuse=None, **_):
        with tf.variable_scope('InceptionV2', reuse=reuse), \
                slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net = slim.conv2d(inputs, 8, 3, stride=2, scope='Conv2d_2b_1x1')
            net = slim.conv2d(net, 8, 3, stride=2, scope='Mixed_5a/Branch_1/Conv2d_0b_3x3')
            net = slim.dropout(tf.reduce_mean(net, [1, 2], keepdims=True), dropout_keep_prob)
            logits = slim.conv2d(net, num_classes, 1, activation_fn=None, normalizer_fn=None,
                                 scope='Logits/Conv2d_1c_1x1')
        return tf.squeeze(logits, [1, 2]), {}

    build.default_image_size = 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception_v2, 'inception_v2', build)
        yield {'network': 'inception_v2', 'batch_size': 4, 'seed': 1, 'summary_steps': 1}


@contextlib.contextmanager
def as_in_tensorflow_1():
    """Reference variables and TensorFlow 1's control flow."""
    tf.disable_resource_variables()
    tf.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.enable_control_flow_v2()
        tf.enable_resource_variables()
