"""What the first pass's totals say of the providers: conditions (eq. 8), consistency, bounds.

The same conditions as in :mod:`qoex.certificate.conditions`, from sums and extremes in place of
arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qoex.certificate.conditions import (
    REGIME_TOLERANCE,
    TINY_PRICE,
    Conditions,
    KktResiduals,
)
from qoex.certificate.passes import Totals
from qoex.game.solution import Regime
from qoex.model.market import FloatArray
from qoex.model.sides import ProviderSide


class _Resource(NamedTuple):
    """One resource of every provider, N each; the names as in ``SUMS`` and ``EXTREMES``."""

    cost: FloatArray
    capacity: FloatArray
    use: FloatArray
    served: FloatArray
    worth: FloatArray
    buyers: FloatArray
    value: FloatArray
    less_value: FloatArray
    floor_value: FloatArray
    unwanted: FloatArray

    @classmethod
    def of(cls, totals: Totals, name: str, cost: FloatArray, capacity: FloatArray) -> _Resource:
        return cls(
            cost,
            capacity,
            totals.sum(name),
            *(totals.sum(f"{what}_{name}") for what in ("served", "worth", "buyers")),
            *(
                totals.largest(f"{what}_{name}")
                for what in ("value", "less_value", "floor_value", "unwanted")
            ),
        )

    def price(self) -> FloatArray:
        """Return c + λ as the marginal value of those served; meaningless if there are none."""
        value = self.worth / self.served
        return np.where(value != 0.0, value, TINY_PRICE * self.cost)

    def least_price(self) -> FloatArray:
        """Return the least price that no marginal value exceeds."""
        return _largest(self.cost, self.value, self.floor_value)

    def residuals(self, price: FloatArray) -> list[FloatArray]:
        """Return stationarity, primal, dual and complementarity at the price c + λ."""
        slack = 1.0 - self.use / self.capacity
        return [
            _largest(self.value / price - 1.0, self.less_value / price + 1.0),
            _largest(self.unwanted / self.capacity, -slack),
            _largest(self.floor_value / price - 1.0, 1.0 - price / self.cost),
            _largest(np.maximum(1.0 - self.cost / price, 0.0) * slack),
        ]

    def regime(self, price: FloatArray) -> tuple[Regime, ...]:
        """Return how the capacity stands at this price."""
        full = self.use >= self.capacity * (1.0 - REGIME_TOLERANCE)
        dear = price > self.cost * (1.0 + REGIME_TOLERANCE)
        states = np.where(dear, Regime.BINDING, Regime.PINNED)
        return tuple(Regime(state) for state in np.where(full, states, Regime.SLACK))


def conditions_of(totals: Totals, costs: ProviderSide) -> Conditions:
    """Return how well each provider's allocation solves eq. 8 at the reported rewards."""
    compute = _Resource.of(totals, "compute", costs.compute_cost, costs.compute_capacity)
    bandwidth = _Resource.of(totals, "bandwidth", costs.bandwidth_cost, costs.bandwidth_capacity)
    x, y = _prices(totals, compute, bandwidth)
    waits = totals.sum("floor_pairs") > 0
    # The ratio of a/f² to b/B² at the floor is that of the prices.
    apart = _largest(
        totals.largest("ratio") * x / y - 1.0, totals.largest("less_ratio") * x / y + 1.0
    )
    of_pair = [
        np.where(waits, apart, 0.0),
        _largest(totals.largest("lack")),
        np.zeros(x.size),
        np.zeros(x.size),
    ]
    residuals = np.max([of_pair, compute.residuals(x), bandwidth.residuals(y)], axis=0)
    return Conditions(KktResiduals(*residuals), x, y, compute.regime(x), bandwidth.regime(y))


def _prices(
    totals: Totals, compute: _Resource, bandwidth: _Resource
) -> tuple[FloatArray, FloatArray]:
    """Return (c + λ, d + ρ) as the allocation implies them, like ``conditions._prices``."""
    least_x, least_y = compute.least_price(), bandwidth.least_price()
    told_x, told_y = compute.buyers > 0, bandwidth.buyers > 0
    pairs = totals.sum("floor_pairs")
    ratio = totals.sum("floor_ratio") / pairs
    by_ratio_x = np.where(told_y, bandwidth.price() / ratio, np.maximum(least_x, least_y / ratio))
    x = np.where(told_x, compute.price(), np.where(pairs > 0, by_ratio_x, least_x))
    y = np.where(told_y, bandwidth.price(), np.where(pairs > 0, x * ratio, least_y))
    return x, y


def consistency_of(totals: Totals, costs: ProviderSide, provider_utility: FloatArray) -> float:
    """Return the largest relative difference of reported and recomputed QoE and utilities."""
    cost = costs.compute_cost * totals.sum("compute")
    cost = cost + costs.bandwidth_cost * totals.sum("bandwidth")
    turnover = totals.sum("most_paid") + cost
    wrong = np.abs(provider_utility - (totals.sum("paid") - cost))
    wrong = wrong / np.where(turnover > 0, turnover, 1.0)
    inconsistency = totals.largest("inconsistency")
    return float(np.max([wrong.max(), inconsistency.max(), totals.wrong_utility]))


def outside_bounds_of(totals: Totals) -> float:
    """Return the largest share of a bound by which a reward misses it."""
    return float(np.maximum(totals.largest("outside").max(), 0.0))


def _largest(*values: FloatArray) -> FloatArray:
    """Return the largest at each provider, at least zero; NaN if any is."""
    largest: FloatArray = np.maximum(np.max(values, axis=0), 0.0)
    return largest
