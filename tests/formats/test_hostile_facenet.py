"""Damaged and changed files of FaceNet: one message that names the file and what is wrong.

The graph, the names and the ranks are those of the owning programs; the layers are narrow.
"""

import gzip
import json
import os

import h5py
from helpers import GOLDEN, golden_shapes
from inception_slim import checkpoint
from inception_slim.checkpoint import CheckpointError, _convert
from inception_slim.checkpoint.naming import is_model_tensor
from inception_slim.formats import torch_format
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

pytestmark = pytest.mark.slow

LAYER = 'InceptionResnetV1/Repeat/block35_2/Branch_1/Conv2d_0b_3x3'


def narrow(shape):
    """A value with at most four channels; the windows of convolutions are kept."""
    return np.ones([side if side in (1, 3, 7) else 4 for side in shape], np.float32)


def read_json(name):
    with gzip.open(os.path.join(GOLDEN, name), 'rt') as file:
        return json.load(file)


def write_checkpoint(folder, change):
    tensors = {name: narrow(shape) for name, shape in
               golden_shapes('inception_resnet_v1').items()}
    change(tensors)
    path = _convert.write_checkpoint(tensors, str(folder / 'model-20180402-114759.ckpt-275'))
    (folder / 'model-20180402-114759.meta').write_bytes(b'\x0a\xff')  # damaged, and not needed
    return path


def write_torch(folder, change):
    tensors = {name: narrow(shape) for name, shape in read_json('facenet_pytorch.json.gz').items()}
    change(tensors)
    torch_format.save(folder / 'vggface2.pt', tensors)
    return folder / 'vggface2.pt'


def write_keras(folder, change):
    tensors = {f'{layer}/{layer}/{weight}:0': narrow(shape) for layer, weights in
               read_json('facenet_keras.json.gz').items() for weight, shape in weights.items()}
    change(tensors)
    with h5py.File(folder / 'facenet_weights.h5', 'w') as file:
        for name, value in tensors.items():
            file[name] = value
    return folder / 'facenet_weights.h5'


def set_constant(node, value):
    node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(np.asarray(value, np.float32)))


@pytest.fixture(scope='module')
def graph():
    """FaceNet's frozen graph with its `phase_train`."""
    with gzip.open(os.path.join(GOLDEN, 'facenet_graph.pb.gz')) as file:
        definition = tf.GraphDef.FromString(file.read())
    for node in definition.node:
        if node.op == 'Const' and is_model_tensor(node.name):
            shape = [side.size for side in node.attr['value'].tensor.tensor_shape.dim]
            set_constant(node, narrow(shape))
    return definition


def write_graph(graph, folder, change):
    changed = tf.GraphDef()
    changed.CopyFrom(graph)
    change({node.name: node for node in changed.node})
    (folder / '20180402-114759.pb').write_bytes(changed.SerializeToString())
    return folder / '20180402-114759.pb'


def rename(nodes, name):
    """Stands for a node that is missing."""
    nodes[name].name = 'other'


GRAPH_CHANGES = {
    'activation': (lambda nodes: setattr(nodes[f'{LAYER}/Relu'], 'op', 'Elu'),
                   'the activation elu'),
    'scale': (lambda nodes: set_constant(nodes['InceptionResnetV1/Repeat/block35_2/mul/x'], 0.2),
              r'0\.2.* 0\.17'),
    'epsilon of a batch norm': (
        lambda nodes: setattr(next(node for name, node in nodes.items() if name.startswith(
            LAYER) and node.op == 'FusedBatchNormV3').attr['epsilon'], 'f', 0.01),
        'batch norms with 2 different epsilons'),
    'epsilon of the length': (
        lambda nodes: set_constant(nodes['embeddings/Maximum/y'], 0.5),
        'embeddings .* 0.5'),
    'missing weights': (lambda nodes: rename(nodes, f'{LAYER}/weights'), 'block35_2/Branch_1'),
    'missing variance': (lambda nodes: rename(nodes, f'{LAYER}/BatchNorm/moving_variance'),
                         'block35_2/Branch_1'),
    'wrong shape': (lambda nodes: set_constant(
        nodes[f'{LAYER}/BatchNorm/beta'], np.ones(3)), 'block35_2/Branch_1'),
    'NaN': (lambda nodes: set_constant(nodes[f'{LAYER}/BatchNorm/beta'], np.full(4, np.nan)),
            'holds NaN .*block35_2/Branch_1'),
}


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.read(path)
    assert '\n' not in str(caught.value) and os.path.basename(path) in str(caught.value)


def accepted(tensors):
    pass


@pytest.mark.parametrize('change', GRAPH_CHANGES)
def test_changed_graphs(graph, change, tmp_path):
    function, message = GRAPH_CHANGES[change]
    refused(write_graph(graph, tmp_path, function), message)


def test_unchanged_graph(graph, tmp_path):
    info, _ = checkpoint.read(write_graph(graph, tmp_path, accepted))
    assert (info.network, info.has_structure) == ('inception_resnet_v1', True)


def tensor_of(tensors, name):
    """A tensor of one layer, whose name differs between the programs."""
    return next(key for key in tensors if name in key)


NAMES = {  # a kernel, the variance and the shift of the batch norm after it
    write_checkpoint: (f'{LAYER}/weights', f'{LAYER}/BatchNorm/moving_variance',
                       f'{LAYER}/BatchNorm/beta'),
    write_torch: ('repeat_1.1.branch1.1.conv.weight', 'repeat_1.1.branch1.1.bn.running_var',
                  'repeat_1.1.branch1.1.bn.bias'),
    write_keras: ('Block35_2_Branch_1_Conv2d_0b_3x3/kernel:0',
                  'Block35_2_Branch_1_Conv2d_0b_3x3_BatchNorm/moving_variance:0',
                  'Block35_2_Branch_1_Conv2d_0b_3x3_BatchNorm/beta:0')}
CHANGES = {
    'missing weights': lambda tensors, names: tensors.pop(tensor_of(tensors, names[0])),
    'missing variance': lambda tensors, names: tensors.pop(tensor_of(tensors, names[1])),
    'wrong shape': lambda tensors, names: tensors.update(
        {tensor_of(tensors, names[2]): np.ones(3, np.float32)}),
    'wrong rank': lambda tensors, names: tensors.update(
        {tensor_of(tensors, names[0]): np.ones((4, 4, 4), np.float32)}),
    'NaN': lambda tensors, names: tensors.update(
        {tensor_of(tensors, names[2]): np.full(4, np.nan, np.float32)}),
}


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('write', NAMES)
def test_changed_weights(write, change, tmp_path):
    path = write(tmp_path, lambda tensors: CHANGES[change](tensors, NAMES[write]))
    refused(path, r'(?i)(block35_2|repeat_1[./]1)[._/]branch_?1')


@pytest.mark.parametrize('write', NAMES)
def test_unchanged_and_truncated_weights(write, graph, tmp_path):
    path = write(tmp_path, accepted)
    assert checkpoint.inspect(path).network == 'inception_resnet_v1'
    file = next(name for name in tmp_path.iterdir() if '.data-' in name.name
                or str(name) == str(path))
    content = file.read_bytes()
    for size in (len(content) // 2, 100, 0):
        file.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=os.path.basename(path)) as caught:
            checkpoint.read(path)
        assert '\n' not in str(caught.value)


def test_truncated_graph(graph, tmp_path):
    path = write_graph(graph, tmp_path, accepted)
    content = path.read_bytes()
    for size in (len(content) - 10, len(content) // 2, 100, 0):
        path.write_bytes(content[:size])
        refused(path, r'\.pb (is|has|declares)')
