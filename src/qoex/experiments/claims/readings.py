"""Reading tables for claims: numbers by seed and point, differences of the same seed, intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from qoex.experiments.claims.verdict import PAIRED_SHARE, ROUNDING, JudgedNumber, LackingError
from qoex.experiments.intervals import Estimate, estimate
from qoex.model.market import FloatArray

# Where the paper leaves something open there is a second table that settles it otherwise: sizes
# at which all demands can be served, and the one market of Table IV.
VARIANTS = {
    "users": "users-ample",
    "providers": "providers-ample",
    "accuracy": "accuracy-table-iv",
    "output-tokens": "output-tokens-table-iv",
    "latency-budget": "latency-budget-table-iv",
}

# Tables of one market in which nothing is random: a second seed would repeat the first.
FIXED = frozenset({"table-v", *(name for name in VARIANTS.values() if name.endswith("table-iv"))})

# The symbol and the unit of what varies, by table.
_AXES = {
    "users": ("M", ""),
    "providers": ("N", ""),
    "accuracy": ("θ̂", ""),
    "output-tokens": ("x_out", ""),
    "latency-budget": ("κ", " ms"),
}

# Column → what it is, and its unit.
COLUMNS = {
    "compute_usage": ("compute usage", ""),
    "bandwidth_usage": ("bandwidth usage", ""),
    "user_cost": ("user cost", "money"),
    "provider_cost": ("provider cost", "money"),
    "provider_payment": ("payment per provider", "money"),
    "mean_qoe": ("mean QoE", "ms"),
    "user_utility": ("user utility", "money"),
    "provider_utility": ("provider utility", "money"),
    "welfare": ("welfare", "money"),
    "served_pairs": ("pairs served", "pairs"),
    "first_reward": ("reward of pair (1, 1)", "money/ms"),
    "first_compute": ("compute of pair (1, 1)", "TFLOPS"),
    "first_bandwidth": ("bandwidth of pair (1, 1)", "MHz"),
    "first_qoe": ("QoE of pair (1, 1)", "ms"),
    "first_payment": ("payment of pair (1, 1)", "money"),
    "first_user_utility": ("utility of user 1", "money"),
    "first_provider_utility": ("utility of provider 1", "money"),
}


@dataclass(frozen=True)
class OneColumn:
    """What a rule reads that is about one column of one scheme."""

    table: str
    scheme: str
    column: str

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return ((self.table, self.scheme, self.column),)


@dataclass(frozen=True)
class OneAmongOthers:
    """What a rule reads that compares one column of a scheme with that of others."""

    table: str
    scheme: str
    others: tuple[str, ...]
    column: str

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return tuple((self.table, item, self.column) for item in (self.scheme, *self.others))


@dataclass(frozen=True)
class Sheet:
    """One column of one scheme in one table.

    Attributes:
        values: seeds × points; NaN where a row is not solved, not there, or has no finite number.
        seeds: of all rows of the table, whatever the scheme, in order.
        axis: symbol and unit of what varies.
        levels: the values of the axis at the points, in order.
        fixed: whether nothing in the table is random.
    """

    values: FloatArray
    seeds: tuple[int, ...]
    axis: tuple[str, str]
    levels: tuple[float, ...]
    fixed: bool

    @property
    def points(self) -> tuple[str, ...]:
        """Names of the points, in order."""
        return tuple(f"{self.axis[0]} = {level:g}{self.axis[1]}" for level in self.levels)

    def places(self, wanted: Callable[[float], bool]) -> tuple[int, ...]:
        """Return which points have a wanted value of the axis.

        Raises:
            LackingError: none has.
        """
        found = tuple(place for place, level in enumerate(self.levels) if wanted(level))
        if not found:
            raise LackingError(f"the points {', '.join(self.points)} are none of those needed")
        return found

    def at(self, point: int) -> Estimate:
        """Return the mean over seeds at a point."""
        return self.over_seeds(self.values[:, point], self.points[point])

    def change(self, before: int, after: int) -> Estimate:
        """Return the mean change from one point to another, each seed with itself."""
        change = difference(self.values[:, after], self.values[:, before])
        return self.over_seeds(change, self.step(before, after))

    def step(self, before: int, after: int) -> str:
        """Return the name of the way from one point to another."""
        return f"{self.points[before]} → {self.levels[after]:g}{self.axis[1]}"

    def over_seeds(self, per_seed: FloatArray, what: str) -> Estimate:
        """Return the mean of one number a seed (NaN where a seed has none).

        Raises:
            LackingError: fewer seeds have one than PAIRED_SHARE asks for; it names what.
        """
        return over_seeds(per_seed, what, fixed=self.fixed)


class Tables:
    """The tables that a claim is judged on.

    Args:
        frames: table name → its rows.
        variant: whether to read the variant of every table (VARIANTS) in its place.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame], *, variant: bool = False) -> None:
        self._frames = frames
        self._variant = variant
        self._sheets: dict[tuple[str, str, str], Sheet] = {}

    def frame(self, table: str) -> tuple[pl.DataFrame, str]:
        """Return a table and its own name.

        Raises:
            LackingError: there is no such table, or it is empty.
        """
        name = VARIANTS[table] if self._variant else table
        frame = self._frames.get(name)
        if frame is None or frame.is_empty():
            raise LackingError(f"the table {name} is not there")
        return frame, name

    def sheet(self, table: str, scheme: str, column: str) -> Sheet:
        """Return one column of one scheme, by seed and point.

        Raises:
            LackingError: the table, the column or every number of the scheme is missing.
        """
        key = (table, scheme, column)
        if key not in self._sheets:
            self._sheets[key] = self._read(*key)
        return self._sheets[key]

    def _read(self, table: str, scheme: str, column: str) -> Sheet:
        frame, name = self.frame(table)
        wanted = {"point", "value", "seed", "scheme", "outcome", column}
        if missing := sorted(wanted - set(frame.columns)):
            raise LackingError(f"the table {name} has no column {missing[0]}")
        if not frame[column].dtype.is_numeric():
            raise LackingError(f"column {column} of the table {name} holds no numbers")
        seeds = frame["seed"].unique().sort().to_numpy()
        points = frame.select("point", "value").unique().sort("point")
        values = np.full((seeds.size, points.height), np.nan)
        solved = frame.filter(pl.col("scheme") == scheme, pl.col("outcome") == "solved")
        found = solved[column].cast(pl.Float64).to_numpy()
        rows = np.searchsorted(seeds, solved["seed"].to_numpy())
        columns = np.searchsorted(points["point"].to_numpy(), solved["point"].to_numpy())
        values[rows, columns] = np.where(np.isfinite(found), found, np.nan)
        if np.isnan(values).all():
            raise LackingError(f"{scheme} has no {column} in the table {name}")
        return Sheet(
            values,
            tuple(seeds.tolist()),
            _AXES[table],
            tuple(points["value"]),
            name in FIXED,
        )


def over_seeds(per_seed: FloatArray, what: str, *, fixed: bool) -> Estimate:
    """Return the mean of one number a seed; see ``Sheet.over_seeds``."""
    there = int((~np.isnan(per_seed)).sum())
    if there < PAIRED_SHARE * per_seed.size or not there:
        raise LackingError(f"only {there} of {per_seed.size} seeds have the numbers for {what}")
    return exact(estimate(per_seed.tolist()), fixed=fixed)


def exact(found: Estimate, *, fixed: bool) -> Estimate:
    """Return the estimate with the value as its interval, if nothing is random."""
    return Estimate(found.mean, found.mean, found.mean, found.count) if fixed else found


def difference(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return left − right, with what is within rounding as zero."""
    result = left - right
    scale = np.maximum(np.abs(left), np.abs(right))
    return np.where(np.abs(result) <= ROUNDING * scale, 0.0, result)


def mean_of_points(values: FloatArray) -> FloatArray:
    """Return the mean of every row over the entries that it has; NaN where it has none."""
    there = ~np.isnan(values)
    sums = np.where(there, values, 0.0).sum(axis=1)
    return np.where(there.any(axis=1), sums / np.maximum(there.sum(axis=1), 1), np.nan)


def of_means(
    values: FloatArray, statistic: Callable[[FloatArray], float], *, fixed: bool
) -> Estimate:
    """Return a function of the means of several columns, with the jackknife's interval over rows.

    For a difference of two means it is the interval of paired differences (Efron and Tibshirani,
    "An Introduction to the Bootstrap", chapter 11).

    Args:
        values: seeds × columns; a seed that lacks any number is left out.
        statistic: from the means of the columns to a number.
        fixed: whether nothing is random.

    Raises:
        LackingError: too few seeds are left.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    count = whole.shape[0]
    if count < PAIRED_SHARE * values.shape[0] or not count:
        raise LackingError(f"only {count} of {values.shape[0]} seeds have the numbers needed")
    centre = statistic(whole.mean(axis=0))
    if fixed or count == 1:
        return exact(Estimate(centre, math.nan, math.nan, count), fixed=fixed)
    total = whole.sum(axis=0)
    pseudo = [
        count * centre - (count - 1) * statistic((total - row) / (count - 1)) for row in whole
    ]
    spread = estimate(pseudo)
    half = (spread.high - spread.low) / 2
    return Estimate(centre, centre - half, centre + half, count)


def number(label: str, found: Estimate, column: str) -> JudgedNumber:
    """Return a labelled number in the unit of a column."""
    return JudgedNumber(label, found, COLUMNS[column][1])


def relative_spread(means: FloatArray) -> float:
    """Return (greatest − least)/mean of the means at several points, in percent."""
    return float(100.0 * (means.max() - means.min()) / means.mean())


def spread(sheet: Sheet) -> Estimate:
    """Return the relative spread of the means at a sheet's points, in percent."""
    return of_means(sheet.values, relative_spread, fixed=sheet.fixed)
