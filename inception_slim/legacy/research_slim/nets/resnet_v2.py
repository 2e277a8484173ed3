"""ResNet V2 of tf-slim, with squeezed logits."""

from inception_slim.legacy.research_slim.nets._resnet_squeeze import with_spatial_squeeze
from inception_slim.legacy.research_slim.nets.resnet_utils import resnet_arg_scope
from tf_slim.nets import resnet_v2 as _slim
from tf_slim.nets.resnet_v2 import bottleneck, resnet_v2_block

__all__ = ['bottleneck', 'resnet_arg_scope', 'resnet_v2', 'resnet_v2_101', 'resnet_v2_152',
           'resnet_v2_200', 'resnet_v2_50', 'resnet_v2_block']

resnet_v2 = with_spatial_squeeze(_slim.resnet_v2)
resnet_v2_50 = with_spatial_squeeze(_slim.resnet_v2_50)
resnet_v2_101 = with_spatial_squeeze(_slim.resnet_v2_101)
resnet_v2_152 = with_spatial_squeeze(_slim.resnet_v2_152)
resnet_v2_200 = with_spatial_squeeze(_slim.resnet_v2_200)
