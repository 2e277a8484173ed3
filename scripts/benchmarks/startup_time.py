"""Times the start: from a process's first moment to its first answer from a checkpoint.

Beside it what cannot be avoided, `import tensorflow` and one forward pass; one run, interleaved,
each in a process of its own, after a round that does not count. int8 is calibrated on eight
images each time; 'kept' is a start that finds it calibrated in a cache.
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
from inception_slim.inference.cpu_features import available_cores, cpu_summary, has_bfloat16
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from scripts.benchmarks.forward import processor, random_checkpoint

IMPORT_TENSORFLOW = 'import tensorflow'
IMPORT_US = 'import inception_slim'
# Prints how long its second answer took, which is a forward pass and nothing else.
ANSWER = '''
import sys, time
from inception_slim import inference
import numpy as np
precision, engine, cache, checkpoint = sys.argv[1:]
images = np.random.RandomState(0).uniform(-1, 1, (8, 299, 299, 3)).astype('f')
predictor = inference.load(checkpoint, precision=precision, engine=engine, cache=cache or None,
                           calibration_images=images)
predictor.logits(images[:1])
print('answered', flush=True)
times = []
for _ in range(5):
    start = time.perf_counter()
    predictor.logits(images[:1])
    times.append(time.perf_counter() - start)
try:  # in MiB; not of the process that started this one, which getrusage would count
    with open('/proc/self/status') as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) / 2**10
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(sorted(times)[2], peak)
'''


def until_first_line(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds until the process prints or ends, and what it prints after its first line."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-c', code, *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
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
        (precision, engine, kept)
        for precision in PRECISIONS
        for engine, able in PRECISIONS_OF.items()
        if precision in able and is_installed(engine)
        for kept in (False, True)
        if (precision == 'int8' or not kept) and (precision != 'bfloat16' or has_bfloat16())
    ]
    durations: dict[object, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, _ = random_checkpoint('inception_v3', folder)
        for number in tqdm(range(arguments.rounds + 1), unit='round', disable=None):
            done = {code: until_first_line(code)[0] for code in (IMPORT_TENSORFLOW, IMPORT_US)}
            for each in starts:
                precision, engine, kept = each
                cache = os.path.join(folder, 'cache') if kept else ''
                done[each], rest = until_first_line(ANSWER, precision, engine, cache, checkpoint)
                done[each, 'pass'], done[each, 'memory'] = map(float, rest.split())
            if number:
                for key, value in done.items():
                    durations.setdefault(key, []).append(value)
    medians = {key: statistics.median(each) for key, each in durations.items()}
    base = medians[IMPORT_TENSORFLOW]
    print(
        f'{processor()} ({cpu_summary()}), {available_cores()} cores; TensorFlow {tf.__version__}'
    )
    print(f'{IMPORT_TENSORFLOW:38} {base:6.2f} sec')
    print(f'{IMPORT_US:38} {medians[IMPORT_US]:6.2f} sec, {medians[IMPORT_US] / base:.2f} times '
          'import tensorflow')
    float32 = medians['float32', 'session', False]
    for each in starts:
        precision, engine, kept = each
        least = base + medians[each, 'pass']
        name = f'first answer in {precision}, {engine}' + (', kept' if kept else '')
        print(f'{name:38} {medians[each]:6.2f} sec, {medians[each] / least:.2f} times import '
              f'tensorflow and a forward pass, {medians[each] / float32:.2f} times float32; peak '
              f'{medians[each, "memory"]:5.0f} MiB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
