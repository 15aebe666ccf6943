"""Tables read for a second time: numbers by seed and point, means and their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from qoex.experiments.claims.readings import FIXED, VARIANTS

Ends = tuple[float, float, float]  # mean, low, high
Floats = NDArray[np.float64]
Values = dict[tuple[int, int], float]  # seed and point → number

_POINT = {
    "users": "M = {:g}",
    "providers": "N = {:g}",
    "accuracy": "θ̂ = {:g}",
    "output-tokens": "x_out = {:g}",
    "latency-budget": "κ = {:g} ms",
}


def ends_of_mean(values: Floats) -> Ends:
    """Return a mean with its 95 % interval by Student's t; NaN where there is none."""
    values = values[~np.isnan(values)]
    if values.size < 2:
        return (float(values.mean()) if values.size else math.nan, math.nan, math.nan)
    mean = math.fsum(values) / values.size
    half = float(stats.t.ppf(0.975, values.size - 1) * stats.sem(values))
    return mean, mean - half, mean + half


class Reader:
    """Reads tables for claims: those of the paper's ranges, or their variants."""

    def __init__(self, frames: Mapping[str, pl.DataFrame], *, variant: bool) -> None:
        self._frames = frames
        self._variant = variant
        self._found: dict[tuple[str, str, str], Values] = {}
        self.fixed = False

    def frame(self, table: str) -> pl.DataFrame:
        name = VARIANTS[table] if self._variant else table
        self.fixed = name in FIXED
        return self._frames[name]

    def points(self, table: str) -> list[str]:
        levels = dict(sorted(self.frame(table).select("point", "value").rows()))
        return [_POINT[table].format(value) for value in levels.values()]

    def seeds(self, table: str) -> list[int]:
        return sorted(set(self.frame(table)["seed"]))

    def values(self, table: str, scheme: str, column: str) -> Values:
        frame = self.frame(table)
        if (table, scheme, column) not in self._found:
            rows = frame.select("seed", "point", "scheme", "outcome", column).rows()
            self._found[table, scheme, column] = {
                (seed, point): float(value)
                for seed, point, its, outcome, value in rows
                if its == scheme and outcome == "solved"
            }
        return self._found[table, scheme, column]

    def mean(self, values: Sequence[float]) -> Ends:
        mean, low, high = ends_of_mean(np.array(values))
        return (mean, mean, mean) if self.fixed else (mean, low, high)

    def jackknife(self, rows: Floats, statistic: Callable[[Floats], float]) -> Ends:
        """Return a function of column means with its jackknife interval; rows with NaN go."""
        rows = rows[~np.isnan(rows).any(axis=1)]
        centre, count = statistic(rows.mean(axis=0)), len(rows)
        if self.fixed:
            return centre, centre, centre
        without = np.array(
            [statistic(np.delete(rows, k, axis=0).mean(axis=0)) for k in range(count)]
        )
        error = math.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
        half = float(stats.t.ppf(0.975, count - 1)) * error
        return centre, centre - half, centre + half


def less(left: float, right: float) -> float:
    return 0.0 if math.isclose(left, right, rel_tol=1e-9) else left - right
