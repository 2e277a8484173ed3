"""The work on Ray Data: one process with one predictor for each host's share of cores.

A block of Ray's is a piece on the way there, and a shard's files on the way back: what is written
is what the embedded engine writes, and by this process alone, so that no other needs to see the
output. A process or a host that is lost costs the pieces that it was at; Ray does them elsewhere.
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

from inception_slim._tf_logging import suppress_stderr
from inception_slim.bulk.manifest import checkpoint_files
from inception_slim.bulk.options import BulkOptions
from inception_slim.bulk.shard_writer import Shard
from inception_slim.bulk.worker import Job, Task, Worker
from inception_slim.errors import DatasetError, InceptionSlimError
import tensorflow.compat.v1 as tf

_DEATHS = 8  # of processes in a row that end before they have begun, as with a host that is lost
_SECONDS = 10  # that the head of a cluster has to answer


def require_ray() -> None:
    """Raises, in a sentence, where there is no Ray."""
    try:
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as error:
        raise InceptionSlimError(f'Ray needs {(error.name or "ray").split(".")[0]}: pip install '
                                 '"inception_slim[bulk]", or let it be done here.') from None


def run_on_ray(job: Job, checkpoint: str, todo: Iterable[Task],
           tick: Callable[[int], object]) -> Generator[Shard, None, None]:
    """The shards of pieces, as they are done, in any order; see `work.Worker.shards`.

    Raises:
      DatasetError: see there; or the cluster is not there.
    """
    import ray
    with _ray_session(job.options):
        cores, now = _share(job.options)
        blocks: list[Any] = [ray.put(_block(each)) for each in todo]
        if not blocks:
            return
        job_there, files = ray.put(job), ray.put(_contents(checkpoint))
        at_least = min(now, len(blocks))
        done = ray.data.from_arrow_refs(blocks).map_batches(
            _Actor, fn_constructor_args=(job_there, files, os.path.basename(checkpoint), cores),
            batch_size=1, num_cpus=cores,
            concurrency=(at_least, len(blocks)))  # for the hosts that may come
        del blocks
        try:
            for row in done.iter_rows():
                shard = pickle.loads(row['shard'])
                if isinstance(shard, str):
                    raise DatasetError(shard)
                yield shard
                tick(shard.rows + len(shard.damaged))
        except ray.exceptions.RayError as error:
            raise DatasetError(f'Ray cannot go on: {_words(error)}; see to the cluster, and '
                               'give the same command again.') from error


class _Actor:
    """A worker, on whatever host."""

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
            for todo in map(pickle.loads, batch['todo']):
                for shard in self._worker.shards([todo]):
                    yield {'shard': [pickle.dumps(shard)]}
        except InceptionSlimError as error:  # as an answer, or Ray would try again
            yield {'shard': [pickle.dumps(str(error))]}


def _block(todo: Task) -> Any:
    import pyarrow
    return pyarrow.table({'todo': pyarrow.array([pickle.dumps(todo)], pyarrow.binary())})


def _contents(checkpoint: str) -> dict[str, bytes]:
    """A checkpoint, so that no other host needs to see its files."""
    found = {}
    for path in checkpoint_files(checkpoint):
        with tf.io.gfile.GFile(path, 'rb') as file:
            found[os.path.basename(path)] = file.read()
    return found


@contextlib.contextmanager
def _ray_session(options: BulkOptions) -> Iterator[None]:
    """Inside, Ray is there: a cluster that is joined, one that the caller is in, or a new one."""
    import ray
    import ray.data
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    # Of its core, which writes to standard error what is no concern of the user's.
    os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
    failure = _initialized(options.ray_address)
    if failure is not None:
        raise DatasetError(f'The Ray cluster {options.ray_address or "of this machine"} cannot be '
                           f'joined: {_words(failure)}.')
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    if hasattr(context, 'max_consecutive_actor_init_deaths'):
        context.max_consecutive_actor_init_deaths = _DEATHS
    logging.getLogger('ray.data').setLevel(logging.CRITICAL)  # errors are raised, too
    try:
        yield
    finally:
        ray.shutdown()


def _initialized(address: str | None) -> Exception | None:
    """Starts a cluster, or joins one; what it fails with. Its own remarks are held back."""
    import ray
    host, _, port = (address or '').rpartition(':')
    if port.isdigit() and '/' not in host:
        try:  # Ray would try for a minute and more
            socket.create_connection((host.strip('[]'), int(port)), _SECONDS).close()
        except OSError as error:
            return ConnectionError(f'nothing answers there ({error.strerror or error})')
    more: dict[str, Any] = {'include_dashboard': False} if address is None else {}
    with suppress_stderr():
        try:
            ray.init(address or 'local', logging_level=logging.ERROR, log_to_driver=False, **more)
        except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError) as error:
            return error
    return None


def _words(error: Exception) -> str:
    """The first of what Ray says, and the last, which is what it came of."""
    lines = [line.strip().rstrip('.') for line in re.sub('\x1b\\[[0-9;]*m', '', str(error)
                                                         ).splitlines() if line.strip()]
    return ': '.join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__


def _share(options: BulkOptions) -> tuple[int, int]:
    """The cores of each process, and for how many of them there is room now."""
    import ray
    cores = [int(node['Resources'].get('CPU', 0)) for node in ray.nodes() if node['Alive']]
    cores = [each for each in cores if each]
    if not cores:
        raise DatasetError('No host of the Ray cluster has cores to give; start it with some.')
    share = options.cores or min(cores)
    if share > max(cores):
        raise DatasetError(f'{share} cores a process are asked for, but no host of the Ray cluster '
                           f'has more than {max(cores)}.')
    return share, sum(each // share for each in cores)
