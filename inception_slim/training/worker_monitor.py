"""Monitors the other workers of a cluster, because TensorFlow's runtime waits for them for ever.

TensorFlow notices a killed worker by its broken connections, but not one whose process or machine
hangs. The monitor polls the status of every worker. TensorFlow has no Python API for that, so it
calls a private gRPC method, `/tensorflow.WorkerService/GetStatus`
(tensorflow/core/protobuf/worker_service.proto), which every worker's server answers at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os
import sys
import threading
import time
from typing import Any

import grpc  # a requirement of TensorFlow

EXIT_STUCK = 75  # status of a process that had to end itself; EX_TEMPFAIL of sysexits.h
_METHOD = '/tensorflow.WorkerService/GetStatus'
_INTERVAL = 2.0  # seconds between polls
_REFUSED = 4.0  # seconds of refused connections after which a worker is lost
_GRACE = 20.0  # seconds for this process to react to the loss of a worker before it ends itself


def _get_status(channel: grpc.Channel, timeout: float) -> bytes:
    """The serialized status of a worker: its devices with a random number per server start."""
    call = channel.unary_unary(_METHOD, request_serializer=bytes, response_deserializer=bytes)
    return call(b'', timeout=timeout)


def _open_channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[
        ('grpc.enable_http_proxy', 0), ('grpc.max_receive_message_length', -1),
        ('grpc.initial_reconnect_backoff_ms', 500), ('grpc.max_reconnect_backoff_ms', 1000)])


def is_alive(address: str, timeout: float = 2.0) -> bool:
    """Whether a worker's server responds within `timeout` seconds."""
    with _open_channel(address) as channel:
        try:
            _get_status(channel, timeout)
        except grpc.RpcError:
            return False
        return True


class WorkerMonitor:
    """Polls the other workers in threads, and closes the session when one is lost.

    TensorFlow may hang then: `session.close()` in the monitor's thread and `session.run` in the
    main thread both wait for the lost worker. So once a worker is lost the process has 20 seconds
    to call `stop`; then the monitor ends it with status `EXIT_STUCK`.

    Attributes:
      lost: the index of the first lost worker and the reason; None as long as all respond.
    """

    def __init__(self, addresses: Sequence[str], index: int, timeout: float):
        """
        Args:
          addresses: `host:port` of all workers.
          index: this worker's number.
          timeout: seconds without a response after which a worker is lost.
        """
        self._addresses = addresses
        self._index = index
        self._timeout = timeout
        self._lock = threading.Lock()
        self._failed, self._closed, self._stopped = (threading.Event() for _ in range(3))
        self._session: Any = None
        self._exit_suspended = False
        self.lost: tuple[int, str] | None = None

    def start(self) -> None:
        for index in range(len(self._addresses)):
            if index != self._index:
                threading.Thread(target=self._poll, args=[index], daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _poll(self, index: int) -> None:
        first_status = None
        last_response = time.monotonic()
        with _open_channel(self._addresses[index]) as channel:
            while not self._stopped.wait(_INTERVAL):
                try:
                    status = _get_status(channel, min(self._timeout, 10.0))
                except grpc.RpcError as error:
                    silent = time.monotonic() - last_response
                    refused = error.code() == grpc.StatusCode.UNAVAILABLE
                    if refused and silent > min(_REFUSED, self._timeout):
                        return self._report_loss(index, 'has exited or was killed')
                    if silent > self._timeout:
                        return self._report_loss(index, f'did not respond for {silent:.0f} seconds')
                    continue
                last_response = time.monotonic()
                if first_status is None:
                    first_status = status
                elif status != first_status:
                    return self._report_loss(index, 'was restarted')

    def _report_loss(self, index: int, reason: str) -> None:
        with self._lock:
            if self.lost is not None or self._stopped.is_set():
                return
            self.lost = index, reason
            session, self._session = self._session, None
        self._failed.set()
        threading.Thread(target=self._exit_if_stuck, daemon=True).start()
        if session is not None:
            session.close()  # ends the step that waits for the lost worker
            self._closed.set()

    def _exit_if_stuck(self) -> None:
        """Ends the process, unless `stop` is called in time."""
        remaining = _GRACE
        while remaining > 0:
            if self._stopped.wait(min(1.0, remaining)):
                return
            if not self._exit_suspended:
                remaining -= 1.0
        index, reason = self.lost or (0, '')
        name = 'The chief' if index == 0 else f'Worker {index}'
        try:
            sys.stdout.flush()
            print(
                f'inception-slim: {name} ({self._addresses[index]}) {reason}, and TensorFlow does '
                'not return from the interrupted step; this process ends. To resume the training, '
                'run the same command in every worker.',
                file=sys.stderr,
                flush=True,
            )
        finally:
            os._exit(EXIT_STUCK)

    @contextmanager
    def exit_suspended(self) -> Iterator[None]:
        """Suspends the forced exit inside the block, as while a checkpoint is written."""
        self._exit_suspended = True
        try:
            yield
        finally:
            self._exit_suspended = False

    @contextmanager
    def close_on_loss(self, session: Any) -> Iterator[None]:
        """Closes the session if a worker is lost before or inside the block."""
        with self._lock:
            lost = self.lost is not None
            self._session = None if lost else session
        if lost:
            session.close()
        try:
            yield
        finally:
            with self._lock:
                closing = not lost and self._session is None
                self._session = None
            if closing:  # whoever uses the session after this block finds it open or closed
                self._closed.wait(_GRACE)

    def wait_for_failure(self) -> tuple[int, str] | None:
        """Waits until a worker is known to be lost; None if all respond within the timeout."""
        self._failed.wait(self._timeout + 2 * _INTERVAL)
        return self.lost
