"""Rounding to eight bits: ranges that fit, weights by their channel, no mean error."""

import dataclasses

from inception_slim.inference import quantization, tf_graph_builder
from inception_slim.inference.ir import Op
import numpy as np
import pytest
import tensorflow.compat.v1 as tf


def conv(source, output, channels, depth, seed=0, **more):
    chance = np.random.RandomState(seed)
    return Op('conv', [source], output, chance.standard_normal((channels, depth, 3, 3)).astype(
        np.float32), chance.standard_normal(channels).astype(np.float32), (3, 3), **more)


@pytest.fixture
def network():
    """Two branches that meet, and a convolution on both."""
    return [conv('inputs', 'stem', 6, 3), Op('relu', ['stem'], 'a'),
            conv('a', 'left', 4, 6, 1, padding=(1, 1, 1, 1)), Op('relu', ['left'], 'b'),
            Op('max_pool', ['a'], 'c', kernel=(3, 3), padding=(1, 1, 1, 1)),
            Op('concat', ['b', 'c'], 'd'),
            conv('d', 'last', 5, 10, 2), Op('relu', ['last'], 'e'),
            Op('avg_pool', ['e'], 'mean', kernel=(5, 5)), Op('flatten', ['mean'], 'features')]


IMAGES = np.random.RandomState(3).uniform(-1, 1, (5, 9, 9, 3)).astype(np.float32)


def run(graph, images=IMAGES):
    with tf.Session(graph=graph) as session:
        return session.run('features:0', {'inputs:0': images})


def measured(steps, images):
    return tf_graph_builder.parse_calibration_output(steps, run(
        tf_graph_builder.calibration_graph(steps, images.shape[1], tf.float32), images))


def least_error(seen, name):
    """The range up to the 99th percentile by which the rounded numbers are nearest, by NumPy."""
    samples, end = seen.samples[name].astype(float), np.percentile(seen.largest[name], 99)
    errors = {}
    for part in np.linspace(0.5, 1, 11):
        unit = end * part / 255
        wrong = np.clip(np.round(samples / unit), 0, 255) * unit - samples
        errors[end * part] = np.mean((wrong**2).mean(1) / (samples**2).mean(1))
    return min(errors, key=errors.get)


class TestStatistics:

    def test_what_images_do(self, network):
        """By NumPy, of the first convolution."""
        found = measured(network, IMAGES)
        patches = np.lib.stride_tricks.sliding_window_view(IMAGES, (3, 3), (1, 2))
        expected = np.maximum(np.einsum('nyxcij,ocij->nyxo', patches, network[0].weights)
                              + network[0].biases, 0)
        np.testing.assert_allclose(found.largest['a'], expected.max((1, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(found.means['a'], expected.mean((0, 1, 2)), rtol=1e-4)
        np.testing.assert_allclose(found.means['inputs'], IMAGES.mean((0, 1, 2)), atol=1e-6)
        # All of so few numbers are looked at, each as often as any other, and of the stem alone.
        assert list(found.samples) == ['a']
        for sample, numbers in zip(found.samples['a'], expected.reshape(len(IMAGES), -1)):
            counts = np.diff([*np.searchsorted(np.sort(sample), np.unique(numbers) - 1e-5),
                              sample.size])
            assert abs(np.median(counts) - sample.size / numbers.size) < 1


class TestShifting:

    def test_same_answers(self, network):
        shifted = quantization.shift_inputs(network)
        assert shifted[0].kind == 'shift'
        expected = run(tf_graph_builder.float_graph(network, 9, tf.float32))
        np.testing.assert_allclose(
            run(tf_graph_builder.float_graph(shifted, 9, tf.float32)), expected, rtol=1e-4
        )

    def test_not_where_zeros_are_put_around(self, network):
        network[0] = network[0]._replace(padding=(1, 1, 1, 1))
        assert quantization.shift_inputs(network) == network


class TestRounding:

    def test_ranges(self, network):
        steps = quantization.shift_inputs(network)
        seen = measured(steps, IMAGES)
        found = quantization.quantize(steps, seen, 9, True).ranges
        # What meets in a concatenation has one range, that of the widest.
        widest = max(least_error(seen, 'a'), np.percentile(seen.largest['b'], 99))
        assert [found[name] for name in 'abcd'] == [pytest.approx(widest)] * 4
        assert found['e'] == pytest.approx(np.percentile(seen.largest['e'], 99))
        assert found['shifted_inputs'] == 2

    def test_range_of_the_stem(self, network):
        """Numbers far beyond all others are cut off there, and in the stem alone."""
        chance = np.random.RandomState(4)
        seen = measured(quantization.shift_inputs(network), IMAGES)
        for far, cut in ((2, True), (400, False)):
            numbers = np.sort(chance.uniform(0, 1, (5, 4000)).astype(np.float32))
            numbers[:, -far:] *= 2
            numbers[0] /= 50  # a pale image
            largest = dict.fromkeys(seen.largest, np.float32([0.04, 2, 2, 2, 2]))
            largest['b'] = np.zeros(5, np.float32)  # whose range is that of 'a'
            found = quantization.quantize(quantization.shift_inputs(network), dataclasses.replace(
                seen, largest=largest, samples={'a': numbers}), 9, True).ranges
            assert (found['a'] < 1.99) == cut
            assert found['e'] == pytest.approx(2)

    def test_dead_channels_and_layers(self, network):
        network[2].weights[1] = 0
        network[2].biases[:] = -100
        answer = quantization.calibrate(network, IMAGES, True, measured)
        assert answer.ranges['b'] > 0
        assert all(np.isfinite(step.scales).all() for step in answer.ops if step.scales is not None)

    def test_weights_and_biases(self, network):
        steps = quantization.shift_inputs(network)
        seen = measured(steps, IMAGES)
        before, after = steps[3], quantization.quantize(steps, seen, 9, True).ops[3]
        assert after.weights.dtype == np.int8
        assert (abs(after.weights.astype(int)).max((1, 2, 3)) == 127).all()
        restored = after.weights * after.scales[:, None, None, None]
        assert (abs(restored - before.weights) <= after.scales[:, None, None, None] * 0.501).all()
        # At the mean of its inputs a channel's answer is what it was.
        means = seen.means[before.inputs[0]]
        np.testing.assert_allclose(restored.sum((2, 3)) @ means + after.biases,
                                   before.weights.sum((2, 3)) @ means + before.biases, rtol=1e-4)

    @pytest.mark.parametrize('fits, largest', [(True, 127), (False, 63)])
    def test_images_where_two_products_must_fit_in_sixteen_bits(self, network, fits, largest):
        answer = quantization.calibrate(network, IMAGES, fits, measured)
        whole = [step for step in answer.ops if step.scales is not None]
        assert abs(whole[0].weights.astype(int)).max() == largest
        assert abs(whole[1].weights.astype(int)).max() == 127

    def test_answers(self, network):
        expected = run(tf_graph_builder.float_graph(network, 9, tf.float32))
        answer = quantization.calibrate(network, IMAGES, True, measured)
        found = run(tf_graph_builder.quantized_graph(answer))
        assert abs(found - expected).max() < 0.02 * expected.max()
        # A converter's graph rounds the same numbers in float32.
        rounded = run(tf_graph_builder.fake_quant_graph(answer), IMAGES + 1).mean((1, 2))
        np.testing.assert_allclose(rounded, found, atol=0.005 * expected.max())
