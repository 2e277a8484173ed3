"""Whether the other workers are there: what TensorFlow's runtime waits for without end.

A worker that is killed breaks its connections, which TensorFlow notices; one whose process or
machine stands still breaks nothing. So each is asked for its status, which the server of every
worker answers whatever its step is at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import threading
import time
from typing import Any

import grpc  # TensorFlow's own requirement

_STATUS = '/tensorflow.WorkerService/GetStatus'
_EVERY = 2.0  # seconds between questions
_REFUSED = 4.0  # seconds of refused connections after which a worker is gone


def _ask(channel: grpc.Channel, seconds: float) -> bytes:
    """The status of a worker: its devices, each with a number drawn when its server began."""
    call = channel.unary_unary(_STATUS, request_serializer=bytes, response_deserializer=bytes)
    return call(b'', timeout=seconds)


def _channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[
        ('grpc.enable_http_proxy', 0), ('grpc.max_receive_message_length', -1),
        ('grpc.initial_reconnect_backoff_ms', 500), ('grpc.max_reconnect_backoff_ms', 1000)])


def is_alive(address: str, seconds: float = 2.0) -> bool:
    """Whether a worker's server answers at an address."""
    with _channel(address) as channel:
        try:
            _ask(channel, seconds)
        except grpc.RpcError:
            return False
        return True


class WorkerMonitor:
    """Asks the other workers, in a thread, and tells who is lost.

    Args:
      addresses: `host:port` of all workers.
      index: of this one.
      patience: seconds after which one that does not answer is lost.
    """

    def __init__(self, addresses: Sequence[str], index: int, patience: float):
        self._addresses = addresses
        self._others = [each for each in range(len(addresses)) if each != index]
        self._patience = patience
        self._found = threading.Event()
        self._stopped = threading.Event()
        self._session: Any = None
        self._lock = threading.Lock()
        self.lost: tuple[int, str] | None = None

    def start(self) -> None:
        for each in self._others:
            threading.Thread(target=self._watch, args=[each], daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self, index: int) -> None:
        began = None
        heard = time.monotonic()
        with _channel(self._addresses[index]) as channel:
            while not self._stopped.wait(_EVERY):
                try:
                    status = _ask(channel, min(self._patience, 10.0))
                except grpc.RpcError as error:
                    silent = time.monotonic() - heard
                    refused = error.code() == grpc.StatusCode.UNAVAILABLE
                    if refused and silent > min(_REFUSED, self._patience):
                        return self._lose(index, 'has ended or was killed')
                    if silent > self._patience:
                        return self._lose(index, f'has not answered for {silent:.0f} seconds')
                    continue
                heard = time.monotonic()
                if began is None:
                    began = status
                elif status != began:
                    return self._lose(index, 'has ended and was started again')

    def _lose(self, index: int, why: str) -> None:
        with self._lock:
            if self.lost is None and not self._stopped.is_set():
                self.lost = index, why
        self._found.set()
        with self._lock:
            if self._session is not None:
                # Frees the step that waits for the lost one.
                self._session.close()
                self._session = None

    @contextmanager
    def closing(self, session: Any) -> Iterator[None]:
        """Inside, the session is closed when a worker is lost."""
        with self._lock:
            self._session = session
            lost = self.lost
        if lost:
            session.close()
        try:
            yield
        finally:
            with self._lock:
                self._session = None

    def wait_for_loss(self) -> tuple[int, str] | None:
        """Who is lost, once that is known; None if all still answer after all patience."""
        self._found.wait(self._patience + 2 * _EVERY)
        return self.lost
