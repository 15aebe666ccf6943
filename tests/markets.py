"""Random markets for tests: every regime a capacity can be in, and the corners of the input."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from qoex.model.feasibility import frontier_factor
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray, Market

Family = Literal[
    "any", "slack", "binding", "pinned", "tight", "bounds", "absent", "identical", "scaled"
]
FAMILIES: tuple[Family, ...] = get_args(Family)

# Capacities exceed the least ones by at least this share, but for the family "tight".
LARGEST_FACTOR = 0.98


def random_market(
    rng: np.random.Generator, providers: int, users: int, regime: Family = "any"
) -> Market:
    """Draw a feasible market.

    - any: capacities from barely enough to a hundred times as much;
    - slack: no capacity matters;
    - binding: every capacity is 0.3 to 0.8 of what would be used if there were enough;
    - pinned: as slack, but one provider's compute is a little less than would be used, by 0.5 to
      3 % for up to five users; nearly all such markets have an equilibrium that is pinned there;
    - tight: capacities are 1.02 times the least that can serve every user;
    - bounds: reward boxes that bind, a few of them a single point;
    - absent: half of the pairs absent; users and providers without any pair may occur;
    - identical: users that do not differ;
    - scaled: work and compute capacity ten thousand times larger or smaller.
    """
    market = _draw(rng, providers, users)
    if regime == "slack":
        return _ample(market)
    if regime == "binding":
        compute, bandwidth, _ = slack_equilibrium(market)
        return _feasible(
            market.replace(
                compute_capacity=compute * rng.uniform(0.3, 0.8, providers),
                bandwidth_capacity=bandwidth * rng.uniform(0.3, 0.8, providers),
            )
        )
    if regime == "pinned":
        while True:
            market = _ample(_draw(rng, providers, users))
            capacity = np.array(market.compute_capacity)
            # The more users, the less each one's impact, and the narrower the range that pins.
            shortage = rng.uniform(0.005, 0.03) * min(1.0, 5.0 / users)
            capacity[0] = slack_equilibrium(market)[0][0] * (1.0 - shortage)
            pinned = market.replace(compute_capacity=capacity)
            if frontier_factor(pinned).max() < LARGEST_FACTOR:
                return pinned
    if regime == "tight":
        factor = 1.02 * frontier_factor(market)
        return market.replace(
            compute_capacity=market.compute_capacity * factor,
            bandwidth_capacity=market.bandwidth_capacity * factor,
        )
    if regime == "bounds":
        rewards = slack_equilibrium(market)[2]
        low, high = 0.5 * rewards.min(axis=0), 2.0 * rewards.max(axis=0)
        ends = np.sort(low * (high / low) ** rng.uniform(0.0, 1.0, (2, users)), axis=0)
        single = rng.uniform(size=users) < 0.1
        return market.replace(reward_min=ends[0], reward_max=np.where(single, ends[0], ends[1]))
    if regime == "absent":
        return market.without(rng.uniform(size=(providers, users)) < 0.5)
    if regime == "identical":
        names = (*PAIR_FIELDS, *USER_FIELDS)
        first = {n: np.repeat(getattr(market, n)[..., :1], users, axis=-1) for n in names}
        return _feasible(market.replace(**first))
    if regime == "scaled":
        scale = 10.0 ** rng.choice([-4.0, 4.0])
        return _feasible(
            market.replace(
                work=market.work * scale, compute_capacity=market.compute_capacity * scale
            )
        )
    return market


def two_users(capacity: float) -> Market:
    """Return the published market of theory section 6 with this compute capacity (TFLOPS)."""
    return Market(
        work=[[200.0, 120.0]],
        traffic=[[5.0, 5.0]],
        latency_budget=[[600.0, 600.0]],
        compute_cost=[21.0],
        bandwidth_cost=[0.15],
        compute_capacity=[capacity],
        bandwidth_capacity=[500.0],
        profit_factor=[370.0, 370.0],
        reward_min=[0.0, 0.0],
        reward_max=[10.0, 10.0],
    )


def slack_equilibrium(market: Market) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (compute used N, bandwidth used N, rewards N×M) if no capacity were limited.

    Without limits users do not meet, and user m's response at marginal gain p is the root of
    2κu³ = h(u² + p), h = √(ac) + √(bd), in u = √R. Two nested bisections need no further theory.
    """
    present = market.present
    budget = np.where(present, market.latency_budget, 1.0)
    root_c, root_d = np.sqrt(market.compute_cost), np.sqrt(market.bandwidth_cost)
    h = np.sqrt(market.work) * root_c[:, None] + np.sqrt(market.traffic) * root_d[:, None]
    threshold = h / budget

    def response(p: FloatArray) -> FloatArray:
        low, high = threshold, np.maximum(np.broadcast_to(np.sqrt(p), h.shape), threshold)
        for _ in range(60):
            u = 0.5 * (low + high)
            above = 2.0 * budget * u**3 > h * (u**2 + p)
            low, high = np.where(above, low, u), np.where(above, u, high)
        root: FloatArray = np.clip(low, np.sqrt(market.reward_min), np.sqrt(market.reward_max))
        return root

    low = market.profit_factor / (1.0 + market.latency_budget.sum(axis=0))
    high = np.array(market.profit_factor)
    for _ in range(60):
        p = np.sqrt(low * high)
        u = response(p)
        qoe = np.where(present & (u > threshold), budget - h / np.maximum(u, threshold), 0.0)
        above = p * (1.0 + qoe.sum(axis=0)) > market.profit_factor
        low, high = np.where(above, low, p), np.where(above, p, high)
    served = np.maximum(u, threshold)
    compute = (served * np.sqrt(market.work)).sum(axis=1) / root_c
    bandwidth = (served * np.sqrt(market.traffic)).sum(axis=1) / root_d
    return compute, bandwidth, np.where(present, u**2, 0.0)


def _draw(rng: np.random.Generator, providers: int, users: int) -> Market:
    shape = providers, users
    work = 10.0 ** rng.uniform(1.0, 3.0, shape)
    traffic = 10.0 ** rng.uniform(0.3, 1.7, shape)
    budget = np.repeat(rng.uniform(300.0, 1500.0, (providers, 1)), users, axis=1)
    return _feasible(
        Market(
            work=work,
            traffic=traffic,
            latency_budget=budget,
            compute_cost=rng.uniform(1.0, 40.0, providers),
            bandwidth_cost=10.0 ** rng.uniform(-2.0, 1.0, providers),
            compute_capacity=(work / budget).sum(axis=1) * 10.0 ** rng.uniform(0.0, 2.0, providers),
            bandwidth_capacity=(traffic / budget).sum(axis=1)
            * 10.0 ** rng.uniform(0.0, 2.0, providers),
            profit_factor=10.0 ** rng.uniform(1.5, 3.0, users),
            reward_min=np.full(users, 1e-6),
            reward_max=np.full(users, 100.0),
        )
    )


def _ample(market: Market) -> Market:
    return market.replace(
        compute_capacity=market.compute_capacity * 1e6,
        bandwidth_capacity=market.bandwidth_capacity * 1e6,
    )


def _feasible(market: Market) -> Market:
    """Return the market with both capacities of a provider raised where they are too small."""
    factor = np.maximum(frontier_factor(market) / (0.999 * LARGEST_FACTOR), 1.0)
    return market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )
