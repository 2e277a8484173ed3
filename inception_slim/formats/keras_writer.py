"""Builds Keras 3 models of the networks, and writes those that keras.applications has.

A model has the same layers as that of `keras.applications`, with any width and number of classes.
It uses only Keras's own layers, so `keras.models.load_model` needs no other import. Their names are
TF-Slim's, with `_` for `/`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import os
import tempfile
from typing import TYPE_CHECKING

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.head import Head
from inception_slim.errors import ExportError
from inception_slim.inference import BATCH_NORM_EPSILON
from inception_slim.nets import registry
import numpy as np

if TYPE_CHECKING:
    from inception_slim.formats.registry import ExportSettings, PredictFn
    import keras

_DATA_FORMAT = 'channels_last'
# More than a file takes besides the numbers of the weights: for each array, and for the model.
_OBJECT_BYTES, _CONFIG_BYTES = 2**12, 2**22


class _Builder:
    """Adds layers with the widths of their weights, and sets these weights at the end."""

    def __init__(self, weights: dict[str, np.ndarray], pooling: str):
        from keras import layers  # slow to import, and rarely needed

        self.layers = layers
        self._pooling = pooling
        self._weights = weights
        self._values: list[tuple[keras.Layer, list[np.ndarray]]] = []

    def conv(self, net, name: str, stride: int = 1, padding: str = 'same', linear: bool = False):
        """Adds a convolution with batch norm or biases, whichever the weights have, and ReLU."""
        kernel = self._weights[f'{name}/weights']
        biases = self._weights.get(f'{name}/biases')
        flat = name.replace('/', '_')
        convolution = self.layers.Conv2D(
            kernel.shape[3], kernel.shape[:2], strides=stride, padding=padding,
            use_bias=biases is not None, data_format=_DATA_FORMAT, name=flat)
        net = convolution(net)
        self._values.append((convolution, [kernel] if biases is None else [kernel, biases]))
        if biases is None:
            net = self._batch_norm(net, name, flat)
        return net if linear else self.relu(net, flat)

    def _batch_norm(self, net, name: str, flat: str):
        values = [self._weights.get(f'{name}/BatchNorm/{parameter}')
                  for parameter in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
        norm = self.layers.BatchNormalization(
            axis=3, scale=values[0] is not None, epsilon=BATCH_NORM_EPSILON,
            name=flat + '_BatchNorm')
        net = norm(net)
        self._values.append((norm, [value for value in values if value is not None]))
        return net

    def separable_conv(self, net, name: str, stride: int):
        """Adds a separable convolution with batch norm or biases, and ReLU."""
        kernels = [self._weights[f'{name}/{kind}_weights'] for kind in ('depthwise', 'pointwise')]
        biases = self._weights.get(f'{name}/biases')
        flat = name.replace('/', '_')
        convolution = self.layers.SeparableConv2D(
            kernels[1].shape[3], kernels[0].shape[:2], strides=stride, padding='same',
            depth_multiplier=kernels[0].shape[3], use_bias=biases is not None,
            data_format=_DATA_FORMAT, name=flat)
        net = convolution(net)
        self._values.append((convolution, kernels if biases is None else [*kernels, biases]))
        return self.relu(self._batch_norm(net, name, flat) if biases is None else net, flat)

    def relu(self, net, flat: str):
        return self.layers.ReLU(name=flat + '_Relu')(net)

    def chain(self, net, scope: str, *names: str):
        """Adds convolutions in sequence."""
        for name in names:
            net = self.conv(net, f'{scope}/{name}' if scope else name)
        return net

    def valid_conv(self, net, name: str):
        return self.conv(net, name, stride=2, padding='valid')

    def max_pool(self, net, size: int = 3, stride: int = 2, padding: str = 'valid'):
        return self.layers.MaxPooling2D(size, strides=stride, padding=padding,
                                        data_format=_DATA_FORMAT)(net)

    def pooled(self, net, block: str):
        """Adds the pooled branch of a block: 3×3 average pooling, then a 1×1 convolution."""
        flat = f'{block.replace("/", "_")}_Branch_3'
        kind, padding, name = self.layers.AveragePooling2D, 'same', None
        if self._pooling == 'padded':
            net = self.layers.ZeroPadding2D(1, data_format=_DATA_FORMAT)(net)
            padding, name = 'valid', f'{flat}_PaddedAvgPool'
        elif self._pooling == '2015' and block == 'Mixed_7c':
            kind, name = self.layers.MaxPooling2D, f'{flat}_MaxPool'
        pool = kind(3, strides=1, padding=padding, data_format=_DATA_FORMAT, name=name)
        return self.chain(pool(net), f'{block}/Branch_3', 'Conv2d_0b_1x1')

    def concat(self, *branches):
        return self.layers.Concatenate(axis=3)(list(branches))

    def stem(self, net):
        """Adds the first layers, to 35×35, of Inception V3 and Inception-ResNet V2."""
        net = self.valid_conv(net, 'Conv2d_1a_3x3')
        net = self.conv(net, 'Conv2d_2a_3x3', padding='valid')
        net = self.max_pool(self.conv(net, 'Conv2d_2b_3x3'))
        net = self.conv(net, 'Conv2d_3b_1x1', padding='valid')
        return self.max_pool(self.conv(net, 'Conv2d_4a_3x3', padding='valid'))

    def head(self, net, head: Head, classifier: str, num_classes: int | None = None):
        """Adds pooling, hidden layers and the classifier, whose weights may be missing."""
        pools = {'average': self.layers.GlobalAveragePooling2D,
                 'max': self.layers.GlobalMaxPooling2D, 'flatten': self.layers.Flatten}
        grid = net.shape[1:]
        net = pools[head.pool](data_format=_DATA_FORMAT, name='PreLogits')(net)
        for number, name in enumerate((*head.hidden_layers, classifier)):
            if f'{name}/weights' not in self._weights:  # a new classifier
                return self.layers.Dense(num_classes, activation=head.activation,
                                         name='Predictions')(net)
            kernel, biases = self._weights[f'{name}/weights'], self._weights[f'{name}/biases']
            # In TF-Slim the classifier is a dense layer or a 1×1 convolution.
            kernel = kernel.reshape(kernel.shape[-2:])
            if head.pool == 'flatten' and not number:  # Keras flattens by position
                kernel = kernel.reshape(grid[2], -1, len(biases)).swapaxes(0, 1).reshape(
                    kernel.shape)
            dense = self.layers.Dense(
                len(biases), activation=head.activation if name == classifier else 'relu',
                name='Predictions' if name == classifier else name.replace('/', '_'))
            net = dense(net)
            self._values.append((dense, [kernel, biases]))
        return net

    def set_weights(self) -> None:
        for layer, values in self._values:
            layer.set_weights(values)


def _inception_v3(builder: _Builder, net):
    chain, conv, concat = builder.chain, builder.conv, builder.concat
    net = builder.stem(net)
    for block, five in (('Mixed_5b', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5')),
                        ('Mixed_5c', ('Conv2d_0b_1x1', 'Conv_1_0c_5x5')),  # misnamed in 2015
                        ('Mixed_5d', ('Conv2d_0a_1x1', 'Conv2d_0b_5x5'))):
        net = concat(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1', *five),
                     chain(net, f'{block}/Branch_2',
                           'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                     builder.pooled(net, block))
    inner = chain(net, 'Mixed_6a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
    net = concat(builder.valid_conv(net, 'Mixed_6a/Branch_0/Conv2d_1a_1x1'),  # a 3×3
                 builder.valid_conv(inner, 'Mixed_6a/Branch_1/Conv2d_1a_1x1'),
                 builder.max_pool(net))
    for block in ('Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e'):
        net = concat(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1',
                           'Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1'),
                     chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_7x1',
                           'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7'),
                     builder.pooled(net, block))
    first = conv(net, 'Mixed_7a/Branch_0/Conv2d_0a_1x1')
    second = chain(net, 'Mixed_7a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1')
    net = concat(builder.valid_conv(first, 'Mixed_7a/Branch_0/Conv2d_1a_3x3'),
                 builder.valid_conv(second, 'Mixed_7a/Branch_1/Conv2d_1a_3x3'),
                 builder.max_pool(net))
    for block, last in (('Mixed_7b', 'Conv2d_0b_3x1'), ('Mixed_7c', 'Conv2d_0c_3x1')):
        first = conv(net, f'{block}/Branch_1/Conv2d_0a_1x1')
        second = chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
        net = concat(conv(net, f'{block}/Branch_0/Conv2d_0a_1x1'),
                     concat(*(conv(first, f'{block}/Branch_1/{name}')
                              for name in ('Conv2d_0b_1x3', last))),
                     concat(*(conv(second, f'{block}/Branch_2/{name}')
                              for name in ('Conv2d_0c_1x3', 'Conv2d_0d_3x1'))),
                     builder.pooled(net, block))
    return net


def _inception_resnet_v2(builder: _Builder, net):
    chain, conv, concat = builder.chain, builder.conv, builder.concat

    def residual(net, block, scale, *branches, linear=False):
        """Adds a residual block: concatenated branches, projected, scaled, and added to `net`."""
        first = conv(net, f'{block}/Branch_0/Conv2d_1x1')
        up = concat(first, *(chain(net, f'{block}/Branch_{number}', *names)
                             for number, names in enumerate(branches, 1)))
        up = conv(up, f'{block}/Conv2d_1x1', linear=True)
        if scale != 1:
            up = builder.layers.Rescaling(scale)(up)
        net = builder.layers.Add()([net, up])
        return net if linear else builder.relu(net, block.replace('/', '_'))

    net = builder.stem(net)
    net = concat(conv(net, 'Mixed_5b/Branch_0/Conv2d_1x1'),
                 chain(net, 'Mixed_5b/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_5x5'),
                 chain(net, 'Mixed_5b/Branch_2',
                       'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                 builder.pooled(net, 'Mixed_5b'))
    for number in range(1, 11):
        net = residual(net, f'Repeat/block35_{number}', 0.17,
                       ('Conv2d_0a_1x1', 'Conv2d_0b_3x3'),
                       ('Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'))
    inner = chain(net, 'Mixed_6a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
    net = concat(builder.valid_conv(net, 'Mixed_6a/Branch_0/Conv2d_1a_3x3'),
                 builder.valid_conv(inner, 'Mixed_6a/Branch_1/Conv2d_1a_3x3'),
                 builder.max_pool(net))
    for number in range(1, 21):
        net = residual(net, f'Repeat_1/block17_{number}', 0.1,
                       ('Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1'))
    inner = [chain(net, f'Mixed_7a/Branch_{number}', *names) for number, names in enumerate((
        ('Conv2d_0a_1x1',), ('Conv2d_0a_1x1',), ('Conv2d_0a_1x1', 'Conv2d_0b_3x3')))]
    net = concat(*(builder.valid_conv(branch, f'Mixed_7a/Branch_{number}/Conv2d_1a_3x3')
                   for number, branch in enumerate(inner)), builder.max_pool(net))
    block8 = ('Conv2d_0a_1x1', 'Conv2d_0b_1x3', 'Conv2d_0c_3x1')
    for number in range(1, 10):
        net = residual(net, f'Repeat_2/block8_{number}', 0.2, block8)
    net = residual(net, 'Block8', 1, block8, linear=True)  # linear and not scaled
    return conv(net, 'Conv2d_7b_1x1')


def _inception_v1(builder: _Builder, net):
    chain, concat = builder.chain, builder.concat
    pool = partial(builder.max_pool, padding='same')
    net = pool(builder.conv(net, 'Conv2d_1a_7x7', stride=2))
    net = pool(chain(net, '', 'Conv2d_2b_1x1', 'Conv2d_2c_3x3'))
    for block in ('3b', '3c', '4b', '4c', '4d', '4e', '4f', '5b', '5c'):
        if block == '4b':
            net = pool(net)
        elif block == '5b':
            net = pool(net, 2)
        scope = f'Mixed_{block}/Branch'
        last = 'Conv2d_0a_3x3' if block == '5b' else 'Conv2d_0b_3x3'  # misnamed in checkpoints
        net = concat(chain(net, f'{scope}_0', 'Conv2d_0a_1x1'),
                     chain(net, f'{scope}_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3'),
                     chain(net, f'{scope}_2', 'Conv2d_0a_1x1', last),
                     chain(pool(net, stride=1), f'{scope}_3', 'Conv2d_0b_1x1'))
    return net


def _inception_v2(builder: _Builder, net):
    chain, conv, concat = builder.chain, builder.conv, builder.concat
    pool = partial(builder.max_pool, padding='same')
    net = pool(builder.separable_conv(net, 'Conv2d_1a_7x7', stride=2))
    net = pool(chain(net, '', 'Conv2d_2b_1x1', 'Conv2d_2c_3x3'))
    for block in ('3b', '3c', '4a', '4b', '4c', '4d', '4e', '5a', '5b', '5c'):
        name, scope = f'Mixed_{block}', f'Mixed_{block}/Branch'
        if block in ('4a', '5a'):
            inner = chain(net, f'{scope}_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
            net = concat(conv(chain(net, f'{scope}_0', 'Conv2d_0a_1x1'),
                              f'{scope}_0/Conv2d_1a_3x3', stride=2),
                         conv(inner, f'{scope}_1/Conv2d_1a_3x3', stride=2), pool(net))
            continue
        net = concat(chain(net, f'{scope}_0', 'Conv2d_0a_1x1'),
                     chain(net, f'{scope}_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3'),
                     chain(net, f'{scope}_2', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                     chain(pool(net, stride=1), f'{scope}_3', 'Conv2d_0b_1x1')
                     if block == '5c' else builder.pooled(net, name))
    return net


def _inception_v4(builder: _Builder, net):
    chain, conv, concat = builder.chain, builder.conv, builder.concat
    valid_conv, seven = builder.valid_conv, ('Conv2d_0a_1x1', 'Conv2d_0b_1x7', 'Conv2d_0c_7x1')
    net = conv(valid_conv(net, 'Conv2d_1a_3x3'), 'Conv2d_2a_3x3', padding='valid')
    net = conv(net, 'Conv2d_2b_3x3')
    net = concat(builder.max_pool(net), valid_conv(net, 'Mixed_3a/Branch_1/Conv2d_0a_3x3'))
    net = concat(*(conv(chain(net, f'Mixed_4a/Branch_{number}', *names),
                        f'Mixed_4a/Branch_{number}/Conv2d_1a_3x3', padding='valid')
                   for number, names in enumerate((seven[:1], seven))))
    net = concat(valid_conv(net, 'Mixed_5a/Branch_0/Conv2d_1a_3x3'), builder.max_pool(net))
    for block in ('Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_5e'):
        net = concat(chain(net, f'{block}/Branch_0', 'Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3'),
                     chain(net, f'{block}/Branch_2',
                           'Conv2d_0a_1x1', 'Conv2d_0b_3x3', 'Conv2d_0c_3x3'),
                     builder.pooled(net, block))
    inner = chain(net, 'Mixed_6a/Branch_1', 'Conv2d_0a_1x1', 'Conv2d_0b_3x3')
    net = concat(valid_conv(net, 'Mixed_6a/Branch_0/Conv2d_1a_3x3'),
                 valid_conv(inner, 'Mixed_6a/Branch_1/Conv2d_1a_3x3'), builder.max_pool(net))
    for block in (f'Mixed_6{letter}' for letter in 'bcdefgh'):
        net = concat(chain(net, f'{block}/Branch_0', 'Conv2d_0a_1x1'),
                     chain(net, f'{block}/Branch_1', *seven),
                     chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_7x1',
                           'Conv2d_0c_1x7', 'Conv2d_0d_7x1', 'Conv2d_0e_1x7'),
                     builder.pooled(net, block))
    net = concat(*(valid_conv(chain(net, f'Mixed_7a/Branch_{number}', *names),
                              f'Mixed_7a/Branch_{number}/Conv2d_1a_3x3')
                   for number, names in enumerate((seven[:1], seven))), builder.max_pool(net))
    for block in ('Mixed_7b', 'Mixed_7c', 'Mixed_7d'):
        first = chain(net, f'{block}/Branch_1', 'Conv2d_0a_1x1')
        second = chain(net, f'{block}/Branch_2', 'Conv2d_0a_1x1', 'Conv2d_0b_3x1', 'Conv2d_0c_1x3')
        net = concat(chain(net, f'{block}/Branch_0', 'Conv2d_0a_1x1'),
                     *(conv(first, f'{block}/Branch_1/{name}')
                       for name in ('Conv2d_0b_1x3', 'Conv2d_0c_3x1')),
                     *(conv(second, f'{block}/Branch_2/{name}')
                       for name in ('Conv2d_0d_1x3', 'Conv2d_0e_3x1')),
                     builder.pooled(net, block))
    return net


# By network: adds the base network, from images to the features before the average.
_BASE_NETWORKS: dict[str, Callable] = {
    'inception_v1': _inception_v1, 'inception_v2': _inception_v2, 'inception_v3': _inception_v3,
    'inception_v4': _inception_v4, 'inception_resnet_v2': _inception_resnet_v2}
_IN_KERAS_APPLICATIONS = ('inception_v3', 'inception_resnet_v2')


def keras_model(info: CheckpointInfo, weights: dict[str, np.ndarray],
                num_classes: int | None = None) -> keras.Model:
    """Builds a `keras.Model` of a network, from images to probabilities, with its weights.

    The auxiliary head, which only training needs, is left out.

    Args:
      info: from `checkpoint.read`, of a network that classifies.
      weights: from `checkpoint.read`; without the classifier's, these are random.
      num_classes: the number of classes of such a new classifier.

    Source: https://arxiv.org/abs/1512.00567, table 1; https://arxiv.org/abs/1602.07261, figure 15.
    """
    import keras

    network = registry.NETWORKS[info.network]
    builder = _Builder(weights, info.pooling)
    images = keras.Input((info.image_size, info.image_size, 3), name='images')
    net = builder.head(_BASE_NETWORKS[info.network](builder, images), info.head,
                       network.classifier, num_classes)
    model = keras.Model(images, net, name=network.scope)
    builder.set_weights()
    return model


def check(info: CheckpointInfo) -> None:
    """Raises an ExportError if keras.applications does not have the network."""
    if info.network not in _IN_KERAS_APPLICATIONS:
        title = registry.NETWORKS[info.network].title
        supported = ' and '.join(registry.NETWORKS[name].title for name in _IN_KERAS_APPLICATIONS)
        raise ExportError(f'{title} cannot be exported to Keras; {supported} can. Choose '
                          'saved-model.')


def write(info: CheckpointInfo, weights: dict[str, np.ndarray], path: str,
          settings: ExportSettings) -> PredictFn:
    """Writes a Keras file of the kind that the path ends in; see `registry.Writer`."""
    import keras

    _check_space(path, weights)
    model = keras_model(info, weights)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        # Keras chooses the kind by the suffix; other names get a .keras file.
        suffix = next((end for end in ('.weights.h5', '.h5') if path.endswith(end)), '.keras')
        file = os.path.join(folder, f'model{suffix}')
        if suffix == '.weights.h5':
            model.save_weights(file)
            loaded = keras_model(info, {
                name: np.zeros_like(value) for name, value in weights.items()})
            loaded.load_weights(file)
        else:
            model.save(file)
            loaded = keras.models.load_model(file)
        os.replace(file, path)
    return lambda batch: keras.ops.convert_to_numpy(loaded(batch, training=False))


def _check_space(path: str, weights: dict[str, np.ndarray]) -> None:
    """Raises an OSError if the disk has no space for a file, where HDF5 would crash."""
    if hasattr(os, 'posix_fallocate'):
        size = sum(value.nbytes + _OBJECT_BYTES for value in weights.values()) + _CONFIG_BYTES
        with open(path, 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, size)
        os.remove(path)
