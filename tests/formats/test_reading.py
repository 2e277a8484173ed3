"""Reading files of other libraries.

Names and shapes are recorded from the libraries (golden/foreign_names.json.gz); weights are those
of the reference outputs of TensorFlow 1.15.5. `make test-formats` runs the libraries themselves.
"""

import gc
import gzip
import io
import json
import os
import pickletools
import re
import tarfile
import tempfile
import warnings

from golden import graph_of_2015
from golden.weights import images
import h5py
from helpers import GOLDEN, close_to, golden_arrays, golden_shapes, golden_weights
import inception_slim
from inception_slim import checkpoint, formats, inference
from inception_slim.checkpoint import CheckpointError
from inception_slim.formats import (
    ExportError,
    frozen_graph,
    keras_reader,
    safetensors_format,
    state_dicts,
    torch_format,
)
import numpy as np
import pytest
import safetensors.numpy
import tensorflow.compat.v1 as tf
import tf_slim as slim

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
GAMMA = os.path.join(GOLDEN, 'checkpoints', 'gamma', 'model.ckpt-157585')


@pytest.fixture(scope='module')
def names():
    with gzip.open(os.path.join(GOLDEN, 'foreign_names.json.gz'), 'rt') as file:
        return json.load(file)


@pytest.fixture(scope='module')
def narrow():
    """A session of a graph that fits the golden checkpoints, and the name of its output."""
    with tf.Graph().as_default() as graph, slim.arg_scope(
            inception_slim.inception_v3_arg_scope()):
        _, end_points = inception_slim.inception_v3(
            tf.placeholder(tf.float32, (None, 299, 299, 3), 'input'), num_classes=11,
            is_training=False, depth_multiplier=0.05, min_depth=4)
    session = tf.Session(graph=graph)
    yield session, end_points['Predictions'].op.name
    session.close()


def slim_layers_in_order(weights):
    """TF-Slim's layers in the order in which all libraries build them."""
    return list(dict.fromkeys(name.removesuffix('/weights') for name in weights
                              if name.endswith('/weights')))


def make_state_dict(recorded, weights, network):
    """The weights under the recorded names; heads come last."""
    heads = {'AuxLogits', 'Logits'}
    ours = slim_layers_in_order(weights)
    if not any(name.startswith('AuxLogits') for name, _ in recorded):
        ours = [name for name in ours if not name.startswith('AuxLogits/')]
    modules = {}
    for name, shape in recorded:
        module, parameter = name.rsplit('.', 1)
        if module.endswith(('.conv', '.bn')):
            module, _, part = module.rpartition('.')
            parameter = f'{part}.{parameter}'
        modules.setdefault(module, {})[parameter] = shape
    # torchvision and timm define the auxiliary head before the last blocks, TF-Slim after them.
    order = sorted(modules, key=lambda item: item.split('.')[0] in heads)
    order += [order.pop(order.index(head)) for head in ('fc', 'last_linear', 'classif')
              if head in order]
    if network == 'inception_resnet_v2':  # whose conv2d_7b is defined after block8
        assert order[-2:] == ['conv2d_7b', 'classif']
    assert len(order) == len(ours)
    state = {}
    for module, layer in zip(order, ours):
        for parameter, shape in modules[module].items():
            kind = parameter.split('.')[-1]
            if parameter in ('conv.weight', 'weight'):
                value = weights[f'{layer}/weights']
                value = value.reshape(value.shape[-2:]).T if len(shape) == 2 else (
                    value.transpose(3, 2, 0, 1))
            elif kind == 'num_batches_tracked':
                value = np.array(3, np.int64)
            elif parameter == 'bias':
                value = weights[f'{layer}/biases']
            else:
                slims = {'bias': 'beta', 'running_mean': 'moving_mean',
                         'running_var': 'moving_variance'}
                value = np.ones(shape, np.float32) if kind == 'weight' else (
                    weights[f'{layer}/BatchNorm/{slims[kind]}'])
            if layer not in ('Logits/Conv2d_1c_1x1', 'AuxLogits/Conv2d_2b_1x1', 'Logits/Logits'):
                assert list(value.shape) == shape, (module, layer)
            state[f'{module}.{parameter}'] = np.ascontiguousarray(value)
    return state


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


class TestPyTorch:

    @pytest.mark.parametrize('key', [
        'torchvision/inception_v3', pytest.param('timm/inception_v4', marks=pytest.mark.slow),
        pytest.param('timm/inception_resnet_v2', marks=pytest.mark.slow)])
    def test_round_trip_is_exact(self, tmp_path, names, key):
        network = key.split('/')[1]
        weights = golden_weights(network)
        if network != 'inception_v3':
            weights = {name: value for name, value in weights.items()
                       if not name.startswith('AuxLogits/')}
        state = make_state_dict(names[key], weights, network)
        safetensors_format.save(tmp_path / 'model.safetensors', {
            f'module.{name}': value for name, value in state.items()}, {})
        info, actual = checkpoint.read(tmp_path / 'model.safetensors')
        assert (info.network, info.has_gammas) == (network, False)
        assert info.pooling == ('padded' if network == 'inception_v3' else 'average')
        assert info.has_aux_logits == (network == 'inception_v3')
        assert_same(actual, weights)
        again = state_dicts.state_dict(info, actual)
        assert_same({name: value for name, value in again.items() if not name.endswith('tracked')},
             {name: value for name, value in state.items() if not name.endswith('tracked')})
        assert list(again) == list(state) or network == 'inception_v3'

    @pytest.mark.slow
    def test_predicts_as_tensorflow(self, tmp_path, names):
        """TF-Slim's weights with PyTorch's names, compared with TensorFlow 1.15.5."""
        safetensors_format.save(tmp_path / 'model.safetensors', make_state_dict(
            names['torchvision/inception_v3'], golden_weights('inception_v3'), 'inception_v3'), {})
        info, actual = checkpoint.read(tmp_path / 'model.safetensors', pooling='average')
        assert info.pooling == 'average'
        logits, _ = frozen_graph.predict(info, actual, images(2))
        expected = golden_arrays('inception_v3')['logits']
        np.testing.assert_allclose(logits, expected, **close_to(expected))

    @pytest.mark.slow
    def test_exports_and_reads_again(self, tmp_path, names):
        weights = golden_weights('inception_v3')
        state = make_state_dict(names['torchvision/inception_v3'], weights, 'inception_v3')
        state['Mixed_5b.branch1x1.bn.weight'] += 1
        torch_format.save(tmp_path / 'in.pth', state)
        result = formats.export(tmp_path / 'in.pth', tmp_path / 'out.safetensors',
                             format='safetensors')
        assert result.max_difference == 0
        written = safetensors.numpy.load_file(tmp_path / 'out.safetensors')
        state = {name: np.int64(0) * value if name.endswith('tracked') else value
                 for name, value in state.items()}
        assert_same(written, state)
        checkpoint.convert(tmp_path / 'out.safetensors', tmp_path / 'slim.ckpt')
        info, actual = checkpoint.read(tmp_path / 'slim.ckpt')
        assert (info.pooling, info.has_gammas) == ('padded', True)
        assert_same(actual, checkpoint.read(tmp_path / 'in.pth')[1])
        result = formats.export(tmp_path / 'slim.ckpt', tmp_path / 'timm', format='timm')
        config = json.loads((tmp_path / 'timm' / 'config.json').read_text())
        assert (config['architecture'], config['num_classes']) == ('inception_v3', 1000)
        info, _ = checkpoint.read(tmp_path / 'timm')
        assert (info.pooling, info.has_aux_logits) == ('padded', False)

    def test_pickle_is_that_of_torch_save(self):
        """The instructions, and the calls that PyTorch's own reader allows with weights_only."""
        state = {'a': np.zeros((3, 4), np.float32), 'b': np.zeros((), np.int64)}
        code = torch_format._pickle_state_dict(state)
        pickletools.dis(code, io.StringIO())  # raises for an invalid program
        called = [value for kind, value, _ in pickletools.genops(code) if kind.name == 'GLOBAL']
        assert set(called) == {'collections OrderedDict', 'torch._utils _rebuild_tensor_v2',
                               'torch FloatStorage', 'torch LongStorage'}

    def test_rejects_networks_that_pytorch_lacks(self, tmp_path):
        weights = {f'InceptionV3/{name}': value
                   for name, value in golden_weights('inception_v3').items()}
        checkpoint._convert.write_checkpoint(weights, str(tmp_path / 'slim'), 1)
        with pytest.raises(ExportError, match='includes the padding.*--pooling padded'):
            formats.export(tmp_path / 'slim', tmp_path / 'out.pth', format='torch')
        with pytest.raises(ExportError, match='at full width only'):
            formats.export(SLIM_V2, tmp_path / 'out.pth', format='torch', pooling='padded')
        v1 = os.path.join(GOLDEN, 'checkpoints', 'inception_v1', 'model.ckpt-157585')
        with pytest.raises(ExportError, match='Neither torchvision nor timm'):
            formats.export(v1, tmp_path / 'out.pth', format='torch')
        assert not (tmp_path / 'out.pth').exists()

    @pytest.mark.slow
    def test_folds_input_scaling(self, tmp_path, names):
        """The config.json of timm's gluon weights records the scaling of images."""
        weights = golden_weights('inception_v3')
        state = make_state_dict(names['timm/inception_v3'], weights, 'inception_v3')
        safetensors_format.save(tmp_path / 'model.safetensors', state, {'pooling': 'average'})
        mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        (tmp_path / 'config.json').write_text(json.dumps(
            {'pretrained_cfg': {'mean': mean, 'std': deviation}}))
        plain, values = checkpoint.read(tmp_path / 'model.safetensors', input_range='inception')
        info, folded = checkpoint.read(tmp_path)
        assert 'folded into Conv2d_1a_3x3' in info.notes[0]
        _, values_imagenet = checkpoint.read(tmp_path / 'model.safetensors',
                                             input_range='imagenet')
        assert_same(values_imagenet, folded)
        scaled = np.float32(((images(1) + 1) / 2 - mean) / deviation)
        expected, _ = frozen_graph.predict(plain, values, scaled)
        actual, _ = frozen_graph.predict(info, folded, images(1))
        np.testing.assert_allclose(actual, expected, **close_to(expected))


class TestKeras:

    def write_file(self, path, recorded, weights, config=None):
        """Writes an HDF5 file as Keras 2 does, with the weights in TF-Slim's order."""
        unnamed = [layer for layer in slim_layers_in_order(
            name.removeprefix('InceptionV3/') for name in golden_shapes('inception_v3'))
            if not layer.startswith(('AuxLogits/', 'Logits/'))]
        made = {kind: sorted((number, name) for name, layer_kind, number, _ in recorded
                             if layer_kind == kind)
                for kind in ('Conv2D', 'BatchNormalization')}
        with h5py.File(path, 'w') as file:
            group = file.create_group('model_weights')
            for layers in made.values():
                assert len(layers) == len(unnamed)
                for (_, name), layer in zip(layers, unnamed):
                    shapes = next(entry[3] for entry in recorded if entry[0] == name)
                    for parameter, shape in shapes:
                        ours = 'weights' if parameter == 'kernel' else f'BatchNorm/{parameter}'
                        value = weights[f'{layer}/{ours}']
                        if value.shape[-1] == shape[-1]:
                            assert list(value.shape) == shape
                        group[f'{name}/{name}/{parameter}:0'] = value
            head = weights['Logits/Conv2d_1c_1x1/weights']
            group['predictions/predictions/kernel:0'] = head.reshape(head.shape[-2:])
            group['predictions/predictions/bias:0'] = weights['Logits/Conv2d_1c_1x1/biases']
            if config is not None:
                file.attrs['model_config'] = json.dumps(config)

    def test_reads_keras_applications(self, tmp_path, names):
        _, weights = checkpoint.read(SLIM_V2)
        self.write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], weights)
        info, actual = checkpoint.read(tmp_path / 'model.h5')
        assert (info.naming, info.num_classes) == ('keras.applications', 11)
        assert_same(actual, {name: value for name, value in weights.items()
                             if 'AuxLogits' not in name})
        expected = golden_arrays('checkpoints')['slim_v2']
        with inference.load(tmp_path / 'model.h5') as predictor:
            np.testing.assert_allclose(predictor.logits(images(2)), expected, **close_to(expected))

    def config(self, names, top, epsilon=0.001):
        layers = [{'class_name': kind, 'name': name, 'config': (
            {'epsilon': epsilon} if kind == 'BatchNormalization' else {})}
            for name, kind, _, _ in names if name != 'predictions']
        return {'class_name': 'Functional', 'config': {'layers': [*layers, *(
            {'class_name': kind, 'name': name, 'config': config} for kind, name, config in top)]}}

    def test_shifts_epsilon(self, tmp_path, names):
        _, weights = checkpoint.read(SLIM_V2)
        other = {name: np.float32(value + 0.0009) if name.endswith('variance') else value
                 for name, value in weights.items()}
        self.write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], other, self.config(
            names['keras/InceptionV3'],
            [('GlobalAveragePooling2D', 'pool', {}),
             ('Dense', 'predictions', {'activation': 'softmax'})], epsilon=1e-4))
        info, actual = checkpoint.read(tmp_path / 'model.h5')
        assert info.notes[0].startswith('Batch norm used epsilon 0.0001')
        for name, value in actual.items():
            np.testing.assert_allclose(value, weights[name], atol=2e-7)

    def test_layers_of_nested_models_are_numbered_for_themselves(self):
        """As tf_keras and older releases of Keras 3 number them in `.keras` files."""
        def model(kind, *layers):
            return {'class_name': kind, 'config': {'layers': list(layers)}}

        convolution, last = ({'class_name': 'Conv2D', 'config': {'name': name}}
                             for name in ('conv2d_8', 'conv2d_94'))
        assert keras_reader._names_by_path(model('Sequential', model('Functional', convolution),
                                                 last)) == {
            ('functional', 'conv2d'): 'conv2d_8', ('conv2d',): 'conv2d_94'}

    def test_batch_norm_of_a_head_that_was_created_first(self, tmp_path, names):
        """It has the number 0; the inputs of the layers tell it from those of the base network."""
        _, weights = checkpoint.read(SLIM_V2)
        recorded = [(f'batch_normalization_{number + 1}' if kind == 'BatchNormalization' else name,
                     kind, number, shapes)
                    for name, kind, number, shapes in names['keras/InceptionV3']]
        convolutions = {number: name for name, kind, number, _ in recorded if kind == 'Conv2D'}
        inputs = {name: convolutions[number] for name, kind, number, _ in recorded
                  if kind == 'BatchNormalization'} | {'batch_normalization': 'predictions'}
        config = self.config(recorded, [
            ('GlobalAveragePooling2D', 'pool', {}), ('Dense', 'predictions', {}),
            ('BatchNormalization', 'batch_normalization', {'epsilon': 0.01})])
        for layer in config['config']['layers']:
            if layer['name'] in inputs:
                layer['inbound_nodes'] = [[[inputs[layer['name']], 0, 0, {}]]]
        self.write_file(tmp_path / 'model.h5', recorded, weights, config)
        with h5py.File(tmp_path / 'model.h5', 'a') as file:
            for name, value in (('gamma', 2), ('moving_mean', 0.5), ('moving_variance', 0.99)):
                file[f'model_weights/batch_normalization/{name}:0'] = np.full(11, value, 'f')
        _, actual = checkpoint.read(tmp_path / 'model.h5')
        for name, value in weights.items():
            if name == 'Logits/Conv2d_1c_1x1/weights':
                value = 2 * value
            elif name == 'Logits/Conv2d_1c_1x1/biases':
                value = 2 * (value - 0.5)
            if 'AuxLogits' not in name:
                np.testing.assert_allclose(actual[name], value, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize('top', [
        [('Dense', 'predictions', {'activation': 'sigmoid'})],
        pytest.param([('Dense', 'predictions', {}),
                      ('Activation', 'act', {'activation': 'sigmoid'})], marks=pytest.mark.slow)])
    def test_one_output_with_a_sigmoid_is_two_classes(self, tmp_path, names, top):
        """The probability of class 1 is the sigmoid of a logit of TensorFlow 1.15.5."""
        _, weights = checkpoint.read(SLIM_V2)
        for parameter in ('weights', 'biases'):
            value = weights[f'Logits/Conv2d_1c_1x1/{parameter}']
            weights[f'Logits/Conv2d_1c_1x1/{parameter}'] = value[..., 3:4]
        self.write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], weights, self.config(
            names['keras/InceptionV3'], [('GlobalAveragePooling2D', 'pool', {}), *top]))
        expected = 1 / (1 + np.exp(-golden_arrays('checkpoints')['slim_v2'][:, 3]))
        checkpoint.convert(tmp_path / 'model.h5', tmp_path / 'slim')
        assert checkpoint.inspect(tmp_path / 'model.h5').notes == (
            'The classifier has one output, whose sigmoid is the probability of class 1. It is '
            'read as two classes: 0, the complement, and 1.',)
        for path in ('model.h5', 'slim'):
            with inference.load(tmp_path / path) as predictor:
                predictions = predictor.predict(images(2))
            np.testing.assert_allclose(predictions[:, 1], expected, rtol=1e-4)
            np.testing.assert_allclose(predictions[:, 0], 1 - expected, atol=1e-6)

    @pytest.mark.parametrize('top, message', [
        ([('GlobalAveragePooling2D', 'pool', {}), ('Dense', 'predictions', {}),
          ('Activation', 'act', {'activation': 'tanh'})],
         r'act \(Activation\) has the activation tanh'),
        ([('GlobalAveragePooling2D', 'pool', {}), ('LayerNormalization', 'norm', {}),
          ('Dense', 'predictions', {'activation': 'elu'})],
         r'norm \(LayerNormalization\) is not supported here; predictions \(Dense\) has the '
         'activation elu'),
        ([('GlobalAveragePooling2D', 'pool', {}), ('Dropout', 'drop', {}),
          ('Dense', 'predictions', {'inbound_nodes': [[['pool', 0, 0, {}]]]})],
         r'predictions \(Dense\) takes pool instead of drop'),
        ([('AveragePooling2D', 'pool', {'pool_size': [4, 4]}), ('Dense', 'predictions', {})],
         'pool .* does not pool the whole grid of 8×8'),
        ([('GlobalAveragePooling2D', 'pool', {}), ('Dense', 'predictions', {'activation': 'relu'})],
         'the activation of the last one is relu'),
        ([('Flatten', 'flat', {}), ('Dense', 'predictions', {})],
         r'predictions has the shape \[\d+, 11\] and takes \d+ values')])
    def test_names_layers_that_cannot_be_mapped(self, tmp_path, names, top, message):
        _, weights = checkpoint.read(SLIM_V2)
        self.write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], weights,
                        self.config(names['keras/InceptionV3'], top))
        info = checkpoint.inspect(tmp_path / 'model.h5')
        assert info.num_classes is None and re.search(message, info.notes[0])

    @pytest.mark.slow
    def test_reads_base_network_if_head_is_unsupported(self, tmp_path, names):
        _, weights = checkpoint.read(SLIM_V2)
        self.write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], weights, self.config(
            names['keras/InceptionV3'], [('GlobalAveragePooling2D', 'pool', {}),
                                         ('Dense', 'predictions', {'activation': 'tanh'})]))
        info, actual = checkpoint.read(tmp_path / 'model.h5')
        assert info.num_classes is None and 'Only the base network is read.' in info.notes[0]
        assert_same(actual, {name: value for name, value in weights.items()
                             if 'Logits' not in name})
        with pytest.raises(CheckpointError, match='cannot be written as keras, only as .*onnx'):
            formats.export(tmp_path / 'model.h5', tmp_path / 'out.h5', format='keras')
        images = np.random.RandomState(0).uniform(-1, 1, (2, 299, 299, 3)).astype('f')
        with inference.load(tmp_path / 'model.h5') as predictor:
            expected = predictor.features(images)
            assert predictor.features(images[:0]).shape == (0, expected.shape[1])
            with pytest.raises(CheckpointError, match='has no classifier'):
                predictor.predict(images)
        result = formats.export(tmp_path / 'model.h5', tmp_path / 'out.pb', format='frozen')
        assert result.same_top1 is None and result.max_difference < 1e-5
        definition = tf.GraphDef.FromString((tmp_path / 'out.pb').read_bytes())
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(definition, name='')
            features = session.run('features:0', {'input:0': images})
        np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())


class TestGraphs:

    @pytest.mark.parametrize('pooling, names', [
        ('padded', ['frozen', 'keras']), pytest.param('2015', ['keras'], marks=pytest.mark.slow),
        pytest.param('average', ['saved-model', 'onnx'], marks=pytest.mark.slow)])
    @pytest.mark.slow
    def test_exports_record_the_pooling(self, tmp_path, pooling, names):
        """Weights are exactly the same when read again."""
        checkpoint.convert(GAMMA, tmp_path / 'slim', pooling=pooling)
        info, weights = checkpoint.read(tmp_path / 'slim')
        assert info.pooling == pooling
        for format in names:
            formats.export(tmp_path / 'slim', tmp_path / format, format=format)
            again, actual = checkpoint.read(tmp_path / format)
            assert again.pooling == pooling
            expected = weights if format == 'keras' else inference.fold_batch_norm(
                {name: value.copy() for name, value in weights.items()})
            assert_same(actual, {name: value for name, value in expected.items()
                         if 'AuxLogits' not in name})

    @pytest.mark.slow
    def test_reads_freeze_graph(self, tmp_path, narrow):
        """Graphs of freeze_graph have batch norm, with its epsilon."""
        session, output = narrow
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            checkpoint.restore(session, SLIM_V2)
        assert not [item for item in caught if 'pooling' in str(item.message)]
        with session.graph.as_default():
            frozen = tf.graph_util.convert_variables_to_constants(
                session, session.graph.as_graph_def(), [output])
        (tmp_path / 'frozen.pb').write_bytes(frozen.SerializeToString())
        info, actual = checkpoint.read(tmp_path / 'frozen.pb')
        assert (info.format, info.num_classes) == ('frozen graph', 11)
        assert_same(actual, {name: value for name, value in checkpoint.read(SLIM_V2)[1].items()
                     if 'AuxLogits' not in name})
        for node in frozen.node:
            if node.op.startswith('FusedBatchNorm'):
                node.attr['epsilon'].f = 0.002
        (tmp_path / 'other.pb').write_bytes(frozen.SerializeToString())
        info, shifted = checkpoint.read(tmp_path / 'other.pb')
        assert info.notes[0].startswith('Batch norm used epsilon 0.002')
        name = 'Mixed_5b/Branch_0/Conv2d_0a_1x1/BatchNorm/moving_variance'
        np.testing.assert_allclose(shifted[name], actual[name] + 0.001, rtol=1e-6)

    def test_reads_graph_of_2015(self, tmp_path):
        definition = graph_of_2015.draw()
        (tmp_path / 'graph.pb').write_bytes(definition.SerializeToString())
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(definition, name='')
            expected = session.run('softmax/logits:0',
                                   {'ResizeBilinear:0': (images(2) + 1) * 127.5})
        checkpoint.convert(tmp_path / 'graph.pb', tmp_path / 'slim')
        for path in ('graph.pb', 'slim'):
            info, weights = checkpoint.read(tmp_path / path)
            assert (info.num_classes, info.pooling, info.has_gammas) == (1008, '2015', True)
            logits, _ = frozen_graph.predict(info, weights, images(2))
            np.testing.assert_allclose(logits, expected, **close_to(expected))

    def test_rejects_graph_of_2014(self, tmp_path):
        definition = tf.GraphDef()
        for name in ('conv2d0_w', 'conv2d0_b'):
            node = definition.node.add(name=name, op='Const')
            node.attr['dtype'].type = tf.float32.as_datatype_enum
            node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(np.zeros(3, np.float32)))
        (tmp_path / 'tensorflow_inception_graph.pb').write_bytes(definition.SerializeToString())
        with pytest.raises(CheckpointError, match='V1 of 2014.*local response normalization'):
            checkpoint.inspect(tmp_path / 'tensorflow_inception_graph.pb')

    def test_reads_tf1_saved_model(self, tmp_path):
        """TF-Hub modules for TensorFlow 1 have variables under `module/`."""
        _, weights = checkpoint.read(SLIM_V2)
        (tmp_path / 'variables').mkdir()
        checkpoint._convert.write_checkpoint(
            {f'module/InceptionV3/{name}': value for name, value in weights.items()},
            str(tmp_path / 'variables' / 'variables'), 1)
        (tmp_path / 'saved_model.pb').write_bytes(b'')
        info, actual = checkpoint.read(tmp_path)
        assert (info.format, info.scope) == ('SavedModel', 'module/InceptionV3')
        assert_same(actual, weights)

    @pytest.mark.slow
    def test_reads_tf2_saved_model(self, tmp_path):
        """TensorFlow 2 saves variables under keys, with the names in an object graph."""
        import tensorflow

        _, weights = checkpoint.read(SLIM_V2)
        module = tensorflow.Module()
        module.all = [tensorflow.Variable(value, name=f'InceptionV3/{name}')
                      for name, value in weights.items()]
        tensorflow.saved_model.save(module, str(tmp_path / 'saved'))
        assert_same(checkpoint.read(tmp_path / 'saved')[1], weights)


class TestTensorFlowJs:

    def test_reads_layers_model(self, tmp_path, names):
        """Quantized and float weights, across the ends of files."""
        _, weights = checkpoint.read(SLIM_V2)
        ours = TestKeras()
        recorded = names['keras/InceptionV3']
        ours.write_file(tmp_path / 'model.h5', recorded, weights)
        entries, content = [], b''
        with h5py.File(tmp_path / 'model.h5') as file:
            for layer in file['model_weights']:
                for parameter, data in file[f'model_weights/{layer}/{layer}'].items():
                    value = data[()]
                    entry = {'name': f'{layer}/{parameter[:-2]}', 'shape': value.shape,
                             'dtype': 'float32'}
                    if parameter == 'beta:0':
                        entry['quantization'] = {'dtype': 'uint8', 'min': -1.0, 'scale': 1 / 128}
                        value = np.round((value + 1) * 128).astype(np.uint8)
                    entries.append(entry)
                    content += value.tobytes()
        for number in range(3):
            (tmp_path / f'part{number}').write_bytes(
                content[number * 99_991:(number + 1) * 99_991 if number < 2 else None])
        config = ours.config(recorded, [('GlobalAveragePooling2D', 'pool', {}),
                                        ('Dense', 'predictions', {'activation': 'softmax'})])
        (tmp_path / 'model.json').write_text(json.dumps(
            {'modelTopology': {'model_config': config},
             'weightsManifest': [{'paths': [f'part{number}' for number in range(3)],
                                  'weights': entries}]}))
        info, actual = checkpoint.read(tmp_path)
        assert info.num_classes == 11 and 'stored as uint8' in info.notes[-1]
        for name, value in actual.items():
            np.testing.assert_allclose(value, weights[name], rtol=0,
                                       atol=1 / 256 if name.endswith('beta') else 0)
        model = json.loads((tmp_path / 'model.json').read_text())
        quantized = [entry['quantization'] for entry in model['weightsManifest'][0]['weights']
                     if 'quantization' in entry]
        for wrong in ({'scale': None}, {'scale': float('nan')}, {'min': '0'}):
            quantized[3].update({'scale': 1 / 128, 'min': -1.0, **wrong})
            (tmp_path / 'model.json').write_text(json.dumps(model))
            with pytest.raises(CheckpointError, match='no finite scale and min for .*beta'):
                checkpoint.read(tmp_path / 'model.json')


class TestArchives:

    @pytest.mark.parametrize('name', ['slim_v1', 'slim_v2'])
    def test_reads_archive(self, tmp_path, name):
        folder = os.path.join(GOLDEN, 'checkpoints', name)
        with tarfile.open(tmp_path / 'model.tar.gz', 'w:gz') as archive:
            archive.add(folder, 'model')
        before = set(os.listdir(tmp_path))
        info, actual = checkpoint.read(tmp_path / 'model.tar.gz')
        assert info.path == str(tmp_path / 'model.tar.gz') and 'in an archive' in info.format
        assert_same(actual, checkpoint.read(os.path.join(folder, 'model.ckpt-157585'))[1])
        assert set(os.listdir(tmp_path)) == before

    def test_removes_what_it_unpacked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
        (tmp_path / 'temporary').mkdir()
        with tarfile.open(tmp_path / 'model.tar', 'w') as archive:
            archive.add(os.path.join(GOLDEN, 'checkpoints', 'slim_v2'), 'model')
        opened = checkpoint.open_weights(str(tmp_path / 'model.tar'))
        assert len(os.listdir(tmp_path / 'temporary')) == 1
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            del opened
            gc.collect()
        assert os.listdir(tmp_path / 'temporary') == []
        with tarfile.open(tmp_path / 'model.tar', 'a') as archive:
            archive.addfile(tarfile.TarInfo('other.pth'), io.BytesIO())
        with pytest.raises(CheckpointError, match='contains 2 networks'):
            checkpoint.open_weights(str(tmp_path / 'model.tar'))
        assert os.listdir(tmp_path / 'temporary') == []

    def test_rejects_two_networks(self, tmp_path):
        with tarfile.open(tmp_path / 'two.tar', 'w') as archive:
            for name in ('a.pth', 'b.pth'):
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        with pytest.raises(CheckpointError, match=r'contains 2 networks \(a.pth, b.pth\)'):
            checkpoint.inspect(tmp_path / 'two.tar')


class TestRestoring:

    @pytest.mark.slow
    def test_warns_of_different_pooling(self, tmp_path, narrow):
        checkpoint.convert(SLIM_V2, tmp_path / 'slim', pooling='padded')
        with pytest.warns(UserWarning, match="pooling='padded' and the graph has 'average'"):
            checkpoint.restore(narrow[0], tmp_path / 'slim')

    def test_restores_base_network(self, tmp_path, names):
        """A file of another format without heads, for fine-tuning."""
        _, weights = checkpoint.read(SLIM_V2)
        TestKeras().write_file(tmp_path / 'model.h5', names['keras/InceptionV3'], weights)
        with tf.Graph().as_default(), tf.Session() as session:
            for name, value in weights.items():  # the variables of the network alone
                slim.model_variable(f'InceptionV3/{name}', value.shape,
                                    initializer=tf.zeros_initializer())
            done = checkpoint.restore(session, tmp_path / 'model.h5',
                                      exclude=['Logits', 'AuxLogits'])
            # 94 layers of the body, with batch norm.
            assert (len(done.restored), len(done.excluded)) == (94 * 4, 12)
            with pytest.raises(CheckpointError, match='no auxiliary head and the graph has one'):
                checkpoint.restore(session, tmp_path / 'model.h5')
