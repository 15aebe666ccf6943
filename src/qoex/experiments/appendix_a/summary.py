"""Appendix A in a few numbers for every step and start, read from a table of ``Convergence``."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qoex.errors import InvalidInputError
from qoex.experiments.appendix_a.convergence import COLUMNS
from qoex.experiments.appendix_a.rows import ALGORITHM_1
from qoex.experiments.intervals import Estimate, estimate


@dataclass(frozen=True)
class Ending:
    """How the runs of one step and start ended, or the solver on the same markets.

    Attributes:
        line: rule and start, or rule and solver, as in the table.
        rule: "diminishing", "constant" or "quantised".
        value: u or Δ, money per ms.
        levels: L of a quantised rule.
        start: where runs begin; None for the solver.
        runs: how many there are.
        stopped: share that ended by its own rule.
        iterations: of those that did, or the solver's sweeps.
        distance: from R* at the start, the largest of a user, money per ms; none for the solver.
        regret_relative: where they ended, whether or not by their own rule.
        regret_log10: the same in logarithms, where one bad run does not make the mean.
        regret_worst: the largest of them; None where there is none.
        bound_log10: logarithm of the bound on iterations, where it is not void; none for the
            solver, and so below.
        bounded: runs for which the bound is not void.
        bound_exceeded: those of them that took longer than it.
        refuting: runs whose gap is above what the proof allows.
    """

    line: str
    rule: str
    value: float
    levels: int | None
    start: str | None
    runs: int
    stopped: Estimate
    iterations: Estimate
    distance: Estimate
    regret_relative: Estimate
    regret_log10: Estimate
    regret_worst: float | None
    bound_log10: Estimate
    bounded: int
    bound_exceeded: int
    refuting: int

    @property
    def is_solver(self) -> bool:
        """Whether this is the capacity-price method, and not Algorithm 1."""
        return self.start is None


def appendix_summary(frame: pl.DataFrame) -> tuple[Ending, ...]:
    """Return the endings of every step, the solver first, in the order of the table.

    Args:
        frame: the table of a ``Convergence``.

    Raises:
        InvalidInputError: it is another table.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise InvalidInputError(f"this is no table of Appendix A: it has no column {missing[0]!r}")
    return tuple(map(_ending, frame.partition_by("point", "line", maintain_order=True)))


def _ending(rows: pl.DataFrame) -> Ending:
    first = rows.row(0, named=True)
    solved = rows.filter(pl.col("outcome") == "solved")
    regrets = rows["regret_relative"].drop_nulls()
    return Ending(
        line=first["line"],
        rule=first["rule"],
        value=first["value"],
        levels=first["levels"],
        start=first["start"] if first["method"] == ALGORITHM_1 else None,
        runs=rows.height,
        stopped=estimate((rows["outcome"] == "solved").cast(pl.Float64)),
        iterations=estimate(solved["iterations"]),
        distance=estimate(rows["start_distance"]),
        regret_relative=estimate(regrets),
        regret_log10=estimate(rows["regret_log10"]),
        regret_worst=None if regrets.is_empty() else float(regrets.to_numpy().max()),
        bound_log10=estimate(rows["bound_log10"]),
        bounded=rows["bound_log10"].count(),
        bound_exceeded=rows.filter(~pl.col("within_bound")).height,
        refuting=rows.filter(~pl.col("below_ceiling")).height,
    )
