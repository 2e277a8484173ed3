"""Grad-CAM heatmaps on the last block of a network."""

from __future__ import annotations

from collections.abc import Iterator
import os

from inception_slim import checkpoint as checkpoints, inference
from inception_slim.checkpoint.class_names import check_has_classifier
from inception_slim.checkpoint.naming import with_image_size
from inception_slim.inference.graph import ImageNames, check_finite_output, last_grid
import numpy as np
import tensorflow.compat.v1 as tf

OPTIONS = ('use_ema', 'checkpoint_scope')  # the fields of `InferenceOptions` that apply here
_MICRO_BATCH = 8


class Heatmaps:
    """Computes heatmaps of images for classes; a context that holds a session.

    Always in float32, because a quantized network has no gradients.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      use_ema: load the moving averages of the weights.
      checkpoint_scope: which network to load, if the file contains several.
      image_size: of the images; None means the network's own.

    Raises:
      CheckpointError: the checkpoint cannot be read, or has no classifier.
    """

    def __init__(self, checkpoint: str | os.PathLike, *, use_ema: bool = False,
                 checkpoint_scope: str | None = None, image_size: int | None = None):
        info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                         checkpoint_scope=checkpoint_scope)
        info = with_image_size(info, image_size)
        check_has_classifier(info)
        self._path = info.path
        graph = inference.constant_graph(info, inference.fold_batch_norm(weights))
        with graph.as_default():
            self._inputs = graph.get_tensor_by_name('inputs:0')
            self._classes = tf.placeholder(tf.int32, (None,))
            self._heatmaps = grad_cam(graph.get_tensor_by_name('logits:0'),
                                      last_grid(graph.get_tensor_by_name('features:0')),
                                      self._classes)
        config = tf.ConfigProto()
        # Optimizing the graph takes longer than it saves in the few runs.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.Session(graph=graph, config=config)

    def compute(self, images: np.ndarray, classes: np.ndarray,
                names: ImageNames = None) -> Iterator[np.ndarray]:
        """Computes a heatmap for each image.

        Args:
          images: `[N, side, side, 3]` float32 in [-1, 1], of that size.
          classes: `[N]` integers: the class of the checkpoint to explain in each image.
          names: their files, for error messages.

        Yields:
          `[8, 8]` float32 (the size of the last block), at least 0, in units of the logit.

        Raises:
          CheckpointError: a heatmap is not finite.
        """
        for start in range(0, len(images), _MICRO_BATCH):
            part = slice(start, start + _MICRO_BATCH)
            heatmaps = self._session.run(self._heatmaps, {self._inputs: images[part],
                                                          self._classes: classes[part]})
            check_finite_output(self._path, 'heatmaps', heatmaps,
                                names=None if names is None else names[part])
            yield from heatmaps

    def __enter__(self) -> Heatmaps:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()


def grad_cam(logits: tf.Tensor, block: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Builds the Grad-CAM heatmaps of a block: `[N, height, width]`, at least 0.

    The sum of the block's channels, each weighted by the mean gradient of the logit over it.

    Args:
      logits: `[N, num_classes]`, computed from `block`.
      block: `[N, height, width, channels]`.
      classes: `[N]` integers.

    Source: https://arxiv.org/abs/1610.02391, equations 1 and 2.
    """
    gradient, = tf.gradients(tf.gather(logits, classes, batch_dims=1), block)
    weights = tf.reduce_mean(gradient, axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * block, axis=-1))
