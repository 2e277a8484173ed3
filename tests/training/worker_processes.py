"""Starts workers as processes of this machine."""

from concurrent.futures import ThreadPoolExecutor
import contextlib
import os
import subprocess
import sys

from inception_slim.training.local_launcher import free_ports
from inception_slim.training.tf_config import make_tf_config

# Without moving averages of the weights, which make a quarter of the graph.
_SMALL = ['--depth-multiplier', '0.05', '--min-depth', '4', '--image-size', '64', '--batch-size',
          '2', '--summary-steps', '1', '--network', 'inception_v2', '--moving-average-decay', '0',
          '--batch-norm-decay', 'auto']


def train_command(dataset, folder, *arguments):
    """The arguments of `inception-slim` to train a small network."""
    return ['train', str(dataset), '--train-dir', str(folder), *_SMALL, *arguments]


def cluster_environments(count):
    """The environment of each worker of a cluster."""
    addresses = [f'127.0.0.1:{port}' for port in free_ports(count)]
    return [{'TF_CONFIG': make_tf_config(addresses, index)} for index in range(count)]


@contextlib.contextmanager
def start_cluster(arguments, count=2):
    """Starts `inception-slim` with these arguments as `count` workers; kills them at the end."""
    processes = [subprocess.Popen(
        [sys.executable, '-m', 'inception_slim', *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', **environment})
        for environment in cluster_environments(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def run_cluster(run, arguments, environments):
    """Calls a function of `fork_server` once per worker, at the same time; returns the results."""
    def run_worker(index):
        return run(*arguments[index], beside=index, **environments[index])

    with ThreadPoolExecutor() as threads:
        return list(threads.map(run_worker, range(len(arguments))))


def read_to_step(process, step):
    """Reads the output of a worker to the line of a step."""
    for line in process.stdout:
        if line.startswith(f'step {step} '):
            return
    raise AssertionError(process.stderr.read())
