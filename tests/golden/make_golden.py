"""Writes reference data of TensorFlow 1.15.5 and its `tf.contrib.slim` beside this file.

Needs Python 3.7, the last version that TensorFlow 1.15.5 supports:

    python3.7 -m venv v115
    v115/bin/pip install "tensorflow==1.15.5" "protobuf<3.21" "numpy<1.19"
    v115/bin/python tests/golden/make_golden.py [PART ...]

PART is graphs, outputs, training, checkpoints or family; by default all are written.

graphs        NAME.json.gz: variables, collections, end points and ops of each graph.
outputs       NAME.npz: outputs of the network for the golden images (see weights.py).
training      inception_v3_training.npz: losses, gradient norms and moving averages of one step.
checkpoints   checkpoints/: checkpoints of Inception V3 of every kind, and checkpoints.npz: their
              logits.
family        checkpoints/inception_v1 and _v2, narrow, and checkpoints_family.npz: their logits.

NAME is inception_v1, inception_v2 or inception_v3. TensorFlow 1.15.5 has no Inception V4 and no
Inception-ResNet V2; inception_v4.* and inception_resnet_v2.* come from the same TensorFlow and its
`tf.contrib.slim`, with the networks as defined in research/slim, and inception_resnet_v1.* with the
network as defined in FaceNet: weight decay 5e-4, `bottleneck_layer_size=512` in the graphs.
"""

import functools
import gzip
import json
import os
import shutil
import sys
import tempfile

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.python.slim.nets import (
    inception_v1,
    inception_v2,
    inception_v3 as contrib,
)
from weights import images, patchwork, weights_for

slim = tf.contrib.slim
tf.logging.set_verbosity(tf.logging.ERROR)
HERE = os.path.dirname(os.path.abspath(__file__))
SUFFIX = '/ExponentialMovingAverage'
NARROW = {'num_classes': 11, 'depth_multiplier': 0.05, 'min_depth': 4}


def arg_scope(scale=False):
    """The arg scope of Inception V3 as in scripts of the time."""
    batch_norm = {
        'decay': 0.9997,
        'epsilon': 0.001,
        'scale': scale,
        'updates_collections': tf.GraphKeys.UPDATE_OPS,
        'variables_collections': {
            'beta': None, 'gamma': None,
            'moving_mean': ['moving_vars'], 'moving_variance': ['moving_vars']},
    }
    with slim.arg_scope([slim.conv2d, slim.fully_connected],
                        weights_regularizer=slim.l2_regularizer(0.00004)):
        with slim.arg_scope([slim.conv2d],
                            weights_initializer=tf.truncated_normal_initializer(0.0, 0.1),
                            activation_fn=tf.nn.relu, normalizer_fn=slim.batch_norm,
                            normalizer_params=batch_norm) as scope:
            return scope


def build(batch=2, side=299, scale=False, **arguments):
    inputs = tf.placeholder(tf.float32, (batch, side, side, 3), name='inputs')
    with slim.arg_scope(arg_scope(scale)):
        logits, end_points = contrib.inception_v3(inputs, **arguments)
    return inputs, logits, end_points


def build_v1(batch=2, side=224, **arguments):
    inputs = tf.placeholder(tf.float32, (batch, side, side, 3), name='inputs')
    with slim.arg_scope(inception_v1.inception_v1_arg_scope()):
        logits, end_points = inception_v1.inception_v1(inputs, **arguments)
    return inputs, logits, end_points


def build_v2(batch=2, side=224, **arguments):
    inputs = tf.placeholder(tf.float32, (batch, side, side, 3), name='inputs')
    with slim.arg_scope(inception_v2.inception_v2_arg_scope()):
        logits, end_points = inception_v2.inception_v2(inputs, **arguments)
    return inputs, logits, end_points


def build_thin_v1(**arguments):
    """Inception V1 with a sixteenth of its channels; it has no depth multiplier."""
    conv2d = inception_v1.layers.conv2d

    @functools.wraps(conv2d)
    def thin(inputs, channels, *positional, **named):
        head = named['scope'] == 'Conv2d_0c_1x1'
        return conv2d(inputs, channels if head else max(channels // 16, 4), *positional, **named)

    inception_v1.layers.conv2d = thin
    try:
        return build_v1(num_classes=11, **arguments)
    finally:
        inception_v1.layers.conv2d = conv2d


def assign(session, value_of=weights_for):
    for variable in tf.model_variables():
        name = variable.op.name
        variable.load(value_of(name, variable.shape.as_list()), session)


# graphs ---------------------------------------------------------------------------------------

def describe(build_network=build, **arguments):
    with tf.Graph().as_default() as graph:
        _, _, end_points = build_network(**arguments)
        return {
            'variables': [(v.op.name, v.shape.as_list(), v.dtype.base_dtype.name)
                          for v in tf.global_variables()],
            'collections': {key: [item.name for item in graph.get_collection(key)]
                            for key in sorted(graph.get_all_collection_keys())},
            'end_points': [(name, tensor.name, tensor.shape.as_list())
                           for name, tensor in end_points.items()],
            'ops': [(op.name, op.type) for op in graph.get_operations()],
        }


def make_graphs():
    write_graphs('inception_v1', {
        'inference': describe(build_v1, is_training=False),
        'training': describe(build_v1),
        'unsqueezed': describe(build_v1, is_training=False, num_classes=5, spatial_squeeze=False),
    })
    write_graphs('inception_v2', {
        'inference': describe(build_v2, is_training=False),
        'training': describe(build_v2),
        'small_images': describe(build_v2, side=112, is_training=False),
        'narrow': describe(build_v2, is_training=False, depth_multiplier=0.5),
        'unsqueezed': describe(build_v2, is_training=False, num_classes=5, spatial_squeeze=False),
    })
    write_graphs('inception_v3', {
        'inference': describe(is_training=False),
        'training': describe(),
        'small_images': describe(side=150, is_training=False),
        'narrow': describe(is_training=False, depth_multiplier=0.5),
        'unsqueezed': describe(is_training=False, num_classes=5, spatial_squeeze=False),
    })


def write_graphs(name, graphs):
    # No time in the header, so that the same graphs make the same file.
    with open(os.path.join(HERE, name + '.json.gz'), 'wb') as file:
        with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
            packed.write(json.dumps(graphs, separators=(',', ':')).encode())


# outputs --------------------------------------------------------------------------------------

def make_outputs():
    for name, build_network, block in (('inception_v1', build_v1, 'Mixed_4b'),
                                       ('inception_v2', build_v2, 'Mixed_4b')):
        with tf.Graph().as_default(), tf.Session() as session:
            inputs, _, end_points = build_network(is_training=False)
            assign(session)
            fetches = {'logits': 'Logits', 'predictions': 'Predictions', 'block': block}
            answers = session.run({key: end_points[each] for key, each in fetches.items()},
                                  {inputs: images(2, 224)})
            answers['block'] = answers['block'].mean(axis=(1, 2))
        np.savez_compressed(os.path.join(HERE, name + '.npz'), **answers)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, _, end_points = build(is_training=False)
        assign(session)
        fetches = {'logits': 'Logits', 'aux_logits': 'AuxLogits', 'predictions': 'Predictions',
                   'pre_logits': 'PreLogits', 'mixed_5d': 'Mixed_5d'}
        answers = session.run({key: end_points[name] for key, name in fetches.items()},
                              {inputs: images(2)})
        answers['mixed_5d'] = answers['mixed_5d'].mean(axis=(1, 2))
    np.savez_compressed(os.path.join(HERE, 'inception_v3.npz'), **answers)


def make_training():
    """One step on eight images, without dropout, whose mask cannot be reproduced."""
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, logits, end_points = build(batch=8, side=150, dropout_keep_prob=1.0)
        labels = tf.one_hot([3, 14, 159, 265, 358, 592, 979, 999], 1000)
        tf.losses.softmax_cross_entropy(labels, logits, label_smoothing=0.1)
        tf.losses.softmax_cross_entropy(labels, end_points['AuxLogits'], weights=0.4,
                                        label_smoothing=0.1)
        total = tf.losses.get_total_loss()
        norms = [tf.norm(gradient) for gradient in tf.gradients(total, tf.trainable_variables())]
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        assign(session)
        values = session.run({
            'losses': tf.losses.get_losses(),
            'regularization_loss': tf.losses.get_regularization_loss(),
            'total_loss': total, 'gradient_norms': norms, 'logits': logits,
        }, {inputs: patchwork(8)})
        # The same with images changed by a rounding error, to measure the noise of gradients.
        values['gradient_norms_nudged'] = session.run(
            norms, {inputs: patchwork(8) * np.float32(1 + 2.0 ** -22)})
        session.run(updates, {inputs: patchwork(8)})
        values['moving_averages'] = np.concatenate(session.run(tf.get_collection('moving_vars')))
    np.savez_compressed(os.path.join(HERE, 'inception_v3_training.npz'), **values)


# checkpoints ----------------------------------------------------------------------------------

def save(session, name, version, variables=None, step=157585):
    folder = os.path.join(HERE, 'checkpoints', name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tf.train.Saver(variables, write_version=version).save(
        session, os.path.join(folder, 'model.ckpt'), global_step=step, write_meta_graph=False)
    os.remove(os.path.join(folder, 'checkpoint'))  # it contains paths of this machine


def narrow_checkpoint(name, version, outer=None, **arguments):
    """Writes a checkpoint of the narrow network; returns its logits."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        if outer:
            with tf.variable_scope(outer):
                inputs, logits, _ = build(is_training=False, **dict(NARROW, **arguments))
        else:
            inputs, logits, _ = build(is_training=False, **dict(NARROW, **arguments))
        assign(session)
        step.load(157585, session)
        save(session, name, version, tf.model_variables() + [step])
        return session.run(logits, {inputs: images(2)})


def trained_checkpoint(name):
    """Three steps of `slim.learning.train` with RMSProp and moving averages of the weights."""
    folder = os.path.join(HERE, 'checkpoints', name)
    shutil.rmtree(folder, ignore_errors=True)
    scratch = tempfile.mkdtemp()
    with tf.Graph().as_default():
        with slim.arg_scope(arg_scope()):
            logits, end_points = contrib.inception_v3(
                tf.constant(images(4)), dropout_keep_prob=1.0, **NARROW)
        labels = tf.one_hot([1, 4, 7, 10], 11)
        tf.losses.softmax_cross_entropy(labels, logits, label_smoothing=0.1)
        tf.losses.softmax_cross_entropy(labels, end_points['AuxLogits'], weights=0.4,
                                        label_smoothing=0.1)
        averages = tf.train.ExponentialMovingAverage(0.5)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, averages.apply(slim.get_model_variables()))
        optimizer = tf.train.RMSPropOptimizer(0.01, decay=0.9, momentum=0.9, epsilon=1.0)
        train = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer)
        drawn = {v.op.name: weights_for(v.op.name, v.shape.as_list())
                 for v in slim.get_model_variables()}
        begin = slim.assign_from_values_fn(drawn)
        slim.learning.train(train, scratch, number_of_steps=3, init_fn=begin, log_every_n_steps=100,
                            save_summaries_secs=None)
    os.makedirs(folder)
    for part in ('.index', '.data-00000-of-00001'):
        shutil.copy(os.path.join(scratch, 'model.ckpt-3' + part), folder)
    shutil.rmtree(scratch)
    path = os.path.join(folder, 'model.ckpt-3')
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, logits, _ = build(is_training=False, **NARROW)
        tf.train.Saver(tf.model_variables()).restore(session, path)
        plain = session.run(logits, {inputs: images(2)})
        tf.train.Saver({v.op.name + SUFFIX: v for v in tf.model_variables()}).restore(session, path)
        return plain, session.run(logits, {inputs: images(2)})


class FirstRelease:
    """The network with its structure and names before TF-Slim."""

    def __init__(self, inputs, num_classes, depth_multiplier, min_depth):
        self.scale = lambda channels: max(int(channels * depth_multiplier), min_depth)
        self.logits = self.build(inputs, num_classes)

    def conv(self, net, channels, kernel, stride=1, padding='SAME', scope=None):
        with tf.variable_scope(scope, 'Conv'):
            weights = tf.get_variable(
                'weights', kernel + [net.shape.as_list()[3], self.scale(channels)])
            net = tf.nn.conv2d(net, weights, [1, stride, stride, 1], padding)
            with tf.variable_scope('BatchNorm'):
                size = [self.scale(channels)]
                beta = tf.get_variable('beta', size)
                mean = tf.get_variable('moving_mean', size, trainable=False)
                variance = tf.get_variable('moving_variance', size, trainable=False)
            for average in (mean, variance):
                tf.add_to_collection(tf.GraphKeys.MOVING_AVERAGE_VARIABLES, average)
            return tf.nn.relu(tf.nn.batch_normalization(net, mean, variance, beta, None, 0.001))

    def dense(self, net, classes, scope):
        net = tf.layers.flatten(net)
        with tf.variable_scope(scope):
            weights = tf.get_variable('weights', [net.shape.as_list()[1], classes])
            return tf.matmul(net, weights) + tf.get_variable('biases', [classes])

    def chain(self, net, scope, layers, pool=None):
        """One branch: convolutions in a row; those in a list run in parallel and are joined."""
        with tf.variable_scope(scope):
            if pool == 'average':
                net = tf.nn.avg_pool(net, [1, 3, 3, 1], [1, 1, 1, 1], 'SAME')
            elif pool == 'max':
                net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], 'VALID')
            for layer in layers:
                if isinstance(layer, list):
                    net = tf.concat([self.conv(net, *each) for each in layer], 3)
                else:
                    net = self.conv(net, *layer)
            return net

    def block(self, net, scope, *branches):
        with tf.variable_scope(scope):
            return tf.concat([self.chain(net, *branch) for branch in branches], 3)

    def build(self, net, num_classes):
        one, three, five, strided = [1, 1], [3, 3], [5, 5], ([3, 3], 2, 'VALID')
        row, column = [1, 7], [7, 1]
        net = self.conv(net, 32, three, 2, 'VALID', 'conv0')
        net = self.conv(net, 32, three, 1, 'VALID', 'conv1')
        net = self.conv(net, 64, three, 1, 'SAME', 'conv2')
        net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], 'VALID')
        net = self.conv(net, 80, one, 1, 'VALID', 'conv3')
        net = self.conv(net, 192, three, 1, 'VALID', 'conv4')
        net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], 'VALID')
        for letter, pooled in (('256a', 32), ('288a', 64), ('288b', 64)):
            net = self.block(
                net, 'mixed_35x35x' + letter,
                ('branch1x1', [(64, one)]),
                ('branch5x5', [(48, one), (64, five)]),
                ('branch3x3dbl', [(64, one), (96, three), (96, three)]),
                ('branch_pool', [(pooled, one)], 'average'))
        net = self.block(
            net, 'mixed_17x17x768a',
            ('branch3x3', [(384,) + strided]),
            ('branch3x3dbl', [(64, one), (96, three), (96,) + strided]),
            ('branch_pool', [], 'max'))
        for letter, inner in (('b', 128), ('c', 160), ('d', 160), ('e', 192)):
            net = self.block(
                net, 'mixed_17x17x768' + letter,
                ('branch1x1', [(192, one)]),
                ('branch7x7', [(inner, one), (inner, row), (192, column)]),
                ('branch7x7dbl', [(inner, one), (inner, column), (inner, row), (inner, column),
                                  (192, row)]),
                ('branch_pool', [(192, one)], 'average'))
        with tf.variable_scope('aux_logits'):
            aux = tf.nn.avg_pool(net, [1, 5, 5, 1], [1, 3, 3, 1], 'VALID')
            aux = self.conv(aux, 128, one, scope='proj')
            aux = self.conv(aux, 768, five, padding='VALID')
            self.aux_logits = self.dense(aux, num_classes, 'FC')
        net = self.block(
            net, 'mixed_17x17x1280a',
            ('branch3x3', [(192, one), (320,) + strided]),
            ('branch7x7x3', [(192, one), (192, row), (192, column), (192,) + strided]),
            ('branch_pool', [], 'max'))
        for letter in 'ab':
            net = self.block(
                net, 'mixed_8x8x2048' + letter,
                ('branch1x1', [(320, one)]),
                ('branch3x3', [(384, one), [(384, [1, 3]), (384, [3, 1])]]),
                ('branch3x3dbl', [(448, one), (384, three), [(384, [1, 3]), (384, [3, 1])]]),
                ('branch_pool', [(192, one)], 'average'))
        net = tf.nn.avg_pool(net, [1, 8, 8, 1], [1, 1, 1, 1], 'VALID')
        with tf.variable_scope('logits'):
            return self.dense(net, num_classes, 'logits')


def first_release_checkpoint(name):
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, (2, 299, 299, 3))
        network = FirstRelease(inputs, **NARROW)
        fetches = [network.logits, network.aux_logits]
        weights = tf.global_variables()
        averages = tf.train.ExponentialMovingAverage(0.9999)
        averages.apply(weights)
        step = tf.train.get_or_create_global_step()
        step.load(157585, session)

        def load(suffix, variables):
            for variable, target in variables:
                # The last part of the name selects the distribution.
                name = variable.op.name + suffix + '/' + variable.op.name.split('/')[-1]
                drawn = weights_for(name, variable.shape.as_list())
                target.load(drawn, session)

        load(SUFFIX, [(v, v) for v in weights])
        averaged = session.run(fetches, {inputs: images(2)})
        load(SUFFIX, [(v, averages.average(v)) for v in weights])
        load('', [(v, v) for v in weights])
        save(session, name, tf.train.SaverDef.V1)
        return session.run(fetches, {inputs: images(2)}), averaged


def make_checkpoints():
    v1, v2 = tf.train.SaverDef.V1, tf.train.SaverDef.V2
    logits = {
        'slim_v1': narrow_checkpoint('slim_v1', v1),
        'slim_v2': narrow_checkpoint('slim_v2', v2),
        'gamma': narrow_checkpoint('gamma', v2, scale=True),
        'outer_scope': narrow_checkpoint('outer_scope', v2, outer='tower_0'),
        'renamed': narrow_checkpoint('renamed', v2, scope='my_net'),
    }
    logits['trained'], logits['trained_averaged'] = trained_checkpoint('trained')
    (logits['first_release'], logits['first_release_aux']), \
        (logits['first_release_averaged'], logits['first_release_aux_averaged']) = \
        first_release_checkpoint('first_release')
    np.savez_compressed(os.path.join(HERE, 'checkpoints.npz'), **logits)


def make_family():
    logits = {}
    for name, build_network in (
            ('inception_v1', build_thin_v1),
            ('inception_v2', functools.partial(build_v2, **NARROW))):
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.train.get_or_create_global_step()
            inputs, tensor, _ = build_network(is_training=False)
            assign(session)
            step.load(157585, session)
            save(session, name, tf.train.SaverDef.V2, tf.model_variables() + [step])
            logits[name] = session.run(tensor, {inputs: images(2, 224)})
    np.savez_compressed(os.path.join(HERE, 'checkpoints_family.npz'), **logits)


PARTS = {'graphs': make_graphs, 'outputs': make_outputs, 'training': make_training,
         'checkpoints': make_checkpoints, 'family': make_family}

if __name__ == '__main__':
    for part in sys.argv[1:] or PARTS:
        print(part)
        PARTS[part]()
