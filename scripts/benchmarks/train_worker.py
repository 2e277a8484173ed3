"""A benchmark worker (see `worker_protocol`) that runs training steps.

    python train_worker.py NETWORK BATCH_SIZE

NETWORK is `tf.contrib.slim float32` or `inception_slim PRECISION [recomputing]`. The first has the
same losses and optimizer, written for TensorFlow 1.15.5 and Python 3.7. If TF_CONFIG names other
workers, the second trains with them. `parameter servers` is the first with
`SyncReplicasOptimizer`, with the workers and servers of TF_CONFIG.
"""

import json
import os
import sys

from worker_protocol import serve_steps

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

CLASSES = 1001


def build_with_contrib(tf, images, labels):
    from tensorflow.contrib import slim
    from tensorflow.contrib.slim.python.slim.nets import inception_v3 as module

    return build_slim_step(tf, slim, module, images, labels, lambda optimizer: optimizer)


def build_slim_step(tf, slim, module, images, labels, wrap_optimizer):
    """A training step as slim's users wrote it; `wrap_optimizer` may replace its optimizer."""
    global_step = tf.train.get_or_create_global_step()
    with slim.arg_scope(module.inception_v3_arg_scope()):
        logits, end_points = module.inception_v3(images, num_classes=CLASSES)
    one_hot = tf.one_hot(labels, CLASSES)
    tf.losses.softmax_cross_entropy(one_hot, logits, label_smoothing=0.1)
    tf.losses.softmax_cross_entropy(one_hot, end_points['AuxLogits'], weights=0.4,
                                    label_smoothing=0.1)
    rate = tf.train.exponential_decay(0.01, global_step, 1000, 0.94, staircase=True)
    optimizer = wrap_optimizer(
        tf.train.RMSPropOptimizer(rate, decay=0.9, momentum=0.9, epsilon=1.0)
    )
    step = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer,
                                         global_step=global_step, clip_gradient_norm=2.0)
    with tf.control_dependencies([step]):
        averages = tf.train.ExponentialMovingAverage(0.9999, global_step).apply(
            slim.get_model_variables())
    with tf.control_dependencies([averages]):
        return tf.identity(step)


def build_step(tf, images, labels):
    from inception_slim import training

    _, precision, *more = sys.argv[1].split()
    return training.build_step(images, labels, CLASSES, precision=precision,
                               recompute=more == ['recomputing']).train


def run_distributed(batch_size):
    from inception_slim import _tf_logging

    _tf_logging.import_tensorflow_quietly()
    from inception_slim import training
    from inception_slim.training.distributed import join_cluster
    import tensorflow.compat.v1 as tf

    workers = join_cluster(os.environ['TF_CONFIG'], {}, timeout=60, wait_minutes=2, log=None)
    with tf.Graph().as_default():
        step = training.build_step(*random_batch(tf, batch_size), CLASSES, workers=workers).train
        as_chief = workers.broadcast(tf.global_variables())
        with workers.session() as session:
            session.run(tf.global_variables_initializer())
            session.run(as_chief)
            serve_steps('TensorFlow ' + tf.__version__, lambda: session.run(step))


def run_with_parameter_servers(batch_size):
    import inception_slim  # noqa: F401  makes tf_slim run
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    config = json.loads(os.environ['TF_CONFIG'])
    cluster, index = tf.train.ClusterSpec(config['cluster']), config['task']['index']
    server = tf.train.Server(cluster, job_name=config['task']['type'], task_index=index)
    if config['task']['type'] == 'ps':
        serve_steps('TensorFlow ' + tf.__version__, lambda: None)
        return
    created = []

    def wrap_optimizer(optimizer):
        count = len(config['cluster']['worker'])
        created.append(tf.train.SyncReplicasOptimizer(optimizer, count, count))
        return created[0]

    with tf.Graph().as_default():
        with tf.device(tf.train.replica_device_setter(
                worker_device=f'/job:worker/task:{index}', cluster=cluster)):
            step = build_slim_step(tf, slim, inception_slim, *random_batch(tf, batch_size),
                                   wrap_optimizer)
        with tf.train.MonitoredTrainingSession(
                server.target, is_chief=index == 0, save_summaries_steps=None,
                save_summaries_secs=None, hooks=[created[0].make_session_run_hook(index == 0)],
                log_step_count_steps=None) as session:
            serve_steps('TensorFlow ' + tf.__version__, lambda: session.run(step))


def random_batch(tf, batch_size):
    return (tf.random_uniform((batch_size, 299, 299, 3), -1, 1),
            tf.random_uniform((batch_size,), maxval=CLASSES, dtype=tf.int64))


def main():
    network, batch_size = sys.argv[1], int(sys.argv[2])
    if network == 'parameter servers':
        return run_with_parameter_servers(batch_size)
    if os.environ.get('TF_CONFIG'):
        return run_distributed(batch_size)
    if network.startswith('tf.contrib.slim'):
        import tensorflow as tf
        tf.logging.set_verbosity(tf.logging.ERROR)
        build = build_with_contrib
    else:
        from inception_slim import _tf_logging

        _tf_logging.import_tensorflow_quietly()
        import tensorflow.compat.v1 as tf
        build = build_step
    with tf.Graph().as_default():
        step = build(tf, *random_batch(tf, batch_size))
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        serve_steps('TensorFlow ' + tf.__version__, lambda: session.run(step))


if __name__ == '__main__':
    main()
