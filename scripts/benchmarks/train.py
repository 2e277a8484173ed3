"""Times a step of training beside TensorFlow 1.15.5, Keras and PyTorch, training the same way.

The same losses, RMSProp, clipping and moving averages on the full network; a process each, asked
for a step in turn, in an order drawn anew each round. As many as fit into memory take turns at
once, ours always among them; each is compared with what ours did in the same rounds. What is not
installed, or fails, is left out, and said so.
"""

import argparse
from dataclasses import dataclass, field
import importlib.util
import random
import statistics
import sys

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.inference.cpu_features import available_cores, cpu_summary, has_bfloat16
import numpy as np
from tqdm import tqdm

from scripts.benchmarks.forward import processor
from scripts.benchmarks.vs_tf1 import (
    OLD_PYTHON,
    Contestant,
    Failed,
    set_up_tensorflow_1_15,
)
from scripts.benchmarks.worker_process import add_only

REFERENCE = 'inception_slim float32'
SEED = 0  # of the order of the turns
WARM_UP = 2  # rounds that do not count
# Contestant -> its worker.
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
    """What was measured of one contestant, in seconds and MiB; and of ours in the same rounds."""

    name: str
    version: str
    durations: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def ratio(self) -> float:
        """Times the time of ours: of the medians."""
        return statistics.median(self.durations) / statistics.median(self.beside)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the same, round by round."""
        low, high = np.percentile(np.divide(self.durations, self.beside), (25, 75))
        return float(low), float(high)


def available_memory() -> float | None:
    """MiB that processes may still take, where the system says."""
    try:
        with open('/proc/meminfo') as file:
            for line in file:
                if line.startswith('MemAvailable:'):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def started(name: str, batch_size: int) -> Contestant | None:
    """A contestant that has made its first step; None, and a line that says why, if it fails."""
    python = OLD_PYTHON if name.startswith('tf.contrib') else sys.executable
    try:
        contestant = Contestant(python, name, batch_size, CONTESTANTS[name])
        contestant.step()
        return contestant
    except Failed as error:
        print(f'{name}: left out, {str(error).split("stopped before it answered: ")[-1]}')
        return None


def take_turns(contestants: list[Contestant], rounds: int, chance: random.Random,
               label: str) -> dict[Contestant, list[float]]:
    """The durations of each; who fails on the way is left out, and said so."""
    durations: dict[Contestant, list[float]] = {each: [] for each in contestants}
    for i in tqdm(range(rounds + WARM_UP), desc=label, unit='round', disable=None):
        order = list(durations)
        chance.shuffle(order)
        for each in order:
            try:
                duration = each.step()
            except Failed as error:
                if each is contestants[0]:
                    raise
                print(f'{each.process.args[2]}: left out, '
                      f'{str(error).split("stopped before it answered: ")[-1]}')
                del durations[each]
                continue
            if i >= WARM_UP:
                durations[each].append(duration)
    return durations


def measured(names: list[str], batch_size: int, rounds: int) -> list[Row]:
    """A row of each that runs, ours first; as many at once as the memory has room for."""
    chance = random.Random(SEED)
    rows: list[Row] = []
    waiting = [name for name in names if name != REFERENCE]
    reference = started(REFERENCE, batch_size)
    if reference is None:
        raise SystemExit(f'{REFERENCE} does not run, so that there is nothing to compare with.')
    rows.append(Row(REFERENCE, reference.version))
    largest = reference.ask('memory')
    while True:
        group = {}
        while waiting:
            available = available_memory()
            if group and available is not None and available < 1.5 * largest:
                break
            name = waiting.pop(0)
            contestant = started(name, batch_size)
            if contestant is not None:
                group[name] = contestant
                largest = max(largest, contestant.ask('memory'))
        durations = take_turns([reference, *group.values()], rounds, chance,
                               f'batch {batch_size}: {", ".join(group) or REFERENCE}')
        ours = durations[reference]
        rows[0].durations += ours
        rows[0].beside += ours
        for name, contestant in group.items():
            if contestant in durations:
                rows.append(Row(name, contestant.version, durations[contestant], ours,
                                contestant.ask('memory')))
            contestant.close()
        if not waiting:
            break
    rows[0].memory = reference.ask('memory')
    reference.close()
    return sorted(rows, key=lambda row: names.index(row.name))


def who_can_run(names: list[str]) -> list[str]:
    """Those that are installed and whose numbers the processor multiplies."""
    left = []
    for name in names:
        if name.startswith('tf.contrib') and not set_up_tensorflow_1_15():
            continue
        if name.startswith('PyTorch') and importlib.util.find_spec('torch') is None:
            print(f'{name}: left out, torch is not installed (make bench-train-all)')
        elif 'bfloat16' in name and not has_bfloat16():
            print(f'{name}: left out, this processor has no bfloat16 instructions')
        else:
            left.append(name)
    return left


def show(rows: list[Row], batch_size: int) -> None:
    wide = max(len(f'{row.name} ({row.version})') for row in rows)
    print(f'{f"batch {batch_size}":{wide}} {"sec/step":>9} {"images/s":>9} {"time":>5} '
          f'{"quartiles":>11} {"MiB":>6}')
    for row in rows:
        median = statistics.median(row.durations)
        low, high = row.quartiles
        print(f'{f"{row.name} ({row.version})":{wide}} {median:9.3f} {batch_size / median:9.1f} '
              f'{row.ratio:5.2f} {low:5.2f}-{high:5.2f} {row.memory:6.0f}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch-sizes', default='8,32', metavar='N,...',
                        help='images in a step (%(default)s)')
    parser.add_argument('--num-batches', type=int, default=12, metavar='N',
                        help=f'rounds that count, after {WARM_UP} that do not (%(default)s)')
    chosen = add_only(parser, CONTESTANTS, REFERENCE)
    arguments = parser.parse_args()
    try:
        batch_sizes = [int(each) for each in arguments.batch_sizes.split(',')]
    except ValueError:
        parser.error('--batch-sizes must be whole numbers with commas between, such as 8,32')
    if min(*batch_sizes, arguments.num_batches) < 1:
        parser.error('--batch-sizes and --num-batches must be at least 1')
    names = chosen(arguments)
    names = who_can_run(names)
    tables = {size: measured(names, size, arguments.num_batches) for size in batch_sizes}
    print(f'A step of training Inception V3 on images of 299x299; {processor()} ({cpu_summary()}), '
          f'{available_cores()} cores')
    for size, rows in tables.items():
        show(rows, size)
    print(f'time: times that of {REFERENCE}, of the medians, with the quartiles of '
          f'{arguments.num_batches} rounds; turns in random order (seed {SEED}); MiB: the most '
          'memory of the process')
    return 0


if __name__ == '__main__':
    sys.exit(main())
