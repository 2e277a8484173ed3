"""The engine that is always there: a TensorFlow Session.

A batch is split into micro-batches, and as many run at a time as there are threads: their
activations fit into the caches, a thread that finishes takes the next micro-batch instead of
waiting for the others, and memory stays low.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
import contextlib
import ctypes

from inception_slim._threads import single_thread_config
from inception_slim.inference.engines import first_call_lock
from inception_slim.inference.graph import add_head
from inception_slim.inference.tf_graph_builder import SessionGraph
import numpy as np
import tensorflow.compat.v1 as tf

# Operations that TensorFlow fuses with those that follow, where the graph has not fused them.
_FUSED = {'Conv2D', 'DepthwiseConv2dNative'}


class SessionEngine:
    """Computes features of images in a Session, several micro-batches at a time.

    Args:
      network: the network; its weights are consumed.
      threads: micro-batches that run at a time, and intra-op threads.
      batch_size: images in a run, to which smaller ones are padded; None takes up to
        `max_micro_batch`.
      max_micro_batch: images in a run at most if `batch_size` is None.
    """

    def __init__(self, network: SessionGraph, threads: int, batch_size: int | None,
                 max_micro_batch: int):
        self._threads, self._batch_size = threads, batch_size
        self._max_micro_batch = max_micro_batch
        config = single_thread_config(threads)
        # The session is only ever called by one callable: it need not keep the graph.
        config.experimental.optimize_for_static_graph = True
        config.experimental.disable_output_partition_graphs = True
        graph = network.graph
        rewrites = config.graph_options.rewrite_options
        rewrites.disable_meta_optimizer = _FUSED.isdisjoint(
            op.type for op in graph.get_operations())
        # Only `remapping` is useful here: it fuses a convolution, bias and ReLU. The other passes
        # find nothing to do.
        for option in ('constant_folding', 'function_optimization', 'loop_optimization',
                       'dependency_optimization', 'arithmetic_optimization', 'layout_optimizer',
                       'shape_optimization', 'common_subgraph_elimination'):
            setattr(rewrites, option, rewrites.OFF)
        rewrites.disable_tfg_optimizer = True
        rewrites.memory_optimization = rewrites.NO_MEM_OPT
        rewrites.meta_optimizer_iterations = rewrites.ONE
        self._session = tf.Session(graph=graph, config=config)
        network.initialize(self._session)
        network.weights.clear()
        self._call = self._session.make_callable(
            graph.get_tensor_by_name('features:0'),
            feed_list=[graph.get_tensor_by_name('inputs:0')])
        # Always the same threads, because oneDNN caches prepared primitives per thread.
        self._workers = ThreadPoolExecutor(threads, 'inception_slim')
        # The first run optimizes the graph: better at load time than in the first prediction, and
        # in this thread, because memory freed in a worker thread would not be reused by others.
        malloc_trim()
        with first_call_lock:
            self._call(np.zeros((1, *graph.get_tensor_by_name('inputs:0').shape[1:]), np.float32))
        malloc_trim()

    def features(self, images: np.ndarray) -> np.ndarray:
        count = len(images)
        size = self._batch_size or min(self._max_micro_batch, -(-count // self._threads))
        if self._batch_size and count % size:
            images = np.concatenate([
                images, np.zeros((-count % size, *images.shape[1:]), np.float32)])
        micro_batches = [images[start:start + size] for start in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(self._call, micro_batches)))[:count]

    def close(self) -> None:
        self._workers.shutdown()
        self._session.close()
        del self._call, self._session
        malloc_trim()


class SessionClassifierHead:
    """The layers of a head in TensorFlow.

    Always float32, whatever the precision of the engine: they are small, and their rounding would
    decide the class. It uses TensorFlow because NumPy's thread pool would compete with
    TensorFlow's.

    Args:
      layers: the weights, of dense layers or 1×1 convolutions, and biases; the last is the
        classifier.
      activation: of the classifier, one of `OUTPUT_ACTIVATIONS`.
      threads: to run on.
    """

    def __init__(self, layers: Sequence[tuple[np.ndarray, np.ndarray]], activation: str,
                 threads: int):
        values = [value for weights, biases in layers
                  for value in (weights.reshape(weights.shape[-2:]), biases)]
        self.channels = len(values[0])
        with tf.Graph().as_default() as graph:
            features = tf.placeholder(tf.float32, (None, self.channels))
            variables = [tf.Variable(tf.placeholder(tf.float32, value.shape), use_resource=False)
                         for value in values]
            outputs = add_head(features, list(zip(variables[::2], variables[1::2])), activation,
                               [None] * len(layers))
        self._session = tf.Session(graph=graph, config=single_thread_config(threads))
        self._session.run(
            [variable.initializer for variable in variables],
            {variable.initializer.inputs[1]: value for variable, value in zip(variables, values)})
        self.logits, self.predictions = (
            self._session.make_callable(output, [features]) for output in outputs)

    def close(self) -> None:
        self._session.close()


def malloc_trim() -> None:
    """Returns freed memory to the system, if the C library is glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
