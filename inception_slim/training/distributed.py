"""Workers that train one network together, each on its own part of the data.

Synchronous data parallelism on TensorFlow's own distributed runtime: each worker is a
`tf.train.Server` with a copy of the variables, and gradients are averaged by its collective ring
before they are applied. Where nobody asked for workers, a worker is alone and none of this is in
its graph. Who the workers are is what `TF_CONFIG` says, as launchers set it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass, field
from importlib import metadata
import json
import os
import socket
import time
from typing import Any

from inception_slim.errors import InceptionSlimError, TrainingError, WorkerLostError
from inception_slim.training.tf_config import parse_tf_config
import numpy as np
import tensorflow.compat.v1 as tf

_BUCKET = 16 * 2**20  # bytes of gradients that travel together: few messages, and early ones
_NOTE = 2**16  # bytes of what a worker tells the others, at most
# What a step raises for reasons of its own.
_OWN = (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError,
        tf.errors.OutOfRangeError, tf.errors.DataLossError, tf.errors.NotFoundError)
_WORKER = 'worker'


@dataclass
class SingleWorker:
    """A worker without others: what each call means where there is one process."""

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def together(self, what: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        """Calls a function in every worker; returns what each found, in their order.

        Raises:
          InceptionSlimError: the function raised one, here or in another worker.
        """
        return [what()]

    def alike(self, told: Sequence[Mapping[str, Any]], names: Iterable[str]) -> None:
        """Raises a TrainingError, unless what all found `together` is the same under these names.
        """

    def summed(self, numbers: Sequence[int]) -> list[int]:
        """The sums over all workers, number for number."""
        return list(numbers)

    def session(self) -> tf.Session:
        """A session for the default graph."""
        return tf.Session()

    @contextlib.contextmanager
    def watched(self, session: tf.Session) -> Iterator[None]:
        """Inside, the loss of another worker is raised as a WorkerLostError."""
        yield

    def mean(self, tensor: tf.Tensor) -> tf.Tensor:
        """The mean of a float tensor over all workers, bit for bit the same in each."""
        return tensor

    def broadcast(self, variables: Sequence[tf.Variable]) -> tf.Operation:
        """Gives variables the chief's values, in every worker."""
        return tf.no_op()

    def end(self) -> None:
        """Waits until all have made their last step."""


@dataclass
class DistributedWorkers(SingleWorker):
    """One of several workers, connected with the others.

    Attributes:
      addresses: of all.
      patience: seconds after which a worker that does not answer is lost.
    """

    addresses: tuple[str, ...] = ()
    patience: float = 30.0
    _keys: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.count = len(self.addresses)
        self._config = tf.ConfigProto()
        self._config.experimental.collective_group_leader = f'/job:{_WORKER}/replica:0/task:0'
        self._config.device_filters.append(f'/job:{_WORKER}/task:{self.index}')
        port = int(self.addresses[self.index].rpartition(':')[2])
        _check_free(port, self.addresses[self.index])
        try:
            self._server = tf.train.Server(
                tf.train.ClusterSpec({_WORKER: list(self.addresses)}), job_name=_WORKER,
                task_index=self.index, config=self._config)
        except tf.errors.OpError as error:
            raise TrainingError(f'No server can listen on port {port} '
                                f'({error.message.splitlines()[0].rstrip(".")}); give this worker '
                                'a free port.') from None
        # Here, so that one process alone does not pay for the import of gRPC.
        from inception_slim.training import worker_monitor
        self._answers = worker_monitor.is_alive
        self.watch = worker_monitor.WorkerMonitor(self.addresses, self.index, self.patience)

    def wait(self, minutes: float, log: Callable[[str], None] | None) -> None:
        """Until every worker answers.

        Raises:
          TrainingError: one has not, in so many minutes.
        """
        until, told = time.monotonic() + 60 * minutes, 0.0
        missing = [each for each in range(self.count) if each != self.index]
        while missing:
            missing = [each for each in missing if not self._answers(self.addresses[each])]
            if not missing:
                break
            names = ', '.join(self.name(each) for each in missing)
            if time.monotonic() > until:
                raise TrainingError(f'Waited {minutes:g} minutes for {names}: start every worker, '
                                    'and see that each reaches the others at its address.')
            if log and time.monotonic() - told > 15:
                log(f'Waiting for {names}')
                told = time.monotonic()
            time.sleep(0.2)
        self.watch.start()

    def name(self, index: int) -> str:
        return f'{"the chief" if index == 0 else f"worker {index}"} ({self.addresses[index]})'

    def together(self, what: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        failed = None
        try:
            told = what()
        except InceptionSlimError as error:
            failed, told = error, {'error': str(error)[:4000]}
        note = json.dumps(told).encode()
        if len(note) > _NOTE:
            raise TrainingError(f'{len(note):,} bytes of options are more than the {_NOTE:,} that '
                                'a worker can tell the others; give shorter ones.')
        packed = np.frombuffer(note.ljust(_NOTE), np.int32)
        gathered = self._run(lambda: tf.raw_ops.CollectiveGather(
            input=tf.constant(packed), group_size=self.count, group_key=1,
            instance_key=self._key(), shape=[self.count * packed.size])).reshape(self.count, -1)
        if failed is not None:
            raise failed
        notes = [json.loads(bytes(each)) for each in gathered]
        for index, each in enumerate(notes):
            if 'error' in each:
                raise TrainingError(f'Training cannot begin: {self.name(index)} says: '
                                    f'{each["error"]}')
        return notes

    def alike(self, told: Sequence[Mapping[str, Any]], names: Iterable[str]) -> None:
        for index, each in enumerate(told):
            for name in names:
                if each.get(name) != told[0].get(name):
                    raise TrainingError(
                        f'{_capital(self.name(index))} has {each.get(name)!r} for {name}, but the '
                        f'chief {told[0].get(name)!r}; start all workers alike.')

    def summed(self, numbers: Sequence[int]) -> list[int]:
        mine = np.asarray(numbers, np.int64)
        return self._run(lambda: self._reduced(tf.constant(mine), 'Id')).tolist()

    def _run(self, build: Callable[[], tf.Tensor]) -> np.ndarray:
        """The value of a graph of its own."""
        with tf.Graph().as_default():
            built = build()
            with self.session() as session, self.watched(session):
                return session.run(built)

    def session(self) -> tf.Session:
        return tf.Session(self._server.target, config=self._config)

    @contextlib.contextmanager
    def watched(self, session: tf.Session) -> Iterator[None]:
        try:
            with self.watch.closing(session):
                yield
        except (tf.errors.OpError, RuntimeError) as error:
            # A lost neighbour shows by many codes, and a session that was closed by a
            # RuntimeError; what is wrong in this worker alone is told by others.
            if isinstance(error, _OWN) or 'DatasetError' in str(error):
                raise
            lost = self.watch.wait_for_loss()
            if lost is None:
                raise
            index, why = lost
            raise WorkerLostError(f'{_capital(self.name(index))} {why}') from None

    # ---- in the graph

    def _key(self) -> int:
        """Of the next collective: the same in all workers, as they build the same in one order."""
        self._keys += 1
        return self._keys

    def _reduced(self, tensor: tf.Tensor, final: str) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduce(
            input=tensor, group_size=self.count, group_key=1, instance_key=self._key(),
            merge_op='Add', final_op=final, subdiv_offsets=[0])

    def mean(self, tensor: tf.Tensor) -> tf.Tensor:
        return self._reduced(tensor, 'Div')

    def averaged(self, gradients: Sequence[tuple[tf.Tensor, tf.Variable]],
                 after: Sequence[tf.Operation]) -> list[tuple[tf.Tensor, tf.Variable]]:
        """Gradients as their means over all workers; none is there before all are.

        So that a step that another worker's end cuts short has changed no variable.
        """
        with_values = [(gradient, variable) for gradient, variable in gradients
                       if gradient is not None]
        # The last layers' gradients are ready first.
        buckets = _buckets([tf.convert_to_tensor(gradient)
                            for gradient, _ in reversed(with_values)])
        reduced = []
        for bucket in buckets:
            flat = self.mean(tf.concat([tf.reshape(each, [-1]) for each in bucket], 0))
            pieces = tf.split(flat, [each.shape.num_elements() for each in bucket])
            reduced += [tf.reshape(piece, each.shape) for piece, each in zip(pieces, bucket)]
        with tf.control_dependencies([*after, *(each.op for each in reduced)]):
            reduced = [tf.identity(each) for each in reversed(reduced)]
        return list(zip(reduced, [variable for _, variable in with_values]))

    def broadcast(self, variables: Sequence[tf.Variable]) -> tf.Operation:
        given = []
        for kind in sorted({each.dtype.base_dtype.name for each in variables}):
            of_kind = [each for each in variables if each.dtype.base_dtype.name == kind]
            sizes = [each.shape.num_elements() for each in of_kind]
            group = {'group_size': self.count, 'group_key': 1, 'instance_key': self._key(),
                     'shape': [sum(sizes)]}
            if self.is_chief:
                flat = tf.concat([tf.reshape(each.read_value(), [-1]) for each in of_kind], 0)
                given.append(tf.raw_ops.CollectiveBcastSend(input=flat, **group).op)
                continue
            flat = tf.raw_ops.CollectiveBcastRecv(T=tf.as_dtype(kind), **group)
            given += [tf.assign(variable, tf.reshape(piece, variable.shape)).op
                      for variable, piece in zip(of_kind, tf.split(flat, sizes))]
        return tf.group(*given)

    def end(self) -> None:
        """Waits for the others' last step.

        A worker that is gone by then has made its own: who fails to reach it has lost nothing.
        """
        with tf.Graph().as_default():
            together = self._reduced(tf.constant([0.0]), 'Id')
            with self.session() as session:
                with contextlib.suppress(tf.errors.OpError, RuntimeError), \
                        self.watch.closing(session):
                    session.run(together)
        self.watch.stop()


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _buckets(tensors: Sequence[tf.Tensor]) -> list[list[tf.Tensor]]:
    """Tensors in their order, in groups of one type that travel as one."""
    groups: list[list[tf.Tensor]] = []
    filled = 0
    for each in tensors:
        size = each.shape.num_elements() * each.dtype.size
        if not groups or filled + size > _BUCKET or groups[-1][0].dtype != each.dtype:
            groups.append([])
            filled = 0
        groups[-1].append(each)
        filled += size
    return groups


def _check_free(port: int, address: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            raise TrainingError(f'Port {port} of {address} cannot be listened on '
                                f'({error.strerror}); end what uses it, or give this worker '
                                'another.') from None


def join_cluster(config: str | None, options: Mapping[str, Any], *, patience: float,
           minutes: float, log: Callable[[str], None] | None) -> SingleWorker:
    """This process as a worker, connected with the others where there are any.

    Args:
      config: as of `place`.
      options: what must be the same in all workers.
      patience: seconds after which a worker that does not answer is lost.
      minutes: to wait for the others to come.
      log: called with a line now and then.

    Raises:
      TrainingError: `config` is wrong, the port is in use, a worker does not come, or one runs
        another version or has other options.
    """
    found = parse_tf_config(config)
    if not found.addresses:
        return SingleWorker()
    workers = DistributedWorkers(index=found.index, addresses=found.addresses, patience=patience)
    workers.wait(minutes, log)
    mine = {'inception_slim': metadata.version('inception_slim'), 'tensorflow': tf.__version__,
            **options}
    # Through JSON, as the others' come.
    mine = json.loads(json.dumps(mine, default=os.fspath))
    workers.alike(workers.together(lambda: mine), mine)
    return workers
