"""What this processor's best kernels reach: convolutions of one shape that fits the caches.

A stack of the 3×3 convolutions that an Inception network is mostly made of, by each engine at hand;
what the fastest reaches is the rate that a whole network is held against.
"""

from __future__ import annotations

from collections.abc import Callable
import statistics
import time

from inception_slim.inference.cpu_features import available_cores, has_bfloat16, has_vnni
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
# Sides of the grid and channels, as in the networks' blocks.
SHAPES = ((17, 192), (35, 96))
LAYERS = 12


def stack(grid: int, channels: int) -> list[Op]:
    """Convolutions on top of each other, of images two wider than the grid."""
    chance = np.random.RandomState(0)
    steps, value, depth = [], 'inputs', 3
    for layer in range(LAYERS + 1):
        scale = np.sqrt(2 / (9 * depth))
        weights = scale * chance.standard_normal((channels, depth, 3, 3)).astype('f')
        steps.append(Op('conv', [value], f'conv{layer}', weights.astype('f'),
                          np.zeros(channels, 'f'), (3, 3), 1,
                          (1, 1, 1, 1) if layer else (0, 0, 0, 0)))
        value, depth = f'relu{layer}', channels
        steps.append(Op('relu', [f'conv{layer}'], value))
    return [*steps, Op('avg_pool', [value], 'average', kernel=(grid, grid)),
            Op('flatten', ['average'], 'features')]


class Limit:
    """The stacks, by each precision and engine; they take turns with the contestants."""

    def __init__(self):
        self._calls: dict[tuple[str, str], tuple[Callable[[], object], float]] = {}
        self.durations: dict[tuple[str, str], list[float]] = {}
        for grid, channels in SHAPES:
            self._add(stack(grid, channels), grid, f'{grid}x{grid}x{channels}')

    def _add(self, steps: list[Op], grid: int, shape: str) -> None:
        images = np.random.RandomState(1).uniform(-1, 1, (IMAGES, grid + 2, grid + 2, 3))
        images = images.astype(np.float32)
        work = 2 * IMAGES * grid**2 * sum(
            step.weights.size for step in steps if step.weights is not None)
        kinds = ['float32'] + ['bfloat16'] * has_bfloat16()
        for kind in kinds:
            graph = float_graph(steps, grid + 2, tf.as_dtype(kind))
            self._keep(
                kind,
                f'TensorFlow {shape}',
                SessionEngine(graph, available_cores(), None, 4),
                images,
                work,
            )
        network = _in_bytes(steps, images)
        if has_onednn_int8():
            self._keep(
                'int8',
                f'TensorFlow {shape}',
                SessionEngine(quantized_graph(network), available_cores(), None, 4),
                images,
                work,
            )
        if is_installed('openvino'):
            from inception_slim.inference.engines.openvino_engine import OpenVINOEngine, build_model

            for kind in (*kinds, 'int8'):
                model = build_model(network if kind == 'int8' else steps, grid + 2)
                self._keep(
                    kind,
                    f'OpenVINO {shape}',
                    OpenVINOEngine(model, kind, available_cores(), None),
                    images,
                    work,
                )

    def _keep(self, kind: str, by: str, engine, images: np.ndarray, work: float) -> None:
        engine.features(images)
        self._calls[kind, by] = (lambda: engine.features(images)), work
        self.durations[kind, by] = []

    @property
    def names(self) -> list[tuple[str, str]]:
        return list(self._calls)

    def turn(self, name: tuple[str, str]) -> None:
        call, _ = self._calls[name]
        start = time.perf_counter()
        call()
        self.durations[name].append(time.perf_counter() - start)

    def rates(self) -> dict[str, tuple[float, str]]:
        """By precision: 10^9 operations per second of the fastest, by its median; and which."""
        found: dict[str, tuple[float, str]] = {}
        for (kind, by), durations in self.durations.items():
            if not durations:
                continue  # its turn is still to come
            rate = self._calls[kind, by][1] / statistics.median(durations) / 1e9
            found[kind] = max(found.get(kind, (0.0, '')), (rate, by))
        return found


def _in_bytes(steps: list[Op], images: np.ndarray) -> QuantizedNetwork:
    def measured(network, images):
        engine = SessionEngine(
            calibration_graph(network, images.shape[1], tf.float32), available_cores(), None, 4
        )
        try:
            return parse_calibration_output(network, engine.features(images))
        finally:
            engine.close()

    return calibrate(steps, images, has_vnni(), measured)
