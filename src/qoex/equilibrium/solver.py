"""The canonical equilibrium: the capacity prices at which users and providers are at rest.

References:
    H. D. Sherali, "A multiple leader Stackelberg model and analysis", Operations Research 32, 1984.

    J.-S. Pang, M. Fukushima, "Quasi-variational inequalities, generalized Nash equilibria, and
    multi-leader-follower games", Computational Management Science 2, 2005.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.method import MAX_SWEEPS, TOLERANCE, NewtonMethod
from qoex.equilibrium.population import LocalShards, Population
from qoex.equilibrium.prices import FoundPrices, find_prices
from qoex.game.best_response import idle_at_least
from qoex.game.outcome import outcome_of
from qoex.game.solution import Solution, Status, UnsolvedMarketError
from qoex.kernels.arguments import RootPrices
from qoex.model.feasibility import frontier_factor, require_feasible
from qoex.model.market import FloatArray, Market

METHOD = "capacity-prices"
# Where a provider's capacities exceed the least ones by less than this share, prices lose digits.
_NEAR = 1e-4
# Of the path from the least capacities, a step of which takes M² operations.
_LARGEST_USERS = 400
# Usual markets take some 20 sweeps, and of 2,000 random ones with 1e-4 of room or more none
# took 280: what has not converged after this many is tried along the path of near_least.
_PATIENCE = 300


def solve(
    market: Market,
    *,
    start: Solution | None = None,
    tolerance: float = TOLERANCE,
    max_sweeps: int = MAX_SWEEPS,
    throw: bool = False,
) -> Solution:
    """Return the canonical equilibrium of the multi-leader multi-follower game (eq. 10, eq. 11).

    Capacities so close to the least ones that prices lose their digits are left to
    :mod:`qoex.equilibrium.near_least`, and so are small markets on which the search by prices
    fails.

    Args:
        market: N providers × M users.
        start: a solution of a similar market of the same shape, as a warm start.
        tolerance: bound on the relative error of every capacity price.
        max_sweeps: passes over the users allowed.
        throw: whether to raise an error where the market is not solved.

    Returns:
        A solution whose status is CONVERGED, or, unless ``throw`` is set, says why it is not
        solved.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: ``start`` is of another shape.
        UnsolvedMarketError: ``throw`` is set and the market is not solved; carries the solution.
    """
    solution = _solved(market, start, tolerance, max_sweeps)
    if throw and not solution.status.ok:
        raise UnsolvedMarketError(solution)
    return solution


def _solved(market: Market, start: Solution | None, tolerance: float, max_sweeps: int) -> Solution:
    def by_prices(most_sweeps: int) -> Solution:
        return solve_prices(
            market,
            BehaviourModel.STRATEGIC,
            method=METHOD,
            start=start,
            tolerance=tolerance,
            max_sweeps=most_sweeps,
        )

    if market.users > _LARGEST_USERS:
        return by_prices(max_sweeps)
    require_feasible(market)
    if frontier_factor(market).max() > 1.0 - _NEAR:
        return _near_least(market) or _if_at_rest(market, by_prices(max_sweeps))
    solution = by_prices(min(max_sweeps, _PATIENCE))
    if solution.status.ok or max_sweeps <= _PATIENCE:
        return solution
    found = _near_least(market)
    if found is None and solution.status is Status.STEP_LIMIT:
        return by_prices(max_sweeps)
    return found or solution


def _near_least(market: Market) -> Solution | None:
    from qoex.equilibrium.near_least import solve_near_least  # scipy's optimisers are slow to load

    return solve_near_least(market, method=METHOD)


def _if_at_rest(market: Market, solution: Solution) -> Solution:
    """Return a solution, unsolved if users could gain: conditions that hold to rounding may lie."""
    from qoex.equilibrium.near_least import is_rest

    if solution.status.ok and not is_rest(market, solution):
        return replace(solution, status=Status.STALLED)
    return solution


def solve_prices(
    market: Market,
    behaviour: BehaviourModel,
    *,
    method: str,
    start: Solution | None = None,
    tolerance: float = TOLERANCE,
    max_sweeps: int = MAX_SWEEPS,
) -> Solution:
    """Solve the price system under any behaviour; see :func:`solve`."""
    found = find_prices(
        market,
        Population.of(market),
        behaviour,
        NewtonMethod(tolerance=tolerance, max_sweeps=max_sweeps),
        market=market,
        start=start,
    )
    problem, result = found.problem, found.result
    if result.by_responses:
        assert problem.restarts is not None
        rewards, near = idle_at_least(market, problem.restarts.rewards), None
    else:
        rewards, near = _rewards(market, found), RootPrices(result.at.x, result.at.y)
    return outcome_of(
        market,
        rewards,
        near=near,
        status=result.status,
        method=method,
        steps=problem.system.sweeps,
        trace=found.trace,
        notes=found.notes,
    )


def _rewards(market: Market, found: FoundPrices) -> FloatArray:
    """Return R (N×M): s² where QoE is bought, the least reward (a planner's p) where none is."""
    system = found.problem.system
    assert isinstance(system.users.hosts, LocalShards)
    (shard,) = system.users.hosts.shards
    if system.behaviour is BehaviourModel.WELFARE:
        return np.where(market.present, shard.marginal, 0.0)
    rewards = shard.rewards(last=True)
    for (n, m), reward in found.held_rewards():
        rewards[n, m] = reward
    return rewards
