"""A checkpoint's weights in a Keras 3 model, for the networks that keras.applications has.

Each model is layer for layer that of `keras.applications`, at any width and any number of classes.
Keras's own layers alone are in it, so that `keras.models.load_model` reads it with nothing
imported; they have TF-Slim's names with `_` for `/`.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import tempfile
from typing import TYPE_CHECKING

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.errors import ExportError
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn
    import keras

_FORMAT = 'channels_last'


class _Layers:
    """Makes layers as wide as their weights are, and gives them these at the end."""

    def __init__(self, weights: dict[str, np.ndarray], pooling: str):
        from keras import layers  # which takes seconds to import, and few need it

        self.kinds = layers
        self._pooling = pooling
        self._weights = weights
        self._values: list[tuple[keras.Layer, list[np.ndarray]]] = []

    def conv(self, net, name: str, stride: int = 1, padding: str = 'same', linear: bool = False):
        """A convolution, with batch norm or biases as its weights have it, and ReLU."""
        kernel = self._weights[f'{name}/weights']
        biases = self._weights.get(f'{name}/biases')
        flat = name.replace('/', '_')
        convolution = self.kinds.Conv2D(
            kernel.shape[3], kernel.shape[:2], strides=stride, padding=padding,
            use_bias=biases is not None, data_format=_FORMAT, name=flat)
        net = convolution(net)
        self._values.append((convolution, [kernel] if biases is None else [kernel, biases]))
        if biases is None:
            net = self._batch_norm(net, name, flat)
        return net if linear else self.relu(net, flat)

    def _batch_norm(self, net, name: str, flat: str):
        parameters = [self._weights.get(f'{name}/BatchNorm/{each}')
                      for each in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
        norm = self.kinds.BatchNormalization(
            axis=3, scale=parameters[0] is not None, epsilon=BATCH_NORM_EPSILON,
            name=flat + '_BatchNorm')
        net = norm(net)
        self._values.append((norm, [each for each in parameters if each is not None]))
        return net

    def relu(self, net, flat: str):
        return self.kinds.ReLU(name=flat + '_Relu')(net)

    def chain(self, net, scope: str, *names: str):
        """Convolutions in a row."""
        for name in names:
            net = self.conv(net, f'{scope}/{name}')
        return net

    def shrinking(self, net, name: str):
        return self.conv(net, name, stride=2, padding='valid')

    def max_pool(self, net):
        return self.kinds.MaxPooling2D(3, strides=2, data_format=_FORMAT)(net)

    def pooled(self, net, block: str):
        """The pooled branch of a block: 3×3 average pooling, then a 1×1 convolution."""
        flat = f'{block.replace("/", "_")}_Branch_3'
        kind, padding, name = self.kinds.AveragePooling2D, 'same', None
        if self._pooling == 'padded':
            net = self.kinds.ZeroPadding2D(1, data_format=_FORMAT)(net)
            padding, name = 'valid', f'{flat}_PaddedAvgPool'
        elif self._pooling == '2015' and block == 'Mixed_7c':
            kind, name = self.kinds.MaxPooling2D, f'{flat}_MaxPool'
        pool = kind(3, strides=1, padding=padding, data_format=_FORMAT, name=name)
        return self.chain(pool(net), f'{block}/Branch_3', 'Conv2d_0b_1x1')

    def joined(self, *branches):
        return self.kinds.Concatenate(axis=3)(list(branches))

    def stem(self, net):
        """To 35×35, as Inception V3 and Inception-ResNet V2 begin."""
        net = self.shrinking(net, 'Conv2d_1a_3x3')
        net = self.conv(net, 'Conv2d_2a_3x3', padding='valid')
        net = self.max_pool(self.conv(net, 'Conv2d_2b_3x3'))
        net = self.conv(net, 'Conv2d_3b_1x1', padding='valid')
        return self.max_pool(self.conv(net, 'Conv2d_4a_3x3', padding='valid'))

    def classifier(self, net, name: str):
        kernel, biases = (self._weights[f'{name}/{each}'] for each in ('weights', 'biases'))
        net = self.kinds.GlobalAveragePooling2D(data_format=_FORMAT, name='PreLogits')(net)
        dense = self.kinds.Dense(len(biases), activation='softmax', name='Predictions')
        net = dense(net)
        # In TF-Slim a dense layer too, or a 1×1 convolution.
        self._values.append((dense, [kernel.reshape(kernel.shape[-2:]), biases]))
        return net

    def set_weights(self) -> None:
        for layer, values in self._values:
            layer.set_weights(values)


def _inception_v3(layers: _Layers, net):
    chain, conv, joined = layers.chain, layers.conv, layers.joined
    net = layers.stem(net)
    for block, five in (('Mixed_5b', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5')),
                        ('Mixed_5c', ('Conv2d_0b_1x1', 'Conv_1_0c_5x5')),  # misnamed in 2015
                        ('Mixed_5d', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5'))):
        net = joined(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1', *five),
                     chain(net, f'{block}/Branch_2',
                           'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                     layers.pooled(net, block))
    inner = chain(net, 'Mixed_6a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
    net = joined(layers.shrinking(net, 'Mixed_6a/Branch_0/Conv2d_1a_1x1'),  # a 3×3
                 layers.shrinking(inner, 'Mixed_6a/Branch_1/Conv2d_1a_1x1'), layers.max_pool(net))
    for block in ('Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e'):
        net = joined(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1',
                           'Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1'),
                     chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_7x1',
                           'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7'),
                     layers.pooled(net, block))
    first = conv(net, 'Mixed_7a/Branch_0/Conv2d_0a_1x1')
    second = chain(net, 'Mixed_7a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1')
    net = joined(layers.shrinking(first, 'Mixed_7a/Branch_0/Conv2d_1a_3x3'),
                 layers.shrinking(second, 'Mixed_7a/Branch_1/Conv2d_1a_3x3'), layers.max_pool(net))
    for block, last in (('Mixed_7b', 'Conv2d_0b_3x1'), ('Mixed_7c', 'Conv2d_0c_3x1')):
        first = conv(net, f'{block}/Branch_1/Conv2d_0a_1x1')
        second = chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
        net = joined(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     joined(*(conv(first, f'{block}/Branch_1/{each}')
                              for each in ('Conv2d_0b_1x3', last))),
                     joined(*(conv(second, f'{block}/Branch_2/{each}')
                              for each in ('Conv2d_0c_1x3', 'Conv2d_0d_3x1'))),
                     layers.pooled(net, block))
    return net


def _inception_resnet_v2(layers: _Layers, net):
    chain, conv, joined = layers.chain, layers.conv, layers.joined

    def residual(net, block, scale, *branches, linear=False):
        """The branches, each a row of convolutions, joined, scaled, and added to `net`."""
        first = conv(net, f'{block}/Branch_0/Conv2d_1x1')
        up = joined(first, *(chain(net, f'{block}/Branch_{number}', *names)
                             for number, names in enumerate(branches, 1)))
        up = conv(up, f'{block}/Conv2d_1x1', linear=True)
        if scale != 1:
            up = layers.kinds.Rescaling(scale)(up)
        net = layers.kinds.Add()([net, up])
        return net if linear else layers.relu(net, block.replace('/', '_'))

    net = layers.stem(net)
    net = joined(conv(net, 'Mixed_5b/Branch_0/Conv2d_1x1'),
                 chain(net, 'Mixed_5b/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_5x5'),
                 chain(net, 'Mixed_5b/Branch_2',
                       'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                 layers.pooled(net, 'Mixed_5b'))
    for number in range(1, 11):
        net = residual(net, f'Repeat/block35_{number}', 0.17,
                       ('Conv2d_0a_1x1', 'Conv2d_0b_3x3'),
                       ('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'))
    inner = chain(net, 'Mixed_6a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
    net = joined(layers.shrinking(net, 'Mixed_6a/Branch_0/Conv2d_1a_3x3'),
                 layers.shrinking(inner, 'Mixed_6a/Branch_1/Conv2d_1a_3x3'), layers.max_pool(net))
    for number in range(1, 21):
        net = residual(net, f'Repeat_1/block17_{number}', 0.1,
                       ('Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1'))
    inner = [chain(net, f'Mixed_7a/Branch_{number}', *names) for number, names in enumerate((
        ('Conv2d_0a_1x1',), ('Conv2d_0a_1x1',), ('Conv2d_0a_1x1', 'Conv2d_0b_3x3')))]
    net = joined(*(layers.shrinking(each, f'Mixed_7a/Branch_{number}/Conv2d_1a_3x3')
                   for number, each in enumerate(inner)), layers.max_pool(net))
    of_8x8 = ('Conv2d_0a_1x1', 'Conv2d_0b_1x3', 'Conv2d_0c_3x1')
    for number in range(1, 10):
        net = residual(net, f'Repeat_2/block8_{number}', 0.2, of_8x8)
    net = residual(net, 'Block8', 1, of_8x8, linear=True)  # linear and not scaled
    return conv(net, 'Conv2d_7b_1x1')


# From images to what is averaged over the grid and classified, by network.
BODIES: dict[str, Callable] = {
    'inception_v3': _inception_v3, 'inception_resnet_v2': _inception_resnet_v2}


def keras_model(info: CheckpointInfo, weights: dict[str, np.ndarray]) -> keras.Model:
    """A `keras.Model` of a network, from images to probabilities, with its weights.

    The auxiliary head, which only training has a use for, is left out.

    Args:
      info, weights: from `checkpoint.read`, of a network in `BODIES`.

    Source: https://arxiv.org/abs/1512.00567, table 1; https://arxiv.org/abs/1602.07261, figure 15.
    """
    import keras

    network = registry.NETWORKS[info.network]
    layers = _Layers(weights, info.pooling)
    images = keras.Input((network.image_size, network.image_size, 3), name='images')
    net = layers.classifier(BODIES[info.network](layers, images), network.classifier)
    model = keras.Model(images, net, name=network.scope)
    layers.set_weights()
    return model


def check(info: CheckpointInfo) -> None:
    if info.network not in BODIES:
        title = registry.NETWORKS[info.network].title
        known = ' and '.join(registry.NETWORKS[name].title for name in BODIES)
        raise ExportError(f'{title} has no Keras form here, which {known} have, as '
                          'keras.applications has them; take saved-model.')


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    import keras

    model = keras_model(info, weights)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        # Keras wants its suffix, whatever the file is called.
        suffix = next((each for each in ('.weights.h5', '.h5') if path.endswith(each)), '.keras')
        written = os.path.join(folder, f'model{suffix}')
        if suffix == '.weights.h5':
            model.save_weights(written)
            loaded = keras_model(info, {
                name: np.zeros_like(value) for name, value in weights.items()})
            loaded.load_weights(written)
        else:
            model.save(written)
            loaded = keras.models.load_model(written)
        os.replace(written, path)
    return lambda batch: keras.ops.convert_to_numpy(loaded(batch, training=False))
