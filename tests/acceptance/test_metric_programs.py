"""The protocols compared with torch-fidelity, pytorch-fid and clean-fid.

The weights of December 2015 cannot be shipped, so all programs get the same random weights. This
tests names, arithmetic and resizing; it says nothing about image quality.
"""

import json
import os
import subprocess
import sys

from inception_slim import checkpoint, evaluation
import numpy as np
from PIL import Image
import pytest
from sklearn.datasets import load_digits, load_sample_images

BENCHMARKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), *2 * (os.pardir,), 'scripts',
                          'benchmarks')
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
    worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'metrics_worker.py')
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
