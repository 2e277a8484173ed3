"""Quantization: ranges, scales per channel, and the correction of biases."""

import dataclasses

from inception_slim.inference import quantization, tf_graph_builder
from inception_slim.inference.ir import Op
import numpy as np
import pytest
import tensorflow.compat.v1 as tf


def conv(source, output, channels, depth, seed=0, **options):
    rng = np.random.RandomState(seed)
    return Op('conv', [source], output, rng.standard_normal((channels, depth, 3, 3)).astype(
        np.float32), rng.standard_normal(channels).astype(np.float32), (3, 3), **options)


@pytest.fixture
def network():
    """Two branches, their concatenation, and a convolution of it."""
    return [conv('inputs', 'stem', 6, 3), Op('relu', ['stem'], 'a'),
            conv('a', 'left', 4, 6, 1, padding=(1, 1, 1, 1)), Op('relu', ['left'], 'b'),
            Op('max_pool', ['a'], 'c', kernel=(3, 3), padding=(1, 1, 1, 1)),
            Op('concat', ['b', 'c'], 'd'),
            conv('d', 'last', 5, 10, 2), Op('relu', ['last'], 'e'),
            Op('avg_pool', ['e'], 'mean', kernel=(5, 5)), Op('flatten', ['mean'], 'features')]


IMAGES = np.random.RandomState(3).uniform(-1, 1, (5, 9, 9, 3)).astype(np.float32)


def run(network, images=IMAGES):
    is_frozen = isinstance(network, tf.Graph)
    with tf.Session(graph=network if is_frozen else network.graph) as session:
        if not is_frozen:
            network.initialize(session)
        return session.run('features:0', {'inputs:0': images})


def measure(ops, images):
    return tf_graph_builder.parse_calibration_output(ops, run(
        tf_graph_builder.calibration_graph(ops, images.shape[1], tf.float32), images))


def best_range(stats, name):
    """The range, at most the 99th percentile, with the lowest quantization error, in NumPy."""
    samples, end = stats.samples[name].astype(float), np.percentile(stats.largest[name].max(1), 99)
    errors = {}
    for part in np.linspace(0.5, 1, 11):
        unit = end * part / 255
        wrong = np.clip(np.round(samples / unit), 0, 255) * unit - samples
        errors[end * part] = np.mean((wrong**2).mean(1) / (samples**2).mean(1))
    return min(errors, key=errors.get)


class TestCalibrationStats:

    def test_statistics_of_first_convolution(self, network):
        """Compared with NumPy."""
        found = measure(network, IMAGES)
        patches = np.lib.stride_tricks.sliding_window_view(IMAGES, (3, 3), (1, 2))
        expected = np.maximum(np.einsum('nyxcij,ocij->nyxo', patches, network[0].weights)
                              + network[0].biases, 0)
        np.testing.assert_allclose(found.largest['a'], expected.max((1, 2)), rtol=1e-5)
        np.testing.assert_allclose(found.means['a'], expected.mean((0, 1, 2)), rtol=1e-4)
        np.testing.assert_allclose(found.means['inputs'], IMAGES.mean((0, 1, 2)), atol=1e-6)
        # All elements of so small a value are sampled equally often, before the first branch only.
        assert list(found.samples) == ['a']
        for sample, numbers in zip(found.samples['a'], expected.reshape(len(IMAGES), -1)):
            counts = np.diff([*np.searchsorted(np.sort(sample), np.unique(numbers) - 1e-5),
                              sample.size])
            assert abs(np.median(counts) - sample.size / numbers.size) < 1


def test_weights_are_not_in_the_graph():
    """A Session has several copies of what is in its graph."""
    op = conv('inputs', 'features', 1000, 3)
    built = tf_graph_builder.float_graph([op], 9, tf.float32)
    assert [value.nbytes for value in built.weights.values()] == [op.weights.nbytes]
    assert built.graph.as_graph_def().ByteSize() < op.weights.nbytes / 4


class TestEqualizeChannels:

    def test_same_outputs_and_statistics(self, network):
        network[0].weights[1] *= 30
        network[2].biases[:] = -100  # a value that is always zero
        equalized, stats = quantization.equalize_channels(network, measure(network, IMAGES))
        expected = run(tf_graph_builder.float_graph(network, 9, tf.float32))
        np.testing.assert_allclose(
            run(tf_graph_builder.float_graph(equalized, 9, tf.float32)), expected, rtol=1e-4,
            atol=1e-4 * expected.max())
        measured = measure(equalized, IMAGES)
        for scaled, expected in zip(dataclasses.astuple(stats), dataclasses.astuple(measured)):
            for name in expected:
                np.testing.assert_allclose(scaled[name], expected[name], rtol=1e-4, atol=1e-4)

    def test_channels_have_similar_ranges(self, network):
        network[0].weights[1] *= 30
        before = measure(network, IMAGES).largest
        _, after = quantization.equalize_channels(network, measure(network, IMAGES))
        spread = {stats_name: np.ptp(np.log(stats['a'].max(0)))
                  for stats_name, stats in (('before', before), ('after', after.largest))}
        assert spread['after'] == pytest.approx(spread['before'] / 2, rel=0.05)
        # The last value becomes features, which must not be scaled.
        np.testing.assert_array_equal(after.largest['e'], before['e'])


class TestQuantize:

    def test_ranges(self, network):
        stats = measure(network, IMAGES)
        found = quantization.quantize(network, stats, 9).ranges
        # After the first branch, half as much again is left for other images.
        left, last = (1.5 * np.percentile(stats.largest[name].max(1), 99) for name in 'be')
        # Concatenated values share the widest range.
        widest = max(best_range(stats, 'a'), left)
        assert [found[name] for name in 'abcd'] == [pytest.approx(widest)] * 4
        assert found['e'] == pytest.approx(last)
        assert set(found) == set('abcde') | {'mean'}

    def test_outliers_before_first_branch(self, network):
        """Rare large values are clipped there, and nowhere else."""
        rng = np.random.RandomState(4)
        stats = measure(network, IMAGES)
        for far, cut in ((2, True), (400, False)):
            numbers = np.sort(rng.uniform(0, 1, (5, 4000)).astype(np.float32))
            numbers[:, -far:] *= 2
            numbers[0] /= 50  # a low-contrast image
            largest = dict.fromkeys(stats.largest, np.float32([[0.04], [2], [2], [2], [2]]))
            largest['b'] = np.zeros((5, 1), np.float32)  # whose range is that of 'a'
            found = quantization.quantize(network, dataclasses.replace(
                stats, largest=largest, samples={'a': numbers}), 9).ranges
            assert (found['a'] < 1.99) == cut
            assert found['e'] == pytest.approx(3)

    def test_channels_and_layers_of_zeros(self, network):
        network[2].weights[1] = 0
        network[2].biases[:] = -100
        quantized_network = quantization.calibrate(network, IMAGES, measure)
        assert quantized_network.ranges['b'] > 0
        assert all(np.isfinite(op.scales).all() for op in quantized_network.ops
                   if op.scales is not None)

    def test_weights_and_biases(self, network):
        stats = measure(network, IMAGES)
        before, after = network[2], quantization.quantize(network, stats, 9).ops[2]
        assert after.weights.dtype == np.int8
        assert (abs(after.weights.astype(int)).max((1, 2, 3)) == 127).all()
        restored = after.weights * after.scales[:, None, None, None]
        assert (abs(restored - before.weights) <= after.scales[:, None, None, None] * 0.501).all()
        # At the mean of its inputs a channel is unchanged.
        means = stats.means[before.inputs[0]]
        np.testing.assert_allclose(restored.sum((2, 3)) @ means + after.biases,
                                   before.weights.sum((2, 3)) @ means + before.biases, rtol=1e-4)

    def test_first_convolution_stays_in_float32(self, network):
        quantized_network = quantization.calibrate(network, IMAGES, measure)
        assert [op.weights.dtype for op in quantized_network.ops if op.kind == 'conv'] == [
            np.float32, np.int8, np.int8]
        np.testing.assert_allclose(  # but for the scaling of its channels
            quantized_network.ops[0].weights / network[0].weights,
            np.broadcast_to((quantized_network.ops[0].biases / network[0].biases)
                            .reshape(-1, 1, 1, 1), network[0].weights.shape), rtol=1e-6)

    def test_outputs(self, network):
        expected = run(tf_graph_builder.float_graph(network, 9, tf.float32))
        quantized_network = quantization.calibrate(network, IMAGES, measure)
        found = run(tf_graph_builder.quantized_graph(quantized_network))
        assert abs(found - expected).max() < 0.02 * expected.max()
        # The fake-quantization graph rounds the same values in float32.
        rounded = run(tf_graph_builder.fake_quant_graph(quantized_network)).mean((1, 2))
        np.testing.assert_allclose(rounded, found, atol=0.005 * expected.max())
