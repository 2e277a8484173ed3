"""Grad-CAM, compared with finite differences and with the weights of the classifiers."""

import os

from helpers import GOLDEN, thin, write_golden_checkpoint
from inception_slim import checkpoint, inference
from inception_slim.evaluation.grad_cam import Heatmaps
from inception_slim.inference.graph import last_grid
from inception_slim.nets import registry
import numpy as np
import pytest

ELEVEN = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


class TestHeatmaps:

    def test_grad_cam_by_finite_differences(self):
        """The mean gradient of each channel by finite differences, the rest in NumPy."""
        images = np.random.RandomState(0).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)
        classes = np.array([3, 7])
        with Heatmaps(ELEVEN) as heatmaps:
            found = np.stack(list(heatmaps.compute(images, classes)))
            graph = heatmaps._session.graph
            block = last_grid(graph.get_tensor_by_name('features:0'))
            values = heatmaps._session.run(block, {heatmaps._inputs: images})
            count, height, width, channels = values.shape
            step = 1 / 64

            def logits(number, channel, change):
                shifted = np.repeat(values[number:number + 1], channels, axis=0)
                shifted[np.arange(channels), ..., np.arange(channels)] += change
                return heatmaps._session.run('logits:0', {
                    block: shifted, heatmaps._inputs: np.zeros((channels, 299, 299, 3))})

            expected = []
            for number, predicted_class in enumerate(classes):
                slopes = (logits(number, channels, step) - logits(number, channels, -step)) / (
                    2 * step)
                weights = slopes[:, predicted_class] / (height * width)
                expected.append(np.maximum(values[number] @ weights, 0))
        assert found.shape == (2, 8, 8) and found.max() > 0
        np.testing.assert_allclose(found, expected, atol=2e-3 * np.max(expected))

    @pytest.mark.slow
    def test_heatmaps_depend_on_class_and_moving_averages(self):
        image = np.random.RandomState(1).uniform(-1, 1, (1, 299, 299, 3)).astype(np.float32)
        averaged = os.path.join(GOLDEN, 'checkpoints', 'trained', 'model.ckpt-3')
        with Heatmaps(averaged) as plain, Heatmaps(averaged, use_ema=True) as other:
            zero, one = plain.compute(np.repeat(image, 2, axis=0), np.array([0, 1]))
            mean, = other.compute(image, np.array([0]))
        assert not np.allclose(zero, one) and not np.allclose(zero, mean)

    @pytest.mark.parametrize('name', ['inception_v1', 'inception_v2'])
    def test_last_grid(self, name, monkeypatch):
        if name == 'inception_v1':
            thin(monkeypatch)
        info, weights = checkpoint.read(
            os.path.join(GOLDEN, 'checkpoints', name, 'model.ckpt-157585'))
        graph = inference.constant_graph(info, inference.fold_batch_norm(weights))
        block = last_grid(graph.get_tensor_by_name('features:0'))
        assert 'Mixed_5c/' in block.name and block.shape.as_list()[1:3] == [7, 7]

    @pytest.mark.slow
    @pytest.mark.parametrize('name', registry.CLASSIFIERS)
    def test_networks_at_full_width(self, name, tmp_path):
        """If one layer follows the pooling, a channel's weight is that layer's over the grid size.

        Section 3.1 of the paper: Grad-CAM generalizes class activation maps.
        """
        path = str(tmp_path / 'model.ckpt')
        write_golden_checkpoint(name, path)
        _, weights = checkpoint.read(path)
        layer = weights[f'{registry.NETWORKS[name].classifier}/weights']
        side = registry.NETWORKS[name].image_size
        images = np.random.RandomState(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
        with Heatmaps(path) as heatmaps:
            found, = heatmaps.compute(images, np.array([5]))
            block = last_grid(heatmaps._session.graph.get_tensor_by_name('features:0'))
            values = heatmaps._session.run(block, {heatmaps._inputs: images})[0]
        expected = np.maximum(values @ layer.reshape(layer.shape[-2:])[:, 5], 0) / found.size
        assert found.max() > 0 and found.shape == ((7, 7) if side == 224 else (8, 8))
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
