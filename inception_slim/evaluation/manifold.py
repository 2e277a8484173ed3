"""Precision and recall of generated images, and density and coverage, from their features.

Each set of features stands for a region: the union of balls around its features, each with the
distance to the feature's k-th nearest neighbour in the set as radius.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import functools

from inception_slim._threads import available_cores
from inception_slim.errors import DatasetError
from inception_slim.evaluation.results import Result
import numpy as np
import tensorflow.compat.v1 as tf

DISTANCES = ('float32', 'float16')
_BLOCK = 10_000  # features of a block of distances, in which float16 is used if all are finite
_ROWS = 1_024  # features whose distances are in memory at a time
_TILE = 512  # features of a tile in float16: its sums stay in the caches
_CHANNELS = 320  # that Eigen sums before it adds them to the result, on several cores
_LARGEST_FLOAT16 = 65_520  # what rounds to infinity in float16


@dataclass(frozen=True, repr=False)
class PrecisionRecall(Result):
    """The result of `precision_recall`.

    Attributes:
      precision: the share of samples inside the region of the reference, in [0, 1].
      recall: the share of the reference inside the region of the samples, in [0, 1].
    """

    precision: float
    recall: float


@dataclass(frozen=True, repr=False)
class DensityCoverage(Result):
    """The result of `density_coverage`.

    Attributes:
      density: the mean number of reference balls that a sample is in, divided by k; may exceed 1.
      coverage: the share of reference balls that hold a sample, in [0, 1].
    """

    density: float
    coverage: float


def precision_recall(reference: np.ndarray, samples: np.ndarray, k: int = 3,
                     distances: str = 'float32') -> PrecisionRecall:
    """Computes precision and recall.

    Args:
      reference: `[N, channels]` features of real images.
      samples: `[M, channels]` features of generated images.
      k: the neighbour that gives the radius.
      distances: 'float32', or 'float16' as the evaluator of ADM computes them on a processor:
        rounded after each addition, and in float32 where they overflow. float16 takes tens of
        times as long.

    Raises:
      DatasetError: a set has at most k features, or they have different numbers of channels.

    Source: https://arxiv.org/abs/1904.06991, section 2.
    """
    _check(reference, samples, k)
    reference_radii = squared_radii(reference, k, distances)
    sample_radii = squared_radii(samples, k, distances)
    inside_reference = np.zeros(len(samples), bool)
    inside_samples = np.zeros(len(reference), bool)
    for rows, columns, squares in _blocks(reference, samples, distances):
        inside_reference[columns] |= (squares <= reference_radii[rows, np.newaxis]).any(axis=0)
        inside_samples[rows] |= (squares <= sample_radii[columns]).any(axis=1)
    return PrecisionRecall(float(inside_reference.mean()), float(inside_samples.mean()))


def density_coverage(reference: np.ndarray, samples: np.ndarray, k: int = 5) -> DensityCoverage:
    """Computes density and coverage.

    Args:
      reference: `[N, channels]` features of real images.
      samples: `[M, channels]` features of generated images.
      k: the neighbour that gives the radius.

    Raises:
      DatasetError: a set has at most k features, or they have different numbers of channels.

    Source: https://arxiv.org/abs/2002.09797, section 3.
    """
    _check(reference, samples, k)
    radii = squared_radii(reference, k)
    inside, nearest = 0, np.full(len(reference), np.inf, np.float32)
    for rows, _, squares in _blocks(reference, samples, 'float32'):
        inside += int((squares < radii[rows, np.newaxis]).sum())
        nearest[rows] = np.minimum(nearest[rows], squares.min(axis=1))
    return DensityCoverage(inside / (k * len(samples)), float((nearest < radii).mean()))


def squared_radii(features: np.ndarray, k: int, distances: str = 'float32') -> np.ndarray:
    """Computes the squared distance of each feature to its k-th nearest neighbour, float32.

    Args:
      features: `[N, channels]`, N above k.
      k: the neighbour, from 1.
      distances: see `precision_recall`.
    """
    radii = np.empty(len(features), np.float32)
    nearest: dict[int, list[np.ndarray]] = {}
    for rows, columns, squares in _blocks(features, features, distances):
        # The feature itself is among its neighbours, at the distance 0.
        part = np.partition(squares, min(k, squares.shape[1] - 1), axis=1)[:, :k + 1]
        nearest.setdefault(rows.start, []).append(part)
        if columns.stop == len(features):
            candidates = np.concatenate(nearest.pop(rows.start), axis=1)
            radii[rows] = np.partition(candidates, k, axis=1)[:, k]
    return radii


def _check(reference: np.ndarray, samples: np.ndarray, k: int) -> None:
    if reference.shape[1:] != samples.shape[1:]:
        raise DatasetError(f'The reference has {reference.shape[1]:,} features an image, the '
                           f'samples {samples.shape[1]:,}; compute both with one checkpoint.')
    fewest = min(len(reference), len(samples))
    if fewest <= k:
        raise DatasetError(f'There are {fewest:,} images in a set, but the distance to neighbour '
                           f'{k} needs at least {k + 1:,}; give more images.')


_Block = tuple[slice, slice, np.ndarray]


def _blocks(first: np.ndarray, second: np.ndarray, distances: str) -> Iterator[_Block]:
    """The squared distances of all pairs, in blocks: rows of `first`, columns of `second`."""
    for row in range(0, len(first), _BLOCK):
        rows = slice(row, min(row + _BLOCK, len(first)))
        product = _Float16Product(first[rows]) if distances == 'float16' else None
        for column in range(0, len(second), _BLOCK):
            columns = slice(column, min(column + _BLOCK, len(second)))
            squares = product.squared_distances(second[columns]) if product else None
            if squares is not None:
                yield rows, columns, squares
                continue
            for start in range(rows.start, rows.stop, _ROWS):
                part = slice(start, min(start + _ROWS, rows.stop))
                yield part, columns, _squared_distances(first[part], second[columns])


def _squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = first.astype(np.float32), second.astype(np.float32)
    products = first @ second.T
    products *= -2
    products += np.square(first).sum(axis=1)[:, np.newaxis]
    products += np.square(second).sum(axis=1)
    return np.maximum(products, 0, out=products)


class _Float16Product:
    """Squared distances in float16, as TensorFlow 1.15.5 computes them on a processor.

    It multiplies matrices in float16 by Eigen, which rounds each product and each sum, in the
    order of the channels, 320 of them at a time on several cores. Norms are summed in eight lanes,
    and the lanes in float32. (Eigen computes up to fifteen rows and columns at the edges of the
    matrix in another order, and a single core takes more channels at a time.)
    """

    def __init__(self, first: np.ndarray):
        self._first = first.astype(np.float16)

    def squared_distances(self, second: np.ndarray) -> np.ndarray | None:
        """The distances `[len(first), len(second)]` float32; None if one is not finite."""
        second = second.astype(np.float16)
        with np.errstate(over='ignore', invalid='ignore'):
            norms = [_float16_norms(features) for features in (self._first, second)]
            if not all(np.isfinite(norm).all() for norm in norms):
                return None
            products = _float16_products(self._first, second)
            squares = norms[0][:, np.newaxis] - np.float16(2) * products + norms[1]
        if not np.isfinite(squares).all():
            return None
        return np.maximum(squares, np.float16(0)).astype(np.float32)


def _float16_norms(features: np.ndarray) -> np.ndarray:
    squares = features * features
    whole = squares.shape[1] // 8 * 8
    lanes = np.zeros((len(squares), 8), np.float16)
    for start in range(0, whole, 8):
        lanes = lanes + squares[:, start:start + 8]
    rest = np.zeros(len(squares), np.float16)
    for column in range(whole, squares.shape[1]):
        rest = rest + squares[:, column]
    return rest + lanes.astype(np.float32).sum(axis=1).astype(np.float16)


def _float16_products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`first @ second.T` with each product and each sum rounded to float16."""
    result = np.zeros((len(first), len(second)), np.float16)
    is_symmetric = np.array_equal(first, second)
    tiles = [(row, column) for row in range(0, len(first), _TILE)
             for column in range(row if is_symmetric else 0, len(second), _TILE)]
    with ThreadPoolExecutor(available_cores()) as workers:
        for start in range(0, first.shape[1], _CHANNELS):
            channels = slice(start, min(start + _CHANNELS, first.shape[1]))
            multiply = _compile_product(channels.stop - channels.start)
            part = np.zeros_like(result)

            def fill(tile: tuple[int, int], channels=channels, multiply=multiply,
                     part=part) -> None:
                row, column = tile
                target = part[row:row + _TILE, column:column + _TILE]
                product = multiply(_tile(first[row:row + _TILE, channels]),
                                   _tile(second[column:column + _TILE, channels]))
                target[...] = product[:target.shape[0], :target.shape[1]]
                if is_symmetric:
                    part[column:column + _TILE, row:row + _TILE] = target.T

            list(workers.map(fill, tiles))
            result = result + part
    return result


def _tile(features: np.ndarray) -> np.ndarray:
    """`[channels, _TILE]` float32, padded with zeros."""
    tile = np.zeros((features.shape[1], _TILE), np.float32)
    tile[:, :len(features)] = features.T
    return tile


@functools.lru_cache(maxsize=4)
def _compile_product(channels: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compiles the product of two tiles for a number of channels."""

    @tf.function(autograph=False, jit_compile=True)
    def product(first, second):
        def add(channel, total):
            products = _round_to_float16(first[channel][:, None] * second[channel])
            return channel + 1, _round_to_float16(total + products)

        return tf.while_loop(lambda channel, total: channel < channels, add,
                             [0, tf.zeros((_TILE, _TILE))])[1]

    with tf.Graph().as_default() as graph:
        tiles = [tf.placeholder(tf.float32, (channels, _TILE)) for _ in range(2)]
        result = product(*tiles)
    session = tf.Session(graph=graph)
    return session.make_callable(result, tiles)


def _round_to_float16(values: tf.Tensor) -> tf.Tensor:
    """Rounds float32 to the nearest float16, halves to even; XLA drops casts there and back."""
    bits = tf.bitcast(values, tf.int32)
    odd = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 13), 1)
    rounded = tf.bitcast(tf.bitwise.bitwise_and(bits + 0xFFF + odd, ~0x1FFF), tf.float32)
    size = tf.abs(values)
    small = tf.round(values * 2.0**24) * 2.0**-24  # the smallest float16 are evenly spaced
    rounded = tf.where(size < 2.0**-14, small, rounded)
    return tf.where(size >= _LARGEST_FLOAT16, tf.sign(values) * np.float32(np.inf), rounded)
