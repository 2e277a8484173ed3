"""Several labels, rare classes and rotated images, on scikit-learn's digits (no download).

Three datasets are made of 1,797 real images, of which 400 are held out. A narrow Inception V2 is
trained on each and evaluated before and after, or without and with the option that matters:

- two digits side by side: the labels of an image are both,
- nines among the other digits, one in a hundred: the recall of the nines, without and with
  `--class-weights balanced`,
- digits as stored by a camera that was held sideways: the accuracy, without and with their EXIF
  orientation.

Exits with 1 if a figure is too low.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import csv
import os
import re
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from scripts.demo import HELD_OUT, DemoFailed, run, run_in_folder

SIDE = 96  # pixels of an image, enlarged from the 8 of a digit
MARGIN = 10  # more than what evaluation crops
SIZE = ('--image-size', '64')
ORIENTATION = 0x0112  # the tag of EXIF
STORED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90,
          8: Image.Transpose.ROTATE_270}
Rows = Iterable[tuple[Image.Image, str]]


def read_digits() -> dict[str, tuple[list[Image.Image], np.ndarray]]:
    """The images and labels of the two splits."""
    digits, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(digits))
    images = [Image.fromarray(np.uint8(np.round(digit.reshape(8, 8) * (255 / 16))))
              for digit in digits[order]]
    labels = labels[order]
    return {'validation': (images[:HELD_OUT], labels[:HELD_OUT]),
            'train': (images[HELD_OUT:], labels[HELD_OUT:])}


def draw(*digits: Image.Image) -> Image.Image:
    """Digits side by side in a square."""
    page = Image.new('L', (SIDE, SIDE))
    width = (SIDE - 2 * MARGIN) // len(digits)
    for number, digit in enumerate(digits):
        page.paste(digit.resize((width, width), Image.Resampling.BILINEAR),
                   (MARGIN + number * width, (SIDE - width) // 2))
    return page


def write_table(name: str, column: str, rows: Rows, orientation: bool = False) -> None:
    """Writes the images as `NAME/0000.jpg` and so on, and a table `NAME.csv` of their labels."""
    os.makedirs(name)
    with open(f'{name}.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['path', column])
        for number, (image, label) in enumerate(rows):
            exif = Image.Exif()
            if orientation:
                exif[ORIENTATION] = list(STORED)[number % len(STORED)]
                image = image.transpose(STORED[exif[ORIENTATION]])
            path = f'{name}/{number:04d}.jpg'
            image.save(path, quality=95, exif=exif)
            table.writerow([path, label])


def train(dataset: str, folder: str, steps: int, *options: str) -> None:
    run('train', dataset, '--train-dir', folder, '--steps', str(steps), '--network', 'inception_v2',
        '--depth-multiplier', '0.25', *SIZE, '--batch-size', '16', '--no-distort',
        '--batch-norm-decay', 'auto', '--learning-rate-decay', 'cosine', '--moving-average-decay',
        '0', '--seed', '1', '--summary-steps', str(max(1, steps // 4)), *options)


def evaluate(checkpoint: str, dataset: str, figure: str, *options: str) -> float:
    """A figure that `inception-slim evaluate` prints, in percent."""
    output = run('evaluate', checkpoint, dataset, *SIZE, *options)
    return float(re.search(rf'^{figure} +([\d.]+)%', output, re.MULTILINE)[1])


def require(figure: str, before: float, after: float, least: float) -> None:
    print(f'\n{figure}: {before:.2f} % before, {after:.2f} % after', flush=True)
    if after < least or after <= before:
        raise DemoFailed(f'{figure}: expected at least {least:g} %, and more than before.')


def several_labels(splits: dict[str, tuple[list[Image.Image], np.ndarray]], steps: int) -> None:
    rng = np.random.RandomState(1)
    for split, (images, labels) in splits.items():
        pairs = rng.randint(0, len(images), (HELD_OUT if split == 'validation' else 2000, 2))
        write_table(f'pairs-{split}', 'labels', (
            (draw(images[left], images[right]), f'{labels[left]};{labels[right]}')
            for left, right in pairs))
    train('pairs-train.csv', 'untrained', 1)
    # The loss is the mean over ten classes, so that the gradient of each is small.
    train('pairs-train.csv', 'pairs', steps, '--learning-rate', '0.3')
    before, after = (evaluate(folder, 'pairs-validation.csv', 'mean average precision')
                     for folder in ('untrained', 'pairs'))
    run('classify', 'pairs', 'pairs-validation/0000.jpg', 'pairs-validation/0001.jpg', *SIZE)
    require('Mean average precision of pairs of digits', before, after, 80)


def rare_class(splits: dict[str, tuple[list[Image.Image], np.ndarray]], steps: int) -> None:
    for split, (images, labels) in splits.items():
        nines, others = (np.flatnonzero((labels == 9) == is_nine) for is_nine in (True, False))
        if split == 'train':
            nines = nines[:len(others) // 99]
            print(f'{len(nines)} nines and {len(others):,} other digits')
        write_table(f'nines-{split}', 'label', (
            (draw(images[index]), 'nine' if labels[index] == 9 else 'other')
            for index in (*nines, *others)))
    recalls = []
    for folder, options in (('plain', ()), ('balanced', ('--class-weights', 'balanced'))):
        train('nines-train.csv', folder, steps, '--learning-rate', '0.05', *options)
        run('evaluate', folder, 'nines-validation.csv', *SIZE, '--csv', f'{folder}.csv')
        with open(f'{folder}.csv', newline='') as file:
            recalls.append(100 * float(next(row['accuracy'] for row in csv.DictReader(file)
                                            if row['name'] == 'nine')))
    plain, balanced = recalls
    require('Recall of one class in a hundred, by --class-weights balanced', plain, balanced, 50)


def rotated_images(splits: dict[str, tuple[list[Image.Image], np.ndarray]], steps: int) -> None:
    for split, (images, labels) in splits.items():
        write_table(f'digits-{split}', 'label', (
            (draw(image), str(label)) for image, label in zip(images, labels)),
            orientation=split == 'validation')
    train('digits-train.csv', 'digits', steps, '--learning-rate', '0.05')
    stored, rotated = (evaluate('digits', 'digits-validation.csv', 'top-1 accuracy', *options)
                       for options in (('--no-exif',), ()))
    require('Accuracy of images that a camera stored sideways, by their EXIF orientation',
            stored, rotated, 80)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--folder', metavar='DIR',
                        help='an empty folder for all files; by default a temporary one')
    parser.add_argument('--steps', type=int, default=400, metavar='N',
                        help='of each training (%(default)s)')
    arguments = parser.parse_args()
    splits = read_digits()

    def demonstrate() -> None:
        several_labels(splits, arguments.steps)
        rare_class(splits, arguments.steps)
        rotated_images(splits, arguments.steps)

    return run_in_folder(parser, arguments.folder, demonstrate)


if __name__ == '__main__':
    sys.exit(main())
