"""One worker, as TF_CONFIG says, or one process alone: steps on golden weights and given images.

    python worker_steps.py OUT OPTIONS

OPTIONS is JSON: `steps`, `batch` (images of all workers in a step), `batch_norm`, `num_clones`,
`moving_average_decay`. OUT gets the losses, and the variables by name.
"""

import json
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from golden.weights import patchwork
from helpers import load_golden_weights
from inception_slim import training
from inception_slim.training.distributed import join_cluster
import numpy as np
import tensorflow.compat.v1 as tf


def main(out, options):
    given = {'steps': 2, 'batch': 8, 'batch_norm': True, 'num_clones': 1,
             'moving_average_decay': 0.9999, **json.loads(options)}
    workers = join_cluster(os.environ.get('TF_CONFIG'), given, timeout=30, wait_minutes=1, log=None)
    images = patchwork(160, 64)  # whatever the batch, or the first would be others
    labels = np.arange(len(images)) % 7
    share = given['batch'] // workers.count
    first = share * workers.index
    with tf.Graph().as_default():
        inputs = tf.placeholder(tf.float32, (share, 64, 64, 3))
        wanted = tf.placeholder(tf.int64, (share,))
        step = training.build_step(
            inputs, wanted, 7, network='inception_v2', depth_multiplier=0.25, dropout_keep_prob=1.0,
            clip_gradients=0.5, batch_norm_decay=0.9, use_batch_norm=given['batch_norm'],
            num_clones=given['num_clones'],
            moving_average_decay=given['moving_average_decay'], workers=workers)
        as_chief = workers.broadcast(tf.global_variables())
        with workers.session() as session:
            if workers.is_chief:
                session.run(tf.global_variables_initializer())
                load_golden_weights(session)
                session.run(step.init_averages)
            session.run(as_chief)
            losses = []
            for number in range(given['steps']):
                here = slice(given['batch'] * number + first,
                             given['batch'] * number + first + share)
                losses.append(session.run(
                    step.train, {inputs: images[here], wanted: labels[here]}))
            found = {each.op.name: value for each, value in zip(
                tf.global_variables(), session.run(tf.global_variables()))}
        regularizers = len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    workers.barrier()
    np.savez(out, losses=losses, regularizers=regularizers, **found)


if __name__ == '__main__':
    main(*sys.argv[1:])
