"""As much of the model library's deployment as the scripts call: clones in one process.

Each clone is built under `clone_0`, `clone_1`, ... with shared variables; each counts for its part
of the loss, the first carries the regularization, and gradients are summed.
"""

from __future__ import absolute_import, division, print_function

import collections

import tensorflow as tf

slim = tf.contrib.slim
Clone = collections.namedtuple('Clone', ['outputs', 'scope', 'device'])


class DeploymentConfig(object):

    def __init__(self, num_clones=1, clone_on_cpu=False):
        self.num_clones, self.clone_on_cpu = num_clones, clone_on_cpu

    def clone_scope(self, index):
        return 'clone_%d' % index if self.num_clones > 1 else ''

    def clone_device(self, index):
        return '/device:CPU:0' if self.clone_on_cpu else '/device:GPU:%d' % index

    def variables_device(self):
        return '/device:CPU:0'

    inputs_device = optimizer_device = variables_device


def create_clones(config, model_fn, args=None, kwargs=None):
    clones = []
    with slim.arg_scope([slim.model_variable, slim.variable], device=config.variables_device()):
        for i in range(config.num_clones):
            with tf.name_scope(config.clone_scope(i)) as scope:
                with tf.device(config.clone_device(i)):
                    with tf.variable_scope(tf.get_variable_scope(), reuse=True if i else None):
                        outputs = model_fn(*(args or []), **(kwargs or {}))
                    clones.append(Clone(outputs, scope, config.clone_device(i)))
    return clones


def optimize_clones(clones, optimizer, regularization_losses=None, **kwargs):
    """The total loss, and (gradient, variable) of each variable."""
    losses, gradients = [], collections.OrderedDict()
    if regularization_losses is None:
        regularization_losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    for i, clone in enumerate(clones):
        with tf.name_scope(clone.scope), tf.device(clone.device):
            parts = [tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)) / len(clones)]
            if i == 0 and regularization_losses:
                parts.append(tf.add_n(regularization_losses))
            losses.append(tf.add_n(parts))
            for gradient, variable in optimizer.compute_gradients(losses[-1], **kwargs):
                if gradient is not None:
                    gradients.setdefault(variable, []).append(gradient)
    return tf.add_n(losses, name='total_loss'), [
        (tf.add_n(each), variable) for variable, each in gradients.items()]
