"""From a market and its users to the capacity prices: what memory, disk and cluster share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qoex.equilibrium.decisions import Reason
from qoex.equilibrium.evaluation import BehaviourModel, Point
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.newton import Tell, search
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_system import PriceSystem, threshold
from qoex.equilibrium.restart import Restarts
from qoex.equilibrium.search_state import Problem, SearchResult
from qoex.equilibrium.subsample import Sample, sample_of
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime, Solution, Step
from qoex.model.feasibility import Capacities, FloorLoad, require_feasible
from qoex.model.market import Market
from qoex.model.sides import ProviderSide

# Prices of the sample need not be better known than they are those of the market.
_OF_THE_SAMPLE = NewtonMethod(tolerance=1e-4, max_sweeps=60, exact=False)


class Supply(ProviderSide, Capacities, Protocol):
    """What N providers have, what it costs them, and what they are called."""


@dataclass(frozen=True)
class FoundPrices:
    """What was found of the prices of a market.

    Attributes:
        problem: what they are a solution of, if they are one.
        result: how the search ended, and where.
        first_step: what was done before it, if anything.
    """

    problem: Problem
    result: SearchResult
    first_step: Step | None

    @property
    def trace(self) -> tuple[Step, ...]:
        """All steps, first to last."""
        first = () if self.first_step is None else (self.first_step,)
        return (*first, *self.result.trace)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the result."""
        if self.result.by_responses:
            return ("found by best responses: an equilibrium, not necessarily the canonical one",)
        return ()

    def held_rewards(self) -> list[tuple[tuple[int, int], float]]:
        """Return the marginal pairs (provider, user), each with its reward in money per ms.

        It is held at t² exactly, which is what the others reckon with.
        """
        point, at = self.result.point, self.result.at
        held = []
        pairs = zip(self.problem.system.marginal_pairs, at.marginal_users, point.alpha, strict=True)
        for (n, m), user, share in pairs:
            wanted = max(float(user.wanted[n]), threshold(user, n, at.x, at.y)) ** 2
            wanted = user.reward_min if share == 1.0 else wanted
            held.append(((n, m), float(np.clip(wanted, user.reward_min, user.reward_max))))
        return held


def find_prices(
    supply: Supply,
    users: Population,
    behaviour: BehaviourModel,
    method: NewtonMethod,
    *,
    market: Market | None = None,
    start: Solution | None = None,
    tell: Tell | None = None,
) -> FoundPrices:
    """Return the capacity prices at which users and providers are at rest.

    Args:
        supply: N providers.
        users: all of their users, whoever has them.
        behaviour: how users reckon.
        method: tolerances and limits.
        market: the whole of it, if it is in memory, and its users are of this process: only then
            rounds of best responses can be made where the method stalls.
        start: a solution of a similar market of the same shape, as a warm start.
        tell: called with each step before it is taken.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: ``start`` is of another shape.

    """
    load = FloorLoad(*users.floor_load())
    require_feasible(supply, load)
    system = PriceSystem(supply, users, behaviour)
    problem = Problem(
        system,
        restarts=None if market is None else Restarts(system, market),
        sample=sample_of(system, supply, load),
    )
    point, first_step = system.origin(), None
    if start is not None:
        point = _warm_point(system, start)
    elif problem.sample is not None:
        begun = _sampled_start(system, problem.sample)
        if begun is not None:
            point, first_step = begun
            if tell is not None:
                tell(first_step)
    return FoundPrices(problem, search(method, problem, point, tell), first_step)


def _sampled_start(system: PriceSystem, sample: Sample) -> tuple[Point, Step] | None:
    """Return the point that the equilibrium of a sample of the users suggests, if there is one.

    Args:
        system: of the whole market.
        sample: of its users.

    """
    found = search(_OF_THE_SAMPLE, Problem(sample.system), sample.system.origin())
    sample.forget_marginal_pairs()
    if not found.status.ok:
        return None
    sweeps = sample.system.sweeps
    note = f"every {sample.stride}th user solved first, in {sweeps} sweeps of theirs"
    point, at = found.point, found.at
    system.note_plenty(point, at.slack[: point.z.size])
    begun = Point(z=point.z, alpha=np.zeros(0), floors=point.floors / sample.share)
    return begun, Step(0, at.error, note, Reason.SAMPLE_SOLVED)


def _warm_point(system: PriceSystem, start: Solution) -> Point:
    shape = system.users.providers, system.users.users
    if start.rewards.shape != shape:
        raise InvalidInputError(f"start has shape {start.rewards.shape}; it must be {shape}")
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
