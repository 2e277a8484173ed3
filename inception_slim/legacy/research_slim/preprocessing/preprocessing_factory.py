"""The preprocessing of research/slim by network name."""

from __future__ import annotations

from collections.abc import Callable

from inception_slim.legacy.research_slim.preprocessing import (
    cifarnet_preprocessing,
    inception_preprocessing,
    lenet_preprocessing,
    vgg_preprocessing,
)

_NETWORKS = {
    cifarnet_preprocessing: 'cifarnet',
    inception_preprocessing: 'inception inception_v1 inception_v2 inception_v3 inception_v4 '
                             'inception_resnet_v2 mobilenet_v1 mobilenet_v1_075 mobilenet_v1_050 '
                             'mobilenet_v1_025 mobilenet_v2 mobilenet_v2_140 mobilenet_v2_035 '
                             'nasnet_cifar nasnet_mobile nasnet_large pnasnet_mobile '
                             'pnasnet_large',
    lenet_preprocessing: 'lenet',
    vgg_preprocessing: 'resnet_v1_50 resnet_v1_101 resnet_v1_152 resnet_v1_200 resnet_v2_50 '
                       'resnet_v2_101 resnet_v2_152 resnet_v2_200 vgg vgg_a vgg_16 vgg_19',
}
_PREPROCESSING = {name: module for module, names in _NETWORKS.items() for name in names.split()}


def get_preprocessing(name: str, is_training: bool = False,
                      use_grayscale: bool = False) -> Callable:
    """Return a function of an image, a height and a width that preprocesses the image.

    Args:
      name: name of a network.
      is_training: whether to distort images as in training.
      use_grayscale: whether to convert images to one gray channel.

    Raises:
      ValueError: there is no preprocessing for that name.
    """
    if name not in _PREPROCESSING:
        raise ValueError(f'Preprocessing name [{name}] was not recognized')

    def preprocessing_fn(image, output_height, output_width, **arguments):
        if use_grayscale:
            arguments['use_grayscale'] = True
        return _PREPROCESSING[name].preprocess_image(
            image, output_height, output_width, is_training=is_training, **arguments)

    return preprocessing_fn
