"""What the arg scopes of the Inception networks share; each network's own says what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim


def trunc_normal(stddev: float) -> tf.truncated_normal_initializer:
    """An initializer: the normal distribution of mean 0 and `stddev`, cut at two deviations."""
    return tf.truncated_normal_initializer(0.0, stddev)


def inception_arg_scope(
        *,
        weight_decay: float,
        use_batch_norm: bool,
        batch_norm_decay: float,
        batch_norm_epsilon: float,
        batch_norm_scale: bool,
        batch_norm_updates_collections: str | None,
        activation_fn: Callable | None,
        batch_norm_var_collection: str | None = None,
        regularize_biases: bool = False,
        **convolution: Any) -> dict:
    """The arg scope of any of the networks.

    Args:
      weight_decay: factor of the L2 loss of every convolution's and dense layer's weights.
      use_batch_norm: False gives convolutions biases in the place of batch norm.
      batch_norm_decay: what a moving average keeps of itself at each step, in [0, 1).
      batch_norm_epsilon: added to the variance before its root is taken.
      batch_norm_scale: True gives batch norm a `gamma`.
      batch_norm_updates_collections: where the moving averages' updates are put; None runs them
        with the layer itself.
      activation_fn: follows every convolution; None leaves it linear.
      batch_norm_var_collection: a collection for moving means and variances; None for none.
      regularize_biases: whether the L2 loss counts biases too.
      **convolution: more defaults of `slim.conv2d`, such as `weights_initializer`.

    Returns:
      An arg scope, for `slim.arg_scope` to enter.
    """
    if use_batch_norm:
        convolution['normalizer_fn'] = slim.batch_norm
        parameters = convolution['normalizer_params'] = {
            'decay': batch_norm_decay,
            'epsilon': batch_norm_epsilon,
            'scale': batch_norm_scale,
            'updates_collections': batch_norm_updates_collections,
        }
        if batch_norm_var_collection is not None:
            parameters['variables_collections'] = {
                'beta': None,
                'gamma': None,
                'moving_mean': [batch_norm_var_collection],
                'moving_variance': [batch_norm_var_collection],
            }
    regularizers = {'weights_regularizer': slim.l2_regularizer(weight_decay)}
    if regularize_biases:
        regularizers['biases_regularizer'] = slim.l2_regularizer(weight_decay)
    with slim.arg_scope([slim.conv2d, slim.fully_connected], **regularizers):
        with slim.arg_scope([slim.conv2d], activation_fn=activation_fn, **convolution) as scope:
            return scope
