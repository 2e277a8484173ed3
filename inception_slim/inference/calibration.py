"""Networks in the form that engines and exporters take: float ops, or calibrated int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import gc
import os

from inception_slim._threads import available_cores
from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference import network_cache, tf_graph_builder
from inception_slim.inference.cpu_features import has_fast_bfloat16
from inception_slim.inference.engines.session import SessionEngine, malloc_trim
from inception_slim.inference.graph import (
    graph_with_placeholders,
    has_last_layer,
    head_node_names,
    pop_head,
)
from inception_slim.inference.ir import Op, head_ops, to_ops
from inception_slim.inference.quantization import CalibrationStats, QuantizedNetwork, calibrate
import numpy as np
import tensorflow.compat.v1 as tf

# Images in one run: all measured values of a run are in memory at once.
_MAX_MICRO_BATCH = 2
# Part of the cache key; to be raised whenever calibration gives another result.
_CACHE_FORMAT = 7


def pool_before_conv(engine: str) -> bool:
    """Whether the pooled branches of an int8 network pool uint8 values before the 1×1 convolution.

    OpenVINO can return float32 from an int8 convolution, and then pools fewer channels after it.
    """
    return engine != 'openvino'


def load_or_calibrate(info: CheckpointInfo, weights_digest: str,
                      ops: Callable[[], Sequence[Op]], images: Callable[[], np.ndarray],
                      same_images: bool, cache: str | os.PathLike | None, threads: int,
                      pool_first: bool) -> tuple[QuantizedNetwork, str | None]:
    """The int8 network, from the cache if possible.

    Args:
      info: from `checkpoint.read`.
      weights_digest: of the folded weights, without those of the head; needed with a cache.
      ops: returns the ops in float32, with pools as `pool_first` says.
      images: returns the validated calibration images.
      same_images: use a cached network only if it was calibrated on the same images.
      cache: the directory of the cache; None calibrates without one.
      threads: to calibrate on.
      pool_first: from `pool_before_conv`.

    Returns:
      The network, and the digest of its ops if there is a cache.
    """
    if cache is None:
        return calibrate_network(ops, images(), threads), None
    key = network_cache.cache_key(
        {}, weights=weights_digest, network=info.network, pooling=info.pooling,
        format=_CACHE_FORMAT, tensorflow=tf.__version__, calibrated_in=_calibration_dtype().name,
        pool_first=pool_first, input_range=info.input_range, head=info.head.pool,
        image_size=info.image_size)
    path = network_cache.cache_path(cache, info.network, key)
    cached = network_cache.load(
        path, key, network_cache.images_digest(images()) if same_images else None)
    if cached is not None:
        return cached
    batch = images()
    network = calibrate_network(ops, batch, threads)
    return network, network_cache.save(path, key, network_cache.images_digest(batch), network)


def calibrate_network(ops: Callable[[], Sequence[Op]], images: np.ndarray,
                      threads: int) -> QuantizedNetwork:
    """Quantizes a network to int8 by the ranges of its values on images.

    Args:
      ops, threads: see `load_or_calibrate`.
      images: `[N, image_size, image_size, 3]` float32 in [-1, 1].
    """
    network = calibrate(ops(), images, lambda ops, images: _measure(
        ops, images, _calibration_dtype(), threads))
    # Graphs are reference cycles. The caller builds an engine next, whose memory would come on top.
    gc.collect()
    malloc_trim()
    return network


def export_ops(info: CheckpointInfo, values: dict[str, np.ndarray], engine: str,
               images: np.ndarray | None) -> tuple[Sequence[Op] | QuantizedNetwork, list[Op]]:
    """The ops of a network for exporters to the file format of another runtime.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`; consumed.
      engine: the engine of the runtime that the file is for.
      images: calibrate an int8 network on them; None exports float ops.

    Returns:
      The network up to 'features', and the float32 ops from there to `output_names`; none without
      a last layer.
    """
    head = []
    if has_last_layer(info):
        # The names in TF-Slim's graph, so that the file can be read again.
        head = head_ops(pop_head(info, values), 'normalize' if info.embedding_size is not None
                        else info.head.activation, head_node_names(info))

    def ops(pool_first: bool = False) -> list[Op]:
        return to_ops(*graph_with_placeholders(info, values, pool_first=pool_first), 'features')

    if images is None:
        return ops(), head
    return calibrate_network(lambda: ops(pool_before_conv(engine)), images,
                             available_cores()), head


def _calibration_dtype() -> tf.DType:
    """bfloat16 where it is fast: a range need not be exact."""
    return tf.bfloat16 if has_fast_bfloat16() else tf.float32


def _measure(ops: Sequence[Op], images: np.ndarray, dtype: tf.DType,
             threads: int) -> CalibrationStats:
    # Weights in bfloat16 need half the memory of float32, and a range need not be exact.
    graph = tf_graph_builder.calibration_graph(ops, images.shape[1], dtype,
                                               weights_dtype=tf.bfloat16)
    engine = SessionEngine(graph, threads, None, _MAX_MICRO_BATCH)
    try:
        return tf_graph_builder.parse_calibration_output(ops, engine.features(images))
    finally:
        engine.close()
