"""The provider's half of a certificate: whether the allocation is optimal at the rewards (eq. 8).

The problem is convex, so an allocation is optimal exactly when prices c + λ, d + ρ exist at which
the Karush–Kuhn–Tucker conditions hold; they are read off the allocation itself.

References:
    W. Karush, "Minima of functions of several variables with inequalities as side constraints",
    master's thesis, University of Chicago, 1939.

    H. W. Kuhn, A. W. Tucker, "Nonlinear programming", Proceedings of the Second Berkeley Symposium
    on Mathematical Statistics and Probability, 1951.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qoex.certificate.quantities import NO_QOE
from qoex.game.solution import Regime, Solution
from qoex.model.market import BoolArray, FloatArray, Market

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


class Resource(NamedTuple):
    """What is known of one resource of every provider (N each), however its users were passed over.

    Attributes:
        cost: c or d.
        capacity: F or W.
        use: Σf or ΣB.
        buyers: how many users with QoE demand some.
        price: c + λ as the marginal value Ra/f² of those, the mean weighed by f; else meaningless.
        value: the largest marginal value of a user with QoE; meaningless if there are none.
        least_value: the least; likewise.
        floor_value: the largest marginal value of a user without QoE; zero or less if there are
            none.
        unwanted: the largest amount that is negative (its size), or that nobody demands.
    """

    cost: FloatArray
    capacity: FloatArray
    use: FloatArray
    buyers: FloatArray
    price: FloatArray
    value: FloatArray
    least_value: FloatArray
    floor_value: FloatArray
    unwanted: FloatArray

    def told_price(self) -> FloatArray:
        """Return c + λ where there are buyers, above zero where their offers are zero."""
        return np.where(self.price != 0.0, self.price, TINY_PRICE * self.cost)

    def least_price(self) -> FloatArray:
        """Return the least price that no marginal value exceeds."""
        bought = np.where(self.buyers > 0, self.value, 0.0)
        return _largest(self.cost, bought, self.floor_value)

    def residuals(self, price: FloatArray) -> list[FloatArray]:
        """Return stationarity, primal, dual and complementarity at the price c + λ."""
        slack = 1.0 - self.use / self.capacity
        # Rounding keeps order, so that the largest mismatch is at one of the ends.
        mismatch = _largest(
            np.abs(self.value / price - 1.0), np.abs(self.least_value / price - 1.0)
        )
        return [
            np.where(self.buyers > 0, mismatch, 0.0),
            _largest(self.unwanted / self.capacity, -slack),
            # At the floor (R + ν) × relief is the price: what the value lacks of it is ν's share.
            _largest(self.floor_value / price - 1.0, 1.0 - price / self.cost),
            _largest(np.maximum(1.0 - self.cost / price, 0.0) * slack),
        ]

    def regimes(self, price: FloatArray) -> tuple[Regime, ...]:
        """Return how each capacity stands at this price."""
        full = self.use >= self.capacity * (1.0 - REGIME_TOLERANCE)
        dear = price > self.cost * (1.0 + REGIME_TOLERANCE)
        states = np.where(dear, Regime.BINDING, Regime.PINNED)
        return tuple(Regime(state) for state in np.where(full, states, Regime.SLACK))


def implied_prices(
    compute: Resource, bandwidth: Resource, pairs: FloatArray, ratio: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (c + λ, d + ρ) of every provider as the allocation implies them.

    Users that are served tell a price outright. Users at their floor tell only the ratio of the
    two; where nobody tells more, the least prices are taken that no marginal value exceeds.

    Args:
        compute: of every provider.
        bandwidth: likewise.
        pairs: how many users are at their floor and demand both resources, N.
        ratio: (b/B²)/(a/f²) of these, the mean; meaningless if there are none, N.
    """
    least_x, least_y = compute.least_price(), bandwidth.least_price()
    told_x, told_y = compute.buyers > 0, bandwidth.buyers > 0
    price_x, price_y = compute.told_price(), bandwidth.told_price()
    by_ratio_x = np.where(told_y, price_y / ratio, np.maximum(least_x, least_y / ratio))
    x = np.where(told_x, price_x, np.where(pairs > 0, by_ratio_x, least_x))
    y = np.where(told_y, price_y, np.where(pairs > 0, x * ratio, least_y))
    return x, y


def judged(
    compute: Resource,
    bandwidth: Resource,
    prices: tuple[FloatArray, FloatArray],
    apart: FloatArray,
    lack: FloatArray,
) -> Conditions:
    """Return how well every provider's allocation solves eq. 8: the conditions, all of them.

    Args:
        compute: of every provider.
        bandwidth: likewise.
        prices: as the allocation implies them, N each.
        apart: largest relative difference, over the users at their floor who demand both
            resources, between the ratio of their marginal values and that of the prices, N.
        lack: the largest −Q/κ, N.
    """
    x, y = prices
    none = np.zeros(x.size)
    of_pair = [apart, _largest(lack), none, none]
    residuals = np.max([of_pair, compute.residuals(x), bandwidth.residuals(y)], axis=0)
    return Conditions(KktResiduals(*residuals), x, y, compute.regimes(x), bandwidth.regimes(y))


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
    share = qoe / np.where(market.present, market.latency_budget, 1.0)
    served = share > NO_QOE
    relief_f = _relief(market.work, solution.compute)
    relief_b = _relief(market.traffic, solution.bandwidth)
    compute = _resource(
        (market.compute_cost, market.compute_capacity),
        market.work > 0,
        solution.compute,
        rewards * relief_f,
        served,
    )
    bandwidth = _resource(
        (market.bandwidth_cost, market.bandwidth_capacity),
        market.traffic > 0,
        solution.bandwidth,
        rewards * relief_b,
        served,
    )
    floor = ~served & (market.work > 0) & (market.traffic > 0)
    ratio = relief_b / relief_f
    pairs = floor.sum(axis=1).astype(np.float64)
    mean = np.array(
        [
            np.mean(values[waits]) if waits.any() else 1.0
            for values, waits in zip(ratio, floor, strict=True)
        ]
    )
    x, y = implied_prices(compute, bandwidth, pairs, mean)
    apart = np.abs(np.where(floor, ratio / (y / x)[:, None] - 1.0, 0.0)).max(axis=1)
    return judged(compute, bandwidth, (x, y), apart, (-share).max(axis=1))


def _relief(amount: FloatArray, given: FloatArray) -> FloatArray:
    """Return a/f² or b/B² (N×M): how fast latency falls as more is given; 1 if not demanded."""
    demanded = amount > 0
    return np.where(demanded, amount / np.where(demanded, given, 1.0) ** 2, 1.0)


def _resource(
    limits: tuple[FloatArray, FloatArray],
    demanded: BoolArray,
    given: FloatArray,
    value: FloatArray,
    served: BoolArray,
) -> Resource:
    """Sum up one resource over the users of every provider.

    Args:
        limits: c and F, or d and W, N each.
        demanded: which pairs demand some, N×M.
        given: f or B, N×M.
        value: marginal values Ra/f² or Rb/B² of those, N×M.
        served: which pairs have QoE, N×M.
    """
    buys, waits = served & demanded, ~served & demanded
    return Resource(
        *limits,
        use=np.array([row.sum() for row in given]),
        buyers=buys.sum(axis=1).astype(np.float64),
        price=np.array([_mean_value(*row) for row in zip(value, given, buys, strict=True)]),
        value=np.where(buys, value, -np.inf).max(axis=1),
        least_value=np.where(buys, value, np.inf).min(axis=1),
        floor_value=np.where(waits, value, 0.0).max(axis=1),
        unwanted=np.where(demanded, -given, np.abs(given)).max(axis=1),
    )


def _mean_value(value: FloatArray, given: FloatArray, buys: BoolArray) -> float:
    if not buys.any():
        return 0.0
    return float(np.average(value[buys], weights=np.abs(given[buys])))


def _largest(*values: FloatArray) -> FloatArray:
    """Return the largest at each provider, at least zero; NaN if any is."""
    largest: FloatArray = np.maximum(np.max(values, axis=0), 0.0)
    return largest
