"""Writes training_steps.npz beside this file: three training steps by TensorFlow 1.15.5.

Run it like make_golden.py, with a Python 3.7 that has TensorFlow 1.15.5:

    v115/bin/python tests/golden/make_training_steps.py

The narrow Inception V3 of `tf.contrib.slim`, golden weights, three batches of golden images, and
the recipe of `inception_slim.training`. In float64, which fused batch norm does not know: in
float32 the batch norm of a narrow network makes rounding the most of some gradients. Resource
variables, so that what runs before what is certain. The run is made twice, the second time on
images moved by a rounding; what that moves, which is printed, a tolerance must allow.
"""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

from make_golden import NARROW, SUFFIX, arg_scope
import numpy as np
import tensorflow as tf
from tensorflow.contrib.slim.python.slim.nets import inception_v3 as contrib
from weights import patchwork, weights_for

slim = tf.contrib.slim
HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, BATCH = 3, 8
LAYERS = ('InceptionV3/Conv2d_1a_3x3', 'InceptionV3/Mixed_5c/Branch_1/Conv_1_0c_5x5',
          'InceptionV3/Mixed_6c/Branch_2/Conv2d_0c_1x7',
          'InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1')
WEIGHTS = 'InceptionV3/Logits/Conv2d_1c_1x1/'
AUX = 'InceptionV3/AuxLogits/Conv2d_2b_1x1/'
KEPT = [layer + each for layer in LAYERS for each in (
    '/weights', '/weights' + SUFFIX, '/weights/RMSProp', '/weights/RMSProp_1', '/BatchNorm/beta',
    '/BatchNorm/moving_mean', '/BatchNorm/moving_variance', '/BatchNorm/moving_mean' + SUFFIX)] + [
    head + each for head in (WEIGHTS, AUX) for each in ('weights', 'biases', 'biases' + SUFFIX)]


def train(images):
    with tf.Graph().as_default(), tf.Session() as session, \
            tf.variable_scope('', use_resource=True):
        global_step = tf.train.get_or_create_global_step()
        inputs = tf.placeholder(tf.float64, (BATCH,) + images.shape[1:])
        labels = tf.placeholder(tf.int64, (BATCH,))
        with slim.arg_scope([slim.batch_norm], fused=False), slim.arg_scope(arg_scope()):
            logits, end_points = contrib.inception_v3(inputs, dropout_keep_prob=1.0, **NARROW)
        wanted = tf.one_hot(labels, NARROW['num_classes'])
        main = tf.losses.softmax_cross_entropy(wanted, logits, label_smoothing=0.1)
        aux = tf.losses.softmax_cross_entropy(wanted, end_points['AuxLogits'], weights=0.4,
                                              label_smoothing=0.1)
        total = tf.losses.get_total_loss()
        rate = tf.train.exponential_decay(0.01, global_step, 2, 0.94, staircase=True)
        optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
        step = slim.learning.create_train_op(total, optimizer, global_step=global_step,
                                             clip_gradient_norm=0.5)
        with tf.control_dependencies([step]):
            averages = tf.train.ExponentialMovingAverage(0.9999, global_step)
            averaged = averages.apply(slim.get_model_variables())
        # In one run: a run for each variable would take many minutes.
        begin, feeds = [], {}
        for variable in slim.get_model_variables():
            value = tf.placeholder(variable.dtype.base_dtype, variable.shape)
            feeds[value] = weights_for(variable.op.name, variable.shape.as_list())
            begin += [tf.assign(variable, value), tf.assign(averages.average(variable), value)]
        session.run(tf.global_variables_initializer())
        session.run(begin, feeds)
        losses = []
        for i in range(STEPS):
            feeds = {inputs: images[i * BATCH:(i + 1) * BATCH], labels: np.arange(BATCH) + i}
            # First the losses of this step, before the update.
            losses.append(session.run(
                [total, main, aux, tf.losses.get_regularization_loss(), rate], feeds))
            session.run(averaged, feeds)
        found = {v.op.name: v for v in tf.global_variables()}
        return np.array(losses), session.run({name: found[name] for name in KEPT})


def main():
    images = patchwork(STEPS * BATCH).astype(np.float64)
    losses, values = train(images)
    nudged_losses, nudged = train(images * (1 + 2.0 ** -51))
    np.savez_compressed(os.path.join(HERE, 'training_steps.npz'), losses=losses, **values)
    print(losses, np.abs(losses - nudged_losses).max(axis=0))
    for name in KEPT:
        print(name, np.abs(values[name]).max(), np.abs(values[name] - nudged[name]).max())


if __name__ == '__main__':
    main()
