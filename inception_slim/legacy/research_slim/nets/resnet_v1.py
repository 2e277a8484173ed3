"""ResNet V1, which is tf-slim's, with squeezed logits."""

from __future__ import annotations

from inception_slim.legacy.research_slim.nets._resnet_squeeze import squeezed, with_spatial_squeeze
from inception_slim.legacy.research_slim.nets.resnet_utils import resnet_arg_scope
import tf_slim.nets.resnet_v1 as slims
from tf_slim.nets.resnet_v1 import bottleneck, resnet_v1_block

__all__ = ['bottleneck', 'resnet_arg_scope', 'resnet_v1', 'resnet_v1_101', 'resnet_v1_152',
           'resnet_v1_200', 'resnet_v1_50', 'resnet_v1_block']


def resnet_v1(inputs, blocks, num_classes=None, is_training=True, global_pool=True,
              output_stride=None, include_root_block=True, spatial_squeeze=True, reuse=None,
              scope=None):
    """A ResNet of those blocks: logits, or features where `num_classes` is None; end points."""
    net, end_points = slims.resnet_v1(
        inputs, blocks, num_classes, is_training, global_pool, output_stride, include_root_block,
        reuse, scope)
    return squeezed(net, end_points, scope or 'resnet_v1') if num_classes and spatial_squeeze else (
        net, end_points)


resnet_v1.default_image_size = 224  # type: ignore[attr-defined]
resnet_v1_50 = with_spatial_squeeze(slims.resnet_v1_50)
resnet_v1_101 = with_spatial_squeeze(slims.resnet_v1_101)
resnet_v1_152 = with_spatial_squeeze(slims.resnet_v1_152)
resnet_v1_200 = with_spatial_squeeze(slims.resnet_v1_200)
