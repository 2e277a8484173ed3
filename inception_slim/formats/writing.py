"""What the writers of formats have in common: each answers as what it wrote does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Of images `[N, side, side, 3]` in [-1, 1] the probabilities `[N, num_classes]`. A writer writes
# to a path, loads what it wrote, and returns what answers by it.
PredictFn = Callable[[np.ndarray], np.ndarray]
