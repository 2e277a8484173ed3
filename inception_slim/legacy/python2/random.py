"""`random` of Python 2: the same draws from the same seed.

The generator of Python 3 is the same; how `choice`, `randrange`, `sample` and `shuffle` take whole
numbers from it is not, and neither is how a seed that is text becomes a number.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
import math
import random as _random
from random import SystemRandom  # noqa: F401
from typing import Any

_MAX_WIDTH = 1 << 53  # the bits of one draw from the generator


class Random(_random.Random):
    """`random.Random` of Python 2."""

    def seed(self, a: Any = None, version: int = 1) -> None:
        """Start the draws anew; `version=1` hashes text as Python 2."""
        super().seed(hash(a) if isinstance(a, tuple) else a, version=version)

    def _below(self, width: int) -> int:
        if width < _MAX_WIDTH:
            return int(self.random() * width)
        bits = int(1.00001 + math.log(width - 1, 2))
        while (value := self.getrandbits(bits)) >= width:
            pass
        return value

    def choice(self, seq: Any) -> Any:
        return seq[int(self.random() * len(seq))]

    def shuffle(self, x: MutableSequence, random: Callable[[], float] | None = None) -> None:
        for last in range(len(x) - 1, 0, -1):
            other = int((random or self.random)() * (last + 1))
            x[last], x[other] = x[other], x[last]

    def randrange(self, start: Any, stop: Any = None, step: int = 1) -> int:
        values = range(int(start)) if stop is None else range(int(start), int(stop), step)
        if not values:
            raise ValueError('empty range for randrange()')
        return values[self._below(len(values))]

    def randint(self, a: int, b: int) -> int:
        return self.randrange(a, b + 1)

    def sample(self, population: Any, k: int) -> list:  # type: ignore[override]
        size = len(population)
        if not 0 <= k <= size:
            raise ValueError('sample larger than population')
        # Python 2 takes from a pool where that needs less memory than a set of what was taken.
        set_size = 21 + (4 ** math.ceil(math.log(k * 3, 4)) if k > 5 else 0)
        items = list(population)
        if size <= set_size or hasattr(population, 'keys'):
            result = []
            for remaining in range(size, size - k, -1):
                index = int(self.random() * remaining)
                result.append(items[index])
                items[index] = items[remaining - 1]
            return result
        indices: dict[int, None] = {}
        while len(indices) < k:
            indices[int(self.random() * size)] = None
        return [items[index] for index in indices]


_instance = Random()
globals().update({name: getattr(_instance, name) for name in dir(_random.Random)
                  if not name.startswith('_') and name not in ('seed', 'VERSION')})


def seed(a: Any = None) -> None:
    """Start the draws of this module and of Python's own `random` anew."""
    _instance.seed(a)
    _random.seed(a, version=1)
