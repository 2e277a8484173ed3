"""Files of FaceNet and facenet-pytorch: embeddings equal those of the owning programs."""

import gzip
import json
import os

from golden.weights import images, torch_weights_for, weights_for
import h5py
from helpers import GOLDEN, close_to, golden_arrays, load_golden_weights, quick_session
from inception_slim import checkpoint, formats, inference
from inception_slim.checkpoint.naming import is_model_tensor
from inception_slim.errors import CheckpointError, ExportError
from inception_slim.formats import state_dicts, torch_format
from inception_slim.nets import inception_resnet_v1 as network
import numpy as np
import pytest
import tensorflow.compat.v1 as tf


def read_json(name):
    with gzip.open(os.path.join(GOLDEN, name), 'rt') as file:
        return json.load(file)


def embed(path, batch):
    with inference.load(path, engine='session') as predictor:
        return predictor.features(batch)


@pytest.fixture(scope='module')
def frozen_graph(tmp_path_factory):
    """FaceNet's own frozen graph, whose batch norm switches by `phase_train`, with the weights."""
    with gzip.open(os.path.join(GOLDEN, 'facenet_graph.pb.gz')) as file:
        definition = tf.GraphDef.FromString(file.read())
    for node in definition.node:
        if node.op == 'Const' and is_model_tensor(node.name):
            shape = [side.size for side in node.attr['value'].tensor.tensor_shape.dim]
            node.attr['value'].tensor.CopyFrom(
                tf.make_tensor_proto(weights_for(node.name, shape)))
    path = tmp_path_factory.mktemp('facenet') / '20180402-114759.pb'
    path.write_bytes(definition.SerializeToString())
    return str(path)


@pytest.mark.slow
class TestFrozenGraph:

    def test_embeddings(self, frozen_graph, tmp_path):
        info = checkpoint.inspect(frozen_graph)
        assert (info.network, info.embedding_size, info.input_range) == (
            'inception_resnet_v1', 512, 'facenet')
        checkpoint.convert(frozen_graph, tmp_path / 'raw', input_range='inception')
        batch, expected = images(2, 160), golden_arrays('inception_resnet_v1')
        np.testing.assert_allclose(embed(tmp_path / 'raw', batch), expected['prelogits_512'],
                                   **close_to(expected['prelogits_512']))
        # The file itself, by TensorFlow, on images as FaceNet's scripts scale them.
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(tf.GraphDef.FromString(open(frozen_graph, 'rb').read()), name='')
            embeddings = session.run('embeddings:0', {
                'input:0': batch * 127.5 / 128, 'phase_train:0': False})
        found = embed(frozen_graph, batch)
        np.testing.assert_allclose(found / np.linalg.norm(found, axis=1, keepdims=True),
                                   embeddings, atol=1e-5)

    def test_restores_into_facenets_graph(self, frozen_graph):
        """The weights are not scaled, because FaceNet's scripts scale the images."""
        with tf.Graph().as_default(), quick_session() as session:
            inputs = tf.placeholder(tf.float32, (None, 160, 160, 3))
            net, _ = network.inference(inputs, 1.0, False, 512)
            load_golden_weights(session)
            session.run([tf.assign(variable, tf.zeros_like(variable))
                         for variable in tf.model_variables()[:1]])
            checkpoint.restore(session, frozen_graph)
            found = session.run(net, {inputs: images(2, 160)})
        expected = golden_arrays('inception_resnet_v1')['prelogits_512']
        np.testing.assert_allclose(found, expected, **close_to(expected))


@pytest.mark.slow
class TestPyTorch:

    @pytest.fixture(scope='class')
    def state_dict(self, tmp_path_factory):
        path = tmp_path_factory.mktemp('torch') / '20180402-114759-vggface2.pt'
        torch_format.save(path, {name: torch_weights_for(name, shape) for name, shape in
                                 read_json('facenet_pytorch.json.gz').items()})
        return path

    def test_embeddings(self, state_dict):
        info = checkpoint.inspect(state_dict)
        assert (info.network, info.naming, info.input_range) == (
            'inception_resnet_v1', 'facenet-pytorch', 'facenet')
        assert 'logits.bias, logits.weight' in info.notes[0]
        found = embed(state_dict, images(2, 160))
        np.testing.assert_allclose(found / np.linalg.norm(found, axis=1, keepdims=True),
                                   golden_arrays('facenet_pytorch')['embeddings'], atol=1e-5)

    @pytest.mark.parametrize('format', ['torch', 'safetensors'])
    def test_export(self, state_dict, format, tmp_path):
        result = formats.export(state_dict, tmp_path / 'out', format=format)
        assert result.max_difference < 1e-6
        _, weights = checkpoint.read(state_dict)
        for name, value in checkpoint.read(result.path)[1].items():
            np.testing.assert_array_equal(value, weights[name])
        shapes = {name: list(value.shape) for name, value in state_dicts.state_dict(
            *checkpoint.read(result.path)).items()}
        assert shapes == {name: shape for name, shape in read_json(
            'facenet_pytorch.json.gz').items() if not name.startswith('logits.')}

    def test_timm_and_incomplete_files_are_refused(self, state_dict, tmp_path):
        with pytest.raises(ExportError, match='timm does not have .*; choose torch'):
            formats.export(state_dict, tmp_path / 'out', format='timm')
        shapes = read_json('facenet_pytorch.json.gz')
        torch_format.save(tmp_path / 'cut.pt', {
            name: torch_weights_for(name, shape) for name, shape in shapes.items()
            if not name.startswith('last_linear')})
        with pytest.raises(CheckpointError, match='last_linear of Inception-ResNet V1 is missing'):
            checkpoint.inspect(tmp_path / 'cut.pt')


@pytest.mark.slow
class TestKeras:

    def test_embeddings(self, tmp_path):
        """A file of weights in Keras 2's layout, as deepface and facenet_keras publish them."""
        layers = read_json('facenet_keras.json.gz')
        with h5py.File(tmp_path / 'facenet_weights.h5', 'w') as file:
            file.attrs['layer_names'] = [name.encode() for name in layers]
            for name, weights in layers.items():
                group = file.create_group(name)
                group.attrs['weight_names'] = [f'{name}/{weight}:0'.encode() for weight in weights]
                for weight, shape in weights.items():
                    group[f'{name}/{weight}:0'] = weights_for(f'{name}/{weight}', shape)
        info = checkpoint.inspect(tmp_path / 'facenet_weights.h5')
        assert (info.network, info.naming, info.embedding_size, info.input_range) == (
            'inception_resnet_v1', 'facenet_keras', 128, 'prewhiten')
        found = embed(info.path, images(2, 160))
        expected = golden_arrays('facenet_keras')['embeddings']
        np.testing.assert_allclose(found, expected, **close_to(expected, 1e-5))
