"""Files of other networks are named, with how to use them."""

import gzip
import json
import os

from helpers import GOLDEN
from inception_slim import checkpoint
from inception_slim.checkpoint.other_networks import describe_other_network
from inception_slim.errors import CheckpointError
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf


@pytest.mark.parametrize('application, title', [
    ('VGG16', 'VGG'), pytest.param('MobileNetV2', 'MobileNet V2', marks=pytest.mark.slow),
    pytest.param('MobileNet', 'MobileNet', marks=pytest.mark.slow),
    pytest.param('ResNet50V2', 'ResNet', marks=pytest.mark.slow),
    pytest.param('EfficientNetB0', 'EfficientNet', marks=pytest.mark.slow),
    pytest.param('DenseNet121', 'DenseNet', marks=pytest.mark.slow),
    pytest.param('Xception', 'Xception', marks=pytest.mark.slow)])
def test_names_the_networks_of_keras(application, title, tmp_path):
    """The files are Keras's own."""
    model = getattr(tf.keras.applications, application)(
        weights=None, include_top=False, input_shape=(75, 75, 3))
    model.save(tmp_path / 'model.keras')
    with pytest.raises(CheckpointError, match=f'is a file of .*{title}.* of Keras, which is not'):
        checkpoint.inspect(tmp_path / 'model.keras')


@pytest.mark.parametrize('name, title', [
    ('inception3a.branch1.conv.weight', "GoogLeNet of torchvision, which is not TF-Slim's"),
    ('module.layer1.0.conv1.weight', 'ResNet of PyTorch'),
    ('features.denseblock1.denselayer1.conv1.weight', 'DenseNet of PyTorch'),
    ('blocks.0.0.conv_pw.weight', 'EfficientNet or MobileNet of timm'),
    ('blocks.0.attn.qkv.weight', 'a vision transformer')])
def test_names_the_networks_of_pytorch(name, title, tmp_path):
    safetensors.numpy.save_file({name: np.zeros((2, 2, 1, 1), np.float32)},
                                tmp_path / 'model.safetensors')
    with pytest.raises(CheckpointError, match=f'is a file of {title}'):
        checkpoint.inspect(tmp_path / 'model.safetensors')


def test_inception_networks_are_not_taken_for_others():
    with gzip.open(os.path.join(GOLDEN, 'foreign_names.json.gz'), 'rt') as file:
        recorded = json.load(file)
    assert len(recorded) >= 4
    for key, names in recorded.items():
        assert describe_other_network(item[0] for item in names) is None, key
