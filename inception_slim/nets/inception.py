"""The index of the Inception networks, as `slim.nets.inception` had it."""

from inception_slim.nets.inception_v3 import (
    inception_v3,
    inception_v3_arg_scope,
    inception_v3_base,
)

__all__ = ['inception_v3', 'inception_v3_arg_scope', 'inception_v3_base']
