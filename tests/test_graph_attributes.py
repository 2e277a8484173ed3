"""Graphs without the attributes that TensorFlow 1.15.5 does not know."""

import os

from acceptance.compare_with_tf1 import SCRIPTS
import fork_server
from google.protobuf import text_format
from helpers import GOLDEN
from inception_slim import formats
from inception_slim._graph_attributes import attributes_in_1_15, leave_out_new_attributes
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
CHECKPOINT = os.path.join(GOLDEN, 'legacy_scripts', 'inception_v3.ckpt')


def unknown_attributes(graph_def):
    """The (operation, attribute) pairs that 1.15.5 would reject."""
    known = attributes_in_1_15()
    nodes = [*graph_def.node,
             *(node for function in graph_def.library.function for node in function.node_def)]
    assert nodes
    return {(node.op, name) for node in nodes if node.op in known for name in node.attr
            if not name.startswith('_') and name not in known[node.op]}


def read(path):
    if os.path.isdir(path):
        model = saved_model_pb2.SavedModel()
        with open(os.path.join(path, 'saved_model.pb'), 'rb') as file:
            model.ParseFromString(file.read())
        return model.meta_graphs[0].graph_def
    message = v1.MetaGraphDef() if path.endswith('.meta') else v1.GraphDef()
    with open(path, 'rb') as file:
        if path.endswith('.pbtxt'):
            text_format.Merge(file.read(), message)
        else:
            message.ParseFromString(file.read())
    return message.graph_def if path.endswith('.meta') else message


@pytest.fixture
def graph_def():
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, (None, 4, 4, 2))
        net = v1.nn.fused_batch_norm(images, [1., 1.], [0., 0.], is_training=True,
                                     exponential_avg_factor=1.0)[0]
        product = tf.matmul(tf.reshape(net, (-1, 2)), tf.ones((2, 2)))
        v1.gradients(product, images)
        v1.get_variable('v', 1, use_resource=True)
        tf.data.Dataset.range(3).map(lambda number: number + 1)
    return graph.as_graph_def(add_shapes=True)


def test_leaves_out_defaults_and_names(graph_def):
    before = unknown_attributes(graph_def)
    assert {('MatMul', 'grad_a'), ('FusedBatchNormV3', 'exponential_avg_factor'),
            ('VarHandleOp', 'debug_name'), ('RangeDataset', 'metadata')} <= before
    names = [node.name for node in graph_def.node]
    assert leave_out_new_attributes(graph_def) is graph_def
    assert not unknown_attributes(graph_def)
    assert [node.name for node in graph_def.node] == names
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name='')


@pytest.mark.parametrize('operation, name, value', [
    ('FusedBatchNormV3', 'exponential_avg_factor', v1.AttrValue(f=0.5)),
    ('MatMul', 'transpose_a', v1.AttrValue(b=False)), ('BatchMatMulV3', 'grad_x', None),
    ('MatMul', '_class', v1.AttrValue())])
def test_keeps_other_attributes(operation, name, value):
    node = v1.NodeDef(op=operation, attr={name: value or v1.AttrValue(b=False)})
    graph_def = leave_out_new_attributes(v1.GraphDef(node=[node]))
    assert list(graph_def.node[0].attr) == [name]


@pytest.mark.parametrize('format', ['frozen', 'saved-model'])
@pytest.mark.slow
def test_exports_have_none(format, tmp_path):
    path = str(tmp_path / 'exported')
    formats.export(CHECKPOINT, path, format=format)
    assert not unknown_attributes(read(path))


@pytest.mark.slow
def test_files_of_scripts_have_none(tmp_path):
    os.symlink(os.path.join(GOLDEN, 'legacy_scripts'), tmp_path / 'data')
    process = fork_server.module('inception_slim', 'run', SCRIPTS['write_graphs'].path,
                                 folder=str(tmp_path))
    assert process.returncode == 0, process.stderr
    for name in ('graph.pbtxt', 'graph.pb', 'constant.pb', 'frozen.pb', 'saved_model',
                 'model.ckpt.meta'):
        assert not unknown_attributes(read(str(tmp_path / name))), name
