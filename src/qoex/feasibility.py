"""Whether every user of a provider can be served at all (C1 and C2 of eq. 8 together).

With a′ = a/κ, b′ = b/κ and G = Σ√(ab)/κ, provider n can give all its users a non-negative QoE
exactly when F > Σa′, W > Σb′ and (F − Σa′)(W − Σb′) ≥ G² (Cauchy–Schwarz; theory, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qoex.errors import InfeasibleMarketError, Shortfall
from qoex.market import FloatArray, Market

# A provider whose capacities exceed the least ones by less than this share has no room in which a
# finite price exists in double precision, so it counts as one that cannot serve its users.
CAPACITY_MARGIN = 1e-9


class FloorLoad(NamedTuple):
    """What serving every user with QoE zero takes of each provider (N each).

    Attributes:
        compute: Σ a/κ, TFLOPS.
        bandwidth: Σ b/κ, MHz.
        cross: Σ √(ab)/κ, √(TFLOPS·MHz).
    """

    compute: FloatArray
    bandwidth: FloatArray
    cross: FloatArray


def floor_terms(market: Market) -> FloorLoad:
    """Return a/κ, b/κ and √(ab)/κ of every pair (N×M each; zero at absent pairs)."""
    budget = np.where(market.present, market.latency_budget, 1.0)
    return FloorLoad(
        market.work / budget,
        market.traffic / budget,
        np.sqrt(market.work) * np.sqrt(market.traffic) / budget,
    )


def capacity_factor(market: Market) -> FloatArray:
    """Return the least factor (N) on both capacities of each provider that serves all its users.

    It is the larger root φ of (φF − Σa′)(φW − Σb′) = G²; a market is feasible where φ < 1.
    """
    load = FloorLoad(*(term.sum(axis=1) for term in floor_terms(market)))
    compute = load.compute / market.compute_capacity
    bandwidth = load.bandwidth / market.bandwidth_capacity
    cross = load.cross**2 / market.compute_capacity / market.bandwidth_capacity
    factor: FloatArray = 0.5 * (
        compute + bandwidth + np.sqrt((compute - bandwidth) ** 2 + 4.0 * cross)
    )
    return factor


def require_feasible(market: Market) -> None:
    """Return if every provider can serve all of its users.

    Raises:
        InfeasibleMarketError: names each provider that cannot, what it lacks, and the least
            capacity factor that would do.
    """
    factor = capacity_factor(market)
    short = np.flatnonzero(factor >= 1.0 - CAPACITY_MARGIN)
    if short.size == 0:
        return
    # A market exactly at its limit lacks nothing but the margin itself.
    needed = factor[short] / (1.0 - 2.0 * CAPACITY_MARGIN)
    raise InfeasibleMarketError(
        [
            Shortfall(
                provider=market.provider_names[n],
                capacity_factor=float(phi),
                compute=float((phi - 1.0) * market.compute_capacity[n]),
                bandwidth=float((phi - 1.0) * market.bandwidth_capacity[n]),
            )
            for n, phi in zip(short, needed, strict=True)
        ]
    )
