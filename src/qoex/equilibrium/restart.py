"""A fresh start for Newton's method from a few rounds of best responses.

Best responses get slowly but surely near an equilibrium, and show which capacities are full there
and which pairs sit at their threshold. What they do not show are the weights ω and α at the kinks;
the users' first-order conditions do: they tell how large an impact each user must have reckoned
with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.equilibrium.evaluation import Point
from qoex.equilibrium.population import LocalShards
from qoex.equilibrium.price_system import PriceSystem
from qoex.game.best_response import ResponseRounds
from qoex.game.provider import answer_feasible
from qoex.model.market import BoolArray, FloatArray, Market

# Use within this share of a capacity counts as all of it: rounds that have not come to rest leave
# a full capacity this close or closer.
_FULL = 1e-6
# A price this little above cost, relatively, is no more than a pinned one.
_AT_COST = 1e-9
# Rounds of the first restart; each later one does twice as many, up to a limit that a person can
# wait for. With hardly any room to spare the rounds creep, and more of them would not help.
_ROUNDS = 30
_MOST_ROUNDS = 960
_MOST_RESTARTS = 40
# ln(√p/t) within which a pair becomes an unknown, by restart: what is right depends on how near the
# rounds have come, so later restarts try others.
_NEAR = (1e-2, 1e-3, 5e-2, 1e-4, 1e-5)
# At rest: √R changes by no more than this share in a round.
_REST = 1e-13
_HALVINGS = 40
# NM² beyond which a round of best responses takes longer than anybody waits.
_LARGEST = 2e8


@dataclass
class Restarts:
    """The rounds of best responses so far: where they stand and whether they have come to rest."""

    system: PriceSystem
    market: Market
    count: int = 0
    rounds: ResponseRounds | None = None
    at_rest: bool = False
    _first_at_rest: int = 0

    @property
    def given_up(self) -> bool:
        """Whether another restart is not worth its time: there were many, or it would take long."""
        too_large = self.market.providers * self.market.users**2 > _LARGEST
        return too_large or self.count >= _MOST_RESTARTS

    @property
    def exhausted(self) -> bool:
        """Whether the rounds are at rest and every width of "near" has been tried from there."""
        return self.at_rest and self.count >= self._first_at_rest + len(_NEAR)

    @property
    def rewards(self) -> FloatArray:
        """N×M, where the rounds stand, money per ms."""
        assert self.rounds is not None, "no restart has been made"
        return self.rounds.rewards

    def next(self, point: Point) -> Point:
        """Go on with the rounds (the first time from a point) and return a start near them."""
        market = self.market
        assert isinstance(self.system.users.hosts, LocalShards)
        (shard,) = self.system.users.hosts.shards
        if self.rounds is None:
            wanted = np.where(market.present, shard.wanted, 0.0) ** 2
            inside = np.clip(wanted, market.reward_min, market.reward_max)
            self.rounds = ResponseRounds(market, np.where(market.present, inside, 0.0))
        marginal = shard.marginal.copy()
        for _ in range(min(_ROUNDS * 2**self.count, _MOST_ROUNDS)):
            self.at_rest = self.rounds.round(marginal) <= _REST
            if self.at_rest:
                break
        near = _NEAR[self.count % len(_NEAR)]
        self.count += 1
        if not self.at_rest:
            self._first_at_rest = self.count
        return _point_at(self.system, market, self.rewards, near)


def _point_at(system: PriceSystem, market: Market, rewards: FloatArray, near: float) -> Point:
    """Return the point that fits rewards (N×M), and make the pairs near a threshold unknowns."""
    n = market.providers
    answer = answer_feasible(market, rewards)
    prices = np.sqrt(np.concatenate([answer.compute_price, answer.bandwidth_price]))
    use = np.concatenate([answer.compute.sum(axis=1), answer.bandwidth.sum(axis=1)])
    above = np.log(prices / system.root_cost)
    full = use >= system.capacity * (1.0 - _FULL)
    marginal = market.profit_factor / (1.0 + answer.qoe.sum(axis=0))
    height = np.sqrt(market.work) * prices[:n, None] + np.sqrt(market.traffic) * prices[n:, None]
    ceiling = np.sqrt(np.clip(marginal, market.reward_min, market.reward_max))
    budget = np.where(market.present, market.latency_budget, 1.0)
    at_threshold = np.where(market.present, height / budget / ceiling, 0.0)
    close = np.abs(np.log(np.where(market.present, at_threshold, 2.0))) < near
    point = Point(
        z=np.where(above > _AT_COST, 1.0 + above, np.where(full, 0.5, 0.0)),
        alpha=np.zeros(0),
        floors=system.users.start(rewards, answer.qoe),
    )
    system.marginal_pairs.clear()
    system.users.set_unknown([])
    for k, m in np.argwhere(close):
        system.add_marginal_pair(point, (int(k), int(m)))
    root_rewards = np.sqrt(rewards)
    inner = market.present & (answer.qoe > 0) & (rewards < marginal)
    inner &= (rewards > market.reward_min) & (rewards < market.reward_max)
    # The first-order condition ph − peu + hu² − (2κ − e)u³ = 0, solved for e.
    u, p = np.where(inner, root_rewards, 1.0), np.where(inner, marginal, 2.0)
    wanted_impact = (p * height + height * u**2 - 2.0 * budget * u**3) / (u * (p - u**2))
    _weigh_kinks(system, market, point, wanted_impact, inner)
    return point


def _weigh_kinks(
    system: PriceSystem, market: Market, point: Point, wanted_impact: FloatArray, inner: BoolArray
) -> None:
    """Set the ω and α of each provider to the one share that fits its users' offers on average."""
    n = market.providers
    root_work, root_traffic = np.sqrt(market.work), np.sqrt(market.traffic)
    for k in range(n):
        pairs = [j for j, pair in enumerate(system.marginal_pairs) if pair[0] == k]
        pinned = [i for i in (k, n + k) if 0.0 < point.z[i] < 1.0]
        if not (pairs or pinned) or not inner[k].any():
            continue
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            share = 0.5 * (low + high)
            point.alpha[pairs] = share
            point.z[pinned] = share
            by_work, by_traffic, by_cross = system.own_impact(point).coefficients[:, k]
            own = by_work * market.work[k] + by_traffic * market.traffic[k]
            own += by_cross * root_work[k] * root_traffic[k]
            if (own - wanted_impact[k])[inner[k]].sum() > 0:
                high = share
            else:
                low = share
