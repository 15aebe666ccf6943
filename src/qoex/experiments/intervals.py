"""Means over seeds with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over independent seeds.

    Attributes:
        mean: NaN without any value.
        low: lower end of the 95 % interval (Student's t); NaN with fewer than two values.
        high: its upper end.
        count: how many values there were.
    """

    mean: float
    low: float
    high: float
    count: int

    def excludes(self, value: float) -> bool:
        """Whether the interval lies to one side of a value; never if there is no interval."""
        return self.low > value or self.high < value


def estimate(values: Iterable[float | None]) -> Estimate:
    """Return the mean of values and its interval; None and NaN are left out."""
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(numbers.mean())
    if numbers.size == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    from scipy.special import stdtrit  # slow to import

    quantile = float(stdtrit(numbers.size - 1, 0.5 + 0.5 * CONFIDENCE))
    half = quantile * float(numbers.std(ddof=1)) / math.sqrt(numbers.size)
    return Estimate(mean, mean - half, mean + half, numbers.size)
