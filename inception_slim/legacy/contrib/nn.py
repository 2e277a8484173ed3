"""`tf.contrib.nn`: cross entropies with labels second."""

from __future__ import annotations

import tensorflow.compat.v1 as tf


def deprecated_flipped_softmax_cross_entropy_with_logits(logits, labels, dim=-1, name=None):
    """Softmax cross entropy of logits and the probabilities wanted."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits, dim=dim,
                                                   name=name)


def deprecated_flipped_sparse_softmax_cross_entropy_with_logits(logits, labels, name=None):
    """Softmax cross entropy of logits and the classes wanted."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name=name)


def deprecated_flipped_sigmoid_cross_entropy_with_logits(logits, targets, name=None):
    """Sigmoid cross entropy of logits and the probabilities wanted."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits, name=name)
