"""Data-parallel training of a model on several devices, as in research/slim.

Each copy of the model, a clone, has its own scope and device and shares the variables. Losses are
averaged over the clones and gradients are summed; batch norm is updated by the first clone only.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = ['Clone', 'DeployedModel', 'DeploymentConfig', 'create_clones', 'deploy',
           'optimize_clones']

Clone = namedtuple('Clone', ['outputs', 'scope', 'device'])
DeployedModel = namedtuple('DeployedModel', ['train_op', 'summary_op', 'total_loss', 'clones'])


def create_clones(config: DeploymentConfig, model_fn: Callable, args=None,
                  kwargs=None) -> list[Clone]:
    """Call `model_fn(*args, **kwargs)` once per clone, in its scope and on its device."""
    clones = []
    with slim.arg_scope([slim.model_variable, slim.variable], device=config.variables_device()):
        for number in range(config.num_clones):
            with tf.name_scope(config.clone_scope(number)) as scope:
                device = config.clone_device(number)
                with tf.device(device), tf.variable_scope(
                        tf.get_variable_scope(), reuse=True if number else None):
                    outputs = model_fn(*(args or []), **(kwargs or {}))
                clones.append(Clone(outputs, scope, device))
    return clones


def _clone_loss(clone, num_clones, regularization_losses):
    """A clone's share of the total loss, or None if it has no losses."""
    parts, summaries = [], []
    with tf.device(clone.device):
        losses = tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)
        if losses:
            loss = tf.add_n(losses, name='clone_loss')
            if num_clones > 1:
                loss = tf.div(loss, 1.0 * num_clones, name='scaled_clone_loss')
            parts.append(loss)
            summaries.append((f'{clone.scope}/clone_loss', loss))
        if regularization_losses:
            loss = tf.add_n(regularization_losses, name='regularization_loss')
            parts.append(loss)
            summaries.append(('regularization_loss', loss))
        total = tf.add_n(parts) if parts else None
    for name, loss in summaries:
        tf.summary.scalar(f'Losses/{name}'.replace('//', '/'), loss)
    return total


def _clone_losses(clones, regularization_losses):
    """Yield each clone with its share of the loss; the first one includes the regularization."""
    for clone in clones:
        with tf.name_scope(clone.scope):
            loss = _clone_loss(clone, len(clones), regularization_losses)
        yield clone, loss
        regularization_losses = None


def optimize_clones(clones: list[Clone], optimizer: tf.train.Optimizer,
                    regularization_losses=None, **kwargs) -> tuple[tf.Tensor, list]:
    """Compute the total loss of all clones and its gradients.

    Args:
      clones: the result of `create_clones`.
      optimizer: computes the gradients.
      regularization_losses: losses that are added once; None for those of the graph.
      **kwargs: arguments of `compute_gradients`.

    Returns:
      The total loss, and a list of (gradient, variable) pairs.
    """
    kwargs = {**kwargs.pop('kwargs', {}), **kwargs}  # the first release passed a dict
    if regularization_losses is None:
        regularization_losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    losses, gradients = [], []
    for clone, loss in _clone_losses(clones, regularization_losses):
        if loss is not None:
            losses.append(loss)
            with tf.name_scope(clone.scope), tf.device(clone.device):
                gradients.append(optimizer.compute_gradients(loss, **kwargs))
    return tf.add_n(losses, name='total_loss'), _sum_gradients(gradients)


def _sum_gradients(gradients):
    """Sum the gradients of each variable over the clones; variables without any are left out."""
    summed = []
    for pairs in zip(*gradients):
        variable = pairs[0][1]
        parts = [gradient for gradient, _ in pairs if gradient is not None]
        if len(parts) > 1:
            summed.append((tf.add_n(parts, name=f'{variable.op.name}/sum_grads'), variable))
        elif parts:
            summed.append((parts[0], variable))
    return summed


def _gradient_summaries(gradients):
    summaries = []
    for gradient, variable in gradients:
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        summaries.append(tf.summary.histogram(f'{variable.op.name}_gradient', values))
        summaries.append(tf.summary.scalar(f'{variable.op.name}_gradient_norm',
                                           tf.global_norm([values])))
    return summaries


def deploy(config: DeploymentConfig, model_fn: Callable, args=None, kwargs=None,
           optimizer: tf.train.Optimizer | None = None,
           summarize_gradients: bool = False) -> DeployedModel:
    """Create clones of a model and the ops that train them.

    Args:
      config: devices and number of clones.
      model_fn: builds the model and adds its losses to `tf.GraphKeys.LOSSES`.
      args: positional arguments of `model_fn`.
      kwargs: keyword arguments of `model_fn`.
      optimizer: trains the model; None creates the loss but no `train_op`.
      summarize_gradients: whether to add summaries of the gradients.
    """
    summaries = set(tf.get_collection(tf.GraphKeys.SUMMARIES))
    clones = create_clones(config, model_fn, args, kwargs)
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
    train_op = total_loss = None
    with tf.device(config.optimizer_device()):
        if optimizer:
            with tf.device(config.variables_device()):
                global_step = slim.get_or_create_global_step()
            total_loss, gradients = optimize_clones(clones, optimizer)
            if gradients:
                if summarize_gradients:
                    summaries |= set(_gradient_summaries(gradients))
                update_ops.append(optimizer.apply_gradients(gradients, global_step=global_step))
                with tf.control_dependencies([tf.group(*update_ops)]):
                    train_op = tf.identity(total_loss, name='train_op')
        else:
            regularization = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
            losses = [loss for _, loss in _clone_losses(clones, regularization)
                      if loss is not None]
            if losses:
                total_loss = tf.add_n(losses, name='total_loss')
        summaries |= set(tf.get_collection(tf.GraphKeys.SUMMARIES, clones[0].scope))
        if total_loss is not None:
            summaries.add(tf.summary.scalar('total_loss', total_loss))
        summary_op = tf.summary.merge(list(summaries), name='summary_op') if summaries else None
    return DeployedModel(train_op, summary_op, total_loss, clones)


class DeploymentConfig:
    """Number of clones and processes, and the devices they use."""

    def __init__(self, num_clones: int = 1, clone_on_cpu: bool = False, replica_id: int = 0,
                 num_replicas: int = 1, num_ps_tasks: int = 0, worker_job_name: str = 'worker',
                 ps_job_name: str = 'ps'):
        """Each of several clones uses one GPU, or all use the CPU.

        Args:
          num_clones: copies of the model in this process.
          clone_on_cpu: whether all clones use the CPU.
          replica_id: index of this worker process.
          num_replicas: number of worker processes.
          num_ps_tasks: number of parameter servers; 0 keeps the variables in this process.
          worker_job_name: job name of the workers.
          ps_job_name: job name of the parameter servers.

        Raises:
          ValueError: several replicas without parameter servers or job names, or a `replica_id`
            out of range.
        """
        if num_replicas > 1 and num_ps_tasks < 1:
            raise ValueError('When using replicas num_ps_tasks must be positive')
        if num_replicas > 1 or num_ps_tasks > 0:
            if not worker_job_name:
                raise ValueError('Must specify worker_job_name when using replicas')
            if not ps_job_name:
                raise ValueError('Must specify ps_job_name when using parameter server')
        if replica_id >= num_replicas:
            raise ValueError('replica_id must be less than num_replicas')
        self.num_clones = num_clones
        self.clone_on_cpu = clone_on_cpu
        self.replica_id = replica_id
        self.num_replicas = num_replicas
        self.num_ps_tasks = num_ps_tasks
        self.ps_device = f'/job:{ps_job_name}' if num_ps_tasks > 0 else ''
        self.worker_device = f'/job:{worker_job_name}' if num_ps_tasks > 0 else ''

    def caching_device(self) -> Callable | None:
        """Return the caching device of variables: that of the op if parameter servers hold them."""
        return (lambda op: op.device) if self.num_ps_tasks > 0 else None

    def clone_device(self, clone_index: int) -> str:
        """Return the device of a clone."""
        self._check(clone_index)
        if self.clone_on_cpu:
            return self.worker_device + '/device:CPU:0'
        # TensorFlow places a single clone.
        return self.worker_device + (f'/device:GPU:{clone_index}' if self.num_clones > 1 else '')

    def clone_scope(self, clone_index: int) -> str:
        """Return the name scope of a clone; empty for a single clone."""
        self._check(clone_index)
        return f'clone_{clone_index}' if self.num_clones > 1 else ''

    def _check(self, clone_index):
        if clone_index >= self.num_clones:
            raise ValueError('clone_index must be less than num_clones')

    def optimizer_device(self) -> str:
        """Return the device of the optimizer."""
        return self.worker_device + '/device:CPU:0' if self.num_clones > 0 else ''

    def inputs_device(self) -> str:
        """Return the device of the input queues."""
        return self.worker_device + '/device:CPU:0'

    def variables_device(self) -> str | Callable:
        """Return the device of the variables: round-robin over the parameter servers, if any."""
        device = self.ps_device + '/device:CPU:0'
        if not self.num_ps_tasks:
            return device
        task = 0

        def choose_device(op):
            nonlocal task
            if op.device:
                return op.device
            node = op if isinstance(op, tf.NodeDef) else op.node_def
            if not node.op.startswith(('Variable', 'VarHandleOp')):
                return op.device
            current, task = task, (task + 1) % self.num_ps_tasks
            return f'{device}/task:{current}'

        return choose_device
