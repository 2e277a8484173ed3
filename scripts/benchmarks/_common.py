"""What several benchmarks use: random checkpoints and the description of the machine."""

from __future__ import annotations

from collections.abc import Sequence
import os
import platform

from inception_slim._threads import available_cores
from inception_slim.inference.cpu_features import cpu_summary, cpuinfo_field
from inception_slim.nets import registry
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim


def processor() -> str:
    """The name of the processor."""
    return cpuinfo_field('model name') or platform.processor() or platform.machine()


def machine() -> str:
    """The processor, its instruction sets and the number of usable cores."""
    return f'{processor()} ({cpu_summary()}), {available_cores()} cores'


def resident_memory() -> int:
    """The resident memory of this process in bytes."""
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def fill_with_random_weights(session: tf.Session, variables: Sequence[tf.Variable]) -> None:
    """Sets random weights of a scale that keeps activations in range over a hundred layers."""
    rng = np.random.RandomState(0)

    def value(shape: list[int], name: str) -> np.ndarray:
        if name == 'moving_variance':
            return np.ones(shape, np.float32)
        scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith('weights') else 0.1
        return rng.standard_normal(shape).astype(np.float32) * np.float32(scale)

    # In one call: one for each variable would take a minute.
    session.run([variable.initializer for variable in variables], {
        variable.initializer.inputs[1]: value(variable.shape.as_list(),
                                              variable.op.name.rsplit('/', 1)[-1])
        for variable in variables})


def random_checkpoint(name: str, folder: str) -> tuple[str, tf.Tensor]:
    """Writes a full-width checkpoint of 1,001 classes.

    Returns:
      Its prefix, and the logits `[1, 1001]` of the graph that it was written from.
    """
    network = registry.NETWORKS[name]
    with tf.Graph().as_default(), tf.Session() as session:
        with slim.arg_scope(network.arg_scope()):
            logits, _ = network.function(tf.zeros((1, network.image_size, network.image_size, 3)),
                                         1001, is_training=False)
        variables = slim.get_model_variables()
        fill_with_random_weights(session, variables)
        path = tf.train.Saver(variables).save(session, os.path.join(folder, 'model.ckpt'),
                                              write_meta_graph=False)
        return path, logits
