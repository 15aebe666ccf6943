"""One run of Algorithm 1, one row: how it ended, how far from the equilibrium, and the bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoex.equilibrium.solver import solve
from qoex.experiments.appendix_a.bounds import Gaps, Rule, Theorem
from qoex.experiments.appendix_a.starts import Start, distance_to, near
from qoex.experiments.study import Row
from qoex.game.best_response import regret
from qoex.game.solution import Solution
from qoex.mechanisms.dual_perturbation import (
    Constant,
    Diminishing,
    Order,
    Quantised,
    StepRule,
    dual_perturbation,
)
from qoex.model.market import FloatArray, Market

ALGORITHM_1 = "dual-perturbation"
SOLVER = "capacity-prices"

# A regret is a difference of utilities, of which doubles leave about this share; it may be zero.
REGRET_FLOOR = 1e-16

# What random numbers of a seed are for, after its market.
_RANDOM_START, _DIRECTION = 1, 2

# What a row says of a run. ``outcome`` is "solved" (the method ended by its own rule), "unsolved"
# (Algorithm 1 reached the limit of iterations, for example), "unavailable" (a start near an
# equilibrium that was not found) or "failed" (an error of ours). Unlike in a sweep, numbers of an
# unsolved run are kept: they say how far it came. Beside the runs of every step there is the row of
# the capacity-price method on the same market, with null for what it has not.
MEASURED: dict[str, str] = {
    "line": "text",  # rule and start, or rule and SOLVER: what one line of a figure is of
    "method": "text",
    "rule": "text",  # diminishing, constant or quantised
    "value": "real",  # u of Δ = u/t or the constant Δ, money per ms
    "levels": "whole",  # L of a quantised rule
    "start": "text",
    "order": "text",  # in which users act
    "outcome": "text",
    "status": "text",
    "reason": "text",
    "stopped": "flag",  # whether it is solved
    "start_distance": "real",  # max_m ‖R_m − R*_m‖₂, money per ms (``starts.distance_to``)
    "iterations": "whole",  # of Algorithm 1, or the solver's sweeps over the users
    "regret": "real",  # the most that a user could gain alone, money
    "regret_relative": "real",  # over the largest |utility| at the equilibrium
    "regret_log10": "real",  # logarithm of that, or of REGRET_FLOOR where it is less
    "distance": "real",  # as start_distance, at the end
    "first_gap": "real",  # the gap Σ_m (U_m(R*) − U_m(R)) at the start, money (``bounds.Gaps``)
    "mean_gap": "real",
    "mean_least_gap": "real",
    "last_gap": "real",  # at the end, money
    "gap_ceiling": "real",  # what the proof says that mean_least_gap is at most, money
    "gap_log10": "real",  # log₁₀(mean_least_gap/gap_ceiling), null where that gap is not positive
    "below_ceiling": "flag",  # whether mean_least_gap is at most that
    "bound_constant": "real",  # κ̈ or κ′, money per ms
    "bound_log10": "real",  # log₁₀ of the bound on iterations for ε = mean_least_gap
    "within_bound": "flag",  # whether iterations is at most that
    "bound_reason": "text",  # why there is no bound
}


@dataclass(frozen=True)
class AlgorithmRun:
    """One run of Algorithm 1 as it takes part in a study.

    Attributes:
        order: in which users act.
        rule: of the step.
        start: where it begins; ``near`` is at the distance u, and only for Δ = u/t.
    """

    order: Order
    rule: StepRule
    start: Start


def measure_solver(market: Market) -> tuple[Row, Solution | None]:
    """Return what a row says of the capacity-price method, and the equilibrium if it was found."""
    solution = solve(market)
    equilibrium = solution if solution.status.ok else None
    return {"method": SOLVER} | _end(market, solution, equilibrium), equilibrium


def step_columns(rule: StepRule, market: Market, line: str) -> Row:
    """Return a row of nulls but for the columns that say which step it is of, and its line."""
    name, step = type(rule).__name__.lower(), _as_constant(rule, market)
    return dict.fromkeys(MEASURED) | {
        "line": f"{name} {line}",
        "rule": name,
        "value": step.u if isinstance(step, Diminishing) else step.delta,
        "levels": rule.levels if isinstance(rule, Quantised) else None,
    }


def measure_run(
    market: Market,
    equilibrium: Solution | None,
    run: AlgorithmRun,
    seed: tuple[int, int],
    max_iterations: int,
) -> Row:
    """Return the columns of MEASURED for one run.

    Args:
        market: that can be served.
        equilibrium: R*, if it is known.
        run: what is run.
        seed: root seed and seed; all runs of a seed with a random start have the same one, and all
            that begin near the equilibrium lie in the same direction from it.
        max_iterations: T of Algorithm 1.
    """
    row = step_columns(run.rule, market, run.start) | {
        "method": ALGORITHM_1,
        "start": run.start,
        "order": run.order,
    }
    initial: FloatArray | None = None
    if run.start == "near":
        if equilibrium is None:
            reason = "no start near an equilibrium that was not found"
            return row | {"outcome": "unavailable", "reason": reason}
        assert isinstance(run.rule, Diminishing)
        direction = np.random.default_rng([*seed, _DIRECTION])
        initial = near(market, equilibrium, run.rule.u, direction)
    history = _History()
    try:
        solution = dual_perturbation(
            market,
            step=run.rule,
            order=run.order,
            initial=initial,
            rng=np.random.default_rng([*seed, _RANDOM_START]) if run.start == "random" else None,
            max_iterations=max_iterations,
            observe=history,
        )
        row |= _end(market, solution, equilibrium)
        step = _as_constant(run.rule, market)
        return row | _against_theorem(market, step, solution, history, equilibrium)
    except Exception as error:  # one fault of ours must not cost a night's other points
        return row | {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}


class _History:
    """What Algorithm 1 began with, and the utilities before each of its iterations."""

    def __init__(self) -> None:
        self.initial: FloatArray = np.empty(0)
        self.utilities: list[FloatArray] = []

    def __call__(self, number: int, rewards: FloatArray, utility: FloatArray) -> None:
        if number == 1:
            self.initial = rewards
        self.utilities.append(utility)


def _as_constant(rule: StepRule, market: Market) -> Rule:
    """Return the rule as the theorem knows it; of unequal boxes the widest counts."""
    if isinstance(rule, Quantised):
        return Constant(float(rule.size(market, 1).max()))
    return rule


def _end(market: Market, solution: Solution, equilibrium: Solution | None) -> Row:
    """Return what a row says of how a method ended, whichever it is."""
    gain = float(regret(market, solution.rewards).max())
    row: Row = {
        "outcome": "solved" if solution.status.ok else "unsolved",
        "status": solution.status.name,
        "reason": None if solution.status.ok else solution.status.sentence,
        "stopped": solution.status.ok,
        "iterations": solution.steps,
        "regret": gain,
    }
    if equilibrium is not None:
        relative = gain / float(np.abs(equilibrium.user_utility).max())
        row["regret_relative"] = relative
        row["regret_log10"] = math.log10(max(relative, REGRET_FLOOR))
        row["distance"] = distance_to(market, solution.rewards, equilibrium)
    return row


def _against_theorem(
    market: Market,
    step: Rule,
    solution: Solution,
    history: _History,
    equilibrium: Solution | None,
) -> Row:
    """Return what a row says of a run's gaps and of the bounds of Appendix A."""
    theorem = Theorem.of(market)
    row: dict[str, Any] = {
        "bound_constant": theorem.constant(step),
        "gap_ceiling": theorem.gap_ceiling(step, solution.steps),
    }
    if equilibrium is None:
        return row | {"bound_reason": "the equilibrium is not known"}
    gaps = Gaps.along(np.array(history.utilities), equilibrium.user_utility)
    # The lesser of the two means: a run that breaks the bound for it breaks that for the other.
    bound = theorem.iterations(step, gaps.mean_least)
    return row | {
        "start_distance": distance_to(market, history.initial, equilibrium),
        "first_gap": gaps.first,
        "mean_gap": gaps.mean,
        "mean_least_gap": gaps.mean_least,
        "last_gap": float((equilibrium.user_utility - solution.user_utility).sum()),
        "gap_log10": (
            math.log10(gaps.mean_least / row["gap_ceiling"]) if gaps.mean_least > 0.0 else None
        ),
        "below_ceiling": gaps.mean_least <= row["gap_ceiling"],
        "bound_log10": bound.log10,
        "within_bound": None if bound.log10 is None else math.log10(solution.steps) <= bound.log10,
        "bound_reason": bound.reason or None,
    }
