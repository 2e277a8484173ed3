"""The arg scope of Inception V1 to V4 in research/slim."""

from __future__ import annotations

from collections.abc import Callable

from inception_slim.nets import arg_scopes
import tensorflow.compat.v1 as tf
import tf_slim as slim


def inception_arg_scope(
        weight_decay: float = 0.00004,
        use_batch_norm: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        activation_fn: Callable | None = tf.nn.relu,
        batch_norm_updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        batch_norm_scale: bool = False) -> dict:
    """Return the arg scope of V1 to V4; arguments as in `inception_slim.nets.arg_scopes`."""
    return arg_scopes.inception_arg_scope(
        weight_decay=weight_decay, use_batch_norm=use_batch_norm,
        batch_norm_decay=batch_norm_decay, batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_scale=batch_norm_scale,
        batch_norm_updates_collections=batch_norm_updates_collections,
        activation_fn=activation_fn, weights_initializer=slim.variance_scaling_initializer())
