"""Rules for the numbers that the paper gives: ranges, single values, full use, steadiness.

What "the same number" means is declared in ``verdict.matches``.
"""

from __future__ import annotations

from dataclasses import dataclass

from qoex.experiments.claims.readings import OneColumn, Tables, difference, number, spread
from qoex.experiments.claims.verdict import (
    FULL_USE,
    ClaimVerdict,
    Finding,
    JudgedNumber,
    by_sides,
    matches,
    side,
    text,
)


@dataclass(frozen=True)
class Range(OneColumn):
    """The least and the greatest of the means at the points along an axis.

    Agrees: both ends are the paper's. Same direction: the two ranges overlap. Differs: ours lies
    outside with the intervals of both its ends. Else it cannot be determined.
    """

    low: float
    high: float

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        places = range(len(sheet.points))
        means = [sheet.at(k) for k in places]
        least = min(places, key=lambda k: means[k].mean)
        most = max(places, key=lambda k: means[k].mean)
        ends = (matches(means[least], self.low), matches(means[most], self.high))
        if all(ends):
            verdict = ClaimVerdict.AGREES
        elif means[least].low > self.high or means[most].high < self.low:
            verdict = ClaimVerdict.DIFFERS
        elif None in ends:
            verdict = ClaimVerdict.UNDETERMINED
        elif means[least].mean <= self.high and means[most].mean >= self.low:
            verdict = ClaimVerdict.SAME_DIRECTION
        else:
            verdict = ClaimVerdict.UNDETERMINED
        return Finding(
            verdict,
            (
                number(f"least, at {sheet.points[least]}", means[least], self.column),
                number(f"greatest, at {sheet.points[most]}", means[most], self.column),
            ),
            f"it runs from {text(means[least])} to {text(means[most])}",
            (0, 1),
        )


@dataclass(frozen=True)
class Endpoints(OneColumn):
    """The means at the first and the last point along an axis.

    Agrees: both are the paper's. Same direction: the change from the first to the last, seed by
    seed, has the paper's sign with an interval that leaves zero out. Differs: it has the other
    sign. Else it cannot be determined.
    """

    first: float
    last: float

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        end = len(sheet.points) - 1
        first, last, change = sheet.at(0), sheet.at(end), sheet.change(0, end)
        same = bool(matches(first, self.first) and matches(last, self.last))
        way = side(change, 1 if self.last > self.first else -1)
        return Finding(
            ClaimVerdict.AGREES if same else by_sides([0], [way]),
            (
                number(f"at {sheet.points[0]}", first, self.column),
                number(f"at {sheet.points[end]}", last, self.column),
                number(f"change, {sheet.step(0, end)}", change, self.column),
            ),
            f"it goes from {text(first)} to {text(last)}",
            (0, 1),
        )


@dataclass(frozen=True)
class Peak:
    """The greatest of the means along an axis, which is said to lie above another scheme's.

    Agrees: it is the paper's number. Same direction: it is not, but at that point it exceeds the
    other scheme's, seed by seed, with an interval that leaves zero out. Differs: it lies below
    the other's there. Else it cannot be determined.
    """

    table: str
    scheme: str
    column: str
    paper: float
    above: str

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return tuple((self.table, item, self.column) for item in (self.scheme, self.above))

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        other = tables.sheet(self.table, self.above, self.column)
        means = [sheet.at(k) for k in range(len(sheet.points))]
        most = max(range(len(means)), key=lambda k: means[k].mean)
        more = difference(sheet.values[:, most], other.values[:, most])
        what = f"{self.scheme} less {self.above} at {sheet.points[most]}"
        excess = sheet.over_seeds(more, what)
        same = bool(matches(means[most], self.paper))
        return Finding(
            ClaimVerdict.AGREES if same else by_sides([0], [side(excess, 1)]),
            (
                number(f"greatest, at {sheet.points[most]}", means[most], self.column),
                number(what, excess, self.column),
            ),
            f"its greatest mean is {text(means[most])}",
        )


@dataclass(frozen=True)
class FullUse(OneColumn):
    """A usage of 1.0 at every point from some value of the axis on.

    Agrees: at all of them the interval lies at FULL_USE or above. Same direction: at the last one
    it does. Differs: at the last one it lies below. Else it cannot be determined.
    """

    start: float = 0.0

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        places = sheet.places(lambda level: level >= self.start)
        means = [sheet.at(k) for k in places]
        full = [1 if item.low >= FULL_USE else -1 if item.high < FULL_USE else 0 for item in means]
        least = min(range(len(means)), key=lambda k: means[k].mean)
        return Finding(
            by_sides(full, [full[-1]]),
            tuple(
                number(f"at {sheet.points[place]}", item, self.column)
                for place, item in zip(places, means, strict=True)
            ),
            f"the least is {text(means[least])}, at {sheet.points[places[least]]}",
        )


@dataclass(frozen=True)
class Within(OneColumn):
    """A number whose means along an axis stay within some percent of each other.

    What counts is (greatest − least)/mean of the means at the points, in percent, with the
    jackknife's interval over seeds. Agrees: the interval lies at the limit or below. Differs: it
    lies above. Else it cannot be determined; there is no weaker form of it.
    """

    limit: float

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        found = spread(sheet)
        where = 1 if found.high <= self.limit else -1 if found.low > self.limit else 0
        last = len(sheet.points) - 1
        return Finding(
            by_sides([where], [where]),
            (
                JudgedNumber("spread of the means", found, "%"),
                number(f"at {sheet.points[0]}", sheet.at(0), self.column),
                number(f"at {sheet.points[last]}", sheet.at(last), self.column),
            ),
            f"the means spread over {text(found)} % of their mean",
        )
