"""Inception V4; its argument order is that of research/slim."""

from inception_slim.legacy.research_slim.nets.inception_utils import inception_arg_scope
from inception_slim.nets.inception_v4 import inception_v4, inception_v4_base

__all__ = ['inception_v4', 'inception_v4_arg_scope', 'inception_v4_base']

inception_v4_arg_scope = inception_arg_scope
