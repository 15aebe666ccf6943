"""A fresh start for Newton's method from a few rounds of best replies.

Best replies get slowly but surely near an equilibrium, and show which capacities are full there and
which pairs sit at their threshold. What they do not show are the weights ω and α at the kinks; the
users' first-order conditions do: they tell how large a pull each user must have reckoned with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.best_reply import ReplyRounds
from qoex.capacity_prices import Point, PriceSystem
from qoex.market import BoolArray, FloatArray
from qoex.provider import answer_feasible

# Use within this share of a capacity counts as all of it: rounds that have not come to rest leave
# a full capacity this close or closer.
_FULL = 1e-6
# A price this little above cost, relatively, is no more than a pinned one.
_AT_COST = 1e-9
# Rounds of the first restart; each later one does twice as many, up to a limit that a person can
# wait for. With hardly any room to spare the rounds creep, and more of them would not help.
_ROUNDS = 30
_MOST_ROUNDS = 960
_MOST_RESTARTS = 20
# ln(√p/t) within which a pair becomes an unknown, by restart: what is right depends on how near the
# rounds have come, so later restarts try others.
_NEAR = (1e-2, 1e-3, 5e-2, 1e-4, 1e-5)
# At rest: √R changes by no more than this share in a round.
_REST = 1e-13
_HALVINGS = 40


@dataclass
class Restarts:
    """The rounds of best replies so far: where they stand and whether they have come to rest."""

    system: PriceSystem
    count: int = 0
    rounds: ReplyRounds | None = None
    at_rest: bool = False
    _first_at_rest: int = 0

    @property
    def given_up(self) -> bool:
        """Whether so many restarts were made that another is not worth its time."""
        return self.count >= _MOST_RESTARTS

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
        system = self.system
        if self.rounds is None:
            wanted = np.clip(point.wanted, system.low, system.high)
            self.rounds = ReplyRounds(system.market, np.where(system.present, wanted, 0.0) ** 2)
        marginal = point.marginal.copy()
        for _ in range(min(_ROUNDS * 2**self.count, _MOST_ROUNDS)):
            self.at_rest = self.rounds.round(marginal) <= _REST
            if self.at_rest:
                break
        near = _NEAR[self.count % len(_NEAR)]
        self.count += 1
        if not self.at_rest:
            self._first_at_rest = self.count
        return _point_at(system, self.rewards, near)


def _point_at(system: PriceSystem, rewards: FloatArray, near: float) -> Point:
    """Return the point that fits rewards (N×M), and make the pairs near a threshold unknowns."""
    market = system.market
    n = market.providers
    answer = answer_feasible(market, rewards)
    prices = np.sqrt(np.concatenate([answer.compute_price, answer.bandwidth_price]))
    use = np.concatenate([answer.compute.sum(axis=1), answer.bandwidth.sum(axis=1)])
    above = np.log(prices / system.root_cost)
    full = use >= system.capacity * (1.0 - _FULL)
    marginal = market.profit_factor / (1.0 + answer.qoe.sum(axis=0))
    height = system.root_work * prices[:n, None] + system.root_traffic * prices[n:, None]
    ceiling = np.clip(np.sqrt(marginal), system.low, system.high)
    at_threshold = np.where(system.present, height / system.budget / ceiling, 0.0)
    close = np.abs(np.log(np.where(system.present, at_threshold, 2.0))) < near
    floor = system.present & (answer.qoe == 0)
    system.marginal_pairs[:] = [(int(k), int(m)) for k, m in np.argwhere(close)]
    point = Point(
        z=np.where(above > _AT_COST, 1.0 + above, np.where(full, 0.5, 0.0)),
        alpha=np.array([float(floor[pair]) for pair in system.marginal_pairs]),
        floor=floor,
        wanted=np.sqrt(rewards),
        marginal=marginal,
    )
    inner = system.present & (answer.qoe > 0)
    inner &= (point.wanted > system.low) & (point.wanted < system.high)
    inner &= rewards < marginal
    _weigh_kinks(system, point, height, inner)
    return point


def _weigh_kinks(system: PriceSystem, point: Point, height: FloatArray, inner: BoolArray) -> None:
    """Set the ω and α of each provider to the one share that fits its users' offers on average."""
    n = system.market.providers
    # The first-order condition ph − peu + hu² − (2κ − e)u³ = 0, solved for e.
    u = np.where(inner, point.wanted, 1.0)
    p = np.where(inner, point.marginal, 2.0)
    wanted_pull = (p * height + height * u**2 - 2.0 * system.budget * u**3) / (u * (p - u**2))
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
            by_work, by_traffic, by_cross = system.own_pull(point).coefficients[:, k]
            own = by_work * system.market.work[k] + by_traffic * system.market.traffic[k]
            own += by_cross * system.root_work[k] * system.root_traffic[k]
            if (own - wanted_pull[k])[inner[k]].sum() > 0:
                high = share
            else:
                low = share
