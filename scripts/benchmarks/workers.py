"""Workers that train together on this machine, beside one process with all its cores.

Each worker has its share of the cores, and with the others as many images a step as the one
process. Turns are interleaved. Beside them, TensorFlow's other way: `SyncReplicasOptimizer` with a
parameter server, whose processes share all cores. Then what the same traffic would cost on a
network: a model, whose assumptions are printed with it.
"""

import argparse
import json
import os
import random
import statistics
import sys

from inception_slim.inference.cpu_features import available_cores, cpu_summary
from inception_slim.training.local_launcher import free_ports, partition_cores
from tqdm import tqdm

from scripts.benchmarks.forward import processor
from scripts.benchmarks.worker_process import Process

HERE = os.path.dirname(os.path.abspath(__file__))
WARM_UP = 2
SEED = 0
WORKERS = (2, 4, 8, 16, 32, 64)
GIGABITS = (10, 100)


class Group:
    """Processes that make a step together."""

    def __init__(self, network: str, batch_size: int, tasks: list[tuple[str, int]],
                 shares: list[set[int]] | None = None):
        """`tasks` are job and images of each process; one alone has no cluster."""
        cluster: dict[str, list[str]] = {}
        for (job, _), port in zip(tasks, free_ports(len(tasks))):
            cluster.setdefault(job, []).append(f'127.0.0.1:{port}')
        counted = dict.fromkeys(cluster, 0)
        self.processes = []
        for number, (job, images) in enumerate(tasks):
            config = {'cluster': cluster, 'task': {'type': job, 'index': counted[job]}}
            counted[job] += 1
            self.processes.append(Process(
                [sys.executable, os.path.join(HERE, 'train_worker.py'), network, str(images)],
                shares[number] if shares else None,
                {'TF_CONFIG': json.dumps(config) if len(tasks) > 1 else ''}))
        for each in self.processes:
            self.answer(each)

    def answer(self, process: Process) -> str:
        line = process.process.stdout.readline()
        if not line:
            raise SystemExit(f'A worker failed: {process.why_it_ended()}')
        return line

    def step(self) -> float:
        for each in self.processes:
            each.send('run')
        return max(float(self.answer(each)) for each in self.processes)

    def close(self) -> None:
        for each in self.processes:
            each.process.kill()
            each.process.wait()


def bytes_of_gradients() -> int:
    """Of one step of Inception V3 with its auxiliary head and 1,001 classes, in float32."""
    from inception_slim import training
    import tensorflow.compat.v1 as tf

    tf.get_logger().setLevel('ERROR')
    with tf.Graph().as_default():
        training.build_step(tf.zeros((1, 299, 299, 3)), tf.zeros((1,), tf.int64), 1001)
        return sum(4 * each.shape.num_elements() for each in tf.trainable_variables())


def traffic(seconds: float, images: int) -> None:
    """What N workers, each with a step of so many seconds for so many images, would reach."""
    size = bytes_of_gradients()
    print(f'\nA model: each worker makes a step of {images} images in {seconds:.3f} sec, and sends '
          f'and takes 2 (N - 1) / N times {size / 2**20:.0f} MiB of gradients a step, at the whole '
          'rate of its link; latency, stragglers and the processor time of sending cost nothing. '
          'Efficiency where nothing of it overlaps with the computing, and where all does:')
    print('workers   MiB a step' + ''.join(f'{rate:>16} Gbit/s' for rate in GIGABITS))
    for count in WORKERS:
        sent = 2 * (count - 1) / count * size
        cells = []
        for rate in GIGABITS:
            wire = sent / (rate * 1e9 / 8)
            least, most = seconds / (seconds + wire), seconds / max(seconds, wire)
            cells.append(f'{least:>8.1%} to {most:>6.1%}'.rjust(23))
        print(f'{count:>7}   {sent / 2**20:>10.0f}' + ''.join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--workers', type=int, default=2, metavar='N')
    parser.add_argument('--batch-size', type=int, default=8, metavar='N',
                        help='images a step of each worker (%(default)s)')
    parser.add_argument('--num-batches', type=int, default=12, metavar='N',
                        help=f'rounds that count, after {WARM_UP} that do not (%(default)s)')
    parser.add_argument('--servers', action='store_true',
                        help='beside a parameter server too')
    arguments = parser.parse_args()
    count, images = arguments.workers, arguments.batch_size
    shares = partition_cores(count)
    if count < 2 or not shares:
        parser.error(f'--workers must be at least 2, and at most the cores, but is {count}')
    workers = [('worker', images)] * count
    groups = {'one process': Group('inception_slim float32', images, [('worker', count * images)]),
              f'{count} workers': Group('inception_slim float32', images, workers, shares)}
    if arguments.servers:
        groups[f'{count} workers, 1 server'] = Group('parameter servers', images,
                                                     [('ps', 0), *workers])
    chance = random.Random(SEED)
    durations: dict[str, list[float]] = {name: [] for name in groups}
    for number in tqdm(range(arguments.num_batches + WARM_UP), disable=None):
        for name in chance.sample(list(groups), len(groups)):
            seconds = groups[name].step()
            if number >= WARM_UP:
                durations[name].append(seconds)
    for group in groups.values():
        group.close()
    alone = durations['one process']
    print(
        f'A step of training on {count * images} images of 299x299; {processor()} ({cpu_summary()}), '
        f'{available_cores()} cores'
    )
    for name, found in durations.items():
        ratios = sorted(one / other for one, other in zip(alone, found))
        quarter = len(ratios) // 4
        median = statistics.median(found)
        print(f'{name:22} {median:7.3f} sec  {count * images / median:6.1f} images/s  '
              f'{statistics.median(alone) / median:5.2f} times those of one process '
              f'({ratios[quarter]:.2f}-{ratios[-quarter - 1]:.2f})')
    traffic(statistics.median(durations[f'{count} workers']), images)


if __name__ == '__main__':
    main()
