"""The registry of the networks: scope, image size, last layers and distinctive layers of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf

BATCH_NORM_EPSILON = 0.001  # the default of all networks


@dataclass(frozen=True)
class Network:
    """Describes a network.

    Attributes:
      name: the name of its function and module.
      title: the name in messages and documents.
      scope: its default variable scope.
      classifier: the layer of the classifier, in the scope; of a network with an embedding instead
        of a classifier, the layer of the embedding.
      aux_classifier: the layer of the auxiliary classifier, or None.
      unique_layer: a layer that no other network has, by which checkpoints are recognized.
      channels: number of channels of some layers at depth multiplier 1; empty if the network has no
        `depth_multiplier`.
      has_embedding: whether the last layer is an embedding, and there is no classifier.
      crops_images: whether the centers of images are cropped for evaluation, as TF-Slim does.
    """

    name: str
    title: str
    scope: str
    classifier: str
    aux_classifier: str | None
    unique_layer: str
    channels: dict[str, int] = field(default_factory=dict)
    has_embedding: bool = False
    crops_images: bool = True

    def _find(self, name: str) -> Callable:
        # Imported at first use: the command line reads the registry without TensorFlow.
        return getattr(importlib.import_module(f'inception_slim.nets.{self.name}'), name)

    @property
    def function(self) -> Callable:
        """The function that builds the network."""
        return self._find(self.name)

    @property
    def arg_scope(self) -> Callable:
        """The function that returns the network's arg scope."""
        return self._find(f'{self.name}_arg_scope')

    @property
    def image_size(self) -> int:
        """Height and width of the images that published weights expect."""
        return self.function.default_image_size  # type: ignore[attr-defined]

    def size_arguments(self, image_size: int | None) -> dict[str, Any]:
        """Arguments of `function` for a classifier of images of any size.

        The heads of V1 to V3 pool windows, of which there are several in images above a size:
        there they average over the whole grid, as the other networks do at all sizes.
        """
        largest = getattr(self.function, 'max_image_size', None)
        if largest is None or image_size is None or image_size <= largest:
            return {}
        return {'global_pool': True}

    @property
    def heads(self) -> tuple[str, ...]:
        """The scopes of the classifiers, whose weights depend on the number of classes."""
        return ('Logits', 'AuxLogits') if self.aux_classifier else ('Logits',)

    @property
    def has_dense_classifier(self) -> bool:
        """Whether the last layer is a dense layer instead of a 1×1 convolution."""
        return '/Conv2d_' not in self.classifier

    @property
    def prepare(self) -> Callable[..., tf.Tensor]:
        """The function of `data.preprocessing` that prepares images for evaluation."""
        from inception_slim.data import preprocessing

        return preprocessing.for_evaluation if self.crops_images else preprocessing.resize_tf1

    def build(self, images: tf.Tensor, last_layer_size: int | None,
              **arguments: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Builds the network.

        Args:
          images: see `function`.
          last_layer_size: number of classes, or size of the embedding; 0 or None returns the pooled
            features.
          **arguments: more arguments of `function`.

        Returns:
          What `function` returns.
        """
        name = 'bottleneck_layer_size' if self.has_embedding else 'num_classes'
        return self.function(images, **{name: last_layer_size}, **arguments)

    def features(self, end_points: dict[str, tf.Tensor]) -> tf.Tensor:
        """Finds the features (pre-logits): the input of the last layer's convolution or product.

        Not all networks have an end point for them, and the name of the op depends on dropout.

        Args:
          end_points: the end points that `function` returned, with `num_classes`.

        Returns:
          `[batch, 1, 1, channels]`, or `[batch, channels]` if the classifier is a dense layer.
        """
        if self.has_embedding:
            return end_points['PreLogitsFlatten']
        op = end_points['Logits'].op
        while op.type not in ('Conv2D', 'MatMul'):
            op = op.inputs[0].op
        return op.inputs[0]


NETWORKS: dict[str, Network] = {network.name: network for network in (
    Network(
        name='inception_v1', title='Inception V1',
        scope='InceptionV1',
        classifier='Logits/Conv2d_0c_1x1', aux_classifier=None,
        unique_layer='Mixed_5b/Branch_2/Conv2d_0a_3x3'),
    Network(
        name='inception_v2', title='Inception V2',
        scope='InceptionV2',
        classifier='Logits/Conv2d_1c_1x1', aux_classifier=None,
        unique_layer='Mixed_5a/Branch_1/Conv2d_0b_3x3',
        channels={
            'Conv2d_2b_1x1': 64, 'Conv2d_2c_3x3': 192, 'Mixed_3b/Branch_2/Conv2d_0b_3x3': 96,
            'Mixed_4a/Branch_0/Conv2d_1a_3x3': 160, 'Mixed_4b/Branch_0/Conv2d_0a_1x1': 224,
            'Mixed_5a/Branch_1/Conv2d_0b_3x3': 256, 'Mixed_5b/Branch_0/Conv2d_0a_1x1': 352}),
    Network(
        name='inception_v3', title='Inception V3',
        scope='InceptionV3',
        classifier='Logits/Conv2d_1c_1x1', aux_classifier='AuxLogits/Conv2d_2b_1x1',
        unique_layer='Mixed_5c/Branch_1/Conv_1_0c_5x5',
        channels={
            'Conv2d_1a_3x3': 32, 'Conv2d_2b_3x3': 64, 'Conv2d_3b_1x1': 80, 'Conv2d_4a_3x3': 192,
            'Mixed_6a/Branch_0/Conv2d_1a_1x1': 384, 'Mixed_7a/Branch_0/Conv2d_1a_3x3': 320,
            'Mixed_7b/Branch_2/Conv2d_0a_1x1': 448}),
    Network(
        name='inception_v4', title='Inception V4',
        scope='InceptionV4',
        classifier='Logits/Logits', aux_classifier='AuxLogits/Aux_logits',
        unique_layer='Mixed_3a/Branch_1/Conv2d_0a_3x3'),
    Network(
        name='inception_resnet_v1', title='Inception-ResNet V1',
        scope='InceptionResnetV1',
        classifier='Bottleneck', aux_classifier=None,
        unique_layer='Conv2d_4b_3x3',
        has_embedding=True, crops_images=False),
    Network(
        name='inception_resnet_v2', title='Inception-ResNet V2',
        scope='InceptionResnetV2',
        classifier='Logits/Logits', aux_classifier='AuxLogits/Logits',
        unique_layer='Mixed_5b/Branch_0/Conv2d_1x1'),
)}
# The networks with a classifier.
CLASSIFIERS = tuple(name for name, network in NETWORKS.items() if not network.has_embedding)


def get_network_fn(name: str, num_classes: int | None, weight_decay: float = 0.0,
                   is_training: bool | tf.Tensor = False) -> Callable:
    """Returns a function that builds a network under its arg scope.

    Args:
      name: name of the network, one of `NETWORKS`.
      num_classes: number of classes, or of Inception-ResNet V1 the size of the embedding; 0 or None
        returns the pooled features.
      weight_decay: factor of the L2 loss of the weights.
      is_training: whether batch norm uses the statistics of the batch and dropout is active.

    Returns:
      `network_fn(images, **arguments)`, which returns `(logits, end_points)` and passes its other
      arguments to the network; `network_fn.default_image_size` is the size of the images.

    Raises:
      ValueError: the network is unknown.

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
        raise ValueError(f'Unknown network {name!r}; use one of {", ".join(NETWORKS)}.')
    import tf_slim as slim
    network = NETWORKS[name]

    def network_fn(images: tf.Tensor, **arguments: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with slim.arg_scope(network.arg_scope(weight_decay=weight_decay)):
            return network.build(images, num_classes, is_training=is_training, **arguments)

    network_fn.__name__ = name
    network_fn.default_image_size = network.image_size  # type: ignore[attr-defined]
    return network_fn
