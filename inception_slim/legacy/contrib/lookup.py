"""`tf.contrib.lookup`'s tables of tensors, whose arguments were called otherwise."""

from __future__ import annotations

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import lookup_ops


def index_table_from_tensor(mapping, num_oov_buckets=0, default_value=-1,
                            hasher_spec=lookup_ops.FastHashSpec, dtype=tf.string, name=None):
    """A table from values to where they stand in `mapping`."""
    return lookup_ops.index_table_from_tensor(
        mapping, num_oov_buckets=num_oov_buckets, default_value=default_value,
        hasher_spec=hasher_spec, dtype=dtype, name=name)


string_to_index_table_from_tensor = index_table_from_tensor


def string_to_index_table_from_file(vocabulary_file=None, num_oov_buckets=0, vocab_size=None,
                                    default_value=-1, hasher_spec=lookup_ops.FastHashSpec,
                                    name=None):
    """A table from strings to their lines in a file."""
    return lookup_ops.index_table_from_file(
        vocabulary_file, num_oov_buckets=num_oov_buckets, vocab_size=vocab_size,
        default_value=default_value, hasher_spec=hasher_spec, name=name)


def index_to_string_table_from_tensor(mapping, default_value='UNK', name=None):
    """A table from places in `mapping` to what stands there."""
    return lookup_ops.index_to_string_table_from_tensor(mapping, default_value=default_value,
                                                        name=name)


def string_to_index(tensor, mapping, default_value=-1, name=None):
    """Where each string stands in `mapping`; wants `tf.tables_initializer`."""
    return index_table_from_tensor(mapping, default_value=default_value, name=name).lookup(tensor)


def index_to_string(tensor, mapping, default_value='UNK', name=None):
    """What stands in each place of `mapping`; wants `tf.tables_initializer`."""
    return index_to_string_table_from_tensor(mapping, default_value, name).lookup(tensor)
