"""Inception-ResNet V2; its argument order is that of research/slim."""

from inception_slim.nets.inception_resnet_v2 import (
    inception_resnet_v2,
    inception_resnet_v2_arg_scope,
    inception_resnet_v2_base,
)

__all__ = ['inception_resnet_v2', 'inception_resnet_v2_arg_scope', 'inception_resnet_v2_base']
