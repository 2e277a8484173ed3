"""`tf.contrib.layers`: what tf-slim did not take along."""

from __future__ import annotations

import tensorflow.compat.v1 as tf
import tf_slim as slim


def embed_sequence(ids, vocab_size=None, embed_dim=None, unique=False, initializer=None,
                   regularizer=None, trainable=True, scope=None, reuse=None) -> tf.Tensor:
    """A vector for each id, from a variable `embeddings`.

    Args:
      ids: `[batch, length]`, int32 or int64.
      vocab_size: how many ids there are.
      embed_dim: length of a vector.
      unique: looks each id up once.
      initializer: of the variable.
      regularizer: of the variable.
      trainable: whether the variable is trained.
      scope: variable scope.
      reuse: takes the variable that an earlier call made.

    Returns:
      `[batch, length, embed_dim]`.
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
    """`tf.nn.embedding_lookup` that looks each id up once."""
    with tf.name_scope(name, 'EmbeddingLookupUnique', [params, ids]):
        ids = tf.convert_to_tensor(ids)
        shape = tf.shape(ids)
        unique, places = tf.unique(tf.reshape(ids, [-1]))
        found = tf.gather(tf.nn.embedding_lookup(params, unique, partition_strategy), places)
        return tf.reshape(found, tf.concat([shape, tf.shape(found)[1:]], 0))
