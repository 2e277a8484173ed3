"""The Ray backend: runs the work units on Ray Data, with one predictor per Ray worker.

Ray transfers a task to a worker and the files of its shards back. Only the driver, this process,
writes the output, which is that of the local backend; other hosts need no access to it. If a worker
or a host is lost, Ray runs its unfinished work units on another one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
import contextlib
import logging
import os
import pickle
import re
import socket
import tempfile
from typing import Any

from inception_slim._optional import require
from inception_slim._tf_logging import suppress_stderr
from inception_slim.bulk.manifest import checkpoint_files
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.output import Shard
from inception_slim.bulk.worker import Job, Task, Worker
from inception_slim.errors import DatasetError, InceptionSlimError, error_summary
import tensorflow.compat.v1 as tf

_MAX_START_FAILURES = 8  # consecutive failures of workers to start, as when a host is lost
_CONNECT_SECONDS = 10  # timeout for a connection to the head of a cluster


def require_ray() -> None:
    """Raises an InceptionSlimError if Ray Data is not installed."""
    for module in ('pyarrow', 'ray.data'):
        require(module, "The backend 'ray'", InceptionSlimError, extra='bulk')


def run_on_ray(job: Job, checkpoint: str, tasks: Iterable[Task],
               progress: Callable[[int], object]) -> Generator[Shard, None, None]:
    """Yields the shards of work units in any order, as they are finished; see `Worker.shards`.

    Raises:
      DatasetError: as of `Worker.shards`; or the cluster cannot be reached or fails.
    """
    import ray
    with _ray_session(job.options):
        cores, workers = _plan_workers(job.options)
        blocks: list[Any] = [ray.put(_to_block(task)) for task in tasks]
        if not blocks:
            return
        job_ref, files_ref = ray.put(job), ray.put(_read_checkpoint(checkpoint))
        shards = ray.data.from_arrow_refs(blocks).map_batches(
            _Actor, fn_constructor_args=(job_ref, files_ref, os.path.basename(checkpoint), cores),
            batch_size=1, num_cpus=cores,
            # More than there is room for now, because hosts may join the cluster.
            concurrency=(min(workers, len(blocks)), len(blocks)))
        del blocks
        try:
            for row in shards.iter_rows():
                shard = pickle.loads(row['shard'])
                if isinstance(shard, str):
                    raise DatasetError(shard)
                yield shard
                progress(shard.rows + len(shard.unreadable))
        except ray.exceptions.RayError as error:
            raise DatasetError(f'Ray failed: {_ray_summary(error)}. Check the cluster, and run the '
                               'same command to resume.') from error


class _Actor:
    """A `Worker` in a Ray actor, on any host."""

    def __init__(self, job: Any, files: Any, checkpoint: str, cores: int):
        import ray
        self._error: str | None = None
        self._worker: Worker | None = None
        tf.get_logger().setLevel(logging.ERROR)
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in ray.get(files).items():
                with open(os.path.join(scratch, name), 'wb') as file:
                    file.write(content)
            try:
                self._worker = Worker(ray.get(job), os.path.join(scratch, checkpoint), cores)
            except InceptionSlimError as error:
                self._error = str(error)

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list]]:
        try:
            if self._worker is None:
                raise InceptionSlimError(self._error)
            for task in map(pickle.loads, batch['task']):
                for shard in self._worker.shards([task]):
                    yield {'shard': [pickle.dumps(shard)]}
        except InceptionSlimError as error:  # as a result, because Ray retries after an exception
            yield {'shard': [pickle.dumps(str(error))]}


def _to_block(task: Task) -> Any:
    import pyarrow
    return pyarrow.table({'task': pyarrow.array([pickle.dumps(task)], pyarrow.binary())})


def _read_checkpoint(checkpoint: str) -> dict[str, bytes]:
    """Returns the files of a checkpoint by name; they are sent to the hosts."""
    files = {}
    for path in checkpoint_files(checkpoint):
        with tf.io.gfile.GFile(path, 'rb') as file:
            files[os.path.basename(path)] = file.read()
    return files


@contextlib.contextmanager
def _ray_session(options: BulkOptions) -> Iterator[None]:
    """Uses the caller's Ray session, or joins or starts a cluster for the time of the block."""
    import ray
    import ray.data
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    # Silences Ray's core, which logs internals to standard error.
    os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
    _init_ray(options.ray_address)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    if hasattr(context, 'max_consecutive_actor_init_deaths'):
        context.max_consecutive_actor_init_deaths = _MAX_START_FAILURES
    logging.getLogger('ray.data').setLevel(logging.CRITICAL)  # errors are also raised
    try:
        yield
    finally:
        ray.shutdown()


def _init_ray(address: str | None) -> None:
    """Joins a cluster, or starts one on this machine."""
    import ray
    host, _, port = (address or '').rpartition(':')
    if port.isdigit() and '/' not in host:
        try:  # because Ray would retry for more than a minute
            socket.create_connection((host.strip('[]'), int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise DatasetError(f'No Ray cluster responds at {address} ({error_summary(error)}).'
                               ) from None
    options: dict[str, Any] = {'include_dashboard': False} if address is None else {}
    with suppress_stderr():
        try:
            ray.init(address or 'local', logging_level=logging.ERROR, log_to_driver=False,
                     **options)
            return
        except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError) as error:
            failure = error
    raise DatasetError(f'The Ray cluster {address or "of this machine"} cannot be joined: '
                       f'{_ray_summary(failure)}.')


def _ray_summary(error: Exception) -> str:
    """The first line of Ray's message and the last one, which has the cause."""
    lines = [line.strip().rstrip('.') for line in re.sub('\x1b\\[[0-9;]*m', '', str(error)
                                                         ).splitlines() if line.strip()]
    return ': '.join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__


def _plan_workers(options: BulkOptions) -> tuple[int, int]:
    """Returns the cores of each worker, and the number of workers that the cluster has room for."""
    import ray
    hosts = [int(node['Resources'].get('CPU', 0)) for node in ray.nodes() if node['Alive']]
    hosts = [cores for cores in hosts if cores]
    if not hosts:
        raise DatasetError('No host of the Ray cluster has CPUs; start one with --num-cpus.')
    worker_cores = options.cores or min(hosts)
    if worker_cores > max(hosts):
        raise DatasetError(f'cores is {worker_cores}, but the largest host of the Ray cluster has '
                           f'{max(hosts)}.')
    return worker_cores, sum(cores // worker_cores for cores in hosts)
