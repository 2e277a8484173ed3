"""Recognize files of other networks by the names of their tensors, to say what they are."""

from __future__ import annotations

from collections.abc import Iterable
import re

_TF_SLIM = 'tf_slim.nets builds it, and scripts that use it run with inception-slim run'
_RESEARCH_SLIM = ("it is built by TensorFlow's models/research/slim; scripts that use it run with "
                  'inception-slim run if that folder is beside them')
_KERAS = 'load it with tf.keras.models.load_model or tf.keras.applications'
_TORCH = 'load it with torchvision or timm'

# A pattern in a name, the network, and how to use it. TF-Slim's names have slashes, PyTorch's dots.
_NETWORKS = tuple((re.compile(pattern), title, use) for pattern, title, use in (
    (r'(^|/)resnet_v1_\d+/', 'ResNet V1 of TF-Slim', _TF_SLIM),
    (r'(^|/)resnet_v2_\d+/', 'ResNet V2 of TF-Slim', _TF_SLIM),
    (r'(^|/)vgg_(a|16|19)/', 'VGG of TF-Slim', _TF_SLIM),
    (r'(^|/)alexnet_v2/', 'AlexNet of TF-Slim', _TF_SLIM),
    (r'(^|/)overfeat/', 'OverFeat of TF-Slim', _TF_SLIM),
    (r'(^|/)MobilenetV(1|2|3)/', 'MobileNet of TF-Slim', _RESEARCH_SLIM),
    (r'(^|/)(nasnet|pnasnet|cell_\d+/|cell_stem_\d+/)', 'NASNet or PNASNet of TF-Slim',
     _RESEARCH_SLIM),
    (r'(^|/)(bert|transformer)/', 'a text model', 'use the program that wrote it'),
    (r'^block\d+_sepconv\d+', 'Xception of Keras', _KERAS),
    (r'^block\d+_conv\d+', 'VGG of Keras', _KERAS),
    (r'^conv\d+_block\d+', 'ResNet or DenseNet of Keras', _KERAS),
    (r'^res\d+[a-z]_branch', 'ResNet of Keras 2', _KERAS),
    (r'^conv_dw_\d+', 'MobileNet of Keras', _KERAS),
    (r'^(block_\d+|expanded_conv)_(depthwise|expand|project)', 'MobileNet V2 or V3 of Keras',
     _KERAS),
    (r'^block\d+[a-z]_', 'EfficientNet of Keras', _KERAS),
    (r'^normal_(conv|left|right)', 'NASNet of Keras', _KERAS),
    (r'(^|\.)inception[345][a-e]\.', "GoogLeNet of torchvision, which is not TF-Slim's "
     'Inception V1', _TORCH),
    (r'(^|\.)layer[1-4]\.\d+\.(conv|bn)\d', 'ResNet of PyTorch', _TORCH),
    (r'(^|\.)features\.denseblock\d', 'DenseNet of PyTorch', _TORCH),
    (r'(^|\.)features\.\d+\.squeeze\.', 'SqueezeNet of PyTorch', _TORCH),
    (r'(^|\.)blocks\.\d+\.\d+\.(conv_pw|conv_dw)', 'EfficientNet or MobileNet of timm', _TORCH),
    (r'(^|\.)features\.\d+\.(\d+\.)?(block|conv)\.\d', 'EfficientNet or MobileNet of torchvision',
     _TORCH),
    (r'(^|\.)blocks\.\d+\.attn\.', 'a vision transformer', _TORCH),
    (r'(^|\.)features\.\d+\.weight$', 'VGG or AlexNet of PyTorch', _TORCH),
))


def describe_other_network(names: Iterable[str]) -> str | None:
    """Says of which other network a file is, and how to use it.

    Args:
      names: the names of its tensors or layers.

    Returns:
      The end of a sentence, or None if the network is not known.

    Example:
      >>> from inception_slim.checkpoint.other_networks import describe_other_network
      >>> describe_other_network(['layer1.0.conv1.weight'])
      'ResNet of PyTorch, which is not supported; load it with torchvision or timm.'
    """
    names = list(names)
    for pattern, title, use in _NETWORKS:
        if any(pattern.search(name) for name in names):
            return f'{title}, which is not supported; {use}.'
    return None
