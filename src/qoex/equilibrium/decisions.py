"""What a search does next, and why: one table, of which the first row that applies counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from qoex.equilibrium import moves
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.search_state import Problem, SearchState
from qoex.game.solution import Status


class Reason(StrEnum):
    """Why a search did next what it did, as its trace keeps it."""

    SAMPLE_SOLVED = "sample_solved"
    NOT_FINITE = "not_finite"
    CONDITIONS_HOLD = "conditions_hold"
    SWEEPS_USED_UP = "sweeps_used_up"
    PAIRS_CROSS = "pairs_cross"
    NOT_DIFFERENTIATED = "not_differentiated"
    NO_PROGRESS_DETOUR = "no_progress_detour"
    NO_PROGRESS_RESTART = "no_progress_restart"
    RESPONSES_AT_REST = "responses_at_rest"
    NOTHING_LEFT = "nothing_left"
    OVERLOADED_BELOW_PRICE = "overloaded_below_price"
    ON_A_DETOUR = "on_a_detour"
    MODEL_HOLDS = "model_holds"

    @property
    def sentence(self) -> str:
        """The reason in words, and what was done."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.SAMPLE_SOLVED: "Some of the users were solved first, and tell where to begin.",
    Reason.NOT_FINITE: "A number is not finite; the search ended.",
    Reason.CONDITIONS_HOLD: "The conditions hold to the tolerance; the search ended.",
    Reason.SWEEPS_USED_UP: "All sweeps allowed have been made; the search ended.",
    Reason.PAIRS_CROSS: "Pairs do not settle on a side of their threshold; they became unknowns.",
    Reason.NOT_DIFFERENTIATED: (
        "A capacity is overloaded that was not expected to fill; users responded again, "
        "and told its derivatives."
    ),
    Reason.NO_PROGRESS_DETOUR: (
        "There was no progress, and there are no best responses to start from; line searches and "
        "short steps took turns."
    ),
    Reason.NO_PROGRESS_RESTART: "There was no progress; it began anew from best responses.",
    Reason.RESPONSES_AT_REST: (
        "There was no progress from any start near best responses that are at rest; "
        "these are the result."
    ),
    Reason.NOTHING_LEFT: "There was no progress, and nothing is left to try; the search ended.",
    Reason.OVERLOADED_BELOW_PRICE: (
        "A capacity is overloaded although its price may not move yet; it was taken over the kink."
    ),
    Reason.ON_A_DETOUR: "A detour goes on by a short step, whatever it does to the error.",
    Reason.MODEL_HOLDS: "The linear model tells a step; a line search went along it.",
}


class Decision(NamedTuple):
    """A row of the table.

    Attributes:
        reason: why.
        applies: whether it does where the search stands; asked only if no row before does.
        act: changes where the search stands; None where it ends.
        end: how it ends then.
    """

    reason: Reason
    applies: Callable[[NewtonMethod, Problem, SearchState], bool]
    act: Callable[[NewtonMethod, Problem, SearchState], None] | None = None
    end: Status | None = None


def _is_not_finite(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    return not math.isfinite(state.at.error)


def _is_solved(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    crossing = state.at.crossed and method.exact
    if crossing and not _crossing_is_idle(method, problem, state):
        return False
    return _holds(method, problem, state)


def _crossing_is_idle(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    """Return whether it would not be felt if the pairs that crossed counted where they are.

    They change the impact by their share of all floors, and that the prices by far less.
    """
    if not (moves.has_many(method, problem) and problem.system.strategic):
        return False
    if state.point.alpha.size:
        return False
    growth = problem.system.growth_of_impact(state.point, state.at)
    by_impact = state.model.by_impact  # of the sweep before: near the solution it is much the same
    told = by_impact.any(axis=0)
    if growth[~told].any():
        return False
    error = state.at.error + np.abs(by_impact @ growth).max()
    return bool(error <= method.tolerance)


def _holds(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    point, at = state.point, state.at
    if at.error <= method.tolerance:
        return True
    capacities = point.z.size
    in_use = point.z - problem.system.lower > at.slack[:capacities]
    left = np.where(in_use, at.slack[:capacities], at.residual[:capacities])
    left = np.append(left, at.residual[capacities:])
    return bool(np.abs(left).max() <= method.rounding)


def _is_at_limit(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    return problem.system.sweeps >= method.max_sweeps


def _pairs_cross(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    system = problem.system
    if not system.strategic or system.sweeps <= method.first_sweeps:
        return False
    few = 0 < state.at.near_count <= method.most_at_once
    return few and (state.slow or not moves.has_many(method, problem))


def _is_not_differentiated(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    """Return whether nothing is known of how an overloaded capacity is relieved."""
    at = state.at
    without = at.by_impact if at.has_derivatives else state.model.without
    return bool((without & (at.slack[: state.point.z.size] < 0)).any())


def _is_stalled(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    strategic = problem.system.strategic
    patience = method.patience if strategic else method.patience_without_impact
    return moves.waited(state) > patience


def _may_turn_off(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    left = not problem.system.strategic and state.detours < method.most_detours
    return left and _is_stalled(method, problem, state)


def _has_nothing_left(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    restarts = problem.restarts if problem.system.strategic else None
    left = restarts is not None and not restarts.given_up
    return not left and _is_stalled(method, problem, state)


def _is_at_rest(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    exhausted = problem.restarts is not None and problem.restarts.exhausted
    return exhausted and _is_stalled(method, problem, state)


def _is_stuck(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    return bool(moves.stuck_below_price(method, problem, state).any())


def _is_on_detour(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    return state.detours % 2 == 1


def _always(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    return True


TABLE = (
    # The end.
    Decision(Reason.NOT_FINITE, _is_not_finite, end=Status.NOT_FINITE),
    Decision(Reason.CONDITIONS_HOLD, _is_solved, end=Status.CONVERGED),
    Decision(Reason.SWEEPS_USED_UP, _is_at_limit, end=Status.STEP_LIMIT),
    # Users have to respond again before a step.
    Decision(Reason.PAIRS_CROSS, _pairs_cross, moves.add_marginal_pairs),
    Decision(Reason.NOT_DIFFERENTIATED, _is_not_differentiated, moves.look_again),
    # No progress: only here a search can end without an answer, besides the limit.
    Decision(Reason.NO_PROGRESS_DETOUR, _may_turn_off, moves.turn_off),
    Decision(Reason.NOTHING_LEFT, _has_nothing_left, end=Status.STALLED),
    Decision(Reason.RESPONSES_AT_REST, _is_at_rest, end=Status.CONVERGED),
    Decision(Reason.NO_PROGRESS_RESTART, _is_stalled, moves.restart),
    # Steps, by the linear model.
    Decision(Reason.OVERLOADED_BELOW_PRICE, _is_stuck, moves.jump),
    Decision(Reason.ON_A_DETOUR, _is_on_detour, moves.step_shortly),
    Decision(Reason.MODEL_HOLDS, _always, moves.search_along),
)


def decide(method: NewtonMethod, problem: Problem, state: SearchState) -> Decision:
    """Return the first row of the table that applies."""
    return next(row for row in TABLE if row.applies(method, problem, state))
