"""The registry: one place that names a network, its scope, its input size and its classifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf


@dataclass(frozen=True)
class Network:
    """What must be known of a network beside its code."""

    name: str
    title: str
    scope: str
    # Layers by their names inside the scope: the classifier, and the auxiliary one if there is one.
    classifier: str
    aux_classifier: str | None
    # A layer that this network has and no other.
    fingerprint: str
    # Some layers' channels at depth multiplier 1; none where the network cannot be thinned.
    channels: dict[str, int] = field(default_factory=dict)

    def _find(self, name: str) -> Callable:
        # Imported at the first use: the table itself is read without TensorFlow.
        return getattr(importlib.import_module(f'inception_slim.nets.{self.name}'), name)

    @property
    def function(self) -> Callable:
        return self._find(self.name)

    @property
    def arg_scope(self) -> Callable:
        return self._find(f'{self.name}_arg_scope')

    @property
    def image_size(self) -> int:
        return self.function.default_image_size  # type: ignore[attr-defined]

    @property
    def heads(self) -> tuple[str, ...]:
        """The scopes of the classifiers, which depend on the number of classes."""
        return ('Logits', 'AuxLogits') if self.aux_classifier else ('Logits',)

    def features(self, end_points: dict[str, tf.Tensor]) -> tf.Tensor:
        """What the classifier sees, of any of the networks' end points.

        Only some networks have an end point for it, and what its op is called depends on whether
        dropout drops; but it is always the input of the classifier's multiplication.

        Args:
          end_points: as `function` returned them, with `num_classes`.

        Returns:
          `[batch, 1, 1, channels]`, or `[batch, channels]` where the classifier is a dense layer.
        """
        op = end_points['Logits'].op
        while op.type not in ('Conv2D', 'MatMul'):
            op = op.inputs[0].op
        return op.inputs[0]


NETWORKS: dict[str, Network] = {network.name: network for network in (
    Network(
        name='inception_v1', title='Inception V1',
        scope='InceptionV1',
        classifier='Logits/Conv2d_0c_1x1', aux_classifier=None,
        fingerprint='Mixed_5b/Branch_2/Conv2d_0a_3x3'),
    Network(
        name='inception_v2', title='Inception V2',
        scope='InceptionV2',
        classifier='Logits/Conv2d_1c_1x1', aux_classifier=None,
        fingerprint='Mixed_5a/Branch_1/Conv2d_0b_3x3',
        channels={
            'Conv2d_2b_1x1': 64, 'Conv2d_2c_3x3': 192, 'Mixed_3b/Branch_2/Conv2d_0b_3x3': 96,
            'Mixed_4a/Branch_0/Conv2d_1a_3x3': 160, 'Mixed_4b/Branch_0/Conv2d_0a_1x1': 224,
            'Mixed_5a/Branch_1/Conv2d_0b_3x3': 256, 'Mixed_5b/Branch_0/Conv2d_0a_1x1': 352}),
    Network(
        name='inception_v3', title='Inception V3',
        scope='InceptionV3',
        classifier='Logits/Conv2d_1c_1x1', aux_classifier='AuxLogits/Conv2d_2b_1x1',
        fingerprint='Mixed_5c/Branch_1/Conv_1_0c_5x5',
        channels={
            'Conv2d_1a_3x3': 32, 'Conv2d_2b_3x3': 64, 'Conv2d_3b_1x1': 80, 'Conv2d_4a_3x3': 192,
            'Mixed_6a/Branch_0/Conv2d_1a_1x1': 384, 'Mixed_7a/Branch_0/Conv2d_1a_3x3': 320,
            'Mixed_7b/Branch_2/Conv2d_0a_1x1': 448}),
    Network(
        name='inception_v4', title='Inception V4',
        scope='InceptionV4',
        classifier='Logits/Logits', aux_classifier='AuxLogits/Aux_logits',
        fingerprint='Mixed_3a/Branch_1/Conv2d_0a_3x3'),
    Network(
        name='inception_resnet_v2', title='Inception-ResNet V2',
        scope='InceptionResnetV2',
        classifier='Logits/Logits', aux_classifier='AuxLogits/Logits',
        fingerprint='Mixed_5b/Branch_0/Conv2d_1x1'),
)}


def get_network_fn(name: str, num_classes: int | None, weight_decay: float = 0.0,
                   is_training: bool | tf.Tensor = False) -> Callable:
    """A function that builds a network on images, under the network's arg scope.

    Args:
      name: of a network, one of `NETWORKS`.
      num_classes: width of the classifier; 0 or None returns the pooled features instead.
      weight_decay: factor of the L2 loss of the weights.
      is_training: whether batch norm uses the batch's own statistics and dropout drops.

    Returns:
      `network_fn(images, **arguments)`, which gives `(logits, end_points)` and passes further
      arguments on to the network; `network_fn.default_image_size` is the side of its images.

    Raises:
      ValueError: there is no network of that name.

    Example:
      >>> import tensorflow.compat.v1 as tf
      >>> from inception_slim.nets import registry
      >>> network_fn = registry.get_network_fn('inception_v1', num_classes=5)
      >>> side = network_fn.default_image_size
      >>> with tf.Graph().as_default():
      ...     logits, end_points = network_fn(tf.placeholder(tf.float32, (8, side, side, 3)))
      >>> logits.shape.as_list()
      [8, 5]
    """
    if name not in NETWORKS:
        raise ValueError(f'There is no network {name!r}; known are {", ".join(NETWORKS)}.')
    import tf_slim as slim
    network = NETWORKS[name]

    def network_fn(images: tf.Tensor, **arguments: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with slim.arg_scope(network.arg_scope(weight_decay=weight_decay)):
            return network.function(images, num_classes=num_classes, is_training=is_training,
                                    **arguments)

    network_fn.__name__ = name
    network_fn.default_image_size = network.image_size  # type: ignore[attr-defined]
    return network_fn
