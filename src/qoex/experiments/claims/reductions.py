"""The rule for "the mechanism reduces this by so many percent compared to those schemes"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qoex.experiments.claims.readings import (
    COLUMNS,
    Tables,
    mean_of_points,
    of_means,
    over_seeds,
)
from qoex.experiments.claims.verdict import (
    ClaimVerdict,
    Finding,
    JudgedNumber,
    LackingError,
    by_sides,
    matches,
    side,
    text,
)
from qoex.experiments.intervals import Estimate
from qoex.model.market import FloatArray


@dataclass(frozen=True)
class _Cell:
    """One table, point, column and other scheme: the two numbers to compare, by seed."""

    table: str
    point: str
    column: str
    other: str
    own: FloatArray
    others: FloatArray

    @property
    def saved(self) -> FloatArray:
        """1 − own/other in percent; NaN where one is missing or the other is not above zero."""
        there = ~np.isnan(self.own) & (self.others > 0)
        safe = np.where(there, self.others, 1.0)
        return np.where(there, 100.0 * (1.0 - self.own / safe), np.nan)

    @property
    def name(self) -> str:
        return f"{self.other}, {COLUMNS[self.column][0]}, {self.point}"


@dataclass(frozen=True)
class Reduction:
    """The mean of 1 − (own number)/(other scheme's number), in percent.

    The paper does not say how it averages. Here each seed gives the mean over all tables, points,
    columns and other schemes, each pair of numbers being of the same market and both solved, and
    the interval is over seeds. Beside it stand the same mean for every column, scheme and table
    alone, the reduction of the means, and the least and the greatest at any single point, for the
    reader to see what another way of averaging could give. ``part`` names some of the others over
    which the mean is shown as well, where the paper may have meant those.

    Agrees: the number is the paper's (``verdict.matches``). Same direction: it is not, but it is
    above zero with an interval that leaves zero out. Differs: it lies below zero. Else, and where
    the interval is too wide to tell, it cannot be determined.
    """

    tables: tuple[str, ...]
    scheme: str
    others: tuple[str, ...]
    columns: tuple[str, ...]
    paper: float
    part: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return tuple(
            (table, scheme, column)
            for table in self.tables
            for scheme in (self.scheme, *self.others)
            for column in self.columns
        )

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        cells, fixed = self._cells(tables)

        def mean(chosen: list[_Cell], what: str) -> Estimate:
            saved = np.stack([cell.saved for cell in chosen], axis=1)
            return over_seeds(mean_of_points(saved), what, fixed=fixed)

        whole = mean(cells, "the reduction")
        numbers = [JudgedNumber("mean reduction", whole, "%")]
        for field, values, names in (
            ("column", self.columns, [COLUMNS[item][0] for item in self.columns]),
            ("other", self.others, [f"against {item}" for item in self.others]),
            ("table", self.tables, [f"table {item}" for item in self.tables]),
        ):
            for value, name in zip(values, names, strict=True):
                if len(values) > 1:
                    alone = [cell for cell in cells if getattr(cell, field) == value]
                    numbers.append(JudgedNumber(f"{name} alone", mean(alone, name), "%"))
        if self.part:
            alone = [cell for cell in cells if cell.other in self.part]
            name = f"against {', '.join(self.part)} alone"
            numbers.insert(1, JudgedNumber(name, mean(alone, name), "%"))
        numbers.append(JudgedNumber("of the means", self._of_means(cells, fixed), "%"))
        singles = [(over_seeds(cell.saved, cell.name, fixed=fixed), cell) for cell in cells]
        singles.sort(key=lambda item: item[0].mean)
        for extreme, (found, cell) in (("least", singles[0]), ("greatest", singles[-1])):
            numbers.append(JudgedNumber(f"{extreme}: {cell.name}", found, "%"))

        way = side(whole, 1)
        same = matches(whole, self.paper)
        if same is not False:
            verdict = ClaimVerdict.AGREES if same else ClaimVerdict.UNDETERMINED
        else:
            verdict = by_sides([0], [way])
        return Finding(verdict, tuple(numbers), f"the mean reduction is {text(whole)} %")

    def _cells(self, tables: Tables) -> tuple[list[_Cell], bool]:
        """Return all cells, aligned by the seeds that every table has."""
        sheets = {
            (table, scheme, column): tables.sheet(table, scheme, column)
            for table, scheme, column in self.reads
        }
        first = next(iter(sheets.values()))
        seeds = set(first.seeds).intersection(*(sheet.seeds for sheet in sheets.values()))
        if not seeds:
            raise LackingError(f"the tables {' and '.join(self.tables)} share no seed")

        def cells() -> Iterator[_Cell]:
            for table in self.tables:
                for column in self.columns:
                    own = sheets[table, self.scheme, column]
                    rows = [row for row, seed in enumerate(own.seeds) if seed in seeds]
                    for other in self.others:
                        theirs = sheets[table, other, column].values[rows]
                        for k, point in enumerate(own.points):
                            yield _Cell(
                                table, point, column, other, own.values[rows, k], theirs[:, k]
                            )

        return list(cells()), first.fixed

    def _of_means(self, cells: list[_Cell], fixed: bool) -> Estimate:
        """Return 1 − (mean of own)/(mean of the others), averaged over columns, in percent."""
        sides = []
        for column in self.columns:
            chosen = [cell for cell in cells if cell.column == column]
            for side_of in ("own", "others"):
                pairs = [
                    np.where(np.isnan(cell.saved), np.nan, getattr(cell, side_of))
                    for cell in chosen
                ]
                sides.append(mean_of_points(np.stack(pairs, axis=1)))

        def statistic(means: FloatArray) -> float:
            return float(100.0 * np.mean(1.0 - means[0::2] / means[1::2]))

        return of_means(np.stack(sides, axis=1), statistic, fixed=fixed)
