"""The arg scope of Inception V3: what `slim.conv2d` does where a network does not say.

A module of its own, so that `import inception_slim.inception_v3_arg_scope` is a line that works;
after it the name is the function, `inception_slim.inception_v3_arg_scope()`.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow.compat.v1 as tf

from inception_slim.nets.arg_scopes import inception_arg_scope, trunc_normal

__all__ = ['inception_v3_arg_scope', 'trunc_normal']


def inception_v3_arg_scope(
        weight_decay: float = 0.00004,
        stddev: float = 0.1,
        batch_norm_var_collection: str = 'moving_vars',
        *,
        use_batch_norm: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        batch_norm_scale: bool = False,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        activation_fn: Callable | None = tf.nn.relu) -> dict:
    """The defaults under which Inception V3 is built: `with slim.arg_scope(...):`.

    Args:
      weight_decay: factor of the L2 loss of every convolution's and dense layer's weights.
      stddev: standard deviation of the truncated normal that initializes the weights.
      batch_norm_var_collection: the collection that moving means and variances are added to.
      use_batch_norm: False gives convolutions biases in the place of batch norm.
      batch_norm_decay: what a moving average keeps of itself at each step, in [0, 1).
      batch_norm_epsilon: added to the variance before its root is taken.
      batch_norm_scale: True gives batch norm a `gamma`, as some later checkpoints have.
      batch_norm_updates_collections: where the moving averages' updates are put; None runs them
        with the layer itself.
      activation_fn: follows every convolution; None leaves it linear.

    Returns:
      An arg scope, for `slim.arg_scope` to enter.

    Source: https://arxiv.org/abs/1512.00567, and TF-Slim's defaults for it.
    """
    return inception_arg_scope(
        weight_decay=weight_decay, use_batch_norm=use_batch_norm,
        batch_norm_decay=batch_norm_decay, batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_scale=batch_norm_scale,
        batch_norm_updates_collections=batch_norm_updates_collections,
        activation_fn=activation_fn, batch_norm_var_collection=batch_norm_var_collection,
        weights_initializer=trunc_normal(stddev))
