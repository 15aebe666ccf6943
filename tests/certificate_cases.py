"""Random markets of every kind that a certificate has to judge, for the tests that judge some."""

from __future__ import annotations

import numpy as np

from qoex.game.outcome import outcome_of
from qoex.game.solution import Solution, Status
from qoex.model.feasibility import frontier_factor
from qoex.model.market import FloatArray, Market

KINDS = ("plain", "identical users", "no traffic", "no work", "absent pairs", "narrow bounds")


def random_market(rng: np.random.Generator, kind: str) -> Market:
    """One to three providers and one to seven users; feasible, by a little or by a lot."""
    providers, users = int(rng.integers(1, 4)), int(rng.integers(1, 8))
    pairs = providers, users
    work = rng.uniform(5.0, 300.0, pairs) * 10.0 ** rng.uniform(-1.0, 0.5)
    traffic = rng.uniform(0.5, 20.0, pairs) * 10.0 ** rng.uniform(-1.0, 1.0)
    budget = rng.uniform(200.0, 1500.0, pairs)
    profit_factor = rng.uniform(50.0, 500.0, users)
    low, high = np.zeros(users), np.full(users, 100.0)
    some = rng.random(pairs) < 0.4
    if kind == "identical users":
        work, traffic, budget = (np.repeat(x[:, :1], users, 1) for x in (work, traffic, budget))
        profit_factor = np.full(users, 300.0)
    elif kind == "no traffic":
        traffic[some] = 0.0
    elif kind == "no work":
        work[some] = 0.0
    elif kind == "absent pairs":
        work[some], traffic[some], budget[some] = 0.0, 0.0, 0.0
    elif kind == "narrow bounds":
        low = rng.uniform(0.0, 0.15, users)
        high = low + rng.uniform(1e-3, 0.2, users)
    market = Market(
        work=work,
        traffic=traffic,
        latency_budget=budget,
        compute_cost=rng.uniform(15.0, 30.0, providers),
        bandwidth_cost=rng.uniform(0.05, 0.5, providers),
        compute_capacity=np.ones(providers),
        bandwidth_capacity=10.0 ** rng.uniform(0.0, 3.0, providers),
        profit_factor=profit_factor,
        reward_min=low,
        reward_max=high,
    )
    needed = np.maximum(frontier_factor(market), 1e-9)
    spare = 10.0 ** rng.uniform(0.01, 1.3, providers)
    return market.replace(
        compute_capacity=market.compute_capacity * needed * spare,
        bandwidth_capacity=market.bandwidth_capacity * needed * spare,
    )


def settled(market: Market, rewards: FloatArray) -> Solution:
    """The rewards, moved into the box, with the providers' exact answers."""
    inside = np.clip(rewards, market.reward_min, market.reward_max)
    return outcome_of(market, inside, status=Status.EXACT, method="given", steps=0)


def off_equilibrium(rng: np.random.Generator, market: Market) -> Solution:
    """Rewards of a usual size at which providers serve some users and not others."""
    return settled(market, 10.0 ** rng.uniform(-2.0, 0.0, market.work.shape))
