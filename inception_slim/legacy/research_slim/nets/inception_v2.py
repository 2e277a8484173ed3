"""Inception V2 with the argument order of research/slim."""

from inception_slim.legacy.argument_order import reorder_arguments
from inception_slim.legacy.research_slim.nets.inception_utils import inception_arg_scope
from inception_slim.nets import inception_v2 as _network
from inception_slim.nets.arg_scopes import trunc_normal

__all__ = ['inception_v2', 'inception_v2_arg_scope', 'inception_v2_base', 'trunc_normal']

inception_v2 = reorder_arguments(
    _network.inception_v2, 'inputs num_classes is_training dropout_keep_prob min_depth '
    'depth_multiplier prediction_fn spatial_squeeze reuse scope global_pool')
inception_v2_base = reorder_arguments(
    _network.inception_v2_base, 'inputs final_endpoint min_depth depth_multiplier '
    'use_separable_conv data_format include_root_block scope')
inception_v2_arg_scope = inception_arg_scope
