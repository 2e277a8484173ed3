"""Inception V1 with the argument order of research/slim."""

from inception_slim.legacy.argument_order import reorder_arguments
from inception_slim.legacy.research_slim.nets.inception_utils import inception_arg_scope
from inception_slim.nets import inception_v1 as _network
from inception_slim.nets.arg_scopes import trunc_normal

__all__ = ['inception_v1', 'inception_v1_arg_scope', 'inception_v1_base', 'trunc_normal']

inception_v1 = reorder_arguments(
    _network.inception_v1, 'inputs num_classes is_training dropout_keep_prob prediction_fn '
    'spatial_squeeze reuse scope global_pool')
inception_v1_base = reorder_arguments(
    _network.inception_v1_base, 'inputs final_endpoint include_root_block scope')
inception_v1_arg_scope = inception_arg_scope
