"""What the arg scopes of the Inception networks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim


def trunc_normal(stddev: float) -> tf.truncated_normal_initializer:
    """An initializer: the normal distribution with mean 0, truncated at two standard deviations."""
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
        normalize_dense: bool = False,
        **convolution: Any) -> dict:
    """The arg scope of all networks, which each network's own calls.

    Args:
      weight_decay: factor of the L2 loss of the weights of convolutions and dense layers.
      use_batch_norm: whether convolutions have batch norm instead of biases.
      batch_norm_decay: decay of the moving averages, in [0, 1).
      batch_norm_epsilon: added to the variance before its square root.
      batch_norm_scale: whether batch norm has a `gamma`.
      batch_norm_updates_collections: collection for the updates of the moving averages; None runs
        them with the layer.
      activation_fn: activation of every convolution; None for none.
      batch_norm_var_collection: collection for the moving means and variances; None for none.
      regularize_biases: whether the L2 loss includes biases.
      normalize_dense: whether dense layers have the batch norm and activation of convolutions.
      **convolution: more defaults of `slim.conv2d`, such as `weights_initializer`.

    Returns:
      An arg scope for `slim.arg_scope`.
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
        layers = [slim.conv2d, slim.fully_connected] if normalize_dense else [slim.conv2d]
        with slim.arg_scope(layers, activation_fn=activation_fn, **convolution) as scope:
            return scope
