"""The Inception networks of `tf.contrib.slim.nets`, with its argument order and arg scopes.

The arg scopes initialize weights by variance scaling, as in `tf.contrib`.
"""

from __future__ import annotations

from inception_slim.legacy.argument_order import reorder_arguments
from inception_slim.nets import arg_scopes, inception
from inception_slim.nets.inception_resnet_v2 import *  # noqa: F403
from inception_slim.nets.inception_v4 import *  # noqa: F403
import tensorflow.compat.v1 as tf
import tf_slim as slim

trunc_normal = arg_scopes.trunc_normal
_ARGUMENTS = ('inputs num_classes is_training dropout_keep_prob min_depth depth_multiplier '
              'prediction_fn spatial_squeeze reuse scope')

inception_v1 = reorder_arguments(
    inception.inception_v1, 'inputs num_classes is_training dropout_keep_prob prediction_fn '
    'spatial_squeeze reuse scope')
inception_v1_base = reorder_arguments(inception.inception_v1_base, 'inputs final_endpoint scope')
inception_v2 = reorder_arguments(inception.inception_v2, _ARGUMENTS)
inception_v2_base = reorder_arguments(
    inception.inception_v2_base, 'inputs final_endpoint min_depth depth_multiplier scope')
inception_v3 = reorder_arguments(inception.inception_v3, _ARGUMENTS)
inception_v3_base = reorder_arguments(
    inception.inception_v3_base, 'inputs final_endpoint min_depth depth_multiplier scope')


def inception_v1_arg_scope(
        weight_decay: float = 0.00004,
        use_batch_norm: bool = True,
        batch_norm_var_collection: str = 'moving_vars') -> dict:
    """Return the arg scope of V1.

    Args:
      weight_decay: factor of the L2 regularization of the weights.
      use_batch_norm: False uses biases instead of batch norm.
      batch_norm_var_collection: collection that moving means and variances are added to.
    """
    return _arg_scope(weight_decay, batch_norm_var_collection, use_batch_norm=use_batch_norm)


def inception_v3_arg_scope(
        weight_decay: float = 0.00004,
        batch_norm_var_collection: str = 'moving_vars',
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        use_fused_batchnorm: bool = True) -> dict:
    """Return the arg scope of V2 and V3.

    Args:
      weight_decay: factor of the L2 regularization of the weights.
      batch_norm_var_collection: collection that moving means and variances are added to.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: constant added to the variance.
      updates_collections: collection that the updates of moving averages are added to.
      use_fused_batchnorm: False computes batch norm with separate ops.
    """
    scope = _arg_scope(
        weight_decay, batch_norm_var_collection, batch_norm_decay=batch_norm_decay,
        batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_updates_collections=updates_collections)
    if use_fused_batchnorm:
        return scope
    with slim.arg_scope(scope), slim.arg_scope([slim.batch_norm], fused=False) as scope:
        return scope


inception_v2_arg_scope = inception_v3_arg_scope


def _arg_scope(weight_decay, batch_norm_var_collection, *, use_batch_norm=True,
               batch_norm_decay=0.9997, batch_norm_epsilon=0.001,
               batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS):
    return arg_scopes.inception_arg_scope(
        weight_decay=weight_decay, use_batch_norm=use_batch_norm,
        batch_norm_decay=batch_norm_decay, batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_scale=False, batch_norm_updates_collections=batch_norm_updates_collections,
        activation_fn=tf.nn.relu, batch_norm_var_collection=batch_norm_var_collection,
        weights_initializer=slim.variance_scaling_initializer())
