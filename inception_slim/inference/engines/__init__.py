"""The engine interface; one module for each engine.

What a library initialises at its first inference is initialised by one thread: OpenVINO deadlocks
if two threads make its first `InferRequest.infer` at the same time (one waits in
`__cxa_guard_acquire` with the GIL held; the other is inside that guard, in pybind11's `call_once`
for NumPy's C API, and needs the GIL). Every engine therefore makes one inference in its
constructor, before any thread pool runs, under `first_call_lock`; see `warm_up`. Code that calls
one of the libraries directly does the same.
"""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Protocol

import numpy as np

first_call_lock = threading.Lock()
_initialized: set[str] = set()


def warm_up(library: str, infer: Callable[[], object]) -> None:
    """Makes the first inference of a library in this process, one thread at a time.

    Args:
      library: its name, such as 'openvino'.
      infer: runs an inference of the smallest batch; called only if no inference of the library
        has succeeded in this process yet.
    """
    if library in _initialized:
        return
    with first_call_lock:
        if library not in _initialized:
            infer()
            _initialized.add(library)


class Engine(Protocol):
    """Computes features of images."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """`[N, 299, 299, 3]` float32 in [-1, 1] to `[N, 2048]` float32; N is at least 1."""

    def close(self) -> None:
        """Frees the memory and the threads of the engine."""


class ClassifierHead(Protocol):
    """Computes logits and predictions from features, in float32."""

    channels: int  # of the features

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`[N, channels]` to `[N, num_classes]`."""

    def predictions(self, features: np.ndarray) -> np.ndarray:
        """`[N, channels]` to predictions, `[N, num_classes]`: the activation of the logits."""

    def close(self) -> None:
        """Frees the memory of the head."""
