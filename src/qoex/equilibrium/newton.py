"""A safeguarded Newton method in the 2N capacity prices.

A semismooth Newton method with a line search takes a handful of sweeps over the users. What can
stop it, and the remedy: a capacity that is overloaded although its price may not move yet (step
over the kink), a pair that will not settle on either side of its threshold (make it an unknown),
and in a market with hardly any room to spare a cycle between sides (start anew from rounds of best
responses, which are slow but steady; if they come to rest, their fixed point is an equilibrium).

The method's numbers are in :mod:`qoex.equilibrium.method`, where it stands in
:mod:`qoex.equilibrium.search_state`, what it does next and why in the table of
:mod:`qoex.equilibrium.decisions`. The loop is here: the only one, whoever has the users.

References:
    L. Qi, J. Sun, "A nonsmooth version of Newton's method", Mathematical Programming 58, 1993.

    T. De Luca, F. Facchinei, C. Kanzow, "A semismooth equation approach to the solution of
    nonlinear complementarity problems", Mathematical Programming 75, 1996.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qoex.equilibrium.decisions import Decision, Reason, decide
from qoex.equilibrium.evaluation import Point
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.search_state import LinearModel, Problem, SearchResult, SearchState
from qoex.game.solution import Step

Tell = Callable[[Step], object]


def search(
    method: NewtonMethod, problem: Problem, point: Point, tell: Tell | None = None
) -> SearchResult:
    """Search the prices from a point on.

    Args:
        method: its tolerances and limits.
        problem: whose prices.
        point: where to begin; changed on the way.
        tell: called with each step before it is taken.

    """
    state = begin(problem, point)
    while True:
        decision = step(method, problem, state, tell)
        if decision.end is not None:
            by_responses = decision.reason is Reason.RESPONSES_AT_REST
            return SearchResult(decision.end, state.point, state.at, by_responses, state.trace)


def begin(problem: Problem, point: Point) -> SearchState:
    """Return where a search from a point stands at first."""
    return SearchState(
        point=point,
        at=problem.system.evaluate(point),
        model=LinearModel.empty(problem.system),
        jumps=np.zeros(point.z.size, dtype=np.int64),
    )


def step(
    method: NewtonMethod, problem: Problem, state: SearchState, tell: Tell | None = None
) -> Decision:
    """Take in what the users said, decide by the table, note the reason, and act on it."""
    _take_in(method, problem, state)
    decision = decide(method, problem, state)
    taken = Step(problem.system.sweeps, state.at.error, _note(problem, state), decision.reason)
    state.trace.append(taken)
    if tell is not None:
        tell(taken)
    if decision.act is not None:
        decision.act(method, problem, state)
    return decision


def _take_in(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Move the point's floors to where the users want them, and look how fast errors fall."""
    at = state.at
    state.point.floors = at.unwanted.copy()
    state.slow = not at.error < method.slow * state.previous_error
    state.previous_error = at.error
    if at.crossed:
        problem.system.users.accept()


def _note(problem: Problem, state: SearchState) -> str:
    notes = [f"{state.at.crossed} pairs crossed their threshold"] if state.at.crossed else []
    if problem.system.marginal_pairs:
        notes.append(f"{len(problem.system.marginal_pairs)} marginal pairs")
    return ", ".join(notes)
