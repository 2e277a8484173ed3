"""The accuracy of a network whose batch norm uses the statistics of each batch, as in training."""

from __future__ import annotations

import os

from inception_slim import checkpoint as checkpoints, data
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.checkpoint.class_names import check_has_classifier
from inception_slim.checkpoint.head import SLIM_HEAD
from inception_slim.errors import CheckpointError
from inception_slim.evaluation.loaders import progress
from inception_slim.evaluation.options import PredictionOptions
from inception_slim.nets import registry
from inception_slim.nets.mixed import pooled_conv
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim


def check_has_statistics(info: CheckpointInfo) -> None:
    """Raises a CheckpointError if a network cannot compute with batch statistics."""
    check_has_classifier(info)
    if not info.has_batch_norm or info.head != SLIM_HEAD:
        reason = (f'it has the head {info.head}' if info.has_batch_norm else
                  'batch norm is folded into its weights')
        raise CheckpointError(f'{info.path} cannot be evaluated with batch statistics: {reason}; '
                              'leave out batch_statistics.')


def batch_statistics_accuracy(checkpoint: str | os.PathLike, info: CheckpointInfo,
                              dataset: data.Dataset, labels: np.ndarray,
                              is_excluded: np.ndarray, options: PredictionOptions) -> float:
    """Evaluates a network in training mode, without dropout, on shuffled batches.

    Args:
      checkpoint: any that `inception_slim.checkpoint` reads.
      info: its description.
      dataset: the images. Their order matters: a batch of one class has other statistics.
      labels: `[num_classes]`, the dataset's label of each class of the checkpoint.
      is_excluded: `[num_classes]`, which classes cannot be predicted.
      options: of `evaluate`.

    Returns:
      The share of images whose most likely class is their label, of all full batches.
    """
    network = registry.NETWORKS[info.network]
    arguments = {'dropout_keep_prob': 1.0, **network.size_arguments(info.image_size)}
    if info.depth_multiplier is not None and network.channels:
        arguments.update(depth_multiplier=info.depth_multiplier, min_depth=info.min_depth)
    if network.aux_classifier:
        arguments['create_aux_logits'] = False
    batch_size = min(options.batch_size, dataset.num_examples)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, (None, info.image_size, info.image_size, 3))
        with slim.arg_scope(network.arg_scope(batch_norm_scale=info.has_gammas)), \
                slim.arg_scope([pooled_conv], pooling=info.pooling):
            logits, _ = network.function(images, num_classes=info.num_classes, is_training=True,
                                         **arguments)
        checkpoints.restore(session, checkpoint, scope=network.scope, use_ema=options.use_ema,
                            checkpoint_scope=options.checkpoint_scope)
        correct: list[np.ndarray] = []
        for batch in progress(data.as_numpy_batches(lambda: data.batches(
                dataset, batch_size, image_size=info.image_size, training=True, distort=False,
                seed=0, strict=options.strict, max_pixels=options.max_pixels, exif=options.exif,
                background=options.background,
                scaled_decoding=options.scaled_decoding)), dataset.num_examples, []):
            # The statistics of a few images that are left over mean little.
            if len(batch['label']) == batch_size or not correct:
                values = session.run(logits, {images: batch['image']})
                predictions = labels[np.where(is_excluded, -np.inf, values).argmax(axis=1)]
                correct.append(predictions == batch['label'])
    return float(np.concatenate(correct).mean())
