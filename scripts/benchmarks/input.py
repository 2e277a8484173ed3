"""Times the functions that read images, compared with the network alone.

One interleaved run on JPEGs with random weights in Inception V3. `evaluation.classify`, `features`,
`evaluate` and `compute_statistics` are given a loaded predictor, and `bulk.run` the checkpoint. The
figures are those of each further image: what a call costs before its first one cancels out. Prints
images per second and processor time an image, on which other load has less effect, and the ratios
to the network on images that are in memory already.
"""

import argparse
from collections.abc import Callable
import os
import statistics
import sys
import tempfile
import time
import warnings

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim import bulk, data, evaluation, inference
from inception_slim.inference.predictor import Predictor
import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import machine, random_checkpoint

ALONE = 'network alone'
_FEWEST = 128  # images of the shorter call; more than `bulk` calibrates int8 with


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

def _functions(predictor: Predictor, checkpoint: str, batch_size: int,
               folder: str) -> dict[str, Callable[[str], object]]:
    """What is timed: functions of a folder of images, which has a folder for each class."""
    output = os.path.join(folder, 'statistics.npz')
    batches: dict[str, list[np.ndarray]] = {}

    def network_alone(images: str) -> None:
        if images not in batches:
            batches[images] = [batch['image'] for batch in data.as_numpy_batches(
                lambda: data.image_batches(data.image_files(images), batch_size))]
        for batch in batches[images]:
            predictor.predict(batch)

    def run_bulk(images: str) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            # A cache for each folder, since int8 is calibrated with its images.
            bulk.run(checkpoint, images, os.path.join(empty, 'output'), output_type='features',
                     precision=predictor.precision, cache=f'{images}-cache', batch_size=batch_size)

    return {
        ALONE: network_alone,
        'classify': lambda images: evaluation.classify(
            predictor, data.image_files(images), batch_size=batch_size),
        'features': lambda images: evaluation.features(
            predictor, data.image_files(images), batch_size=batch_size),
        'evaluate': lambda images: evaluation.evaluate(predictor, images, batch_size=batch_size),
        'statistics': lambda images: evaluation.compute_statistics(
            predictor, data.image_files(images), output, batch_size=batch_size),
        'bulk': run_bulk}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=320, metavar='N')
    parser.add_argument('--rounds', type=int, default=3, metavar='N')
    parser.add_argument('--size', type=int, nargs=2, default=(500, 375),
                        metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--batch-size', type=int, default=32, metavar='N')
    parser.add_argument('--precision', choices=inference.PRECISIONS, default='float32')
    arguments = parser.parse_args()
    if arguments.images <= _FEWEST or min(
            arguments.rounds, *arguments.size, arguments.batch_size) < 1:
        parser.error(f'there must be more than {_FEWEST} images, and every number at least 1')
    tf.get_logger().setLevel('ERROR')
    warnings.simplefilter('ignore')  # empty folders
    with tempfile.TemporaryDirectory() as folder:
        counts = (_FEWEST, arguments.images)
        folders = [os.path.join(folder, str(count)) for count in counts]
        sizes = []
        for path, count in zip(folders, counts):
            files = write_images(os.path.join(path, '000'), count, *arguments.size)
            sizes += map(os.path.getsize, files)
            for number in range(1, 1000):  # `evaluate` needs the classes of the network
                os.mkdir(os.path.join(path, f'{number:03d}'))
        print(f'{machine()}\n{arguments.images} JPEGs of {"x".join(map(str, arguments.size))}, '
              f'{statistics.mean(sizes) / 1024:.0f} KiB each; Inception V3 in '
              f'{arguments.precision}, batches of {arguments.batch_size}', flush=True)
        checkpoint, _ = random_checkpoint('inception_v3', folder)
        calibration = next(data.as_numpy_batches(
            lambda: data.image_batches(data.image_files(folders[0]), _FEWEST)))['image']
        predictor = inference.load(
            checkpoint, precision=arguments.precision, calibration_images=calibration)
        functions = _functions(predictor, checkpoint, arguments.batch_size, folder)
        for function in functions.values():
            for path in folders:
                function(path)
        # By function: of each round, the seconds and the seconds of processor time an image.
        results: dict[str, list[list[float]]] = {name: [] for name in functions}
        for _ in tqdm(range(arguments.rounds), unit='round', disable=None):
            for name, function in functions.items():
                marks = []
                for path in folders:
                    marks.append((time.perf_counter(), time.process_time()))
                    function(path)
                marks.append((time.perf_counter(), time.process_time()))
                few, all_of_them = (np.subtract(end, start) for start, end in zip(marks, marks[1:]))
                results[name].append(((all_of_them - few) / (counts[1] - counts[0])).tolist())
        predictor.close()
    print(f'{"":14} {"images/s":>8} {"processor time":>15} {"ratio":>7} {"of processor time":>18}')
    alone = results[ALONE]
    for name, rounds in results.items():
        wall, worked = (statistics.median(column) for column in zip(*rounds))
        ratios = [statistics.median(reference[place] / figures[place]
                                    for reference, figures in zip(alone, rounds))
                  for place in range(2)]
        print(f'{name:14} {1 / wall:8.1f} {worked * 1000:12.1f} ms {ratios[0]:7.2f} '
              f'{ratios[1]:18.2f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
