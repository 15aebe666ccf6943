"""The provider's half of a certificate: whether the allocation is optimal at the rewards (eq. 8).

The problem is convex, so an allocation is optimal exactly when prices c + λ, d + ρ exist at which
the Karush–Kuhn–Tucker conditions hold; they are read off the allocation itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qoex.game.solution import Regime, Solution
from qoex.model.market import BoolArray, FloatArray, Market

# QoE within this share of κ is none: a user at its floor has κ − L = 0 but for rounding.
NO_QOE = 1e-9
# Use within this share of a capacity is all of it, and a price within this share of the unit cost
# is the cost: far above rounding, far below what anyone would call slack.
REGIME_TOLERANCE = 1e-9
# Share of the unit cost that stands for a price of zero, which users that offer nothing imply where
# they are served all the same: it violates the conditions, yet can be divided by.
TINY_PRICE = 1e-200


@dataclass(frozen=True)
class KktResiduals:
    """How far each provider's allocation is from optimal; N each, dimensionless, zero if optimal.

    Attributes:
        stationarity: largest relative difference between a user's marginal value of a resource,
            Ra/f² or Rb/B², and its price c + λ or d + ρ; for users at their floor, where both
            marginal values grow by the same ν, of the ratio of the two.
        primal: largest excess of use over a capacity (relative to it), negative QoE (to κ), or
            allocation that is negative or that nobody demands (to the capacity).
        dual: largest negative multiplier, relative to the price it is a part of.
        complementarity: largest product of a capacity's multiplier (relative to its price) and
            its slack (relative to it). That ν is zero where QoE is positive is part of
            stationarity.
    """

    stationarity: FloatArray
    primal: FloatArray
    dual: FloatArray
    complementarity: FloatArray

    @property
    def largest(self) -> float:
        """The largest of all; NaN if any is."""
        parts = (self.stationarity, self.primal, self.dual, self.complementarity)
        return float(np.max(parts))


class Conditions(NamedTuple):
    """What the allocation of every provider says.

    Attributes:
        residuals: of the conditions.
        compute_price: c + λ, N, money per TFLOPS.
        bandwidth_price: d + ρ, N, money per MHz.
        compute_regime: N.
        bandwidth_regime: N.
    """

    residuals: KktResiduals
    compute_price: FloatArray
    bandwidth_price: FloatArray
    compute_regime: tuple[Regime, ...]
    bandwidth_regime: tuple[Regime, ...]


def reported_qoe(market: Market, solution: Solution) -> FloatArray:
    """Return Q = κ − a/f − b/B (N×M, ms; eq. 7) of the allocation; −∞ where it lacks something."""
    qoe = market.latency_budget.copy()
    for amount, given in (
        (market.work, solution.compute),
        (market.traffic, solution.bandwidth),
    ):
        qoe -= np.where(amount > 0, amount / np.where(amount > 0, given, 1.0), 0.0)
    return qoe


def conditions(
    market: Market, rewards: FloatArray, solution: Solution, qoe: FloatArray
) -> Conditions:
    """Return how well each provider's allocation solves eq. 8 at these rewards.

    Args:
        market: N providers × M users.
        rewards: R, N×M, money per ms; zero at absent pairs.
        solution: its allocation is looked at, nothing else.
        qoe: Q of that allocation, N×M, ms.

    """
    residuals = np.empty((4, market.providers))
    prices = np.empty((2, market.providers))
    regimes: list[tuple[Regime, Regime]] = []
    for n in range(market.providers):
        compute = _Resource.of(
            market.compute_cost[n],
            market.compute_capacity[n],
            market.work[n],
            solution.compute[n],
            rewards[n],
        )
        bandwidth = _Resource.of(
            market.bandwidth_cost[n],
            market.bandwidth_capacity[n],
            market.traffic[n],
            solution.bandwidth[n],
            rewards[n],
        )
        share = qoe[n] / np.where(market.present[n], market.latency_budget[n], 1.0)
        served = share > NO_QOE
        prices[:, n] = _prices(compute, bandwidth, served)
        x, y = prices[:, n]  # NumPy's own floats: no exception where one is zero
        floor = ~served & compute.demanded & bandwidth.demanded
        ratio = (bandwidth.relief / compute.relief) / (y / x)
        of_pair = [
            _largest(np.abs(np.where(floor, ratio - 1.0, 0.0))),
            _largest(-share),
            0.0,
            0.0,
        ]
        parts = (
            of_pair,
            compute.residuals(x, served),
            bandwidth.residuals(y, served),
        )
        residuals[:, n] = np.max(parts, axis=0)
        regimes.append((compute.regime(x), bandwidth.regime(y)))
    return Conditions(
        KktResiduals(*residuals),
        prices[0],
        prices[1],
        tuple(compute_regime for compute_regime, _ in regimes),
        tuple(bandwidth_regime for _, bandwidth_regime in regimes),
    )


class _Resource(NamedTuple):
    """One resource at one provider.

    Attributes:
        cost: c or d.
        capacity: F or W.
        given: f or B, M.
        demanded: M booleans.
        relief: a/f² or b/B², M: how fast latency falls as more is given; 1 if not demanded.
        value: R × relief, M: money per unit of the resource; 0 if not demanded.
    """

    cost: float
    capacity: float
    given: FloatArray
    demanded: BoolArray
    relief: FloatArray
    value: FloatArray

    @classmethod
    def of(
        cls,
        cost: float,
        capacity: float,
        amount: FloatArray,
        given: FloatArray,
        rewards: FloatArray,
    ) -> _Resource:
        demanded = amount > 0
        relief = np.where(demanded, amount / given**2, 1.0)
        value = np.where(demanded, rewards * relief, 0.0)
        return cls(float(cost), float(capacity), given, demanded, relief, value)

    def least_price(self) -> float:
        """Return the least price that no marginal value exceeds."""
        return float(np.maximum(self.cost, self.value.max()))

    def price(self, served: BoolArray) -> float | None:
        """Return c + λ as the marginal value of those served, or None if there are none."""
        users = served & self.demanded
        if not users.any():
            return None
        value = float(np.average(self.value[users], weights=np.abs(self.given[users])))
        return value if value != 0.0 else TINY_PRICE * self.cost

    def residuals(self, price: float, served: BoolArray) -> list[float]:
        """Return stationarity, primal, dual and complementarity at the price c + λ."""
        mismatch = np.where(self.demanded, self.value / price - 1.0, 0.0)
        # At the floor (R + ν) × relief is the price: what the value lacks of it is ν's share.
        floor_multiplier = np.where(served, 0.0, -mismatch)
        slack = 1.0 - self.given.sum() / self.capacity
        unwanted = np.where(self.demanded, -self.given, np.abs(self.given)) / self.capacity
        return [
            _largest(np.abs(np.where(served, mismatch, 0.0))),
            _largest(np.append(unwanted, -slack)),
            _largest(np.append(-floor_multiplier, 1.0 - price / self.cost)),
            _largest(np.maximum(1.0 - self.cost / price, 0.0) * slack),
        ]

    def regime(self, price: float) -> Regime:
        """Return how the capacity stands at this price."""
        if not self.given.sum() >= self.capacity * (1.0 - REGIME_TOLERANCE):
            return Regime.SLACK
        dear = price > self.cost * (1.0 + REGIME_TOLERANCE)
        return Regime.BINDING if dear else Regime.PINNED


def _prices(compute: _Resource, bandwidth: _Resource, served: BoolArray) -> tuple[float, float]:
    """Return (c + λ, d + ρ) as the allocation implies them.

    Users that are served tell a price outright. Users at their floor tell only the ratio of the
    two; where nobody tells more, the least prices are taken that no marginal value exceeds.
    """
    x, y = compute.price(served), bandwidth.price(served)
    least_x, least_y = compute.least_price(), bandwidth.least_price()
    floor = ~served & compute.demanded & bandwidth.demanded
    if not floor.any():
        return least_x if x is None else x, least_y if y is None else y
    ratio = np.mean(bandwidth.relief[floor] / compute.relief[floor])
    if x is None:
        x = float(np.maximum(least_x, least_y / ratio) if y is None else y / ratio)
    return x, float(x * ratio) if y is None else y


def _largest(values: FloatArray) -> float:
    """Return the largest, at least zero; NaN if any is (the built-in ``max`` may lose it)."""
    return float(np.maximum(np.max(values), 0.0))
