"""Times distributed training on this machine compared with one process that uses all cores.

Each worker has its share of the cores; all workers together have as many images in a step as the
one process. Steps alternate. With --servers, TensorFlow's alternative is timed too: a parameter
server with `SyncReplicasOptimizer`, whose processes share all cores. Finally prints a model of the
cost of the same traffic on a network.
"""

import argparse
import json
import os
import random
import statistics
import sys

from inception_slim import _tf_logging

_tf_logging.import_tensorflow_quietly()

from inception_slim.training.local_launcher import free_ports, partition_cores
from tqdm import tqdm

from scripts.benchmarks._common import machine
from scripts.benchmarks.worker_process import HERE, Worker

WARM_UP = 2
SEED = 0
WORKERS = (2, 4, 8, 16, 32, 64)
GIGABITS = (10, 100)


class Group:
    """Processes that run a step together."""

    def __init__(self, network: str, tasks: list[tuple[str, int]],
                 shares: list[set[int]] | None = None):
        """`tasks` are the job and the images of each process; a single one has no cluster."""
        cluster: dict[str, list[str]] = {}
        for (job, _), port in zip(tasks, free_ports(len(tasks))):
            cluster.setdefault(job, []).append(f'127.0.0.1:{port}')
        indices = dict.fromkeys(cluster, 0)
        self.workers = []
        for number, (job, images) in enumerate(tasks):
            config = {'cluster': cluster, 'task': {'type': job, 'index': indices[job]}}
            indices[job] += 1
            self.workers.append(Worker(
                [sys.executable, os.path.join(HERE, 'train_worker.py'), network, str(images)],
                shares[number] if shares else None,
                {'TF_CONFIG': json.dumps(config) if len(tasks) > 1 else ''}, wait=False))
        for worker in self.workers:  # they are ready only together
            worker.read_facts()

    def step(self) -> float:
        """Runs a step; returns the duration of the slowest worker."""
        for worker in self.workers:
            worker.send('step')
        return max(worker.receive() for worker in self.workers)

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()


def gradient_bytes() -> int:
    """The gradients of Inception V3 with auxiliary head and 1,001 classes, in float32."""
    from inception_slim import training
    import tensorflow.compat.v1 as tf

    tf.get_logger().setLevel('ERROR')
    with tf.Graph().as_default():
        training.build_step(tf.zeros((1, 299, 299, 3)), tf.zeros((1,), tf.int64), 1001)
        return sum(4 * variable.shape.num_elements() for variable in tf.trainable_variables())


def print_network_model(seconds: float, images: int) -> None:
    """Prints the efficiency of N workers by a model, from the duration of a step of one."""
    size = gradient_bytes()
    print(f'\nModel: each worker runs a step of {images} images in {seconds:.3f} sec and sends and '
          f'receives 2 (N - 1) / N times {size / 2**20:.0f} MiB of gradients at the full rate of '
          'its link; latency, stragglers and the processor time of sending are ignored. '
          'Efficiency if nothing overlaps with computation, and if everything does:')
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
                        help=f'counted rounds, after {WARM_UP} others (%(default)s)')
    parser.add_argument('--servers', action='store_true',
                        help='time a parameter server too')
    arguments = parser.parse_args()
    count, images = arguments.workers, arguments.batch_size
    shares = partition_cores(count)
    if count < 2 or not shares:
        parser.error(f'--workers must be at least 2, and at most the cores, but is {count}')
    workers = [('worker', images)] * count
    groups = {'one process': Group('inception_slim float32', [('worker', count * images)]),
              f'{count} workers': Group('inception_slim float32', workers, shares)}
    if arguments.servers:
        groups[f'{count} workers, 1 server'] = Group('parameter servers', [('ps', 0), *workers])
    rng = random.Random(SEED)
    durations: dict[str, list[float]] = {name: [] for name in groups}
    for number in tqdm(range(arguments.num_batches + WARM_UP), disable=None):
        for name in rng.sample(list(groups), len(groups)):
            seconds = groups[name].step()
            if number >= WARM_UP:
                durations[name].append(seconds)
    for group in groups.values():
        group.close()
    alone = durations['one process']
    print(f'A training step on {count * images} images of 299x299; {machine()}')
    for name, values in durations.items():
        ratios = sorted(one / other for one, other in zip(alone, values))
        quarter = len(ratios) // 4
        median = statistics.median(values)
        print(f'{name:22} {median:7.3f} sec  {count * images / median:6.1f} images/s  '
              f'{statistics.median(alone) / median:5.2f} times one process '
              f'({ratios[quarter]:.2f}-{ratios[-quarter - 1]:.2f})')
    print_network_model(statistics.median(durations[f'{count} workers']), images)


if __name__ == '__main__':
    main()
