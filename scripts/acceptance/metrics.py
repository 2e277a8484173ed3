"""FID, KID and the Inception Score beside torch-fidelity and pytorch-fid: all the same is shown.

The weights of December 2015 cannot be shipped, so the same network is given weights that are drawn.
That proves the names, the arithmetic and the resizing; it says nothing of images.

    make measures ARGS="--images 400"
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import inception_slim  # noqa: F401  first, quietly
from inception_slim import checkpoint, evaluation
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images


def write_images(folder: str, count: int) -> list[str]:
    """Two folders: pieces of photographs, and the same with digits in them; all kinds of sizes."""
    chance = np.random.RandomState(0)
    photographs, digits = load_sample_images().images, load_digits().images
    folders = []
    for name in ('photographs', 'digits'):
        folders.append(os.path.join(folder, name))
        os.mkdir(folders[-1])
        for number in range(count):
            photograph = photographs[number % len(photographs)]
            height, width = chance.randint(60, 420, 2)
            top = chance.randint(0, photograph.shape[0] - height)
            left = chance.randint(0, photograph.shape[1] - width)
            piece = photograph[top:top + height, left:left + width].copy()
            if name == 'digits':
                digit = np.kron(digits[number % len(digits)] * 15, np.ones((6, 6)))
                piece[:48, :48] = digit[..., np.newaxis]
            Image.fromarray(piece).save(os.path.join(folders[-1], f'{number:04d}.png'))
    return folders


def ours(weights: str, scratch: str, pixels: str, folders: list[str], subset: int):
    prefix = os.path.join(scratch, f'ours-{pixels}')
    checkpoint.convert(weights, prefix, pixels=pixels)
    found = evaluation.fid(prefix, *folders, kid=True, kid_subset_size=subset)
    return {'FID': found.fid, 'KID': found.kid,
            'Inception Score': evaluation.inception_score(prefix, folders[0]).mean}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=100, help='in each folder (%(default)s)')
    arguments = parser.parse_args()
    subset = arguments.images // 2
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as scratch:
        folders = write_images(scratch, arguments.images)
        square = []
        for folder in folders:
            square.append(folder + '-299')
            os.mkdir(square[-1])
            for name in os.listdir(folder):
                Image.open(os.path.join(folder, name)).resize((299, 299)).save(
                    os.path.join(square[-1], name))
        weights = os.path.join(scratch, 'drawn.pth')
        # In a process of its own: torchvision crashes beside TensorFlow.
        worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'measures_worker.py')
        done = subprocess.run([sys.executable, worker, weights, str(subset), *folders, *square],
                              stdout=subprocess.PIPE, check=True)
        of_torch_fidelity, of_pytorch_fid = json.loads(done.stdout.splitlines()[-1])
        rows = []
        mine = ours(weights, scratch, '2015', folders, subset)
        for name, theirs in of_torch_fidelity.items():
            rows.append((name, 'torch-fidelity', theirs, mine[name],
                         1e-3 if name == 'FID' else 1e-4))
        mine = ours(weights, scratch, 'inception', square, subset)
        for name, theirs in of_pytorch_fid.items():
            rows.append((name, 'pytorch-fid', theirs, mine['FID'], 1e-3))
    failed = False
    print(f'Two folders of {arguments.images} images, drawn weights')
    for name, library, theirs, found, tolerance in rows:
        relative = abs(found - theirs) / abs(theirs)
        failed |= relative > tolerance
        print(f'{name:16} {library:15} {theirs:14.8g}   here {found:14.8g}   '
              f'differs by {relative:.1e}, at most {tolerance:g}')
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
