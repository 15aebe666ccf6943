"""The canonical equilibrium: the capacity prices at which users and providers are at rest.

References:
    H. D. Sherali, "A multiple leader Stackelberg model and analysis", Operations Research 32, 1984.

    J.-S. Pang, M. Fukushima, "Quasi-variational inequalities, generalized Nash equilibria, and
    multi-leader-follower games", Computational Management Science 2, 2005.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qoex.equilibrium.evaluation import BehaviourModel, Evaluation, Point
from qoex.equilibrium.newton import Search
from qoex.equilibrium.population import LocalShards, Population
from qoex.equilibrium.price_system import PriceSystem, threshold
from qoex.equilibrium.restart import Restarts
from qoex.equilibrium.subsample import Sample, sample_of
from qoex.errors import InvalidInputError
from qoex.game.best_response import idle_at_least
from qoex.game.outcome import outcome_of
from qoex.game.solution import Regime, Solution, Status, Step
from qoex.model.feasibility import FloorLoad, frontier_factor, require_feasible
from qoex.model.market import FloatArray, Market

# Prices of the sample need not be better known than they are those of the market.
_TOLERANCE = 1e-4
_MOST_SWEEPS = 60


def sampled_start(system: PriceSystem, sample: Sample, trace: list[Step]) -> Point | None:
    """Return the point that the equilibrium of a sample of the users suggests, if there is one.

    Args:
        system: of the whole market.
        sample: of its users.
        trace: gets a step that says what was done.

    """
    search = Search(sample.system, _TOLERANCE, _MOST_SWEEPS)
    search.exact = False
    status, point, at = search.run(sample.system.origin())
    sample.forget_marginal_pairs()
    if not status.ok:
        return None
    sweeps = sample.system.sweeps
    note = f"every {sample.stride}th user solved first, in {sweeps} sweeps of theirs"
    trace.append(Step(0, at.error, note))
    system.note_plenty(point, at.slack[: point.z.size])
    return Point(z=point.z, alpha=np.zeros(0), floors=point.floors / sample.share)


# On the relative error of every capacity price. Rewards then hold to about 1e-11, well inside the
# 1e-8 promised, and the roundings of a few hundred terms stay below it.
TOLERANCE = 1e-12
METHOD = "capacity-prices"
MAX_SWEEPS = 2000
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

    Returns:
        A solution whose status is CONVERGED, or says why it is not solved.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: ``start`` is of another shape.
    """

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
    users = Population.of(market)
    load = FloorLoad(*users.floor_load())
    require_feasible(market, load)
    system = PriceSystem(market, users, behaviour)
    restarts = Restarts(system, market)
    sample = sample_of(system, market, load)
    search = Search(system, tolerance, max_sweeps, restarts=restarts, sample=sample)
    if start is not None:
        point = _warm_point(system, market, start)
    else:
        begun = sampled_start(system, sample, search.trace) if sample is not None else None
        point = begun or system.origin()
    status, point, at = search.run(point)
    if search.settled_by_responses:
        rewards, near = idle_at_least(market, restarts.rewards), None
    else:
        rewards, near = _rewards(system, market, point, at), (at.x, at.y)
    return outcome_of(
        market,
        rewards,
        near=near,
        status=status,
        method=method,
        steps=system.sweeps,
        trace=search.trace,
        notes=search.notes,
    )


def _rewards(system: PriceSystem, market: Market, point: Point, at: Evaluation) -> FloatArray:
    """Return R (N×M): s² where QoE is bought, the least reward (a planner's p) where none is."""
    assert isinstance(system.users.hosts, LocalShards)
    (shard,) = system.users.hosts.shards
    if system.behaviour is BehaviourModel.WELFARE:
        return np.where(market.present, shard.marginal, 0.0)
    rewards = shard.rewards(last=True)
    for (n, m), reward in held_rewards(system, point, at):
        rewards[n, m] = reward
    return rewards


def held_rewards(
    system: PriceSystem, point: Point, at: Evaluation
) -> list[tuple[tuple[int, int], float]]:
    """Return the marginal pairs (provider, user), each with its reward in money per ms.

    It is held at t² exactly, which is what the others reckon with.
    """
    held = []
    pairs = zip(system.marginal_pairs, at.marginal_users, point.alpha, strict=True)
    for (n, m), user, share in pairs:
        wanted = max(float(user.wanted[n]), threshold(user, n, at.x, at.y)) ** 2
        wanted = user.reward_min if share == 1.0 else wanted
        held.append(((n, m), float(np.clip(wanted, user.reward_min, user.reward_max))))
    return held


def _warm_point(system: PriceSystem, market: Market, start: Solution) -> Point:
    if start.rewards.shape != market.work.shape:
        raise InvalidInputError(
            f"start has shape {start.rewards.shape}; it must be {market.work.shape}"
        )
    states = (start.compute_state, start.bandwidth_state)
    regime = np.array([r.value for state in states for r in state.regime])
    price = np.concatenate([state.price for state in states])
    above = np.maximum(0.5 * np.log(price) - np.log(system.root_cost), 0.0)
    z = np.where(regime == Regime.PINNED, 0.5, 0.0)
    z = np.where(regime == Regime.BINDING, 1.0 + above, z)
    point = system.origin()
    point.z = np.maximum(z, system.lower)
    use = np.concatenate([state.use for state in states])
    with np.errstate(divide="ignore"):
        system.note_plenty(point, np.log(system.capacity) - np.log(use))
    point.floors = system.users.start(start.rewards, start.qoe)
    return point
