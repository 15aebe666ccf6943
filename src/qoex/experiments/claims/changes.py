"""Rules for statements of direction: what rises or falls, and which scheme lies lower.

Every rule compares numbers of the same seed, thus of the same market, and takes the 95 % interval
of the mean difference over seeds. In a table of one fixed market the difference itself decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from qoex.experiments.claims.readings import (
    OneAmongOthers,
    OneColumn,
    Tables,
    difference,
    mean_of_points,
    number,
    of_means,
    over_seeds,
    relative_spread,
    spread,
)
from qoex.experiments.claims.verdict import (
    Finding,
    JudgedNumber,
    LackingError,
    by_sides,
    side,
    text,
)
from qoex.experiments.intervals import Estimate
from qoex.model.market import FloatArray


class Direction(StrEnum):
    """Which way a number is said to go along an axis."""

    RISES = "rises"
    FALLS = "falls"
    NOT_FALLS = "does not fall"


@dataclass(frozen=True)
class Trend(OneColumn):
    """A number of one scheme that rises, or falls, from point to point.

    Agrees: every step between neighbouring points goes the paper's way, with an interval that
    leaves zero out, and so does the change from the first point to the last. Same direction: the
    latter does. Differs: it goes the other way, or nothing changes at all. Else it cannot be
    determined. "Does not fall" agrees where the whole change is a rise, or nothing, and no step a
    fall.
    """

    direction: Direction

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sheet = tables.sheet(self.table, self.scheme, self.column)
        last = len(sheet.points) - 1
        if last < 1:
            raise LackingError(f"there is only the point {sheet.points[0]}")
        sign = -1 if self.direction is Direction.FALLS else 1
        steps = [sheet.change(k, k + 1) for k in range(last)]
        overall = sheet.change(0, last)
        weakest = min(range(last), key=lambda k: sign * steps[k].mean)
        if self.direction is Direction.NOT_FALLS:
            kept = 1 if overall.low >= 0 else -1 if overall.high < 0 else 0
            verdict = by_sides([-1 if step.high < 0 else 1 for step in steps], [kept])
        else:
            verdict = by_sides([side(step, sign) for step in steps], [side(overall, sign)])
        column = self.column
        return Finding(
            verdict,
            (
                number(f"change, {sheet.step(0, last)}", overall, column),
                number(f"at {sheet.points[0]}", sheet.at(0), column),
                number(f"at {sheet.points[last]}", sheet.at(last), column),
                number(f"weakest step, {sheet.step(weakest, weakest + 1)}", steps[weakest], column),
            ),
            f"it changes by {text(overall)} in all, and by {text(steps[weakest])} in the step "
            f"{sheet.step(weakest, weakest + 1)}",
        )


@dataclass(frozen=True)
class Order(OneAmongOthers):
    """A scheme whose number lies below (or above) that of every other scheme at every point.

    Agrees: at every point, against every other scheme, the difference of the same seeds is on the
    paper's side with an interval that leaves zero out, and so is its mean over points. Same
    direction: the means over points are, against every other scheme. Differs: against some other
    scheme the mean over points is on the other side. Else it cannot be determined.
    """

    lowest: bool = True

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        own = tables.sheet(self.table, self.scheme, self.column)
        sides, overall, numbers, worst = [], [], [], []
        for other in self.others:
            theirs = tables.sheet(self.table, other, self.column)
            if self.lowest:
                what, gap = f"{other} less {self.scheme}", difference(theirs.values, own.values)
            else:
                what, gap = f"{self.scheme} less {other}", difference(own.values, theirs.values)
            points = [own.over_seeds(gap[:, k], what) for k in range(len(own.points))]
            mean = own.over_seeds(mean_of_points(gap), what)
            least = min(range(len(points)), key=lambda k: points[k].mean)
            sides += [side(point, 1) for point in points]
            overall.append(side(mean, 1))
            at_least = number(f"{what}, least at {own.points[least]}", points[least], self.column)
            numbers += [number(f"{what}, mean over points", mean, self.column), at_least]
            worst.append(at_least)
        decided = min(worst, key=lambda item: (side(item.estimate, 1), item.estimate.mean))
        return Finding(
            by_sides(sides, overall),
            tuple(numbers),
            f"{decided.label}: {text(decided.estimate)}",
            (numbers.index(decided),),
        )


@dataclass(frozen=True)
class Steadier(OneAmongOthers):
    """A scheme whose mean number moves less along the axis than that of every other scheme.

    What moves is (greatest − least)/mean of the means at the points. Agrees: against every other
    scheme the difference is above zero, with its interval (jackknife over seeds). Differs: against
    some other it is below. Else it cannot be determined; there is no weaker form of it.
    """

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        own = tables.sheet(self.table, self.scheme, self.column)
        numbers = [JudgedNumber(f"spread of {self.scheme}", spread(own), "%")]
        sides = []
        for other in self.others:
            sheet = tables.sheet(self.table, other, self.column)
            count = len(own.points)

            def excess(means: FloatArray, count: int = count) -> float:
                return relative_spread(means[count:]) - relative_spread(means[:count])

            both = np.concatenate([own.values, sheet.values], axis=1)
            found = of_means(both, excess, fixed=own.fixed)
            sides.append(side(found, 1))
            numbers.append(JudgedNumber(f"spread of {other}", spread(sheet), "%"))
            numbers.append(
                JudgedNumber(f"spread of {other} less that of {self.scheme}", found, "%")
            )
        listed = ", ".join(f"{item.label} {item.estimate.mean:.3g} %" for item in numbers[:2])
        return Finding(by_sides(sides, sides), tuple(numbers), f"{listed} of the mean")


@dataclass(frozen=True)
class GreatestChange:
    """A number that changes more along the axis of one table than along those of others.

    What counts is the size of the change from the first point to the last, seed by seed. Agrees:
    it is greater than in every other table, with an interval that leaves zero out. Differs: it is
    smaller than in some other. Else it cannot be determined.
    """

    table: str
    others: tuple[str, ...]
    scheme: str
    column: str

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return tuple((item, self.scheme, self.column) for item in (self.table, *self.others))

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks something."""
        sizes: dict[str, dict[int, float]] = {}
        fixed = False
        for table in (self.table, *self.others):
            sheet = tables.sheet(table, self.scheme, self.column)
            size = np.abs(difference(sheet.values[:, -1], sheet.values[:, 0]))
            sizes[table] = dict(zip(sheet.seeds, size.tolist(), strict=True))
            fixed = sheet.fixed

        def pick(table: str, seeds: list[int]) -> FloatArray:
            return np.array([sizes[table][seed] for seed in seeds])

        own = sizes[self.table]
        found = [over_seeds(pick(self.table, [*own]), self.table, fixed=fixed)]
        numbers = [number(f"size of the change, {self.table}", found[0], self.column)]
        sides = []
        for other in self.others:
            shared = [seed for seed in own if seed in sizes[other]]
            what = f"the same less that of {other}"
            more = difference(pick(self.table, shared), pick(other, shared))
            excess: Estimate = over_seeds(more, what, fixed=fixed)
            sides.append(side(excess, 1))
            numbers.append(number(what, excess, self.column))
        decided = min(numbers[1:], key=lambda item: item.estimate.mean)
        return Finding(
            by_sides(sides, sides),
            tuple(numbers),
            f"{decided.label}: {text(decided.estimate)}",
            (numbers.index(decided),),
        )
