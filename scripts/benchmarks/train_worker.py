"""One contestant of a comparison: builds a training step, then times one for every line read.

    python train_worker.py NETWORK BATCH_SIZE

NETWORK is `tf.contrib.slim float32` or `inception_slim PRECISION`: the first is the recipe of the
second, written with what TensorFlow 1.15.5 has, for Python 3.7. Prints the version of TensorFlow
when it is ready, then answers each line of its input, and ends with its input.
"""

import os
import sys

from turns import take_turns

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

CLASSES = 1001


def build_with_contrib(tf, images, labels):
    from tensorflow.contrib import slim
    from tensorflow.contrib.slim.python.slim.nets import inception_v3 as module

    global_step = tf.train.get_or_create_global_step()
    with slim.arg_scope(module.inception_v3_arg_scope()):
        logits, end_points = module.inception_v3(images, num_classes=CLASSES)
    wanted = tf.one_hot(labels, CLASSES)
    tf.losses.softmax_cross_entropy(wanted, logits, label_smoothing=0.1)
    tf.losses.softmax_cross_entropy(wanted, end_points['AuxLogits'], weights=0.4,
                                    label_smoothing=0.1)
    rate = tf.train.exponential_decay(0.01, global_step, 1000, 0.94, staircase=True)
    optimizer = tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
    step = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer,
                                         global_step=global_step, clip_gradient_norm=2.0)
    with tf.control_dependencies([step]):
        averaged = tf.train.ExponentialMovingAverage(0.9999, global_step).apply(
            slim.get_model_variables())
    with tf.control_dependencies([averaged]):
        return tf.identity(step)


def build_ours(tf, images, labels):
    from inception_slim import training

    precision = sys.argv[1].split()[-1]
    return training.build_step(images, labels, CLASSES, precision=precision).train


def main():
    network, batch_size = sys.argv[1], int(sys.argv[2])
    if network.startswith('tf.contrib.slim'):
        import tensorflow as tf
        tf.logging.set_verbosity(tf.logging.ERROR)
        build = build_with_contrib
    else:
        import inception_slim  # noqa: F401  first, so that TensorFlow is imported quietly
        import tensorflow.compat.v1 as tf
        build = build_ours
    with tf.Graph().as_default():
        images = tf.random_uniform((batch_size, 299, 299, 3), -1, 1)
        labels = tf.random_uniform((batch_size,), maxval=CLASSES, dtype=tf.int64)
        step = build(tf, images, labels)
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        take_turns('TensorFlow ' + tf.__version__, lambda: session.run(step))


if __name__ == '__main__':
    main()
