"""The Inception networks as `tf.contrib.slim.nets` had them: ours, in that order of arguments.

Their arg scopes start the weights by variance scaling, as those of `tf.contrib` did.
"""

from __future__ import annotations

from inception_slim.legacy.argument_order import reorder_arguments
from inception_slim.nets import arg_scopes, inception
from inception_slim.nets.arg_scopes import trunc_normal
from inception_slim.nets.inception import (
    inception_resnet_v2,
    inception_resnet_v2_arg_scope,
    inception_resnet_v2_base,
    inception_v4,
    inception_v4_arg_scope,
    inception_v4_base,
)
import tensorflow.compat.v1 as tf
import tf_slim as slim

__all__ = [
    'inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base',
    'inception_v1', 'inception_v1_arg_scope', 'inception_v1_base',
    'inception_v2', 'inception_v2_arg_scope', 'inception_v2_base',
    'inception_v3', 'inception_v3_arg_scope', 'inception_v3_base',
    'inception_v4', 'inception_v4_arg_scope', 'inception_v4_base', 'trunc_normal',
]
_THINNED = ('inputs num_classes is_training dropout_keep_prob min_depth depth_multiplier '
            'prediction_fn spatial_squeeze reuse scope')

inception_v1 = reorder_arguments(inception.inception_v1, 'inputs num_classes is_training '
                        'dropout_keep_prob prediction_fn spatial_squeeze reuse scope')
inception_v1_base = reorder_arguments(inception.inception_v1_base, 'inputs final_endpoint scope')
inception_v2 = reorder_arguments(inception.inception_v2, _THINNED)
inception_v2_base = reorder_arguments(
    inception.inception_v2_base, 'inputs final_endpoint min_depth depth_multiplier scope')
inception_v3 = reorder_arguments(inception.inception_v3, _THINNED)
inception_v3_base = reorder_arguments(
    inception.inception_v3_base, 'inputs final_endpoint min_depth depth_multiplier scope')


def inception_v1_arg_scope(
        weight_decay: float = 0.00004,
        use_batch_norm: bool = True,
        batch_norm_var_collection: str = 'moving_vars') -> dict:
    """The defaults of V1; of V2 and V3 see `inception_v3_arg_scope`."""
    return _arg_scope(weight_decay, batch_norm_var_collection, use_batch_norm=use_batch_norm)


def inception_v3_arg_scope(
        weight_decay: float = 0.00004,
        batch_norm_var_collection: str = 'moving_vars',
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        use_fused_batchnorm: bool = True) -> dict:
    """The defaults of V3.

    Args:
      weight_decay: factor of the L2 loss of the weights.
      batch_norm_var_collection: the collection that moving means and variances are added to.
      batch_norm_decay: what a moving average keeps of itself at each step.
      batch_norm_epsilon: added to the variance before its root is taken.
      updates_collections: where the moving averages' updates are put.
      use_fused_batchnorm: False adds, multiplies and divides by single ops.
    """
    scope = _arg_scope(
        weight_decay, batch_norm_var_collection, batch_norm_decay=batch_norm_decay,
        batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_updates_collections=updates_collections)
    if use_fused_batchnorm:
        return scope
    with slim.arg_scope(scope), slim.arg_scope([slim.batch_norm], fused=False) as scope:
        return scope


def inception_v2_arg_scope(
        weight_decay: float = 0.00004,
        batch_norm_var_collection: str = 'moving_vars',
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        updates_collections: str | None = tf.GraphKeys.UPDATE_OPS,
        use_fused_batchnorm: bool = True) -> dict:
    """The defaults of V2, which are those of V3."""
    return inception_v3_arg_scope(weight_decay, batch_norm_var_collection, batch_norm_decay,
                                  batch_norm_epsilon, updates_collections, use_fused_batchnorm)


def _arg_scope(weight_decay, batch_norm_var_collection, *, use_batch_norm=True,
               batch_norm_decay=0.9997, batch_norm_epsilon=0.001,
               batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS):
    return arg_scopes.inception_arg_scope(
        weight_decay=weight_decay, use_batch_norm=use_batch_norm,
        batch_norm_decay=batch_norm_decay, batch_norm_epsilon=batch_norm_epsilon,
        batch_norm_scale=False, batch_norm_updates_collections=batch_norm_updates_collections,
        activation_fn=tf.nn.relu, batch_norm_var_collection=batch_norm_var_collection,
        weights_initializer=slim.variance_scaling_initializer())
