"""`tf.contrib.layers`: functions that tf-slim does not have."""

from __future__ import annotations

import tensorflow.compat.v1 as tf
import tf_slim as slim


def embed_sequence(ids, vocab_size=None, embed_dim=None, unique=False, initializer=None,
                   regularizer=None, trainable=True, scope=None, reuse=None) -> tf.Tensor:
    """Look up an embedding for each id in a variable `embeddings`.

    Args:
      ids: `[batch, length]`, int32 or int64.
      vocab_size: number of ids.
      embed_dim: size of an embedding.
      unique: whether to look up duplicate ids only once.
      initializer: initializer of the variable.
      regularizer: regularizer of the variable.
      trainable: whether the variable is trainable.
      scope: variable scope.
      reuse: whether to reuse the variable of an earlier call.

    Returns:
      `[batch, length, embed_dim]`.

    Raises:
      ValueError: `vocab_size` or `embed_dim` is missing, and `reuse` is not set.
    """
    if not (reuse or (vocab_size and embed_dim)):
        raise ValueError('Must specify vocab size and embedding dimension when not reusing. '
                         f'Got vocab_size={vocab_size} and embed_dim={embed_dim}')
    with tf.variable_scope(scope, 'EmbedSequence', [ids], reuse=reuse):
        shape = [vocab_size, embed_dim]
        if reuse and vocab_size is None or embed_dim is None:
            shape = None
        embeddings = slim.model_variable('embeddings', shape=shape, initializer=initializer,
                                         regularizer=regularizer, trainable=trainable)
        return (embedding_lookup_unique if unique else tf.nn.embedding_lookup)(embeddings, ids)


def embedding_lookup_unique(params, ids, partition_strategy: str = 'mod',
                            name: str | None = None) -> tf.Tensor:
    """`tf.nn.embedding_lookup` that looks up duplicate ids only once."""
    with tf.name_scope(name, 'EmbeddingLookupUnique', [params, ids]):
        ids = tf.convert_to_tensor(ids)
        shape = tf.shape(ids)
        unique, indices = tf.unique(tf.reshape(ids, [-1]))
        flat = tf.gather(tf.nn.embedding_lookup(params, unique, partition_strategy), indices)
        return tf.reshape(flat, tf.concat([shape, tf.shape(flat)[1:]], 0))
