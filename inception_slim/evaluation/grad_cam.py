"""Where in an image an answer came from: Grad-CAM on the last block of a network."""

from __future__ import annotations

from collections.abc import Iterator
import os

from inception_slim import checkpoint as checkpoints, inference
from inception_slim.errors import CheckpointError
import numpy as np
import tensorflow.compat.v1 as tf

OPTIONS = ('use_ema', 'checkpoint_scope')  # of `InferenceOptions`, those that heatmaps heed
_PIECE = 8  # images in one run


class Heatmaps:
    """Heatmaps of images for classes, from one checkpoint; a context that holds a session.

    In float32, whatever the answers are multiplied in: eight-bit integers have no gradients.
    """

    def __init__(self, checkpoint: str | os.PathLike, *, use_ema: bool = False,
                 checkpoint_scope: str | None = None):
        info, weights = checkpoints.read(checkpoint, use_ema=use_ema,
                                         checkpoint_scope=checkpoint_scope)
        if info.num_classes is None:
            raise CheckpointError(f'{info.path} has no classifier; it cannot answer.')
        graph = inference.constant_graph(info, inference.fold_batch_norm(weights))
        with graph.as_default():
            self._inputs = graph.get_tensor_by_name('inputs:0')
            self._classes = tf.placeholder(tf.int32, (None,))
            self._heat = grad_cam(graph.get_tensor_by_name('logits:0'),
                                  last_conv_block(graph.get_tensor_by_name('features:0')),
                                  self._classes)
        options = tf.ConfigProto()
        # Looking for what could be faster takes longer than the few runs that there will be.
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.Session(graph=graph, config=options)

    def of(self, images: np.ndarray, classes: np.ndarray) -> Iterator[np.ndarray]:
        """The heatmaps of images, one at a time.

        Args:
          images: `[N, side, side, 3]` float32 in [-1, 1], as the network wants them.
          classes: `[N]`, the class of the checkpoint that each image is asked about.

        Yields:
          `[8, 8]` float32, or as many as the last block has; at least 0, in units of the logit.
        """
        for at in range(0, len(images), _PIECE):
            yield from self._session.run(self._heat, {
                self._inputs: images[at:at + _PIECE], self._classes: classes[at:at + _PIECE]})

    def __enter__(self) -> Heatmaps:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()


def last_conv_block(features: tf.Tensor) -> tf.Tensor:
    """The last block of a network, `[N, height, width, channels]`: what its head pools.

    Args:
      features: what the classifier sees, which is pooled and at most reshaped after that.
    """
    op = features.op
    while op.type not in ('AvgPool', 'Mean'):
        op = op.inputs[0].op
    return op.inputs[0]


def grad_cam(logits: tf.Tensor, block: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """What of a block speaks for a class: `[N, height, width]`, at least 0.

    The channels of the block, each weighted by the mean of the logit's gradient over it.

    Args:
      logits: `[N, num_classes]`, computed from `block`.
      block: `[N, height, width, channels]`.
      classes: `[N]` integers.

    Source: https://arxiv.org/abs/1610.02391, equations 1 and 2.
    """
    gradient, = tf.gradients(tf.gather(logits, classes, batch_dims=1), block)
    weights = tf.reduce_mean(gradient, axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * block, axis=-1))
