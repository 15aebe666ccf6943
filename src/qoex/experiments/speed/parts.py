"""What a solve is made of, each part timed by itself at the solution."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_system import PriceSystem
from qoex.game.outcome import outcome_of
from qoex.game.solution import CapacityState, Regime, Solution
from qoex.kernels.arguments import RootPrices
from qoex.model.market import FloatArray, Market

_TIMES = 3


class SolveParts(NamedTuple):
    """The median times of the parts, in seconds.

    Attributes:
        sweep: one more sweep over the users, at the solution.
        settle: the providers' answers, and the arrays of the solution.
        alone_share: share of the users that such a sweep leaves to be solved one by one.
    """

    sweep: float
    settle: float
    alone_share: float


def measure_parts(market: Market, solution: Solution) -> SolveParts:
    """Time the parts of a solve at its result (N×M)."""
    users = Population.of(market)
    system = PriceSystem(market, users, BehaviourModel.STRATEGIC)
    point = system.origin()
    point.floors = users.start(solution.rewards, solution.qoe)
    states = solution.compute_state, solution.bandwidth_state
    for resource, state in enumerate(states):
        height = 0.5 * np.log(state.price)
        height -= np.log(system.root_cost.reshape(2, -1)[resource])
        z = point.z.reshape(2, -1)[resource]
        z[:] = [_height(*given) for given in zip(state.regime, height, strict=True)]
    told = system.evaluate(point).prices
    roots = RootPrices(_roots(states[0]), _roots(states[1]))
    return SolveParts(
        sweep=_median(lambda: users.sweep(told)),
        settle=_median(
            lambda: outcome_of(
                market,
                solution.rewards,
                near=roots,
                status=solution.status,
                method=solution.method,
                steps=0,
            )
        ),
        alone_share=users.sweep(told).alone / market.users,
    )


def _height(regime: Regime, above: float) -> float:
    """Return z, the state of a capacity; halfway where use is full and the price is the cost."""
    return {Regime.SLACK: 0.0, Regime.PINNED: 0.5, Regime.BINDING: 1.0 + above}[regime]


def _roots(state: CapacityState) -> FloatArray:
    roots: FloatArray = np.sqrt(state.price)
    return roots


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
