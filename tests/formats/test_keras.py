"""Exported Keras models, compared with keras.applications and TensorFlow 1.15.5."""

import os
import re

from golden.weights import images
from helpers import (
    GOLDEN,
    golden_arrays,
    golden_shapes,
    golden_weights,
    softmax,
    write_golden_checkpoint,
)
from inception_slim import checkpoint, formats, inference
from inception_slim.checkpoint import _convert
from inception_slim.formats import keras_writer
from inception_slim.nets import registry
import numpy as np
import pytest
import tensorflow as tf2


def make_info(name, classes):
    return checkpoint.CheckpointInfo(
        path=name, format='V2', naming=checkpoint.SLIM_NAMES, network=name,
        scope=registry.NETWORKS[name].scope, num_classes=classes, has_background_class=False,
        global_step=None, has_moving_averages=False, has_gammas=False, has_aux_logits=True,
        optimizer=None, parameters=0, depth_multiplier=None, min_depth=16,
        image_size=registry.NETWORKS[name].image_size)


def set_weights_in_order(model, name, weights):
    """Sets the weights of a model of keras.applications by the names and the order of its layers.

    Layers without a name of their own are numbered in the order of creation, which is TF-Slim's.
    """
    slim_layers = list(dict.fromkeys(
        item.split('/', 1)[1].removesuffix('/weights') for item in golden_shapes(name)
        if item.endswith('/weights') and '/AuxLogits/' not in item))
    head = registry.NETWORKS[name].classifier
    unnamed = [item for item in slim_layers if f'{item}/biases' not in weights
               and item != 'Conv2d_7b_1x1']
    repeats = {'35': 'Repeat', '17': 'Repeat_1', '8': 'Repeat_2'}
    numbered = {'conv2d': [], 'batch_normalization': []}
    layer_of = {}
    for layer in model.layers:
        match = re.fullmatch(r'(conv2d|batch_normalization)(?:_(\d+))?', layer.name)
        residual = re.fullmatch(r'block(\d+)_(\d+)_conv', layer.name)
        if match:
            numbered[match[1]].append((int(match[2] or 0), layer))
        elif residual:
            block = f'block{residual[1]}_{residual[2]}'
            layer_of[layer] = ('Block8' if block == 'block8_10' else
                               f'{repeats[residual[1]]}/{block}') + '/Conv2d_1x1'
        elif layer.name.startswith('conv_7b') and layer.weights:
            layer_of[layer] = 'Conv2d_7b_1x1'
        elif layer.name == 'predictions':
            layer_of[layer] = head
    for layers in numbered.values():
        layers.sort(key=lambda item: item[0])
        assert len(layers) == len(unnamed)
        layer_of.update({layer: item for (_, layer), item in zip(layers, unnamed)})
    assert set(layer_of) == {layer for layer in model.layers if layer.weights}
    for layer, item in layer_of.items():
        layer.set_weights([weights[f'{item}/{parameter}'].reshape(shape.shape)
                           for shape in layer.weights for parameter in [parameter_of(shape)]])


def parameter_of(variable):
    return {'kernel': 'weights', 'bias': 'biases'}.get(
        variable.name, f'BatchNorm/{variable.name}')


def describe_layers(model):
    """The number of layers of each kind, and every convolution."""
    kinds = ('Conv2D', 'BatchNormalization', 'Concatenate', 'AveragePooling2D', 'MaxPooling2D',
             'GlobalAveragePooling2D', 'Dense')
    counts = {kind: sum(type(item).__name__ == kind for item in model.layers) for kind in kinds}
    return counts, sorted(
        (*item.kernel.shape, *item.strides, item.padding, item.use_bias, item.output.shape[1])
        for item in model.layers if type(item).__name__ == 'Conv2D')


@pytest.mark.slow
@pytest.mark.parametrize('name, keras_name', [
    ('inception_v3', 'InceptionV3'), ('inception_resnet_v2', 'InceptionResNetV2')])
def test_equals_keras_applications(name, keras_name):
    """Same layers at full width, and same predictions with the same weights in order."""
    weights = golden_weights(name)
    network = registry.NETWORKS[name]
    classes = len(weights[f'{network.classifier}/biases'])
    ours = keras_writer.keras_model(make_info(name, classes), weights)
    reference = getattr(tf2.keras.applications, keras_name)(weights=None, classes=classes)
    assert ours.count_params() == reference.count_params()
    assert describe_layers(ours) == describe_layers(reference)
    set_weights_in_order(reference, name, weights)
    expected = reference(images(2), training=False).numpy()
    np.testing.assert_allclose(ours(images(2), training=False), expected, atol=1e-6)
    np.testing.assert_allclose(expected, golden_arrays(name)['predictions'], atol=1e-4)


@pytest.mark.slow
def test_exports_inception_resnet_v2(tmp_path):
    path = write_golden_checkpoint('inception_resnet_v2', tmp_path / 'model.ckpt')
    result = formats.export(path, tmp_path / 'model.keras', format='keras')
    assert result.max_difference < 1e-4 and result.same_top1 == result.images
    model = tf2.keras.models.load_model(tmp_path / 'model.keras')
    np.testing.assert_allclose(model(images(2), training=False),
                               golden_arrays('inception_resnet_v2')['predictions'], atol=1e-4)


@pytest.mark.parametrize('name', ['inception_v1', 'inception_v2'])
def test_rejects_other_networks(name, tmp_path):
    path = os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
    with pytest.raises(formats.ExportError, match='cannot be exported to Keras; Inception V3 and '
                                                 'Inception-ResNet V2 can. Choose saved-model'):
        formats.export(path, tmp_path / 'model.keras', format='keras')
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_exports_biases_without_batch_norm(tmp_path):
    """The checkpoint is of a network built with `use_batch_norm=False`."""
    path = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
    info, weights = checkpoint.read(path)
    folded = {f'InceptionV3/{name}': value
              for name, value in inference.fold_batch_norm(weights).items()}
    result = formats.export(_convert.write_checkpoint(folded, str(tmp_path / 'folded'), 1),
                         tmp_path / 'model.keras', format='keras')
    assert result.max_difference < 1e-5
    model = tf2.keras.models.load_model(tmp_path / 'model.keras')
    np.testing.assert_allclose(model(images(2), training=False),
                               softmax(golden_arrays('checkpoints')['slim_v2']), atol=1e-4)
