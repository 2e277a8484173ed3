"""Times classifying a folder of JPEGs compared with the network alone.

One interleaved run with a full-width network and images of the size of a web photo. Prints images
per second of both and the median of their ratios, and the same for processor time, on which other
load has less effect.
"""

import argparse
from collections.abc import Callable
import os
import statistics
import sys
import tempfile
import time

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import data, inference
import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import random_checkpoint


def write_images(folder: str, count: int, width: int, height: int,
                 encode: Callable[..., tf.Tensor] = tf.io.encode_jpeg, seed: int = 0) -> list[str]:
    """Writes images with edges and noise, so that their files are as large as photos."""
    random = np.random.default_rng(seed)
    os.makedirs(folder)
    suffix, options = ('.jpg', {'quality': 90}) if encode is tf.io.encode_jpeg else ('.png', {})
    files = []
    for number in range(count):
        layers = []
        for patches in (3, 9, 27, 81):
            coarse = random.uniform(0, 255, (patches, patches, 3))
            rows = np.arange(height) * patches // height
            layers.append(coarse[rows][:, np.arange(width) * patches // width])
        image = np.mean(layers, axis=0) + random.normal(0, 4, (height, width, 3))
        files.append(os.path.join(folder, f'{number:05d}{suffix}'))
        with open(files[-1], 'wb') as file:
            file.write(encode(np.clip(image, 0, 255).astype(np.uint8), **options).numpy())
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=256, metavar='N')
    parser.add_argument('--rounds', type=int, default=5, metavar='N')
    parser.add_argument('--size', type=int, nargs=2, default=(500, 375),
                        metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--batch-size', type=int, default=32, metavar='N')
    parser.add_argument('--precision', choices=('float32', 'bfloat16'), default='float32')
    arguments = parser.parse_args()
    if min(arguments.images, arguments.rounds, *arguments.size, arguments.batch_size) < 1:
        parser.error('every number must be at least 1')
    tf.get_logger().setLevel('ERROR')
    with tempfile.TemporaryDirectory() as folder:
        files = write_images(os.path.join(folder, 'images'), arguments.images, *arguments.size)
        mean = statistics.mean(map(os.path.getsize, files)) / 1024
        print(f'{len(files)} JPEGs of {"x".join(map(str, arguments.size))}, {mean:.0f} KiB each; '
              f'Inception V3 in {arguments.precision}, batches of {arguments.batch_size}',
              flush=True)
        checkpoint, _ = random_checkpoint('inception_v3', folder)
        predictor = inference.load(checkpoint, precision=arguments.precision)

        def read():
            return data.as_numpy_batches(lambda: data.image_batches(data.image_files(
                os.path.join(folder, 'images')), arguments.batch_size))

        ready = [batch['image'] for batch in read()]
        predictor.predict(ready[0])
        figures = {'network alone': [], 'folder of JPEGs': []}
        seconds = {name: [] for name in figures}
        for _ in tqdm(range(arguments.rounds), unit='round', disable=None):
            for name, batches in (('network alone', ready),
                                  ('folder of JPEGs', (batch['image'] for batch in read()))):
                start, worked = time.perf_counter(), time.process_time()
                count = sum(len(predictor.predict(batch)) for batch in batches)
                figures[name].append(count / (time.perf_counter() - start))
                seconds[name].append((time.process_time() - worked) / count)
    for name, rates in figures.items():
        print(f'{name:16} {statistics.median(rates):6.1f} images/s, '
              f'{statistics.median(seconds[name]):.3f} s of processor time an image')
    for name, ratios in (
            ('ratio', [files / alone for alone, files in zip(*figures.values())]),
            ('of processor time', [alone / files for alone, files in zip(*seconds.values())])):
        print(f'{name:17}{statistics.median(ratios):6.2f} '
              f'({min(ratios):.2f} to {max(ratios):.2f})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
