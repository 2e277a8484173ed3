"""The protocols compared with torch-fidelity, pytorch-fid, clean-fid and TensorFlow 1.15.5.

The weights of December 2015 cannot be shipped, so all programs get the same random weights. This
tests names, arithmetic and resizing; it says nothing about image quality.
"""

import json
import os
import subprocess
import sys

from helpers import full_graph_of_2015
from inception_slim import checkpoint, evaluation
from inception_slim.evaluation.generative_metrics import (
    Statistics,
    frechet_distance,
    inception_score_of_logits,
)
from inception_slim.evaluation.manifold import precision_recall
import numpy as np
from PIL import Image
import pytest
from sklearn.datasets import load_digits, load_sample_images

from scripts import tf1_env

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHMARKS = os.path.join(HERE, *2 * (os.pardir,), 'scripts', 'benchmarks')
pytestmark = pytest.mark.acceptance
IMAGES = int(os.environ.get('METRIC_IMAGES', 100))  # in each folder
# Relative; of precision and recall, one image.
TOLERANCES = {'fid': 1e-3, 'kid': 1e-3, 'inception_score': 1e-4,
              'precision': 1.01 / IMAGES, 'recall': 1.01 / IMAGES}


def write_images(folder: str, count: int) -> list[str]:
    """Writes two folders of random crops of photographs, the second with digits on them."""
    rng = np.random.RandomState(0)
    photographs, digits = load_sample_images().images, load_digits().images
    folders = []
    for name in ('photographs', 'digits'):
        folders.append(os.path.join(folder, name))
        os.mkdir(folders[-1])
        for number in range(count):
            photograph = photographs[number % len(photographs)]
            height, width = rng.randint(60, 420, 2)
            top = rng.randint(0, photograph.shape[0] - height)
            left = rng.randint(0, photograph.shape[1] - width)
            crop = photograph[top:top + height, left:left + width].copy()
            if name == 'digits':
                digit = np.kron(digits[number % len(digits)] * 15, np.ones((6, 6)))
                crop[:48, :48] = digit[..., np.newaxis]
            Image.fromarray(crop).save(os.path.join(folders[-1], f'{number:04d}.png'))
    return folders


def compute_metrics(weights: str, prefix: str, protocol: str, folders: list[str]) -> dict:
    checkpoint.convert(weights, prefix, input_range=(
        '2015' if protocol == 'torch-fidelity' else 'inception'))
    return evaluation.compute_metrics(prefix, *folders, protocol=protocol, kid_subset_size=(
        IMAGES // 2 if protocol == 'torch-fidelity' else IMAGES)).to_dict()


def test_agrees_with_other_programs(tmp_path):
    folders = write_images(str(tmp_path), IMAGES)
    weights = str(tmp_path / 'random.pth')
    # In a process of its own: torchvision cannot be loaded beside TensorFlow.
    worker = os.path.join(HERE, 'metrics_worker.py')
    process = subprocess.run([sys.executable, worker, weights, str(IMAGES // 2), *folders],
                             stdout=subprocess.PIPE, check=True,
                             env={**os.environ, 'PYTHONPATH': BENCHMARKS})
    failures = []
    for protocol, expected in json.loads(process.stdout.splitlines()[-1]).items():
        metrics = compute_metrics(weights, str(tmp_path / f'{protocol}.ckpt'), protocol, folders)
        for name, value in expected.items():
            difference, tolerance = abs(metrics[name] - value), TOLERANCES[name]
            if name not in ('precision', 'recall'):
                difference /= abs(value)
            print(f'{protocol:15} {name:16} {value:14.8g}   here {metrics[name]:14.8g}   '
                  f'difference {difference:.1e}, at most {tolerance:g}')
            if difference > tolerance:
                failures.append((protocol, name))
    assert not failures


def test_adm_agrees_with_tensorflow_1_15(tmp_path):
    """From images to the metrics, by the graph of 2015 at full width.

    The arithmetic after the features, which `make test` compares with ADM's evaluator, is the same
    on both sides.
    """
    if not tf1_env.set_up_tensorflow_1_15():
        pytest.skip('there is no Python for TensorFlow 1.15.5')
    graph = tmp_path / 'graph.pb'
    graph.write_bytes(full_graph_of_2015().SerializeToString())
    paths, sets = [], []
    for folder in write_images(str(tmp_path), IMAGES):
        images = [Image.open(os.path.join(folder, name)).resize((64, 64))
                  for name in sorted(os.listdir(folder))]
        paths.append(folder + '.npz')
        np.savez(paths[-1], arr_0=np.stack(images))
        features = folder + '_features.npz'
        subprocess.run([tf1_env.OLD_PYTHON, os.path.join(HERE, 'features_of_1_15.py'), graph,
                        paths[-1], features], check=True, stderr=subprocess.DEVNULL,
                       env=tf1_env.environment())
        sets.append(np.load(features))
    samples, reference = sets
    expected = {'inception_score': inception_score_of_logits(
        samples['features'] @ samples['weights'], seed=None, split_size=5000)[0]}
    for name, layer in (('fid', 'features'), ('sfid', 'spatial')):
        expected[name] = frechet_distance(*(
            Statistics(each[layer].mean(axis=0, dtype=np.float64),
                       np.cov(each[layer], rowvar=False)) for each in sets))
    regions = precision_recall(reference['features'], samples['features'], distances='float16')
    expected.update(precision=regions.precision, recall=regions.recall)
    metrics = evaluation.compute_metrics(graph, *paths, protocol='adm').to_dict()
    for name, value in expected.items():
        print(f'{name:16} {value:14.10g}   here {metrics[name]:14.10g}   '
              f'relative difference {abs(metrics[name] / value - 1):.1e}')
    for name in ('fid', 'sfid', 'inception_score'):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-5)
    # Distances in float16 are often equal, and a rounding error of a feature decides.
    for name in ('precision', 'recall'):
        assert metrics[name] == pytest.approx(expected[name], abs=1.01 / IMAGES)
