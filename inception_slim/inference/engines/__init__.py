"""What runs a network: one file an engine, behind one small interface."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Engine(Protocol):
    """From images to what the classifier sees of them."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """`[N, 299, 299, 3]` float32 in [-1, 1] to `[N, 2048]` float32; N is at least 1."""

    def close(self) -> None:
        """Frees what the engine holds."""


class ClassifierHead(Protocol):
    """From what the classifier sees to its answers, in float32."""

    channels: int  # that it sees

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`[N, channels]` to `[N, num_classes]`."""

    def predictions(self, features: np.ndarray) -> np.ndarray:
        """`[N, channels]` to probabilities, `[N, num_classes]`."""

    def close(self) -> None:
        """Frees what it holds."""
