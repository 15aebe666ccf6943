"""What the first pass's totals say of the providers: conditions (eq. 8), consistency, bounds.

The conditions are those of :mod:`qoex.certificate.conditions`; here is what they need, from sums
and extremes in place of arrays.
"""

from __future__ import annotations

import numpy as np

from qoex.certificate.conditions import Conditions, Resource, implied_prices, judged
from qoex.certificate.passes import Totals
from qoex.certificate.quantities import NONE
from qoex.model.market import FloatArray
from qoex.model.sides import ProviderSide


def conditions_of(totals: Totals, costs: ProviderSide) -> Conditions:
    """Return how well each provider's allocation solves eq. 8 at the reported rewards."""
    compute = _resource(totals, "compute", costs.compute_cost, costs.compute_capacity)
    bandwidth = _resource(totals, "bandwidth", costs.bandwidth_cost, costs.bandwidth_capacity)
    pairs = totals.sum("floor_pairs")
    x, y = implied_prices(compute, bandwidth, pairs, totals.sum("floor_ratio") / pairs)
    # The ratio of a/f² to b/B² at the floor is that of the prices.
    apart = np.maximum(
        totals.largest("ratio") * x / y - 1.0, totals.largest("less_ratio") * x / y + 1.0
    )
    apart = np.where(pairs > 0, np.maximum(apart, 0.0), 0.0)
    return judged(compute, bandwidth, (x, y), apart, totals.largest("lack"))


def _resource(totals: Totals, name: str, cost: FloatArray, capacity: FloatArray) -> Resource:
    floor_value = totals.largest(f"floor_value_{name}")
    return Resource(
        cost=cost,
        capacity=capacity,
        use=totals.sum(name),
        buyers=totals.sum(f"buyers_{name}"),
        price=totals.sum(f"worth_{name}") / totals.sum(f"served_{name}"),
        value=totals.largest(f"value_{name}"),
        least_value=-totals.largest(f"less_value_{name}"),
        floor_value=np.where(floor_value == NONE, 0.0, floor_value),
        unwanted=totals.largest(f"unwanted_{name}"),
    )


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
