"""A benchmark worker (see `worker_protocol`) that runs the forward pass of a network.

    python forward_worker.py NETWORK BATCH_SIZE

NETWORK is `tf.contrib.slim` (on Python 3.7), `tf_slim.nets` or `inception_slim`.
"""

import os
import sys

from worker_protocol import serve_steps

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

if sys.argv[1] == 'tf.contrib.slim':
    import tensorflow as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
    from tensorflow.contrib import slim
    from tensorflow.contrib.slim.python.slim.nets import inception_v3 as module
else:
    import inception_slim
    import tensorflow.compat.v1 as tf
    import tf_slim as slim
    from tf_slim.nets import inception_v3 as module
    if sys.argv[1] == 'inception_slim':
        module = inception_slim

with tf.Graph().as_default():
    inputs = tf.random_uniform((int(sys.argv[2]), 299, 299, 3))
    with slim.arg_scope(module.inception_v3_arg_scope()):
        logits, _ = module.inception_v3(inputs, is_training=False)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
serve_steps(tf.__version__, lambda: session.run(logits))
