"""Times FID of two folders of images compared with pytorch-fid and torch-fidelity.

One interleaved run with random weights in the network of 2015, from folders of JPEGs of 500x375 and
of PNGs of 64x64 to the number, after a call that is not counted, which imports libraries. Prints
the medians, their ratios, the same for processor time, on which other load has less effect, the
time projected for 50,000 images in each folder, the peak memory of each process (without that of
the processes which read images for PyTorch), and the difference of FID in bfloat16. On processors
that are slower in bfloat16, that is omitted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.inference import has_fast_bfloat16
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import machine
from scripts.benchmarks.input import write_images
from scripts.benchmarks.worker_process import HERE, Worker

PRECISIONS = ('float32', 'bfloat16') if has_fast_bfloat16() else ('float32',)
OTHERS = ('pytorch-fid', 'torch-fidelity')
PROGRAMS = (*(f'inception_slim-{precision}' for precision in PRECISIONS), *OTHERS)
KINDS = {'JPEGs of 500x375': (500, 375, tf.io.encode_jpeg),
         'PNGs of 64x64': (64, 64, tf.io.encode_png)}
PROJECTED = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=256, metavar='N', help='in each folder')
    parser.add_argument('--rounds', type=int, default=3, metavar='N')
    arguments = parser.parse_args()
    if arguments.images < 8 or arguments.rounds < 1:
        parser.error('there must be at least 8 images, and a round')
    print(f'{machine()}; {arguments.images} images in each folder')
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, 'random.pth')
        subprocess.run([sys.executable, '-c', 'import sys; from fid_programs import write_weights; '
                        'write_weights(sys.argv[1])', weights], check=True,
                       env={**os.environ, 'PYTHONPATH': HERE})
        for title, kind in KINDS.items():
            counts = arguments.images // 4, arguments.images
            sets = [[write_images(os.path.join(folder, f'{kind[0]}-{number}-{count}'), count, *kind,
                                  seed=number) for number in range(2)]
                    for count in counts]
            print(f'\n{title}', flush=True)
            _time(weights, [[os.path.dirname(files[0]) for files in pair] for pair in sets],
                  counts, arguments.rounds)
    return 0


def _time(weights: str, pairs: list[list[str]], counts: tuple[int, int], rounds: int) -> None:
    """Times two pairs of folders, with `counts` images in each folder, and prints the figures.

    The first pair has fewer images, but not very few: then the network would run in another
    engine, and what each further image takes would not be known.
    """
    workers = {name: Worker([sys.executable, os.path.join(HERE, 'fid_worker.py'), name, weights],
                            environment={'TF_CPP_MIN_LOG_LEVEL': '3'}) for name in PROGRAMS}
    # By program: of each pair, the rounds as (seconds, seconds of processor time, FID).
    results: dict[str, list[list[list[float]]]] = {
        name: [[] for _ in pairs] for name in PROGRAMS}
    try:
        for worker in workers.values():  # the first call imports libraries too
            worker.request(f'fid {pairs[0][0]} {pairs[0][1]}')
        for _ in tqdm(range(rounds), unit='round', disable=None):
            for name, worker in workers.items():
                for number, pair in enumerate(pairs):
                    results[name][number].append(worker.request(f'fid {pair[0]} {pair[1]}'))
        memory = {name: worker.request('memory') for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()
    medians = {name: [[statistics.median(column) for column in zip(*rounds)]
                      for rounds in results[name]] for name in PROGRAMS}
    for name, (small, large) in medians.items():
        rate = [(large[place] - small[place]) / (counts[1] - counts[0]) for place in range(2)]
        projected = [large[place] + rate[place] * (PROJECTED - counts[1])
                     for place in range(2)]
        print(f'{name:24} {large[0]:7.1f} s, {large[1]:7.1f} s of processor time; '
              f'{PROJECTED:,} images: {projected[0] / 60:5.0f} min, {projected[1] / 60:5.0f} min; '
              f'peak {memory[name]:5.0f} MiB')
    for precision in PRECISIONS:
        own = medians[f'inception_slim-{precision}']
        for other in OTHERS:
            ratios = [medians[other][1][place] / own[1][place] for place in range(2)]
            rates = [(medians[other][1][place] - medians[other][0][place])
                     / (own[1][place] - own[0][place]) for place in range(2)]
            print(f'{precision} is {ratios[0]:.2f} times as fast as {other} '
                  f'({ratios[1]:.2f} by processor time); of each further image {rates[0]:.2f} '
                  f'({rates[1]:.2f})')
    exact, *rounded = (medians[name][1][2] for name in PROGRAMS[:len(PRECISIONS)])
    print(f'FID in float32 {exact:.6g}' + ''.join(
        f', in bfloat16 {(value / exact - 1) * 100:+.3f} %' for value in rounded))


if __name__ == '__main__':
    sys.exit(main())
