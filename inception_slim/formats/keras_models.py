"""Keras 3 models of checkpoints, to train them with Keras."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inception_slim import checkpoint as checkpoints
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.errors import CheckpointError
from inception_slim.formats import keras_writer
from inception_slim.nets import registry

if TYPE_CHECKING:
    import keras


def keras_model(
    checkpoint: str | os.PathLike,
    *,
    num_classes: int | None = None,
    image_size: int | None = None,
    use_ema: bool = False,
    checkpoint_scope: str | None = None,
) -> keras.Model:
    """Builds a trainable Keras 3 model with the weights of a checkpoint.

    It maps images in [-1, 1] to probabilities, equal to those of TF-Slim's network within 1e-5, and
    uses Keras's own layers alone. Layers have TF-Slim's names, with `_` for `/`. There is no
    auxiliary head and no dropout.

    In `fit`, batch norm differs from TF-Slim's: its moving averages have Keras's momentum of 0.99,
    not 0.9997, and of a layer with `trainable = False`, it uses and keeps the moving averages,
    where TF-Slim uses the statistics of the batch.

    Args:
      checkpoint: any of Inception V1 to V4 and Inception-ResNet V2 that `inception_slim.checkpoint`
        reads.
      num_classes: replace the classifier by a new one, with random weights, for so many classes;
        None keeps it.
      image_size: height and width of the images; None means the network's own.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.

    Raises:
      CheckpointError: the checkpoint cannot be read, is of another network, or has no classifier
        and `num_classes` is None.

    Example:
      >>> import inception_slim
      >>> model = inception_slim.keras_model('tests/golden/checkpoints/inception_v1', num_classes=3)
      >>> model.output_shape
      (None, 3)
    """
    info, weights = checkpoints.read(checkpoint, use_ema=use_ema, checkpoint_scope=checkpoint_scope)
    network = registry.NETWORKS[info.network]
    if network.has_embedding:
        raise CheckpointError(f'{info.path} is of {network.title}, which has no Keras model; give '
                              'Inception V1 to V4 or Inception-ResNet V2.')
    if num_classes is not None:
        if num_classes < 1:
            raise CheckpointError(f'num_classes must be at least 1, but is {num_classes}.')
        for parameter in ('weights', 'biases'):
            weights.pop(f'{network.classifier}/{parameter}', None)
    elif info.num_classes is None:
        raise CheckpointError(f'{info.path} has no classifier; give num_classes for a new one.')
    return keras_writer.keras_model(with_image_size(info, image_size), weights, num_classes)
