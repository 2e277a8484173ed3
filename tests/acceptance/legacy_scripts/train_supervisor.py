"""A training loop of 2016: tf.train.Supervisor, a chief, checkpoints, and a second run that resumes."""
from __future__ import print_function

import numpy as np
import tensorflow as tf
from tensorflow.contrib import slim
from tensorflow.contrib.slim.nets import inception

LOGDIR = 'supervised'


class Config(object):
    BatchSize = 6
    LearningRate = 0.0005
    MaxSteps = 5
    NumClasses = 5
    WeightDecay = 1e-4


def next_batch(i):
    rng = np.random.RandomState(100 + i)
    coarse = rng.uniform(-1, 1, (Config.BatchSize, 5, 5, 3))
    images = coarse.repeat(30, axis=1).repeat(30, axis=2)[:, :149, :149]
    return images.astype(np.float32), rng.randint(0, Config.NumClasses, Config.BatchSize)


def train(steps):
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 149, 149, 3], name='x')
        y = tf.placeholder(tf.int32, [None], name='y')
        is_training = tf.placeholder(tf.bool, [], name='is_training')
        global_step = tf.Variable(0, name='global_step', trainable=False)
        with slim.arg_scope(inception.inception_v3_arg_scope(weight_decay=Config.WeightDecay,
                                                             batch_norm_decay=0.9)):
            with slim.arg_scope([slim.batch_norm], is_training=is_training):
                net, _ = inception.inception_v3_base(
                    x, final_endpoint='Mixed_5d', depth_multiplier=0.1, min_depth=4)
        net = tf.reduce_mean(net, [1, 2])
        logits = slim.fully_connected(
            net, Config.NumClasses, activation_fn=None, scope='head',
            weights_initializer=tf.random_normal_initializer(stddev=0.1, seed=8))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=y))
        total = loss + tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
        update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        with tf.control_dependencies(update_ops):
            train_op = tf.train.GradientDescentOptimizer(Config.LearningRate).minimize(
                total, global_step=global_step)

        # Weights that do not hang on the order in which the graph was made.
        assigns = []
        rng = np.random.RandomState(1)
        for var in sorted(tf.trainable_variables(), key=lambda v: v.name):
            if var.op.name.endswith('/weights') and 'head' not in var.op.name:
                shape = var.get_shape().as_list()
                value = rng.randn(*shape) * np.sqrt(2.0 / np.prod(shape[:-1]))
                assigns.append(var.assign(value.astype(np.float32)))

        def init_fn(sess):
            sess.run(assigns)

        sv = tf.train.Supervisor(logdir=LOGDIR, global_step=global_step, summary_op=None,
                                 save_model_secs=600, init_fn=init_fn)
        with sv.managed_session() as sess:
            step = sess.run(global_step)
            print('begins at step %d' % step)
            while not sv.should_stop() and step < steps:
                images, labels = next_batch(step)
                _, np_loss, np_total, step = sess.run(
                    [train_op, loss, total, global_step],
                    feed_dict={x: images, y: labels, is_training: True})
            images, labels = next_batch(0)
            np_logits = sess.run(logits, {x: images, is_training: False})
            print('step %d: loss %.6f, total %.6f, logits %.6f' % (
                step, np_loss, np_total, np.abs(np_logits).sum()))
            sv.saver.save(sess, sv.save_path, global_step=global_step)


train(3)
train(Config.MaxSteps)
state = tf.train.get_checkpoint_state(LOGDIR)
print(state.model_checkpoint_path)
