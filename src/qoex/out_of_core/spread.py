"""How a quantity is spread over very many users, in few numbers that can be joined exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoex.model.market import FloatArray

# Bits of a double that do not tell its class: classes are 1/1024 of a power of two wide, so a
# quantile is right to three digits, and a market's users fall into some thousands of them.
_DROPPED = 42


class Spread(NamedTuple):
    """How many users there are in each class of a quantity that is not negative.

    Attributes:
        classes: the leading bits of its doubles, ascending.
        counts: users in each.
    """

    classes: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: FloatArray) -> Spread:
        """Return the spread of some users' values; what is negative or NaN counts as zero."""
        inside = np.where(values > 0, values, 0.0)
        classes, counts = np.unique(inside.view(np.int64) >> _DROPPED, return_counts=True)
        return cls(classes, counts.astype(np.int64))

    @classmethod
    def joined(cls, parts: Iterable[Spread]) -> Spread:
        """Return the spread over all users of the parts, at least one."""
        all_classes, all_counts = (np.concatenate(item) for item in zip(*parts, strict=True))
        classes, places = np.unique(all_classes, return_inverse=True)
        counts = np.zeros(classes.size, dtype=np.int64)
        np.add.at(counts, places, all_counts)
        return cls(classes, counts)

    def quantile(self, share: float) -> float:
        """Return the value that this share of the users does not exceed, to 0.05 %."""
        below = np.cumsum(self.counts)
        at = int(np.searchsorted(below, share * below[-1]))
        bits = int(self.classes[min(at, self.classes.size - 1)])
        middle = (bits << _DROPPED) + (1 << (_DROPPED - 1))
        return float(np.int64(middle).view(np.float64)) if bits else 0.0
