"""`import inception_slim.inception_v3_arg_scope` works; the function is in `nets.inception_v3`."""

from inception_slim.nets.inception_v3 import inception_v3_arg_scope, trunc_normal

__all__ = ['inception_v3_arg_scope', 'trunc_normal']
