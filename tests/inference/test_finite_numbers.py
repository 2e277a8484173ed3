"""Numbers that cannot be: refused by the name of the tensor; no infinite result is returned."""

import dataclasses
import json
import os

from helpers import GOLDEN
from inception_slim import bulk, checkpoint, data, evaluation, formats, inference
from inception_slim.checkpoint import CheckpointError
from inception_slim.checkpoint._convert import write_checkpoint
from inception_slim.checkpoint.input_scaling import fold_input_scaling
from inception_slim.evaluation.grad_cam import Heatmaps
from inception_slim.formats import safetensors_format
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
IMAGE = os.path.join(GOLDEN, 'legacy_scripts', 'images', 'checks_01.jpg')
LAYER = 'InceptionV3/Conv2d_2a_3x3'


def changed_checkpoint(folder, changes):
    """Writes the checkpoint with some numbers replaced; returns its prefix.

    Args:
      folder: where to write it.
      changes: for each tensor all its numbers, or the first one.
    """
    reader = tf.train.load_checkpoint(SLIM_V2)
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
              if name.startswith('InceptionV3/') and 'RMSProp' not in name}
    for name, value in changes.items():
        values[name].ravel()[:np.size(value)] = np.ravel(value)
    return write_checkpoint(values, str(folder / 'model.ckpt'), 1)


@pytest.mark.parametrize('name, value, message', [
    ('weights', np.nan, 'holds NaN or infinite values in 1 tensors, such as .*2a_3x3/weights'),
    ('BatchNorm/moving_variance', -1.0, r'holds the variance -1 in .*2a_3x3/BatchNorm/moving_var'),
    ('BatchNorm/moving_variance', -0.001, 'holds the variance -0.001 in .*2a_3x3')])
def test_weights(tmp_path, name, value, message):
    path = changed_checkpoint(tmp_path, {f'{LAYER}/{name}': value})
    for read in (checkpoint.read, inference.load):
        with pytest.raises(CheckpointError, match=message):
            read(path)


@pytest.mark.slow
def test_results_that_overflow(tmp_path):
    """All weights are finite, but what they give is not."""
    path = changed_checkpoint(tmp_path, {f'{LAYER}/BatchNorm/moving_mean': -3e38})
    image = np.zeros((1, 299, 299, 3), np.float32)
    named = f'of {path} are not finite for {IMAGE}: an activation'
    with inference.load(path) as predictor:
        for images, message in (([IMAGE, IMAGE], named), (IMAGE, named),
                                ([image[0]] * 2, 'not finite for image 1 of 2 in a batch'),
                                (image, 'not finite for image 1 of 1 in a batch')):
            with pytest.raises(CheckpointError, match=message):
                predictor.predict(images)
        for call in (lambda: evaluation.features(predictor, IMAGE, tmp_path / 'features.npy'),
                     lambda: evaluation.classify(predictor, IMAGE),
                     lambda: evaluation.fid(predictor, [IMAGE], [IMAGE])):
            with pytest.raises(CheckpointError, match=named):
                call()
        dataset = dataclasses.replace(
            data.open_dataset(os.path.join(GOLDEN, 'legacy_scripts'), 'validation'),
            class_names=[str(number) for number in range(11)])
        with pytest.raises(CheckpointError, match='not finite for .*/patterns_validation.*#0: '):
            evaluation.evaluate(predictor, dataset)
    with pytest.raises(CheckpointError, match=named):
        bulk.run(path, [IMAGE], tmp_path / 'bulk')
    with pytest.raises(CheckpointError, match='outputs of .* are not finite'):
        formats.export(path, tmp_path / 'frozen.pb', format='frozen')
    with Heatmaps(path) as heatmaps, pytest.raises(
            CheckpointError, match='heatmaps of .* are not finite for a.png'):
        next(heatmaps.compute(image, np.array([0]), ['a.png']))
    assert not {'features.npy', 'frozen.pb'} & set(os.listdir(tmp_path))


@pytest.mark.slow
def test_classifiers_that_overflow(tmp_path):
    """The features are finite, but their logits are not."""
    reader = tf.train.load_checkpoint(SLIM_V2)
    classifier = 'InceptionV3/Logits/Conv2d_1c_1x1/weights'
    values = np.full_like(reader.get_tensor(classifier), 3e38)
    path = changed_checkpoint(tmp_path, {classifier: values})
    with inference.load(path) as predictor:
        assert np.isfinite(predictor.features(IMAGE)).all()
        with pytest.raises(CheckpointError, match=f'logits of .* are not finite for {IMAGE}'):
            evaluation.inception_score(predictor, [IMAGE], splits=1)


def test_scales_that_overflow(tmp_path):
    path = changed_checkpoint(tmp_path, {
        f'{LAYER}/weights': 3e38, f'{LAYER}/BatchNorm/moving_variance': 0})
    with pytest.raises(CheckpointError, match='Conv2d_2a_3x3/weights overflows when its batch'):
        inference.load(path)


@pytest.mark.parametrize('std, message', [
    ([0, 1, 1], 'give finite numbers above 0'), ([-1, 1, 1], 'give finite numbers above 0'),
    ([float('nan'), 1, 1], 'give finite numbers above 0'),
    ([1e-300, 1, 1], 'overflows'), ([1e-310, 1, 1], 'which no network is trained on')])
def test_input_scaling(tmp_path, std, message):
    (tmp_path / 'config.json').write_text(json.dumps({'mean': [0.5] * 3, 'std': std}))
    _, weights = checkpoint.read(SLIM_V2)
    with pytest.raises(CheckpointError, match=message), np.errstate(all='ignore'):
        scaling, _ = safetensors_format._input_scaling(str(tmp_path / 'config.json'))
        fold_input_scaling(weights, scaling, 'model.safetensors')
