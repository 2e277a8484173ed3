"""Reproducible features and images for the golden tests of FID, KID and the Inception Score."""

import numpy as np


def vectors():
    """Two sets of vectors, `[300, 24]` and `[250, 24]` float32, that differ."""
    rng = np.random.RandomState(0)
    mixing = rng.normal(size=(24, 24))
    return ((rng.normal(size=(300, 24)) @ mixing).astype(np.float32),
            (rng.normal(size=(250, 24)) * 1.2 @ mixing + 0.5).astype(np.float32))


def images():
    """uint8 images whose resizing enlarges, reduces, and does both."""
    rng = np.random.RandomState(1)
    return [rng.randint(0, 256, (*sides, 3)).astype(np.uint8)
            for sides in ((37, 53), (640, 500), (200, 450))]
