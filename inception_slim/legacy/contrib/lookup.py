"""`tf.contrib.lookup`: lookup tables with the argument names of TensorFlow 1."""

from __future__ import annotations

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import lookup_ops


def index_table_from_tensor(mapping, num_oov_buckets=0, default_value=-1,
                            hasher_spec=lookup_ops.FastHashSpec, dtype=tf.string, name=None):
    """Return a table from values to their indices in `mapping`."""
    return lookup_ops.index_table_from_tensor(
        mapping, num_oov_buckets=num_oov_buckets, default_value=default_value,
        hasher_spec=hasher_spec, dtype=dtype, name=name)


string_to_index_table_from_tensor = index_table_from_tensor


def string_to_index_table_from_file(vocabulary_file=None, num_oov_buckets=0, vocab_size=None,
                                    default_value=-1, hasher_spec=lookup_ops.FastHashSpec,
                                    name=None):
    """Return a table from strings to their line numbers in a file."""
    return lookup_ops.index_table_from_file(
        vocabulary_file, num_oov_buckets=num_oov_buckets, vocab_size=vocab_size,
        default_value=default_value, hasher_spec=hasher_spec, name=name)


def index_to_string_table_from_tensor(mapping, default_value='UNK', name=None):
    """Return a table from indices to the values of `mapping`."""
    return lookup_ops.index_to_string_table_from_tensor(mapping, default_value=default_value,
                                                        name=name)


def string_to_index(tensor, mapping, default_value=-1, name=None):
    """Return the index of each string in `mapping`; run `tf.tables_initializer` first."""
    return index_table_from_tensor(mapping, default_value=default_value, name=name).lookup(tensor)


def index_to_string(tensor, mapping, default_value='UNK', name=None):
    """Return the string of `mapping` at each index; run `tf.tables_initializer` first."""
    return index_to_string_table_from_tensor(mapping, default_value, name).lookup(tensor)
