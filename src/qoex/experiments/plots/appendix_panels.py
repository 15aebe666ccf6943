"""Figures of Appendix A, which the paper has none of: Algorithm 1 measured, and its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qoex.experiments.appendix_a.convergence import MAX_ITERATIONS
from qoex.experiments.appendix_a.rows import SOLVER
from qoex.experiments.plots.reading import Panel, PanelLine, Quantity

__all__ = ["CONVERGENCE_PANELS"]

_TABLE = "appendix-a"
_LARGER = "appendix-a-larger"


@dataclass(frozen=True)
class _Rule:
    """One rule of the step.

    Attributes:
        name: in tables.
        x: the axis of its panels.
        lines: of its panels.
        against: the end of their captions.
        starts: where the runs of its lines begin.
    """

    name: str
    x: Quantity
    lines: tuple[PanelLine, ...]
    against: str
    starts: str


_DIMINISHING = _Rule(
    "diminishing",
    Quantity("value", "u of the step Δ = u/t", "money/ms", log=True),
    (
        PanelLine("diminishing middle", "middle"),
        PanelLine("diminishing random", "random"),
        PanelLine("diminishing near", "near R*"),
    ),
    "against u of the step Δ = u/t",
    "in the middle of the box, at random in it, or at the distance u from the equilibrium R*",
)
_CONSTANT = _Rule(
    "constant",
    Quantity("value", "constant step Δ", "money/ms", log=True),
    (
        PanelLine("constant middle", "middle"),
        PanelLine("constant random", "random"),
    ),
    "against the constant step Δ",
    "in the middle of the box, or at random in it",
)


@dataclass(frozen=True)
class _ConvergenceReading:
    """What one panel of each rule shows.

    Attributes:
        shows: the beginning of its caption.
        quantity: its axis.
        with_solver: whether the solver has the quantity too.
        of_constant: its axis for constant steps, where that is another.
    """

    shows: str
    quantity: Quantity
    with_solver: bool
    of_constant: Quantity | None = None


_BOUND = Quantity("bound_log10", "log₁₀ of bound on iterations", of_all=True)

_READINGS = (
    _ConvergenceReading(
        f"Iterations of Algorithm 1 to its own stop, over the runs that stop within "
        f"{MAX_ITERATIONS}, and sweeps of the capacity-price solver on the same markets",
        Quantity("iterations", "iterations or sweeps", log=True),
        with_solver=True,
    ),
    _ConvergenceReading(
        f"Share of runs that stop within {MAX_ITERATIONS} iterations",
        Quantity("stopped", "share that stops", of_all=True),
        with_solver=False,
    ),
    _ConvergenceReading(
        "The most that a user could gain alone where a run ends, by its own rule or at "
        f"{MAX_ITERATIONS} iterations, as a share of the largest utility (means of logarithms)",
        Quantity("regret_log10", "log₁₀ of relative regret", of_all=True),
        with_solver=True,
    ),
    _ConvergenceReading(
        "Appendix A's bound on the iterations to the mean gap that a run reached, as a power of "
        f"ten; runs took 10^{math.log10(MAX_ITERATIONS):.1f} at most",
        replace(_BOUND, log=True),
        with_solver=False,
        of_constant=_BOUND,
    ),
    _ConvergenceReading(
        "The gap to the equilibrium in sum of utilities, over what the proof allows after as many "
        "iterations (means of logarithms): above 0 the proof is refuted",
        Quantity("gap_log10", "log₁₀ of gap/bound on it", of_all=True),
        with_solver=False,
    ),
)


def _caption(reading: _ConvergenceReading, rule: _Rule) -> str:
    caption = f"{reading.shows}, {rule.against}"
    return f"{caption}; runs begin {rule.starts}" if reading is _READINGS[0] else caption


def _panels() -> tuple[Panel, ...]:
    panels: list[Panel] = []
    for reading in _READINGS:
        for rule in (_DIMINISHING, _CONSTANT):
            constant = reading.of_constant if rule is _CONSTANT else None
            solver = PanelLine(f"{rule.name} {SOLVER}", "solver", strong=True)
            panels.append(
                Panel(
                    name=f"figA{len(panels) + 1}",
                    figure="A",
                    shows=_caption(reading, rule),
                    table=_TABLE,
                    x=rule.x,
                    series=(constant or reading.quantity,),
                    lines=(*((solver,) if reading.with_solver else ()), *rule.lines),
                    by="line",
                    ours=True,
                )
            )
    return tuple(panels)


def _variant(panel: Panel) -> Panel:
    return replace(
        panel,
        name=f"{panel.name}-larger",
        where="with 3 providers and 10 users",
        table=_LARGER,
        variant_of=panel.name,
    )


_OF_TABLE = _panels()

CONVERGENCE_PANELS: tuple[Panel, ...] = (
    *_OF_TABLE,
    # The larger markets are run with too few constant steps for a line.
    *(_variant(panel) for panel in _OF_TABLE if panel.x == _DIMINISHING.x),
)
