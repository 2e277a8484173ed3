"""What is measured in golden tests of FID, KID and the Inception Score: always the same draws."""

import numpy as np


def vectors():
    """Two sets of vectors, `[300, 24]` and `[250, 24]` float32, that differ."""
    chance = np.random.RandomState(0)
    mixing = chance.normal(size=(24, 24))
    return ((chance.normal(size=(300, 24)) @ mixing).astype(np.float32),
            (chance.normal(size=(250, 24)) * 1.2 @ mixing + 0.5).astype(np.float32))


def images():
    """Images to be made larger, smaller, and both: uint8."""
    chance = np.random.RandomState(1)
    return [chance.randint(0, 256, (*sides, 3)).astype(np.uint8)
            for sides in ((37, 53), (640, 500), (200, 450))]
