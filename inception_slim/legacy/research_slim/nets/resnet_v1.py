"""ResNet V1 of tf-slim, with squeezed logits."""

from inception_slim.legacy.research_slim.nets._resnet_squeeze import with_spatial_squeeze
from inception_slim.legacy.research_slim.nets.resnet_utils import resnet_arg_scope
from tf_slim.nets import resnet_v1 as _slim
from tf_slim.nets.resnet_v1 import bottleneck, resnet_v1_block

__all__ = ['bottleneck', 'resnet_arg_scope', 'resnet_v1', 'resnet_v1_101', 'resnet_v1_152',
           'resnet_v1_200', 'resnet_v1_50', 'resnet_v1_block']

resnet_v1 = with_spatial_squeeze(_slim.resnet_v1)
resnet_v1_50 = with_spatial_squeeze(_slim.resnet_v1_50)
resnet_v1_101 = with_spatial_squeeze(_slim.resnet_v1_101)
resnet_v1_152 = with_spatial_squeeze(_slim.resnet_v1_152)
resnet_v1_200 = with_spatial_squeeze(_slim.resnet_v1_200)
