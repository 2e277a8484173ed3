"""Times a process from its start to its first prediction from a checkpoint.

For comparison it times `import tensorflow` and one forward pass. One interleaved run, each in a
process of its own, after a round that is not counted. int8 is calibrated on eight images each time;
'cached' reads the prepared network from the cache.
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
from inception_slim.inference.cpu_features import has_bfloat16
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks._common import machine, random_checkpoint

IMPORT_TENSORFLOW = 'import tensorflow'
IMPORT_PACKAGE = 'import inception_slim'
# pip stores the bytecode of what it installs, so a process need not compile it.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name != 'PYTHONDONTWRITEBYTECODE'}
PRINT_READY = "; print('ready', flush=True)"  # ending a process takes another second
# Prints the duration of later predictions too, which are a forward pass and nothing else.
PREDICT = '''
import sys, time
from inception_slim import inference
import numpy as np
precision, engine, cache, checkpoint = sys.argv[1:]
images = np.random.RandomState(0).uniform(-1, 1, (8, 299, 299, 3)).astype('f')
predictor = inference.load(checkpoint, precision=precision, engine=engine, cache=cache or None,
                           calibration_images=images)
predictor.logits(images[:1])
print('ready', flush=True)
times = []
for _ in range(5):
    start = time.perf_counter()
    predictor.logits(images[:1])
    times.append(time.perf_counter() - start)
try:  # in MiB; getrusage would count the parent process too
    with open('/proc/self/status') as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) / 2**10
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(sorted(times)[2], peak)
'''


def time_to_first_line(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds until a process prints a line, and what it prints after it."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-c', code, *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT)
    process.stdout.readline()
    seconds = time.perf_counter() - start
    rest = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f'{code.splitlines()[0]!r} failed; run it to see why.')
    return seconds, rest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5, metavar='N')
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error('--rounds must be at least 1')
    tf.disable_eager_execution()
    tf.get_logger().setLevel('ERROR')
    starts = [
        (precision, engine, cached)
        for precision in PRECISIONS
        for engine, supported in PRECISIONS_OF.items()
        if precision in supported and is_installed(engine)
        for cached in (False, True)
        if precision != 'bfloat16' or has_bfloat16()
    ]
    durations: dict[object, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, _ = random_checkpoint('inception_v3', folder)
        for number in tqdm(range(arguments.rounds + 1), unit='round', disable=None):
            values = {
                code: time_to_first_line(code + PRINT_READY)[0]
                for code in (IMPORT_TENSORFLOW, IMPORT_PACKAGE)
            }
            for start in starts:
                precision, engine, cached = start
                cache = os.path.join(folder, 'cache') if cached else ''
                values[start], rest = time_to_first_line(
                    PREDICT, precision, engine, cache, checkpoint
                )
                values[start, 'pass'], values[start, 'memory'] = map(float, rest.split())
            if number:
                for key, value in values.items():
                    durations.setdefault(key, []).append(value)
    medians = {key: statistics.median(seconds) for key, seconds in durations.items()}
    base = medians[IMPORT_TENSORFLOW]
    print(f'{machine()}; TensorFlow {tf.__version__}')
    print(f'{IMPORT_TENSORFLOW:38} {base:6.2f} sec')
    seconds = medians[IMPORT_PACKAGE]
    print(f'{IMPORT_PACKAGE:38} {seconds:6.2f} sec, {seconds / base:.2f} times import tensorflow')
    float32 = medians['float32', 'session', False]
    for start in starts:
        precision, engine, cached = start
        least = base + medians[start, 'pass']
        name = f'first prediction, {precision}, {engine}' + (', cached' if cached else '')
        print(f'{name:38} {medians[start]:6.2f} sec, {medians[start] / base:.2f} times import '
              f'tensorflow ({medians[start] / least:.2f} with a forward pass), '
              f'{medians[start] / float32:.2f} times float32; peak '
              f'{medians[start, "memory"]:5.0f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
