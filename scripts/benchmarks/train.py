"""Times a training step compared with TensorFlow 1.15.5, Keras and PyTorch.

The same losses, RMSProp, clipping and moving averages on the full network; one process each, whose
steps alternate in an order that is random in each round. As many contestants as fit into memory run
at once, always with the reference, with whose steps of the same rounds each is compared. A
contestant that is not installed or fails is omitted, with a message.
"""

import argparse
from dataclasses import dataclass, field
import importlib.util
import random
import statistics
import sys

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.inference.cpu_features import has_fast_bfloat16
import numpy as np
from tqdm import tqdm

from scripts.benchmarks._common import machine
from scripts.benchmarks.vs_tf1 import OLD_PYTHON, WARM_UP, Contestant, set_up_tensorflow_1_15
from scripts.benchmarks.worker_process import WorkerFailed, add_only

REFERENCE = 'inception_slim float32'
SEED = 0  # of the order of the steps
# The worker of each contestant.
CONTESTANTS = {
    REFERENCE: 'train_worker.py',
    'inception_slim bfloat16': 'train_worker.py',
    'inception_slim float32 recomputing': 'train_worker.py',
    'inception_slim bfloat16 recomputing': 'train_worker.py',
    'tf.contrib.slim float32': 'train_worker.py',
    'Keras float32': 'train_keras_worker.py',
    'Keras bfloat16': 'train_keras_worker.py',
    'PyTorch float32': 'train_torch_worker.py',
    'PyTorch compiled float32': 'train_torch_worker.py',
    'PyTorch bfloat16': 'train_torch_worker.py',
    'PyTorch compiled bfloat16': 'train_torch_worker.py',
}


@dataclass
class Row:
    """The measurements of a contestant, in seconds and MiB.

    Attributes:
      durations: its steps.
      reference: the steps of the reference in the same rounds.
      memory: its peak memory.
    """

    name: str
    version: str
    durations: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def ratio(self) -> float:
        """The ratio of its median to the reference's."""
        return statistics.median(self.durations) / statistics.median(self.reference)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The quartiles of the ratios of all rounds."""
        low, high = np.percentile(np.divide(self.durations, self.reference), (25, 75))
        return float(low), float(high)


def available_memory() -> float | None:
    """The memory that processes may still use in MiB, if the system reports it."""
    try:
        with open('/proc/meminfo') as file:
            for line in file:
                if line.startswith('MemAvailable:'):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def start(name: str, batch_size: int) -> Contestant | None:
    """Starts a contestant and runs its first step; None, with a message, if it fails."""
    python = OLD_PYTHON if name.startswith('tf.contrib') else sys.executable
    try:
        contestant = Contestant(python, name, batch_size, CONTESTANTS[name])
        contestant.step()
        return contestant
    except WorkerFailed as error:
        print(f'{name}: omitted, {error}')
        return None


def time_rounds(contestants: dict[str, Contestant], rounds: int, rng: random.Random,
                label: str) -> dict[str, list[float]]:
    """Times steps of all contestants; the first is the reference. Omits those that fail."""
    durations: dict[str, list[float]] = {name: [] for name in contestants}
    for i in tqdm(range(rounds + WARM_UP), desc=label, unit='round', disable=None):
        for name in rng.sample(list(durations), len(durations)):
            try:
                duration = contestants[name].step()
            except WorkerFailed as error:
                if name == next(iter(contestants)):
                    raise
                print(f'{name}: omitted, {error}')
                del durations[name]
                continue
            if i >= WARM_UP:
                durations[name].append(duration)
    return durations


def measure(names: list[str], batch_size: int, rounds: int) -> list[Row]:
    """Times the contestants; those that failed have no row."""
    rng = random.Random(SEED)
    remaining = [name for name in names if name != REFERENCE]
    reference = start(REFERENCE, batch_size)
    if reference is None:
        raise SystemExit(f'{REFERENCE} failed, so there is nothing to compare with.')
    rows = [Row(REFERENCE, reference.version)]
    largest = reference.request('memory')
    while True:
        group: dict[str, Contestant] = {}
        while remaining:
            available = available_memory()
            if group and available is not None and available < 1.5 * largest:
                break
            name = remaining.pop(0)
            contestant = start(name, batch_size)
            if contestant is not None:
                group[name] = contestant
                largest = max(largest, contestant.request('memory'))
        durations = time_rounds({REFERENCE: reference, **group}, rounds, rng,
                                f'batch {batch_size}: {", ".join(group) or REFERENCE}')
        rows[0].durations += durations[REFERENCE]
        rows[0].reference += durations[REFERENCE]
        for name, contestant in group.items():
            if name in durations:
                rows.append(Row(name, contestant.version, durations[name], durations[REFERENCE],
                                contestant.request('memory')))
            contestant.close()
        if not remaining:
            break
    rows[0].memory = reference.request('memory')
    reference.close()
    return sorted(rows, key=lambda row: names.index(row.name))


def available_contestants(names: list[str]) -> list[str]:
    """The contestants that are installed and that this processor supports."""
    available = []
    for name in names:
        if name.startswith('tf.contrib') and not set_up_tensorflow_1_15():
            continue
        if name.startswith('PyTorch') and importlib.util.find_spec('torch') is None:
            print(f'{name}: omitted, torch is not installed (make bench-train-all)')
        elif 'bfloat16' in name and not has_fast_bfloat16():
            print(f'{name}: omitted, this processor is slower in bfloat16 than in float32')
        else:
            available.append(name)
    return available


def print_table(rows: list[Row], batch_size: int) -> None:
    width = max(len(f'{row.name} ({row.version})') for row in rows)
    print(f'{f"batch {batch_size}":{width}} {"sec/step":>9} {"images/s":>9} {"time":>5} '
          f'{"quartiles":>11} {"MiB":>6}')
    for row in rows:
        median = statistics.median(row.durations)
        low, high = row.quartiles
        print(f'{f"{row.name} ({row.version})":{width}} {median:9.3f} {batch_size / median:9.1f} '
              f'{row.ratio:5.2f} {low:5.2f}-{high:5.2f} {row.memory:6.0f}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch-sizes', default='8,32', metavar='N,...',
                        help='images in a step (%(default)s)')
    parser.add_argument('--num-batches', type=int, default=12, metavar='N',
                        help=f'counted rounds, after {WARM_UP} others (%(default)s)')
    select = add_only(parser, CONTESTANTS, REFERENCE)
    arguments = parser.parse_args()
    try:
        batch_sizes = [int(size) for size in arguments.batch_sizes.split(',')]
    except ValueError:
        parser.error('--batch-sizes must be integers separated by commas, such as 8,32')
    if min(*batch_sizes, arguments.num_batches) < 1:
        parser.error('--batch-sizes and --num-batches must be at least 1')
    names = available_contestants(select(arguments))
    tables = {size: measure(names, size, arguments.num_batches) for size in batch_sizes}
    print(f'A training step of Inception V3 on images of 299x299; {machine()}')
    for size, rows in tables.items():
        print_table(rows, size)
    print(f'time: ratio of the medians to {REFERENCE}, with the quartiles of '
          f'{arguments.num_batches} rounds; random order (seed {SEED}); MiB: peak memory of the '
          'process')
    return 0


if __name__ == '__main__':
    sys.exit(main())
