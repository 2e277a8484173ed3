"""Keras models are those of keras.applications, and answer as TensorFlow 1.15.5 did."""

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
import inception_slim  # noqa: F401  first, so that tf_slim can be imported
from inception_slim import checkpoint, formats, inference
from inception_slim.checkpoint import _convert
from inception_slim.formats import keras_writer
from inception_slim.nets import registry
import numpy as np
import pytest
import tensorflow as tf2


def info_of(name, classes):
    return checkpoint.CheckpointInfo(
        path=name, format='V2', naming=checkpoint.SLIM_NAMES, network=name,
        scope=registry.NETWORKS[name].scope, num_classes=classes, has_background_class=False,
        global_step=None, has_moving_averages=False, has_gammas=False, has_aux_logits=True,
        optimizer=None, parameters=0, depth_multiplier=None, min_depth=16)


def set_in_order(model, name, weights):
    """Gives a model of keras.applications the weights, by its own names and order of layers.

    Layers that it leaves to Keras to name are numbered as they are made: in TF-Slim's order.
    """
    slim_layers = list(dict.fromkeys(
        each.split('/', 1)[1].removesuffix('/weights') for each in golden_shapes(name)
        if each.endswith('/weights') and '/AuxLogits/' not in each))
    head = registry.NETWORKS[name].classifier
    unnamed = [each for each in slim_layers if f'{each}/biases' not in weights
               and each != 'Conv2d_7b_1x1']
    repeats = {'35': 'Repeat', '17': 'Repeat_1', '8': 'Repeat_2'}
    numbered = {'conv2d': [], 'batch_normalization': []}
    layer_of = {}
    for layer in model.layers:
        made = re.fullmatch(r'(conv2d|batch_normalization)(?:_(\d+))?', layer.name)
        residual = re.fullmatch(r'block(\d+)_(\d+)_conv', layer.name)
        if made:
            numbered[made[1]].append((int(made[2] or 0), layer))
        elif residual:
            block = f'block{residual[1]}_{residual[2]}'
            layer_of[layer] = ('Block8' if block == 'block8_10' else
                               f'{repeats[residual[1]]}/{block}') + '/Conv2d_1x1'
        elif layer.name.startswith('conv_7b') and layer.weights:
            layer_of[layer] = 'Conv2d_7b_1x1'
        elif layer.name == 'predictions':
            layer_of[layer] = head
    for layers in numbered.values():
        layers.sort(key=lambda each: each[0])
        assert len(layers) == len(unnamed)
        layer_of.update({layer: each for (_, layer), each in zip(layers, unnamed)})
    assert set(layer_of) == {layer for layer in model.layers if layer.weights}
    for layer, each in layer_of.items():
        layer.set_weights([weights[f'{each}/{parameter}'].reshape(shape.shape)
                           for shape in layer.weights for parameter in [parameter_of(shape)]])


def parameter_of(variable):
    return {'kernel': 'weights', 'bias': 'biases'}.get(
        variable.name, f'BatchNorm/{variable.name}')


def described(model):
    """How many layers of each kind, and every convolution."""
    kinds = ('Conv2D', 'BatchNormalization', 'Concatenate', 'AveragePooling2D', 'MaxPooling2D',
             'GlobalAveragePooling2D', 'Dense')
    counts = {kind: sum(type(each).__name__ == kind for each in model.layers) for kind in kinds}
    return counts, sorted(
        (*each.kernel.shape, *each.strides, each.padding, each.use_bias, each.output.shape[1])
        for each in model.layers if type(each).__name__ == 'Conv2D')


@pytest.mark.slow
@pytest.mark.parametrize('name, theirs', [
    ('inception_v3', 'InceptionV3'), ('inception_resnet_v2', 'InceptionResNetV2')])
def test_of_keras_applications(name, theirs):
    """The same layers at full width; given the same weights in order, the same answers."""
    weights = golden_weights(name)
    network = registry.NETWORKS[name]
    classes = len(weights[f'{network.classifier}/biases'])
    ours = keras_writer.keras_model(info_of(name, classes), weights)
    theirs = getattr(tf2.keras.applications, theirs)(weights=None, classes=classes)
    assert ours.count_params() == theirs.count_params()
    assert described(ours) == described(theirs)
    set_in_order(theirs, name, weights)
    expected = theirs(images(2), training=False).numpy()
    np.testing.assert_allclose(ours(images(2), training=False), expected, atol=1e-6)
    np.testing.assert_allclose(expected, golden_arrays(name)['predictions'], atol=1e-4)


@pytest.mark.slow
def test_inception_resnet_v2_as_a_file(tmp_path):
    """Through the export, which asks the checkpoint too, and back from the file."""
    path = write_golden_checkpoint('inception_resnet_v2', tmp_path / 'model.ckpt')
    result = formats.export(path, tmp_path / 'model.keras', format='keras')
    assert result.max_difference < 1e-4 and result.same_top1 == result.images
    model = tf2.keras.models.load_model(tmp_path / 'model.keras')
    np.testing.assert_allclose(model(images(2), training=False),
                               golden_arrays('inception_resnet_v2')['predictions'], atol=1e-4)


@pytest.mark.parametrize('name', ['inception_v1', 'inception_v2'])
def test_networks_without_a_keras_form(name, tmp_path):
    path = os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585')
    with pytest.raises(formats.ExportError, match='cannot be exported to Keras; Inception V3 and '
                                                 'Inception-ResNet V2 can. Choose saved-model'):
        formats.export(path, tmp_path / 'model.keras', format='keras')
    assert os.listdir(tmp_path) == []


def test_biases_in_the_place_of_batch_norm(tmp_path):
    """As a network built with `use_batch_norm=False` is saved."""
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
