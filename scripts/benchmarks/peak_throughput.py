"""The peak throughput of this processor: convolutions of one shape that fit into the caches.

A stack of 3×3 convolutions, of which Inception networks mostly consist, is run by each installed
engine. The rate of the fastest is what a whole network is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import statistics
import time

from inception_slim._threads import available_cores
from inception_slim.inference.cpu_features import has_fast_bfloat16
from inception_slim.inference.engines.selection import is_installed
from inception_slim.inference.engines.session import SessionEngine
from inception_slim.inference.ir import Op
from inception_slim.inference.quantization import QuantizedNetwork, calibrate
from inception_slim.inference.tf_graph_builder import (
    calibration_graph,
    float_graph,
    has_onednn_int8,
    parse_calibration_output,
    quantized_graph,
)
import numpy as np
import tensorflow.compat.v1 as tf

IMAGES = 8
# Grid size and channels, as in the blocks of the networks.
SHAPES = ((17, 192), (35, 96))
LAYERS = 12


def build_stack(grid: int, channels: int) -> list[Op]:
    """A sequence of convolutions, for images that are two pixels larger than the grid."""
    rng = np.random.RandomState(0)
    ops, value, depth = [], 'inputs', 3
    for layer in range(LAYERS + 1):
        scale = np.sqrt(2 / (9 * depth))
        weights = scale * rng.standard_normal((channels, depth, 3, 3)).astype('f')
        ops.append(Op('conv', [value], f'conv{layer}', weights.astype('f'),
                      np.zeros(channels, 'f'), (3, 3), 1,
                      (1, 1, 1, 1) if layer else (0, 0, 0, 0)))
        value, depth = f'relu{layer}', channels
        ops.append(Op('relu', [f'conv{layer}'], value))
    return [*ops, Op('avg_pool', [value], 'average', kernel=(grid, grid)),
            Op('flatten', ['average'], 'features')]


class PeakThroughput:
    """The stacks in each precision by each engine, timed interleaved with the contestants.

    Attributes:
      durations: seconds of each run, by precision and engine.
    """

    def __init__(self):
        self._calls: dict[tuple[str, str], tuple[Callable[[], object], float]] = {}
        self.durations: dict[tuple[str, str], list[float]] = {}
        for grid, channels in SHAPES:
            self._add(build_stack(grid, channels), grid, f'{grid}x{grid}x{channels}')

    def _add(self, ops: list[Op], grid: int, shape: str) -> None:
        images = np.random.RandomState(1).uniform(-1, 1, (IMAGES, grid + 2, grid + 2, 3))
        images = images.astype(np.float32)
        operations = 2 * IMAGES * grid**2 * sum(
            op.weights.size for op in ops if op.weights is not None)
        kinds = ['float32'] + ['bfloat16'] * has_fast_bfloat16()
        for kind in kinds:
            graph = float_graph(ops, grid + 2, tf.as_dtype(kind))
            self._register(kind, f'TensorFlow {shape}',
                           SessionEngine(graph, available_cores(), None, 4), images, operations)
        network = _quantize(ops, images)
        if has_onednn_int8():
            self._register(
                'int8',
                f'TensorFlow {shape}',
                SessionEngine(quantized_graph(network), available_cores(), None, 4),
                images,
                operations,
            )
        if is_installed('openvino'):
            from inception_slim.inference.engines.openvino_engine import OpenVINOEngine, build_model

            for kind in (*kinds, 'int8'):
                build = functools.partial(
                    build_model, network if kind == 'int8' else ops, grid + 2)
                engine = OpenVINOEngine(build, grid + 2, kind, available_cores(), None)
                self._register(kind, f'OpenVINO {shape}', engine, images, operations)

    def _register(self, kind: str, by: str, engine, images: np.ndarray, operations: float) -> None:
        engine.features(images)
        self._calls[kind, by] = (lambda: engine.features(images)), operations
        self.durations[kind, by] = []

    @property
    def kernels(self) -> list[tuple[str, str]]:
        return list(self._calls)

    def run(self, kernel: tuple[str, str]) -> None:
        call, _ = self._calls[kernel]
        start = time.perf_counter()
        call()
        self.durations[kernel].append(time.perf_counter() - start)

    def rates(self) -> dict[str, tuple[float, str]]:
        """By precision: 10^9 operations per second of the fastest (median), and its name."""
        rates: dict[str, tuple[float, str]] = {}
        for (kind, by), durations in self.durations.items():
            if not durations:
                continue  # not run yet
            rate = self._calls[kind, by][1] / statistics.median(durations) / 1e9
            rates[kind] = max(rates.get(kind, (0.0, '')), (rate, by))
        return rates


def _quantize(ops: list[Op], images: np.ndarray) -> QuantizedNetwork:
    def measure(network, images):
        engine = SessionEngine(
            calibration_graph(network, images.shape[1], tf.float32), available_cores(), None, 4
        )
        try:
            return parse_calibration_output(network, engine.features(images))
        finally:
            engine.close()

    return calibrate(ops, images, measure)
