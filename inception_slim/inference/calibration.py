"""A network in eight bits: from the cache, or calibrated now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import gc
import os

from inception_slim.checkpoint import CheckpointInfo
from inception_slim.inference import calibration_cache, tf_graph_builder
from inception_slim.inference.cpu_features import has_bfloat16, has_vnni
from inception_slim.inference.engines.session import SessionEngine, malloc_trim
from inception_slim.inference.graph import graph_with_placeholders
from inception_slim.inference.ir import Op, to_ops
from inception_slim.inference.quantization import CalibrationStats, QuantizedNetwork, calibrate
import numpy as np
import tensorflow.compat.v1 as tf

_LARGEST_PIECE = 2  # what is looked at is all there at once, and takes memory


def load_or_calibrate(info: CheckpointInfo, values: dict[str, np.ndarray],
                       images: Callable[[], np.ndarray], fixed: bool,
                       cache: str | os.PathLike | None, threads: int,
                       pool_first: bool) -> QuantizedNetwork:
    """The network in eight bits.

    Args:
      info: from `checkpoint.read`.
      values: from `fold_batch_norm`, without the classifier's; used up.
      images: gives the calibration images, checked.
      fixed: whether what is kept must have been calibrated on the same images.
      cache: the folder of what is kept, if there is to be one.
      threads: to calibrate on.
      pool_first: see `calibrated_now`.
    """
    if cache is None:
        return calibrate_network(info, values, images(), threads, has_vnni(), pool_first)
    key = calibration_cache.cache_key(values, network=info.network, pooling=info.pooling, format=2,
                      tensorflow=tf.__version__, calibrated_in=_dtype().name, vnni=has_vnni(),
                      pool_first=pool_first)
    path = calibration_cache.cache_path(cache, info.network, key)
    found = calibration_cache.load(
        path, key, calibration_cache.images_digest(images()) if fixed else None
    )
    if found is None:
        images_found = images()
        found = calibrate_network(info, values, images_found, threads, has_vnni(), pool_first)
        calibration_cache.save(path, key, calibration_cache.images_digest(images_found), found)
    return found


def calibrate_network(info: CheckpointInfo, values: dict[str, np.ndarray], images: np.ndarray,
                   threads: int, every_product_fits: bool, pool_first: bool) -> QuantizedNetwork:
    """The network in eight bits, for a processor that adds products in 32 bits, or for any.

    Args:
      info, values, images, threads: see `calibrated_network`.
      every_product_fits: whether the processor adds in 32 bits.
      pool_first: averages bytes before the 1×1 convolution of a pooled branch; else its floats
        after it, of which there are fewer, for runtimes that give floats where they are wanted.
    """
    graph, weights = graph_with_placeholders(info, values, pool_first=pool_first)
    found = calibrate(
        list(to_ops(graph, weights, 'features')), images, every_product_fits,
        lambda network, images: _measured(network, images, _dtype(), threads))
    del graph, weights
    # Graphs hold on to themselves, and the one that was measured to all weights: an engine is
    # built next, which would have its memory beside theirs.
    gc.collect()
    malloc_trim()
    return found


def _dtype() -> tf.DType:
    """What to calibrate in: in cheap numbers where there are such, since a range need not be exact.
    """
    return tf.bfloat16 if has_bfloat16() else tf.float32


def _measured(network: Sequence[Op], images: np.ndarray, dtype: tf.DType,
              threads: int) -> CalibrationStats:
    # A range need not be exact, and these weights need half of float32's memory.
    graph = tf_graph_builder.calibration_graph(network, images.shape[1], dtype, kept_in=tf.bfloat16)
    engine = SessionEngine(graph, threads, None, _LARGEST_PIECE)
    try:
        return tf_graph_builder.parse_calibration_output(network, engine.features(images))
    finally:
        engine.close()
