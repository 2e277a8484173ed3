"""Inception V3 with the argument order of research/slim."""

from inception_slim.legacy.argument_order import reorder_arguments
from inception_slim.legacy.research_slim.nets.inception_utils import inception_arg_scope
from inception_slim.nets import inception_v3 as _network
from inception_slim.nets.arg_scopes import trunc_normal

__all__ = ['inception_v3', 'inception_v3_arg_scope', 'inception_v3_base', 'trunc_normal']

inception_v3 = reorder_arguments(
    _network.inception_v3, 'inputs num_classes is_training dropout_keep_prob min_depth '
    'depth_multiplier prediction_fn spatial_squeeze reuse create_aux_logits scope global_pool')
inception_v3_base = reorder_arguments(
    _network.inception_v3_base, 'inputs final_endpoint min_depth depth_multiplier scope')
inception_v3_arg_scope = inception_arg_scope
