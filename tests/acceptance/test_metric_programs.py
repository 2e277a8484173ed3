"""FID, KID and the Inception Score compared with torch-fidelity and pytorch-fid.

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

pytestmark = pytest.mark.acceptance
IMAGES = int(os.environ.get('METRIC_IMAGES', 100))  # in each folder
TOLERANCES = {'FID': 1e-3, 'KID': 1e-4, 'Inception Score': 1e-4, 'FID of 299x299': 1e-3}


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


def resize_folders(folders: list[str]) -> list[str]:
    """Writes a copy of each folder with all images resized to 299x299."""
    for folder in folders:
        os.mkdir(f'{folder}-299')
        for name in os.listdir(folder):
            Image.open(os.path.join(folder, name)).resize((299, 299)).save(
                os.path.join(f'{folder}-299', name))
    return [f'{folder}-299' for folder in folders]


def compute_metrics(weights: str, prefix: str, input_range: str, folders: list[str]) -> dict:
    checkpoint.convert(weights, prefix, input_range=input_range)
    result = evaluation.fid(prefix, *folders, kid=True, kid_subset_size=IMAGES // 2)
    return {'FID': result.fid, 'FID of 299x299': result.fid, 'KID': result.kid,
            'Inception Score': evaluation.inception_score(prefix, folders[0]).mean}


def test_agrees_with_other_programs(tmp_path):
    folders = write_images(str(tmp_path), IMAGES)
    square = resize_folders(folders)
    weights = str(tmp_path / 'random.pth')
    # In a process of its own: torchvision cannot be loaded beside TensorFlow.
    worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'metrics_worker.py')
    process = subprocess.run([sys.executable, worker, weights, str(IMAGES // 2), *folders, *square],
                             stdout=subprocess.PIPE, check=True)
    torch_fidelity, pytorch_fid = json.loads(process.stdout.splitlines()[-1])
    failures = []
    for program, expected, input_range, images in (
            ('torch-fidelity', torch_fidelity, '2015', folders),
            ('pytorch-fid', pytorch_fid, 'inception', square)):
        metrics = compute_metrics(weights, str(tmp_path / f'{input_range}.ckpt'), input_range,
                                  images)
        for name, value in expected.items():
            difference = abs(metrics[name] - value) / abs(value)
            print(f'{name:16} {program:15} {value:14.8g}   here {metrics[name]:14.8g}   relative '
                  f'difference {difference:.1e}, at most {TOLERANCES[name]:g}')
            if difference > TOLERANCES[name]:
                failures.append((program, name))
    assert not failures
