"""`tf.contrib.nn`: cross entropies with the labels as second argument."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def deprecated_flipped_softmax_cross_entropy_with_logits(logits, labels, dim=-1, name=None):
    """Return the softmax cross entropy of logits and class probabilities."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits, dim=dim,
                                                   name=name)


def deprecated_flipped_sparse_softmax_cross_entropy_with_logits(logits, labels, name=None):
    """Return the softmax cross entropy of logits and class indices."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name=name)


def deprecated_flipped_sigmoid_cross_entropy_with_logits(logits, targets, name=None):
    """Return the sigmoid cross entropy of logits and class probabilities."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits, name=name)
