"""Rounding to bfloat16: which numbers, the errors of windows, exact biases, and outputs."""

import os

from helpers import GOLDEN
from inception_slim import checkpoint, inference
from inception_slim.inference import tf_graph_builder
from inception_slim.inference.bfloat16_rounding import round_nearest, round_network, round_sums
from inception_slim.inference.channel_scaling import channel_factors, scale_channels
from inception_slim.inference.graph import (
    SPATIAL_VALUE,
    graph_with_placeholders,
    pop_head,
    relu_means,
)
from inception_slim.inference.ir import INPUTS, Op, to_ops
import ml_dtypes
import numpy as np
import pytest
from sklearn.datasets import load_sample_image
import tensorflow.compat.v1 as tf

SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2')


def to_bfloat16(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def filters(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def ops():
    info, weights = checkpoint.read(SLIM_V2)
    means = relu_means(weights)
    values = inference.fold_batch_norm(weights)
    pop_head(info, values)
    return to_ops(*graph_with_placeholders(info, values), 'features', means)


def features(ops, images):
    graph = tf_graph_builder.float_graph(ops, images.shape[1], tf.float32)
    with tf.Session(graph=graph.graph) as session:
        graph.initialize(session)
        return session.run('features:0', {'inputs:0': images})


def test_nearest():
    """Compared with ml_dtypes, also half-way between two numbers, and next to zero."""
    bits = np.random.RandomState(0).randint(0, 2**32, 100_000, np.uint32)
    bits[:1000] = bits[:1000] & np.uint32(0xFFFF0000) | np.uint32(0x8000)
    values = bits.view(np.float32)
    values = values[abs(values) < 3e38]
    np.testing.assert_array_equal(round_nearest(values), to_bfloat16(values))
    transposed = filters(6, 5, 3, 2).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(round_nearest(transposed), to_bfloat16(transposed))


def neighbours(values):
    """The two bfloat16 numbers around each value."""
    toward_zero = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return toward_zero, (toward_zero.view(np.uint32) + np.uint32(0x10000)).view(np.float32)


# More columns than are rounded at once.
@pytest.mark.parametrize(('rows', 'columns', 'passes', 'widest'), [
    (9, 12_000, 2, 1), (288, 400, 8, 2)])
def test_sums(rows, columns, passes, widest):
    values = filters(rows, columns)
    factors = np.random.RandomState(1).uniform(2 - widest, widest, rows).astype(np.float32)
    rounded, nearest = round_sums(values, factors, passes), to_bfloat16(values)
    lower, upper = neighbours(values)
    assert ((rounded == lower) | (rounded == upper)).all()

    def errors(other):
        return other.astype(np.float64) - values

    sums, sums_of_nearest = (np.square(factors @ errors(other)).mean()
                             for other in (rounded, nearest))
    assert sums < 0.06 * sums_of_nearest
    assert np.square(errors(rounded)).mean() < 1.5 * np.square(errors(nearest)).mean()


def test_numbers_of_bfloat16_stay():
    values = to_bfloat16(filters(25, 40))
    values[0] = 0
    factors = np.ones(25, np.float32)
    np.testing.assert_array_equal(round_sums(values, factors, 2), values)
    values[3, 7] += 2**-12
    changed = round_sums(values, factors, 2) != values
    assert np.argwhere(changed).tolist() == [[3, 7]]


def test_means_after_relu():
    """Compared with the means of random numbers."""
    rng = np.random.RandomState(0)
    beta, gamma = rng.uniform(-2, 2, (2, 12)).astype(np.float32)
    gamma[0] = 0
    numbers = rng.standard_normal(400_000)[:, np.newaxis]
    found = relu_means({'a/BatchNorm/beta': beta, 'a/BatchNorm/gamma': gamma, 'a/weights': gamma,
                        'b/c/BatchNorm/beta': beta})
    assert set(found) == {'a', 'b/c'}
    np.testing.assert_allclose(found['a'], np.maximum(numbers * gamma + beta, 0).mean(0), atol=0.01)
    np.testing.assert_allclose(found['b/c'], np.maximum(numbers + beta, 0).mean(0), atol=0.01)


def test_means_of_layers(ops):
    """Batch norm's means reach the ops, scaled as the channels are, and so the 1×1 convolutions."""
    convs = {op.output.removeprefix('InceptionV3/InceptionV3/'): op for op in ops
             if op.kind == 'conv'}
    assert len(convs) == 94 and all(len(op.means) == len(op.biases) for op in convs.values())
    means = relu_means(checkpoint.read(SLIM_V2)[1])
    np.testing.assert_array_equal(convs['Conv2d_4a_3x3/Conv2D'].means, means['Conv2d_4a_3x3'])
    factors = channel_factors(ops, lambda conv, _: np.full(len(conv.weights), 2, np.float32))
    scaled = scale_channels(ops, factors)
    np.testing.assert_array_equal(scaled[0].means, means['Conv2d_1a_3x3'] / 2)

    def exact_biases(conv, relu):
        rounded = to_bfloat16(conv.biases)
        return np.divide(conv.biases, rounded, out=np.ones_like(rounded), where=rounded != 0)

    # A layer after the max pool of another.
    scaled = {op.output: op for op in scale_channels(ops, channel_factors(ops, exact_biases))}
    scope = 'InceptionV3/InceptionV3/'
    layer = f'{scope}Mixed_5b/Branch_1/Conv2d_0a_1x1/Conv2D'
    weights = scaled[layer].weights
    rounded = next(op.weights for op in round_network(ops) if op.output == layer)

    def weighted_error(values):
        errors = (values - weights)[:, :, 0, 0].astype(np.float64)
        return np.square(errors @ scaled[f'{scope}Conv2d_4a_3x3/Conv2D'].means).mean()

    assert weighted_error(rounded) < weighted_error(to_bfloat16(weights)) / 10


def test_biases(ops):
    """They are bfloat16 numbers, but for the six before the features, which are not scaled."""
    others = [op.output for op in round_network(ops) if op.kind == 'conv'
              and not np.allclose(to_bfloat16(op.biases), op.biases, rtol=2e-7, atol=0)]
    assert len(others) == 6 and all('Mixed_7c' in name for name in others)


def test_values_that_must_stay(ops):
    def choose(conv, relu):
        return np.full(len(conv.weights), 1.5, np.float32)

    assert SPATIAL_VALUE in channel_factors(ops, choose)
    factors = channel_factors(ops, choose, (SPATIAL_VALUE,))
    assert SPATIAL_VALUE not in factors and len(factors) > 100
    concat = next(op for op in ops if op.output == SPATIAL_VALUE)
    assert not set(concat.inputs) & set(factors)


def test_pooled_branch_is_scaled():
    """conv - avg_pool - relu, as in float networks; not if the convolution has other uses."""
    def network(*others):
        return [Op('conv', ['inputs'], 'conv', filters(4, 3, 1, 1), filters(4)),
                Op('avg_pool', ['conv'], 'pool', kernel=(3, 3), padding=(1, 1, 1, 1)),
                Op('relu', ['pool'], 'relu'), *others,
                Op('conv', ['relu'], 'last', filters(2, 4, 1, 1), filters(2))]

    def choose(conv, relu):
        return filters(4)

    assert set(channel_factors(network(), choose)) == {'conv', 'pool', 'relu'}
    other = Op('relu', ['conv'], 'other')
    assert not channel_factors(network(other), choose)


@pytest.mark.parametrize('seed', range(3))
def test_values_are_closer_to_float32(seed):
    """Three layers on parts of a photograph; in float32, so that only weights and biases differ."""
    photograph = load_sample_image('china.jpg') / np.float32(127.5) - 1
    images = np.stack([photograph[y:y + 65, x:x + 65] for y in (40, 200) for x in (50, 250, 450)])
    network = [op for index, depth in enumerate((3, 32, 32)) for op in (
        Op('conv', [f'relu_{index}' if index else INPUTS], f'conv_{index}',
           filters(32, depth, 3, 3, seed=3 * seed + index) / np.float32(3 * depth**0.5),
           filters(32, seed=100 + 3 * seed + index) / 4, (3, 3)),
        Op('relu', [f'conv_{index}'], f'relu_{index + 1}'))]
    network.append(Op('flatten', ['relu_3'], 'features'))
    expected = features(network, images)

    def error(changed):
        return np.square(features(changed, images) - expected).mean()

    nearest = [op._replace(weights=to_bfloat16(op.weights), biases=to_bfloat16(op.biases))
               if op.kind == 'conv' else op for op in network]
    assert error(round_network(network)) < error(nearest) / 5
    scaled = scale_channels(network, channel_factors(network, lambda conv, _: 2 ** conv.biases))
    np.testing.assert_allclose(features(scaled, images), expected, atol=1e-5 * expected.max())
