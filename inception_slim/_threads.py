"""The number of cores, and sessions of TensorFlow that use no threads of their own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf


def available_cores() -> int:
    """Number of cores that this process may use, where the system tells; else of all."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def single_thread_config(threads: int) -> tf.ConfigProto:
    """A Session config that runs ops one by one in the calling thread, with intra-op threads.

    Graphs are not optimized, which would take longer than what a small graph gains.
    """
    import tensorflow.compat.v1 as tf

    config = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=-1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config
