"""TensorFlow's own engine: a Session that runs pieces of a batch side by side.

A batch is run in small pieces, as many at a time as there are threads: their activations fit into
the caches, a thread that is done takes the next piece instead of waiting for the others, and memory
stays low.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import contextlib
import ctypes

import numpy as np
import tensorflow.compat.v1 as tf


def single_thread_config(threads: int) -> tf.ConfigProto:
    """A Session's options: an op after the other by the thread that asks, helped by others."""
    return tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=-1)


class SessionEngine:
    """The features of images, by a Session that runs pieces of a batch side by side."""

    def __init__(self, graph: tf.Graph, threads: int, batch_size: int | None, largest: int):
        self._threads, self._batch_size, self._largest = threads, batch_size, largest
        options = single_thread_config(threads)
        # One call is all that is ever made of the graph: without these the session would keep
        # the weights twice more.
        options.experimental.optimize_for_static_graph = True
        options.experimental.disable_output_partition_graphs = True
        rewrites = options.graph_options.rewrite_options
        # What is left to gain is the fusion of convolution, bias and ReLU (`remapping`, which
        # stays on); the other passes copy the weights with the graph, and find nothing.
        for each in ('constant_folding', 'function_optimization', 'loop_optimization',
                     'dependency_optimization', 'arithmetic_optimization', 'layout_optimizer',
                     'shape_optimization', 'common_subgraph_elimination'):
            setattr(rewrites, each, rewrites.OFF)
        rewrites.disable_tfg_optimizer = True
        rewrites.memory_optimization = rewrites.NO_MEM_OPT
        rewrites.meta_optimizer_iterations = rewrites.ONE
        self._session = tf.Session(graph=graph, config=options)
        self._call = self._session.make_callable(
            graph.get_tensor_by_name('features:0'),
            feed_list=[graph.get_tensor_by_name('inputs:0')])
        # Always the same threads, since oneDNN keeps what it has prepared by thread.
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        # The first run makes the session optimize the graph: better now than in the first answer,
        # and in this thread, whose memory the others would not use again.
        malloc_trim()
        self._call(np.zeros((1, *graph.get_tensor_by_name('inputs:0').shape[1:]), np.float32))
        malloc_trim()

    def features(self, images: np.ndarray) -> np.ndarray:
        count = len(images)
        size = self._batch_size or min(self._largest, -(-count // self._threads))
        if self._batch_size and count % size:
            images = np.concatenate([
                images, np.zeros((-count % size, *images.shape[1:]), np.float32)])
        pieces = [images[start:start + size] for start in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(self._call, pieces)))[:count]

    def close(self) -> None:
        self._workers.shutdown()
        self._session.close()


def malloc_trim() -> None:
    """Returns what was freed to the system, where the C library is one that would keep it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
