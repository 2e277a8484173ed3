"""`tf.contrib.opt`: optimizers that extend those of TensorFlow."""

from __future__ import annotations

import functools

from inception_slim.errors import UnsupportedAPIError
import tensorflow.compat.v1 as tf

__all__ = ['AdamWOptimizer', 'DecoupledWeightDecayExtension', 'LazyAdamOptimizer',
           'MomentumWOptimizer', 'MovingAverageOptimizer', 'NadamOptimizer',
           'clip_gradients_by_global_norm', 'extend_with_decoupled_weight_decay']


class MovingAverageOptimizer(tf.train.Optimizer):
    """Wraps an optimizer and maintains moving averages of the variables it trains."""

    def __init__(self, opt: tf.train.Optimizer, average_decay: float = 0.9999, num_updates=None,
                 sequential_update: bool = True):
        """Wrap an optimizer.

        Args:
          opt: the optimizer.
          average_decay: decay of the moving averages.
          num_updates: number of updates, to use a smaller decay in early steps; may be None.
          sequential_update: whether the averages are updated after the step, not concurrently.
        """
        super().__init__(False, 'MovingAverageOptimizer')
        self._optimizer = opt
        self._ema = tf.train.ExponentialMovingAverage(average_decay, num_updates=num_updates)
        self._sequential_update = sequential_update
        self._partners: dict[str, str] | None = None

    def compute_gradients(self, *args, **kwargs):
        return self._optimizer.compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        grads_and_vars = list(grads_and_vars)
        step = self._optimizer.apply_gradients(grads_and_vars, global_step=global_step, name=name)
        trained = [variable for gradient, variable in grads_and_vars if gradient is not None]
        with tf.control_dependencies([step] if self._sequential_update else []):
            averaging = self._ema.apply(trained)
        self._partners = {}
        for variable in trained:
            average = self._ema.average(variable)
            self._partners[variable.op.name] = average.op.name
            self._partners[average.op.name] = variable.op.name
        return tf.group(step, averaging, name='train_with_avg')

    def swapping_saver(self, var_list=None, name: str = 'swapping_saver', **kwargs):
        """Return a saver that stores each average under its variable's name, and vice versa.

        Raises:
          RuntimeError: `apply_gradients` has not been called yet.
          ValueError: the average of a variable is missing in `var_list`.
        """
        if self._partners is None:
            raise RuntimeError('Must call apply_gradients or minimize before creating the '
                               'swapping_saver')
        if var_list is None:
            var_list = tf.global_variables()
        if not isinstance(var_list, dict):
            var_list = {variable.op.name: variable for variable in var_list}
        missing = [self._partners[key] for key in var_list
                   if key in self._partners and self._partners[key] not in var_list]
        if missing:
            raise ValueError(f'Variable to swap {missing[0]} is not part of variables to save. '
                             'This breaks MovingAverageOptimizer.')
        swapped = {key: var_list[self._partners.get(key, key)] for key in var_list}
        return tf.train.Saver(swapped, name=name, **kwargs)


class DecoupledWeightDecayExtension:
    """Mixin for optimizers: weight decay that is independent of the gradient."""

    _use_locking: bool  # set by the optimizer

    def __init__(self, weight_decay, *args, **kwargs):
        """Create the optimizer.

        Args:
          weight_decay: fraction of a variable that is subtracted in each step.
          *args: arguments of the optimizer.
          **kwargs: arguments of the optimizer.

        Source: https://arxiv.org/abs/1711.05101.
        """
        self._decayed_variables: set | None = None
        self._weight_decay = weight_decay
        super().__init__(*args, **kwargs)

    def minimize(self, loss, *args, decay_var_list=None, **kwargs):
        """Minimize a loss; `decay_var_list` has no effect, as in TensorFlow 1.15.5."""
        return super().minimize(loss, *args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None, decay_var_list=None):
        """Apply gradients; only the variables of `decay_var_list` decay, by default all."""
        self._decayed_variables = ({variable.ref() for variable in decay_var_list}
                                   if decay_var_list else None)
        return super().apply_gradients(grads_and_vars, global_step=global_step, name=name)

    def _decay_rate(self, variable):
        return tf.cast(tf.convert_to_tensor(
            self._weight_decay() if callable(self._weight_decay) else self._weight_decay),
            variable.dtype.base_dtype)

    def _decay_ops(self, variable, grad, indices=None) -> list:
        """The ops that decay a variable, or some of its rows, before the step."""
        if (self._decayed_variables is not None
                and variable.ref() not in self._decayed_variables):
            return []
        with tf.control_dependencies([grad]):  # the gradient of the values before the decay
            if indices is None:
                return [tf.assign_sub(variable, self._decay_rate(variable) * variable,
                                      use_locking=self._use_locking)]
            return [tf.scatter_sub(variable, indices,
                                   self._decay_rate(variable) * tf.gather(variable, indices))]

    def _apply_dense(self, grad, var):
        with tf.control_dependencies(self._decay_ops(var, grad)):
            return super()._apply_dense(grad, var)

    def _resource_apply_dense(self, grad, var):
        with tf.control_dependencies(self._decay_ops(var, grad)):
            return super()._resource_apply_dense(grad, var)

    def _apply_sparse(self, grad, var):
        with tf.control_dependencies(self._decay_ops(var, grad.values, grad.indices)):
            return super()._apply_sparse(grad, var)

    def _resource_apply_sparse(self, grad, var, indices):
        with tf.control_dependencies(self._decay_ops(var, grad, indices)):
            return super()._resource_apply_sparse(grad, var, indices)


@functools.cache
def extend_with_decoupled_weight_decay(base_optimizer: type) -> type:
    """Return an optimizer class with decoupled weight decay, whose first argument it is."""
    return type(f'{base_optimizer.__name__}WithDecoupledWeightDecay',
                (DecoupledWeightDecayExtension, base_optimizer), {})


class MomentumWOptimizer(DecoupledWeightDecayExtension, tf.train.MomentumOptimizer):
    """Momentum with decoupled weight decay."""

    def __init__(self, weight_decay, learning_rate, momentum, use_locking=False, name='MomentumW',
                 use_nesterov=False):
        super().__init__(weight_decay, learning_rate=learning_rate, momentum=momentum,
                         use_locking=use_locking, name=name, use_nesterov=use_nesterov)


class AdamWOptimizer(DecoupledWeightDecayExtension, tf.train.AdamOptimizer):
    """Adam with decoupled weight decay."""

    def __init__(self, weight_decay, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8,
                 use_locking=False, name='AdamW'):
        super().__init__(weight_decay, learning_rate=learning_rate, beta1=beta1, beta2=beta2,
                         epsilon=epsilon, use_locking=use_locking, name=name)


class _AdamVariant(tf.train.AdamOptimizer):
    """Base class that gives access to Adam's parameters, in a variable's dtype."""

    def _parameters(self, variable):
        return [tf.cast(parameter, variable.dtype.base_dtype) for parameter in (
            *self._get_beta_accumulators(), self._lr_t, self._beta1_t, self._beta2_t,
            self._epsilon_t)]


class NadamOptimizer(_AdamVariant):
    """Adam with Nesterov momentum; dense gradients only.

    Source: http://cs229.stanford.edu/proj2015/054_report.pdf.
    """

    def _apply_dense(self, grad, var):
        return tf.raw_ops.ApplyAdam(
            **self._arguments(grad, var), var=var._ref(), m=self.get_slot(var, 'm')._ref(),
            v=self.get_slot(var, 'v')._ref()).op

    def _resource_apply_dense(self, grad, var):
        return tf.raw_ops.ResourceApplyAdam(
            **self._arguments(grad, var), var=var.handle, m=self.get_slot(var, 'm').handle,
            v=self.get_slot(var, 'v').handle)

    def _arguments(self, grad, var):
        names = ('beta1_power', 'beta2_power', 'lr', 'beta1', 'beta2', 'epsilon')
        return {**dict(zip(names, self._parameters(var))), 'grad': grad,
                'use_locking': self._use_locking, 'use_nesterov': True}

    def _apply_sparse_shared(self, grad, var, indices, scatter_add):
        raise UnsupportedAPIError(
            f'tf.contrib.opt.NadamOptimizer supports dense gradients only, but the gradient of '
            f'{var.name} is sparse; use tf.train.AdamOptimizer.')


class LazyAdamOptimizer(_AdamVariant):
    """Adam that updates only the rows that a sparse gradient contains."""

    def _apply_sparse(self, grad, var):
        return self._update_rows(grad.values, var, grad.indices)

    def _resource_apply_sparse(self, grad, var, indices):
        return self._update_rows(grad, var, indices)

    def _update_rows(self, grad, var, indices):
        beta1_power, beta2_power, rate, beta1, beta2, epsilon = self._parameters(var)
        m, v = self.get_slot(var, 'm'), self.get_slot(var, 'v')
        rate *= tf.sqrt(1 - beta2_power) / (1 - beta1_power)
        new_m = beta1 * tf.gather(m, indices) + (1 - beta1) * grad
        new_v = beta2 * tf.gather(v, indices) + (1 - beta2) * tf.square(grad)
        return tf.group(
            tf.scatter_update(m, indices, new_m), tf.scatter_update(v, indices, new_v),
            tf.scatter_sub(var, indices, rate * new_m / (tf.sqrt(new_v) + epsilon)))


def clip_gradients_by_global_norm(gradients_variables, clip_norm: float = 20.0):
    """Clip gradients by their global norm.

    Args:
      gradients_variables: (gradient, variable) pairs.
      clip_norm: maximum of the global norm.

    Returns:
      The pairs with clipped gradients, and the global norm before clipping.
    """
    gradients, variables = zip(*gradients_variables)
    norm = tf.global_norm(gradients)
    gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
    return list(zip(gradients, variables)), norm
