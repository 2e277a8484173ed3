"""Times a process from its start to its first prediction from a checkpoint.

It is given relative to the time at which the same process has imported TensorFlow, because the
speed of a machine changes. One interleaved run, each in a process of its own, after a round that is
not counted. int8 is calibrated on eight images each time; 'cached' reads the prepared network from
the cache. The command, which classifies one image with the cache, is timed to the end of its
process, relative to a process that imports TensorFlow and ends.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.inference import PRECISIONS
from inception_slim.inference.cpu_features import has_fast_bfloat16
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import machine, random_checkpoint
from scripts.benchmarks.input import write_images

# pip stores the bytecode of what it installs, so a process need not compile it.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name != 'PYTHONDONTWRITEBYTECODE'}
# They print when they are ready, since ending a process takes another second.
IMPORT = "import inception_slim; print('ready', flush=True)"
PREDICT = '''
import tensorflow
print('imported', flush=True)
import sys
from inception_slim import inference
from scripts.benchmarks.peak_memory import peak_memory
import numpy as np
precision, engine, cache, checkpoint = sys.argv[1:]
images = np.random.RandomState(0).uniform(-1, 1, (8, 299, 299, 3)).astype('f')
predictor = inference.load(checkpoint, precision=precision, engine=engine, cache=cache or None,
                           calibration_images=images)
predictor.logits(images[:1])
print('ready', flush=True)
print(peak_memory())
'''


def time_process(*arguments: str) -> float:
    """Seconds that a process of Python takes, with its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - start


def time_lines(code: str, *arguments: str) -> tuple[list[float], str]:
    """Seconds until a process prints each of its lines, and the last of them."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-c', code, *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
    seconds, lines = [], []
    for line in process.stdout:
        seconds.append(time.perf_counter() - start)
        lines.append(line)
    if process.wait():
        raise SystemExit(f'{code.strip().splitlines()[0]!r} failed; run it to see why.')
    return seconds, lines[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5, metavar='N')
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error('--rounds must be at least 1')
    tf.get_logger().setLevel('ERROR')
    starts = [
        (precision, engine, cached)
        for precision in PRECISIONS
        for engine, supported in PRECISIONS_OF.items()
        if precision in supported and is_installed(engine)
        for cached in (False, True)
        if precision != 'bfloat16' or has_fast_bfloat16()
    ]
    packages, imports = [], []
    processes: list[tuple[float, float]] = []  # the command, and only the import
    durations: dict[tuple[str, str, bool], list[tuple[float, float, float]]] = {
        start: [] for start in starts}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, _ = random_checkpoint('inception_v3', folder)
        [image] = write_images(os.path.join(folder, 'images'), 1, 500, 375)
        for number in tqdm(range(arguments.rounds + 1), unit='round', disable=None):
            [package], _ = time_lines(IMPORT)
            if number:
                packages.append(package)
            process = tuple(time_process(*arguments) for arguments in (
                ['-m', 'inception_slim', 'classify', checkpoint, image, '--cache',
                 os.path.join(folder, 'command')],
                ['-c', 'import tensorflow']))
            if number:
                processes.append(process)
            for start in starts:
                precision, engine, cached = start
                cache = os.path.join(folder, 'cache') if cached else ''
                (imported, ready, _), peak = time_lines(
                    PREDICT, precision, engine, cache, checkpoint)
                if number:
                    imports.append(imported)
                    durations[start].append((ready, ready / imported, float(peak)))
    print(f'{machine()}; TensorFlow {tf.__version__}')
    print(f'{"import tensorflow":44} {statistics.median(imports):6.2f} sec')
    print(f'{"import inception_slim":44} {statistics.median(packages):6.2f} sec')
    command = statistics.median(seconds for seconds, _ in processes)
    ratio = statistics.median(seconds / alone for seconds, alone in processes)
    print(f'{"inception-slim classify, cached, to its end":44} {command:6.2f} sec, {ratio:.2f} '
          'times a process that imports tensorflow')
    for (precision, engine, cached), values in durations.items():
        name = f'first prediction, {precision}, {engine}' + (', cached' if cached else '')
        seconds, ratio, peak = map(statistics.median, zip(*values))
        print(f'{name:44} {seconds:6.2f} sec, {ratio:.2f} times import tensorflow; peak '
              f'{peak:5.0f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
