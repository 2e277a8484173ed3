"""ResNet V2, which is tf-slim's, with squeezed logits."""

from __future__ import annotations

from inception_slim.legacy.research_slim.nets._resnet_squeeze import squeezed, with_spatial_squeeze
from inception_slim.legacy.research_slim.nets.resnet_utils import resnet_arg_scope
import tf_slim.nets.resnet_v2 as slims
from tf_slim.nets.resnet_v2 import bottleneck, resnet_v2_block

__all__ = ['bottleneck', 'resnet_arg_scope', 'resnet_v2', 'resnet_v2_101', 'resnet_v2_152',
           'resnet_v2_200', 'resnet_v2_50', 'resnet_v2_block']


def resnet_v2(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
              output_stride=None, include_root_block=True, spatial_squeeze=True, reuse=None,
              scope=None):
    """A ResNet of those blocks: logits, or features where `num_classes` is None; end points."""
    net, end_points = slims.resnet_v2(
        inputs, blocks, num_classes, is_training, global_pool, output_stride, include_root_block,
        reuse, scope)
    return squeezed(net, end_points, scope or 'resnet_v2') if num_classes and spatial_squeeze else (
        net, end_points)


resnet_v2.default_image_size = 224  # type: ignore[attr-defined]
resnet_v2_50 = with_spatial_squeeze(slims.resnet_v2_50)
resnet_v2_101 = with_spatial_squeeze(slims.resnet_v2_101)
resnet_v2_152 = with_spatial_squeeze(slims.resnet_v2_152)
resnet_v2_200 = with_spatial_squeeze(slims.resnet_v2_200)
