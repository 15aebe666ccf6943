"""Appendix A: how Algorithm 1 ends, beside the capacity-price method and the paper's bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qoex.experiments.appendix_a.rows import ALGORITHM_1, SOLVER
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import Interval, ShownNumber
from qoex.experiments.report.parts.figures import Figure, figures
from qoex.experiments.report.sources import SourceTable

# Rule of the step → how it is written, and the column of the number that goes with it.
_RULES = {
    "diminishing": ("Δ = u/t, u", "value"),
    "constant": ("Δ", "value"),
    "quantised": ("Δ = box/L, L", "levels"),
}


@dataclass(frozen=True)
class Ends:
    """How the runs of one step from one start ended.

    Attributes:
        rule: of the step, as it is written.
        parameter: the number that goes with it; None for the capacity-price method.
        start: where the runs began; empty for the capacity-price method.
        runs: how many.
        stopped: share that stopped by its own rule.
        iterations: of those that did.
        typical_regret: decimal logarithm of the most that a user could gain alone at the end,
            relative to the largest utility.
        regret: the same, the greatest of all runs and not in logarithms.
        bound: decimal logarithm of the bound on iterations.
        bounded: runs that have one.
        exceeded: those of them that took longer.
        refuting: runs whose gap is above what the proof allows.
    """

    rule: str
    parameter: ShownNumber | None
    start: str
    runs: ShownNumber
    stopped: ShownNumber | None
    iterations: Interval
    typical_regret: Interval
    regret: ShownNumber | None
    bound: Interval
    bounded: ShownNumber | None
    exceeded: ShownNumber | None
    refuting: ShownNumber | None


@dataclass(frozen=True)
class Measured:
    """One table of the appendix; its first line is the capacity-price method."""

    study: str
    title: str
    lines: tuple[Ends, ...]


@dataclass(frozen=True)
class ConvergencePart:
    """Appendix A."""

    tables: tuple[Measured, ...]
    figures: tuple[Figure, ...]


def convergence(folder: Folder) -> ConvergencePart | None:
    """Return Appendix A, or None if it was not measured."""
    tables = tuple(
        Measured(table.name, table.stated_text("parameters/title"), tuple(_lines(table)))
        for table in folder.tables.values()
        if table.stated_text("parameters/kind") == "convergence"
    )
    return ConvergencePart(tables, figures(folder, CONVERGENCE_PANELS)) if tables else None


def _lines(table: SourceTable) -> Iterator[Ends]:
    # The solver's row stands beside every step; those beside the first one have it once a seed.
    yield _ends(table.where(method=SOLVER, point=0), "capacity prices", None, "")
    runs = table.where(method=ALGORITHM_1)
    for start in runs.values("start"):
        for point in runs.where(start=start).values("point"):
            found = runs.where(start=start, point=point)
            label, column = _RULES[found.values("rule")[0]]
            yield _ends(found, label, found.number("max", column), start)


def _ends(runs: SourceTable, rule: str, parameter: ShownNumber | None, start: str) -> Ends:
    return Ends(
        rule=rule,
        parameter=parameter,
        start=start,
        runs=runs.count(),
        stopped=runs.share("stopped"),
        iterations=runs.where(stopped=True).interval("iterations"),
        typical_regret=runs.interval("regret_log10"),
        regret=runs.number("max", "regret_relative", digits=2),
        bound=runs.interval("bound_log10"),
        bounded=runs.number("present", "bound_log10"),
        exceeded=runs.number("false", "within_bound"),
        refuting=runs.number("false", "below_ceiling"),
    )
