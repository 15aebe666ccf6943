"""Whether every user of a provider can be served at all (C1 and C2 of eq. 8 together).

With a′ = a/κ, b′ = b/κ and G = Σ√(ab)/κ, provider n can give all its users a non-negative QoE
exactly when F > Σa′, W > Σb′ and (F − Σa′)(W − Σb′) ≥ G² (Cauchy–Schwarz; theory, section 3).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, overload

import numpy as np

from qoex.errors import InfeasibleMarketError, Shortfall
from qoex.model.market import BoolArray, FloatArray, Market

# A provider whose capacities exceed the least ones by less than this share has no room in which a
# finite price exists in double precision, so it counts as one that cannot serve its users.
CAPACITY_MARGIN = 1e-9

# Doubles hold a capacity to 1e-16, and its room beyond the least one, a share ε of it, to 1e-16/ε.
# In 400 random markets with ε of 1e-8 to 1e-5 the regret was within that; the rest is margin.
_ROUNDING = 4.0 * float(np.finfo(np.float64).eps)


class Demands(Protocol):
    """What floors follow from: a market, or the users of one part of it."""

    @property
    def work(self) -> FloatArray:
        """Return a, N×M, TFLOPS·ms."""
        ...

    @property
    def traffic(self) -> FloatArray:
        """Return b, N×M, MHz·ms."""
        ...

    @property
    def latency_budget(self) -> FloatArray:
        """Return κ, N×M, ms."""
        ...

    @property
    def present(self) -> BoolArray:
        """Return N×M booleans; true where the user demands something of the provider."""
        ...


class Capacities(Protocol):
    """What providers have; a market says it, and so does a stored one."""

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Return N names."""
        ...

    @property
    def compute_capacity(self) -> FloatArray:
        """Return F, N, TFLOPS."""
        ...

    @property
    def bandwidth_capacity(self) -> FloatArray:
        """Return W, N, MHz."""
        ...


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


def floor_terms(demands: Demands) -> FloorLoad:
    """Return a/κ, b/κ and √(ab)/κ of every pair (N×M each; zero at absent pairs)."""
    budget = np.where(demands.present, demands.latency_budget, 1.0)
    return FloorLoad(
        demands.work / budget,
        demands.traffic / budget,
        np.sqrt(demands.work) * np.sqrt(demands.traffic) / budget,
    )


def capacity_factor(market: Market) -> FloatArray:
    """Return the least factor (N) on both capacities of each provider that serves all its users.

    It is the larger root φ of (φF − Σa′)(φW − Σb′) = G²; a market is feasible where φ < 1.
    """
    load = FloorLoad(*(term.sum(axis=1) for term in floor_terms(market)))
    return least_factor(load, market.compute_capacity, market.bandwidth_capacity)


def regret_resolution(market: Market) -> float:
    """Return the relative regret that no arithmetic on doubles can tell from none, dimensionless.

    It is far below 1e-12 but where capacities hardly exceed the least ones: utilities are known no
    better than the room that these leave.
    """
    room = 1.0 - float(capacity_factor(market).max())
    return _ROUNDING / room if room > 0.0 else 0.0


def least_factor(
    load: FloorLoad, compute_capacity: FloatArray, bandwidth_capacity: FloatArray
) -> FloatArray:
    """Return what ``capacity_factor`` does, from what serving everyone takes.

    Args:
        load: sums over all users.
        compute_capacity: F, N, TFLOPS.
        bandwidth_capacity: W, N, MHz.

    """
    compute = load.compute / compute_capacity
    bandwidth = load.bandwidth / bandwidth_capacity
    cross = load.cross**2 / compute_capacity / bandwidth_capacity
    factor: FloatArray = 0.5 * (
        compute + bandwidth + np.sqrt((compute - bandwidth) ** 2 + 4.0 * cross)
    )
    return factor


@overload
def require_feasible(market: Market) -> None: ...


@overload
def require_feasible(market: Capacities, load: FloorLoad) -> None: ...


def require_feasible(market: Market | Capacities, load: FloorLoad | None = None) -> None:
    """Return if every provider can serve all of its users.

    Args:
        market: N providers, and their users unless ``load`` says what these take.
        load: what serving all users with QoE zero takes; computed if not given.

    Raises:
        InfeasibleMarketError: names each provider that cannot, what it lacks, and the least
            capacity factor that would do.
    """
    if load is None:
        assert isinstance(market, Market)
        factor = capacity_factor(market)
    else:
        factor = least_factor(load, market.compute_capacity, market.bandwidth_capacity)
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
