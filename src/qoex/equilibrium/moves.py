"""What a search can do next: each changes where it stands, and most let the users respond anew."""

from __future__ import annotations

import numpy as np

from qoex.equilibrium.evaluation import Evaluation, Point
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.newton_step import lower_idle_prices, newton_step
from qoex.equilibrium.price_system import NEAR
from qoex.equilibrium.search_state import LinearModel, Problem, SearchState
from qoex.equilibrium.subsample import Sample
from qoex.model.market import BoolArray, FloatArray


def has_many(method: NewtonMethod, problem: Problem) -> bool:
    """Return whether there are so many users that a few of them hardly count."""
    return problem.system.users.users >= method.many


def look_again(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Let the users respond anew at the same point, derivatives included."""
    state.move(state.point, problem.system.evaluate(state.point))


def add_marginal_pairs(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Make unknowns of the pairs that cross their thresholds near by."""
    for pair in state.at.near:
        problem.system.add_marginal_pair(state.point, pair)
    look_again(method, problem, state)


def turn_off(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Take short steps from here on, or line searches again; no user is asked."""
    state.forget_progress()
    problem.system.users.forget_crossings()
    state.detours += 1


def restart(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Start anew from a few more rounds of best responses."""
    assert problem.restarts is not None
    state.forget_progress()
    problem.system.users.forget_crossings()
    point = problem.restarts.next(state.point)
    state.move(point, problem.system.evaluate(point))


def waited(state: SearchState) -> int:
    """Return for how many steps there has been no progress, this one included."""
    return 0 if state.at.merit < 0.9 * state.best_merit else state.waited + 1


def linear_model(method: NewtonMethod, problem: Problem, state: SearchState) -> LinearModel:
    """Return the linear model; it is made when first asked for, for the sample has to respond, too.

    A sweep without derivatives leaves it as it was.
    """
    if not state.linearised and state.at.has_derivatives:
        state.model = LinearModel(
            matrix=problem.system.jacobian(state.point, state.at),
            by_impact=problem.system.slack_by_impact(state.at),
            without=state.at.by_impact,
            judge=_sampled(problem, state),
        )
    state.linearised = True
    return state.model


def stuck_below_price(method: NewtonMethod, problem: Problem, state: SearchState) -> BoolArray:
    """Return the capacities (2N) that even ω = 1 leaves overloaded, by the linear model."""
    point, at = state.point, state.at
    size = point.z.size
    slack = at.slack[:size]
    overloaded: BoolArray = slack < 0
    if not overloaded.any():
        return overloaded
    reach = linear_model(method, problem, state).matrix.diagonal()[:size] * (1.0 - point.z)
    stuck: BoolArray = ~problem.system.priced(point, at) & overloaded & (reach < -slack)
    stuck &= state.jumps <= method.most_jumps
    return stuck


def jump(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Take the stuck capacities past the kink at once; with few users no further than to it."""
    _count_step(state)
    stuck = stuck_below_price(method, problem, state)
    point = state.point
    rise = np.minimum(-method.rise * state.at.slack[: point.z.size], method.longest)
    point.z = np.where(stuck, 1.0 + (rise if has_many(method, problem) else 0.0), point.z)
    state.jumps += stuck
    look_again(method, problem, state)


def step_shortly(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Take a share of the step, whatever the merit; each detour goes more slowly."""
    _count_step(state)
    step = _step(method, problem, state)
    share = min(1.0, 0.5**state.detours / max(float(np.abs(step).max()), 1e-300))
    point = _moved(method, problem, state.point, step * share)
    state.move(point, problem.system.evaluate(point))


def search_along(method: NewtonMethod, problem: Problem, state: SearchState) -> None:
    """Go to the first point along the step that lowers the merit, or else the best tried."""
    _count_step(state)
    system = problem.system
    step = _step(method, problem, state)
    best: tuple[Point, Evaluation] | None = None
    length = 1.0
    close = _is_close(method, problem, state)
    backtracks = method.backtracks if system.strategic else method.backtracks_without_impact
    for _ in range(backtracks + 1):
        trial = _moved(method, problem, state.point, length * step)
        kink = system.strategic and bool((trial.z == 1.0).any())
        there = system.evaluate(trial, derivatives=kink or not close)
        if best is None or not best[1].merit <= there.merit:
            best = trial, there
        if there.merit <= (1.0 - 1e-4 * length) * state.at.merit:
            break
        length *= 0.5
    assert best is not None
    if best[0] is not trial:  # the users remember the last sweep only
        best = best[0], system.evaluate(best[0])
    state.move(*best)


def _count_step(state: SearchState) -> None:
    state.waited = waited(state)
    if state.waited == 0:
        state.best_merit = state.at.merit


def _step(method: NewtonMethod, problem: Problem, state: SearchState) -> FloatArray:
    """Return the Newton step from where the search stands, corrected by the sample if it tells."""
    point = state.point
    model = linear_model(method, problem, state)
    slack = _slack_after(method, problem, state)
    step = newton_step(problem.system, point, slack, model.matrix)
    if model.judge is not None:
        step = _bent(method, problem, state, slack, step)
    lower_idle_prices(problem.system, point, state.at, step)
    return step


def _slack_after(method: NewtonMethod, problem: Problem, state: SearchState) -> FloatArray:
    """Return the slack that the sweep would have found with the floors as they are now.

    The floors move after a sweep, and the impact of the users with them. Few users hardly differ
    in their floors from one sweep to the next, unless they do by much.
    """
    slack = state.at.slack.copy()
    if has_many(method, problem) and state.at.error < NEAR:
        growth = problem.system.growth_of_impact(state.point, state.at)
        slack[: state.point.z.size] += state.model.by_impact @ growth
    return slack


def _sampled(problem: Problem, state: SearchState) -> Sample | None:
    """Return the sample, at this point too, if it tells how all users answer to a step."""
    smooth = state.at.prices.directions.shape[0] == 2  # nothing sits at a kink
    sample = problem.sample
    if sample is None or not (sample.tells and smooth and state.at.error < NEAR):
        return None
    sample.linearise(state.point)
    return sample


def _bent(
    method: NewtonMethod, problem: Problem, state: SearchState, slack: FloatArray, step: FloatArray
) -> FloatArray:
    """Return a step corrected by what the sample finds after it that derivatives do not tell.

    Of the square of the error it leaves what the sample cannot tell, a tenth or less.
    """
    point, sample = state.point, state.model.judge
    assert sample is not None
    here = sample.slack(point)
    for _ in range(method.trials):
        there = _moved(method, problem, point, step)
        bend = sample.curvature(here, there, there.z - point.z)
        if not np.isfinite(bend).all():
            return step
        step = newton_step(problem.system, point, slack + bend, state.model.matrix)
    return step


def _is_close(method: NewtonMethod, problem: Problem, state: SearchState) -> bool:
    """Return whether the derivatives at hand will do for all steps that are left.

    With an error of ε they take the next steps to about ε² and ε³.
    """
    at = state.at
    fast = at.has_derivatives or at.error < method.fast * state.last_error
    state.last_error = at.error
    told = problem.sample is not None and problem.sample.tells  # how the derivatives change
    keep = told or not has_many(method, problem)
    return keep and at.error < method.close and fast and not problem.system.marginal_pairs


def _moved(method: NewtonMethod, problem: Problem, point: Point, step: FloatArray) -> Point:
    """Return the point moved by a step that stops at the kink z = 1 and at the bounds."""
    size = point.z.size
    z = np.clip(point.z + step[:size], problem.system.lower, point.z + method.longest)
    over_kink = ((point.z < 1.0) & (z > 1.0)) | ((point.z > 1.0) & (z < 1.0))
    moved = point.copy()
    moved.z = np.where(over_kink, 1.0, z)
    moved.alpha = np.clip(point.alpha + step[size:], 0.0, 1.0)
    return moved
