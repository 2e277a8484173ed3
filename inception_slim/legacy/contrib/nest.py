"""`tf.contrib.framework.nest`: TensorFlow's private `nest` with its TensorFlow 1 names."""

from tensorflow.python.util.nest import *  # noqa: F403
from tensorflow.python.util.nest import (  # noqa: F401
    assert_same_structure,
    assert_shallow_structure,
    flatten,
    flatten_dict_items,
    flatten_up_to,
    is_nested,
    map_structure,
    map_structure_up_to,
    pack_sequence_as,
)

is_sequence = is_nested  # renamed in TensorFlow 2.4
