"""Builds a graph with the structure of TensorFlow's `classify_image_graph_def.pb` (December 2015).

That file is not included, but its structure is known: the names of its nodes (`conv/conv2d_params`,
`mixed_10/tower_1/mixed/conv_1/batchnorm/beta`, `softmax/weights`, ...), batch norm by the op
BatchNormWithGlobalNormalization with an epsilon of 0.001, uint8 images minus 128 and times 1/128,
and max pooling in the last block where the others average. The nodes are written one by one, with
any width, as a graph of version 8, which may have that op. So TensorFlow's outputs for it do not
depend on the reader that is tested.

Sources: https://github.com/toshas/torch-fidelity, whose `InceptionV3` reproduces the file;
https://github.com/mseitzer/pytorch-fid for the pooling of the last two blocks.
"""

from golden.weights import weights_for
import numpy as np
import tensorflow.compat.v1 as tf


class Graph:

    def __init__(self, channels, classes, widths):
        self.definition = tf.GraphDef()
        self.definition.versions.producer = 8
        self._channels = channels
        self._widths = widths
        self._classes = classes
        self._depth = {}

    def node(self, name, op, *inputs, **attributes):
        node = self.definition.node.add(name=name, op=op)
        node.input.extend(inputs)
        node.attr['T'].type = tf.float32.as_datatype_enum
        for key, value in attributes.items():
            if isinstance(value, list):
                node.attr[key].list.i.extend(value)
            elif isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, float):
                node.attr[key].f = value
            elif isinstance(value, int):
                node.attr[key].i = value
            else:
                node.attr[key].s = value.encode()
        return name

    def constant(self, name, value):
        value = np.asarray(value)
        node = self.definition.node.add(name=name, op='Const')
        node.attr['dtype'].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
        return name

    def conv(self, net, name, size, stride=1, padding='SAME'):
        height, width = size
        out = self._widths.get(name, self._channels)
        shape = (height, width, self._depth[net], out)
        self.constant(f'{name}/conv2d_params', weights_for(f'{name}/weights', shape))
        convolved = self.node(f'{name}/Conv2D', 'Conv2D', net, f'{name}/conv2d_params',
                              strides=[1, stride, stride, 1], padding=padding,
                              use_cudnn_on_gpu=True)
        parts = [self.constant(f'{name}/batchnorm/{part}',
                               weights_for(f'{name}/{part}', (out,)))
                 for part in ('moving_mean', 'moving_variance', 'beta', 'gamma')]
        normed = self.node(f'{name}/batchnorm', 'BatchNormWithGlobalNormalization', convolved,
                           *parts, variance_epsilon=0.001, scale_after_normalization=True)
        self._depth[name] = out
        return self.node(name, 'Relu', normed)

    def chain(self, net, scope, *sizes):
        for number, size in enumerate(sizes):
            net = self.conv(net, f'{scope}/conv' if not number else f'{scope}/conv_{number}', size)
        return net

    def pool(self, net, name, op, stride=1, padding='SAME'):
        self._depth[name] = self._depth[net]
        return self.node(name, op, net, ksize=[1, 3, 3, 1], strides=[1, stride, stride, 1],
                         padding=padding)

    def join(self, name, *parts):
        axis = self.constant(f'{name}/concat_dim', np.int32(3))
        self._depth[name] = sum(self._depth[part] for part in parts)
        return self.node(name, 'Concat', axis, *parts, N=len(parts))

    def pooled(self, net, block, op='AvgPool'):
        return self.conv(self.pool(net, f'{block}/tower_2/pool', op), f'{block}/tower_2/conv',
                         (1, 1))

    def shrinking(self, net, name):
        return self.conv(net, name, (3, 3), 2, 'VALID')

    def build(self):
        images = self.definition.node.add(name='ResizeBilinear', op='Placeholder')
        images.attr['dtype'].type = tf.float32.as_datatype_enum
        self.constant('Sub/y', np.float32(128))
        self.constant('Mul/y', np.float32(1 / 128))
        net = self.node('Mul', 'Mul', self.node('Sub', 'Sub', 'ResizeBilinear', 'Sub/y'), 'Mul/y')
        self._depth[net] = 3
        net = self.conv(net, 'conv', (3, 3), 2, 'VALID')
        net = self.conv(net, 'conv_1', (3, 3), padding='VALID')
        net = self.pool(self.conv(net, 'conv_2', (3, 3)), 'pool', 'MaxPool', 2, 'VALID')
        net = self.conv(net, 'conv_3', (1, 1), padding='VALID')
        net = self.pool(self.conv(net, 'conv_4', (3, 3), padding='VALID'), 'pool_1', 'MaxPool', 2,
                        'VALID')
        for block in ('mixed', 'mixed_1', 'mixed_2'):
            net = self.join(f'{block}/join', self.conv(net, f'{block}/conv', (1, 1)),
                            self.chain(net, f'{block}/tower', (1, 1), (5, 5)),
                            self.chain(net, f'{block}/tower_1', (1, 1), (3, 3), (3, 3)),
                            self.pooled(net, block))
        inner = self.chain(net, 'mixed_3/tower', (1, 1), (3, 3))
        net = self.join('mixed_3/join', self.shrinking(net, 'mixed_3/conv'),
                        self.shrinking(inner, 'mixed_3/tower/conv_2'),
                        self.pool(net, 'mixed_3/pool', 'MaxPool', 2, 'VALID'))
        for block in ('mixed_4', 'mixed_5', 'mixed_6', 'mixed_7'):
            net = self.join(f'{block}/join', self.conv(net, f'{block}/conv', (1, 1)),
                            self.chain(net, f'{block}/tower', (1, 1), (1, 7), (7, 1)),
                            self.chain(net, f'{block}/tower_1', (1, 1), (7, 1), (1, 7), (7, 1),
                                       (1, 7)),
                            self.pooled(net, block))
        first = self.chain(net, 'mixed_8/tower', (1, 1))
        second = self.chain(net, 'mixed_8/tower_1', (1, 1), (1, 7), (7, 1))
        net = self.join('mixed_8/join', self.shrinking(first, 'mixed_8/tower/conv_1'),
                        self.shrinking(second, 'mixed_8/tower_1/conv_3'),
                        self.pool(net, 'mixed_8/pool', 'MaxPool', 2, 'VALID'))
        for block, op in (('mixed_9', 'AvgPool'), ('mixed_10', 'MaxPool')):
            first = self.chain(net, f'{block}/tower', (1, 1))
            second = self.chain(net, f'{block}/tower_1', (1, 1), (3, 3))
            spread = [self.conv(each, f'{block}/{tower}/mixed/{name}', size)
                      for tower, each in (('tower', first), ('tower_1', second))
                      for name, size in (('conv', (1, 3)), ('conv_1', (3, 1)))]
            net = self.join(f'{block}/join', self.conv(net, f'{block}/conv', (1, 1)), *spread,
                            self.pooled(net, block, op))
        features = self.node('pool_3', 'AvgPool', net, ksize=[1, 8, 8, 1], strides=[1, 1, 1, 1],
                             padding='VALID')
        width = self._depth[net]
        shape = self.constant('pool_3/_reshape/shape', np.array([-1, width], np.int32))
        flat = self.node('pool_3/_reshape', 'Reshape', features, shape)
        self.constant('softmax/weights', weights_for('softmax/weights', (width, self._classes)))
        self.constant('softmax/biases', weights_for('softmax/biases', (self._classes,)))
        product = self.node('softmax/logits/MatMul', 'MatMul', flat, 'softmax/weights')
        logits = self.node('softmax/logits', 'BiasAdd', product, 'softmax/biases')
        self.node('softmax', 'Softmax', logits)
        return self.definition


def draw(channels=4, classes=1008, widths=None):
    """A GraphDef from `ResizeBilinear:0`, `[N, 299, 299, 3]` in [0, 255], to `softmax/logits:0`.

    Args:
      channels: of every convolution.
      classes: outputs of the classifier.
      widths: the channels of some convolutions, by name.
    """
    return Graph(channels, classes, widths or {}).build()
