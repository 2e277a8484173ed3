"""Files that declare another structure than the network's are refused, naming the layer."""

import functools
import json
import os
import shutil

import h5py
from helpers import GOLDEN
from inception_slim import checkpoint, cli, formats
from inception_slim.checkpoint import CheckpointError
import onnx
import pytest
import tensorflow.compat.v1 as tf

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


def change_keras(path, change):
    with h5py.File(path, 'r+') as file:
        config = json.loads(file.attrs['model_config'])
        for layer in config['config']['layers']:
            change(layer)
        del file.attrs['model_config']
        file.attrs['model_config'] = json.dumps(config)


def keras_option(kind, name, value, layer):
    if layer['class_name'] == kind:
        layer['config'][name] = value


def keras_kind(kind, new, config, layer):
    if layer['class_name'] == kind:
        layer['class_name'] = new
        layer['config'] = {'name': layer['config']['name'], **config}


def change_graph(path, change):
    definition = tf.GraphDef.FromString(path.read_bytes())
    for node in definition.node:
        change(node)
    path.write_bytes(definition.SerializeToString())


def graph_sides(op, attribute, sides, node):
    if node.op == op:
        node.attr[attribute].list.i[:] = sides


def graph_op(op, new, node):
    if node.op == op:
        node.op = new


def graph_padding(node):
    if node.op == 'Conv2D' and node.attr['padding'].s == b'VALID':
        node.attr['padding'].s = b'SAME'


def graph_format(node):
    if node.op == 'Conv2D':
        node.attr['data_format'].s = b'NCHW'
        node.attr['strides'].list.i[:] = [1, 1, *node.attr['strides'].list.i[1:3]]


def graph_order(node):
    if node.op == 'ConcatV2':
        node.input[0], node.input[1] = node.input[1], node.input[0]


def graph_input(name, source, node):
    if node.name.endswith(name):
        node.input[0] = node.input[0].replace(*source)


def keras_order(layer):
    if layer['class_name'] == 'Concatenate':
        branches = layer['inbound_nodes'][0]['args'][0]
        branches[0], branches[1] = branches[1], branches[0]


def keras_input(name, source, layer):
    if layer['name'] == name:
        layer['inbound_nodes'][0]['args'][0]['config']['keras_history'][0] = source


def change_onnx(path, change):
    model = onnx.load(path)
    for node in model.graph.node:
        change(node)
    onnx.save(model, path)


def onnx_type(kind, new, node):
    if node.op_type == kind:
        node.op_type = new


def onnx_order(node):
    if node.op_type == 'Concat':
        node.input[0], node.input[1] = node.input[1], node.input[0]


def onnx_sides(kind, attribute, sides, node):
    if node.op_type == kind:
        kept = [item for item in node.attribute if item.name not in (attribute, 'auto_pad')]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, sides)])


CHANGES = {
    ('keras', 'tanh'): (functools.partial(
        keras_kind, 'ReLU', 'Activation', {'activation': 'tanh'}), 'the activation tanh'),
    ('keras', 'relu6'): (functools.partial(keras_option, 'ReLU', 'max_value', 6.0),
                         'the activation relu with max_value'),
    ('keras', 'no activation'): (functools.partial(
        keras_kind, 'ReLU', 'Activation', {'activation': 'linear'}), 'no activation'),
    ('keras', 'stride'): (functools.partial(keras_option, 'Conv2D', 'strides', [1, 1]),
                          'stride 1×1 for its layer .*Conv2d_1a_3x3.* has 2×2'),
    ('keras', 'dilation'): (functools.partial(keras_option, 'Conv2D', 'dilation_rate', [2, 2]),
                            'dilation 2×2'),
    ('keras', 'padding'): (functools.partial(keras_option, 'Conv2D', 'padding', 'same'),
                           'padding SAME .* has VALID'),
    ('keras', 'window'): (functools.partial(keras_option, 'MaxPooling2D', 'pool_size', [2, 2]),
                          'max pooling, window 2×2'),
    ('keras', 'average'): (functools.partial(
        keras_kind, 'MaxPooling2D', 'AveragePooling2D',
        {'pool_size': [3, 3], 'strides': [2, 2], 'padding': 'valid'}), 'avg pooling, window 3×3'),
    ('keras', 'included activation'): (
        functools.partial(keras_option, 'Conv2D', 'activation', 'elu'), 'the activation elu'),
    ('keras', 'axis'): (functools.partial(keras_option, 'Concatenate', 'axis', 1), 'the axis 1'),
    ('keras', 'order'): (keras_order, 'concatenates .* the order in the network is'),
    ('keras', 'wiring'): (
        functools.partial(keras_input, 'Mixed_6c_Branch_2_Conv2d_0c_1x7',
                          'Mixed_6c_Branch_2_Conv2d_0a_1x1_Relu'),
        'for its layer Mixed_6c_Branch_2_Conv2d_0c_1x7, .* has the output of '
        'Mixed_6c/Branch_2/Conv2d_0b_7x1'),
    ('frozen', 'tanh'): (functools.partial(graph_op, 'Relu', 'Tanh'), 'the activation tanh'),
    ('frozen', 'relu6'): (functools.partial(graph_op, 'Relu', 'Relu6'), 'the activation relu6'),
    ('frozen', 'stride'): (functools.partial(graph_sides, 'Conv2D', 'strides', [1, 1, 1, 1]),
                           'stride 1×1 .*Conv2d_1a_3x3.* has 2×2'),
    ('frozen', 'dilation'): (functools.partial(graph_sides, 'Conv2D', 'dilations', [1, 2, 2, 1]),
                             'dilation 2×2'),
    ('frozen', 'padding'): (graph_padding, 'padding SAME .* has VALID'),
    ('frozen', 'window'): (functools.partial(graph_sides, 'MaxPool', 'ksize', [1, 2, 2, 1]),
                           'max pooling, window 2×2'),
    ('frozen', 'average'): (functools.partial(graph_op, 'MaxPool', 'AvgPool'), 'avg pooling'),
    ('frozen', 'data format'): (graph_format, 'the data format NCHW'),
    ('frozen', 'operation'): (
        functools.partial(graph_op, 'Relu', 'Abs'),
        r'Conv2d_1a_3x3/Relu \(Abs\) for its layer .*Conv2d_2a_3x3'),
    ('frozen', 'wiring'): (
        functools.partial(graph_input, 'Mixed_7b/Branch_1/Conv2d_0b_3x1/Conv2D',
                          ('0a_1x1', '0b_1x3')),
        'Conv2d_0b_1x3.* has the output of Mixed_7b/Branch_1/Conv2d_0a_1x1'),
    ('frozen', 'order'): (graph_order, 'concatenates .* the order in the network is'),
}
for name, (function, message) in {
        'tanh': (functools.partial(onnx_type, 'Relu', 'Tanh'), 'the activation tanh'),
        'order': (onnx_order, 'concatenates .* the order in the network is'),
        'stride': (functools.partial(onnx_sides, 'Conv', 'strides', [1, 1]),
                   'stride 1×1 .*Conv2d_1a_3x3.* has 2×2'),
        'dilation': (functools.partial(onnx_sides, 'Conv', 'dilations', [2, 2]), 'dilation 2×2'),
        'padding': (functools.partial(onnx_sides, 'Conv', 'pads', [1, 1, 1, 1]),
                    'padding 1, 1, 1, 1 .* has VALID'),
        'window': (functools.partial(onnx_sides, 'MaxPool', 'kernel_shape', [2, 2]),
                   'max pooling, window 2×2'),
        'average': (functools.partial(onnx_type, 'MaxPool', 'AveragePool'), 'avg pooling')}.items():
    CHANGES['onnx', name] = (function, message)
SUFFIXES = {'keras': '.h5', 'frozen': '.pb', 'onnx': '.onnx'}
EDITORS = {'keras': change_keras, 'frozen': change_graph, 'onnx': change_onnx}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A file of each format, which is read again after it was only read and written."""
    folder = tmp_path_factory.mktemp('files')
    for name, suffix in SUFFIXES.items():
        path = folder / f'model{suffix}'
        formats.export(SLIM_V2, path, format=name)
        unchanged = folder / f'unchanged{suffix}'
        shutil.copy(path, unchanged)
        EDITORS[name](unchanged, lambda _: None)
        assert checkpoint.inspect(unchanged).network == 'inception_v3'
    return folder


@pytest.mark.parametrize('name, change', CHANGES)
def test_another_structure_is_refused(name, change, files, tmp_path):
    path = tmp_path / f'model{SUFFIXES[name]}'
    shutil.copy(files / path.name, path)
    function, message = CHANGES[name, change]
    EDITORS[name](path, function)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.inspect(path)


def test_weights_only_are_named(files, tmp_path, capsys):
    for suffix in SUFFIXES.values():
        assert checkpoint.inspect(files / f'model{suffix}').has_structure
    path = tmp_path / 'model.h5'
    shutil.copy(files / 'model.h5', path)
    with h5py.File(path, 'r+') as file:
        del file.attrs['model_config']
    for name in (path, SLIM_V2):
        assert not checkpoint.inspect(name).has_structure
        assert cli.main(['inspect', str(name)]) == 0
        assert 'not in the file, which holds weights only' in capsys.readouterr().out
