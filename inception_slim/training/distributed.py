"""Synchronous data parallelism: several processes train one network, each on a part of the data.

Based on TensorFlow's distributed runtime: each worker runs a `tf.train.Server` and holds a copy of
the variables. Gradients are averaged by collective all-reduce (a ring) before they are applied. The
cluster is read from `TF_CONFIG`, which most launchers set; without it there is one worker, and
nothing is added to its graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
from importlib import metadata
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from inception_slim.errors import InceptionSlimError, TrainingError, WorkerLostError, error_summary
from inception_slim.training.tf_config import parse_tf_config
import numpy as np
import tensorflow.compat.v1 as tf

if TYPE_CHECKING:
    from inception_slim.training.worker_monitor import WorkerMonitor

_BUCKET_BYTES = 16 * 2**20  # of gradients per all-reduce: few messages that still start early
_MESSAGE_BYTES = 2**16  # the largest message of one worker in `all_gather`
# Errors that a step raises without the failure of another worker.
_LOCAL_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError,
                 tf.errors.OutOfRangeError, tf.errors.DataLossError, tf.errors.NotFoundError)
_JOB = 'worker'


class WorkerGroup:
    """The workers that train one network together, seen from one of them.

    A group of one, the default, does no communication: its collective operations return their
    arguments and add nothing to the graph. Use a larger group as a context manager; leaving it
    stops the monitoring of the other workers.

    Attributes:
      index: this worker's number; worker 0 is the chief.
      count: number of workers.
      addresses: `host:port` of every worker; empty for a group of one.
    """

    def __init__(self, addresses: Sequence[str] = (), index: int = 0, timeout: float = 30.0):
        """Starts this worker's server, if there are other workers.

        Args:
          addresses: `host:port` of every worker, the chief's first.
          index: this worker's number.
          timeout: seconds without a response after which another worker counts as lost.

        Raises:
          TrainingError: the port of this worker's address is in use.
        """
        self.addresses = tuple(addresses)
        self.index = index
        self.count = max(1, len(self.addresses))
        self._config = tf.ConfigProto()
        self._server: tf.train.Server | None = None
        self._monitor: WorkerMonitor | None = None
        self._collectives = 0
        if self.count > 1:
            # Imported here, because a group of one does not need gRPC.
            from inception_slim.training.worker_monitor import WorkerMonitor
            self._config.experimental.collective_group_leader = f'/job:{_JOB}/replica:0/task:0'
            self._config.device_filters.append(f'/job:{_JOB}/task:{index}')
            self._server = _start_server(self.addresses, index, self._config)
            self._monitor = WorkerMonitor(self.addresses, index, timeout)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def __enter__(self) -> WorkerGroup:
        return self

    def __exit__(self, *_: object) -> None:
        if self._monitor:
            self._monitor.stop()

    def wait_for_workers(self, minutes: float, log: Callable[[str], None] | None) -> None:
        """Waits until every worker responds, then starts to monitor them.

        Args:
          minutes: how long to wait.
          log: called with a line every 15 seconds.

        Raises:
          TrainingError: a worker did not respond in time.
        """
        if not self._monitor:
            return
        from inception_slim.training.worker_monitor import is_alive
        deadline, last_log = time.monotonic() + 60 * minutes, 0.0
        missing = [index for index in range(self.count) if index != self.index]
        while missing := [index for index in missing if not is_alive(self.addresses[index])]:
            names = ', '.join(self.name(index) for index in missing)
            if time.monotonic() > deadline:
                raise TrainingError(f'No response from {names} within {minutes:g} minutes. Start '
                                    'every worker, and check that they can reach each other.')
            if log and time.monotonic() - last_log > 15:
                log(f'Waiting for {names}')
                last_log = time.monotonic()
            time.sleep(0.2)
        self._monitor.start()

    def name(self, index: int) -> str:
        return f'{"the chief" if index == 0 else f"worker {index}"} ({self.addresses[index]})'

    def session(self) -> tf.Session:
        """Returns a session for the default graph."""
        if self._server is None:
            return tf.Session()
        return tf.Session(self._server.target, config=self._config)

    @contextlib.contextmanager
    def raise_on_worker_loss(self, session: tf.Session) -> Iterator[None]:
        """Closes the session if another worker is lost, and raises a WorkerLostError."""
        if not self._monitor:
            yield
            return
        try:
            with self._monitor.close_on_loss(session):
                yield
        except (tf.errors.OpError, RuntimeError) as error:
            # The loss of a worker shows as any of many error codes, and a closed session as a
            # RuntimeError. These are errors of this worker alone:
            if isinstance(error, _LOCAL_ERRORS) or 'DatasetError' in str(error):
                raise
            lost = self._monitor.wait_for_failure()
            if lost is None:
                raise
            index, reason = lost
            raise WorkerLostError(f'{_capitalize(self.name(index))} {reason}') from None

    def exit_suspended(self) -> contextlib.AbstractContextManager[None]:
        """Suspends the forced exit that follows the loss of a worker, as while a file is written.
        """
        return self._monitor.exit_suspended() if self._monitor else contextlib.nullcontext()

    # ---- Collective operations on Python values: every worker must call them in the same order.

    def all_gather(self, function: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        """Calls a function in every worker and returns all results, in the workers' order.

        Args:
          function: returns a dict that JSON can represent, up to 64 KiB.

        Raises:
          InceptionSlimError: the function raised one, here or in another worker.
        """
        if self.count == 1:
            return [function()]
        failure: InceptionSlimError | None = None
        try:
            result = function()
        except InceptionSlimError as error:
            failure, result = error, {'error': str(error)[:4000]}
        message = json.dumps(result).encode()
        if len(message) > _MESSAGE_BYTES:
            raise TrainingError(
                f'The options take {len(message):,} bytes, but workers can exchange '
                f'at most {_MESSAGE_BYTES:,}; give shorter ones.'
            )
        packed = np.frombuffer(message.ljust(_MESSAGE_BYTES), np.int32)
        gathered = self._run(lambda: tf.raw_ops.CollectiveGather(
            input=tf.constant(packed), group_size=self.count, group_key=1,
            instance_key=self._instance_key(), shape=[self.count * packed.size]))
        if failure is not None:
            raise failure
        results = [json.loads(bytes(row)) for row in gathered.reshape(self.count, -1)]
        for index, result in enumerate(results):
            if 'error' in result:
                raise TrainingError(
                    f'Training cannot start: {self.name(index)} reports: {result["error"]}')
        return results

    def check_consistent(self, results: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> None:
        """Raises a TrainingError unless the results of all workers agree on these keys.

        Args:
          results: from `all_gather`.
          keys: the keys to compare.
        """
        for index, result in enumerate(results):
            for key in keys:
                if result.get(key) != results[0].get(key):
                    raise TrainingError(
                        f'{_capitalize(self.name(index))} has {key}={result.get(key)!r}, but the '
                        f'chief has {results[0].get(key)!r}; start all workers with the same '
                        'options.')

    def all_reduce_sum(self, numbers: Sequence[int]) -> list[int]:
        """Returns the element-wise sums over all workers."""
        if self.count == 1:
            return list(numbers)
        values = np.asarray(numbers, np.int64)
        return self._run(lambda: self._all_reduce(tf.constant(values), 'Id')).tolist()

    def barrier(self) -> None:
        """Waits until every worker has finished its last step, and ends the monitoring.

        A worker that already exited has finished its last step, so failing to reach it is harmless.
        """
        if not self._monitor:
            return
        # In a thread, because TensorFlow may wait for ever for a worker that exits first.
        thread = threading.Thread(target=self._reach_all, daemon=True)
        thread.start()
        while thread.is_alive() and self._monitor.lost is None:
            thread.join(0.1)
        self._monitor.stop()

    def _reach_all(self) -> None:
        with contextlib.suppress(tf.errors.OpError, RuntimeError), tf.Graph().as_default():
            reduced = self._all_reduce(tf.constant([0.0]), 'Id')
            with self.session() as session:
                session.run(reduced)

    def _run(self, build: Callable[[], tf.Tensor]) -> np.ndarray:
        """Builds a tensor in a graph of its own and returns its value."""
        with tf.Graph().as_default():
            tensor = build()
            with self.session() as session, self.raise_on_worker_loss(session):
                return session.run(tensor)

    # ---- Collective operations in the graph.

    def _instance_key(self) -> int:
        """The key of the next collective: the same in all workers, which build the same graph."""
        self._collectives += 1
        return self._collectives

    def _all_reduce(self, tensor: tf.Tensor, final_op: str) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduce(
            input=tensor, group_size=self.count, group_key=1, instance_key=self._instance_key(),
            merge_op='Add', final_op=final_op, subdiv_offsets=[0])

    def all_reduce_mean(self, tensor: tf.Tensor) -> tf.Tensor:
        """The mean of a float tensor over all workers, with the same bits in each."""
        return tensor if self.count == 1 else self._all_reduce(tensor, 'Div')

    def average_gradients(
        self,
        gradients: Sequence[tuple[tf.Tensor | None, tf.Variable]],
        control_inputs: Sequence[tf.Operation] = (),
    ) -> list[tuple[tf.Tensor, tf.Variable]]:
        """Averages gradients over all workers.

        No average is available before all of them are, so a step that is interrupted by the loss
        of a worker has changed no variable.

        Args:
          gradients: (gradient, variable) pairs from `Optimizer.compute_gradients`.
          control_inputs: operations that must run before the averages are available.
        """
        pairs = [(gradient, variable) for gradient, variable in gradients if gradient is not None]
        # The gradients of the last layers are ready first.
        buckets = _fill_buckets([tf.convert_to_tensor(gradient)
                                 for gradient, _ in reversed(pairs)])
        averages: list[tf.Tensor] = []
        for bucket in buckets:
            flat = self.all_reduce_mean(
                tf.concat([tf.reshape(tensor, [-1]) for tensor in bucket], 0))
            parts = tf.split(flat, [tensor.shape.num_elements() for tensor in bucket])
            averages += [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, bucket)]
        with tf.control_dependencies([*control_inputs, *(tensor.op for tensor in averages)]):
            averages = [tf.identity(tensor) for tensor in reversed(averages)]
        return list(zip(averages, [variable for _, variable in pairs]))

    def broadcast(self, variables: Sequence[tf.Variable]) -> tf.Operation:
        """Returns an op that assigns the chief's values to these variables, in every worker."""
        if self.count == 1:
            return tf.no_op()
        operations = []
        for dtype in sorted({variable.dtype.base_dtype.name for variable in variables}):
            same_dtype = [item for item in variables if item.dtype.base_dtype.name == dtype]
            sizes = [variable.shape.num_elements() for variable in same_dtype]
            arguments = {'group_size': self.count, 'group_key': 1,
                         'instance_key': self._instance_key(), 'shape': [sum(sizes)]}
            if self.is_chief:
                flat = tf.concat(
                    [tf.reshape(variable.read_value(), [-1]) for variable in same_dtype], 0)
                operations.append(tf.raw_ops.CollectiveBcastSend(input=flat, **arguments).op)
                continue
            flat = tf.raw_ops.CollectiveBcastRecv(T=tf.as_dtype(dtype), **arguments)
            operations += [tf.assign(variable, tf.reshape(part, variable.shape)).op
                           for variable, part in zip(same_dtype, tf.split(flat, sizes))]
        return tf.group(*operations)


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def _fill_buckets(tensors: Sequence[tf.Tensor]) -> list[list[tf.Tensor]]:
    """Splits tensors, in their order, into groups of one dtype that are reduced together."""
    buckets: list[list[tf.Tensor]] = []
    filled = 0
    for tensor in tensors:
        size = tensor.shape.num_elements() * tensor.dtype.size
        if not buckets or filled + size > _BUCKET_BYTES or buckets[-1][0].dtype != tensor.dtype:
            buckets.append([])
            filled = 0
        buckets[-1].append(tensor)
        filled += size
    return buckets


def _start_server(addresses: Sequence[str], index: int, config: tf.ConfigProto) -> tf.train.Server:
    address = addresses[index]
    port = int(address.rpartition(':')[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            raise TrainingError(f'Cannot listen on port {port} of {address} ({error.strerror}); '
                                'stop the process that uses it, or give this worker another port.'
                                ) from None
    try:
        return tf.train.Server(tf.train.ClusterSpec({_JOB: list(addresses)}), job_name=_JOB,
                               task_index=index, config=config)
    except tf.errors.OpError as error:
        raise TrainingError(f'Cannot start a server on port {port} ({error_summary(error)}); give '
                            'this worker a free port.') from None


def join_cluster(config: str | None, options: Mapping[str, Any], *, timeout: float,
                 wait_minutes: float, log: Callable[[str], None] | None) -> WorkerGroup:
    """Makes this process a worker, connected with the other workers if there are any.

    Args:
      config: the value of `TF_CONFIG`; see `parse_tf_config`.
      options: options that must be the same in all workers.
      timeout: seconds without a response after which a worker counts as lost.
      wait_minutes: how long to wait for the other workers to start.
      log: called with a line now and then.

    Raises:
      TrainingError: `config` is invalid, the port is in use, a worker does not start, or the
        workers have different versions or options.
    """
    cluster = parse_tf_config(config)
    workers = WorkerGroup(cluster.addresses, cluster.index, timeout)
    if workers.count == 1:
        return workers
    workers.wait_for_workers(wait_minutes, log)
    versions = {'inception_slim': metadata.version('inception_slim'), 'tensorflow': tf.__version__}
    # Through JSON, as the options of the other workers are received.
    local = json.loads(json.dumps({**versions, **options}, default=os.fspath))
    workers.check_consistent(workers.all_gather(lambda: local), local)
    return workers
