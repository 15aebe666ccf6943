"""One streaming pass over the numbers of a market: the unit in which a solve is measured."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from qoex.kernels import Floats, vector_kernel
from qoex.kernels.threads import over_blocks
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray, Market

# Numbers that a core reads in one go, 2 MiB. Shorter pieces take longer to hand out, and memory is
# read ahead best where it is read on and on: a pass in this order is the fastest that we found,
# twice as fast as one that reads all providers of a few thousand users before it goes on.
_SEGMENT = 1 << 18
# Fewer numbers than this are read before a thread is woken.
_FEW = 1 << 16
# Passes in a row, of which the median counts.
PASSES = 5


class Streaming:
    """Sums of all numbers of some arrays, each read once, on all cores.

    Attributes:
        bytes: read by a pass.
    """

    def __init__(self, arrays: Sequence[FloatArray]) -> None:
        flat = [array.ravel() for array in arrays]
        self._segments = [
            array[first : first + _SEGMENT]
            for array in flat
            for first in range(0, array.size, _SEGMENT)
        ]
        self._sums = np.empty(len(self._segments))
        self.bytes = sum(array.nbytes for array in flat)

    @classmethod
    def over(cls, market: Market) -> Streaming:
        """Return passes over what N×M pairs and M users take: 3NM + 3M numbers."""
        return cls([getattr(market, name) for name in (*PAIR_FIELDS, *USER_FIELDS)])

    def total(self) -> float:
        """Read everything once; return the sum."""

        def task(first: int, last: int) -> None:
            for index in range(first, last):
                self._sums[index] = _sum(self._segments[index])

        if self.bytes < 8 * _FEW:
            task(0, len(self._segments))
        else:
            over_blocks(task, len(self._segments))
        return float(self._sums.sum())

    def seconds(self, passes: int = PASSES) -> list[float]:
        """Return how long each of some passes takes, after one that does not count."""
        self.total()
        taken = []
        for _ in range(passes):
            began = time.perf_counter()
            self.total()
            taken.append(time.perf_counter() - began)
        return taken


@vector_kernel
def _sum(values: Floats) -> float:
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return total
